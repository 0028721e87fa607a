//! How long one price takes: `cargo run --release -p evenkeel-quant --example price_rate`.

use evenkeel_quant::black76::{ATTO, Moneyness, Right, unit_price};
use evenkeel_quant::{Fixed, functions};
use std::hint::black_box;
use std::time::Instant;

const ROUNDS: u32 = 200_000;

fn timed(what: &str, mut run: impl FnMut(u32) -> i128) {
    let start = Instant::now();
    let mut sum = 0i128;
    for round in 0..ROUNDS {
        sum = sum.wrapping_add(run(black_box(round)));
    }
    black_box(sum);
    println!("{what:10} {:6} ns", start.elapsed().as_nanos() / u128::from(ROUNDS));
}

fn main() {
    let hundredth = |n: u32| Fixed::ratio(i128::from(n % 500) + 1, 100);
    timed("normal", |n| functions::normal(hundredth(n)).below);
    timed("exp", |n| functions::exp(hundredth(n)).0);
    timed("ln", |n| functions::ln(hundredth(n)).0);
    timed("sqrt", |n| functions::sqrt(hundredth(n)).0);
    let at = Moneyness::new(60_000 * ATTO, 65_000 * ATTO);
    let total = Fixed::ratio(14, 100);
    timed("unit price", |n| {
        let moved = Moneyness { log: Fixed(at.log.0 + i128::from(n)), ..at };
        unit_price(Right::Call, moved, total)
    });
}
