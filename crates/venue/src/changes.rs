//! Amend, cancel, mass cancel, connect, disconnect.

use crate::entering::Wish;
use crate::margin;
use crate::matching::{Incoming, Taker, close_unrested};
use crate::orders::NIL;
use crate::state::{OPERATOR_SLOT, State};
use evenkeel_types::{
    AccountId, CloseReason, CurrencyId, Event, Lots, MassCancelScope, NewOrder, OrderId,
    OutcomeKind, RejectCode, SessionId, Ticks, TimeInForce,
};

/// Which of an account's orders to close.
#[derive(Clone, Copy)]
enum Selection {
    All,
    Instrument(u32),
    Session(SessionId),
    Currency(CurrencyId),
    Label(u64),
}

impl State {
    /// Slot of an order that belongs to the account.
    fn own_order(&self, account: u32, order: OrderId) -> Result<u32, RejectCode> {
        let slot = self.orders.find(order).ok_or(RejectCode::UnknownOrder)?;
        if self.orders.at(slot).account != account {
            return Err(RejectCode::NotYourOrder);
        }
        Ok(slot)
    }

    pub(crate) fn cancel(
        &mut self,
        account: u32,
        order: OrderId,
        events: &mut Vec<Event>,
    ) -> Result<OutcomeKind, RejectCode> {
        if let Some(armed) = self.extension.triggers.armed(order) {
            if armed.account != self.account(account).id {
                return Err(RejectCode::NotYourOrder);
            }
            self.close_armed(order, CloseReason::Cancelled, events);
            return Ok(OutcomeKind::Done);
        }
        let slot = self.own_order(account, order)?;
        self.close(slot, CloseReason::Cancelled, events);
        Ok(OutcomeKind::Done)
    }

    /// Changes an order. No more at the same price keeps its place in the queue; anything else
    /// takes it out and sends it in again, as an incoming limit order with the same id.
    pub(crate) fn amend(
        &mut self,
        account: u32,
        order: OrderId,
        change: (Option<Ticks>, Option<Lots>),
        events: &mut Vec<Event>,
    ) -> Result<OutcomeKind, RejectCode> {
        if self.has_margin() {
            return self.amend_margined(account, order, change, events);
        }
        let slot = self.own_order(account, order)?;
        if change == (None, None) {
            return Err(RejectCode::NothingToAmend);
        }
        let before = self.orders.at(slot);
        let (side, instrument) = (before.side, before.instrument);
        let price = change.0.unwrap_or(before.price);
        let lots = change.1.unwrap_or(before.open);
        let kept_priority = price == before.price && lots <= before.open;
        let incoming = Incoming {
            account,
            instrument,
            side,
            limit: Some(price),
            lots,
            fill_or_kill: false,
            post_only: before.post_only,
            reduce_only: false,
            replaces: Some(slot),
        };
        self.check(&incoming)?;
        events.push(Event::OrderAmended { order, price, open: lots, kept_priority });
        if kept_priority {
            self.shrink(slot, lots, events);
            return Ok(OutcomeKind::Done);
        }
        self.withdraw_from_book(slot, events);
        let mut taker = Taker::plain(order, &incoming);
        self.cross(&mut taker, events);
        if taker.open == Lots::ZERO {
            close_unrested(&taker, CloseReason::Filled, events);
            self.forget(slot);
        } else {
            let order = self.orders.at_mut(slot);
            order.price = price;
            order.open = taker.open;
            self.rest(slot, events);
        }
        Ok(OutcomeKind::Done)
    }

