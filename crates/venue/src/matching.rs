//! Price-time priority: acceptance under rules 1 (`entering.rs` has that of rules 2), trading,
//! resting.

use crate::accounting::{Fill, settle};
use crate::book::MAX_SIDE_LOTS;
use crate::margin;
use crate::orders::{Link, MAX_OPEN_ORDERS, NIL, Order, OrderFlags};
use crate::self_trade::Meeting;
use crate::state::{MAX_POSITION, OPERATOR_SLOT, State, proven};
use crate::trades::Deal;
use evenkeel_types::conditional::OrderTerms;
use evenkeel_types::{
    CloseReason, Event, Instrument, Lots, Money, NewOrder, OrderId, OutcomeKind, RejectCode,
    SessionId, Side, Ticks, TimeInForce,
};

/// An order before it meets the book.
pub(crate) struct Incoming {
    pub account: u32,
    pub instrument: u32,
    pub side: Side,
    /// `None`: any price.
    pub limit: Option<Ticks>,
    pub lots: Lots,
    pub fill_or_kill: bool,
    pub post_only: bool,
    /// It can only bring the position closer to zero, and was cut to that.
    pub reduce_only: bool,
    /// Slot of the order that it amends.
    pub replaces: Option<u32>,
}

/// An accepted order on its way through the book.
pub(crate) struct Taker {
    pub order: OrderId,
    pub account: u32,
    pub instrument: u32,
    pub side: Side,
    pub limit: Option<Ticks>,
    pub open: Lots,
    pub flags: OrderFlags,
    /// It may only bring the position closer to zero.
    pub reduces: bool,
    /// An order of a liquidation.
    pub is_liquidation: bool,
    /// Why it ends before it is filled, if it does.
    pub stopped: Option<CloseReason>,
    /// The price of an opening call, at which it trades instead of the resting orders' own.
    pub call: Option<Ticks>,
}

impl Taker {
    /// An order on its way under rules 1.
    pub fn plain(order: OrderId, incoming: &Incoming) -> Self {
        Self {
            order,
            account: incoming.account,
            instrument: incoming.instrument,
            side: incoming.side,
            limit: incoming.limit,
            open: incoming.lots,
            flags: OrderFlags::default(),
            reduces: false,
            is_liquidation: false,
            stopped: None,
            call: None,
        }
    }
}

impl State {
    /// Places an order: accepted whole or refused before anything changes.
    pub(crate) fn place(
        &mut self,
        account: u32,
        session: SessionId,
        terms: &NewOrder,
        events: &mut Vec<Event>,
    ) -> Result<OutcomeKind, RejectCode> {
        if self.has_margin() {
            return self.place_with(account, session, terms, &OrderTerms::default(), events);
        }
        if account == OPERATOR_SLOT {
            return Err(RejectCode::UnknownAccount);
        }
        let instrument = self.instrument_slot(terms.instrument)?;
        let is_good_till_cancel = terms.time_in_force == TimeInForce::GoodTillCancel;
        if terms.price.is_none() && (is_good_till_cancel || terms.post_only) {
            return Err(RejectCode::MarketMayNotRest);
        }
        let incoming = Incoming {
            account,
            instrument,
            side: terms.side,
            limit: terms.price,
            lots: terms.lots,
            fill_or_kill: terms.time_in_force == TimeInForce::FillOrKill,
            post_only: terms.post_only,
            reduce_only: false,
            replaces: None,
        };
        self.check(&incoming)?;
        let order = self.meta.next_order;
        self.meta.next_order.0 += 1;
        events.push(Event::OrderAccepted {
            order,
            account: self.account(account).id,
            session,
            terms: *terms,
        });
        let mut taker = Taker::plain(order, &incoming);
        self.cross(&mut taker, events);
        if taker.open == Lots::ZERO {
            close_unrested(&taker, CloseReason::Filled, events);
        } else if is_good_till_cancel && let Some(price) = terms.price {
            self.rest_new(&taker, price, session, terms, events);
        } else {
            close_unrested(&taker, CloseReason::Unfilled, events);
        }
        Ok(OutcomeKind::Order { order })
    }

