//! How long a portfolio's risk matrix takes from nothing cached:
//! `cargo run --release -p evenkeel-quant --example scenario_rate`.

#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "measuring needs a clock")]

use evenkeel_quant::Fixed;
use evenkeel_quant::black76::Right;
use evenkeel_quant::portfolio::{ATTO, PRICE_ONE, PortfolioParameters};
use evenkeel_quant::risk::{Leg, RiskMarket, RiskModel, RiskSums};
use evenkeel_quant::scenarios::{FutureLot, OptionLot, Settlement};
use std::hint::black_box;
use std::time::Instant;

const LEGS: u64 = 50;
const ROUNDS: u32 = 400;
const DAY_MS: u64 = 86_400_000;

/// An option of a portfolio that spreads over strikes and expiries.
fn option(at: u64) -> OptionLot {
    let spread = i128::from(at);
    OptionLot {
        settlement: Settlement::Coin,
        right: if at.is_multiple_of(2) { Right::Call } else { Right::Put },
        coins: ATTO / 10,
        forward: 65_000 * PRICE_ONE,
        strike: (40_000 + 1_000 * spread) * PRICE_ONE,
        volatility: Fixed::ratio(45 + spread, 100),
        left_ms: (1 + at % 7 * 13) * DAY_MS,
    }
}

/// Prints the mean and, because others may use the machine too, the best of a hundred batches.
fn timed(what: &str, rounds: u32, mut run: impl FnMut(u32) -> i128) {
    const BATCHES: u32 = 100;
    let (mut sum, mut best_ns, mut all_ns) = (0i128, u128::MAX, 0);
    for batch in 0..BATCHES {
        let start = Instant::now();
        for round in 0..rounds / BATCHES {
            sum = sum.wrapping_add(run(black_box(batch * (rounds / BATCHES) + round)));
        }
        let ns = start.elapsed().as_nanos() / u128::from(rounds / BATCHES);
        (best_ns, all_ns) = (best_ns.min(ns), all_ns + ns);
    }
    black_box(sum);
    let mean_ns = all_ns / u128::from(BATCHES);
    let us = |ns: u128| format!("{}.{:03} µs", ns / 1_000, ns % 1_000);
    println!("{what:44} best {:>12}  mean {:>12}", us(best_ns), us(mean_ns));
}

fn main() {
    let model = RiskModel::new(&PortfolioParameters::BTC).expect("the published parameters");
    let market =
        RiskMarket { settlement: Settlement::Coin, index_price: 65_000 * PRICE_ONE, now_ms: 0 };
    let options: Vec<OptionLot> = (0..LEGS).map(option).collect();
    let mut vector = vec![0i128; model.grid().scenarios()];
    timed("35 scenarios of one option", ROUNDS * 50, |round| {
        let lot = OptionLot { left_ms: options[round as usize % 50].left_ms, ..options[7] };
        model.grid().option_into(&lot, &mut vector)
    });
    let lot = FutureLot { settlement: Settlement::Coin, coins: ATTO, price: 0 };
    timed("35 scenarios of one future", ROUNDS * 50, |_| {
        model.grid().future_into(black_box(&lot), &mut vector);
        vector[0]
    });
    timed("35 scenarios x 50 legs, priced and summed", ROUNDS, |round| {
        let mut sums = RiskSums::new(model.grid().scenarios());
        for (at, option) in (0i64..).zip(&options) {
            let delta = model.grid().option_into(option, &mut vector);
            let leg =
                Leg { vector: &vector, delta, expiry_ms: Some(option.left_ms), is_option: true };
            sums.add(&leg, i64::from(round) - 7 * at);
        }
        model.assess(&sums, &market).total()
    });
    let cached: Vec<(Vec<i128>, i128)> =
        options.iter().map(|option| model.grid().option(option)).collect();
    let leg = |at: usize| Leg {
        vector: &cached[at].0,
        delta: cached[at].1,
        expiry_ms: Some(options[at].left_ms),
        is_option: true,
    };
    timed("50 cached legs summed, matrix", ROUNDS * 50, |round| {
        let mut sums = RiskSums::new(model.grid().scenarios());
        for (at, lots) in (0..options.len()).zip(0i64..) {
            sums.add(&leg(at), i64::from(round) - 7 * lots);
        }
        model.assess(&sums, &market).total()
    });
    let mut sums = RiskSums::new(model.grid().scenarios());
    timed("one fill: a leg changed, matrix", ROUNDS * 500, |round| {
        let lots = i64::from(round);
        sums.change(&leg(3), lots, lots + 1);
        model.assess(&sums, &market).total()
    });
}
