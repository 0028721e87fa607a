//! Follows orders from events alone and holds every trade to what orders promise: price-time
//! priority, limits, reduce-only, post-only, fill-or-kill, no trade that its taker forbids.

use evenkeel_types::conditional::{OrderTerms, SelfTrade};
use evenkeel_types::{
    AccountId, CloseReason, Event, InstrumentId, Lots, NewOrder, OrderId, SessionId, Side, Ticks,
    TimeInForce,
};
use evenkeel_venue::Engine;
use std::collections::{BTreeMap, BTreeSet};

/// The engine's own orders come in the name of this session.
const ENGINE_SESSION: SessionId = SessionId(u64::MAX);

/// What is known of an order that is not closed.
#[derive(Debug, Clone)]
struct Known {
    account: AccountId,
    order: NewOrder,
    terms: OrderTerms,
    is_engines: bool,
    open: i64,
    price: Option<i64>,
    /// Order of arrival at its price; `None`: it does not rest.
    arrival: Option<u64>,
    has_waited: bool,
}

/// What was seen, to tell that a history was worth playing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Seen {
    pub trades: u64,
    pub reduce_only_trades: u64,
    pub self_trades_prevented: u64,
    pub released: u64,
    pub protections: u64,
    pub slid: u64,
    pub filled_or_killed: u64,
    pub cut: u64,
}

#[derive(Debug, Default)]
pub struct OrderWatch {
    orders: BTreeMap<OrderId, Known>,
    positions: BTreeMap<(AccountId, InstrumentId), i64>,
    mains: BTreeMap<AccountId, AccountId>,
    arrivals: u64,
    pub seen: Seen,
}

impl OrderWatch {
    /// Follows the events of one entry.
    pub fn follow(&mut self, events: &[Event]) {
        let crossed: BTreeSet<InstrumentId> = events
            .iter()
            .filter_map(|event| match event {
                Event::AuctionCrossed { instrument, .. } => Some(*instrument),
                _ => None,
            })
            .collect();
        for event in events {
            self.take(event, &crossed);
        }
        self.check_reducing();
    }

    fn take(&mut self, event: &Event, crossed: &BTreeSet<InstrumentId>) {
        match event {
            Event::SubAccountOpened { account, main, .. } => {
                self.mains.insert(*account, *main);
            }
            Event::PositionChanged { account, instrument, lots, .. } => {
                self.positions.insert((*account, *instrument), lots.0);
            }
            Event::OrderAccepted { order, account, session, terms } => {
                let known = Known {
                    account: *account,
                    order: *terms,
                    terms: OrderTerms::default(),
                    is_engines: *session == ENGINE_SESSION,
                    open: terms.lots.0,
                    price: terms.price.map(|price| price.0),
                    arrival: None,
                    has_waited: false,
                };
                assert!(self.orders.insert(*order, known).is_none(), "{order} twice");
            }
            Event::OrderTermsSet { order, terms } => self.known(*order).terms = *terms,
            Event::OrderArmed { order } => self.known(*order).has_waited = true,
            Event::OrderTriggered { order, .. } => {
                assert!(self.known(*order).arrival.is_none());
                self.seen.released += 1;
            }
            Event::OrderSlid { order, price } => {
                self.known(*order).price = Some(price.0);
                self.seen.slid += 1;
            }
            Event::OrderRested { order, price, open } => {
                let known = self.known(*order);
                if crossed.contains(&known.order.instrument) {
                    // What a call left of an order that it took out of the book.
                    known.arrival = None;
                }
                self.rest(*order, *price, *open);
            }
            Event::OrderAmended { order, price, open, kept_priority } => {
                let known = self.known(*order);
                if known.terms.reduce_only {
                    assert!(!kept_priority || open.0 <= known.open || known.arrival.is_none());
                }
                // A released market order that was cut has no price.
                known.price = (price.0 > 0).then_some(price.0);
                known.open = open.0;
                if !kept_priority {
                    known.arrival = None;
                }
            }
            Event::ProtectionHit { .. } => self.seen.protections += 1,
            Event::OrderClosed { order, reason, open } => self.close(*order, *reason, *open),
            Event::Traded { .. } => self.trade(event, crossed),
            _ => {}
        }
    }

    fn known(&mut self, order: OrderId) -> &mut Known {
        self.orders.get_mut(&order).unwrap_or_else(|| panic!("{order} is not known"))
    }

    fn rest(&mut self, order: OrderId, price: Ticks, open: Lots) {
        self.arrivals += 1;
        let arrival = self.arrivals;
        let known = self.known(order);
        assert_eq!(known.order.time_in_force, TimeInForce::GoodTillCancel);
        assert_eq!(known.price, Some(price.0), "{order} rests elsewhere");
        assert!(open.0 > 0 && open.0 <= known.open && known.arrival.is_none());
        (known.open, known.arrival) = (open.0, Some(arrival));
    }