    /// Gives what is left of a new order its place in the book.
    pub(crate) fn rest_new(
        &mut self,
        taker: &Taker,
        price: Ticks,
        session: SessionId,
        terms: &NewOrder,
        events: &mut Vec<Event>,
    ) {
        let slot = self.orders.insert(Order {
            id: taker.order,
            account: taker.account,
            instrument: taker.instrument,
            session,
            label: terms.label,
            side: terms.side,
            post_only: terms.post_only,
            flags: taker.flags,
            price,
            open: taker.open,
            reserve: Money::ZERO,
            in_level: Link::UNLINKED,
            level: NIL,
            in_account: Link::UNLINKED,
            next_in_bucket: NIL,
        });
        self.list_with_owner(slot);
        self.rest(slot, events);
    }

    /// Everything that can refuse an order under rules 1, before anything changes.
    pub(crate) fn check(&self, order: &Incoming) -> Result<(), RejectCode> {
        let instrument = self.instrument(order.instrument);
        let terms = &instrument.terms;
        if terms.expiry().is_some_and(|expiry| expiry <= self.meta.time) {
            return Err(RejectCode::Expired);
        }
        if order.lots.0 <= 0 || order.lots > Instrument::MAX_LOTS {
            return Err(RejectCode::SizeOutOfRange);
        }
        let is_in_range = |price: Ticks| price.0 > 0 && price <= Instrument::MAX_TICKS;
        if order.limit.is_some_and(|price| !is_in_range(price)) {
            return Err(RejectCode::PriceOutOfRange);
        }
        self.check_limits(order)?;
        if order.post_only && instrument.book.would_trade(order.side, order.limit) {
            return Err(RejectCode::WouldTrade);
        }
        let opposite = instrument.book.side(order.side.opposite());
        let (lots, price) = match order.limit {
            Some(price) if !order.fill_or_kill => (order.lots, Some(price)),
            limit => {
                let (fillable, worst) = opposite.fillable(limit, order.lots);
                if order.fill_or_kill && fillable < order.lots {
                    return Err(RejectCode::CannotFill);
                }
                (fillable, limit.or(worst))
            }
        };
        match price {
            Some(price) => self.check_cover(order, price, lots),
            // A market order that meets an empty book.
            None => Ok(()),
        }
    }

    /// Bounds on counts, sizes and sums; they keep every later addition in range.
    pub(crate) fn check_limits(&self, order: &Incoming) -> Result<(), RejectCode> {
        let instrument = self.instrument(order.instrument);
        let terms = &instrument.terms;
        let replaced_lots = order.replaces.map_or(0, |slot| self.orders.at(slot).open.0);
        if order.replaces.is_none() {
            self.check_order_count()?;
        }
        let side_lots = instrument.book.side(order.side).lots();
        if side_lots - replaced_lots + order.lots.0 > MAX_SIDE_LOTS.0 {
            return Err(RejectCode::LimitReached);
        }
        let account = self.account(order.account);
        let holding = account.holding(terms.id);
        if holding.worst(order.side) - replaced_lots + order.lots.0 > MAX_POSITION {
            return Err(RejectCode::PositionTooLarge);
        }
        let money = [
            account.balance(terms.settlement).balance,
            account.balance(terms.base).balance,
            holding.basis,
            holding.realised,
        ];
        if !money.into_iter().all(margin::has_headroom) {
            return Err(RejectCode::ValueTooLarge);
        }
        Ok(())
    }

    /// Whether the venue can hold one more order.
    pub(crate) fn check_order_count(&self) -> Result<(), RejectCode> {
        let count = self.orders.count() + self.extension.triggers.count();
        if count >= MAX_OPEN_ORDERS { Err(RejectCode::LimitReached) } else { Ok(()) }
    }

    fn check_cover(&self, order: &Incoming, price: Ticks, lots: Lots) -> Result<(), RejectCode> {
        let instrument = self.instrument(order.instrument);
        let value = margin::checked_value(instrument, price, lots)?;
        self.check_balance(order, lots, value)
    }

