//! Black-76 (Black, "The pricing of commodity contracts", 1976) with a rate of zero: European options
//! on a forward, undiscounted.

use crate::fixed::{Fixed, full_mul};
use crate::functions::{Normal, exp, ln_ratio, normal, sqrt};

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

/// `d1` and `d2`; `None` if the total volatility is 0.
fn standing(log: Fixed, total_volatility: Fixed) -> Option<(Fixed, Fixed)> {
    if total_volatility.0 <= 0 {
        return None;
    }
    // 10 is far beyond the last point of the normal distribution; d2 is within it of d1.
    let bound = Fixed::ONE.0 * 64;
    let quotient = short_quotient(log, total_volatility);
    let half = total_volatility.half();
    let clamp = |d: Fixed| Fixed(d.0.clamp(-bound, bound));
    Some((clamp(quotient.add(half)), clamp(quotient.sub(half))))
}

/// `a / b` for `b > 0`: by one short division where both leave room for it, which is ten times
/// faster than the long one and as exact as [`normal`] can tell (2^-60 of the quotient's unit).
fn short_quotient(a: Fixed, b: Fixed) -> Fixed {
    let (size, divisor) = (a.0.unsigned_abs(), b.0.unsigned_abs());
    let shift = size.leading_zeros();
    if divisor >> 60 == 0 || shift == 128 {
        return a.div(b);
    }
    // size·2^shift / (divisor·2^-33) = a / b · 2^(shift + 33).
    let quotient = (size << shift) / (divisor >> 33);
    let exponent = shift + 33;
    let value =
        if exponent >= 96 { quotient >> (exponent - 96) } else { quotient << (96 - exponent) };
    let value = i128::try_from(value).unwrap_or(i128::MAX);
    Fixed(if a.0 < 0 { -value } else { value })
}

/// Price over forward, in [`ATTO`]: the price of an option on a forward of 1.
#[must_use]
pub fn unit_price(right: Right, at: Moneyness, total_volatility: Fixed) -> i128 {
    let Some((d1, d2)) = standing(at.log, total_volatility) else {
        return intrinsic(right, at.strike_ratio).times(ATTO);
    };
    to_atto(unit_value(right, at.strike_ratio, normal(d1), normal(d2)))
}

/// Price over forward in units of 2^-64.
fn unit_value(right: Right, strike_ratio: Fixed, n1: Normal, n2: Normal) -> i128 {
    let value = match right {
        Right::Call => n1.below - scaled(strike_ratio, n2.below),
        Right::Put => scaled(strike_ratio, n2.above) - n1.above,
    };
    value.max(0)
}

/// `ratio · tail`, in units of 2^-64 like the tail (which is at most 2^64); saturates.
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
    let call = match standing(log_moneyness, total_volatility) {
        Some((d1, _)) => to_atto(normal(d1).below),
        None => match log_moneyness.0.signum() {
            1 => ATTO,
            0 => ATTO / 2,
            _ => 0,
        },
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
    let root = sqrt(years);
    let total = volatility.mul(root);
    let at = Moneyness::new(forward, strike);
    let delta = delta(right, at.log, total);
    let Some((d1, d2)) = standing(at.log, total) else {
        let inside = match right {
            Right::Call => forward - strike,
            Right::Put => strike - forward,
        };
        return Value { price: inside.max(0), delta, ..Value::default() };
    };
    let (n1, n2) = (normal(d1), normal(d2));
    let density = Fixed(n1.density << 32);
    // F Φ(d1) − K Φ(d2) without the ratio of the two, which may be far from 1.
    let part = |amount: i128, tail: i128| Fixed(tail << 32).times(amount);
    let price = match right {
        Right::Call => part(forward, n1.below) - part(strike, n2.below),
        Right::Put => part(strike, n2.above) - part(forward, n1.above),
    };
    let scaled_density = density.times(forward);
    // ATTO² / F is a whole number large enough for any price: gamma = φ(d1) / (F σ √T).
    let per_forward = Fixed::ratio(ATTO, forward);
    let gamma = density.div(total);
    let vega = root.times(scaled_density);
    let decay = if root.0 == 0 { Fixed::ZERO } else { volatility.div(root).half() };
    Value {
        price: price.max(0),
        delta,
        gamma: gamma.mul(per_forward).times(ATTO),
        vega,
        theta: -decay.times(scaled_density),
    }
}

/// The forward, or the strike for a put: what no option is worth more than.
fn most(right: Right, forward: i128, strike: i128) -> i128 {
    match right {
        Right::Call => forward,
        Right::Put => strike,
    }
}

/// Why a price has no implied volatility.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImpliedError {
    /// Forward, strike or time is not positive.
    BadInput,
    /// Below what the option is worth without volatility.
    BelowIntrinsic,
    /// Not below what it is worth with any volatility: the forward, or the strike for a put.
    TooHigh,
}

impl core::fmt::Display for ImpliedError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::BadInput => "forward, strike and time must be positive",
            Self::BelowIntrinsic => "the price is below the intrinsic value",
            Self::TooHigh => "the price is not below the forward (call) or the strike (put)",
        })
    }
}

impl core::error::Error for ImpliedError {}

/// Steps of the search: bisection alone would need as many.
const STEPS_MAX: u32 = 200;

/// The volatility at which the option has this price. Newton's method within a bracket that halves
/// whenever a step leaves it; all inputs in [`ATTO`] but time.
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
    let floor = value(right, forward, strike, years, Fixed::ZERO).price;
    if price < floor {
        return Err(ImpliedError::BelowIntrinsic);
    }
    if price >= most(right, forward, strike) {
        return Err(ImpliedError::TooHigh);
    }
    let root = sqrt(years);
    // Total volatilities from nearly nothing to 64, beyond which the price is its bound.
    let (mut low, mut high) = (Fixed(1 << 48), Fixed::ONE.0 * 64);
    let mut total = Fixed(ln_ratio(forward, strike).0.abs().max(Fixed::ONE.0 / 64) * 2);
    total = Fixed(sqrt(total).0.clamp(low.0, high));
    for _ in 0..STEPS_MAX {
        let volatility = total.div(root);
        let now = value(right, forward, strike, years, volatility);
        let error = now.price - price;
        if error == 0 || high - low.0 <= 1 << 24 {
            break;
        }
        if error > 0 {
            high = total.0;
        } else {
            low = total;
        }
        let slope = Fixed::ratio(now.vega, ATTO).div(root);
        let step = Fixed::ratio(error, ATTO).div(slope);
        let next = total.sub(step);
        let is_inside = slope.0 > 0 && next.0 > low.0 && next.0 < high;
        let next = if is_inside { next } else { Fixed(low.0 + (high - low.0) / 2) };
        if next == total {
            break;
        }
        total = next;
    }
    Ok(total.div(root))
}

/// `K / F` from `ln(F / K)`.
#[must_use]
pub fn strike_ratio(log_moneyness: Fixed) -> Fixed {
    exp(log_moneyness.neg())
}
