//! An instrument's terms from its name, e.g. `BTC-24SEP21-8000-P`, and from the decimals used.

use super::super::number::UNIT_DECIMALS;
use evenkeel_types::{
    Currency, CurrencyId, Decimal, Instrument, InstrumentError, InstrumentId, InstrumentKind,
    OptionRight, Style, Symbol, Timestamp,
};

/// Hour of the day, in UTC, at which options and futures expire.
const EXPIRY_HOUR: u64 = 8;
const NS_PER_HOUR: u64 = 3_600_000_000_000;
/// The currency of strikes.
pub const QUOTE: CurrencyId = CurrencyId(1);

/// Decimals that an instrument's messages use.
#[derive(Debug, Clone, Copy, Default)]
pub struct Decimals {
    /// Of prices.
    pub price: u8,
    /// Of amounts.
    pub amount: u8,
}

/// The code of the coin that an instrument is on.
#[must_use]
pub fn coin_of(name: &str) -> &str {
    name.split(['-', '_']).next().unwrap_or(name)
}

/// A coin, or the quote currency.
///
/// # Errors
/// [`InstrumentError::BadSymbol`].
pub fn currency(id: CurrencyId, code: &str) -> Result<Currency, InstrumentError> {
    Ok(Currency { id, code: Symbol::new(code)?, scale: 12 })
}

/// Terms of an instrument: an option or a future if its name says so, else a perpetual. Those
/// named with an underscore (`BTC_USDC-PERPETUAL`) are linear, the others inverse.
///
/// # Errors
/// [`InstrumentError::BadSymbol`], or steps that cannot be held.
pub fn instrument(
    id: InstrumentId,
    name: &str,
    coin: CurrencyId,
    decimals: Decimals,
) -> Result<Instrument, InstrumentError> {
    let step = |decimals: u8| {
        Decimal::new(1, decimals.min(UNIT_DECIMALS)).map_err(|_| InstrumentError::Unrepresentable)
    };
    let linear = name.contains('_');
    Ok(Instrument {
        id,
        symbol: Symbol::new(name)?,
        kind: kind(name).unwrap_or(InstrumentKind::Perpetual),
        style: if linear { Style::Linear } else { Style::Inverse },
        base: coin,
        quote: QUOTE,
        settlement: if linear { QUOTE } else { coin },
        tick: step(decimals.price)?,
        lot: step(decimals.amount)?,
        contract_size: Decimal::whole(1),
    })
}

fn kind(name: &str) -> Option<InstrumentKind> {
    let parts: Vec<&str> = name.split('-').collect();
    match parts[..] {
        [_, date] => Some(InstrumentKind::Future { expiry: expiry(date)? }),
        [_, date, strike, right] => {
            let right = match right {
                "C" => OptionRight::Call,
                "P" => OptionRight::Put,
                _ => return None,
            };
            // Fractional strikes are written with a `d` for the point.
            let strike = strike.replace('d', ".").parse().ok()?;
            Some(InstrumentKind::Option { expiry: expiry(date)?, strike, right })
        }
        _ => None,
    }
}

/// `24SEP21`: the day, at 08:00 UTC.
fn expiry(date: &str) -> Option<Timestamp> {
    const MONTHS: [&str; 12] =
        ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
    let split = date.find(|c: char| c.is_ascii_uppercase())?;
    let (day, rest) = date.split_at(split);
    let (month, year) = rest.split_at_checked(3)?;
    let month = MONTHS.iter().position(|name| *name == month)?;
    let (day, year): (u64, u64) = (day.parse().ok()?, year.parse().ok()?);
    if !(1..=31).contains(&day) || year > 99 {
        return None;
    }
    let hours = days_since_1970(2000 + year, month, day) * 24 + EXPIRY_HOUR;
    Some(Timestamp(hours * NS_PER_HOUR))
}

/// Gregorian calendar from 2000 to 2099, where every fourth year is a leap year; `month` from 0.
fn days_since_1970(year: u64, month: usize, day: u64) -> u64 {
    const DAYS_BEFORE: [u64; 12] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];
    const DAYS_TO_2000: u64 = 10_957;
    let years = year - 2000;
    let leap_days = years.div_ceil(4) + u64::from(years.is_multiple_of(4) && month > 1);
    DAYS_TO_2000 + years * 365 + leap_days + DAYS_BEFORE[month] + day - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terms_follow_from_names() {
        let kind = |name: &str| {
            let decimals = Decimals { price: 4, amount: 1 };
            let terms = instrument(InstrumentId(1), name, CurrencyId(2), decimals).expect(name);
            (terms.kind, terms.style)
        };
        // 2021-09-24T08:00:00Z and 2024-02-29T08:00:00Z.
        let september = Timestamp(1_632_470_400_000_000_000);
        let leap_day = Timestamp(1_709_193_600_000_000_000);
        let strike = Decimal::whole(8000);
        let put = InstrumentKind::Option { expiry: september, strike, right: OptionRight::Put };
        assert_eq!(kind("BTC-24SEP21-8000-P"), (put, Style::Inverse));
        assert_eq!(
            kind("ETH-29FEB24"),
            (InstrumentKind::Future { expiry: leap_day }, Style::Inverse)
        );
        assert_eq!(kind("BTC-PERPETUAL"), (InstrumentKind::Perpetual, Style::Inverse));
        assert_eq!(kind("SOL_USDC-PERPETUAL"), (InstrumentKind::Perpetual, Style::Linear));
        assert_eq!(coin_of("SOL_USDC-PERPETUAL"), "SOL");
    }

    #[test]
    fn dates_are_days_of_the_calendar() {
        for (date, days) in [("1JAN00", 10_957), ("1MAR00", 11_017), ("31DEC21", 18_992)] {
            assert_eq!(expiry(date), Some(Timestamp((days * 24 + 8) * NS_PER_HOUR)), "{date}");
        }
        for date in ["", "24SEP", "SEP21", "0JAN21", "24XXX21", "24SEP2021"] {
            assert_eq!(expiry(date), None, "{date}");
        }
    }
}
