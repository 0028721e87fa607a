//! The engine's matching against a second matcher: a plain list of orders, searched from end to
//! end. It shares no code with the engine and nothing but the rules.

mod common;

use common::history::{History, Random};
use common::{Desk, INSTRUMENTS, LINEAR_FUTURE, SPOT};
use evenkeel_types::{
    AccountId, Command, Entry, Event, InstrumentId, Lots, MassCancelScope, NewOrder, OrderId,
    OutcomeKind, RejectCode, SessionId, Side, Ticks, TimeInForce,
};
use evenkeel_venue::Engine;

#[derive(Debug, Clone)]
struct Resting {
    order: OrderId,
    account: AccountId,
    session: SessionId,
    instrument: InstrumentId,
    side: Side,
    price: i64,
    open: i64,
    post_only: bool,
    /// Order of arrival at its price.
    arrival: u64,
}

/// (maker, taker, price, lots)
type Trade = (OrderId, OrderId, i64, i64);

#[derive(Default)]
struct Reference {
    resting: Vec<Resting>,
    arrivals: u64,
}

impl Reference {
    fn crosses(side: Side, limit: Option<i64>, price: i64) -> bool {
        limit.is_none_or(|limit| match side {
            Side::Buy => price <= limit,
            Side::Sell => price >= limit,
        })
    }

    /// Index of the order that trades next with a taker.
    fn next_maker(
        &self,
        instrument: InstrumentId,
        side: Side,
        limit: Option<i64>,
    ) -> Option<usize> {
        let candidates = self.resting.iter().enumerate().filter(|(_, maker)| {
            maker.instrument == instrument
                && maker.side != side
                && Self::crosses(side, limit, maker.price)
        });
        candidates
            .min_by_key(|(_, maker)| (maker.price * side.sign(), maker.arrival))
            .map(|(index, _)| index)
    }

    fn available(&self, instrument: InstrumentId, side: Side, limit: Option<i64>) -> i64 {
        let makers = self.resting.iter().filter(|maker| {
            maker.instrument == instrument
                && maker.side != side
                && Self::crosses(side, limit, maker.price)
        });
        makers.map(|maker| maker.open).sum()
    }

    fn take(&mut self, taker: &mut Resting, limit: Option<i64>) -> Vec<Trade> {
        let mut trades = Vec::new();
        while taker.open > 0 {
            let Some(index) = self.next_maker(taker.instrument, taker.side, limit) else {
                break;
            };
            let maker = &mut self.resting[index];
            let lots = taker.open.min(maker.open);
            trades.push((maker.order, taker.order, maker.price, lots));
            maker.open -= lots;
            taker.open -= lots;
            if maker.open == 0 {
                self.resting.remove(index);
            }
        }
        trades
    }

    fn rest(&mut self, mut order: Resting) {
        self.arrivals += 1;
        order.arrival = self.arrivals;
        if order.open > 0 {
            self.resting.push(order);
        }
    }

    /// What the book alone refuses.
    fn refuses(&self, terms: &NewOrder) -> Option<RejectCode> {
        let limit = terms.price.map(|price| price.0);
        let available = self.available(terms.instrument, terms.side, limit);
        if terms.post_only && available > 0 {
            Some(RejectCode::WouldTrade)
        } else if terms.time_in_force == TimeInForce::FillOrKill && available < terms.lots.0 {
            Some(RejectCode::CannotFill)
        } else {
            None
        }
    }

    fn place(&mut self, entry: &Entry, order: OrderId, terms: &NewOrder) -> Vec<Trade> {
        assert_eq!(self.refuses(terms), None, "the engine took what the book refuses");
        let mut taker = Resting {
            order,
            account: entry.origin.account,
            session: entry.origin.session,
            instrument: terms.instrument,
            side: terms.side,
            price: terms.price.unwrap_or_default().0,
            open: terms.lots.0,
            post_only: terms.post_only,
            arrival: 0,
        };
        let trades = self.take(&mut taker, terms.price.map(|price| price.0));
        if terms.time_in_force == TimeInForce::GoodTillCancel {
            self.rest(taker);
        }
        trades
    }

    fn amend(&mut self, order: OrderId, price: Option<Ticks>, lots: Option<Lots>) -> Vec<Trade> {
        let index = self.index(order);
        let known = &mut self.resting[index];
        let price = price.map_or(known.price, |price| price.0);
        let lots = lots.map_or(known.open, |lots| lots.0);
        if price == known.price && lots <= known.open {
            known.open = lots;
            return Vec::new();
        }
        let mut taker = self.resting.remove(index);
        taker.price = price;
        taker.open = lots;
        let trades = self.take(&mut taker, Some(price));
        assert!(!taker.post_only || trades.is_empty(), "a post-only order took");
        self.rest(taker);
        trades
    }

    fn index(&self, order: OrderId) -> usize {
        let found = self.resting.iter().position(|known| known.order == order);
        found.expect("the engine knows an order that is not resting")
    }

