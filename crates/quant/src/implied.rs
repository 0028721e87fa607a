//! The volatility that a price implies.

use crate::black76::{Right, inside, outside, standing};
use crate::fixed::Fixed;
use crate::functions::{ln_ratio, normal, sqrt};

/// Why a price has no implied volatility.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ImpliedError {
    /// Forward, strike or time is not positive.
    #[error("forward, strike and time must be positive")]
    BadInput,
    /// Below what the option is worth without volatility.
    #[error("the price is below the intrinsic value")]
    BelowIntrinsic,
    /// Not below what it is worth with any volatility: the forward, or the strike for a put.
    #[error("the price is not below the forward (call) or the strike (put)")]
    TooHigh,
}

/// Evaluations of the search, at most.
pub const STEPS_MAX: u32 = 96;

/// Total volatilities at which the search begins and ends: 2^-48, below which no price is told from
/// the intrinsic value, and 64, above which none is told from its upper bound.
const LOW: Fixed = Fixed(1 << 48);
const HIGH: Fixed = Fixed(64 << 96);

/// √(2π), by which the price at the money is to be multiplied (Brenner & Subrahmanyam 1988).
const ROOT_2_PI: Fixed = Fixed(198_595_552_305_314_927_273_837_084_509);

/// The volatility at which the option has this price; 0 for the intrinsic value. Forward, strike
/// and price in any one unit.
///
/// Newton's method from the inflection of the price (Manaster & Koehler 1982), on the logarithm of
/// the price below it, where the price itself is too flat; within a bracket that is halved whenever
/// a step would leave it. It ends where steps no longer bring the price nearer, usually after four
/// to eight evaluations, and after [`STEPS_MAX`] in any case.
///
/// The result is as exact as the price: off by what the price is off, divided by vega. Prices here
/// are exact to 2^-57 of the larger of forward and strike.
///
/// # Errors
/// [`ImpliedError`].
pub fn implied_volatility(
    right: Right,
    forward: i128,
    strike: i128,
    years: Fixed,
    price: i128,
) -> Result<Fixed, ImpliedError> {
    if forward <= 0 || strike <= 0 || years.0 <= 0 {
        return Err(ImpliedError::BadInput);
    }
    let most = match right {
        Right::Call => forward,
        Right::Put => strike,
    };
    let over = price.saturating_sub(inside(right, forward, strike));
    if over < 0 {
        return Err(ImpliedError::BelowIntrinsic);
    }
    if price >= most {
        return Err(ImpliedError::TooHigh);
    }
    if over == 0 {
        return Ok(Fixed::ZERO);
    }
    let (total, _) = total_volatility(forward, strike, over);
    Ok(total.div(sqrt(years)))
}

/// `σ √T` at which the option out of the money is worth `target`, and the evaluations it took.
fn total_volatility(forward: i128, strike: i128, target: i128) -> (Fixed, u32) {
    let log = ln_ratio(forward, strike);
    let inflection = sqrt(Fixed(log.0.saturating_abs()).add(Fixed(log.0.saturating_abs())));
    let at_money = Fixed::ratio(target, forward.min(strike)).mul(ROOT_2_PI);
    let (mut low, mut high) = (LOW, HIGH);
    let mut total = Fixed(inflection.0.max(at_money.0).clamp(LOW.0, HIGH.0 / 4));
    let mut best = (i128::MAX, total);
    // Prices are made of tails in units of 2^-64.
    let floor = forward.max(strike) >> 63;
    for step in 1..=STEPS_MAX {
        let (d1, d2) = standing(log.div(total), total);
        let n1 = normal(d1);
        let worth = outside(forward, strike, n1, normal(d2));
        let off = (worth - target).abs();
        if worth > target {
            high = total;
        } else {
            low = total;
        }
        let slope = Fixed(n1.density << 32).times(forward);
        let next = match newton(total, worth, target, slope, total <= inflection) {
            Some(next) if next > low && next < high => next,
            _ => low.add(high).half(),
        };
        // Where a short step brings little, the last digits of the prices are reached.
        let is_short = (next.0 - total.0).abs() <= total.0 >> 32;
        if off <= floor || (is_short && off > best.0 / 2) {
            return (if off < best.0 { total } else { best.1 }, step);
        }
        if off < best.0 {
            best = (off, total);
        }
        total = next;
    }
    (best.1, STEPS_MAX)
}

/// Where the tangent of the price, or of its logarithm, meets the target.
fn newton(total: Fixed, worth: i128, target: i128, slope: i128, is_log: bool) -> Option<Fixed> {
    if slope <= 0 || worth <= 0 {
        return None;
    }
    let gap = Fixed::ratio(worth - target, slope);
    if !is_log {
        return Some(total.sub(gap));
    }
    // f ln(f / target) / f'.
    Some(total.sub(Fixed::ratio(worth, slope).mul(ln_ratio(worth, target))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::black76::{ATTO, value};
    use crate::functions::exp;

    fn hundredths(number: i128) -> Fixed {
        Fixed::ratio(number, 100)
    }

    /// Evaluations for the price at so many hundredths of total volatility and, in hundredths of
    /// it, so far from the money; none where nothing is above the intrinsic value.
    fn evaluations(total: i128, standing: i128) -> Option<u32> {
        let volatility = hundredths(total);
        let forward = 1_000 * ATTO;
        let strike = exp(volatility.mul(hundredths(standing))).times(forward);
        let price = value(Right::Call, forward, strike, Fixed::ONE, volatility).price;
        let over = price - inside(Right::Call, forward, strike);
        (over > 0).then(|| total_volatility(forward, strike, over).1)
    }

    #[test]
    fn the_search_takes_few_evaluations_wherever_the_option_stands() {
        let (mut most, mut count) = (0, 0);
        for total in [1, 2, 5, 10, 20, 40, 80, 160, 320] {
            for standing in (-800..=800).step_by(25) {
                if let Some(taken) = evaluations(total, standing) {
                    most = most.max(taken);
                    count += 1;
                }
            }
        }
        println!("{count} prices, at most {most} evaluations");
        assert!(count > 500 && most <= 16, "{count}, {most}");
    }
}
