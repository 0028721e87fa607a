//! How fast entries are applied with margin on: accounts that hold many legs place, cancel and
//! trade while prices tick.
//!
//! `cargo run --release -p evenkeel-venue --example margin_rate -- MODEL ACCOUNTS LEGS EVERY`, with
//! the model `standard` or `portfolio` and a tick of the index and a forward each `EVERY` entries.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_precision_loss,
    reason = "a measurement reads the clock, and its numbers are small"
)]

use evenkeel_types::oracle::{Price, Reading, SMILE_POINTS, Smile, Volatility};
use evenkeel_types::terms::{Haircut, MarginModel, Underlying, VenueTerms};
use evenkeel_types::{
    AccountId, ClientSequence, Collateral, Command, Currency, CurrencyId, Decimal, Entry, Event,
    Instrument, InstrumentId, InstrumentKind, Lots, Money, NewOrder, OptionRight, OrderId, Origin,
    OutcomeKind, SessionId, Side, SourceId, Style, Symbol, Term, Ticks, TimeInForce, Timestamp,
    UnderlyingId,
};
use evenkeel_venue::Engine;
use std::time::{Duration, Instant};

const BTC: CurrencyId = CurrencyId(1);
const USD: CurrencyId = CurrencyId(2);
const UNDERLYING: UnderlyingId = UnderlyingId(1);
const DAY_NS: u64 = 86_400_000_000_000;
const START_NS: u64 = 1_795_000_000_000_000_000;
const EXPIRIES_DAYS: [u64; 4] = [7, 30, 60, 120];
const STRIKES: i64 = 25;
const ENTRIES: usize = 400_000;
/// Orders open before one is cancelled for each that is placed.
const DEPTH: usize = 2_000;

struct Market {
    engine: Engine,
    events: Vec<Event>,
    time: u64,
    sequence: u64,
    random: u64,
    entries: Vec<Entry>,
}

impl Market {
    fn below(&mut self, limit: u64) -> u64 {
        self.random = self
            .random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.random >> 33) % limit
    }

    /// Applies a command and keeps its entry, to be measured later without what builds it.
    fn send(&mut self, account: u64, command: Command) -> bool {
        self.sequence += 1;
        self.time += 2_000;
        let origin = Origin {
            account: AccountId(account),
            session: SessionId(1),
            sequence: ClientSequence(self.sequence),
        };
        let entry = Entry { time: Timestamp(self.time), origin, command };
        self.events.clear();
        self.engine.apply(&entry, &mut self.events);
        self.entries.push(entry);
        let outcome = self.engine.outcome_of(origin).unwrap();
        !matches!(outcome.kind, OutcomeKind::Rejected { .. })
    }

    fn say(&mut self, reading: Reading) {
        for source in 1..=3 {
            let time = Timestamp(self.time);
            let (source, underlying) = (SourceId(source), UNDERLYING);
            self.send(0, Command::Oracle { source, underlying, time, reading });
        }
    }

    fn tick(&mut self, level: i64) {
        let price = Price(level * Price::ONE / 10);
        self.say(Reading::Index { price });
        let days = EXPIRIES_DAYS[self.below(4) as usize];
        self.say(Reading::Forward { expiry: expiry(days), price });
    }

    fn surface(&mut self) {
        for days in EXPIRIES_DAYS {
            let smile = Smile { points: [Volatility(600_000); SMILE_POINTS] };
            self.say(Reading::Smile { expiry: expiry(days), smile });
            let price = Price(60_000 * Price::ONE);
            self.say(Reading::Forward { expiry: expiry(days), price });
        }
    }
}

fn expiry(days: u64) -> Timestamp {
    Timestamp(START_NS + days * DAY_NS)
}

fn instruments() -> Vec<Instrument> {
    let mut kinds = vec![InstrumentKind::Perpetual];
    for days in EXPIRIES_DAYS {
        let expiry = expiry(days);
        kinds.push(InstrumentKind::Future { expiry });
        for step in 0..STRIKES {
            let strike = Decimal::whole(36_000 + 2_000 * step);
            for right in [OptionRight::Call, OptionRight::Put] {
                kinds.push(InstrumentKind::Option { expiry, strike, right });
            }
        }
    }
    let of = |(kind, id): (InstrumentKind, u32)| {
        let is_option = matches!(kind, InstrumentKind::Option { .. });
        let (tick, lot) = if is_option { ((1, 4), (1, 1)) } else { ((5, 1), (10, 0)) };
        Instrument {
            id: InstrumentId(id),
            symbol: Symbol::new(&format!("I-{id}")).unwrap(),
            kind,
            style: Style::Inverse,
            base: BTC,
            quote: USD,
            settlement: BTC,
            tick: Decimal::new(tick.0, tick.1).unwrap(),
            lot: Decimal::new(lot.0, lot.1).unwrap(),
            contract_size: Decimal::whole(1),
        }
    };
    kinds.into_iter().zip(1..).map(of).collect()
}

