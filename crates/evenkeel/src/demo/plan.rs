//! What the demonstration venue lists, who trades there, and with how much.

use super::black76::option_value;
use super::calendar::{self, DAY_NS};
use super::calibration::{self, Underlying, interpolate};
use super::random::Random;
use evenkeel_types::{
    AccountId, Collateral, Command, Currency, CurrencyId, Decimal, Instrument, InstrumentId,
    InstrumentKind, Money, OptionRight, Style, Symbol, Timestamp,
};

/// Bitcoin, 8 decimals.
pub const BTC: CurrencyId = CurrencyId(1);
/// Ether, kept with 8 decimals.
pub const ETH: CurrencyId = CurrencyId(2);
/// The dollar that quotes, 6 decimals.
pub const USDC: CurrencyId = CurrencyId(3);

/// Of this many accounts one makes markets, at least two in all.
pub const ACCOUNTS_PER_MAKER: u32 = 15;
/// Of this many accounts about one gambles.
pub const ACCOUNTS_PER_GAMBLER: u32 = 25;

const NS_PER_YEAR: f64 = 365.0 * 86_400.0 * 1e9;

/// An account and what is paid in before trading.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountPlan {
    /// Its id.
    pub id: AccountId,
    /// True if it makes markets.
    pub is_maker: bool,
    /// True if it bets all it has on one direction, as often as it is let.
    pub is_gambler: bool,
    /// What it brings.
    pub deposits: Vec<(CurrencyId, Money)>,
}

/// Everything the founding commands need.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MarketPlan {
    /// BTC, ETH and USDC.
    pub currencies: Vec<Currency>,
    /// Listed instruments, in order of their ids.
    pub instruments: Vec<Instrument>,
    /// Accounts, in order of their ids.
    pub accounts: Vec<AccountPlan>,
    /// When the venue was founded; prices begin there.
    pub start: Timestamp,
}

/// Lays out a venue for `accounts` accounts, founded at `start`. The seed varies what the accounts
/// own; instruments follow from `start` alone.
#[must_use]
pub fn plan(seed: u64, accounts: u32, start: Timestamp) -> MarketPlan {
    let mut random = Random::new(seed, 0);
    let accounts = (0..accounts).map(|index| account(index, &mut random)).collect();
    MarketPlan { currencies: currencies(), instruments: Listing::all(start), accounts, start }
}

impl MarketPlan {
    /// The plan of a venue that exists already, from what it lists: crowds and prices need no more.
    /// `now` is where prices go on.
    #[must_use]
    pub fn reopen(
        currencies: Vec<Currency>,
        instruments: Vec<Instrument>,
        accounts: &[AccountId],
        now: Timestamp,
    ) -> Self {
        let accounts = accounts
            .iter()
            .zip(0..)
            .map(|(id, index)| AccountPlan {
                id: *id,
                is_maker: is_maker(index),
                is_gambler: is_gambler(index),
                deposits: Vec::new(),
            })
            .collect();
        Self { currencies, instruments, accounts, start: now }
    }

    /// The operator's commands that found the venue, in order: `Found`, currencies, instruments,
    /// accounts, deposits.
    #[must_use]
    pub fn founding_commands(&self, venue: [u8; 16], salt: [u8; 32]) -> Vec<Command> {
        let mut commands = vec![Command::Found { venue, salt }];
        let currencies = self.currencies.iter().cloned();
        commands.extend(currencies.map(|currency| Command::DefineCurrency { currency }));
        let instruments = self.instruments.iter().cloned();
        commands.extend(instruments.map(|instrument| Command::DefineInstrument { instrument }));
        for plan in &self.accounts {
            let (account, collateral) = (plan.id, Collateral::Checked);
            commands.push(Command::OpenAccount { account, collateral });
            for &(currency, amount) in &plan.deposits {
                commands.push(Command::Deposit { account, currency, amount });
            }
        }
        commands
    }

    /// Index of an instrument within [`MarketPlan::instruments`].
    #[must_use]
    pub fn index_of(&self, id: InstrumentId) -> Option<usize> {
        self.instruments.iter().position(|listed| listed.id == id)
    }
}

fn is_maker(index: u32) -> bool {
    index < 2 || index.is_multiple_of(ACCOUNTS_PER_MAKER)
}

fn is_gambler(index: u32) -> bool {
    !is_maker(index) && index % ACCOUNTS_PER_GAMBLER == ACCOUNTS_PER_GAMBLER / 2
}

/// What a gambler brings, and gets again when it is gone.
pub const STAKE: (CurrencyId, Money) = (BTC, Money(20_000_000));

/// Deposits that hours of trading do not use up: makers thousands of coins, takers hundreds.
/// Gamblers bring little.
fn account(index: u32, random: &mut Random) -> AccountPlan {
    let is_maker = is_maker(index);
    let id = AccountId(u64::from(index) + 1);
    if is_gambler(index) {
        return AccountPlan { id, is_maker, is_gambler: true, deposits: vec![STAKE] };
    }
    let factor = if is_maker { 20 } else { 1 };
    let mut whole = |low: i64, high: i64, scale: u32| {
        Money(i128::from(random.log_between(low, high) * factor) * 10i128.pow(scale))
    };
    let deposits = vec![
        (BTC, whole(500, 5_000, 8)),
        (ETH, whole(10_000, 100_000, 8)),
        (USDC, whole(50_000_000, 500_000_000, 6)),
    ];
    AccountPlan { id, is_maker, is_gambler: false, deposits }
}

fn currencies() -> Vec<Currency> {
    [(BTC, "BTC", 8), (ETH, "ETH", 8), (USDC, "USDC", 6)]
        .into_iter()
        .map(|(id, code, scale)| Currency { id, code: symbol(code), scale })
        .collect()
}

