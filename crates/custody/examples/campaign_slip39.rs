//! Random SLIP-39 policies, split here and recovered by the reference implementation, and the
//! reverse: there must be no disagreement.
//!
//! `cargo xtask campaign slip39 [--policies N] [--seed N]`
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a campaign that cannot go on fails"
)]

#[path = "../tests/slip39/reference.rs"]
mod reference;
#[allow(dead_code, reason = "shared with tests that use more of it")]
#[path = "../tests/slip39/support.rs"]
mod support;

use std::process::ExitCode;
use std::time::Instant;

use reference::{Reference, Tally};
use support::{Seeded, vectors};

/// Exponents that are too slow to draw often; each is tried once.
const SLOW_EXPONENTS: std::ops::RangeInclusive<u8> = 3..=8;

fn argument(name: &str, default: u64) -> u64 {
    let mut words = std::env::args();
    let found = words.by_ref().find(|word| word == name).and_then(|_| words.next());
    found.map_or(default, |word| word.parse().expect("a number"))
}

fn main() -> ExitCode {
    let seed = std::env::var("EVENKEEL_SEED").map_or(1, |seed| seed.parse().expect("a number"));
    let mut random = Seeded::new(argument("--seed", seed));
    let policies = argument("--policies", 10_000);
    let Some(wheel) = vectors("shamir_mnemonic-0.3.0-py3-none-any.whl") else {
        eprintln!("set EVENKEEL_DATA to the folder that holds vectors/");
        return ExitCode::FAILURE;
    };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut reference = Reference::start(&wheel, folder.path()).expect("the reference");
    let begun = Instant::now();
    let mut tally = Tally::default();
    let slow = SLOW_EXPONENTS.map(Some);
    let drawn = std::iter::repeat_n(None, usize::try_from(policies).expect("a count"));
    for (done, exponent) in (1_u64..).zip(slow.chain(drawn)) {
        let exponent = exponent.unwrap_or_else(|| random.between(0, 2));
        reference.try_one(&mut random, exponent, &mut tally).expect("both ran");
        if done % 500 == 0 {
            eprintln!("{done}: {} s", begun.elapsed().as_secs());
        }
    }
    for disagreement in &tally.disagreements {
        println!("{disagreement}");
    }
    println!(
        "{} policies split here and recovered by the reference, {} the reverse, {} cards: {} \
         disagreements, {} s",
        tally.ours_by_them,
        tally.theirs_by_us,
        tally.cards,
        tally.disagreements.len(),
        begun.elapsed().as_secs()
    );
    if tally.disagreements.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
