//! `a · b / c` with a 256-bit product and a named rounding.

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
    let (quotient, rest) = divide(a.unsigned_abs(), b.unsigned_abs(), c.unsigned_abs());
    let up = match rounding {
        Rounding::Floor => negative && rest > 0,
        Rounding::Ceiling => !negative && rest > 0,
        Rounding::HalfEven => {
            let (twice, over) = rest.overflowing_mul(2);
            let divisor = c.unsigned_abs();
            over || twice > divisor || (twice == divisor && quotient & 1 == 1)
        }
    };
    let size = i128::try_from(quotient.saturating_add(u128::from(up))).unwrap_or(i128::MAX);
    if negative { -size } else { size }
}

/// Quotient (saturated) and remainder of `a · b / c`.
fn divide(a: u128, b: u128, c: u128) -> (u128, u128) {
    if let Some(product) = a.checked_mul(b) {
        return product.checked_div(c).map_or((u128::MAX, 0), |whole| (whole, product % c));
    }
    let (high, low) = full_mul(a, b);
    if high >= c {
        return (u128::MAX, 0);
    }
    // Binary long division: a carry out of `rest` means that it exceeds `c` whatever it now reads.
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
fn full_mul(a: u128, b: u128) -> (u128, u128) {
    const MASK: u128 = u64::MAX as u128;
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
