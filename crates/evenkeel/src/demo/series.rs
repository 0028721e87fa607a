//! Short-dated options on BTC: a new series every few minutes, so that an onlooker sees expiries.

use super::calendar::{DAY_NS, date};
use super::plan::{BTC, MarketPlan, USDC};
use super::price::PriceModel;
use evenkeel_types::{
    Decimal, DecimalError, Instrument, InstrumentId, InstrumentKind, OptionRight, Style, Symbol,
    Timestamp,
};

/// Time between two series, and the shortest life of one.
pub const SERIES_NS: u64 = 5 * 60 * 1_000_000_000;
/// Strikes lie this far apart, in whole quote units.
const STRIKE_STEP: i64 = 250;
/// Strikes on each side of the middle one.
const STRIKES_BESIDE: i64 = 1;

/// The expiry of the series to list at a time: the second boundary from there.
#[must_use]
pub fn next_expiry(now: Timestamp) -> Timestamp {
    Timestamp((now.0 / SERIES_NS + 2) * SERIES_NS)
}

/// The series of an expiry around the present index, numbered from `first_id`. Empty if there is
/// no index.
#[must_use]
pub fn series(prices: &PriceModel, expiry: Timestamp, first_id: InstrumentId) -> Vec<Instrument> {
    let Some(index) = prices.index("BTC") else {
        return Vec::new();
    };
    #[expect(clippy::cast_possible_truncation, reason = "an index is far below 2^63")]
    let middle = (index.round() as i64 + STRIKE_STEP / 2) / STRIKE_STEP;
    let strikes = (-STRIKES_BESIDE..=STRIKES_BESIDE).map(|beside| (middle + beside) * STRIKE_STEP);
    let rights = [OptionRight::Call, OptionRight::Put];
    let all = strikes.flat_map(|strike| rights.map(|right| (strike, right)));
    all.zip(first_id.0..)
        .filter_map(|((strike, right), id)| option(InstrumentId(id), expiry, strike, right))
        .collect()
}

/// `None` only for a name that is too long, which these are not.
fn option(
    id: InstrumentId,
    expiry: Timestamp,
    strike: i64,
    right: OptionRight,
) -> Option<Instrument> {
    let minutes = expiry.0 % DAY_NS / 60_000_000_000;
    let clock = format!("{:02}{:02}", minutes / 60, minutes % 60);
    let letter = if right == OptionRight::Call { "C" } else { "P" };
    let name = format!("BTC-{}T{clock}-{strike}-{letter}", date(expiry).code());
    let decimal =
        |mantissa, scale| -> Result<Decimal, DecimalError> { Decimal::new(mantissa, scale) };
    Some(Instrument {
        id,
        symbol: Symbol::new(&name).ok()?,
        kind: InstrumentKind::Option { expiry, strike: Decimal::whole(strike), right },
        style: Style::Inverse,
        base: BTC,
        quote: USDC,
        settlement: BTC,
        tick: decimal(1, 5).ok()?,
        lot: decimal(1, 1).ok()?,
        contract_size: Decimal::whole(1),
    })
}

impl MarketPlan {
    /// The same venue with only these instruments and the first so-many accounts: a market of its
    /// own for a series.
    #[must_use]
    pub fn for_series(&self, instruments: Vec<Instrument>, accounts: usize) -> Self {
        let accounts = self.accounts.iter().take(accounts).cloned().collect();
        Self { currencies: self.currencies.clone(), instruments, accounts, start: self.start }
    }
}
