//! The demonstration with its keeper: primaries die, clients go on, and nothing that they were
//! told is lost or happened twice.

#![allow(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    reason = "what only tests call is a test as well"
)]

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;

use common::audit::lost_acks;
use common::daemon::{Daemon, live_status};
use common::{Rig, Said};
use evenkeel_journal::{Reader, RealDisk};
use evenkeel_types::{Canonical as _, Entry, Event, Origin};
use evenkeel_venue::Engine;
use rustix::process::{Pid, Signal, kill_process};
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

/// Origins of which more than one entry took effect, by a replay of the whole journal.
fn applied_twice(rig: &Rig) -> Vec<Origin> {
    let mut engine = Engine::new();
    let mut effects: BTreeMap<Origin, u32> = BTreeMap::new();
    let mut reader = Reader::external(Arc::new(RealDisk), &rig.journal(), 0).unwrap();
    while let Some(batch) = reader.next_batch().unwrap() {
        for record in batch.records {
            let entry = Entry::from_bytes(&record.entry).unwrap();
            let mut events = Vec::new();
            engine.apply(&entry, &mut events);
            if matches!(events.last(), Some(Event::Completed { .. })) {
                *effects.entry(entry.origin).or_default() += 1;
            }
        }
    }
    assert!(effects.len() > 1_000);
    effects.into_iter().filter(|(_, count)| *count > 1).map(|(origin, _)| origin).collect()
}

/// Ends it cleanly and holds everything that clients ever saw against the journal.
fn end_and_audit(rig: &Rig, keeper: Daemon) {
    keeper.end();
    let acks = rig.acks();
    assert!(acks.len() > 1_000, "{}", acks.len());
    assert!(lost_acks(rig, &acks).is_empty());
    assert_eq!(applied_twice(rig), Vec::new());
}

fn last_failover(rig: &Rig) -> Option<Value> {
    let status = live_status(rig)?;
    status["last_failover"].is_object().then(|| status["last_failover"].clone())
}

/// The processes that it started.
fn children(keeper: u32) -> Vec<i32> {
    let tasks = format!("/proc/{keeper}/task/{keeper}/children");
    let text = fs::read_to_string(tasks).unwrap();
    text.split_whitespace().map(|id| id.parse().unwrap()).collect()
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
        assert!(failover["acknowledged"].as_u64().unwrap() > 1_000, "{failover}");
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
    let id = keeper.id();
    let both = keeper.until("both processes", || {
        let both = children(id);
        (both.len() == 2).then_some(both)
    });
    for id in both {
        kill_process(Pid::from_raw(id).unwrap(), Signal::KILL).unwrap();
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
    let left = children(first.id());
    assert!(!left.is_empty());
    first.kill();
    let mut second = keeper(&rig);
    second.until_acked(&rig, 2_000);
    for id in left {
        let said = fs::read_to_string(format!("/proc/{id}/cmdline")).unwrap_or_default();
        assert!(!said.contains("--slot"), "{id} outlived its keeper");
    }
    end_and_audit(&rig, second);
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
