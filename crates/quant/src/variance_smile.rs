//! Model-free variance of a smile that is given at every strike, as an oracle's smile is.

use crate::black76::{Moneyness, Right, unit_price};
use crate::fixed::Fixed;
use crate::functions::exp;

/// Steps per at-the-money total volatility.
const STEPS_PER_DEVIATION: i128 = 16;
/// Steps of each side at most: 40 deviations.
const MAX_STEPS: usize = 640;
/// Pairs of steps that must add next to nothing before a side ends.
const QUIET_PAIRS: u32 = 4;

/// Variance from now to expiry, parts of 10^18: `2 ∫ premium(K) / K² dK` over out-of-the-money
/// options, by Simpson's rule in ln(K/F) on either side of the forward.
///
/// `total_volatility` gives σ√T at a given ln(K/F). For a flat smile the result is its square to
/// within 10^-6 of it. A side ends where options are worth nothing, at most 40 deviations out.
#[must_use]
pub fn smile_variance(total_volatility: impl Fn(Fixed) -> Fixed) -> i128 {
    let deviation = total_volatility(Fixed::ZERO);
    if deviation.0 <= 0 {
        return 0;
    }
    let step = Fixed((deviation.0 / STEPS_PER_DEVIATION).max(1));
    let up = side(Right::Call, step, &total_volatility);
    let down = side(Right::Put, step.neg(), &total_volatility);
    // Simpson's weights are thirds of the step; the integral counts twice.
    Fixed(step.0.saturating_mul(2) / 3).times(up.saturating_add(down))
}

/// Σ of Simpson's weights times premium / strike, from the forward outward.
fn side(right: Right, step: Fixed, total_volatility: &impl Fn(Fixed) -> Fixed) -> i128 {
    let growth = exp(step);
    let (mut at, mut ratio) = (Fixed::ZERO, Fixed::ONE);
    let mut next = || {
        (at, ratio) = (at.add(step), ratio.mul(growth));
        per_strike(right, at, ratio, total_volatility(at))
    };
    let mut sum = per_strike(right, Fixed::ZERO, Fixed::ONE, total_volatility(Fixed::ZERO));
    let mut quiet = 0;
    for _ in 0..MAX_STEPS / 2 {
        let (odd, even) = (next(), next());
        // Interior even points belong to two panels; the last one, nearly 0, to one.
        let added = odd.saturating_mul(4).saturating_add(even.saturating_mul(2));
        sum = sum.saturating_add(added);
        quiet = if added <= 1 { quiet + 1 } else { 0 };
        if quiet == QUIET_PAIRS {
            break;
        }
    }
    sum
}

/// Premium over strike, parts of 10^18, of an option with this ln(K/F) and K/F.
fn per_strike(right: Right, log_strike: Fixed, strike_ratio: Fixed, total: Fixed) -> i128 {
    if strike_ratio.0 <= 0 {
        return 0;
    }
    let at = Moneyness { log: log_strike.neg(), strike_ratio };
    let premium = unit_price(right, at, total);
    Fixed::ONE.div(strike_ratio).times(premium)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::black76::ATTO;

    #[test]
    fn a_flat_smile_has_the_variance_of_its_volatility() {
        for hundredths in [1, 5, 17, 60, 120] {
            let total = Fixed::ratio(hundredths, 100);
            let exact = ATTO / 10_000 * hundredths * hundredths;
            let ours = smile_variance(|_| total);
            let off = (ours - exact).abs();
            assert!(off <= exact / 1_000_000, "{hundredths} %: {ours}, off by {off}");
        }
    }

    #[test]
    fn a_smile_has_more_variance_than_its_middle_and_less_than_its_wings() {
        let middle = Fixed::ratio(20, 100);
        let smile = |at: Fixed| {
            let wing = Fixed(at.0.abs() / 4).0.min(Fixed::ratio(10, 100).0);
            middle.add(Fixed(wing))
        };
        let ours = smile_variance(smile);
        assert!(ours > ATTO / 100 * 4 && ours < ATTO / 100 * 9, "{ours}");
    }

    #[test]
    fn without_volatility_there_is_no_variance() {
        assert_eq!(smile_variance(|_| Fixed::ZERO), 0);
    }
}
