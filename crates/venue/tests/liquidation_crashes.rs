//! Random crashes: whatever prices, books and the feed do, money is conserved at every entry, longs
//! and shorts cancel out, and an engine restored midway says the same to the end.
#![allow(missing_docs, reason = "tests")]

mod common;

use common::margin::{
    BTC, CALL, COIN, DOLLAR, EXPIRY, FUTURE, HIGH_CALL, LINEAR_CALL, LINEAR_FUTURE,
    LINEAR_PERPETUAL, LINEAR_PUT, LOW_PUT, MarginDesk, PERPETUAL, PUT, SECOND, USD, dollars, flat,
    new_order, underlying, venue_terms,
};
use evenkeel_types::event::WaterfallStep;
use evenkeel_types::oracle::Reading;
use evenkeel_types::terms::{Delivery, LossRule, MarginModel};
use evenkeel_types::{AccountId, Command, Event, InstrumentId, Side, Term, Timestamp};
use evenkeel_venue::Engine;
use proptest::prelude::*;
use std::collections::BTreeMap;

/// What is traded, and how many of its lots are about a coin.
const TRADED: [(InstrumentId, i64); 10] = [
    (PERPETUAL, 6_000),
    (FUTURE, 6_000),
    (LINEAR_PERPETUAL, 1_000),
    (LINEAR_FUTURE, 1_000),
    (CALL, 10),
    (PUT, 10),
    (HIGH_CALL, 10),
    (LOW_PUT, 10),
    (LINEAR_CALL, 100),
    (LINEAR_PUT, 100),
];

/// One step of a crash.
#[derive(Debug, Clone)]
enum Move {
    /// The index and the forward jump by so many thousandths; volatility, in percent.
    Price { thousandths: i64, percent: u32 },
    /// An account (3–8) trades tenths of a coin with the market maker at the mark.
    Trade { account: u64, instrument: usize, side: Side, tenths: i64 },
    /// The market maker quotes around the mark, so many basis points away.
    Quote { instrument: usize, spread_bp: i64, lots: i64 },
    /// The market maker cancels.
    Withdraw,
    /// Nothing is heard for so many seconds.
    Silence { seconds: u64 },
    /// A new primary.
    Resume,
    /// The fund gets dollars.
    Feed { dollars: i128 },
}

fn moves() -> impl Strategy<Value = Move> {
    let side = prop_oneof![Just(Side::Buy), Just(Side::Sell)];
    prop_oneof![
        6 => (-180i64..120, 20u32..250)
            .prop_map(|(thousandths, percent)| Move::Price { thousandths, percent }),
        6 => (3u64..9, 0..TRADED.len(), side, 1i64..100).prop_map(
            |(account, instrument, side, tenths)| Move::Trade { account, instrument, side, tenths }
        ),
        4 => (0..TRADED.len(), 0i64..400, 1i64..5_000).prop_map(
            |(instrument, spread_bp, lots)| Move::Quote { instrument, spread_bp, lots }
        ),
        1 => Just(Move::Withdraw),
        1 => (1u64..40).prop_map(|seconds| Move::Silence { seconds }),
        1 => Just(Move::Resume),
        1 => (1i128..50_000).prop_map(|dollars| Move::Feed { dollars }),
    ]
}

struct Crash {
    desk: MarginDesk,
    twin: Option<Engine>,
    price: i64,
    term: u64,
    seen: BTreeMap<WaterfallStep, u32>,
}

impl Crash {
    fn new(rule: LossRule, delivery: Delivery) -> Self {
        let mut under = underlying();
        under.settlement.delivery = delivery;
        let mut terms = venue_terms();
        terms.loss_rule = rule;
        terms.takeover_rounds = 3;
        let mut desk = MarginDesk::open_with(under, terms);
        desk.deposit(1, BTC, 10 * COIN);
        for account in 3..=8 {
            desk.deposit(account, BTC, COIN);
            desk.deposit(account, USD, 20_000 * DOLLAR);
            if account % 2 == 0 {
                desk.set_model(account, MarginModel::Portfolio);
            }
        }
        Self { desk, twin: None, price: 60_000, term: 1, seen: BTreeMap::new() }
    }

    /// Sends whatever becomes of it, and checks everything after it.
    fn send(&mut self, account: u64, command: Command) {
        let events = self.desk.send(account, command);
        for event in &events {
            if let Event::Liquidation { step, .. } = event {
                *self.seen.entry(*step).or_default() += 1;
            }
        }
        for money in self.desk.engine.conservation() {
            assert_eq!(money.difference(), 0, "{money:?}");
        }
        assert!(self.desk.engine.running_sums_hold());
        self.desk.engine.verify_margins().expect("kept margin is full margin");
        let mut totals: BTreeMap<InstrumentId, i64> = BTreeMap::new();
        for owner in self.desk.engine.accounts() {
            for position in &owner.positions {
                *totals.entry(position.instrument).or_default() += position.lots.0;
            }
        }
        assert!(totals.values().all(|total| *total == 0));
        if let (Some(twin), Some(entry)) = (&mut self.twin, self.desk.entries.last()) {
            twin.apply(entry, &mut Vec::new());
            assert_eq!(twin.output_digest(), self.desk.engine.output_digest());
        }
    }

