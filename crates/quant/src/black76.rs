//! Black-76 (Black, "The pricing of commodity contracts", 1976) with a rate of zero: European
//! options on a forward, undiscounted.

use crate::fixed::{FRACTION_BITS, Fixed, full_mul};
use crate::functions::{Normal, exp, ln_ratio, normal, sqrt};
use crate::ratio::{Rounding, mul_div};

/// Units of one in the decimal inputs and outputs of this module.
pub const ATTO: i128 = 1_000_000_000_000_000_000;

/// Nanoseconds in a year of 365 days.
pub const YEAR_NS: i128 = 365 * 86_400 * 1_000_000_000;

/// Call or put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Right {
    /// The right to buy.
    Call,
    /// The right to sell.
    Put,
}

/// What an option is worth and how that changes. Units: [`ATTO`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Value {
    /// In the forward's currency.
    pub price: i128,
    /// Per unit of the forward.
    pub delta: i128,
    /// Of delta, per unit of the forward.
    pub gamma: i128,
    /// Per 1.0 of volatility.
    pub vega: i128,
    /// Per year.
    pub theta: i128,
}

/// Time to expiry in years of 365 days (Act/365); 0 from expiry on.
#[must_use]
pub fn years(now_ns: u64, expiry_ns: u64) -> Fixed {
    Fixed::ratio(expiry_ns.saturating_sub(now_ns).into(), YEAR_NS)
}

/// `σ √T`.
#[must_use]
pub fn total_volatility(volatility: Fixed, years: Fixed) -> Fixed {
    volatility.mul(sqrt(years))
}

/// Where a strike stands: what the fast prices need of forward and strike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moneyness {
    /// `ln(F / K)`.
    pub log: Fixed,
    /// `K / F`.
    pub strike_ratio: Fixed,
}

impl Moneyness {
    /// Of positive forward and strike in the same unit.
    #[must_use]
    pub fn new(forward: i128, strike: i128) -> Self {
        let log = ln_ratio(forward, strike);
        Self { log, strike_ratio: Fixed::ratio(strike, forward) }
    }

    /// After the forward was multiplied by a factor, given with its logarithm and reciprocal.
    #[must_use]
    pub fn moved(self, log_factor: Fixed, reciprocal: Fixed) -> Self {
        Self { log: self.log.add(log_factor), strike_ratio: self.strike_ratio.mul(reciprocal) }
    }
}

/// `d1` and `d2`, from `ln(F / K) / (σ √T)` and `σ √T`.
pub(crate) fn standing(quotient: Fixed, total_volatility: Fixed) -> (Fixed, Fixed) {
    // Far beyond the last point of the normal distribution.
    let bound = Fixed::ONE.0 * 64;
    let half = total_volatility.half();
    let clamp = |d: Fixed| Fixed(d.0.clamp(-bound, bound));
    (clamp(quotient.add(half)), clamp(quotient.sub(half)))
}

/// `a / b` for `b > 0`, within 2^-63 of itself: one short division of the leading 128 bits by the
/// leading 64, several times faster than the long one. A price hardly feels the difference: what it
/// gains by moving `d1` and `d2` together is nothing (`F φ(d1) = K φ(d2)`).
fn short_quotient(a: Fixed, b: Fixed) -> Fixed {
    let (size, divisor) = (a.0.unsigned_abs(), b.0.unsigned_abs());
    let shift = size.leading_zeros();
    if shift == 128 {
        return Fixed::ZERO;
    }
    let dropped = (128 - divisor.leading_zeros()).saturating_sub(64);
    // size·2^shift / (divisor·2^-dropped) = a / b · 2^(shift + dropped).
    let quotient = (size << shift) / (divisor >> dropped);
    let exponent = shift + dropped;
    let value = if exponent >= FRACTION_BITS {
        quotient.checked_shr(exponent - FRACTION_BITS).unwrap_or(0)
    } else if quotient.leading_zeros() > FRACTION_BITS - exponent {
        quotient << (FRACTION_BITS - exponent)
    } else {
        u128::MAX
    };
    let value = i128::try_from(value).unwrap_or(i128::MAX);
    Fixed(if a.0 < 0 { -value } else { value })
}

/// Price over forward, in [`ATTO`]: the price of an option on a forward of 1.
///
/// Both rights are the one that is out of the money, and what is in the money of the other: so a
/// call less a put is `1 − K/F` to the last digit, and no price is below its intrinsic value.
#[must_use]
pub fn unit_price(right: Right, at: Moneyness, total_volatility: Fixed) -> i128 {
    let inside = intrinsic(right, at.strike_ratio);
    if total_volatility.0 <= 0 {
        return inside.times(ATTO);
    }
    let (d1, d2) = standing(short_quotient(at.log, total_volatility), total_volatility);
    let (n1, n2) = (normal(d1), normal(d2));
    let outside = if at.log.0 <= 0 {
        n1.below - scaled(at.strike_ratio, n2.below)
    } else {
        scaled(at.strike_ratio, n2.above) - n1.above
    };
    Fixed(outside.max(0) << 32).add(inside).times(ATTO)
}

