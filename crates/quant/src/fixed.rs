//! Binary fixed point: 96 fractional bits in 128.

use core::cmp::Ordering;

/// A number as a multiple of 2^-96: about 28 decimals, magnitudes below 2^31. Operations saturate at
/// the ends of the range, which no price, volatility or time of a real market comes near.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Fixed(pub i128);

/// Fractional bits of [`Fixed`].
pub const FRACTION_BITS: u32 = 96;

#[expect(clippy::should_implement_trait, reason = "operators would hide that they saturate")]
impl Fixed {
    /// 0.
    pub const ZERO: Self = Self(0);
    /// 1.
    pub const ONE: Self = Self(1 << FRACTION_BITS);

    /// `numerator / denominator`, rounded to the nearest, ties to even; saturates, also for 0 below.
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
        let negative = (self.0 < 0) != (scale < 0);
        signed(mul_div(self.0.unsigned_abs(), scale.unsigned_abs(), 1 << FRACTION_BITS), negative)
    }
}

fn signed(size: u128, negative: bool) -> i128 {
    let size = i128::try_from(size).unwrap_or(i128::MAX);
    if negative { -size } else { size }
}

/// `a · b / c`, rounded half to even, saturating; `c` is not 0.
pub(crate) fn mul_div(a: u128, b: u128, c: u128) -> u128 {
    let (quotient, rest) = divide(full_mul(a, b), c);
    let round_up = match rest.cmp(&(c - rest)) {
        Ordering::Less => false,
        Ordering::Greater => true,
        Ordering::Equal => quotient & 1 == 1,
    };
    quotient.saturating_add(u128::from(round_up))
}

/// Quotient (saturated) and remainder of a 256-bit number.
fn divide((high, low): (u128, u128), c: u128) -> (u128, u128) {
    if high == 0 {
        return (low / c, low % c);
    }
    if high >= c {
        return (u128::MAX, 0);
    }
    // Binary long division: a carry out of `rest` means that it exceeds `c`, whatever it now reads.
    let (mut rest, mut quotient) = (high, 0u128);
    for bit in (0..128).rev() {
        let carry = rest >> 127;
        rest = (rest << 1) | ((low >> bit) & 1);
        quotient <<= 1;
        if carry == 1 || rest >= c {
            rest = rest.wrapping_sub(c);
            quotient |= 1;
        }
    }
    (quotient, rest)
}

/// The 256-bit product as (high, low).
pub(crate) fn full_mul(a: u128, b: u128) -> (u128, u128) {
    const MASK: u128 = u64::MAX as u128;
    let (a1, a0) = (a >> 64, a & MASK);
    let (b1, b0) = (b >> 64, b & MASK);
    let low = a0 * b0;
    let middle = a1 * b0 + (low >> 64);
    let cross = a0 * b1 + (middle & MASK);
    let high = a1 * b1 + (middle >> 64) + (cross >> 64);
    (high, (cross << 64) | (low & MASK))
}
