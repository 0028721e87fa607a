//! Random histories of a venue with margin: at every entry money adds up and positions cancel out;
//! margin that is kept is margin computed from nothing; an engine restored midway goes on with the
//! same digests.
//!
//! `cargo xtask campaign histories [--histories N] [--entries N] [--seed N]`
#![allow(clippy::unwrap_used, reason = "a campaign that cannot go on fails")]

#[path = "../../venue/tests/common/margin_history.rs"]
mod margin_history;
#[path = "../../venue/tests/common/margin_play.rs"]
mod margin_play;

use margin_play::{Seen, play};

fn option(name: &str, otherwise: u64) -> u64 {
    let mut arguments = std::env::args().skip_while(|argument| argument != name);
    arguments.nth(1).map_or(otherwise, |value| value.parse().unwrap())
}

fn main() {
    let seed = std::env::var("EVENKEEL_SEED").map_or(1, |seed| seed.parse().unwrap());
    let (histories, entries) = (option("--histories", 100_000), option("--entries", 250));
    let entries = usize::try_from(entries).unwrap();
    let first = seed * 1_000_000_000;
    println!("histories: {histories} of {entries} entries, seed {seed}");
    let halves = [first..first + histories / 2, first + histories / 2..first + histories];
    let workers = halves.map(|seeds| {
        std::thread::spawn(move || {
            let mut seen = Seen::new();
            for seed in seeds {
                play(seed, entries, &mut seen);
            }
            seen
        })
    });
    let mut all = Seen::new();
    for worker in workers {
        for (name, count) in worker.join().unwrap() {
            *all.entry(name).or_default() += count;
        }
    }
    println!("every promise held; seen: {all:?}");
}
