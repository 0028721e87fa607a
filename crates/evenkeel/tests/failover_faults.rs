//! Faults of a primary that a standby follows: its disk fails or fills up, it is stopped for a
//! while, its network is cut. Nothing acknowledged is lost, nothing is acknowledged late.

#![allow(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    reason = "what only tests call is a test as well"
)]

mod common;

use std::fs;
use std::time::Duration;

use common::Rig;
use common::audit::{Promises, applied_twice, audit};
use common::daemon::{Daemon, holder, is_alive, live_status};
use common::namespace::Namespace;
use common::{copy_tree, power_loss};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

fn rig() -> Rig {
    let rig = Rig::new().with("EVENKEEL_DEMO_FAILOVER_EVERY_MINUTES", "0");
    rig.ok("init --home h --dashboard off");
    rig
}

fn keeper(rig: &Rig) -> Daemon {
    let mut command = rig.command("up --home h --dashboard off --ack-log");
    let mut keeper = Daemon::spawn(rig, command.arg(rig.beside("ack")));
    keeper.until_followed(rig, 1);
    keeper.until_acked(rig, 500);
    keeper
}

/// Waits until the change of the primary was measured, and nothing was lost by it.
fn until_failed_over(keeper: &mut Daemon, rig: &Rig, term: u64) -> Value {
    let failover = keeper.until("the failover to be measured", || {
        let status = live_status(rig)?;
        let last = &status["last_failover"];
        (last["term"].as_u64()? >= term).then(|| last.clone())
    });
    assert_eq!(failover["acknowledged_lost"], 0, "{failover}");
    assert_eq!(failover["applied_twice"], 0, "{failover}");
    assert!(failover["acknowledged"].as_u64().unwrap() > 100, "{failover}");
    failover
}

/// Ends it cleanly and holds everything that clients were told against the journal.
fn end_and_audit(rig: &Rig, keeper: Daemon) {
    keeper.end();
    let audited = audit(rig, &mut Promises::default()).unwrap();
    assert!(audited.acks > 500, "{audited:?}");
    assert_eq!(applied_twice(rig), Vec::new());
    rig.ok("journal verify --home h");
}

#[test]
fn a_primary_whose_syncs_fail_stops_and_its_standby_takes_over() {
    let rig = rig();
    let library = power_loss::build_from("common/eio.c", &rig.beside("."));
    let file = rig.beside("fails");
    let mut command = rig.command("up --home h --dashboard off --ack-log");
    command.arg(rig.beside("ack"));
    command.env("LD_PRELOAD", &library).env("FAULTS_EIO_FILE", &file);
    let mut keeper = Daemon::spawn(&rig, &mut command);
    for term in 2..=3 {
        keeper.until_followed(&rig, term - 1);
        keeper.until_acked(&rig, 500);
        let failing = holder(&rig).unwrap();
        fs::write(&file, failing.as_raw_pid().to_string()).unwrap();
        let failover = until_failed_over(&mut keeper, &rig, term);
        assert_eq!(failover["kind"], "unplanned", "{failover}");
        assert!(!is_alive(failing), "it goes on without a disk");
    }
    let said = keeper.said();
    assert!(said.contains("stopped writing") && said.contains("Input/output error"), "{said}");
    keeper.until_acked(&rig, 500);
    end_and_audit(&rig, keeper);
}

#[test]
fn a_primary_that_was_stopped_answers_nobody_late() {
    let rig = rig();
    let mut keeper = keeper(&rig);
    let stopped = holder(&rig).unwrap();
    kill_process(stopped, Signal::STOP).unwrap();
    let failover = until_failed_over(&mut keeper, &rig, 2);
    assert_eq!(failover["kind"], "unplanned", "{failover}");
    // It was killed while it was stopped: there is nothing to wake up.
    assert!(!is_alive(stopped));
    keeper.until_acked(&rig, 500);
    end_and_audit(&rig, keeper);
}