fn open(model: MarginModel, accounts: u64) -> Market {
    let mut market = Market {
        engine: Engine::new(),
        events: Vec::new(),
        time: START_NS,
        sequence: 0,
        random: 1,
        entries: Vec::new(),
    };
    market.send(0, Command::Found { venue: [1; 16], salt: [2; 32] });
    market.send(0, Command::Resume { term: Term(1) });
    for (id, code, scale) in [(BTC, "BTC", 8), (USD, "USD", 6)] {
        let currency = Currency { id, code: Symbol::new(code).unwrap(), scale };
        market.send(0, Command::DefineCurrency { currency });
    }
    market.send(0, Command::Upgrade { rules: 2 });
    let haircuts = vec![Haircut { currency: BTC, haircut: 0 }];
    let terms = Box::new(VenueTerms::usual(USD, haircuts));
    market.send(0, Command::SetVenueTerms { terms });
    let symbol = Symbol::new("BTC-USD").unwrap();
    let sources = vec![SourceId(1), SourceId(2), SourceId(3)];
    let mut underlying = Underlying::usual(UNDERLYING, symbol, (BTC, USD), sources);
    underlying.oracle.fresh_ms = 60_000;
    underlying.breakers.band_hits = 0;
    market.send(0, Command::SetUnderlying { underlying: Box::new(underlying) });
    for instrument in instruments() {
        market.send(0, Command::DefineInstrument { instrument });
    }
    market.say(Reading::Index { price: Price(60_000 * Price::ONE) });
    market.surface();
    for id in 1..=accounts {
        let (account, collateral) = (AccountId(id), Collateral::Checked);
        market.send(0, Command::OpenAccount { account, collateral });
        let amount = Money(1_000_000_000_000_000);
        market.send(0, Command::Deposit { account, currency: BTC, amount });
        market.send(0, Command::SetMarginModel { account, model });
    }
    market
}

/// An order on one of an account's legs; about one in ten trades.
fn order(market: &mut Market, account: u64, legs: u64) -> Option<(u64, OrderId)> {
    let count = instruments_count();
    let id = 1 + ((account * 37 + market.below(legs) * 7) % count) as u32;
    let instrument = InstrumentId(id);
    let mark = market.engine.mark(instrument)?.0;
    let side = if market.below(2) == 0 { Side::Buy } else { Side::Sell };
    let offset = if market.below(10) == 0 { -2 } else { 1 + market.below(5) as i64 };
    let price = (mark - side.sign() * offset).max(1);
    let next = market.engine.next_order();
    let order = NewOrder {
        instrument,
        side,
        price: Some(Ticks(price)),
        lots: Lots(1 + market.below(5) as i64),
        time_in_force: TimeInForce::GoodTillCancel,
        post_only: false,
        label: 0,
    };
    market.send(account, Command::Place { order }).then_some((account, next))
}

fn instruments_count() -> u64 {
    1 + EXPIRIES_DAYS.len() as u64 * (1 + 2 * STRIKES as u64)
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize, usual: u64| {
        arguments.get(at).and_then(|text| text.parse().ok()).unwrap_or(usual)
    };
    let is_standard = arguments.first().is_some_and(|model| model == "standard");
    let model = if is_standard { MarginModel::Standard } else { MarginModel::Portfolio };
    let (accounts, legs, every) = (number(1, 100), number(2, 50), number(3, 5_000));
    let mut market = open(model, accounts);
    let mut resting: Vec<(u64, OrderId)> = Vec::new();
    let mut run = |market: &mut Market, entries: usize| {
        let (mut level, mut refused) = (600_000, 0);
        for count in 0..entries {
            if (count as u64).is_multiple_of(every) {
                level += market.below(41) as i64 - 20;
                market.tick(level);
            }
            if resting.len() >= DEPTH {
                let at = market.below(resting.len() as u64) as usize;
                let (account, order) = resting.swap_remove(at);
                market.send(account, Command::Cancel { order });
            } else {
                let account = 1 + market.below(accounts);
                match order(market, account, legs) {
                    Some(placed) => resting.push(placed),
                    None => refused += 1,
                }
            }
        }
        refused
    };
    run(&mut market, ENTRIES / 4);
    let first = market.entries.len();
    let refused = run(&mut market, ENTRIES);
    let held: usize = market.engine.accounts().map(|it| it.positions.len()).sum();
    let count = market.entries.len() - first;
    let (wall, cpu) = replay(&market.entries, first);
    let rate = |spent: Duration| count as f64 / spent.as_secs_f64();
    println!(
        "{model:?}: {:.0} entries/s ({:.0} per second of processor time); {accounts} accounts \
         with {:.0} legs each, {:.0} ticks/s, {refused} refused of {count}",
        rate(wall),
        rate(cpu),
        held as f64 / accounts as f64,
        rate(cpu) / every as f64,
    );
    market.engine.verify_margins().unwrap();
}

/// Applies all entries to a fresh engine; measures those from `first` on.
fn replay(entries: &[Entry], first: usize) -> (Duration, Duration) {
    let (mut engine, mut events) = (Engine::new(), Vec::new());
    let (before, measured) = entries.split_at(first);
    for entry in before {
        events.clear();
        engine.apply(entry, &mut events);
    }
    let (begin, processor) = (Instant::now(), processor_time());
    for entry in measured {
        events.clear();
        engine.apply(entry, &mut events);
    }
    (begin.elapsed(), processor_time() - processor)
}

/// Time this thread spent on a processor; on a busy machine the wall clock also counts others'.
fn processor_time() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let ns = text.split_whitespace().next().and_then(|ns| ns.parse().ok());
    Duration::from_nanos(ns.unwrap_or_default())
}
