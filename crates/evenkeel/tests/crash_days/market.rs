//! A venue with a few hundred seeded accounts, driven along a path.

use super::checker::Checker;
use super::paths::{Day, Point};
use evenkeel_types::event::WaterfallStep;
use evenkeel_types::oracle::{Price, Reading, SMILE_POINTS, Smile, Volatility};
use evenkeel_types::regime::Cause;
use evenkeel_types::terms::{MarginModel, Underlying, VenueTerms};
use evenkeel_types::{
    AccountId, ClientSequence, Collateral, Command, Currency, CurrencyId, Decimal, Entry, Event,
    Instrument, InstrumentId, InstrumentKind, Lots, MassCancelScope, Money, NewOrder, OptionRight,
    Origin, SessionId, Side, SourceId, Style, Symbol, Term, Ticks, TimeInForce, Timestamp,
    UnderlyingId,
};
use evenkeel_venue::Engine;
use std::collections::BTreeMap;

pub const BTC: CurrencyId = CurrencyId(1);
const USD: CurrencyId = CurrencyId(2);
const UNDERLYING: UnderlyingId = UnderlyingId(1);
const MAKER: AccountId = AccountId(1);
const SECOND_NS: u64 = 1_000_000_000;
const DAY_NS: u64 = 86_400 * SECOND_NS;
/// Midnight of a day; expiries lie at 08:00.
const START: u64 = 20_000 * DAY_NS;

/// How a run goes.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    pub seed: u64,
    pub accounts: u64,
    pub step_s: u64,
}

/// What a day did.
#[derive(Debug, Default)]
pub struct Outcome {
    pub entries: u64,
    pub trades: u64,
    pub liquidated: u64,
    pub rounds: u64,
    pub taken_over: u64,
    pub deleveraged: u64,
    pub socialised: u64,
    pub settled: u64,
    pub trips: BTreeMap<String, u64>,
    pub refused: BTreeMap<String, u64>,
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % limit
    }
}

struct Market {
    engine: Engine,
    checker: Checker,
    random: Random,
    settings: Settings,
    instruments: Vec<Instrument>,
    expiries: [Timestamp; 2],
    sequences: BTreeMap<AccountId, u64>,
    time: Timestamp,
    outcome: Outcome,
    /// Index five minutes ago and now, so that the maker steps back from a falling market.
    earlier: f64,
}

/// Drives a day; everything is checked at every entry.
pub fn run(day: &Day, settings: Settings) -> Outcome {
    let path = day.path(settings.step_s);
    let first = path[0];
    let instruments = instruments(first.index);
    let mut market = Market {
        engine: Engine::new(),
        checker: Checker::new(settings.step_s),
        random: Random(settings.seed),
        settings,
        expiries: [expiry(32), expiry(8 + 24 * 8)],
        instruments,
        sequences: BTreeMap::new(),
        time: Timestamp(START),
        outcome: Outcome::default(),
        earlier: first.index,
    };
    market.open(first);
    for point in path {
        market.step(point);
    }
    market.outcome
}

fn expiry(hours: u64) -> Timestamp {
    Timestamp(START + hours * 3_600 * SECOND_NS)
}

fn symbol(name: &str) -> Symbol {
    Symbol::new(name).expect("a short name")
}

fn decimal(mantissa: i128, scale: u8) -> Decimal {
    Decimal::new(mantissa, scale).expect("a small decimal")
}

/// A perpetual, and calls and puts at five strikes on two expiries.
fn instruments(index: f64) -> Vec<Instrument> {
    let step = (index / 20.0).round().max(1.0);
    let mut kinds = vec![("PERP".to_owned(), InstrumentKind::Perpetual)];
    for (name, expiry) in [("NEAR", expiry(32)), ("FAR", expiry(8 + 24 * 8))] {
        for count in [16, 18, 20, 22, 24] {
            let strike = Decimal::whole((step * f64::from(count)) as i64);
            for (letter, right) in [("C", OptionRight::Call), ("P", OptionRight::Put)] {
                let kind = InstrumentKind::Option { expiry, strike, right };
                kinds.push((format!("{name}-{count}-{letter}"), kind));
            }
        }
    }
    let listed = kinds.into_iter().zip(1..).map(|((name, kind), id)| {
        let is_option = kind != InstrumentKind::Perpetual;
        Instrument {
            id: InstrumentId(id),
            symbol: symbol(&name),
            kind,
            style: Style::Inverse,
            base: BTC,
            quote: USD,
            settlement: BTC,
            tick: if is_option { decimal(1, 5) } else { decimal(5, 1) },
            lot: if is_option { decimal(1, 1) } else { Decimal::whole(10) },
            contract_size: Decimal::whole(1),
        }
    });
    listed.collect()
}

