//! Losses on several hosts under load: how long nobody was acknowledged, and an audit after each.
//!
//! `cargo xtask campaign hosts [--trials N] [--kind K] [--seed N]`, where K is `loss` (a primary
//! and a member of the store at once), `primary`, `standby`, `member`, `all`, `stop`, or `mixed`.
#![allow(clippy::unwrap_used, reason = "a campaign that cannot go on fails")]

#[path = "../tests/common/mod.rs"]
mod common;

use std::process::ExitCode;
use std::time::Instant;

use common::CHILD;
use common::failovers::percentile;
use common::losses::{Kind, Plan, Series, Tally};
use common::random::seed;

fn main() -> ExitCode {
    if std::env::var_os(CHILD).is_some() {
        return evenkeel::cli::run();
    }
    let Some(plan) = plan() else {
        eprintln!("--kind is loss, primary, standby, member, all, stop, or mixed");
        return ExitCode::FAILURE;
    };
    println!("etcd: three members on loopback, TLS, heartbeat 50 ms, election 500 ms;");
    println!("a log that stands still for 700 ms has no primary; then its term is taken");
    println!("hosts {plan:?}");
    let begun = Instant::now();
    match run(&plan) {
        Ok(tally) => {
            show(&tally);
            println!("hosts: nothing lost, nothing twice; {:.0?}", begun.elapsed());
            ExitCode::SUCCESS
        }
        Err(why) => {
            eprintln!("hosts {plan:?}: {why}");
            ExitCode::FAILURE
        }
    }
}

fn plan() -> Option<Plan> {
    let argument = |name: &str| std::env::args().skip_while(|word| word != name).nth(1);
    let kind = match argument("--kind").as_deref() {
        Some("mixed") => None,
        Some(word) => Some(Kind::ALL.iter().find(|(name, _)| *name == word)?.1),
        None => Some(Kind::Loss),
    };
    let number = |name: &str| argument(name).map(|text| text.parse::<u64>().unwrap());
    let trials = usize::try_from(number("--trials").unwrap_or(200)).unwrap();
    Some(Plan { seed: number("--seed").unwrap_or_else(seed), trials, kind })
}

fn run(plan: &Plan) -> Result<Tally, String> {
    let mut series = Series::new(plan.seed);
    for trial in 1..=plan.trials {
        match series.trial(plan.kind) {
            Ok((kind, detail)) => println!("{trial:>4}  {:<8} {detail}", kind.name()),
            Err(why) => return Err(format!("trial {trial}: {why}\n{}", series.said())),
        }
    }
    series.finish()
}

fn show(tally: &Tally) {
    let Tally { killed, members, leaders, acknowledged, entries, digests, .. } = tally;
    for (kind, seconds) in &tally.seconds {
        let mut seconds = seconds.clone();
        seconds.sort_by(f64::total_cmp);
        let at = |share| percentile(&seconds, share);
        println!(
            "{:<8} {:>4} times; without an acknowledgement: p50 {:.3} s, p90 {:.3} s, p99 {:.3} s, \
             max {:.3} s",
            kind.name(),
            seconds.len(),
            at(0.5),
            at(0.9),
            at(0.99),
            at(1.0)
        );
    }
    println!(
        "{killed} processes killed, {members} of them members ({leaders} leaders); {acknowledged} \
         acknowledgements, {entries} entries and {digests} live digests audited; {} \
         acknowledgements after a stop",
        tally.after_a_stop
    );
}
