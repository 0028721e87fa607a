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

use common::Rig;
use common::audit::lost_acks;
use common::daemon::Daemon;
use evenkeel_journal::{Reader, RealDisk};
use evenkeel_types::{Canonical as _, Entry, Event, Origin};
use evenkeel_venue::Engine;

fn rig() -> Rig {
    let rig = Rig::new().with("EVENKEEL_DEMO_FAILOVER_EVERY_MINUTES", "0");
    rig.ok("init --home h --dashboard off");
    rig
}

fn keeper(rig: &Rig) -> Daemon {
    let mut command = rig.command("up --role keeper --home h --dashboard off --ack-log");
    Daemon::spawn(rig, command.arg(rig.beside("ack")))
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

/// The processes that it started.
fn children(keeper: u32) -> Vec<i32> {
    let tasks = format!("/proc/{keeper}/task/{keeper}/children");
    let text = fs::read_to_string(tasks).unwrap();
    text.split_whitespace().map(|id| id.parse().unwrap()).collect()
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
    let said = rig.run("up --role keeper --home h --dashboard off");
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
