//! GF(2⁸) modulo x⁸ + x⁴ + x³ + x + 1, the field of SLIP-0039 (and of AES), and Lagrange
//! interpolation over it.
//!
//! No tables: a logarithm looked up by a byte of a secret would leave its trace in the cache.

use zeroize::Zeroizing;

/// A point of a polynomial for each byte of a secret: the place, and the values there.
#[derive(Clone, Copy)]
pub(crate) struct Point<'a> {
    pub(crate) x: u8,
    pub(crate) y: &'a [u8],
}

/// The product, by eight steps that are the same for all factors.
pub(crate) fn multiply(left: u8, right: u8) -> u8 {
    let (mut left, mut right, mut product) = (left, right, 0_u8);
    for _ in 0..8 {
        product ^= left & mask(right & 1);
        let overflow = mask(left >> 7);
        left = (left << 1) ^ (0x1b & overflow);
        right >>= 1;
    }
    product
}

/// All ones for 1, zero for 0. The compiler is not told that there are only these two.
fn mask(bit: u8) -> u8 {
    std::hint::black_box(bit).wrapping_neg()
}

/// The inverse, a²⁵⁴; of 0 it is 0.
fn invert(value: u8) -> u8 {
    let mut inverse = 1;
    let mut power = value;
    // 254 = 2 + 4 + 8 + … + 128
    for _ in 0..7 {
        power = multiply(power, power);
        inverse = multiply(inverse, power);
    }
    inverse
}

/// The values at `x` of the polynomials of least degree through `points`.
///
/// The places have to differ from each other and the values to be equally many: the caller has
/// checked it. At a place of its own the point itself comes out.
pub(crate) fn interpolate(points: &[Point<'_>], x: u8) -> Zeroizing<Vec<u8>> {
    let count_bytes = points.first().map_or(0, |point| point.y.len());
    let mut values = Zeroizing::new(vec![0; count_bytes]);
    for point in points {
        // Places are no secret.
        let mut above = 1;
        let mut below = 1;
        for other in points.iter().filter(|other| other.x != point.x) {
            above = multiply(above, x ^ other.x);
            below = multiply(below, point.x ^ other.x);
        }
        let weight = multiply(above, invert(below));
        for (value, y) in values.iter_mut().zip(point.y) {
            *value ^= multiply(weight, *y);
        }
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Another way to the same product: long multiplication of polynomials, then the remainder.
    fn by_the_book(left: u8, right: u8) -> u8 {
        let mut wide = 0_u16;
        for bit in (0..8).filter(|bit| right >> bit & 1 == 1) {
            wide ^= u16::from(left) << bit;
        }
        for bit in (8..15).rev() {
            if wide >> bit & 1 == 1 {
                wide ^= 0x11b << (bit - 8);
            }
        }
        u8::try_from(wide).unwrap()
    }

    #[test]
    fn every_product_is_the_remainder_of_the_long_multiplication() {
        for left in 0..=255 {
            for right in 0..=255 {
                assert_eq!(multiply(left, right), by_the_book(left, right), "{left} * {right}");
            }
        }
    }

    #[test]
    fn every_value_but_zero_times_its_inverse_is_one() {
        assert!((1..=255).all(|value| multiply(value, invert(value)) == 1));
        assert_eq!(invert(0), 0);
    }

    #[test]
    fn points_of_a_polynomial_give_it_back_everywhere() {
        // 7 + 3x + 200x²
        let at = |x: u8| 7 ^ multiply(3, x) ^ multiply(200, multiply(x, x));
        let values: Vec<[u8; 1]> = [0, 5, 254].map(|x| [at(x)]).to_vec();
        let points: Vec<Point<'_>> =
            [0, 5, 254].into_iter().zip(&values).map(|(x, y)| Point { x, y }).collect();
        for x in 0..=255 {
            assert_eq!(interpolate(&points, x).as_slice(), [at(x)], "at {x}");
        }
    }
}
