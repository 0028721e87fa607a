//! Elementary functions on [`Fixed`]: exp, ln, √, and the normal distribution.
//!
//! Bounds (tested against references of 60 digits, see `docs/arithmetic.md`):
//!
//! | function | domain | error |
//! |---|---|---|
//! | [`exp`] | −88 to 21 | 2^-86 of the result, or 2^-88 if that is more |
//! | [`ln`] | above 0 | 2^-92; 0 at 1 |
//! | [`sqrt`] | from 0 | 2^-94 of the result, or 2^-95 if that is more |
//! | [`normal`] | any | 2^-58 |

use crate::fixed::{FRACTION_BITS, Fixed};
use crate::normal_table::{NORMAL, POINTS_PER_UNIT};

/// ln 2.
const LN_2: Fixed = Fixed(54_916_777_467_707_473_351_141_471_128);

/// `ln((2·i + 1) / 64 + 1)`, the middles of 32 intervals of 1 to 2.
#[rustfmt::skip]
const LN_MIDDLES: [i128; 32] = [
    0x03f815161f807c79f3db4e9a,
    0x0bba2c7b196e7e231a7950f7,
    0x1341d7961bd1d09299837610,
    0x1a926d3a4ad563650bd22a9c,
    0x21aefcf9a11cb2cd2ee2f482,
    0x289a56d996fa3ccfa7b2a1f1,
    0x2f57120421b21237c6d65ad4,
    0x35e7929d017fe5b19cc03270,
    0x3c4e0edc55e5cbd3d50fffc4,
    0x428c9389ce438d7dcfde8062,
    0x48a507ef3de596890a14f69d,
    0x4e993155a517a71cbcd735d0,
    0x546ab61cb7e0b42724f5833f,
    0x5a1b207a6c52bb110af84054,
    0x5fabe0ee0abf0d92ce979ed3,
    0x651e5070845beae9337451f4,
    0x6a73b26a68212635213fd4bd,
    0x6fad36769c6defde1874deaf,
    0x74cbf9f803af55877b232fb0,
    0x79d109875a1e1f8df68dbcf3,
    0x7ebd623de3cc7b66becf93aa,
    0x8391f2e0e6fa0272bcb1c489,
    0x884f9cf16a64b7ef1f64d85c,
    0x8cf735a33e4b7662e5eebbc1,
    0x918986bdf5fa1416f1b43916,
    0x96074f6a24745dcbd4e18dd1,
    0x9a7144ece70e98b75c96c42e,
    0x9ec813538ab7d5202131e857,
    0xa30c5e10e2f613e85bd9bd9a,
    0xa73ec08dbadd84e584c2b22c,
    0xab5fcead9f9cca08e310b9b2,
    0xaf70154920b3ab86b04afe92,
];

/// Natural logarithm; of 0 or less the least number.
#[must_use]
pub fn ln(x: Fixed) -> Fixed {
    if x.0 <= 0 {
        return Fixed(i128::MIN);
    }
    if x == Fixed::ONE {
        return Fixed::ZERO;
    }
    let bits = 127 - x.0.leading_zeros();
    // `mantissa` is in [1, 2).
    let mantissa = if bits >= FRACTION_BITS {
        Fixed(x.0 >> (bits - FRACTION_BITS))
    } else {
        Fixed(x.0 << (FRACTION_BITS - bits))
    };
    let interval = (mantissa.0 - Fixed::ONE.0) >> (FRACTION_BITS - 5);
    let middle = Fixed(Fixed::ONE.0 + ((2 * interval + 1) << (FRACTION_BITS - 6)));
    // ln m = ln c + 2 artanh s, s = (m − c) / (m + c), |s| ≤ 2^-7.
    let s = Fixed(mantissa.0 - middle.0).div(Fixed(mantissa.0 + middle.0));
    let square = s.mul(s);
    let (mut power, mut sum) = (s, s.0);
    for odd in [3, 5, 7, 9, 11, 13] {
        power = power.mul(square);
        sum += power.0 / odd;
    }
    let exponent = i128::from(bits) - i128::from(FRACTION_BITS);
    let middle = LN_MIDDLES[usize::try_from(interval).unwrap_or(0) & 31];
    Fixed(exponent * LN_2.0 + middle + 2 * sum)
}

/// Natural logarithm of a ratio of two positive integers, exact to the same bound however far apart
/// they are; the least number if one of them is not positive.
#[must_use]
pub fn ln_ratio(numerator: i128, denominator: i128) -> Fixed {
    if numerator <= 0 || denominator <= 0 {
        return Fixed(i128::MIN);
    }
    // Both are brought to the same number of bits, so that their quotient is about 1.
    let shift = i128::from(denominator.leading_zeros()) - i128::from(numerator.leading_zeros());
    let size = u32::try_from(shift.unsigned_abs()).unwrap_or(0);
    let quotient = if shift >= 0 {
        Fixed::ratio(numerator, denominator << size)
    } else {
        Fixed::ratio(numerator << size, denominator)
    };
    ln(quotient).add(Fixed(shift * LN_2.0))
}

