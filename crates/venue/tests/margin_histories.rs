//! Random histories of a venue with margin, checked at every entry. `cargo xtask campaign
//! histories` plays a hundred thousand of them.

#[path = "common/margin_history.rs"]
mod margin_history;
#[path = "common/margin_play.rs"]
mod margin_play;

use margin_play::{Seen, play};

#[test]
fn random_histories_keep_every_promise_at_every_entry() {
    let mut seen = Seen::new();
    for seed in 0..60 {
        play(seed, 1_500, &mut seen);
    }
    // A few that are long enough to pass expiries and ends of funding intervals.
    for seed in 60..64 {
        play(seed, 15_000, &mut seen);
    }
    println!("{seen:?}");
    for kind in ["trades", "settlements", "fundings", "triggers", "busts", "calls"] {
        assert!(seen.get(kind).is_some_and(|count| *count > 5), "{kind}: {seen:?}");
    }
}