/// `ratio · tail`, in units of 2^-64 like the tail (which is at most 2^64).
fn scaled(ratio: Fixed, tail: i128) -> i128 {
    let (high, low) = full_mul(ratio.0.unsigned_abs(), tail.unsigned_abs());
    i128::try_from((high << 32) | (low >> 96)).unwrap_or(i128::MAX)
}

/// Units of 2^-64 in [`ATTO`], rounded to the nearest.
fn to_atto(value: i128) -> i128 {
    Fixed(value.saturating_mul(1 << 32)).times(ATTO)
}

fn intrinsic(right: Right, strike_ratio: Fixed) -> Fixed {
    let call = Fixed::ONE.sub(strike_ratio);
    match right {
        Right::Call => Fixed(call.0.max(0)),
        Right::Put => Fixed(call.neg().0.max(0)),
    }
}

/// Delta in [`ATTO`]: Φ(d1), or Φ(d1) − 1 for a put. At expiry 1, 0, or a half at the money.
#[must_use]
pub fn delta(right: Right, log_moneyness: Fixed, total_volatility: Fixed) -> i128 {
    if total_volatility.0 <= 0 {
        return delta_at_expiry(right, log_moneyness);
    }
    let quotient = short_quotient(log_moneyness, total_volatility);
    delta_of(right, normal(standing(quotient, total_volatility).0))
}

fn delta_of(right: Right, n1: Normal) -> i128 {
    match right {
        Right::Call => to_atto(n1.below),
        Right::Put => -to_atto(n1.above),
    }
}

fn delta_at_expiry(right: Right, log_moneyness: Fixed) -> i128 {
    let call = match log_moneyness.0.signum() {
        1 => ATTO,
        0 => ATTO / 2,
        _ => 0,
    };
    match right {
        Right::Call => call,
        Right::Put => call - ATTO,
    }
}

/// Everything about one option. Forward and strike in [`ATTO`], positive; years and volatility not
/// negative. At expiry, or without volatility, the price is the intrinsic value and only delta is
/// not 0.
#[must_use]
pub fn value(right: Right, forward: i128, strike: i128, years: Fixed, volatility: Fixed) -> Value {
    value_in(right, forward, strike, ATTO, years, volatility)
}

/// As [`value`], with forward and strike in units of `1 / unit`, for prices whose digits [`ATTO`]
/// does not hold; neither may be above 10^30 units.
#[must_use]
pub fn value_in(
    right: Right,
    forward: i128,
    strike: i128,
    unit: i128,
    years: Fixed,
    volatility: Fixed,
) -> Value {
    let root = sqrt(years);
    let total = volatility.mul(root);
    let log = ln_ratio(forward, strike);
    if total.0 <= 0 {
        let price = nearest(inside(right, forward, strike), ATTO, unit);
        return Value { price, delta: delta_at_expiry(right, log), ..Value::default() };
    }
    let (d1, d2) = standing(log.div(total), total);
    let (n1, n2) = (normal(d1), normal(d2));
    let price = outside(forward, strike, n1, n2) + inside(right, forward, strike);
    let per_forward = nearest(n1.density << 32, ATTO, total.0);
    // In units of 2^-96 and 2^-80: the latter is large near expiry.
    let rise = Fixed(n1.density << 32).mul(root);
    let decay = nearest(n1.density << 16, volatility.0, root.0.saturating_mul(2));
    let vega = nearest(rise.0, forward, Fixed::ONE.0);
    let theta = -nearest(decay, forward, 1 << 80);
    Value {
        price: nearest(price, ATTO, unit),
        delta: delta_of(right, n1),
        gamma: nearest(per_forward, unit, forward),
        vega: nearest(vega, ATTO, unit),
        theta: nearest(theta, ATTO, unit),
    }
}

fn nearest(a: i128, b: i128, c: i128) -> i128 {
    mul_div(a, b, c, Rounding::HalfEven)
}

/// What an option would pay now.
pub(crate) fn inside(right: Right, forward: i128, strike: i128) -> i128 {
    let call = forward.saturating_sub(strike);
    match right {
        Right::Call => call.max(0),
        Right::Put => call.saturating_neg().max(0),
    }
}

/// What both rights are worth above what they would pay now, in the unit of forward and strike: the
/// price of the one that is out of the money.
pub(crate) fn outside(forward: i128, strike: i128, n1: Normal, n2: Normal) -> i128 {
    // F Φ(d1) − K Φ(d2) without the ratio of the two, which may be far from 1.
    let part = |amount: i128, tail: i128| Fixed(tail << 32).times(amount);
    let worth = if forward <= strike {
        part(forward, n1.below) - part(strike, n2.below)
    } else {
        part(strike, n2.above) - part(forward, n1.above)
    };
    worth.max(0)
}

/// `K / F` from `ln(F / K)`.
#[must_use]
pub fn strike_ratio(log_moneyness: Fixed) -> Fixed {
    exp(log_moneyness.neg())
}
