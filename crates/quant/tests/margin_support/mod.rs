//! What the tests of margin share: decimals as integers, and legs of their own.

#![allow(dead_code, reason = "each test file uses a part of it")]
#![allow(clippy::disallowed_methods, reason = "a recorded file is named by the environment")]

use evenkeel_quant::portfolio::PortfolioParameters;
use evenkeel_quant::risk::{Leg, RiskMarket, RiskModel, RiskSums};
use evenkeel_quant::scenarios::{FutureLot, Settlement};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// 15 June 2024, milliseconds.
pub const NOW_MS: u64 = 1_718_409_600_000;
/// A day in milliseconds.
pub const DAY_MS: u64 = 86_400_000;

/// A decimal in parts of `10^decimals`; panics on digits beyond them.
pub fn parts(text: &str, decimals: usize) -> i128 {
    let (sign, digits) = text.strip_prefix('-').map_or((1, text), |rest| (-1, rest));
    let (whole, rest) = digits.split_once('.').unwrap_or((digits, ""));
    assert!(rest.len() <= decimals, "{text} has more than {decimals} decimals");
    sign * format!("{whole}{rest:0<decimals$}").parse::<i128>().expect("a decimal")
}

/// Parts of 10^18.
pub fn atto(text: &str) -> i128 {
    parts(text, 18)
}

/// Billionths.
pub fn nano(text: &str) -> i64 {
    i64::try_from(parts(text, 9)).expect("a rate")
}

/// Price in parts of 10^10.
pub fn price(text: &str) -> i128 {
    parts(text, 10)
}

/// A leg that owns its vector.
#[derive(Debug, Clone)]
pub struct OwnedLeg {
    pub vector: Vec<i128>,
    pub delta: i128,
    pub expiry_ms: Option<u64>,
    pub is_option: bool,
}

impl OwnedLeg {
    pub fn leg(&self) -> Leg<'_> {
        let Self { vector, delta, expiry_ms, is_option } = self;
        Leg { vector, delta: *delta, expiry_ms: *expiry_ms, is_option: *is_option }
    }
}

/// A coin-settled future of so many coins a lot.
pub fn inverse(model: &RiskModel, coins: i128, expiry_ms: Option<u64>) -> OwnedLeg {
    let lot = FutureLot { settlement: Settlement::Coin, coins, price: 0 };
    OwnedLeg { vector: model.grid().future(&lot), delta: coins, expiry_ms, is_option: false }
}

/// A model of these parameters.
pub fn model(parameters: &PortfolioParameters) -> RiskModel {
    RiskModel::new(parameters).expect("valid parameters")
}

/// Coin-settled, at this index.
pub fn coin_market(index: &str) -> RiskMarket {
    RiskMarket { settlement: Settlement::Coin, index_price: price(index), now_ms: NOW_MS }
}

/// The sums of legs.
pub fn sums_of(model: &RiskModel, legs: &[(OwnedLeg, i64)]) -> RiskSums {
    let mut sums = RiskSums::new(model.grid().scenarios());
    for (leg, lots) in legs {
        sums.add(&leg.leg(), *lots);
    }
    sums
}

/// 1 − 1/(1 + p) of a coin amount for p = `numer`/`denom`, to the nearest part of 10^18.
pub fn inverse_result(coins: i128, numer: i128, denom: i128) -> i128 {
    let (numer, denom) = (coins * numer, denom + numer);
    let doubled = 2 * numer + denom;
    doubled.div_euclid(2 * denom)
}

/// A recorded file, or `None` with the reason said where the data is not to be had.
pub fn recorded(name: &str) -> Option<PathBuf> {
    let Some(folder) = std::env::var_os("EVENKEEL_DATA") else {
        println!("skipped: EVENKEEL_DATA does not name the folder of recorded data");
        return None;
    };
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(folder);
    let places = [folder.join(name), folder.join("data").join(name)];
    let found = places.iter().find(|path| path.exists());
    Some(found.unwrap_or_else(|| panic!("{} is missing", places[0].display())).clone())
}

/// A printed number in parts of `10^decimals`; digits beyond them are cut.
pub fn number(value: &Value, decimals: usize) -> i128 {
    let text = value.to_string();
    let kept = text.find('.').map_or(text.len(), |point| text.len().min(point + 1 + decimals));
    parts(&text[..kept], decimals)
}
