//! How an order comes in under rules 2: what it is held to before it meets the book, and what
//! becomes of it there.
//!
//! A new order, an amended one that loses its place, and a conditional one that is released take
//! the same way: [`State::prepare`] refuses it with nothing changed, or says how many lots come in,
//! how far they may trade and where the rest would rest; [`State::enter`] then cannot fail.
//!
//! `OrderAccepted` tells the size that was taken: a reduce-only order is cut before it. In an
//! opening call orders gather: nothing trades, so only good-till-cancel limit orders are taken, and
//! a post-only one may cross.

use crate::margin;
use crate::matching::{Incoming, Taker, close_unrested};
use crate::orders::OrderFlags;
use crate::protection::protection_in;
use crate::state::{OPERATOR_SLOT, State};
use evenkeel_types::conditional::OrderTerms;
use evenkeel_types::{
    AccountId, CloseReason, Event, Instrument, InstrumentKind, Lots, Mode, NewOrder, OrderId,
    OutcomeKind, RejectCode, SessionId, Ticks, TimeInForce,
};

/// What somebody wants to place.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wish {
    pub account: u32,
    pub instrument: u32,
    pub order: NewOrder,
    pub terms: OrderTerms,
    /// Slot of the order that it amends.
    pub replaces: Option<u32>,
}

/// An order that may come in.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Prepared {
    /// Where it rests; `None`: it does not.
    pub price: Option<Ticks>,
    /// How far it trades; `None`: any price.
    pub limit: Option<Ticks>,
    /// What of it comes in.
    pub lots: Lots,
    /// It rests without trading.
    pub gathers: bool,
    /// It may only reduce the position.
    pub reduces: bool,
}

impl Wish {
    fn may_rest(&self) -> bool {
        self.order.time_in_force == TimeInForce::GoodTillCancel
    }

    fn fills_or_dies(&self) -> bool {
        self.order.time_in_force == TimeInForce::FillOrKill
    }
}

/// What the modes that apply make of an order.
struct Admitted {
    gathers: bool,
    /// The refusal if it cannot reduce the position, and must.
    reduces: Option<RejectCode>,
}

impl State {
    /// Places an order under rules 2: accepted whole or refused before anything changes.
    pub(crate) fn place_with(
        &mut self,
        account: u32,
        session: SessionId,
        order: &NewOrder,
        terms: &OrderTerms,
        events: &mut Vec<Event>,
    ) -> Result<OutcomeKind, RejectCode> {
        self.check_sender(account)?;
        let instrument = self.instrument_slot(order.instrument)?;
        let wish = Wish { account, instrument, order: *order, terms: *terms, replaces: None };
        if order.price.is_none() && (wish.may_rest() || order.post_only) {
            return Err(RejectCode::MarketMayNotRest);
        }
        if terms.trigger.is_some() {
            return self.arm(&wish, session, events);
        }
        let prepared = self.prepare(&wish)?;
        let order = NewOrder { lots: prepared.lots, ..*order };
        let id = self.tell_accepted(account, session, (&order, terms), events);
        self.enter(id, session, &wish, &prepared, events);
        Ok(OutcomeKind::Order { order: id })
    }

    /// Who may send orders at all, and how many.
    pub(crate) fn check_sender(&mut self, account: u32) -> Result<(), RejectCode> {
        if account == OPERATOR_SLOT {
            return Err(RejectCode::UnknownAccount);
        }
        let owner = self.account(account);
        if owner.id == AccountId::FUND {
            return Err(RejectCode::FundOnly);
        }
        if owner.extra.liquidation.is_some() {
            return Err(RejectCode::InLiquidation);
        }
        self.count_sent(account)
    }

    /// Numbers an accepted order and tells its terms.
    pub(crate) fn tell_accepted(
        &mut self,
        account: u32,
        session: SessionId,
        (order, extra): (&NewOrder, &OrderTerms),
        events: &mut Vec<Event>,
    ) -> OrderId {
        let id = self.meta.next_order;
        self.meta.next_order.0 += 1;
        let account = self.account(account).id;
        events.push(Event::OrderAccepted { order: id, account, session, terms: *order });
        if *extra != OrderTerms::default() {
            events.push(Event::OrderTermsSet { order: id, terms: *extra });
        }
        id
    }

