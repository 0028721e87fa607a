//! Failovers under load, many of them: how long nobody was acknowledged.
//!
//! `cargo xtask campaign failover [--trials N] [--kind process|planned|stall]`
#![allow(clippy::unwrap_used, reason = "a campaign that cannot go on fails")]

#[path = "../tests/common/mod.rs"]
mod common;

use std::process::ExitCode;
use std::time::Instant;

use common::audit::lost_acks;
use common::failovers::{Failover, Pair, percentile};
use common::{CHILD, Rig};

type FailOver = fn(&mut Pair) -> Result<Failover, String>;

fn option(name: &str) -> Option<String> {
    std::env::args().skip_while(|argument| argument != name).nth(1)
}

fn main() -> ExitCode {
    if std::env::var_os(CHILD).is_some() {
        return evenkeel::cli::run();
    }
    let trials: usize = option("--trials").map_or(200, |text| text.parse().unwrap());
    let only = option("--kind");
    let kinds: [(&str, FailOver); 3] = [
        ("process", |pair| pair.fail_over("demo kill-primary --home h --json")),
        ("planned", |pair| pair.fail_over("failover --planned --home h --json")),
        ("stall", Pair::stall),
    ];
    for (kind, fail_over) in kinds {
        if only.as_deref().is_none_or(|only| only == kind)
            && let Err(why) = series(kind, fail_over, trials)
        {
            eprintln!("failover {kind}: {why}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

fn series(kind: &str, fail_over: FailOver, trials: usize) -> Result<(), String> {
    let begun = Instant::now();
    let mut pair = Pair::start(Rig::new());
    let (mut seconds, mut silences) = (Vec::new(), Vec::new());
    for trial in 1..=trials {
        let failover = match fail_over(&mut pair) {
            Ok(failover) => failover,
            Err(why) => return Err(format!("{why}\nthe home is left in {}", pair.leave())),
        };
        let Failover { seconds: waited, silence_seconds: silent, term, .. } = failover;
        println!("{kind} {trial}: {waited:.3} s, {silent:.3} s of silence, term {term}");
        seconds.push(waited);
        silences.push(silent);
    }
    let rig = pair.end();
    let acks = rig.acks();
    let lost = lost_acks(&rig, &acks);
    if !lost.is_empty() {
        return Err(format!("{} of {} acknowledged are lost: {lost:?}", lost.len(), acks.len()));
    }
    println!(
        "{kind}: {trials} failovers, {} acknowledged, none lost, none twice; {:.0?}",
        acks.len(),
        begun.elapsed()
    );
    for (what, mut all) in [
        ("longest wait of a client for its answer", seconds),
        ("longest time in which none was answered", silences),
    ] {
        all.sort_by(f64::total_cmp);
        let at = |share| percentile(&all, share);
        let (p50, p90, p99, max) = (at(0.5), at(0.9), at(0.99), at(1.0));
        println!("  {what}: p50 {p50:.3} s, p90 {p90:.3} s, p99 {p99:.3} s, max {max:.3} s");
    }
    Ok(())
}
