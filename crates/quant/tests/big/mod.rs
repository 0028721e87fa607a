//! The same functions by their plainest series, on integers of any length with 320 fractional bits.
//! Arguments and results in units of 2^-96.

#![allow(dead_code, reason = "each test takes what it needs")]

use num_bigint::BigInt;

/// Fractional bits of the wide numbers.
pub const BITS: usize = 320;

/// A [`Fixed`](evenkeel_quant::Fixed) as a wide number.
pub fn wide(x: i128) -> BigInt {
    BigInt::from(x) << (BITS - 96)
}

fn narrow(x: &BigInt) -> i128 {
    let half = BigInt::from(1) << (BITS - 97);
    i128::try_from((x + half) >> (BITS - 96)).expect("a result in range")
}

fn exp_wide(x: &BigInt) -> BigInt {
    // e^x = (e^(x / 2^8))^(2^8).
    let small = x >> 8;
    let one = BigInt::from(1) << BITS;
    let (mut term, mut sum) = (one.clone(), one);
    for n in 1..80 {
        term = ((term * &small) >> BITS) / n;
        sum += &term;
    }
    for _ in 0..8 {
        sum = (&sum * &sum) >> BITS;
    }
    sum
}

/// `e^x`.
pub fn exp(x: i128) -> i128 {
    narrow(&exp_wide(&wide(x)))
}

/// `√x`.
pub fn sqrt(x: i128) -> i128 {
    narrow(&(wide(x) << BITS).sqrt())
}

/// Φ(x) and φ(x); Φ(x) = 1/2 + φ(x) (x + x³/3 + x⁵/15 + …) (Abramowitz & Stegun 26.2.11).
pub fn normal_wide(x: &BigInt) -> (BigInt, BigInt) {
    let one = BigInt::from(1) << BITS;
    // Beyond it both are below 2^-210.
    if x > &(&one * 17) {
        return (one, BigInt::ZERO);
    }
    if x < &(&one * -17) {
        return (BigInt::ZERO, BigInt::ZERO);
    }
    let square = (x * x) >> BITS;
    let (mut term, mut sum) = (x.clone(), x.clone());
    for n in 1..900 {
        term = ((term * &square) >> BITS) / (2 * n + 1);
        sum += &term;
    }
    let doubled: BigInt = pi() * 2;
    let root = (doubled << BITS).sqrt();
    let density = (exp_wide(&(-square >> 1)) << BITS) / root;
    let half = one >> 1;
    (half + ((&density * sum) >> BITS), density)
}

/// Φ(x) and φ(x).
pub fn normal(x: i128) -> (i128, i128) {
    let (below, density) = normal_wide(&wide(x));
    (narrow(&below), narrow(&density))
}

/// ln x.
pub fn ln(x: i128) -> i128 {
    let bits = i128::from(127 - x.leading_zeros()) - 96;
    // The nearest power of two, with ln 2 to six digits, is a near enough start.
    let start = bits * ((1i128 << 96) / 1_000_000 * 693_147);
    narrow(&ln_ratio_wide(x, 1 << 96, start))
}

/// ln(a / b): Halley's method on `e^y`, which triples the digits of `start` five times.
pub fn ln_ratio_wide(a: i128, b: i128, start: i128) -> BigInt {
    let x = (BigInt::from(a) << BITS) / b;
    let mut y = wide(start);
    for _ in 0..5 {
        let power = exp_wide(&y);
        let step: BigInt = ((&x - &power) << (BITS + 1)) / (&x + &power);
        y += step;
    }
    y
}

/// Machin: π = 16 arctan(1/5) − 4 arctan(1/239).
fn pi() -> BigInt {
    fn arctan_of_reciprocal(n: i32) -> BigInt {
        let one = BigInt::from(1) << BITS;
        let (mut power, mut sum) = (&one / n, &one / n);
        for k in 1..160 {
            power = -power / (n * n);
            sum += &power / (2 * k + 1);
        }
        sum
    }
    arctan_of_reciprocal(5) * 16 - arctan_of_reciprocal(239) * 4
}