/// `e^x`; 0 below −88, the largest number above 21.
#[must_use]
pub fn exp(x: Fixed) -> Fixed {
    if x.0 >= Fixed::ONE.0 * 21 {
        return Fixed(i128::MAX);
    }
    if x.0 <= -Fixed::ONE.0 * 88 {
        return Fixed::ZERO;
    }
    // x = k ln 2 + r, 0 ≤ r < ln 2.
    let k = x.0.div_euclid(LN_2.0);
    let r = x.0.rem_euclid(LN_2.0);
    // e^r by its series at r / 64, squared six times.
    let small = Fixed(r >> 6);
    let mut term = Fixed::ONE;
    let mut sum = Fixed::ONE;
    for n in 1..=14 {
        term = Fixed(term.mul(small).0 / n);
        sum = sum.add(term);
    }
    for _ in 0..6 {
        sum = sum.mul(sum);
    }
    if k >= 0 { Fixed(sum.0 << k) } else { Fixed(sum.0 >> (-k).min(127)) }
}

/// Square root; of a negative number 0.
#[must_use]
pub fn sqrt(x: Fixed) -> Fixed {
    if x.0 <= 0 {
        return Fixed::ZERO;
    }
    // An even shift leaves 126 or 127 significant bits.
    let shift = (x.0.leading_zeros() - 1) & !1;
    let root = (x.0.cast_unsigned() << shift).isqrt();
    // x = n·2^-96, root ≈ √(n·2^shift): √x = root·2^-(shift/2)·2^-48.
    let bits = 48 - i128::from(shift / 2);
    let first = i128::try_from(root).unwrap_or(i128::MAX);
    let first = if bits >= 0 { first << bits } else { first >> -bits };
    // One step of Newton's doubles the 62 right bits.
    let first = Fixed(first.max(1));
    first.add(x.div(first)).half()
}

/// The normal distribution at a point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Normal {
    /// Φ(x), in units of 2^-64.
    pub below: i128,
    /// 1 − Φ(x), in units of 2^-64; precise where it is tiny.
    pub above: i128,
    /// φ(x), in units of 2^-64.
    pub density: i128,
}

const ONE_64: i128 = 1 << 64;
/// Beyond it the tail is less than 2^-62.
const LAST_POINT: i128 = 9;

/// Φ and φ at `x`: Taylor's series around the nearest of a grid of points 1/32 apart, its terms by
/// the recurrence of the Hermite polynomials (Abramowitz & Stegun 26.2.31).
#[must_use]
pub fn normal(x: Fixed) -> Normal {
    // In units of 2^-58.
    let size = x.0.unsigned_abs() >> (FRACTION_BITS - 58);
    let (tail, density) = if size >= LAST_POINT.unsigned_abs() << 58 {
        (0, 0)
    } else {
        // Below 9 · 2^58, so 64 bits hold it.
        tail_and_density(i64::try_from(size).unwrap_or(0))
    };
    let rest = ONE_64 - tail;
    let (below, above) = if x.0 < 0 { (tail, rest) } else { (rest, tail) };
    Normal { below, above, density }
}

/// Upper tail and density at `x ≥ 0`, given in units of 2^-58.
fn tail_and_density(x: i64) -> (i128, i128) {
    const STEP: i64 = (1 << 58) / POINTS_PER_UNIT;
    let point = (x + STEP / 2) / STEP;
    // At most 2^-6: in units of 2^-62.
    let h = (x - point * STEP) << 4;
    // At most 9/64.
    let a_h = i64::try_from(i128::from(h) * i128::from(point) / i128::from(POINTS_PER_UNIT));
    let a_h = a_h.unwrap_or(0);
    let h_squared = product(h, h);
    let (table_tail, table_density) = NORMAL[usize::try_from(point).unwrap_or(0).min(288)];
    // u_n = φ⁽ⁿ⁾(a) hⁿ / (n! φ(a)), with u_{n+1} = −(a h u_n + h² u_{n−1}) / (n + 1).
    let (mut before, mut term) = (0i64, 1i64 << 62);
    let (mut value, mut integral) = (term, term);
    let mut step = |n: i64| {
        let next = -(product(a_h, term) + product(h_squared, before)) / n;
        (before, term) = (term, next);
        value += term;
        integral += term / (n + 1);
    };
    // Written out, so that each division is by a constant, which is a multiplication.
    step(1);
    step(2);
    step(3);
    step(4);
    step(5);
    step(6);
    step(7);
    step(8);
    step(9);
    let scale = i128::from(table_density);
    let density = (scale * i128::from(value)) >> 62;
    let slice = (((scale * i128::from(h)) >> 62) * i128::from(integral)) >> 62;
    ((i128::from(table_tail) - slice).max(0), density.max(0))
}

/// Product of two numbers in units of 2^-62.
fn product(a: i64, b: i64) -> i64 {
    // Both are below 2^62 in size wherever it is called.
    i64::try_from((i128::from(a) * i128::from(b)) >> 62).unwrap_or(0)
}
