//! Instruments by name, as Deribit names them.

use evenkeel_quant::black76::Right;
use evenkeel_quant::portfolio::DAY_MS;
use evenkeel_quant::scenarios::Settlement;

use super::number::parse_text;
use crate::cli::parse_time_ns;

/// What a name such as `BTC-28JUN24-60000-C` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Instrument {
    /// The coin, lower case.
    pub base: String,
    /// The currency of the index: `usd` for coin-settled instruments.
    pub quote: String,
    /// What it is paid in.
    pub settlement: Settlement,
    /// 08:00 UTC of the day; none for a perpetual.
    pub expiry_ms: Option<u64>,
    /// Of options: strike in parts of 10^10, and right.
    pub option: Option<(i128, Right)>,
}

impl Instrument {
    /// Reads a name: `BTC-PERPETUAL`, `BTC-28JUN24`, `BTC-28JUN24-60000-C` are paid in coin,
    /// `BTC_USDC-…` in the currency behind the underscore. A `d` in a strike is a decimal point.
    pub fn parse(name: &str) -> Option<Self> {
        let mut parts = name.split('-');
        let (pair, term) = (parts.next()?, parts.next()?);
        let (base, quote, settlement) = match pair.split_once('_') {
            Some((base, quote)) => (base, quote, Settlement::Quote),
            None => (pair, "USD", Settlement::Coin),
        };
        let plain =
            |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if !plain(base) || !plain(quote) {
            return None;
        }
        let option = match (parts.next(), parts.next()) {
            (Some(strike), Some(right)) => Some((strike_of(strike)?, right_of(right)?)),
            (None, None) => None,
            _ => return None,
        };
        let expiry_ms = match term {
            "PERPETUAL" if option.is_none() => None,
            date => Some(expiry_of(date)?),
        };
        let (base, quote) = (base.to_ascii_lowercase(), quote.to_ascii_lowercase());
        parts.next().is_none().then_some(Self { base, quote, settlement, expiry_ms, option })
    }

    /// The name of its index, such as `btc_usd`.
    pub fn index(&self) -> String {
        format!("{}_{}", self.base, self.quote)
    }
}

fn strike_of(text: &str) -> Option<i128> {
    let strike = parse_text(&text.replacen(['d', 'D'], ".", 1), 10)?;
    // What a price holds: the formulas have room for no more.
    (1..=super::MAX_PRICE).contains(&strike).then_some(strike)
}

fn right_of(text: &str) -> Option<Right> {
    match text {
        "C" => Some(Right::Call),
        "P" => Some(Right::Put),
        _ => None,
    }
}

/// `28JUN24` and `7JUN24`, at 08:00 UTC.
fn expiry_of(date: &str) -> Option<u64> {
    const MONTHS: [&str; 12] =
        ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
    let letters = date.find(|letter: char| letter.is_ascii_alphabetic())?;
    let (day, rest) = date.split_at(letters);
    let (month, year) = rest.split_at_checked(3)?;
    let month = MONTHS.iter().position(|name| *name == month)? + 1;
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if day.is_empty() || day.len() > 2 || year.len() != 2 || !is_number(day) || !is_number(year) {
        return None;
    }
    let midnight = parse_time_ns(&format!("20{year}-{month:02}-{day:0>2}T00:00:00Z")).ok()?;
    let third_of_a_day = u64::try_from(DAY_MS / 3).ok()?;
    Some(midnight / 1_000_000 + third_of_a_day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_what_they_are() {
        let perpetual = Instrument::parse("BTC-PERPETUAL").expect("a name");
        assert_eq!((perpetual.index().as_str(), perpetual.expiry_ms), ("btc_usd", None));
        assert_eq!(perpetual.settlement, Settlement::Coin);
        let future = Instrument::parse("ETH-7JUN24").expect("a name");
        assert_eq!(future.expiry_ms, Some(1_717_747_200_000));
        let call = Instrument::parse("BTC-28JUN24-60000-C").expect("a name");
        assert_eq!(call.expiry_ms, Some(1_719_561_600_000));
        assert_eq!(call.option, Some((600_000_000_000_000, Right::Call)));
        let put = Instrument::parse("XRP_USDC-28JUN24-0d55-P").expect("a name");
        assert_eq!(put.index(), "xrp_usdc");
        assert_eq!(put.settlement, Settlement::Quote);
        assert_eq!(put.option, Some((5_500_000_000, Right::Put)));
    }

    #[test]
    fn what_is_no_name_is_none() {
        let names = [
            "",
            "BTC",
            "BTC-",
            "BTC-28JUN",
            "BTC-31JUN24",
            "BTC-28XXX24",
            "BTC-PERPETUAL-1-C",
            "BTC-28JUN24-60000",
            "BTC-28JUN24-60000-X",
            "BTC-28JUN24-0-C",
            "BTC-28JUN24-1-C-C",
            "-PERPETUAL",
            "BTC_-PERPETUAL",
            "BTC-+8JUN24",
            "BTC-28JUN24-1e99-C",
            "BTC-28JÜN24",
        ];
        for name in names {
            assert_eq!(Instrument::parse(name), None, "{name}");
        }
    }
}