    /// Everything that can refuse an order.
    pub(crate) fn prepare(&mut self, wish: &Wish) -> Result<Prepared, RejectCode> {
        self.check_shape(wish)?;
        let admitted = self.admit_order(wish)?;
        let mut order = Incoming {
            account: wish.account,
            instrument: wish.instrument,
            side: wish.order.side,
            limit: wish.order.price,
            lots: wish.order.lots,
            fill_or_kill: wish.fills_or_dies(),
            post_only: wish.order.post_only,
            reduce_only: admitted.reduces.is_some(),
            replaces: wish.replaces,
        };
        if let Some(refusal) = admitted.reduces {
            let most = self.reducible(wish.account, wish.instrument, wish.order.side);
            order.lots.0 = order.lots.0.min(most);
            if most == 0 {
                return Err(refusal);
            }
        }
        self.check_limits(&order)?;
        self.check_own_limits(&order, wish.may_rest())?;
        if !admitted.gathers {
            order.limit = self.passive_price(wish, order.limit)?;
        }
        let rests_at = order.limit.filter(|_| wish.may_rest());
        order.limit = self.check_price(&order, wish.terms.protection_bp, wish.may_rest())?;
        let to_cover = self.reach(wish, &order)?;
        if let Some((price, lots)) = to_cover {
            self.check_cover_margined(&order, price, lots)?;
        }
        Ok(Prepared {
            price: rests_at,
            limit: order.limit,
            lots: order.lots,
            gathers: admitted.gathers,
            reduces: order.reduce_only,
        })
    }

    /// Terms, sizes and prices that are possible at all.
    pub(crate) fn check_shape(&self, wish: &Wish) -> Result<(), RejectCode> {
        let instrument = self.instrument(wish.instrument);
        let terms = &instrument.terms;
        let has_expired = terms.expiry().is_some_and(|expiry| expiry <= self.meta.time);
        if has_expired || instrument.extra.delivered.price.is_some() {
            return Err(RejectCode::Expired);
        }
        if wish.order.lots.0 <= 0 || wish.order.lots > Instrument::MAX_LOTS {
            return Err(RejectCode::SizeOutOfRange);
        }
        let is_in_range = |price: Ticks| price.0 > 0 && price <= Instrument::MAX_TICKS;
        if wish.order.price.is_some_and(|price| !is_in_range(price)) {
            return Err(RejectCode::PriceOutOfRange);
        }
        let is_margined = instrument.extra.underlying.is_some() && self.extension.terms.is_some();
        if terms.kind != InstrumentKind::Spot && !is_margined {
            return Err(RejectCode::UnknownUnderlying);
        }
        if wish.terms.protected && wish.replaces.is_none() {
            let owner = self.account(wish.account);
            let known = protection_in(owner, instrument.extra.underlying);
            if known.is_some_and(|known| known.is_frozen_at(self.meta.time)) {
                return Err(RejectCode::Frozen);
            }
        }
        Ok(())
    }

    fn admit_order(&self, wish: &Wish) -> Result<Admitted, RejectCode> {
        let mode = self.mode_of(wish.instrument, wish.account);
        let gathers = mode == Mode::Auction;
        match mode {
            Mode::Normal | Mode::ReduceOnly => {}
            Mode::Auction if wish.may_rest() => {}
            Mode::Auction => return Err(RejectCode::NotInAuction),
            Mode::CancelOnly => return Err(RejectCode::CancelOnly),
            Mode::WithdrawOnly => return Err(RejectCode::WithdrawOnly),
            Mode::Halted => return Err(RejectCode::Halted),
        }
        let forced = self.must_reduce(wish.instrument, wish.account);
        let wanted = wish.terms.reduce_only.then_some(RejectCode::NotReducing);
        Ok(Admitted { gathers, reduces: wanted.or(forced) })
    }

