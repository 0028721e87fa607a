//! Kills a PostgreSQL server and its capture under `pgbench`, loses both hosts, and holds what
//! comes back against what writers were told, and random moments against the server's own commit
//! times.
//!
//! `cargo xtask campaign postgres [--runs N] [--kills N] [--moments N] [--seed N]`
#![allow(clippy::unwrap_used, reason = "a campaign that cannot go on fails")]

#[path = "../../capture/tests/cluster/mod.rs"]
mod cluster;
#[path = "../tests/common/mod.rs"]
mod common;
#[path = "../tests/postgres_series/mod.rs"]
mod postgres_series;

use std::process::ExitCode;
use std::time::Instant;

use postgres_series::{Plan, play};

fn argument(name: &str, otherwise: u32) -> u32 {
    let mut args = std::env::args().skip_while(|arg| arg != name);
    args.nth(1).map_or(otherwise, |text| text.parse().unwrap())
}

fn main() -> ExitCode {
    if std::env::var_os(common::CHILD).is_some() {
        return evenkeel::cli::run();
    }
    let begun = Instant::now();
    let seed = u64::from(argument("--seed", u32::try_from(common::random::seed()).unwrap()));
    for run in 0..argument("--runs", 2) {
        let confirm = if run % 2 == 0 { "spool" } else { "sites" };
        let (kills, moments) = (argument("--kills", 12), argument("--moments", 20));
        let plan = Plan { seed: seed + u64::from(run), kills, moments, confirm };
        println!("{plan:?}\n{:?}", play(&plan));
    }
    println!("nothing acknowledged was lost, every moment was exact; {:.0?}", begun.elapsed());
    ExitCode::SUCCESS
}
