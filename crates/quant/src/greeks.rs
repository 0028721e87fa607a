//! Net Greeks of an account in one underlying. They inform; margin does not use them.

use crate::black76::value;
use crate::fixed::Fixed;
use crate::portfolio::{ATTO, PRICE_ONE, YEAR_MS};
use crate::ratio::{Rounding, mul_div};
use crate::scenarios::OptionLot;

/// Greeks of one lot, or of an account. Parts of 10^18.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Greeks {
    /// Base coins.
    pub delta: i128,
    /// Base coins per unit of the forward price.
    pub gamma: i128,
    /// Quote currency per 1.0 of volatility.
    pub vega: i128,
    /// Quote currency per year of 365 days.
    pub theta: i128,
}

impl Greeks {
    /// Of a lot of a future: its coins.
    #[must_use]
    pub fn of_future(coins: i128) -> Self {
        Self { delta: coins, ..Self::default() }
    }

    /// Of a lot of an option: Black-76. Forward and strike are parts of 10^10 here.
    #[must_use]
    pub fn of_option(option: &OptionLot) -> Self {
        let to_atto = ATTO / PRICE_ONE;
        let years = Fixed::ratio(option.left_ms.into(), YEAR_MS);
        let [forward, strike] =
            [option.forward, option.strike].map(|price| price.saturating_mul(to_atto));
        let one = value(option.right, forward, strike, years, option.volatility);
        let of = |greek: i128| mul_div(greek, option.coins, ATTO, Rounding::HalfEven);
        let (delta, gamma) = (of(one.delta), of(one.gamma));
        Self { delta, gamma, vega: of(one.vega), theta: of(one.theta) }
    }

    /// Adds so many lots of another; negative lots take away. Exact; saturates beyond 128 bits.
    pub fn add(&mut self, lot: &Self, lots: i64) {
        let times = i128::from(lots);
        let sum = |total: i128, one: i128| total.saturating_add(one.saturating_mul(times));
        self.delta = sum(self.delta, lot.delta);
        self.gamma = sum(self.gamma, lot.gamma);
        self.vega = sum(self.vega, lot.vega);
        self.theta = sum(self.theta, lot.theta);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::black76::Right;
    use crate::scenarios::Settlement;

    fn option(right: Right) -> OptionLot {
        OptionLot {
            settlement: Settlement::Coin,
            right,
            coins: ATTO / 10,
            forward: 60_000 * PRICE_ONE,
            strike: 65_000 * PRICE_ONE,
            volatility: Fixed::ratio(6, 10),
            left_ms: 30 * 86_400_000,
        }
    }

    #[test]
    fn a_call_against_a_put_is_a_future_in_every_greek() {
        let mut net = Greeks::default();
        net.add(&Greeks::of_option(&option(Right::Call)), 1_000);
        net.add(&Greeks::of_option(&option(Right::Put)), -1_000);
        let future = Greeks::of_future(ATTO / 10).delta * 1_000;
        assert!((net.delta - future).abs() <= 1_000, "{}", net.delta);
        assert_eq!((net.gamma, net.vega, net.theta), (0, 0, 0));
    }

    #[test]
    fn greeks_are_those_of_the_formula_per_lot() {
        let ours = Greeks::of_option(&option(Right::Call));
        // N(d1), φ(d1)/(F σ √T), F φ(d1) √T, −F φ(d1) σ / (2 √T), a tenth of each.
        let near = |ours: i128, theirs: i128, within: i128| {
            assert!((ours - theirs).abs() <= within, "{ours} is not {theirs}");
        };
        near(ours.delta, 35_222_601_254_588_608, 100_000);
        near(ours.gamma, 3_597_077_737_079, 100_000);
        near(ours.vega, 638_604_486_000_000_000_000, 1_000_000_000_000);
        near(ours.theta, -2_330_906_374_000_000_000_000, 1_000_000_000_000);
    }

    #[test]
    fn what_is_added_and_taken_away_leaves_nothing() {
        let mut net = Greeks::default();
        let lot = Greeks::of_option(&option(Right::Put));
        net.add(&lot, 12_345);
        net.add(&lot, -12_345);
        assert_eq!(net, Greeks::default());
    }
}