    /// Whether the owner's free balance covers the order, an amended order's own reserve included.
    pub(crate) fn check_balance(
        &self,
        order: &Incoming,
        lots: Lots,
        value: Money,
    ) -> Result<(), RejectCode> {
        let instrument = self.instrument(order.instrument);
        let account = self.account(order.account);
        let needed = margin::order_reserve(account.collateral, instrument, order.side, lots, value);
        let replaced = order.replaces.map(|slot| self.orders.at(slot).reserve);
        let more = needed.0 - replaced.unwrap_or_default().0;
        let currency = margin::reserve_currency(&instrument.terms, order.side);
        if more > 0 && more > account.free(currency) {
            return Err(RejectCode::InsufficientBalance);
        }
        Ok(())
    }

    /// Trades until the order is filled or nothing it may take is left.
    pub(crate) fn cross(&mut self, taker: &mut Taker, events: &mut Vec<Event>) {
        let has_margin = self.has_margin();
        while taker.open.0 > 0 && taker.stopped.is_none() {
            let book = &self.instrument(taker.instrument).book;
            let ladder = book.side(taker.side.opposite());
            let Some((_, maker)) = ladder.next_maker(taker.limit) else {
                return;
            };
            if !has_margin {
                let lots = Lots(taker.open.0.min(self.orders.at(maker).open.0));
                self.trade(taker, maker, lots, events);
                continue;
            }
            match self.meet(taker, maker, events) {
                Meeting::Trade(lots) => {
                    let deal = self.trade(taker, maker, lots, events);
                    self.after_trade(&deal, taker, events);
                }
                Meeting::MakerGone => {}
                Meeting::Stop(reason) => taker.stopped = Some(reason),
            }
        }
    }

    /// One trade with a resting order, at its price; `lots` are open on both sides.
    fn trade(
        &mut self,
        taker: &mut Taker,
        maker_slot: u32,
        lots: Lots,
        events: &mut Vec<Event>,
    ) -> Deal {
        let has_margin = self.has_margin();
        let maker = self.orders.at(maker_slot);
        let (maker_order, maker_account, limit) = (maker.id, maker.account, maker.price);
        let price = taker.call.unwrap_or(limit);
        let (maker_side, reserve_before) = (maker.side, maker.reserve);
        let maker_flags = maker.flags;
        taker.open.0 -= lots.0;

        let instrument = &mut self.instruments[taker.instrument as usize];
        let ladder = instrument.book.side_mut(maker_side);
        ladder.reduce(&mut self.orders, maker_slot, lots);
        let maker = self.orders.at_mut(maker_slot);
        let maker_open = maker.open;
        let instrument = &self.instruments[taker.instrument as usize];
        let owner = &mut self.accounts[maker_account as usize];
        let resting = (maker_side, limit, maker_open);
        maker.reserve =
            margin::reserve(has_margin, owner.collateral, instrument, resting, maker_flags);
        let reserve_change = maker.reserve.0 - reserve_before.0;
        *owner.holding_mut(instrument.terms.id).open_mut(maker_side) -= lots.0;
        let maker_account_id = owner.id;

        let trade = self.meta.next_trade;
        self.meta.next_trade.0 += 1;
        events.push(Event::Traded {
            trade,
            instrument: instrument.terms.id,
            price,
            lots,
            taker_side: taker.side,
            maker: maker_order,
            maker_account: maker_account_id,
            maker_open,
            taker: taker.order,
            taker_account: self.accounts[taker.account as usize].id,
            taker_open: taker.open,
        });
        // Below the maker's value, which was checked; negating it is exact.
        let signed_lots = Lots(lots.0 * taker.side.sign());
        let basis: Money = proven(instrument.valuation.basis(price, signed_lots));
        let maker_fill = Fill { side: maker_side, lots, basis: Money(-basis.0), reserve_change };
        let owner = &mut self.accounts[maker_account as usize];
        settle(owner, instrument, &maker_fill, events);
        let taker_fill = Fill { side: taker.side, lots, basis, reserve_change: 0 };
        let account = &mut self.accounts[taker.account as usize];
        settle(account, instrument, &taker_fill, events);
        if maker_open == Lots::ZERO {
            self.close(maker_slot, CloseReason::Filled, events);
        }
        Deal {
            trade,
            instrument: taker.instrument,
            price,
            lots,
            taker_side: taker.side,
            maker: maker_account,
            taker: taker.account,
            maker_flags,
            is_liquidation: taker.is_liquidation,
        }
    }

