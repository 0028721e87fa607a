//! Amend, cancel, mass cancel, connect, disconnect.

use crate::extension::MARGIN_RULES;
use crate::margin;
use crate::matching::{Incoming, Taker, close_unrested};
use crate::orders::NIL;
use crate::state::{OPERATOR_SLOT, State};
use evenkeel_types::{
    AccountId, CloseReason, Event, Lots, MassCancelScope, OrderId, OutcomeKind, RejectCode,
    SessionId, Ticks,
};

/// Which of an account's orders to close.
#[derive(Clone, Copy)]
enum Selection {
    All,
    Instrument(u32),
    Session(SessionId),
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
        let slot = self.own_order(account, order)?;
        if change == (None, None) {
            return Err(RejectCode::NothingToAmend);
        }
        let before = self.orders.at(slot);
        let (side, instrument) = (before.side, before.instrument);
        let price = change.0.unwrap_or(before.price);
        let lots = change.1.unwrap_or(before.open);
        let kept_priority = price == before.price && lots <= before.open;
        self.check(&Incoming {
            account,
            instrument,
            side,
            limit: Some(price),
            lots,
            fill_or_kill: false,
            post_only: before.post_only,
            reduce_only: false,
            replaces: Some(slot),
        })?;
        events.push(Event::OrderAmended { order, price, open: lots, kept_priority });
        if kept_priority {
            self.shrink(slot, lots, events);
            return Ok(OutcomeKind::Done);
        }
        self.withdraw_from_book(slot, events);
        let flags = self.orders.at(slot).flags;
        let limit = Some(price);
        let mut taker = Taker { order, account, instrument, side, limit, open: lots, flags };
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

    /// Lowers the open size of a resting order in place.
    fn shrink(&mut self, slot: u32, lots: Lots, events: &mut Vec<Event>) {
        let order = self.orders.at(slot);
        let (side, price, instrument) = (order.side, order.price, order.instrument);
        let less = Lots(order.open.0 - lots.0);
        let instrument = &mut self.instruments[instrument as usize];
        let ladder = instrument.book.side_mut(side);
        ladder.reduce(&mut self.orders, slot, less);
        let order = self.orders.at_mut(slot);
        let account = &mut self.accounts[order.account as usize];
        *account.holding_mut(instrument.terms.id).open_mut(side) -= less.0;
        let reserve = if self.extension.rules >= MARGIN_RULES {
            let resting = (side, price, lots);
            margin::margin_reserve(account.collateral, instrument, resting, order.flags)
        } else {
            margin::resting_reserve(account.collateral, instrument, side, price, lots)
        };
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
            MassCancelScope::Currency { .. } | MassCancelScope::Label { .. } => {
                return Err(RejectCode::NeedsUpgrade);
            }
        })
    }

    /// Closes an account's selected orders by ascending order id.
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
            };
            if is_selected {
                self.close(slot, reason, events);
            }
            slot = next;
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
