//! `a · b / c` with a 256-bit product and a named rounding.

use crate::fixed::{divide, full_mul, round_half_even};

/// How a quotient that is not whole becomes whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rounding {
    /// Toward negative infinity.
    Floor,
    /// Toward positive infinity.
    Ceiling,
    /// To the nearest, ties to even.
    HalfEven,
}

/// `a · b / c` for `c > 0`. A quotient beyond 128 bits saturates: no amount of money is that large,
/// and a saturated margin is refused rather than passed.
pub(crate) fn mul_div(a: i128, b: i128, c: i128, rounding: Rounding) -> i128 {
    debug_assert!(c > 0, "divisors are checked where they enter");
    let negative = (a < 0) != (b < 0);
    let product = full_mul(a.unsigned_abs(), b.unsigned_abs());
    let (quotient, rest) = divide(product, c.unsigned_abs());
    let up = match rounding {
        Rounding::Floor => negative && rest > 0,
        Rounding::Ceiling => !negative && rest > 0,
        Rounding::HalfEven => round_half_even(quotient, rest, c.unsigned_abs(), false) != quotient,
    };
    let size = i128::try_from(quotient.saturating_add(u128::from(up))).unwrap_or(i128::MAX);
    if negative { -size } else { size }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn each_rounding_goes_its_own_way_on_both_sides_of_zero() {
        let all = |a| {
            [Rounding::Floor, Rounding::Ceiling, Rounding::HalfEven].map(|r| mul_div(a, 1, 2, r))
        };
        assert_eq!(all(5), [2, 3, 2]);
        assert_eq!(all(7), [3, 4, 4]);
        assert_eq!(all(-5), [-3, -2, -2]);
        assert_eq!(all(-7), [-4, -3, -4]);
        assert_eq!(all(6), [3, 3, 3]);
    }

    #[test]
    fn a_product_beyond_128_bits_is_exact_and_a_quotient_beyond_them_saturates() {
        let large = i128::MAX;
        assert_eq!(mul_div(large, large, large, Rounding::Floor), large);
        assert_eq!(mul_div(large, -large, large, Rounding::Ceiling), -large);
        assert_eq!(mul_div(large, 4, 2, Rounding::Floor), large);
        assert_eq!(mul_div(large, -4, 2, Rounding::Floor), -large);
    }

    proptest! {
        #[test]
        fn quotients_are_within_one_of_the_truth(
            a in -(1i128 << 120)..(1i128 << 120), b in -(1i128 << 60)..(1i128 << 60),
            c in 1i128..(1i128 << 100),
        ) {
            let low = mul_div(a, b, c, Rounding::Floor);
            let high = mul_div(a, b, c, Rounding::Ceiling);
            let near = mul_div(a, b, c, Rounding::HalfEven);
            prop_assert!(low <= near && near <= high && high.saturating_sub(low) <= 1);
            prop_assert_eq!(mul_div(-a, b, c, Rounding::Ceiling), -low);
            if let Some(product) = a.checked_mul(b) {
                prop_assert_eq!(low, product.div_euclid(c));
            }
        }
    }
}
