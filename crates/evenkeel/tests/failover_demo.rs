//! The demonstration with its keeper: primaries die, clients go on, and nothing that they were
//! told is lost or happened twice.

#![allow(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    reason = "what only tests call is a test as well"
)]

mod common;

use std::fs;

use common::audit::{applied_twice, lost_acks};
use common::daemon::{Daemon, live_status};
use common::random::seed;
use common::{Rig, Said, kills};
use rustix::process::{Signal, kill_process};
use serde_json::Value;

fn rig() -> Rig {
    let rig = Rig::new().with("EVENKEEL_DEMO_FAILOVER_EVERY_MINUTES", "0");
    rig.ok("init --home h --dashboard off");
    rig
}

fn keeper(rig: &Rig) -> Daemon {
    let mut command = rig.command("up --home h --dashboard off --ack-log");
    Daemon::spawn(rig, command.arg(rig.beside("ack")))
}

/// Kills the primary as soon as a standby is ready.
fn kill_primary(rig: &Rig, keeper: &mut Daemon) -> Said {
    keeper.until("a standby that is ready", || {
        let said = rig.run("demo kill-primary --home h --json");
        // 10: none is ready yet, and nothing was killed.
        (said.exit != 10).then_some(said)
    })
}

/// Ends it cleanly and holds everything that clients ever saw against the journal.
fn end_and_audit(rig: &Rig, keeper: Daemon) {
    keeper.end();
    let acks = rig.acks();
    assert!(acks.len() > 900, "{}", acks.len());
    assert!(lost_acks(rig, &acks).is_empty());
    assert_eq!(applied_twice(rig), Vec::new());
}

fn last_failover(rig: &Rig) -> Option<Value> {
    let status = live_status(rig)?;
    status["last_failover"].is_object().then(|| status["last_failover"].clone())
}

#[test]
fn three_primaries_killed_under_load_lose_nothing_and_repeat_nothing() {
    let rig = rig();
    let mut keeper = keeper(&rig);
    keeper.until_acked(&rig, 2_000);
    let mut term = 0;
    for _ in 0..3 {
        let said = kill_primary(&rig, &mut keeper);
        assert_eq!(said.exit, 0, "{said:?}");
        let failover = said.json();
        assert_eq!(failover["message_type"], "failover");
        assert_eq!(failover["kind"], "killed");
        assert_eq!(failover["acknowledged_lost"], 0, "{failover}");
        assert_eq!(failover["applied_twice"], 0, "{failover}");
        assert!(failover["acknowledged"].as_u64().unwrap() > 500, "{failover}");
        assert!(failover["seconds"].as_f64().unwrap() > 0.0, "{failover}");
        let next = failover["term"].as_u64().unwrap();
        assert!(next > term, "{failover}");
        term = next;
        keeper.until_acked(&rig, 1_000);
    }
    let status = keeper.until("the primary's status", || live_status(&rig));
    assert_eq!(status["failovers"], 3);
    assert_eq!(status["last_failover"]["term"], term);
    assert_eq!(status["journal"]["term"], term);
    end_and_audit(&rig, keeper);
}

#[test]
fn both_processes_killed_at_once_come_back_by_themselves() {
    let rig = rig();
    let mut keeper = keeper(&rig);
    keeper.until_acked(&rig, 2_000);
    for id in keeper.until_both() {
        kill_process(id, Signal::KILL).unwrap();
    }
    let failover = keeper.until("the failover to be measured", || last_failover(&rig));
    assert_eq!(failover["kind"], "unplanned");
    assert_eq!(failover["acknowledged_lost"], 0, "{failover}");
    assert_eq!(failover["applied_twice"], 0, "{failover}");
    keeper.until_acked(&rig, 1_000);
    end_and_audit(&rig, keeper);
}

#[test]
fn a_killed_keeper_takes_its_processes_with_it_and_the_next_one_goes_on() {
    let rig = rig();
    let mut first = keeper(&rig);
    first.until_acked(&rig, 2_000);
    let left = first.children();
    assert!(!left.is_empty());
    first.kill();
    let mut second = keeper(&rig);
    second.until_acked(&rig, 2_000);
    for id in left {
        let id = id.as_raw_pid();
        let said = fs::read_to_string(format!("/proc/{id}/cmdline")).unwrap_or_default();
        assert!(!said.contains("--slot"), "{id} outlived its keeper");
    }
    end_and_audit(&rig, second);
}

#[test]
fn kills_of_either_of_both_and_of_everything_at_any_moment_lose_nothing() {
    let plan = kills::Plan { seed: seed() ^ 0x4000, kills: 12, home_every: 10 };
    let tally = kills::run(&plan, |line| println!("{line}")).unwrap_or_else(|why| panic!("{why}"));
    assert_eq!((tally.homes, tally.kills.len()), (2, 4), "{tally:?}");
    assert!(tally.processes >= 12 && tally.terms > 0, "{tally:?}");
    assert!(tally.audited.acks > 500 && tally.digests > 0, "{tally:?}");
}

#[test]
fn a_second_keeper_in_a_home_is_refused_and_the_first_goes_on() {
    let rig = rig();
    let mut keeper = keeper(&rig);
    keeper.until_acked(&rig, 500);
    let said = rig.run("up --home h --dashboard off");
    said.refuses(11, &["another daemon answers"]);
    keeper.until_acked(&rig, 500);
    end_and_audit(&rig, keeper);
}

#[test]
fn without_a_keeper_nothing_can_be_killed() {
    let rig = rig();
    let said = rig.run("demo kill-primary --home h");
    said.refuses(10, &["nothing runs here", "evenkeel up"]);
}