    fn close(&mut self, order: OrderId, reason: CloseReason, open: Lots) {
        let known = self.orders.remove(&order).expect("a closed order is known");
        assert_eq!(open.0 == 0, reason == CloseReason::Filled, "{order} {reason:?}");
        if reason == CloseReason::SelfTrade {
            self.seen.self_trades_prevented += 1;
        }
        if reason == CloseReason::ReduceOnly {
            self.seen.cut += 1;
        }
        if known.order.time_in_force == TimeInForce::FillOrKill {
            let was_refused = known.has_waited && reason != CloseReason::Unfilled;
            assert!(reason == CloseReason::Filled || was_refused, "{order} {reason:?}");
            self.seen.filled_or_killed += u64::from(reason == CloseReason::Filled);
        }
    }

    fn reducible(&self, known: &Known) -> i64 {
        let held = self.positions.get(&(known.account, known.order.instrument));
        (-known.order.side.sign() * held.copied().unwrap_or_default()).max(0)
    }

    fn owner(&self, account: AccountId) -> AccountId {
        self.mains.get(&account).copied().unwrap_or(account)
    }

    fn trade(&mut self, event: &Event, crossed: &BTreeSet<InstrumentId>) {
        let Event::Traded { instrument, price, lots, maker, taker, maker_open, taker_open, .. } =
            event
        else {
            return;
        };
        let (made, took) = (self.orders[maker].clone(), self.orders[taker].clone());
        assert_eq!((made.open - lots.0, took.open - lots.0), (maker_open.0, taker_open.0));
        assert_eq!(made.order.side, took.order.side.opposite());
        let is_within = |known: &Known| {
            known.price.is_none_or(|own| (price.0 - own) * known.order.side.sign() <= 0)
        };
        assert!(is_within(&made) && is_within(&took), "{maker} or {taker} beyond its limit");
        if !crossed.contains(instrument) {
            assert_eq!(made.price, Some(price.0), "a trade is at its maker's price");
            assert_eq!(self.first_of(*instrument, made.order.side), Some(*maker), "priority");
            assert!(!took.order.post_only, "{taker} is post-only and took");
            let is_owners = self.owner(made.account) == self.owner(took.account);
            assert!(
                took.terms.self_trade == SelfTrade::Allow || !is_owners,
                "{taker} met its owner"
            );
        }
        for known in [&made, &took] {
            let must_reduce = known.terms.reduce_only || known.is_engines;
            if must_reduce && made.account != took.account {
                assert!(self.reducible(known) >= lots.0, "{known:?} would grow");
                self.seen.reduce_only_trades += 1;
            }
        }
        self.known(*maker).open -= lots.0;
        self.known(*taker).open -= lots.0;
        self.seen.trades += 1;
    }

    /// The resting order that trades first.
    fn first_of(&self, instrument: InstrumentId, side: Side) -> Option<OrderId> {
        self.resting(instrument, side).first().map(|it| it.0)
    }

    /// (order, price, open) in priority order.
    fn resting(&self, instrument: InstrumentId, side: Side) -> Vec<(OrderId, i64, i64)> {
        let all = self
            .orders
            .iter()
            .filter(|(_, known)| known.order.instrument == instrument && known.order.side == side);
        let mut all: Vec<_> = all
            .filter_map(|(id, known)| {
                let key = -known.price? * side.sign();
                Some(((key, known.arrival?), (*id, known.price?, known.open)))
            })
            .collect();
        all.sort_unstable();
        all.into_iter().map(|(_, order)| order).collect()
    }

    /// No resting reduce-only order is larger than the position that it may reduce.
    fn check_reducing(&self) {
        for (id, known) in &self.orders {
            if known.terms.reduce_only && known.arrival.is_some() {
                let most = self.reducible(known);
                assert!(known.open <= most, "{id} rests with {} for {most}", known.open);
            }
        }
    }

    /// Every book is what the events told.
    pub fn compare(&self, engine: &Engine) {
        let resting = self.orders.values().filter(|known| known.arrival.is_some()).count();
        assert_eq!(engine.open_order_count(), resting);
        for instrument in engine.instruments() {
            let book = engine.book(instrument.id).expect("a book");
            for side in [Side::Buy, Side::Sell] {
                let theirs = book.orders(side);
                let theirs: Vec<_> = theirs.map(|it| (it.order, it.price.0, it.open.0)).collect();
                assert_eq!(self.resting(instrument.id, side), theirs, "{} {side:?}", instrument.id);
            }
        }
    }
}
