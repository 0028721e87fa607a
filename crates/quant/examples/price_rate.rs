//! How long a function takes: `cargo run --release -p evenkeel-quant --example price_rate`.
//!
//! The quickest of many short rounds, so that other work on the machine hardly shows.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "measuring needs a clock")]

use evenkeel_quant::black76::{ATTO, Moneyness, Right, unit_price, value};
use evenkeel_quant::implied::implied_volatility;
use evenkeel_quant::{Fixed, functions};
use std::hint::black_box;
use std::time::Instant;

const ROUNDS: u32 = 400;
const CALLS: u32 = 500;

fn timed(what: &str, mut run: impl FnMut(usize) -> i128) {
    let mut least_ns = u128::MAX;
    let mut sum = 0i128;
    for _ in 0..ROUNDS {
        let start = Instant::now();
        for at in 0..CALLS as usize {
            sum = sum.wrapping_add(run(black_box(at)));
        }
        least_ns = least_ns.min(start.elapsed().as_nanos());
    }
    black_box(sum);
    println!("{what:20} {:6} ns", least_ns / u128::from(CALLS));
}

fn main() {
    // Made beforehand, so that only the function is timed.
    let arguments: Vec<Fixed> = (1..=i128::from(CALLS)).map(|n| Fixed::ratio(n, 100)).collect();
    timed("normal", |at| functions::normal(arguments[at]).below);
    timed("exp", |at| functions::exp(arguments[at]).0);
    timed("ln", |at| functions::ln(arguments[at]).0);
    timed("sqrt", |at| functions::sqrt(arguments[at]).0);
    timed("mul", |at| arguments[at].mul(arguments[at]).0);
    timed("div", |at| arguments[at].div(arguments[CALLS as usize - 1 - at]).0);
    let strikes = |at: usize| (40_000 + 100 * at as i128) * ATTO;
    let standings: Vec<Moneyness> =
        (0..CALLS as usize).map(|at| Moneyness::new(60_000 * ATTO, strikes(at))).collect();
    let total = Fixed::ratio(14, 100);
    timed("unit price", |at| unit_price(Right::Call, standings[at], total));
    let (years, volatility) = (Fixed::ratio(30, 365), Fixed::ratio(6, 10));
    let forward = 60_000 * ATTO;
    timed("price and Greeks", |at| value(Right::Put, forward, strikes(at), years, volatility).vega);
    let prices: Vec<i128> = (0..CALLS as usize)
        .map(|at| value(Right::Put, forward, strikes(at), years, volatility).price)
        .collect();
    timed("implied volatility", |at| {
        implied_volatility(Right::Put, forward, strikes(at), years, prices[at]).map_or(0, |v| v.0)
    });
}