#[test]
fn a_killed_standby_costs_the_primary_nothing_and_catches_up_again() {
    let rig = rig();
    let mut keeper = keeper(&rig);
    let first = holder(&rig).unwrap();
    let standby = keeper.until_both().into_iter().find(|id| *id != first).unwrap();
    kill_process(standby, Signal::KILL).unwrap();
    keeper.until_acked(&rig, 1_000);
    let status = keeper.until_followed(&rig, 1);
    assert_eq!(status["journal"]["term"], 1, "{status}");
    assert_eq!(status["failovers"], 0, "{status}");
    assert_eq!(holder(&rig), Some(first));
    assert!(!is_alive(standby));
    end_and_audit(&rig, keeper);
}

#[test]
fn both_processes_stopped_for_a_while_go_on_as_one_primary() {
    let rig = rig();
    let mut keeper = keeper(&rig);
    let mut term = 1;
    for primary_first in [true, false] {
        let mut both = keeper.until_both();
        let first = holder(&rig).unwrap();
        both.sort_by_key(|id| (*id == first) != primary_first);
        for id in &both {
            kill_process(*id, Signal::STOP).unwrap();
        }
        std::thread::sleep(Duration::from_secs(2));
        for id in &both {
            // The primary may be killed by then.
            let _ = kill_process(*id, Signal::CONT);
            std::thread::sleep(Duration::from_millis(if primary_first { 0 } else { 700 }));
        }
        keeper.until_acked(&rig, 500);
        let status = keeper.until_followed(&rig, term);
        term = status["journal"]["term"].as_u64().unwrap();
        assert_eq!(status["engine"]["digests_agree"], true, "{status}");
    }
    end_and_audit(&rig, keeper);
}

#[test]
fn a_full_disk_below_a_pair_stops_no_failover_and_loses_nothing() {
    let rig = Rig::new()
        .with("EVENKEEL_DEMO_FAILOVER_EVERY_MINUTES", "0")
        .with("EVENKEEL_JOURNAL_SEGMENT_BYTES", "1048576")
        .with("EVENKEEL_VENUE_COMMANDS_PER_SECOND", "10000");
    rig.ok("init --home h --dashboard off");
    let journal = rig.journal();
    fs::create_dir_all(&journal).unwrap();
    let place = journal.display();
    let Some(inside) = Namespace::new(&format!("mount -t tmpfs -o size=8m tmpfs {place}")) else {
        return;
    };
    let mut command = rig.command("up --home h --dashboard off --ack-log");
    command.arg(rig.beside("ack"));
    let mut keeper = Daemon::spawn(&rig, &mut inside.enter(&command));
    keeper.until_condition(&rig, "disk_full");
    let status = keeper.until_followed(&rig, 1);
    assert_eq!(status["journal"]["term"], 1, "{status}");
    // The lock lies on that disk, which is seen inside alone.
    let note = fs::read_to_string(inside.seen(&journal.join("LOCK"))).unwrap();
    let id = note.lines().find_map(|line| line.strip_prefix("pid=")).unwrap();
    kill_process(Pid::from_raw(id.parse().unwrap()).unwrap(), Signal::KILL).unwrap();
    keeper.until_followed(&rig, 2);
    keeper.until_condition(&rig, "disk_full");

    inside.run(&format!("mount -o remount,size=64m {place}"));
    keeper.until_acked(&rig, 2_000);
    keeper.until("the finding to go", || {
        let status = live_status(&rig)?;
        let all = status["conditions"].as_array()?;
        (!all.iter().any(|one| one["kind"] == "disk_full")).then_some(())
    });
    keeper.end();
    copy_tree(&inside.seen(&journal), &journal);
    drop(inside);
    let audited = audit(&rig, &mut Promises::default()).unwrap();
    assert!(audited.acks > 2_000, "{audited:?}");
    assert_eq!(applied_twice(&rig), Vec::new());
    rig.ok("journal verify --home h");
}
