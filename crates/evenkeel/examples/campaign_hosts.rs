//! Hosts that are lost: the primary and its member of the store are killed at once, and the other
//! host takes over. How long nobody was acknowledged.
//!
//! `cargo xtask campaign hosts [--trials N]`
#![allow(clippy::unwrap_used, reason = "a campaign that cannot go on fails")]

#[path = "../tests/common/mod.rs"]
mod common;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use common::failovers::percentile;
use common::hosts::Hosts;
use common::{CHILD, Rig};

fn main() -> ExitCode {
    if std::env::var_os(CHILD).is_some() {
        return evenkeel::cli::run();
    }
    let trials = std::env::args().skip_while(|argument| argument != "--trials").nth(1);
    let trials: usize = trials.map_or(200, |text| text.parse().unwrap());
    println!("etcd: three members on loopback, TLS, heartbeat 50 ms, election 500 ms;");
    println!("a log that stands still for 700 ms has no primary; then its term is taken");
    let begun = Instant::now();
    let mut hosts = Hosts::new(Rig::new(), &["h", "g"]);
    hosts.start(0);
    hosts.until_primary(0, 1);
    let mut seconds = Vec::with_capacity(trials);
    let mut leaders = 0;
    for trial in 1..=trials {
        // They take turns: each trial kills the one that the trial before made primary.
        let (primary, other) = ((trial + 1) % 2, trial % 2);
        hosts.start(other);
        hosts.until_following(other);
        hosts.until_acked(primary, 200);
        let leader = hosts.cluster.leader();
        // Its own member is the leader in every other trial, as far as the cluster goes along.
        let member = if trial % 2 == 0 { leader } else { (leader + 1) % 3 };
        leaders += usize::from(member == leader);
        let answered = hosts.ack_bytes(other);
        hosts.cluster.kill(member);
        hosts.kill(primary);
        let killed = Instant::now();
        hosts.until_beyond(other, answered);
        let took = killed.elapsed();
        println!("host {trial}: {:.3} s, member {member} (leader {leader})", took.as_secs_f64());
        seconds.push(took.as_secs_f64());
        hosts.cluster.restart(member);
        std::thread::sleep(Duration::from_millis(200));
    }
    let last = trials % 2;
    hosts.end(last);
    let (lost, count) = hosts.lost(last);
    if !lost.is_empty() {
        eprintln!("hosts: {} of {count} acknowledged are lost: {lost:?}", lost.len());
        return ExitCode::FAILURE;
    }
    seconds.sort_by(f64::total_cmp);
    let at = |share| percentile(&seconds, share);
    println!(
        "hosts: {trials} losses of a primary and a member ({leaders} times the leader), {count} \
         acknowledged, none lost; without an acknowledgement: p50 {:.3} s, p90 {:.3} s, p99 \
         {:.3} s, max {:.3} s; {:.0?}",
        at(0.5),
        at(0.9),
        at(0.99),
        at(1.0),
        begun.elapsed()
    );
    ExitCode::SUCCESS
}