impl Market {
    fn apply(&mut self, account: AccountId, command: Command) {
        let sequence = self.sequences.entry(account).or_insert(0);
        *sequence += 1;
        let (session, sequence) = (SessionId(1), ClientSequence(*sequence));
        let origin = Origin { account, session, sequence };
        let entry = Entry { time: self.time, origin, command };
        let mut events = Vec::new();
        self.engine.apply(&entry, &mut events);
        self.outcome.entries += 1;
        for event in &events {
            self.count(event);
        }
        self.checker.hear(self.time, &events);
        self.checker.check_money(&self.engine);
    }

    fn count(&mut self, event: &Event) {
        let outcome = &mut self.outcome;
        match event {
            Event::Traded { .. } => outcome.trades += 1,
            Event::Liquidation { step, .. } => match step {
                WaterfallStep::Began => outcome.liquidated += 1,
                WaterfallStep::Reduced => outcome.rounds += 1,
                WaterfallStep::TakenOver => outcome.taken_over += 1,
                WaterfallStep::Deleveraged => outcome.deleveraged += 1,
                WaterfallStep::Socialised => outcome.socialised += 1,
                _ => {}
            },
            Event::InstrumentSettled { .. } => outcome.settled += 1,
            Event::ModeSetIn { cause, .. } if !matches!(cause, Cause::WayBack | Cause::Resumed) => {
                *outcome.trips.entry(format!("{cause:?}")).or_default() += 1;
            }
            Event::Completed { outcome: done } => {
                if let evenkeel_types::OutcomeKind::Rejected { code } = done.kind {
                    *outcome.refused.entry(format!("{code:?}")).or_default() += 1;
                }
            }
            _ => {}
        }
    }

    fn operate(&mut self, command: Command) {
        self.apply(AccountId::OPERATOR, command);
    }

    fn open(&mut self, first: Point) {
        let currency = |id, code, scale| Command::DefineCurrency {
            currency: Currency { id, code: symbol(code), scale },
        };
        let fresh_ms = 3 * self.settings.step_s * 1_000;
        let sources = vec![SourceId(1), SourceId(2), SourceId(3)];
        let mut underlying = Underlying::usual(UNDERLYING, symbol("BTC-USD"), (BTC, USD), sources);
        underlying.oracle.fresh_ms = fresh_ms;
        underlying.settlement.sample_ms = self.settings.step_s * 1_000;
        underlying.settlement.min_samples = 3;
        let mut terms = VenueTerms::usual(USD, Vec::new());
        terms.sweep_accounts = 64;
        for command in [
            Command::Found { venue: [1; 16], salt: [2; 32] },
            currency(BTC, "BTC", 8),
            currency(USD, "USD", 6),
            Command::Upgrade { rules: 2 },
            Command::SetVenueTerms { terms: Box::new(terms) },
            Command::SetUnderlying { underlying: Box::new(underlying) },
            Command::Resume { term: Term(1) },
            Command::FundInsurance { currency: BTC, amount: Money(500_000_000) },
        ] {
            self.operate(command);
        }
        for instrument in self.instruments.clone() {
            self.operate(Command::DefineInstrument { instrument });
        }
        let collateral = Collateral::Unlimited;
        self.operate(Command::OpenAccount { account: MAKER, collateral });
        for id in 2..self.settings.accounts + 2 {
            let (account, collateral) = (AccountId(id), Collateral::Checked);
            self.operate(Command::OpenAccount { account, collateral });
            if id % 2 == 0 {
                let model = MarginModel::Portfolio;
                self.operate(Command::SetMarginModel { account, model });
            }
            let amount = Money(i128::from(50_000_000 + self.random.below(400_000_000)));
            self.operate(Command::Deposit { account, currency: BTC, amount });
        }
        self.prices(first);
        for round in 0..4 {
            self.quote();
            for id in 2..self.settings.accounts + 2 {
                self.take_risk(AccountId(id), round);
            }
        }
    }

