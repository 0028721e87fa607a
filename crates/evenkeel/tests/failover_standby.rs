//! Standbys that take over: from a primary that was killed, that hands over, or that is stalled;
//! and those that must not.

#![allow(clippy::unwrap_used, reason = "what only tests call is a test as well")]

mod common;

use std::fs;

use common::audit::{hashes_of, lost_acks};
use common::daemon::{self, Daemon, live_status};
use common::{Rig, mirror};
use evenkeel_vault::Identity;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

fn rig() -> Rig {
    let rig = Rig::new().with("EVENKEEL_DEMO_FAILOVER_EVERY_MINUTES", "0");
    rig.ok("init --home h --dashboard off");
    rig
}

/// A keeper with its clients, a primary and a standby that follows it.
fn kept(rig: &Rig) -> Daemon {
    let mut command = rig.command("up --role keeper --home h --dashboard off --ack-log");
    let mut keeper = Daemon::spawn(rig, command.arg(rig.beside("ack")));
    keeper.until_followed(rig, 1);
    keeper.until_acked(rig, 500);
    keeper
}

fn holder(rig: &Rig) -> Pid {
    daemon::holder(rig).unwrap()
}

fn end_and_audit(rig: &Rig, keeper: Daemon) {
    keeper.end();
    let acks = rig.acks();
    assert!(acks.len() > 500, "{}", acks.len());
    assert_eq!(lost_acks(rig, &acks), Vec::new());
    rig.ok("journal verify --home h");
}

fn assert_clean(failover: &Value, kind: &str, term: u64) {
    assert_eq!(failover["kind"], kind, "{failover}");
    assert_eq!(failover["term"], term, "{failover}");
    assert_eq!(failover["acknowledged_lost"], 0, "{failover}");
    assert_eq!(failover["applied_twice"], 0, "{failover}");
    assert!(failover["acknowledged"].as_u64().unwrap() > 100, "{failover}");
}

#[test]
fn a_primary_hands_over_and_follows_its_successor_which_hands_back() {
    let rig = rig();
    let mut keeper = kept(&rig);
    let check = rig.json("failover --home h --dry-run --json");
    assert_eq!(check["would_work"], true, "{check}");
    let first = holder(&rig);
    let failover = rig.json("failover --home h --json");
    assert_clean(&failover, "planned", 2);
    let second = holder(&rig);
    assert_ne!(first, second);
    keeper.until_acked(&rig, 500);
    // The same process as before, now as a standby, and then as the primary again.
    keeper.until_followed(&rig, 2);
    let failover = rig.json("failover --home h --json");
    assert_clean(&failover, "planned", 3);
    assert_eq!(holder(&rig), first);
    keeper.until_followed(&rig, 3);
    keeper.until_acked(&rig, 500);
    end_and_audit(&rig, keeper);
}

#[test]
fn a_killed_primary_is_replaced_by_its_standby_and_starts_again_as_one() {
    let rig = rig();
    let mut keeper = kept(&rig);
    for term in 2..=3 {
        let failover = rig.json("failover --home h --unplanned --json");
        assert_clean(&failover, "unplanned", term);
        keeper.until_acked(&rig, 500);
        keeper.until_followed(&rig, term);
    }
    end_and_audit(&rig, keeper);
}

#[test]
fn a_stalled_primary_is_killed_before_it_is_replaced() {
    let rig = rig();
    let mut keeper = kept(&rig);
    let stalled = holder(&rig);
    kill_process(stalled, Signal::STOP).unwrap();
    let status = keeper.until_followed(&rig, 2);
    assert_eq!(status["journal"]["term"], 2);
    let line = format!("/proc/{}/cmdline", stalled.as_raw_pid());
    let said = fs::read_to_string(line).unwrap_or_default();
    assert!(!said.contains("--slot"), "the stalled primary is still there: {said}");
    keeper.until_acked(&rig, 500);
    end_and_audit(&rig, keeper);
}

#[test]
fn without_a_standby_nothing_is_handed_over() {
    let rig = rig();
    let mut daemon = Daemon::start(&rig, "");
    daemon.until_acked(&rig, 500);
    let check = rig.run("failover --home h --dry-run");
    assert_eq!(check.exit, 10, "{check:?}");
    assert!(check.out.contains("it would not work"), "{check:?}");
    let said = rig.run("failover --home h");
    said.refuses(10, &["no standby runs here", "the primary goes on"]);
    daemon.until_acked(&rig, 500);
    daemon.end();
}

#[test]
fn a_standby_of_another_cluster_is_refused_by_its_certificate() {
    let rig = rig();
    let mut daemon = Daemon::start(&rig, "");
    daemon.until_acked(&rig, 200);
    let said = common::Said::of(&mirror::command(&rig, false).output().unwrap());
    said.refuses(12, &["certificates do not agree", "ca.pem", "nothing was sent"]);
    daemon.until_acked(&rig, 200);
    assert!(live_status(&rig).unwrap()["standbys"].as_array().unwrap().is_empty());
    daemon.end();
}

