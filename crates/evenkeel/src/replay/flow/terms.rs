//! Tick and lot of each instrument: given in a file, or inferred from the decimals used.

use super::super::error::ReplayError;
use super::super::number::Scaled;
use evenkeel_types::{Decimal, Symbol};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;

/// Tick and lot of an instrument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// Price of one tick.
    pub tick: Decimal,
    /// Size of one lot.
    pub lot: Decimal,
}

/// Most digits of a tick or lot.
const STEP_MAX: i128 = 10i128.pow(18);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    instruments: BTreeMap<String, Steps>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Steps {
    tick: toml::Value,
    lot: toml::Value,
}

/// Reads a file of `[instruments.NAME]` tables with `tick = "0.5"` and `lot = "0.001"`.
///
/// # Errors
/// [`ReplayError::Instruments`] names the place.
pub fn read_file(path: &Path) -> Result<BTreeMap<String, Terms>, ReplayError> {
    let text = std::fs::read_to_string(path).map_err(|source| ReplayError::input(path, source))?;
    parse(&text).map_err(|reason| ReplayError::Instruments { path: path.to_owned(), reason })
}

fn parse(text: &str) -> Result<BTreeMap<String, Terms>, String> {
    let file: File = toml::from_str(text).map_err(|error| error.to_string())?;
    let terms = file.instruments.into_iter().map(|(name, steps)| {
        Symbol::new(&name).map_err(|error| format!("instrument \"{name}\": {error}"))?;
        let step = |key: &str, value: &toml::Value| {
            step(value).map_err(|reason| format!("instrument \"{name}\": {key} {reason}"))
        };
        let terms = Terms { tick: step("tick", &steps.tick)?, lot: step("lot", &steps.lot)? };
        Ok((name, terms))
    });
    terms.collect()
}

fn step(value: &toml::Value) -> Result<Decimal, String> {
    let step = match value {
        toml::Value::String(text) => text.parse::<Decimal>().map_err(|error| error.to_string())?,
        toml::Value::Integer(whole) => Decimal::whole(*whole),
        other => return Err(format!("is {other}; write it in quotes, like \"0.5\"")),
    };
    if step.mantissa() <= 0 || step.mantissa() > STEP_MAX {
        return Err("must be positive and have at most 18 digits".to_owned());
    }
    Ok(step)
}

/// How many times `step` goes into `number`, if exactly and if it fits.
#[must_use]
pub fn count_of(number: Scaled, step: Decimal) -> Option<i64> {
    if step.mantissa() == 1 {
        return number.in_units(step.scale());
    }
    let number = Decimal::new(number.mantissa.into(), number.scale).ok()?;
    i64::try_from(number.whole_multiples_of(step)?).ok()
}

/// What is known of an instrument while its rows are read.
#[derive(Debug, Clone, Copy)]
pub enum Knowledge {
    /// Its terms are given.
    Given(Terms),
    /// Most decimals seen in a price and in an amount.
    Seen {
        /// Of prices.
        price_decimals: u8,
        /// Of amounts.
        amount_decimals: u8,
    },
}

impl Knowledge {
    /// Takes the decimals of a price and an amount in.
    ///
    /// # Errors
    /// Which of them is not a whole number of the steps given, as `(is the amount, reason)`.
    pub fn learn(
        &mut self,
        price: Option<Scaled>,
        amount: Option<Scaled>,
    ) -> Result<(), (bool, String)> {
        match self {
            Self::Given(terms) => {
                let fits = |number: Option<Scaled>, step| {
                    number.is_none_or(|number| count_of(number, step).is_some())
                };
                if !fits(price, terms.tick) {
                    let reason = format!("the price is not a multiple of the tick {}", terms.tick);
                    return Err((false, reason));
                }
                if !fits(amount, terms.lot) {
                    let reason = format!("the amount is not a multiple of the lot {}", terms.lot);
                    return Err((true, reason));
                }
            }
            Self::Seen { price_decimals, amount_decimals } => {
                let decimals = |number: Option<Scaled>| number.map_or(0, |number| number.scale);
                *price_decimals = decimals(price).max(*price_decimals);
                *amount_decimals = decimals(amount).max(*amount_decimals);
            }
        }
        Ok(())
    }

    /// The terms given, or one unit of the last decimal seen.
    #[must_use]
    pub fn terms(self) -> Terms {
        match self {
            Self::Given(terms) => terms,
            Self::Seen { price_decimals, amount_decimals } => {
                // A number has at most 18 digits, hence at most as many decimals.
                let unit = |decimals| Decimal::new(1, decimals).unwrap_or(Decimal::whole(1));
                Terms { tick: unit(price_decimals), lot: unit(amount_decimals) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scaled(text: &str) -> Scaled {
        Scaled::parse(text.as_bytes()).expect("number")
    }

    #[test]
    fn terms_are_read_from_toml() {
        let text = "[instruments.BTC-PERP]\ntick = \"0.5\"\nlot = 10\n\
                    [instruments.\"ETH.X\"]\ntick = \"0.01\"\nlot = \"0.001\"\n";
        let terms = parse(text).expect("terms");
        assert_eq!(terms["BTC-PERP"].tick, "0.5".parse().expect("decimal"));
        assert_eq!(terms["BTC-PERP"].lot, Decimal::whole(10));
        assert_eq!(terms.len(), 2);
    }

    #[test]
    fn bad_terms_name_instrument_and_key() {
        for (text, part) in [
            ("[instruments.X]\ntick = 0.5\nlot = 1\n", "\"X\": tick is 0.5; write it in quotes"),
            ("[instruments.X]\ntick = \"a\"\nlot = 1\n", "\"X\": tick not a decimal number"),
            ("[instruments.X]\ntick = 1\nlot = 0\n", "\"X\": lot must be positive"),
            ("[instruments.X]\ntick = 1\n", "missing field `lot`"),
            ("[instruments.X]\ntick = 1\nlot = 1\nsize = 2\n", "unknown field `size`"),
            ("[instrument.X]\ntick = 1\nlot = 1\n", "unknown field `instrument`"),
            ("[instruments.\"a b\"]\ntick = 1\nlot = 1\n", "\"a b\": a symbol is"),
            ("garbage", "expected"),
        ] {
            let reason = parse(text).expect_err(text);
            assert!(reason.contains(part), "{text}: {reason}");
        }
    }

    #[test]
    fn steps_are_inferred_from_the_decimals_written() {
        let mut seen = Knowledge::Seen { price_decimals: 0, amount_decimals: 0 };
        seen.learn(Some(scaled("10.50")), Some(scaled("3"))).expect("learn");
        seen.learn(None, Some(scaled("0.125"))).expect("learn");
        let terms = seen.terms();
        assert_eq!(terms.tick, "0.01".parse().expect("decimal"));
        assert_eq!(terms.lot, "0.001".parse().expect("decimal"));
        assert_eq!(count_of(scaled("10.5"), terms.tick), Some(1_050));
    }

    #[test]
    fn given_steps_refuse_what_is_no_multiple() {
        let step = |text: &str| text.parse::<Decimal>().expect("decimal");
        let mut given = Knowledge::Given(Terms { tick: step("0.5"), lot: step("10") });
        assert_eq!(given.learn(Some(scaled("100.50")), Some(scaled("20"))), Ok(()));
        let (is_amount, reason) = given.learn(Some(scaled("100.3")), None).expect_err("tick");
        assert_eq!(
            (is_amount, reason.as_str()),
            (false, "the price is not a multiple of the tick 0.5")
        );
        assert!(given.learn(None, Some(scaled("25"))).expect_err("lot").0);
    }
}