    /// Each account has a style, and takes as much of it as its margin lets it.
    fn take_risk(&mut self, account: AccountId, round: u64) {
        let style = account.0 % 6;
        let option = |at: u64, right: u64| 1 + usize::try_from(at * 2 + right).expect("small");
        // (index of the instrument, side)
        let (at, side) = match style {
            // Short puts below, short strangles, short calls.
            0 => (option(self.random.below(10), 1), Side::Sell),
            1 => (option(self.random.below(10), round % 2), Side::Sell),
            2 => (option(self.random.below(10), 0), Side::Sell),
            // Long options.
            3 => (option(self.random.below(10), round % 2), Side::Buy),
            // Long and short the perpetual.
            4 => (0, Side::Buy),
            _ => (0, if self.random.below(3) == 0 { Side::Sell } else { Side::Buy }),
        };
        let instrument = &self.instruments[at];
        let lots = if at == 0 {
            // Contracts of ten: from one coin up, as far as the margin goes.
            1_000 + self.random.below(20_000)
        } else {
            2 + self.random.below(60)
        };
        let order = NewOrder {
            instrument: instrument.id,
            side,
            price: None,
            lots: Lots(i64::try_from(lots).expect("small")),
            time_in_force: TimeInForce::ImmediateOrCancel,
            post_only: false,
            label: 0,
        };
        self.apply(account, Command::Place { order });
    }

    fn step(&mut self, point: Point) {
        self.time = Timestamp(START + point.second * SECOND_NS);
        self.prices(point);
        self.quote();
        // Time for the rounds of liquidation between two steps, with a book to trade in.
        for _ in 0..4 {
            self.time.0 += SECOND_NS;
            self.operate(Command::Tick);
        }
        self.checker.check_liquidations(self.time);
        if point.second % 300 < self.settings.step_s {
            self.earlier = point.index;
        }
    }

    fn prices(&mut self, point: Point) {
        let price = |value: f64| Price((value * 1e10) as i64);
        let volatility = Volatility((point.volatility * 1e6) as u32);
        let mut points = [volatility; SMILE_POINTS];
        points[0].0 += volatility.0 / 5;
        points[1].0 += volatility.0 / 10;
        let (underlying, time) = (UNDERLYING, self.time);
        for source in 1..=3u16 {
            let off = 1.0 + (f64::from(source) - 2.0) * 2e-5;
            let index = price(point.index * off);
            let mut readings = vec![Reading::Index { price: index }];
            for expiry in self.expiries.into_iter().filter(|expiry| *expiry > time) {
                readings.push(Reading::Forward { expiry, price: index });
                readings.push(Reading::Smile { expiry, smile: Smile { points } });
            }
            for reading in readings {
                let source = SourceId(source);
                self.operate(Command::Oracle { source, underlying, time, reading });
            }
        }
        self.checker.point = Some(point);
    }

    /// The maker quotes around the marks, wider and smaller while the market falls.
    fn quote(&mut self) {
        let scope = MassCancelScope::All;
        self.apply(MAKER, Command::MassCancel { account: None, scope });
        let move_now = self.checker.point.map_or(0.0, |it| (it.index / self.earlier - 1.0).abs());
        // Gone altogether when the index moved by 4 % within five minutes.
        let share = (1.0 - move_now / 0.04).max(0.0);
        for instrument in self.instruments.clone() {
            let is_open = instrument.expiry().is_none_or(|expiry| expiry > self.time);
            let Some(mark) = self.engine.mark(instrument.id).filter(|_| is_open) else {
                continue;
            };
            let is_option = instrument.kind != InstrumentKind::Perpetual;
            let spread = if is_option { 40 + mark.0 / 40 } else { 4 + mark.0 / 2_000 };
            let size = if is_option { 80.0 } else { 60_000.0 };
            let lots = Lots((size * share) as i64);
            for side in [Side::Buy, Side::Sell] {
                let price = Ticks(mark.0 - side.sign() * spread);
                if lots.0 == 0 || price.0 <= 0 {
                    continue;
                }
                let order = NewOrder {
                    instrument: instrument.id,
                    side,
                    price: Some(price),
                    lots,
                    time_in_force: TimeInForce::GoodTillCancel,
                    post_only: true,
                    label: 0,
                };
                self.apply(MAKER, Command::Place { order });
            }
        }
    }
}