#[test]
fn a_mirror_is_promoted_by_an_attestation_alone_and_goes_on_where_its_copy_ends() {
    let rig = rig();
    let mut primary = Daemon::start(&rig, "");
    primary.until_acked(&rig, 500);
    let ack = rig.beside("ack-m");
    let mut command = mirror::command(&rig, true);
    let mut mirror = Daemon::spawn(&rig, command.arg("--ack-log").arg(&ack));
    primary.until_followed(&rig, 1);
    primary.until_acked(&rig, 500);
    // Also while the configuration says nothing of the mirror: the lock here is not the primary's.
    let said = rig.run("failover --home m --unplanned");
    said.refuses(2, &["two histories", "--attest-primary-dead", "lost"]);
    let failover = |words: &str| {
        let mut command = rig.command(&format!("failover --home m --unplanned {words}"));
        common::Said::of(&command.env("EVENKEEL_STANDBY_MODE", "mirror").output().unwrap())
    };
    failover("").refuses(2, &["two histories", "--attest-primary-dead", "lost"]);
    // It ends in good order, so that everything has come; it could as well have burnt.
    primary.end();
    let acks = rig.acks();
    let said = failover("--attest-primary-dead --json");
    assert_eq!(said.exit, 0, "{said:?}");
    assert_eq!(said.json()["term"], 2);
    mirror.until("acknowledgements by the mirror", || {
        (fs::metadata(&ack).map_or(0, |found| found.len()) > 68 * 200).then_some(())
    });
    assert_eq!(rig.json("status --home m --json")["role"], "primary");
    mirror.end();
    rig.ok("journal verify --home m");
    let hashes = hashes_of(&rig, "m");
    let lost = acks.iter().filter(|(position, hash)| hashes.get(position) != Some(hash));
    assert_eq!(lost.count(), 0);
}

/// Position of the newest snapshot in a home.
fn newest_snapshot(rig: &Rig, home: &str) -> Option<u64> {
    let names = fs::read_dir(rig.path(home).join("host/snapshots")).ok()?;
    let names = names.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    names.filter_map(|name| u64::from_str_radix(name.strip_suffix(".snapshot")?, 16).ok()).max()
}

#[test]
fn a_mirror_keeps_snapshots_of_its_own_so_that_it_need_not_replay_everything_again() {
    let rig = rig().with("EVENKEEL_RECOVERY_POINT_EVERY_ENTRIES", "2000");
    let mut primary = Daemon::start(&rig, "");
    primary.until_acked(&rig, 500);
    let mut mirror = Daemon::spawn(&rig, &mut mirror::command(&rig, true));
    primary.until_followed(&rig, 1);
    let began = newest_snapshot(&rig, "m").unwrap_or(0);
    mirror.until("a snapshot of its own", || {
        (newest_snapshot(&rig, "m")? >= began + 4_000).then_some(())
    });
    mirror.kill();
    let mirror = Daemon::spawn(&rig, &mut mirror::command(&rig, true));
    primary.until_followed(&rig, 1);
    mirror.end();
    primary.end();
    rig.ok("journal verify --home m");
}

/// First position of the journal of a home, from the names of its segments.
fn begins_at(rig: &Rig, home: &str) -> u64 {
    let names = fs::read_dir(rig.path(home).join("host/journal")).unwrap();
    let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let firsts = names.filter_map(|name| u64::from_str_radix(name.strip_suffix(".seg")?, 16).ok());
    firsts.min().unwrap()
}

#[test]
fn a_new_host_joins_from_the_sites_with_an_identity_of_its_own_and_follows_from_there() {
    let rig = rig().with("EVENKEEL_RECOVERY_POINT_EVERY_SECONDS", "1");
    let (own, stranger) = (Identity::generate(), Identity::generate());
    let file = rig.path("h/evenkeel.toml");
    let config = fs::read_to_string(&file).unwrap();
    let listed =
        config.replace("recipients = [", &format!("recipients = [\"{}\",", own.recipient()));
    assert_ne!(config, listed);
    fs::write(&file, listed).unwrap();
    let mut primary = Daemon::start(&rig, "");
    primary.until_acked(&rig, 2_000);
    primary.until("a recovery point", || {
        let status = live_status(&rig)?;
        (status["recovery_points"]["latest"]["position"].as_u64()? > 1_000).then_some(())
    });
    let ack = rig.beside("ack-m");
    let key = rig.path("standby-identity.txt");
    let join = |identity: &Identity| {
        fs::write(&key, identity.to_text().as_bytes()).unwrap();
        let mut command = mirror::command(&rig, true);
        command.env("EVENKEEL_STANDBY_IDENTITY_FILE", &key).arg("--ack-log").arg(&ack);
        command
    };
    let refused = common::Said::of(&join(&stranger).output().unwrap());
    assert_eq!(refused.exit, 12, "{refused:?}");
    assert!(!rig.path("m/host/journal").exists(), "nothing half restored counts");
    let mut mirror = Daemon::spawn(&rig, &mut join(&own));
    primary.until_followed(&rig, 1);
    primary.until_acked(&rig, 500);
    let base = begins_at(&rig, "m");
    assert!(base > 0, "it read the primary's journal from its beginning");
    primary.end();
    let acks = rig.acks();
    let mut command = rig.command("failover --home m --unplanned --attest-primary-dead");
    assert!(command.env("EVENKEEL_STANDBY_MODE", "mirror").status().unwrap().success());
    mirror.until("acknowledgements by the new host", || {
        (fs::metadata(&ack).map_or(0, |found| found.len()) > 68 * 200).then_some(())
    });
    mirror.end();
    rig.ok("journal verify --home m");
    let hashes = hashes_of(&rig, "m");
    let mut held = acks.iter().filter(|(position, _)| *position >= base).peekable();
    assert!(held.peek().is_some());
    let lost = held.filter(|(position, hash)| hashes.get(position) != Some(hash));
    assert_eq!(lost.count(), 0);
}
