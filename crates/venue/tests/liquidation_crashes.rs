//! Random crashes: whatever prices, books and the feed do, money is conserved at every entry, longs
//! and shorts cancel out, and an engine restored midway says the same to the end.
#![allow(missing_docs, reason = "tests")]

mod common;
#[path = "common/crash_play.rs"]
mod crash_play;

use common::tally::{self, Tally};
use crash_play::{Move, Rules, TRADED, crash, play};
use evenkeel_types::Side;
use evenkeel_types::event::WaterfallStep;
use evenkeel_types::terms::{Delivery, LossRule};
use proptest::prelude::*;
use std::collections::BTreeMap;

const RULES: Rules = Rules {
    loss: LossRule::AutoDeleverage,
    delivery: Delivery::Cash,
    grace_ms: 0,
    verify_every: 1,
    restore_at: 200,
};

fn moves() -> impl Strategy<Value = Move> {
    let side = prop_oneof![Just(Side::Buy), Just(Side::Sell)];
    prop_oneof![
        6 => (-180i64..120, 20u32..250)
            .prop_map(|(thousandths, percent)| Move::Price { thousandths, percent }),
        6 => (3u64..9, 0..TRADED.len(), side, 1i64..100).prop_map(
            |(account, instrument, side, tenths)| Move::Trade { account, instrument, side, tenths }
        ),
        4 => (0..TRADED.len(), 0i64..400, 1i64..5_000).prop_map(
            |(instrument, spread_bp, lots)| Move::Quote { instrument, spread_bp, lots }
        ),
        1 => Just(Move::Withdraw),
        1 => (1u64..40).prop_map(|seconds| Move::Silence { seconds }),
        1 => Just(Move::Resume),
        1 => (1i128..50_000).prop_map(|dollars| Move::Feed { dollars }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_crash_conserves_money_at_every_entry(
        steps in prop::collection::vec(moves(), 20..90),
        socialises: bool,
        delivers: bool,
    ) {
        let loss = if socialises { LossRule::Socialise } else { LossRule::AutoDeleverage };
        let delivery = if delivers { Delivery::Physical } else { Delivery::Cash };
        let restore_at = 100 + steps.len();
        crash(Rules { loss, delivery, restore_at, ..RULES }, &steps);
    }
}

#[test]
fn crashes_reach_every_stage_of_the_waterfall() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;
    let mut runner = TestRunner::deterministic();
    let mut seen: BTreeMap<WaterfallStep, u32> = BTreeMap::new();
    for number in 0..40 {
        let steps = prop::collection::vec(moves(), 80).new_tree(&mut runner).expect("moves");
        let rules = [LossRule::AutoDeleverage, LossRule::Socialise];
        for (step, count) in crash(Rules { loss: rules[number % 2], ..RULES }, &steps.current()).0 {
            *seen.entry(step).or_default() += count;
        }
    }
    use WaterfallStep::{
        Began, Deleveraged, NoLiquidity, Recovered, Reduced, Socialised, TakenOver, WaitsForPrices,
    };
    for step in
        [Began, Reduced, NoLiquidity, TakenOver, Deleveraged, Socialised, Recovered, WaitsForPrices]
    {
        assert!(seen.get(&step).is_some_and(|count| *count > 3), "{step:?} in {seen:?}");
    }
}

#[test]
fn crashes_with_resumes_give_grace_and_never_let_exposure_grow_in_it() {
    let mut seen = Tally::new();
    for seed in 0..40 {
        tally::add(&mut seen, play(seed));
    }
    println!("{seen:?}");
    for kind in ["trades", "liquidations begun", "graces", "takeovers", "expiries and settlements"]
    {
        assert!(seen.get(kind).is_some_and(|count| *count > 20), "{kind}: {seen:?}");
    }
}