    /// Puts an order into the book at the back of its price, and reserves for it.
    pub(crate) fn rest(&mut self, slot: u32, events: &mut Vec<Event>) {
        let has_margin = self.has_margin();
        let order = self.orders.at_mut(slot);
        let (side, price, open) = (order.side, order.price, order.open);
        events.push(Event::OrderRested { order: order.id, price, open });
        let instrument = &self.instruments[order.instrument as usize];
        let account = &mut self.accounts[order.account as usize];
        let (collateral, resting) = (account.collateral, (side, price, open));
        let reserve = margin::reserve(has_margin, collateral, instrument, resting, order.flags);
        let change = reserve.0 - order.reserve.0;
        order.reserve = reserve;
        *account.holding_mut(instrument.terms.id).open_mut(side) += open.0;
        let currency = margin::reserve_currency(&instrument.terms, side);
        account.adjust(currency, 0, change, events);
        let ladder = self.instruments[order.instrument as usize].book.side_mut(side);
        ladder.push(&mut self.orders, slot);
    }

    /// Takes an order out of the book and releases its reserve; it stays in its owner's list.
    pub(crate) fn withdraw_from_book(&mut self, slot: u32, events: &mut Vec<Event>) {
        let order = self.orders.at_mut(slot);
        let (instrument, account, side) = (order.instrument, order.account, order.side);
        let (open, reserve) = (order.open, order.reserve);
        order.reserve = Money::ZERO;
        let instrument = &mut self.instruments[instrument as usize];
        let ladder = instrument.book.side_mut(side);
        ladder.unlink(&mut self.orders, slot);
        let account = &mut self.accounts[account as usize];
        *account.holding_mut(instrument.terms.id).open_mut(side) -= open.0;
        let currency = margin::reserve_currency(&instrument.terms, side);
        account.adjust(currency, 0, -reserve.0, events);
    }

    /// Closes a resting order.
    pub(crate) fn close(&mut self, slot: u32, reason: CloseReason, events: &mut Vec<Event>) {
        let order = self.orders.at(slot);
        events.push(Event::OrderClosed { order: order.id, reason, open: order.open });
        self.withdraw_from_book(slot, events);
        self.forget(slot);
    }

    /// Drops an order that is in no book any more.
    pub(crate) fn forget(&mut self, slot: u32) {
        if self.has_margin() {
            self.unlist_order(slot);
        }
        let order = self.orders.at(slot);
        let (link, owner) = (order.in_account, order.account);
        if link.previous == NIL {
            self.account_mut(owner).first_order = link.next;
        } else {
            self.orders.at_mut(link.previous).in_account.next = link.next;
        }
        if link.next == NIL {
            self.account_mut(owner).last_order = link.previous;
        } else {
            self.orders.at_mut(link.next).in_account.previous = link.previous;
        }
        self.orders.remove(slot);
    }

    /// Puts an order into its owner's list, which ascends by id: at the end, but for a conditional
    /// order that is released after younger ones came to rest.
    pub(crate) fn list_with_owner(&mut self, slot: u32) {
        let order = self.orders.at(slot);
        let (owner, id) = (order.account, order.id);
        let mut previous = self.account(owner).last_order;
        while previous != NIL && self.orders.at(previous).id > id {
            previous = self.orders.at(previous).in_account.previous;
        }
        let next = if previous == NIL {
            std::mem::replace(&mut self.account_mut(owner).first_order, slot)
        } else {
            std::mem::replace(&mut self.orders.at_mut(previous).in_account.next, slot)
        };
        if next == NIL {
            self.account_mut(owner).last_order = slot;
        } else {
            self.orders.at_mut(next).in_account.previous = slot;
        }
        self.orders.at_mut(slot).in_account = Link { previous, next };
        if self.has_margin() {
            self.list_order(slot);
        }
    }
}

/// Tells the end of an order that is in no book.
pub(crate) fn close_unrested(taker: &Taker, reason: CloseReason, events: &mut Vec<Event>) {
    events.push(Event::OrderClosed { order: taker.order, reason, open: taker.open });
}
