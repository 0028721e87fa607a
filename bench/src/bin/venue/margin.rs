//! The whole engine with margin on: accounts that hold many legs place, cancel and trade while
//! prices tick; and what one account's margin costs from nothing.

use crate::figures::{Latencies, core_time, count, median};
use crate::flow::Random;
use crate::{Outcome, Plan};
use evenkeel_types::oracle::{Price, Reading, SMILE_POINTS, Smile, Volatility};
use evenkeel_types::terms::{Haircut, MarginModel, Underlying, VenueTerms};
use evenkeel_types::{
    AccountId, ClientSequence, Collateral, Command, Currency, CurrencyId, Decimal, Entry, Event,
    Instrument, InstrumentId, InstrumentKind, Lots, Money, NewOrder, OptionRight, OrderId, Origin,
    OutcomeKind, SessionId, Side, SourceId, Style, Symbol, Term, Ticks, TimeInForce, Timestamp,
    UnderlyingId,
};
use evenkeel_venue::Engine;
use std::hint::black_box;

const BTC: CurrencyId = CurrencyId(1);
const USD: CurrencyId = CurrencyId(2);
const UNDERLYING: UnderlyingId = UnderlyingId(1);
const DAY_NS: u64 = 86_400_000_000_000;
const START_NS: u64 = 1_795_000_000_000_000_000;
const EXPIRIES_DAYS: [u64; 4] = [7, 30, 60, 120];
const STRIKES: i64 = 25;
/// Accounts, legs of each, entries between two ticks of the index and a forward.
const ACCOUNTS: u64 = 100;
const LEGS: u64 = 50;
const TICK_EVERY: usize = 5_000;
const ROUNDS: usize = 3;
/// Orders open before one is cancelled for each that is placed.
const DEPTH: usize = 2_000;

/// A venue that is filled, with the entries that fill it.
struct Market {
    engine: Engine,
    events: Vec<Event>,
    time: u64,
    sequence: u64,
    random: Random,
    entries: Vec<Entry>,
}

impl Market {
    fn below(&mut self, limit: u64) -> u64 {
        self.random.below(limit)
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
        let outcome = self.engine.outcome_of(origin).expect("small terms");
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
            symbol: Symbol::new(&format!("I-{id}")).expect("small terms"),
            kind,
            style: Style::Inverse,
            base: BTC,
            quote: USD,
            settlement: BTC,
            tick: Decimal::new(tick.0, tick.1).expect("small terms"),
            lot: Decimal::new(lot.0, lot.1).expect("small terms"),
            contract_size: Decimal::whole(1),
        }
    };
    kinds.into_iter().zip(1..).map(of).collect()
}

fn open(model: MarginModel, seed: u64) -> Market {
    let mut market = Market {
        engine: Engine::new(),
        events: Vec::new(),
        time: START_NS,
        sequence: 0,
        random: Random::new(seed),
        entries: Vec::new(),
    };
    market.send(0, Command::Found { venue: [1; 16], salt: [2; 32] });
    market.send(0, Command::Resume { term: Term(1) });
    for (id, code, scale) in [(BTC, "BTC", 8), (USD, "USD", 6)] {
        let currency = Currency { id, code: Symbol::new(code).expect("small terms"), scale };
        market.send(0, Command::DefineCurrency { currency });
    }
    market.send(0, Command::Upgrade { rules: 2 });
    let haircuts = vec![Haircut { currency: BTC, haircut: 0 }];
    let terms = Box::new(VenueTerms::usual(USD, haircuts));
    market.send(0, Command::SetVenueTerms { terms });
    let symbol = Symbol::new("BTC-USD").expect("small terms");
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
    for id in 1..=ACCOUNTS {
        let (account, collateral) = (AccountId(id), Collateral::Checked);
        market.send(0, Command::OpenAccount { account, collateral });
        let amount = Money(1_000_000_000_000_000);
        market.send(0, Command::Deposit { account, currency: BTC, amount });
        market.send(0, Command::SetMarginModel { account, model });
    }
    market
}

