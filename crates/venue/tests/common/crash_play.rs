//! Plays a crash: prices, books, the feed and the primary fail by turns. Whatever they do, money is
//! conserved at every entry, longs and shorts cancel out, nothing is liquidated on stale prices, no
//! exposure grows in grace, and an engine restored midway says the same to the end.

use crate::common::history::Random;
use crate::common::margin::{
    BTC, CALL, COIN, DOLLAR, EXPIRY, FUTURE, HIGH_CALL, LINEAR_CALL, LINEAR_FUTURE,
    LINEAR_PERPETUAL, LINEAR_PUT, LOW_PUT, MarginDesk, PERPETUAL, PUT, SECOND, USD, dollars, flat,
    new_order, underlying, venue_terms,
};
use crate::common::risk_watch::RiskWatch;
use crate::common::tally::{self, Tally};
use evenkeel_types::event::WaterfallStep;
use evenkeel_types::oracle::Reading;
use evenkeel_types::regime::GraceTerms;
use evenkeel_types::terms::{Delivery, LossRule, MarginModel};
use evenkeel_types::{AccountId, Command, Event, InstrumentId, Side, Term, Timestamp};
use evenkeel_venue::Engine;
use std::collections::BTreeMap;

/// What is traded, and how many of its lots are about a coin.
pub const TRADED: [(InstrumentId, i64); 10] = [
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
pub enum Move {
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

/// How a crash is played.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    pub loss: LossRule,
    pub delivery: Delivery,
    /// Of an account after a resume; 0: none.
    pub grace_ms: u64,
    /// Entries between two recomputations of all margins.
    pub verify_every: usize,
    /// The entry behind which a second engine is restored.
    pub restore_at: usize,
}

struct Crash {
    desk: MarginDesk,
    rules: Rules,
    twin: Option<Engine>,
    price: i64,
    term: u64,
    seen: BTreeMap<WaterfallStep, u32>,
    tally: Tally,
    watch: RiskWatch,
}

impl Crash {
    fn new(rules: Rules) -> Self {
        let mut under = underlying();
        under.settlement.delivery = rules.delivery;
        // Fewer than a window that is fed every twenty seconds has.
        under.settlement.min_samples = 60;
        let mut terms = venue_terms();
        terms.loss_rule = rules.loss;
        terms.grace = GraceTerms { grace_ms: rules.grace_ms, ..terms.grace };
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
        let mut watch = RiskWatch::default();
        let mut engine = Engine::new();
        for entry in &desk.entries {
            let mut events = Vec::new();
            engine.apply(entry, &mut events);
            watch.follow(entry, &events);
        }
        let (seen, tally) = (BTreeMap::new(), Tally::new());
        Self { desk, rules, twin: None, price: 60_000, term: 1, seen, tally, watch }
    }

    /// Sends whatever becomes of it, and checks everything after it.
    fn send(&mut self, account: u64, command: Command) {
        let events = self.desk.send(account, command);
        for event in &events {
            if let Event::Liquidation { step, .. } = event {
                *self.seen.entry(*step).or_default() += 1;
            }
        }
        tally::count(&mut self.tally, &events);
        let entry = self.desk.entries.last().expect("sent");
        self.watch.follow(entry, &events);
        if let Some(twin) = &mut self.twin {
            let mut theirs = Vec::new();
            twin.apply(entry, &mut theirs);
            assert_eq!(theirs, events, "{entry:?}");
            assert_eq!(twin.output_digest(), self.desk.engine.output_digest());
        }
        if self.desk.entries.len() == self.rules.restore_at {
            self.twin = Some(self.desk.restored());
        }
        self.check();
    }

    fn check(&mut self) {
        for money in self.desk.engine.conservation() {
            assert_eq!(money.difference(), 0, "{money:?}");
        }
        assert!(self.desk.engine.running_sums_hold());
        if self.desk.entries.len().is_multiple_of(self.rules.verify_every) {
            self.desk.engine.verify_margins().expect("kept margin is full margin");
        }
        let mut totals: BTreeMap<InstrumentId, i64> = BTreeMap::new();
        for owner in self.desk.engine.accounts() {
            for position in &owner.positions {
                *totals.entry(position.instrument).or_default() += position.lots.0;
            }
        }
        assert!(totals.values().all(|total| *total == 0));
    }

    fn say(&mut self, reading: Reading) {
        for source in crate::common::margin::SOURCES {
            let (underlying, time) = (crate::common::margin::BTC_USD, self.desk.time);
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

    /// Expires what is dated, with a window fed every twenty seconds.
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

/// Plays the moves and lets what is dated expire. Tells the stages of the waterfall that were
/// reached, and what else was seen.
pub fn crash(rules: Rules, steps: &[Move]) -> (BTreeMap<WaterfallStep, u32>, Tally) {
    let mut crash = Crash::new(rules);
    for step in steps {
        crash.make(step);
    }
    crash.expire();
    crash.desk.engine.verify_margins().expect("kept margin is full margin");
    let twin = crash.twin.map(|twin| twin.state_root());
    assert!(twin.is_none_or(|root| root == crash.desk.engine.state_root()));
    (crash.seen, crash.tally)
}

/// A crash with everything drawn from a seed.
#[allow(dead_code, reason = "each test binary uses its own part")]
pub fn play(seed: u64) -> Tally {
    let mut random = Random(seed);
    let steps: Vec<Move> = (0..random.between(40, 90)).map(|_| draw(&mut random)).collect();
    let rules = Rules {
        loss: random.pick(&[LossRule::Socialise, LossRule::AutoDeleverage]),
        delivery: random.pick(&[Delivery::Cash, Delivery::Physical]),
        grace_ms: random.pick(&[0, 2_000, 20_000]),
        verify_every: 40,
        restore_at: usize::try_from(random.between(60, 500)).expect("small"),
    };
    crash(rules, &steps).1
}

fn draw(random: &mut Random) -> Move {
    let side = random.pick(&[Side::Buy, Side::Sell]);
    let instrument = usize::try_from(random.below(TRADED.len() as u64)).expect("small");
    match random.below(20) {
        0..=5 => Move::Price {
            thousandths: random.between(-180, 119),
            percent: u32::try_from(random.between(20, 249)).expect("small"),
        },
        6..=11 => {
            let (account, tenths) = (3 + random.below(6), random.between(1, 99));
            Move::Trade { account, instrument, side, tenths }
        }
        12..=15 => {
            let (spread_bp, lots) = (random.between(0, 399), random.between(1, 4_999));
            Move::Quote { instrument, spread_bp, lots }
        }
        16 => Move::Withdraw,
        17 => Move::Silence { seconds: 1 + random.below(39) },
        18 => Move::Resume,
        _ => Move::Feed { dollars: i128::from(random.between(1, 49_999)) },
    }
}