    /// Where a post-only order may rest: at its price, or slid behind the best opposite one.
    fn passive_price(
        &self,
        wish: &Wish,
        limit: Option<Ticks>,
    ) -> Result<Option<Ticks>, RejectCode> {
        let side = wish.order.side;
        let book = &self.instrument(wish.instrument).book;
        if !wish.order.post_only || !book.would_trade(side, limit) {
            return Ok(limit);
        }
        let best = book.side(side.opposite()).best();
        match best {
            Some((best, _)) if wish.terms.slide => {
                let behind = Ticks(best.0 - side.sign());
                let is_in_range = behind.0 > 0 && behind <= Instrument::MAX_TICKS;
                if is_in_range { Ok(Some(behind)) } else { Err(RejectCode::WouldTrade) }
            }
            _ => Err(RejectCode::WouldTrade),
        }
    }

    /// The worst price that an order can come to, and how much of it; `None` for a market order
    /// that meets an empty book.
    fn reach(&self, wish: &Wish, order: &Incoming) -> Result<Option<(Ticks, Lots)>, RejectCode> {
        if wish.may_rest() {
            return Ok(order.limit.map(|price| (price, order.lots)));
        }
        if order.fill_or_kill {
            self.check_fills(order, OrderFlags::new(&wish.terms))?;
        }
        let opposite = self.instrument(order.instrument).book.side(order.side.opposite());
        let (fillable, worst) = opposite.fillable(order.limit, order.lots);
        if fillable == Lots::ZERO {
            // Nothing trades, but what is sent must be within bounds.
            return Ok(order.limit.map(|price| (price, order.lots)));
        }
        Ok(wish.order.price.or(worst).map(|price| (price, fillable)))
    }

    /// Whether margin covers the order, and the balance what it reserves.
    fn check_cover_margined(
        &mut self,
        order: &Incoming,
        price: Ticks,
        lots: Lots,
    ) -> Result<(), RejectCode> {
        let instrument = self.instrument(order.instrument);
        let value = margin::checked_value(instrument, price, lots)?;
        if instrument.terms.kind == InstrumentKind::Spot {
            self.check_balance(order, lots, value)?;
        }
        self.check_margin(order, price, lots)
    }

    /// Takes an order in: it trades what it may, and rests or ends. It cannot fail.
    pub(crate) fn enter(
        &mut self,
        order: OrderId,
        session: SessionId,
        wish: &Wish,
        prepared: &Prepared,
        events: &mut Vec<Event>,
    ) {
        if let Some(price) = prepared.price
            && wish.order.price.is_some_and(|wanted| wanted != price)
        {
            events.push(Event::OrderSlid { order, price });
        }
        let mut taker = self.taker(order, wish, prepared);
        if !prepared.gathers {
            self.cross(&mut taker, events);
        }
        match self.end_of(&mut taker, prepared.price) {
            Ok(price) => self.rest_new(&taker, price, session, &wish.order, events),
            Err(reason) => close_unrested(&taker, reason, events),
        }
    }

    /// A prepared order on its way into the book.
    pub(crate) fn taker(&self, order: OrderId, wish: &Wish, prepared: &Prepared) -> Taker {
        Taker {
            order,
            account: wish.account,
            instrument: wish.instrument,
            side: wish.order.side,
            limit: prepared.limit,
            open: prepared.lots,
            flags: OrderFlags::new(&wish.terms),
            reduces: prepared.reduces,
            is_liquidation: false,
            stopped: None,
            call: None,
        }
    }

    /// Where what is left of an order rests, or why it ends.
    pub(crate) fn end_of(
        &self,
        taker: &mut Taker,
        price: Option<Ticks>,
    ) -> Result<Ticks, CloseReason> {
        if taker.open == Lots::ZERO {
            return Err(CloseReason::Filled);
        }
        if let Some(reason) = taker.stopped {
            return Err(reason);
        }
        if taker.reduces {
            let most = self.reducible(taker.account, taker.instrument, taker.side);
            if most == 0 {
                return Err(CloseReason::ReduceOnly);
            }
            taker.open.0 = taker.open.0.min(most);
        }
        price.ok_or(CloseReason::Unfilled)
    }
}
