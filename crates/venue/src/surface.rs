//! The volatility surface, and Black-76 values on it.

use crate::oracle::UnderlyingState;
use evenkeel_quant::black76::{self, Moneyness};
use evenkeel_quant::scenarios::{OptionLot, Settlement};
use evenkeel_quant::{Fixed, Right};
use evenkeel_types::oracle::{Price, SMILE_GRID, SMILE_POINTS, Smile};
use evenkeel_types::{InstrumentKind, OptionRight};

/// Millionths in one, as volatilities and the smile's grid count.
const MICRO: i128 = 1_000_000;

/// An option on its expiry's forward, at the moment at which its prices last changed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OptionValue {
    pub right: Right,
    pub forward: Price,
    pub strike: i128,
    pub moneyness: Moneyness,
    pub years: Fixed,
    /// Milliseconds to expiry.
    pub left_ms: u64,
    /// Annual; 0 once the expiry has passed.
    pub volatility: Fixed,
}

impl OptionValue {
    /// `None` unless the instrument is an option with a forward and, before expiry, a smile.
    pub fn of(known: &UnderlyingState, kind: InstrumentKind) -> Option<Self> {
        let InstrumentKind::Option { expiry, strike, right } = kind else {
            return None;
        };
        let forward = known.forward_of(expiry)?.price;
        let strike = strike.in_units(Price::SCALE).filter(|strike| *strike > 0)?;
        let at = known.valued.get(&expiry).copied().unwrap_or(known.void_before);
        let years = black76::years(at.0, expiry.0);
        let moneyness = Moneyness::new(forward.0.into(), strike);
        let volatility = if at >= expiry {
            Fixed::ZERO
        } else {
            volatility_at(&known.smiles.get(&expiry)?.smile, moneyness.log, years)
        };
        let right = match right {
            OptionRight::Call => Right::Call,
            OptionRight::Put => Right::Put,
        };
        let left_ms = expiry.0.saturating_sub(at.0) / 1_000_000;
        Some(Self { right, forward, strike, moneyness, years, left_ms, volatility })
    }

    pub fn total_volatility(&self) -> Fixed {
        black76::total_volatility(self.volatility, self.years)
    }

    /// Value over forward, that is in coin: parts of 10^18.
    pub fn unit_price(&self) -> i128 {
        black76::unit_price(self.right, self.moneyness, self.total_volatility())
    }

    /// Black-76 delta of one coin: parts of 10^18.
    pub fn delta(&self) -> i128 {
        black76::delta(self.right, self.moneyness.log, self.total_volatility())
    }

    /// One lot of it, of so many coins (parts of 10^18).
    pub fn lot(&self, settlement: Settlement, coins: i128) -> OptionLot {
        OptionLot {
            settlement,
            right: self.right,
            coins,
            forward: self.forward.0.into(),
            strike: self.strike,
            volatility: self.volatility,
            left_ms: self.left_ms,
        }
    }
}

/// The smile's volatility at `ln(K/F)/√T`: linear between its points, flat outside.
pub(crate) fn volatility_at(smile: &Smile, log_moneyness: Fixed, years: Fixed) -> Fixed {
    let root = evenkeel_quant::functions::sqrt(years);
    // ln(K/F) is the negative of ln(F/K).
    let place = log_moneyness.neg().div(root).times(MICRO);
    let right = SMILE_GRID.partition_point(|point| i128::from(*point) <= place);
    let level = |at: usize| i128::from(smile.points[at.min(SMILE_POINTS - 1)].0);
    if right == 0 || right == SMILE_POINTS {
        return Fixed::ratio(level(right), MICRO);
    }
    let (from, to) = (i128::from(SMILE_GRID[right - 1]), i128::from(SMILE_GRID[right]));
    let (low, high) = (level(right - 1), level(right));
    // Below 2^32 each, so the sum of products fits.
    let weighted = low * (to - place) + high * (place - from);
    Fixed::ratio(weighted, (to - from) * MICRO)
}

#[cfg(test)]
mod tests {
    use super::*;
    use evenkeel_types::oracle::Volatility;

    fn smile() -> Smile {
        let points = [110, 100, 90, 80, 60, 64, 70, 80, 90].map(|it| Volatility(it * 10_000));
        Smile { points }
    }

    fn at(place_micro: i128) -> i128 {
        // A quarter of a year: √T is a half.
        let log = Fixed::ratio(-place_micro, 2 * MICRO);
        volatility_at(&smile(), log, Fixed::ratio(1, 4)).times(MICRO)
    }

    #[test]
    fn a_smile_is_linear_between_its_points_and_flat_outside() {
        assert_eq!(
            [at(0), at(250_000), at(125_000), at(-250_000)],
            [600_000, 640_000, 620_000, 800_000]
        );
        assert_eq!([at(2_000_000), at(9_000_000), at(-9_000_000)], [900_000, 900_000, 1_100_000]);
        assert_eq!([at(750_000), at(-750_000)], [750_000, 950_000]);
    }
}