/// Instruments as they are listed, each with the next id.
struct Listing {
    start: Timestamp,
    instruments: Vec<Instrument>,
}

/// Sizes and ticks of one underlying's instruments.
struct Terms {
    underlying: &'static Underlying,
    base: CurrencyId,
    option_lot: Decimal,
    dollar_lot: Decimal,
    dollar_tick: Decimal,
    spot_lot: Decimal,
    strike_steps: &'static [f64],
}

impl Listing {
    fn all(start: Timestamp) -> Vec<Instrument> {
        let mut listing = Self { start, instruments: Vec::new() };
        // Lots and ticks as Deribit lists them: 10 USD and 0.5 for BTC futures, 1 USD and 0.05
        // for ETH's; options in 0.1 BTC and 1 ETH.
        listing.underlying(&Terms {
            underlying: &calibration::BTC,
            base: BTC,
            option_lot: decimal(1, 1),
            dollar_lot: decimal(10, 0),
            dollar_tick: decimal(5, 1),
            spot_lot: decimal(1, 4),
            strike_steps: &[500.0, 1_000.0, 2_000.0, 5_000.0, 10_000.0],
        });
        listing.underlying(&Terms {
            underlying: &calibration::ETH,
            base: ETH,
            option_lot: decimal(1, 0),
            dollar_lot: decimal(1, 0),
            dollar_tick: decimal(5, 2),
            spot_lot: decimal(1, 3),
            strike_steps: &[25.0, 50.0, 100.0, 200.0, 500.0],
        });
        listing.instruments
    }

    fn underlying(&mut self, terms: &Terms) {
        let code = terms.underlying.code;
        let expiries = calendar::expiries(self.start);
        let last = expiries[expiries.len() - 1];
        let dollar = |listing: &mut Self, name: String, kind, style, settlement, lot| {
            listing.add(&name, kind, style, [terms.base, settlement], terms.dollar_tick, lot);
        };
        let (spot, perpetual) = (format!("{code}_USDC"), format!("{code}-PERP"));
        let future = format!("{code}-{}", calendar::date(last).code());
        let dated = InstrumentKind::Future { expiry: last };
        dollar(self, spot, InstrumentKind::Spot, Style::Linear, USDC, terms.spot_lot);
        let (inverse, lot) = (Style::Inverse, terms.dollar_lot);
        dollar(self, perpetual, InstrumentKind::Perpetual, inverse, terms.base, lot);
        dollar(self, future, dated, inverse, terms.base, lot);
        for expiry in expiries {
            self.options(terms, expiry);
        }
    }

    /// Eleven strikes around the future, spread over about one and a half standard deviations.
    fn options(&mut self, terms: &Terms, expiry: Timestamp) {
        let years = years_between(self.start, expiry);
        let smile = interpolate(&terms.underlying.calm, years);
        let future = terms.underlying.index * (smile.basis * years).exp();
        let reach = 1.5 * smile.atm * years.sqrt() * future / 5.0;
        let finest = terms.strike_steps[0];
        let step = terms.strike_steps.iter().copied().filter(|step| *step <= reach);
        let step = step.fold(finest, f64::max);
        let middle = (future / step).round();
        for count in -5..=5 {
            let strike = (middle + f64::from(count)) * step;
            for right in [OptionRight::Call, OptionRight::Put] {
                let volatility = smile.volatility(future, strike);
                let is_call = right == OptionRight::Call;
                let value = option_value(is_call, future, strike, years, volatility).value;
                let is_small = value / future < calibration::SMALL_TICK_BELOW;
                let (mantissa, scale) =
                    if is_small { calibration::SMALL_TICK } else { calibration::OPTION_TICK };
                let letter = if is_call { "C" } else { "P" };
                let date = calendar::date(expiry).code();
                let name = format!("{}-{date}-{strike:.0}-{letter}", terms.underlying.code);
                let kind = InstrumentKind::Option { expiry, strike: whole(strike), right };
                let currencies = [terms.base, terms.base];
                let tick = decimal(mantissa, scale);
                self.add(&name, kind, Style::Inverse, currencies, tick, terms.option_lot);
            }
        }
    }

    fn add(
        &mut self,
        name: &str,
        kind: InstrumentKind,
        style: Style,
        [base, settlement]: [CurrencyId; 2],
        tick: Decimal,
        lot: Decimal,
    ) {
        let id = InstrumentId(u32::try_from(self.instruments.len()).unwrap_or(u32::MAX) + 1);
        self.instruments.push(Instrument {
            id,
            symbol: symbol(name),
            kind,
            style,
            base,
            quote: USDC,
            settlement,
            tick,
            lot,
            contract_size: Decimal::whole(1),
        });
    }
}

/// Years of 365 days from one instant to a later one; 0 if it is not later.
#[expect(clippy::cast_precision_loss, reason = "microseconds do not matter here")]
pub(super) fn years_between(from: Timestamp, to: Timestamp) -> f64 {
    to.0.saturating_sub(from.0) as f64 / NS_PER_YEAR
}

#[expect(clippy::cast_possible_truncation, reason = "strikes are small whole numbers")]
fn whole(value: f64) -> Decimal {
    Decimal::whole(value.round() as i64)
}

#[expect(clippy::expect_used, reason = "only for the constants above, which tests list in full")]
fn decimal(mantissa: i128, scale: u8) -> Decimal {
    Decimal::new(mantissa, scale).expect("a constant with few decimals")
}

#[expect(clippy::expect_used, reason = "only for names built here, which tests list in full")]
fn symbol(name: &str) -> Symbol {
    Symbol::new(name).expect("a short printable name")
}

/// How long before expiry the demonstration stops quoting an instrument.
pub(super) const QUIET_BEFORE_EXPIRY_NS: u64 = DAY_NS / 24;
