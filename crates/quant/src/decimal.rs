//! Decimal numbers as they are written, brought to whole units with one rounding.

use crate::fixed::{Fixed, divide, full_mul, round_half_even};

/// `mantissa · 10^exponent`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decimal {
    /// All digits of the number, with its sign.
    pub mantissa: i128,
    /// The power of ten of its last digit.
    pub exponent: i32,
}

/// The largest power of ten in 128 bits.
const POWER_MAX: u32 = 38;

impl Decimal {
    /// In units of `1 / scale`, for a positive scale; rounded once, half to even; saturates.
    ///
    /// ```
    /// use evenkeel_quant::decimal::Decimal;
    /// let number = Decimal { mantissa: 25, exponent: -1 };
    /// assert_eq!((number.in_units(1), number.in_units(1_000)), (2, 2_500));
    /// ```
    #[must_use]
    pub fn in_units(self, scale: i128) -> i128 {
        let (digits, scale) = (self.mantissa.unsigned_abs(), scale.unsigned_abs());
        let power = self.exponent.unsigned_abs();
        let size = if self.exponent >= 0 {
            raised(digits, scale, power)
        } else {
            lowered(digits, scale, power)
        };
        let size = i128::try_from(size).unwrap_or(i128::MAX);
        if self.mantissa < 0 { -size } else { size }
    }

    /// As a [`Fixed`], rounded half to even; saturates.
    #[must_use]
    pub fn to_fixed(self) -> Fixed {
        Fixed(self.in_units(Fixed::ONE.0))
    }
}

/// `digits · scale · 10^power`.
fn raised(digits: u128, scale: u128, power: u32) -> u128 {
    if digits == 0 {
        return 0;
    }
    let ten = 10u128.checked_pow(power).and_then(|ten| ten.checked_mul(digits));
    ten.and_then(|all| all.checked_mul(scale)).unwrap_or(u128::MAX)
}

/// `digits · scale / 10^power`, rounded half to even.
fn lowered(digits: u128, scale: u128, power: u32) -> u128 {
    let product = full_mul(digits, scale);
    if power <= POWER_MAX {
        let divisor = 10u128.pow(power);
        let (quotient, rest) = divide(product, divisor);
        return round_half_even(quotient, rest, divisor, false);
    }
    // The product is below 2^254, less than half of 10^77.
    if power > 2 * POWER_MAX {
        return 0;
    }
    let (head, tail) = divide(product, 10u128.pow(POWER_MAX));
    let divisor = 10u128.pow(power - POWER_MAX);
    round_half_even(head / divisor, head % divisor, divisor, tail != 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decimal(mantissa: i128, exponent: i32) -> Decimal {
        Decimal { mantissa, exponent }
    }

    #[test]
    fn halves_go_to_the_even_neighbour_and_anything_beyond_a_half_goes_up() {
        let units = [5, 15, 25, -5, -15, 6, 4].map(|tenths| decimal(tenths, -1).in_units(1));
        assert_eq!(units, [0, 2, 2, 0, -2, 1, 0]);
        // The digit that decides lies far beyond those that are held.
        let half = 5 * 10i128.pow(37);
        assert_eq!(decimal(half, -56).in_units(10i128.pow(18)), 0);
        assert_eq!(decimal(half + 1, -56).in_units(10i128.pow(18)), 1);
        assert_eq!(decimal(half - 1, -56).in_units(10i128.pow(18)), 0);
    }

    #[test]
    fn the_ends_saturate_and_vanish() {
        assert_eq!(decimal(1, 60).in_units(1), i128::MAX);
        assert_eq!(decimal(-1, i32::MAX).in_units(1), -i128::MAX);
        assert_eq!(decimal(0, i32::MAX).in_units(1), 0);
        for exponent in [-77, -78, -1_000, i32::MIN] {
            assert_eq!(decimal(i128::MAX, exponent).in_units(i128::MAX), 0);
        }
        assert_eq!(decimal(i128::MAX, -76).in_units(i128::MAX), 3);
        assert_eq!(decimal(1, 0).to_fixed(), Fixed::ONE);
        assert_eq!(decimal(-5, -1).to_fixed(), Fixed::ONE.half().neg());
    }

    proptest! {
        #[test]
        fn zeros_at_the_end_change_nothing(
            mantissa in -(1i128 << 60)..1 << 60, exponent in -60i32..10, zeros in 0u32..18,
            scale in 1i128..1 << 100,
        ) {
            let longer = decimal(
                mantissa * 10i128.pow(zeros),
                exponent - i32::try_from(zeros).unwrap_or(0),
            );
            prop_assert_eq!(longer.in_units(scale), decimal(mantissa, exponent).in_units(scale));
        }
    }
}
