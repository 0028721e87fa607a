//! GF(2^8) as QR symbols use it: modulus x⁸ + x⁴ + x³ + x² + 1, generator 2.

/// Sum and difference are the same.
pub(crate) fn mul(left: u8, right: u8) -> u8 {
    let (mut left, mut right, mut product) = (left, right, 0);
    while right != 0 {
        if right & 1 == 1 {
            product ^= left;
        }
        left = left << 1 ^ if left & 0x80 == 0 { 0 } else { 0x1d };
        right >>= 1;
    }
    product
}

/// 2 to a power.
pub(crate) fn power(exponent: usize) -> u8 {
    raised(2, exponent % 255)
}

fn raised(base: u8, exponent: usize) -> u8 {
    let (mut base, mut exponent, mut result) = (base, exponent, 1);
    while exponent != 0 {
        if exponent & 1 == 1 {
            result = mul(result, base);
        }
        base = mul(base, base);
        exponent >>= 1;
    }
    result
}

/// The inverse; of zero it is zero.
pub(crate) fn inverse(value: u8) -> u8 {
    raised(value, 254)
}

/// The value of a polynomial, lowest coefficient first.
pub(crate) fn evaluate(polynomial: &[u8], at: u8) -> u8 {
    polynomial.iter().rev().fold(0, |value, coefficient| mul(value, at) ^ coefficient)
}

/// The product of polynomials, cut off behind so many coefficients.
pub(crate) fn product(left: &[u8], right: &[u8], coefficients: usize) -> Vec<u8> {
    let mut result = vec![0; coefficients];
    for (shift, factor) in left.iter().enumerate() {
        for (place, other) in result.iter_mut().skip(shift).zip(right) {
            *place ^= mul(*factor, *other);
        }
    }
    result
}
