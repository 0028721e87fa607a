//! A database under a steady writer, followed by a running daemon with five sites, each a round
//! trip away; daemon and writer are killed at random, with checkpoints and VACUUM from elsewhere.
//! Every restore from the sites alone has to be what the writer's own notes say.
//!
//! `cargo run -p evenkeel --example campaign_live -- [--minutes N] [--rate ORDERS_PER_SECOND]
//! [--round-trip-ms N] [--seed N]`: not in release, where sites cannot be made slow.
#![allow(clippy::unwrap_used, reason = "a campaign that cannot go on fails")]

#[path = "../tests/common/mod.rs"]
mod common;

use std::process::ExitCode;
use std::time::Duration;

use common::CHILD;
use common::live::{Plan, play};
use common::random::seed;

fn argument(name: &str, otherwise: u64) -> u64 {
    let mut args = std::env::args().skip_while(|arg| arg != name);
    args.nth(1).map_or(otherwise, |text| text.parse().unwrap())
}

fn main() -> ExitCode {
    if std::env::var_os(CHILD).is_some() {
        return evenkeel::cli::run();
    }
    if !cfg!(debug_assertions) {
        eprintln!("cargo run -p evenkeel --example campaign_live   (in release no site is slow)");
        return ExitCode::FAILURE;
    }
    let plan = Plan {
        seed: argument("--seed", seed()),
        length: Duration::from_secs(60 * argument("--minutes", 10)),
        rate: argument("--rate", 1_500),
        round_trip_ms: argument("--round-trip-ms", 50),
        pause_max_ms: 5_000,
        restores: 40,
    };
    let outcome = play(plan);
    println!("{plan:?}\n{}", outcome.words());
    ExitCode::SUCCESS
}
