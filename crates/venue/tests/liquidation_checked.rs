//! A crash with a few dozen seeded accounts, judged entry by entry by a checker that knows only the
//! events.
#![allow(missing_docs, reason = "tests")]

#[path = "common/checker.rs"]
mod checker;
mod common;

use checker::Checker;
use common::margin::{
    BTC, CALL, COIN, DOLLAR, EXPIRY, FUTURE, HIGH_CALL, LINEAR_CALL, LINEAR_FUTURE,
    LINEAR_PERPETUAL, LINEAR_PUT, LOW_PUT, MarginDesk, PERPETUAL, PUT, SECOND, SOURCES, USD,
    dollars, flat, new_order, underlying, venue_terms,
};
use evenkeel_types::event::WaterfallStep;
use evenkeel_types::oracle::Reading;
use evenkeel_types::{Collateral, Command, InstrumentId, MassCancelScope, Side};

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
const ACCOUNTS: u64 = 40;

struct Market {
    desk: MarginDesk,
    checker: Checker,
    random: u64,
}

impl Market {
    fn open(seed: u64) -> Self {
        let desk = MarginDesk::open_with(underlying(), venue_terms());
        let mut checker = Checker::default();
        // What happened before the market opens, again.
        let mut engine = evenkeel_venue::Engine::new();
        for entry in &desk.entries {
            let mut events = Vec::new();
            engine.apply(entry, &mut events);
            checker.see(entry.time, &events);
        }
        Self { desk, checker, random: seed }
    }

    /// A number below `bound` (SplitMix64).
    fn below(&mut self, bound: u64) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }

    fn signed_below(&mut self, bound: u64) -> i64 {
        i64::try_from(self.below(bound)).expect("small")
    }

    fn send(&mut self, account: u64, command: Command) {
        let events = self.desk.send(account, command);
        let a = evenkeel_types::AccountId(18);
        let e = self.desk.engine.margin(a).map(|m| (m.figures.above_maintenance.0, m.is_fresh));
        let o = self.checker.above_maintenance(a);
        if self.desk.time.0 > 0 {
            eprintln!(
                "{} {e:?} {o:?} {:?}",
                self.desk.time.0,
                self.desk.engine.liquidations().find(|l| l.account == a)
            );
        }
        self.checker.see(self.desk.time, &events);
    }

    fn feed(&mut self, price: i64, percent: u32) {
        let price = dollars(price);
        let expiry = EXPIRY;
        for reading in [
            Reading::Index { price },
            Reading::Forward { expiry, price },
            Reading::Smile { expiry, smile: flat(percent) },
        ] {
            for source in SOURCES {
                let (underlying, time) = (common::margin::BTC_USD, self.desk.time);
                self.send(0, Command::Oracle { source, underlying, time, reading });
            }
        }
        self.send(0, Command::Tick);
    }

    /// The market maker renews a little liquidity around the marks.
    fn quote(&mut self) {
        self.send(1, Command::MassCancel { account: None, scope: MassCancelScope::All });
        for (instrument, coin) in TRADED {
            let Some(mark) = self.desk.mark(instrument) else {
                continue;
            };
            let spread = (mark / 500).max(1);
            for (side, price) in [(Side::Buy, mark - spread), (Side::Sell, mark + spread)] {
                let order = new_order(instrument, side, price.max(1), coin * 2);
                self.send(1, Command::Place { order });
            }
        }
    }

    /// Everybody takes positions, as large as margin lets them.
    fn take_positions(&mut self) {
        for account in 10..10 + ACCOUNTS {
            let collateral = Collateral::Checked;
            let id = evenkeel_types::AccountId(account);
            self.send(0, Command::OpenAccount { account: id, collateral });
            let (currency, amount) =
                if account % 3 == 0 { (BTC, COIN) } else { (USD, 40_000 * DOLLAR) };
            let amount = evenkeel_types::Money(amount);
            self.send(0, Command::Deposit { account: id, currency, amount });
            for _ in 0..12 {
                let (instrument, coin) = TRADED[usize::try_from(self.below(10)).expect("small")];
                let side = if self.below(2) == 0 { Side::Buy } else { Side::Sell };
                let lots = (coin * (1 + self.signed_below(40)) / 10).max(1);
                let Some(mark) = self.desk.mark(instrument) else {
                    continue;
                };
                let mark = mark.max(1);
                let order = new_order(instrument, side.opposite(), mark, lots);
                self.send(2, Command::Place { order });
                let order = new_order(instrument, side, mark, lots);
                self.send(account, Command::Place { order });
                let scope = MassCancelScope::All;
                self.send(2, Command::MassCancel { account: None, scope });
            }
        }
    }
}

#[test]
fn every_liquidation_of_a_crash_was_due_and_none_was_late() {
    let mut steps: std::collections::BTreeMap<WaterfallStep, u32> = Default::default();
    let (mut latest_ns, mut difference) = (0, 0);
    for seed in 0..4 {
        let mut market = Market::open(seed);
        market.take_positions();
        let (mut price, mut percent) = (60_000, 60);
        for second in 0..240u64 {
            // A slide, a crash, an outage of half a minute, a rebound.
            price += match second {
                0..60 => market.signed_below(200) - 140,
                60..150 => market.signed_below(500) - 420,
                _ => market.signed_below(500) - 150,
            };
            percent = (percent + u32::try_from(market.below(7)).expect("small") - 2).clamp(40, 200);
            if second == 120 {
                market.desk.wait(30 * SECOND);
                market.send(0, Command::Tick);
            }
            market.desk.wait(SECOND);
            market.feed(price, percent);
            if second % 5 == 0 {
                market.quote();
            }
        }
        for (step, count) in &market.checker.findings.steps {
            *steps.entry(*step).or_default() += count;
        }
        latest_ns = latest_ns.max(market.checker.findings.latest_ns);
        difference = difference.max(market.checker.findings.largest_difference);
    }
    use WaterfallStep::{Began, Recovered, Reduced};
    for step in [Began, Reduced, Recovered] {
        assert!(steps.get(&step).is_some_and(|count| *count >= 20), "{step:?} in {steps:?}");
    }
    assert!(latest_ns <= SECOND, "{latest_ns}");
    println!("{steps:?}; latest {latest_ns} ns; largest difference {difference} units");
}