/// An order on one of an account's legs; about one in ten trades.
fn order(market: &mut Market, account: u64) -> Option<(u64, OrderId)> {
    let count = instruments_count();
    let id = 1 + ((account * 37 + market.below(LEGS) * 7) % count) as u32;
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

/// Places and cancels so many entries; counts what was refused.
fn trade(market: &mut Market, resting: &mut Vec<(u64, OrderId)>, entries: usize) -> usize {
    let (mut level, mut refused) = (600_000, 0);
    for step in 0..entries {
        if step.is_multiple_of(TICK_EVERY) {
            level += market.below(41) as i64 - 20;
            market.tick(level);
        }
        if resting.len() >= DEPTH {
            let at = market.below(resting.len() as u64) as usize;
            let (account, order) = resting.swap_remove(at);
            market.send(account, Command::Cancel { order });
        } else {
            let account = 1 + market.below(ACCOUNTS);
            match order(market, account) {
                Some(placed) => resting.push(placed),
                None => refused += 1,
            }
        }
    }
    refused
}

/// Entries a second under both models.
pub(crate) fn run(plan: &Plan) -> Outcome {
    let entries = if plan.quick { 40_000 } else { 400_000 };
    println!(
        "{ACCOUNTS} accounts, {DEPTH} resting orders, one in ten new orders trades; an index and a \
         forward of three sources each {} entries (six more).\nKept between entries: 35 scenarios \
         of each instrument and the sums of each account; a fill changes the legs that it touches, \
         a tick what is looked at: a few accounts an entry, oldest and riskiest first.\n",
        count(TICK_EVERY as f64)
    );
    println!("| margin | entries/s | ticks/s | legs | p50 | p99 | p99.99 | refused |");
    println!("|---|---|---|---|---|---|---|---|");
    for model in [MarginModel::Standard, MarginModel::Portfolio] {
        let mut market = open(model, plan.seed);
        let mut resting = Vec::new();
        trade(&mut market, &mut resting, entries / 4);
        let first = market.entries.len();
        let refused = trade(&mut market, &mut resting, entries);
        let wrong = market.engine.verify_margins().err();
        if let Some(account) = wrong {
            return Err(format!("account {account}: kept margin is not full margin").into());
        }
        let held: usize = market.engine.accounts().map(|it| it.positions.len()).sum();
        let rates: Vec<f64> = (0..ROUNDS).map(|_| replay(&market.entries, first, None)).collect();
        let rate = median(&rates);
        let mut latencies = Latencies::with_capacity(market.entries.len() - first);
        replay(&market.entries, first, Some(&mut latencies));
        let quantiles = latencies.quantiles(&[0.5, 0.99, 0.9999]);
        println!(
            "| {model:?} | {} | {} | {} | {} ns | {} ns | {} ns | {} of {} |",
            count(rate),
            count(rate / TICK_EVERY as f64),
            held / ACCOUNTS as usize,
            quantiles[0],
            quantiles[1],
            quantiles[2],
            count(refused as f64),
            count((market.entries.len() - first) as f64),
        );
    }
    Ok(())
}

/// Applies all entries to a fresh engine; entries a second of those from `first` on.
fn replay(entries: &[Entry], first: usize, mut latencies: Option<&mut Latencies>) -> f64 {
    let (mut engine, mut events) = (Engine::new(), Vec::new());
    let (before, measured) = entries.split_at(first);
    for entry in before {
        events.clear();
        engine.apply(entry, &mut events);
    }
    if let Some(latencies) = &mut latencies {
        latencies.start();
    }
    let begin = core_time();
    for entry in measured {
        events.clear();
        engine.apply(entry, &mut events);
        if let Some(latencies) = &mut latencies {
            latencies.tick();
        }
    }
    let spent = core_time() - begin;
    black_box(&engine);
    measured.len() as f64 / spent.as_secs_f64()
}

/// What an account's margin takes from nothing but the state.
pub(crate) fn scenarios(plan: &Plan) -> Outcome {
    let mut market = open(MarginModel::Portfolio, plan.seed);
    trade(&mut market, &mut Vec::new(), 100_000);
    let held: usize = market.engine.accounts().map(|it| it.positions.len()).sum();
    let accounts = market.engine.account_count() as f64;
    let rounds = if plan.quick { 3 } else { 15 };
    let mut spent_us = Vec::new();
    for _ in 0..rounds {
        let begin = core_time();
        // What is kept is worked out already; the time goes into working it out again.
        if let Err(account) = market.engine.verify_margins() {
            return Err(format!("account {account}: kept margin is not full margin").into());
        }
        spent_us.push((core_time() - begin).as_secs_f64() * 1e6 / ACCOUNTS as f64);
    }
    spent_us.sort_by(f64::total_cmp);
    println!(
        "{accounts} accounts, {} legs each, portfolio margin from nothing but the state: prices, \
         35 scenarios of each leg, open orders, sums:\n{:.0} us an account (median of {rounds} \
         rounds; best {:.0})",
        held / ACCOUNTS as usize,
        median(&spent_us),
        spent_us.first().copied().unwrap_or(f64::NAN)
    );
    Ok(())
}
