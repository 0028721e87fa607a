//! Random histories of a venue with margin, checked at every entry. `cargo xtask campaign
//! histories` plays a hundred thousand of them.
#![allow(missing_docs, reason = "tests")]

mod common;
#[path = "common/margin_history.rs"]
mod margin_history;
#[path = "common/margin_play.rs"]
mod margin_play;

use common::tally::Tally;
use margin_history::{MarginHistory, Seeded};
use margin_play::play;

#[test]
fn random_histories_keep_every_promise_at_every_entry() {
    let mut seen = Tally::new();
    for seed in 0..60 {
        play(MarginHistory::new(Seeded(seed)), seed, 1_500, &mut seen);
    }
    // A few that are long enough to pass expiries and ends of funding intervals.
    for seed in 60..64 {
        play(MarginHistory::new(Seeded(seed)), seed, 15_000, &mut seen);
    }
    println!("{seen:?}");
    for kind in ["trades", "expiries and settlements", "fundings", "triggers", "busts", "calls"] {
        assert!(seen.get(kind).is_some_and(|count| *count > 5), "{kind}: {seen:?}");
    }
}

#[test]
fn dense_histories_liquidate_by_the_dozen_and_keep_every_promise() {
    let mut seen = Tally::new();
    for seed in 0..60 {
        play(MarginHistory::dense(Seeded(seed)), seed, 800, &mut seen);
    }
    println!("{seen:?}");
    for kind in ["trades", "liquidations begun", "takeovers", "graces", "triggers", "calls"] {
        assert!(seen.get(kind).is_some_and(|count| *count > 12), "{kind}: {seen:?}");
    }
}
