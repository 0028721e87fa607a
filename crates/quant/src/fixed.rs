//! Binary fixed point: 96 fractional bits in 128.

use core::cmp::Ordering;

/// A number as a multiple of 2^-96: about 28 decimals, magnitudes below 2^31. Operations saturate
/// at the ends of the range, which no price, volatility or time of a real market comes near.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Fixed(pub i128);

/// The low half of 128 bits.
const MASK: u128 = u64::MAX as u128;

/// Fractional bits of [`Fixed`].
pub const FRACTION_BITS: u32 = 96;

#[expect(clippy::should_implement_trait, reason = "operators would hide that they saturate")]
impl Fixed {
    /// 0.
    pub const ZERO: Self = Self(0);
    /// 1.
    pub const ONE: Self = Self(1 << FRACTION_BITS);

    /// `numerator / denominator`, rounded to the nearest, ties to even; saturates, as for 0 below.
    #[must_use]
    pub fn ratio(numerator: i128, denominator: i128) -> Self {
        if denominator == 0 {
            return Self(if numerator < 0 { i128::MIN } else { i128::MAX });
        }
        let negative = (numerator < 0) != (denominator < 0);
        let (a, c) = (numerator.unsigned_abs(), denominator.unsigned_abs());
        Self(signed(mul_div(a, 1 << FRACTION_BITS, c), negative))
    }

    /// Sum.
    #[must_use]
    pub fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// Difference.
    #[must_use]
    pub fn sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    /// Product, rounded toward zero.
    #[must_use]
    pub fn mul(self, other: Self) -> Self {
        let negative = (self.0 < 0) != (other.0 < 0);
        let (high, low) = full_mul(self.0.unsigned_abs(), other.0.unsigned_abs());
        let size = if high >> (FRACTION_BITS - 1) != 0 {
            u128::MAX
        } else {
            (high << (128 - FRACTION_BITS)) | (low >> FRACTION_BITS)
        };
        Self(signed(size, negative))
    }

    /// Quotient, rounded to the nearest.
    #[must_use]
    pub fn div(self, other: Self) -> Self {
        Self::ratio(self.0, other.0)
    }

    /// Negation.
    #[must_use]
    pub fn neg(self) -> Self {
        Self(self.0.saturating_neg())
    }

    /// Half, rounded down.
    #[must_use]
    pub fn half(self) -> Self {
        Self(self.0 >> 1)
    }

    /// `self · scale`, rounded half to even: the number in units of `1 / scale`.
    #[must_use]
    pub fn times(self, scale: i128) -> i128 {
        const HALF: u128 = 1 << (FRACTION_BITS - 1);
        let negative = (self.0 < 0) != (scale < 0);
        let (high, low) = full_mul(self.0.unsigned_abs(), scale.unsigned_abs());
        if high >> (FRACTION_BITS - 1) != 0 {
            return signed(u128::MAX, negative);
        }
        let whole = (high << (128 - FRACTION_BITS)) | (low >> FRACTION_BITS);
        let rest = low & (Self::ONE.0.unsigned_abs() - 1);
        let round_up = rest > HALF || (rest == HALF && whole & 1 == 1);
        signed(whole + u128::from(round_up), negative)
    }
}

fn signed(magnitude: u128, negative: bool) -> i128 {
    let magnitude = i128::try_from(magnitude).unwrap_or(i128::MAX);
    if negative { -magnitude } else { magnitude }
}

/// `a · b / c`, rounded half to even, saturating; `c` is not 0.
pub(crate) fn mul_div(a: u128, b: u128, c: u128) -> u128 {
    let (quotient, rest) = divide(full_mul(a, b), c);
    round_half_even(quotient, rest, c, false)
}

/// A quotient and its remainder as the nearest whole number, ties to even; `is_more` if the true
/// remainder is a little more than `rest`. Saturates.
pub(crate) fn round_half_even(quotient: u128, rest: u128, divisor: u128, is_more: bool) -> u128 {
    let round_up = match rest.cmp(&divisor.saturating_sub(rest)) {
        Ordering::Less => false,
        Ordering::Greater => true,
        Ordering::Equal => is_more || quotient & 1 == 1,
    };
    quotient.saturating_add(u128::from(round_up))
}

