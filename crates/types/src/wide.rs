//! 256-bit intermediates for `a · b / c`, so that a product may exceed 128 bits.

/// `(a · b) / c` and its remainder; `None` if the quotient exceeds 128 bits or `c` is 0.
pub(crate) fn mul_div_rem(a: u128, b: u128, c: u128) -> Option<(u128, u128)> {
    if c == 0 {
        return None;
    }
    if let Some(product) = a.checked_mul(b) {
        return Some((product / c, product % c));
    }
    let (high, low) = full_mul(a, b);
    if high >= c {
        return None;
    }
    // Binary long division: `rest` stays below `c`, a carry out of it means `rest ≥ 2^128 > c`.
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
    Some((quotient, rest))
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

    proptest! {
        #[test]
        fn quotient_times_divisor_plus_remainder_is_the_product(a: u128, b: u128, c in 1u128..) {
            if let Some((q, r)) = mul_div_rem(a, b, c) {
                prop_assert!(r < c);
                let (high, low) = full_mul(q, c);
                let (sum, carry) = low.overflowing_add(r);
                prop_assert_eq!((high + u128::from(carry), sum), full_mul(a, b));
            } else {
                prop_assert!(full_mul(a, b).0 >= c);
            }
        }
    }

    #[test]
    fn extremes_are_exact() {
        assert_eq!(mul_div_rem(u128::MAX, u128::MAX, u128::MAX), Some((u128::MAX, 0)));
        assert_eq!(mul_div_rem(u128::MAX, 2, 1), None);
        assert_eq!(mul_div_rem(1, 1, 0), None);
    }
}