    /// As [`State::amend`], under rules 2. Further terms stay. Less at the same price is always
    /// taken: it only shrinks what is open.
    fn amend_margined(
        &mut self,
        account: u32,
        id: OrderId,
        change: (Option<Ticks>, Option<Lots>),
        events: &mut Vec<Event>,
    ) -> Result<OutcomeKind, RejectCode> {
        self.check_sender(account)?;
        if change == (None, None) {
            return Err(RejectCode::NothingToAmend);
        }
        if self.extension.triggers.armed(id).is_some() {
            return self.amend_armed(account, id, change, events);
        }
        let slot = self.own_order(account, id)?;
        let before = self.orders.at(slot).clone();
        let price = change.0.unwrap_or(before.price);
        let lots = change.1.unwrap_or(before.open);
        let order = NewOrder {
            instrument: self.instrument(before.instrument).terms.id,
            side: before.side,
            price: Some(price),
            lots,
            time_in_force: TimeInForce::GoodTillCancel,
            post_only: before.post_only,
            label: before.label,
        };
        let (instrument, terms) = (before.instrument, before.flags.terms());
        let wish = Wish { account, instrument, order, terms, replaces: Some(slot) };
        if price == before.price && lots <= before.open {
            self.check_shape(&wish)?;
            let kept_priority = true;
            events.push(Event::OrderAmended { order: id, price, open: lots, kept_priority });
            self.shrink(slot, lots, events);
            return Ok(OutcomeKind::Done);
        }
        let prepared = self.prepare(&wish)?;
        let price = prepared.price.unwrap_or(price);
        let (open, kept_priority) = (prepared.lots, false);
        events.push(Event::OrderAmended { order: id, price, open, kept_priority });
        self.withdraw_from_book(slot, events);
        let mut taker = self.taker(id, &wish, &prepared);
        if !prepared.gathers {
            self.cross(&mut taker, events);
        }
        match self.end_of(&mut taker, prepared.price) {
            Ok(price) => {
                let order = self.orders.at_mut(slot);
                (order.price, order.open) = (price, taker.open);
                self.rest(slot, events);
            }
            Err(reason) => {
                close_unrested(&taker, reason, events);
                self.forget(slot);
            }
        }
        Ok(OutcomeKind::Done)
    }

    /// Lowers the open size of a resting order in place.
    pub(crate) fn shrink(&mut self, slot: u32, lots: Lots, events: &mut Vec<Event>) {
        let has_margin = self.has_margin();
        let order = self.orders.at(slot);
        let (side, price, instrument) = (order.side, order.price, order.instrument);
        let less = Lots(order.open.0 - lots.0);
        let instrument = &mut self.instruments[instrument as usize];
        let ladder = instrument.book.side_mut(side);
        ladder.reduce(&mut self.orders, slot, less);
        let order = self.orders.at_mut(slot);
        let account = &mut self.accounts[order.account as usize];
        *account.holding_mut(instrument.terms.id).open_mut(side) -= less.0;
        let (collateral, resting) = (account.collateral, (side, price, lots));
        let reserve = margin::reserve(has_margin, collateral, instrument, resting, order.flags);
        let change = reserve.0 - order.reserve.0;
        order.reserve = reserve;
        let currency = margin::reserve_currency(&instrument.terms, side);
        account.adjust(currency, 0, change, events);
    }

    pub(crate) fn mass_cancel(
        &mut self,
        sender: u32,
        account: Option<AccountId>,
        scope: MassCancelScope,
        events: &mut Vec<Event>,
    ) -> Result<OutcomeKind, RejectCode> {
        let owner = match account {
            None => sender,
            Some(id) if id == self.account(sender).id => sender,
            Some(_) if sender != OPERATOR_SLOT => return Err(RejectCode::NotOperator),
            Some(id) => self.client_slot(id)?,
        };
        let selection = self.selection(scope)?;
        self.close_selected(owner, selection, CloseReason::MassCancelled, events);
        Ok(OutcomeKind::Done)
    }