    fn say(&mut self, reading: Reading) {
        for source in common::margin::SOURCES {
            let (underlying, time) = (common::margin::BTC_USD, self.desk.time);
            self.send(0, Command::Oracle { source, underlying, time, reading });
        }
    }

    fn feed(&mut self, percent: u32) {
        let price = dollars(self.price);
        self.say(Reading::Index { price });
        if self.desk.time.0 + 100 < EXPIRY.0 {
            self.say(Reading::Forward { expiry: EXPIRY, price });
            self.say(Reading::Smile { expiry: EXPIRY, smile: flat(percent) });
        }
        self.send(0, Command::Tick);
    }

    fn quote(&mut self, instrument: InstrumentId, spread_bp: i64, lots: i64) {
        if let Some(mark) = self.desk.mark(instrument) {
            let spread = (mark * spread_bp / 10_000).max(1);
            for (side, price) in [(Side::Buy, mark - spread), (Side::Sell, mark + spread)] {
                let order = new_order(instrument, side, price.max(1), lots);
                self.send(1, Command::Place { order });
            }
        }
    }

    fn make(&mut self, step: &Move) {
        match *step {
            Move::Price { thousandths, percent } => {
                self.price = (self.price + self.price * thousandths / 1_000).clamp(500, 900_000);
                self.desk.wait(SECOND);
                self.feed(percent);
            }
            Move::Trade { account, instrument, side, tenths } => {
                let (instrument, coin) = TRADED[instrument];
                let lots = (tenths * coin / 10).max(1);
                if let Some(mark) = self.desk.mark(instrument) {
                    let maker = new_order(instrument, side.opposite(), mark.max(1), lots);
                    let taker = new_order(instrument, side, mark.max(1), lots);
                    self.send(1, Command::Place { order: maker });
                    self.send(account, Command::Place { order: taker });
                }
            }
            Move::Quote { instrument, spread_bp, lots } => {
                self.quote(TRADED[instrument].0, spread_bp, lots);
            }
            Move::Withdraw => {
                let scope = evenkeel_types::MassCancelScope::All;
                self.send(1, Command::MassCancel { account: None, scope });
            }
            Move::Silence { seconds } => {
                self.desk.wait(seconds * SECOND);
                self.send(0, Command::Tick);
            }
            Move::Resume => {
                self.term += 1;
                self.send(0, Command::Resume { term: Term(self.term) });
            }
            Move::Feed { dollars } => {
                let (account, currency) = (AccountId::FUND, USD);
                let amount = evenkeel_types::Money(dollars * DOLLAR);
                self.send(0, Command::Deposit { account, currency, amount });
            }
        }
    }

    /// Expires what is dated, with a window fed every four seconds.
    fn expire(&mut self) {
        let opens = EXPIRY.0 - 1_800 * SECOND;
        self.desk.time = Timestamp(self.desk.time.0.max(opens));
        while self.desk.time.0 < EXPIRY.0 + 60 * SECOND {
            self.desk.wait(20 * SECOND);
            let price = dollars(self.price);
            self.say(Reading::Index { price });
        }
        for _ in 0..5 {
            self.desk.wait(SECOND);
            self.feed(60);
        }
    }
}

fn crash(rule: LossRule, delivery: Delivery, steps: &[Move]) -> BTreeMap<WaterfallStep, u32> {
    let mut crash = Crash::new(rule, delivery);
    for (count, step) in steps.iter().enumerate() {
        if count == steps.len() / 2 {
            crash.twin = Some(crash.desk.restored());
        }
        crash.make(step);
    }
    crash.expire();
    crash.desk.engine.verify_margins().expect("kept margin is full margin");
    crash.seen
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_crash_conserves_money_at_every_entry(
        steps in prop::collection::vec(moves(), 20..90),
        socialises: bool,
        delivers: bool,
    ) {
        let rule = if socialises { LossRule::Socialise } else { LossRule::AutoDeleverage };
        let delivery = if delivers { Delivery::Physical } else { Delivery::Cash };
        crash(rule, delivery, &steps);
    }
}

#[test]
fn crashes_reach_every_stage_of_the_waterfall() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;
    let mut runner = TestRunner::deterministic();
    let mut seen: BTreeMap<WaterfallStep, u32> = BTreeMap::new();
    for number in 0..40 {
        let steps = prop::collection::vec(moves(), 80).new_tree(&mut runner).expect("moves");
        let rules = [LossRule::AutoDeleverage, LossRule::Socialise];
        for (step, count) in crash(rules[number % 2], Delivery::Cash, &steps.current()) {
            *seen.entry(step).or_default() += count;
        }
    }
    use WaterfallStep::{
        Began, Deleveraged, NoLiquidity, Recovered, Reduced, Socialised, TakenOver, WaitsForPrices,
    };
    for step in
        [Began, Reduced, NoLiquidity, TakenOver, Deleveraged, Socialised, Recovered, WaitsForPrices]
    {
        assert!(seen.get(&step).is_some_and(|count| *count > 3), "{step:?} in {seen:?}");
    }
}
