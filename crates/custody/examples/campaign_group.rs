//! Holders of a group key, one of whom does wrong at random: the others name who it was, or say why
//! nobody can tell; nobody honest is ever accused.
//!
//! `cargo xtask campaign group [--trials N] [--seed N]`
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a campaign that cannot go on fails"
)]

#[path = "../tests/group/forge.rs"]
mod forge;
#[path = "../tests/group/spoil.rs"]
mod spoil;
#[path = "../tests/slip39/support.rs"]
#[allow(dead_code, reason = "shared with tests that use more of it")]
mod support;
#[path = "../tests/group/world.rs"]
#[allow(dead_code, reason = "shared with tests that use more of it")]
mod world;

use std::process::ExitCode;
use std::time::Instant;

use evenkeel_custody::group::{Ed25519, Secp256k1};
use spoil::{ALL, Desk, Tally};
use support::Seeded;

fn argument(name: &str, default: u64) -> u64 {
    let mut words = std::env::args();
    let found = words.by_ref().find(|word| word == name).and_then(|_| words.next());
    found.map_or(default, |word| word.parse().expect("a number"))
}

fn main() -> ExitCode {
    let seed = std::env::var("EVENKEEL_SEED").map_or(1, |seed| seed.parse().expect("a number"));
    let mut random = Seeded::new(argument("--seed", seed));
    let trials = usize::try_from(argument("--trials", 10_000)).expect("a count");
    let begun = Instant::now();
    let sizes = [(2, 2), (3, 2), (4, 3), (5, 3)];
    let desks: Vec<(Desk, Desk)> = sizes
        .iter()
        .map(|(n, t)| {
            let edwards = Desk::new::<Ed25519>(*n, *t, &mut random);
            (edwards, Desk::new::<Secp256k1>(*n, *t, &mut random))
        })
        .collect();
    let mut tally = Tally::default();
    for trial in 0..trials {
        let wrong = ALL[trial % ALL.len()];
        let draw = usize::from(random.between(0, 7));
        let (edwards, secp) = &desks[draw / 2];
        if draw % 2 == 0 {
            edwards.try_one::<Ed25519>(wrong, &mut random, &mut tally);
        } else {
            secp.try_one::<Secp256k1>(wrong, &mut random, &mut tally);
        }
        if (trial + 1) % 500 == 0 {
            eprintln!("{}: {} s", trial + 1, begun.elapsed().as_secs());
        }
    }
    for failure in &tally.failures {
        println!("{failure}");
    }
    println!(
        "{trials} trials: {} named, {} silent and named, {} cannot be told and said why, {} \
         harmless; {} wrong, {} s",
        tally.named,
        tally.silent,
        tally.cannot_tell,
        tally.harmless,
        tally.failures.len(),
        begun.elapsed().as_secs()
    );
    if tally.failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
