//! Random histories of the venue, of three kinds by turns, each from a seed of its own:
//!
//! - *margin*: every command over markets that walk, fall, fall silent and expire; dense in trades
//!   and liquidations. At every entry money adds up, positions cancel out, price-time priority and
//!   reduce-only hold, nothing is liquidated on stale prices, no exposure grows in grace;
//! - *orders*: orders with every term, watched from their events alone;
//! - *crashes*: prices, books, the feed and the primary fail by turns.
//!
//! In each a second engine, restored from a snapshot at an entry that the seed draws, goes on with
//! the same digests. A failure says its kind and seed.
//!
//! `cargo xtask campaign histories [--histories N] [--seed N] [--only SEED]`
#![allow(missing_docs, reason = "a campaign is a test")]
#![allow(clippy::unwrap_used, reason = "a campaign that cannot go on fails")]

#[path = "../../venue/tests/common/mod.rs"]
mod common;
#[path = "../../venue/tests/common/crash_play.rs"]
mod crash_play;
#[allow(dead_code, reason = "tests use the rest")]
#[path = "../../venue/tests/common/margin_history.rs"]
mod margin_history;
#[path = "../../venue/tests/common/margin_play.rs"]
mod margin_play;
#[path = "../../venue/tests/common/orders_play.rs"]
mod orders_play;

use common::tally::{self, Tally};
use margin_history::{MarginHistory, Seeded};
use std::sync::atomic::{AtomicU64, Ordering};

const KINDS: [&str; 3] = ["margin", "orders", "crashes"];
/// Entries of a margin history; steps of an order history.
const MARGIN_ENTRIES: usize = 1_000;
const ORDER_STEPS: usize = 600;

fn option(name: &str) -> Option<u64> {
    let mut arguments = std::env::args().skip_while(|argument| argument != name);
    arguments.nth(1).map(|value| value.parse().unwrap())
}

/// Every third is of the same kind.
fn kind_of(seed: u64) -> usize {
    usize::try_from(seed % 3).unwrap()
}

fn play(seed: u64) -> Tally {
    match kind_of(seed) {
        0 => {
            let mut seen = Tally::new();
            let history = MarginHistory::dense(Seeded(seed));
            margin_play::play(history, seed, MARGIN_ENTRIES, &mut seen);
            seen
        }
        1 => orders_play::play(seed, ORDER_STEPS).1,
        _ => crash_play::play(seed),
    }
}

/// Plays what no other worker has taken yet.
fn work(next: &AtomicU64, end: u64) -> [(u64, Tally); 3] {
    let mut all = [(); 3].map(|()| (0, Tally::new()));
    loop {
        let seed = next.fetch_add(1, Ordering::Relaxed);
        if seed >= end {
            return all;
        }
        let kind = kind_of(seed);
        let Ok(seen) = std::panic::catch_unwind(|| play(seed)) else {
            println!("FAILED: {}, seed {seed}: play it again with --only {seed}", KINDS[kind]);
            std::process::exit(1);
        };
        all[kind].0 += 1;
        tally::add(&mut all[kind].1, seen);
        if seed.is_multiple_of(10_000) {
            println!("at seed {seed}");
        }
    }
}

fn main() {
    let venue_seed = std::env::var("EVENKEEL_SEED").map_or(1, |seed| seed.parse().unwrap());
    let first = option("--only").unwrap_or(venue_seed * 1_000_000_000);
    let histories =
        if option("--only").is_some() { 1 } else { option("--histories").unwrap_or(100_000) };
    println!("histories: {histories}, from seed {first}");
    let started = std::time::Instant::now();
    let next = AtomicU64::new(first);
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    let mut all = [(); 3].map(|()| (0, Tally::new()));
    std::thread::scope(|scope| {
        let spawned = [(); 64].iter().take(workers);
        let spawned: Vec<_> =
            spawned.map(|()| scope.spawn(|| work(&next, first + histories))).collect();
        for worker in spawned {
            for ((count, sum), (played, seen)) in all.iter_mut().zip(worker.join().unwrap()) {
                *count += played;
                tally::add(sum, seen);
            }
        }
    });
    for (kind, (count, seen)) in KINDS.iter().zip(&all) {
        println!("{kind}: {count} histories");
        seen.iter().for_each(|(name, count)| println!("  {name}: {count}"));
    }
    println!("every promise held in all of them; {} s", started.elapsed().as_secs());
}
