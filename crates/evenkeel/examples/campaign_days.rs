//! Recorded crash days, and quiet ones, against a few hundred accounts.
//!
//! `cargo xtask campaign days [--accounts N] [--step SECONDS] [--seed N]`; it reads
//! `EVENKEEL_DATA`.
#![allow(clippy::unwrap_used, reason = "a campaign that cannot go on fails")]

#[path = "../tests/crash_days/mod.rs"]
mod crash_days;
#[path = "../tests/replay_support/recorded.rs"]
mod replay_support;

use crash_days::market::{Settings, run};
use crash_days::paths::days;
use std::process::ExitCode;

fn option(name: &str, otherwise: u64) -> u64 {
    let mut arguments = std::env::args().skip_while(|argument| argument != name);
    arguments.nth(1).map_or(otherwise, |value| value.parse().unwrap())
}

fn main() -> ExitCode {
    let seed = std::env::var("EVENKEEL_SEED").map_or(1, |seed| seed.parse().unwrap());
    let settings =
        Settings { seed, accounts: option("--accounts", 300), step_s: option("--step", 20) };
    let Some(days) = days() else {
        return ExitCode::FAILURE;
    };
    println!("days: {settings:?}");
    let (mut quiet, mut false_halts) = (0, 0);
    for day in days {
        let outcome = run(&day, settings);
        if !day.is_crash {
            quiet += 1;
            false_halts += u64::from(!outcome.trips.is_empty());
        }
        println!("{}: {outcome:?}", day.name);
    }
    println!("false halts: {false_halts} of {quiet} quiet days");
    ExitCode::SUCCESS
}
