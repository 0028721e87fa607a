//! What campaigns do with the series that tests run short.

use std::process::ExitCode;
use std::time::Instant;

use super::audit::lost_acks;
use super::daemon::Daemon;
use super::flips;
use super::kills;
use super::random::{Random, seed};
use super::series::{self, Plan, Power};
use super::{CHILD, Rig};

/// The value of an argument, or what it is without it.
fn argument(name: &str, otherwise: u64) -> u64 {
    let mut args = std::env::args().skip_while(|arg| arg != name);
    match args.nth(1) {
        Some(text) => text.parse().unwrap(),
        None => otherwise,
    }
}

/// Kills, or power cuts: 50 runs unless told.
pub fn series(name: &str, power: bool) -> ExitCode {
    if std::env::var_os(CHILD).is_some() {
        return evenkeel::cli::run();
    }
    let plan = Plan {
        seed: argument("--seed", seed()),
        runs: argument("--runs", 50),
        home_every: 12,
        power,
    };
    let begun = Instant::now();
    match series::run(&plan, |line| println!("{line}")) {
        Ok(tally) => {
            println!("{name} {plan:?}\n{tally:#?}");
            println!("{name}: nothing acknowledged was lost; {:.0?}", begun.elapsed());
        }
        Err(why) => {
            eprintln!("{name} {plan:?}: {why}");
            return ExitCode::FAILURE;
        }
    }
    if power && !fails_without_fdatasync(plan.runs.div_ceil(10)) {
        eprintln!("without fdatasync nothing was lost: this campaign proves nothing");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

/// `kill -9` of the processes of a pair: 50 unless told.
pub fn kills() -> ExitCode {
    if std::env::var_os(CHILD).is_some() {
        return evenkeel::cli::run();
    }
    let plan = kills::Plan {
        seed: argument("--seed", seed()),
        kills: argument("--trials", 50),
        home_every: 20,
    };
    let begun = Instant::now();
    println!("kills {plan:?}");
    match kills::run(&plan, |line| println!("{line}")) {
        Ok(tally) => {
            let took = begun.elapsed();
            println!(
                "{tally:#?}
kills: nothing acknowledged lost or applied twice; {took:.0?}"
            );
            ExitCode::SUCCESS
        }
        Err(why) => {
            eprintln!("kills {plan:?}: {why}");
            ExitCode::FAILURE
        }
    }
}

/// Whether each of some runs with the test switch loses acknowledged entries.
fn fails_without_fdatasync(runs: u64) -> bool {
    (0..runs).all(|run| {
        let rig = Rig::new();
        let power = Power::new(&rig);
        let mut daemon = power.start(&rig, "--unsafe-no-fdatasync");
        daemon.until_acked(&rig, 2_000 + 500 * run);
        daemon.kill();
        Power::cut(&rig);
        let acks = rig.acks();
        let lost = lost_acks(&rig, &acks).len();
        println!("without fdatasync, run {run}: {lost} of {} acknowledged are lost", acks.len());
        lost > 0
    })
}

/// 1,000 flips unless told.
pub fn flips() -> ExitCode {
    if std::env::var_os(CHILD).is_some() {
        return evenkeel::cli::run();
    }
    let (seed, flips) = (argument("--seed", seed()), argument("--flips", 1_000));
    let rig = Rig::new().with("EVENKEEL_JOURNAL_SEGMENT_BYTES", "1048576");
    let mut daemon = Daemon::start(&rig, "");
    daemon.until_acked(&rig, 6_000);
    daemon.kill();
    // Killed, started again and ended: two terms, and a seal.
    let mut daemon = Daemon::start(&rig, "");
    daemon.until_acked(&rig, 3_000);
    daemon.end();
    let begun = Instant::now();
    match flips::run(&rig, flips, &mut Random::new(seed)) {
        Ok(tally) => {
            println!("flips: seed {seed}, {flips} flips: {tally:?}; {:.0?}", begun.elapsed());
            ExitCode::SUCCESS
        }
        Err(why) => {
            eprintln!("flips: seed {seed}: {why}");
            ExitCode::FAILURE
        }
    }
}