    fn mass_cancel(&mut self, account: AccountId, scope: MassCancelScope) {
        self.resting.retain(|order| {
            order.account != account
                || match scope {
                    MassCancelScope::All => false,
                    MassCancelScope::Instrument { instrument } => order.instrument != instrument,
                    MassCancelScope::Session { session } => order.session != session,
                    MassCancelScope::Currency { .. } | MassCancelScope::Label { .. } => true,
                }
        });
    }

    fn follow(&mut self, entry: &Entry, kind: OutcomeKind, cancels: bool) -> Vec<Trade> {
        let sender = entry.origin.account;
        match (&entry.command, kind) {
            (Command::Place { order: terms }, OutcomeKind::Order { order }) => {
                return self.place(entry, order, terms);
            }
            (Command::Amend { order, price, lots }, OutcomeKind::Done) => {
                return self.amend(*order, *price, *lots);
            }
            (Command::Cancel { order }, OutcomeKind::Done) => {
                let index = self.index(*order);
                self.resting.remove(index);
            }
            (Command::MassCancel { account, scope }, OutcomeKind::Done) => {
                self.mass_cancel(account.unwrap_or(sender), *scope);
            }
            (Command::Disconnect, OutcomeKind::Done) if cancels => {
                let session = entry.origin.session;
                self.mass_cancel(sender, MassCancelScope::Session { session });
            }
            _ => {}
        }
        Vec::new()
    }

    fn compare(&self, engine: &Engine) {
        assert_eq!(engine.open_order_count(), self.resting.len());
        for instrument in INSTRUMENTS {
            let Some(book) = engine.book(instrument) else {
                continue;
            };
            for side in [Side::Buy, Side::Sell] {
                let own = self.resting.iter();
                let mut own: Vec<&Resting> = own
                    .filter(|order| order.instrument == instrument && order.side == side)
                    .collect();
                own.sort_by_key(|order| (-order.price * side.sign(), order.arrival));
                let own = own.iter().map(|order| (order.order, order.price, order.open));
                let theirs = book.orders(side);
                let theirs = theirs.map(|order| (order.order, order.price.0, order.open.0));
                assert!(own.eq(theirs), "{instrument} {side:?}");
            }
        }
    }
}

fn trades_of(events: &[Event]) -> Vec<Trade> {
    let trades = events.iter().filter_map(|event| match event {
        Event::Traded { maker, taker, price, lots, .. } => Some((*maker, *taker, price.0, lots.0)),
        _ => None,
    });
    trades.collect()
}

#[test]
fn random_histories_trade_and_rest_as_in_the_plain_list() {
    for seed in 100..108 {
        let mut history = History::new(seed);
        let (mut engine, mut reference) = (Engine::new(), Reference::default());
        let (mut events, mut trade_count) = (Vec::new(), 0);
        for _ in 0..2_500 {
            let entry = history.next_entry();
            let session = engine.sessions().find(|known| {
                known.account == entry.origin.account && known.session == entry.origin.session
            });
            let cancels = session.is_some_and(|session| session.cancel_on_disconnect);
            events.clear();
            engine.apply(&entry, &mut events);
            history.observe(&events);
            if let Some(Event::Completed { outcome }) = events.last() {
                let trades = reference.follow(&entry, outcome.kind, cancels);
                assert_eq!(trades, trades_of(&events));
                trade_count += trades.len();
            }
            reference.compare(&engine);
        }
        assert!(trade_count > 150, "{trade_count} trades");
    }
}

#[test]
fn post_only_and_fill_or_kill_are_refused_exactly_when_the_plain_list_says_so() {
    let mut random = Random(5);
    let mut desk = Desk::open();
    let mut reference = Reference::default();
    let (mut refused, mut taken) = (0, 0);
    for _ in 0..6_000 {
        let terms = NewOrder {
            instrument: random.pick(&[LINEAR_FUTURE, SPOT]),
            side: random.pick(&[Side::Buy, Side::Sell]),
            price: Some(Ticks(random.between(95, 105))),
            lots: Lots(random.between(1, 30)),
            time_in_force: random.pick(&[TimeInForce::GoodTillCancel, TimeInForce::FillOrKill]),
            post_only: random.one_in(3),
            label: 0,
        };
        let expected = reference.refuses(&terms);
        let events = desk.send(1 + random.below(2), Command::Place { order: terms });
        let entry = desk.entries.last().expect("sent").clone();
        match common::outcome(&events).kind {
            OutcomeKind::Rejected { code } => {
                assert_eq!(Some(code), expected);
                refused += 1;
            }
            kind => {
                let trades = reference.follow(&entry, kind, false);
                assert_eq!(trades, trades_of(&events));
                taken += 1;
            }
        }
    }
    assert!(refused > 500 && taken > 500, "{refused} refused, {taken} taken");
}