/// Quotient (saturated, also for 0 below) and remainder of a 256-bit number.
pub(crate) fn divide((high, low): (u128, u128), c: u128) -> (u128, u128) {
    if high >= c {
        return (u128::MAX, 0);
    }
    if high == 0 {
        return (low / c, low % c);
    }
    // Knuth's algorithm D in two digits of 64 bits: the divisor's highest bit is set first.
    let shift = c.leading_zeros();
    let c = c << shift;
    let high = if shift == 0 { high } else { (high << shift) | (low >> (128 - shift)) };
    let low = low << shift;
    let (digit_1, rest) = divide_digit(high, low >> 64, c);
    let (digit_0, rest) = divide_digit(rest, low & MASK, c);
    ((digit_1 << 64) | digit_0, rest >> shift)
}

/// One digit of `(high·2^64 + next) / c`, and the rest. `high < c`; the highest bit of `c` is set.
fn divide_digit(high: u128, next: u128, c: u128) -> (u128, u128) {
    let (c1, c0) = (c >> 64, c & MASK);
    let (mut digit, mut rest) = (high / c1, high % c1);
    // The guess is at most two too large.
    while digit > MASK || digit * c0 > ((rest << 64) | next) {
        digit -= 1;
        rest += c1;
        if rest > MASK {
            break;
        }
    }
    let all = (high << 64).wrapping_add(next);
    (digit, all.wrapping_sub(digit.wrapping_mul(c)))
}

/// The 256-bit product as (high, low).
pub(crate) fn full_mul(a: u128, b: u128) -> (u128, u128) {
    let (a1, a0) = (a >> 64, a & MASK);
    let (b1, b0) = (b >> 64, b & MASK);
    let low = a0 * b0;
    let middle = a1 * b0 + (low >> 64);
    let cross = a0 * b1 + (middle & MASK);
    let high = a1 * b1 + (middle >> 64) + (cross >> 64);
    (high, (cross << 64) | (low & MASK))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn quotient_times_divisor_plus_rest_is_the_dividend(high: u128, low: u128, c in 1u128..) {
            let (quotient, rest) = divide((high % c, low), c);
            prop_assert!(rest < c);
            let (product_high, product_low) = full_mul(quotient, c);
            let (sum, carry) = product_low.overflowing_add(rest);
            prop_assert_eq!((product_high + u128::from(carry), sum), (high % c, low));
        }

        #[test]
        fn a_product_is_within_one_unit_of_the_quotient_undone(a in -(1i128 << 120)..1 << 120) {
            let third = Fixed(a).div(Fixed(3 << 96));
            let back = third.mul(Fixed(3 << 96));
            prop_assert!((back.0 - a).abs() <= 2);
        }

        #[test]
        fn times_rounds_to_the_nearest(a in 0i128..1 << 110, scale in 1i128..1 << 60) {
            let exact = mul_div(a.unsigned_abs(), scale.unsigned_abs(), 1 << 96);
            prop_assert_eq!(Fixed(a).times(scale), i128::try_from(exact).unwrap_or(i128::MAX));
            prop_assert_eq!(Fixed(-a).times(scale), -Fixed(a).times(scale));
        }
    }

    #[test]
    fn the_ends_of_the_range_saturate() {
        assert_eq!(Fixed(i128::MAX).add(Fixed::ONE), Fixed(i128::MAX));
        assert_eq!(Fixed(i128::MAX).mul(Fixed(i128::MAX)), Fixed(i128::MAX));
        assert_eq!(Fixed::ratio(1, 0), Fixed(i128::MAX));
        assert_eq!(divide((u128::MAX, 1), 1).0, u128::MAX);
        assert_eq!(divide((u128::MAX - 1, u128::MAX), u128::MAX), (u128::MAX, u128::MAX - 1));
    }
}
