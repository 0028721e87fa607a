//! Sheets beyond what is asked of them: how much of a symbol may be covered, how much everything at
//! once, and whether any misreading passes.
//!
//! `cargo xtask campaign sheets [--places N] [--misreadings N] [--seed N]`
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "a campaign that cannot go on fails"
)]

#[allow(dead_code, reason = "shared with tests that use more of it")]
#[path = "../tests/pictures/degrade.rs"]
mod degrade;
#[allow(dead_code, reason = "shared with tests that use more of it")]
#[path = "../tests/pictures/world.rs"]
mod world;

use std::process::ExitCode;
use std::time::Instant;

use degrade::Seeded;
use evenkeel_custody::slip39::word;
use evenkeel_sheets::sheet::{SYMBOL_VERSIONS, Scheme, check_words};
use world::{Tally, printed, spoiled};

/// Parts of a symbol's area that are covered; the second is asked for.
const PARTS: [f64; 5] = [0.10, 0.125, 0.15, 0.20, 0.25];
const DEGREES: [f64; 4] = [0.0, 10.0, 20.0, 30.0];

fn argument(name: &str, default: u64) -> u64 {
    let mut words = std::env::args();
    let found = words.by_ref().find(|word| word == name).and_then(|_| words.next());
    found.map_or(default, |word| word.parse().expect("a number"))
}

fn main() -> ExitCode {
    let seed = std::env::var("EVENKEEL_SEED").map_or(1, |seed| seed.parse().expect("a number"));
    let mut random = Seeded::new(argument("--seed", seed));
    let places = argument("--places", 40) as usize;
    let begun = Instant::now();
    let mut asked = Tally::default();
    println!("covered by a square, at {places} places each, turned by 0, 10, 20 and 30°:");
    for part in PARTS {
        for version in SYMBOL_VERSIONS {
            let tally = covered(version, part, places, &mut random);
            println!(
                "  {:>4.1} % of version {:>2}: {:>4} of {:>4} read ({} by finders, {} by targets, \
                 {} by mesh)",
                part * 100.0,
                version.number(),
                tally.read,
                tally.of,
                tally.finders,
                tally.targets,
                tally.mesh
            );
            if part <= 0.125 {
                asked.read += tally.read;
                asked.of += tally.of;
            }
        }
    }
    for hardship in [0.5, 0.75, 1.0] {
        let mut tally = Tally::default();
        for version in SYMBOL_VERSIONS {
            let printed = printed(version, &mut random);
            for _ in 0..places {
                tally.add(printed.is_read(&spoiled(&printed, hardship, &mut random)));
            }
        }
        println!("everything at once, {hardship}: {tally:?}");
    }
    let undetected = misreadings(argument("--misreadings", 1_000_000), &mut random);
    println!("{} s", begun.elapsed().as_secs());
    if asked.read == asked.of && undetected == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn covered(
    version: evenkeel_sheets::qr::Version,
    part: f64,
    places: usize,
    random: &mut Seeded,
) -> Tally {
    let mut tally = Tally::default();
    let printed = printed(version, random);
    for (_, level) in (0..places).zip([0, 255, 128].into_iter().cycle()) {
        let picture = printed.covered(part, level, random);
        for degrees in DEGREES {
            tally.add(printed.is_read(&degrade::turn(&picture, degrees)));
        }
    }
    tally
}

/// Random words, some of them and of their check words exchanged for others.
fn misreadings(count: u64, random: &mut Seeded) -> usize {
    let mut undetected = 0;
    let any = |random: &mut Seeded| word(random.below(1_024) as u16).to_string();
    let of = |words: &[String]| -> Vec<String> {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        check_words(Scheme::Slip39, 1, &words).iter().map(|word| word.to_string()).collect()
    };
    for _ in 0..count {
        let words: Vec<String> = (0..20).map(|_| any(random)).collect();
        let all = [words.clone(), of(&words)].concat();
        let mut read = all.clone();
        while read == all {
            if random.below(3) == 0 {
                let (one, other) = (random.below(read.len()), random.below(read.len()));
                read.swap(one, other);
            } else {
                for _ in 0..=random.below(read.len()) {
                    let at = random.below(read.len());
                    read[at] = any(random);
                }
            }
        }
        let (words, check) = read.split_at(20);
        undetected += usize::from(of(words) == check);
    }
    println!("{count} misreadings: {undetected} undetected");
    undetected
}
