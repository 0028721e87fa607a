//! Fresh histories, and those that once failed.
#![allow(clippy::unwrap_used)]

use evenkeel_sim::{AIMED, Plan, TRIO, play, play_seed, shrink, story};

/// The first seed: of this run if `EVENKEEL_SEED` says one, so that every run can play new ones.
fn first_seed() -> u64 {
    std::env::var("EVENKEEL_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(1)
}

fn count() -> u64 {
    std::env::var("EVENKEEL_HISTORIES").ok().and_then(|text| text.parse().ok()).unwrap_or(150)
}

#[test]
fn nothing_acknowledged_is_lost_changed_or_applied_twice_in_any_history() {
    let first = first_seed().wrapping_mul(1_000_003);
    for at in 0..count() {
        // Every fourth history is of three hosts; half of all are aimed.
        let seed = first.wrapping_add(at) & !TRIO & !AIMED;
        let seed = seed | if at % 4 == 3 { TRIO } else { 0 };
        let seed = seed | if at / 4 % 2 == 1 { AIMED } else { 0 };
        let played = play_seed(seed, None);
        if let Some(broken) = played.broken {
            let small = shrink(&Plan::of(seed), None);
            panic!("seed {seed}: {broken}\n{}", story(&small, None));
        }
    }
}

#[test]
fn histories_that_failed_once_hold() {
    for line in include_str!("../seeds.txt").lines().filter(|line| !line.starts_with('#')) {
        let Some(seed) = line.split_whitespace().next() else { continue };
        let seed: u64 = seed.parse().unwrap();
        assert_eq!(play_seed(seed, None).broken, None, "seed {line}");
    }
}

#[test]
fn a_history_is_a_function_of_its_seed() {
    for seed in
        (0..6).chain(TRIO..TRIO + 3).chain(AIMED..AIMED + 6).chain(AIMED + TRIO..AIMED + TRIO + 3)
    {
        let [first, second] = [(); 2].map(|()| play(&Plan::of(seed), None, true));
        assert_eq!(first.story, second.story, "seed {seed}");
        assert!(first.story.len() > 3, "seed {seed}");
    }
}

#[test]
fn every_history_has_two_thousand_commands_and_three_faults() {
    for seed in (0..400).chain(TRIO..TRIO + 400).chain(AIMED..AIMED + 400) {
        let plan = Plan::of(seed);
        assert!(plan.commands >= 2_000 && plan.faults.len() >= 3, "seed {seed}");
    }
    let played = play_seed(3, None);
    assert!(played.acknowledged >= 1_900, "{} acknowledged", played.acknowledged);
}

#[test]
fn what_is_liquidated_in_histories_on_margin_is_liquidated_on_fresh_prices() {
    let plans = (AIMED..).map(Plan::of).filter(|plan| plan.on_margin).take(6);
    let mut liquidations = 0;
    for plan in plans {
        let played = play(&plan, None, false);
        assert_eq!(played.broken, None, "seed {}", plan.seed);
        liquidations += played.liquidations;
    }
    assert!(liquidations > 10, "{liquidations} steps of liquidations");
}