    fn selection(&self, scope: MassCancelScope) -> Result<Selection, RejectCode> {
        Ok(match scope {
            MassCancelScope::All => Selection::All,
            MassCancelScope::Instrument { instrument } => {
                Selection::Instrument(self.instrument_slot(instrument)?)
            }
            MassCancelScope::Session { session } => Selection::Session(session),
            // Taken under later rules only.
            MassCancelScope::Currency { .. } | MassCancelScope::Label { .. }
                if !self.has_margin() =>
            {
                return Err(RejectCode::NeedsUpgrade);
            }
            MassCancelScope::Currency { currency } if self.currencies.contains_key(&currency) => {
                Selection::Currency(currency)
            }
            MassCancelScope::Currency { .. } => return Err(RejectCode::UnknownCurrency),
            MassCancelScope::Label { label } => Selection::Label(label),
        })
    }

    /// Closes an account's selected orders by ascending order id, then the conditional ones.
    fn close_selected(
        &mut self,
        owner: u32,
        selection: Selection,
        reason: CloseReason,
        events: &mut Vec<Event>,
    ) {
        let mut slot = self.account(owner).first_order;
        while slot != NIL {
            let order = self.orders.at(slot);
            let next = order.in_account.next;
            let is_selected = match selection {
                Selection::All => true,
                Selection::Instrument(instrument) => order.instrument == instrument,
                Selection::Session(session) => order.session == session,
                Selection::Currency(currency) => {
                    self.instrument(order.instrument).terms.settlement == currency
                }
                Selection::Label(label) => order.label == label,
            };
            if is_selected {
                self.close(slot, reason, events);
            }
            slot = next;
        }
        if self.has_margin() {
            self.close_selected_armed(owner, selection, reason, events);
        }
    }

    fn close_selected_armed(
        &mut self,
        owner: u32,
        selection: Selection,
        reason: CloseReason,
        events: &mut Vec<Event>,
    ) {
        let armed: Vec<OrderId> = self.account(owner).extra.own.armed.iter().copied().collect();
        for id in armed {
            let Some(known) = self.extension.triggers.armed(id) else {
                continue;
            };
            let instrument = self.instrument_slots.get(&known.order.instrument).copied();
            let is_selected = match selection {
                Selection::All => true,
                Selection::Instrument(slot) => instrument == Some(slot),
                Selection::Session(session) => known.session == session,
                Selection::Currency(currency) => instrument
                    .is_some_and(|slot| self.instrument(slot).terms.settlement == currency),
                Selection::Label(label) => known.order.label == label,
            };
            if is_selected {
                self.close_armed(id, reason, events);
            }
        }
    }

    pub(crate) fn connect(
        &mut self,
        account: u32,
        session: SessionId,
        cancel_on_disconnect: bool,
        events: &mut Vec<Event>,
    ) -> OutcomeKind {
        self.set_connection(account, session, (true, cancel_on_disconnect), events);
        OutcomeKind::Done
    }

    /// Ends a connection; the session keeps its window, and its wish for the next connection.
    pub(crate) fn disconnect(
        &mut self,
        account: u32,
        session: SessionId,
        events: &mut Vec<Event>,
    ) -> OutcomeKind {
        let known = self.account(account).sessions.by_id.get(&session);
        let cancels = known.is_some_and(|known| known.cancel_on_disconnect);
        self.set_connection(account, session, (false, cancels), events);
        if cancels {
            let selection = Selection::Session(session);
            self.close_selected(account, selection, CloseReason::Disconnected, events);
        }
        OutcomeKind::Done
    }

    fn set_connection(
        &mut self,
        account: u32,
        session: SessionId,
        (connected, cancel_on_disconnect): (bool, bool),
        events: &mut Vec<Event>,
    ) {
        let owner = self.account_mut(account);
        let account = owner.id;
        if let Some(known) = owner.sessions.by_id.get_mut(&session) {
            known.connected = connected;
            known.cancel_on_disconnect = cancel_on_disconnect;
            events.push(Event::SessionChanged {
                account,
                session,
                connected,
                cancel_on_disconnect,
            });
        }
    }
}
