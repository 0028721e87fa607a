//! Sites and host are lost or damaged in every way that the promise covers, and in one more.

#![allow(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    reason = "what only tests call is a test as well"
)]

mod common;

use std::collections::BTreeSet;
use std::fs;

use common::audit::{Replay, hashes_of, replay, text};
use common::daemon::{Daemon, live_status};
use common::damage::{CLASSES, HARMS, Harm, harm, harm_all, objects};
use common::random::{Random, seed};
use common::{Rig, copy_tree};
use evenkeel::cli::format_time_ns;
use serde_json::Value;

/// How a home came to its end.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Clean,
    Killed,
}

const RESTORE: &str = "restore --config h/evenkeel.toml --identity h/recovery-identity.txt";

/// A home that ran for a while, with a copy of its journal taken before anything is lost.
struct Past {
    rig: Rig,
    /// What the sites certainly had before the end.
    shipped: u64,
    points: Vec<Value>,
    replay: Replay,
}

impl Past {
    fn new(end: End) -> Self {
        let rig = Rig::new().with("EVENKEEL_RECOVERY_POINT_EVERY_SECONDS", "1");
        let mut daemon = Daemon::start(&rig, "");
        daemon.until_points(&rig, 3);
        daemon.until_acked(&rig, 1_500);
        let status = live_status(&rig).unwrap();
        let shipped = status["tail"]["shipped_position"].as_u64().unwrap();
        match end {
            End::Clean => drop(daemon.end()),
            End::Killed => daemon.kill(),
        }
        copy_tree(&rig.journal(), &rig.beside("journal"));
        let points = rig.ok("points --home h --json").json()["points"].as_array().unwrap().clone();
        let mut wanted: BTreeSet<u64> =
            points.iter().map(|point| number(point, "position")).collect();
        wanted.insert(shipped);
        let replay = replay(&rig.beside("journal"), &wanted);
        Self { rig, shipped, points, replay }
    }

    fn lose_host(&self) {
        fs::remove_dir_all(self.rig.path("h/host")).unwrap();
    }

    fn lose_sites(&self, indices: &[usize]) {
        for index in indices {
            fs::remove_dir_all(&self.rig.sites()[*index]).unwrap();
        }
    }

    fn restore(&self, to: &str, more: &str) -> Value {
        let _ = fs::remove_dir_all(self.rig.path(to));
        self.rig
            .ok(&format!(
                "restore --config h/evenkeel.toml --identity h/recovery-identity.txt --to {to} \
                 --json {more}"
            ))
            .json()
    }

    /// What a restore gave is what a replay of the journal gives there.
    fn is_right(&self, restored: &Value) {
        let position = number(restored, "position");
        let dir = self.rig.beside("journal");
        let there = replay(&dir, &BTreeSet::from([position]));
        let figures = &there.at[&position];
        assert_eq!(text(&restored["state_root"]), figures.state_root, "at {position}");
        assert_eq!(text(&restored["journal_root"]), figures.journal_root);
        assert_eq!(text(&restored["output_digest"]), figures.output_digest);
    }

    /// Every acknowledgement below the position is in the restored journal.
    fn acks_are_in(&self, home: &str, position: u64) -> usize {
        let hashes = hashes_of(&self.rig, home);
        let acks = self.rig.acks();
        let below = acks.iter().filter(|(at, _)| *at < position);
        below.inspect(|(at, hash)| assert_eq!(hashes.get(at), Some(hash), "position {at}")).count()
    }
}

fn number(document: &Value, field: &str) -> u64 {
    document[field].as_u64().unwrap_or_else(|| panic!("{field} in {document}"))
}

fn names(list: &Value) -> Vec<String> {
    let list = list.as_array().unwrap_or_else(|| panic!("{list}"));
    list.iter().map(text).collect()
}

#[test]
fn host_and_two_sites_lost_after_a_clean_end_give_back_everything() {
    let past = Past::new(End::Clean);
    past.lose_host();
    past.lose_sites(&[0, 3]);
    let restored = past.restore("new", "");
    past.is_right(&restored);
    assert_eq!(number(&restored, "position"), past.replay.next());
    assert_eq!(past.acks_are_in("new", u64::MAX), past.rig.acks().len());
    assert_eq!(names(&restored["sites_used"]), ["site-b", "site-c", "site-e"]);
    let missing = names(&restored["sites_missing"]).join(" ");
    assert!(missing.contains("site-a") && missing.contains("site-d"), "{missing}");
    assert!(restored["last_shipped_time"].is_string());

    // A home restored for inspection does not go live by accident.
    past.rig
        .run("up --role primary --home new --dashboard off --exit-after 1")
        .refuses(2, &["restored for inspection", "--promote"]);
    // And nothing is ever restored over something.
    past.rig
        .run("restore --config h/evenkeel.toml --identity h/recovery-identity.txt --to new")
        .refuses(2, &["not empty", "nothing was written", "--to NEW"]);
}

#[test]
fn host_and_any_two_sites_lost_after_a_kill_give_back_what_was_shipped() {
    let past = Past::new(End::Killed);
    past.lose_host();
    let mut random = Random::new(seed());
    let first = random.index(5);
    let second = (first + 1 + random.index(4)) % 5;
    past.lose_sites(&[first, second]);
    let restored = past.restore("new", "");
    past.is_right(&restored);
    let position = number(&restored, "position");
    assert!(position >= past.shipped, "{position} < {}", past.shipped);
    assert!(past.acks_are_in("new", position) > 0);
}

#[test]
fn one_site_too_many_lost_is_said_with_what_cannot_come_back_and_writes_nothing() {
    let past = Past::new(End::Clean);
    past.lose_host();
    past.lose_sites(&[0, 1, 2]);
    let said = past
        .rig
        .run("restore --config h/evenkeel.toml --identity h/recovery-identity.txt --to new");
    let id = text(&past.points[0]["id"]);
    said.refuses(21, &["site-a", "site-b", "site-c", &id]);
    assert!(!past.rig.path("new").exists());
    for (level, key) in [("D1", ""), ("D4", "--identity h/recovery-identity.txt")] {
        let drill = past.rig.run(&format!("drill --home h --level {level} {key} --json"));
        assert_eq!(drill.exit, 21, "{drill:?}");
        assert_eq!(text(&drill.json()["result"]), "failed");
    }
}

#[test]
fn every_kind_of_damage_at_two_sites_is_restored_through_named_and_mended() {
    let past = Past::new(End::Clean);
    let mut random = Random::new(seed() ^ 0xda);
    past.rig.ok("verify --home h --json");
    for class in CLASSES {
        let first = random.index(5);
        let second = (first + 1 + random.index(4)) % 5;
        let harmed = harm_all(&past.rig, &[first, second], class, &mut random);
        assert!(harmed.len() >= 2, "{class}: {harmed:?}");
        damage_is_handled(&past, &harmed);
    }
}

#[test]
fn each_kind_of_damage_to_each_kind_of_object_is_restored_through_named_and_mended() {
    let past = Past::new(End::Clean);
    let mut random = Random::new(seed() ^ 0xdb);
    for class in CLASSES {
        for kind in HARMS {
            let site = random.pick(&past.rig.sites()).clone();
            // The last object has older ones before it.
            let object = objects(&site, class).pop().unwrap();
            let harmed = harm(&site, &object, kind, &mut random);
            let possible =
                objects(&site, class).len() > 1 || !matches!(kind, Harm::Swapped | Harm::Older);
            assert_eq!(harmed.is_some(), possible, "{class} {kind:?}");
            if let Some(harmed) = harmed {
                damage_is_handled(&past, &[harmed]);
            }
        }
    }
}

/// Restores right, `verify` names each object and site, `repair` mends it, `verify` is content.
fn damage_is_handled(past: &Past, harmed: &[common::damage::Harmed]) {
    let restored = past.restore("scratch", "");
    past.is_right(&restored);
    assert_eq!(number(&restored, "position"), past.replay.next(), "{harmed:?}");
    let found = past.rig.run("verify --home h --json");
    assert_eq!(found.exit, 20, "{harmed:?}: {found:?}");
    let problems = found.json()["problems"].as_array().unwrap().clone();
    for one in harmed {
        let named = problems.iter().any(|problem| {
            text(&problem["site"]) == one.site
                && text(&problem["object"]) == one.object
                && !text(&problem["kind"]).is_empty()
        });
        assert!(named, "{one:?} is not among {problems:?}");
    }
    let repaired = past.rig.run("repair --home h --json");
    assert_eq!(repaired.exit, 0, "{harmed:?}: {repaired:?}");
    past.rig.ok("verify --home h --json");
}

#[test]
fn any_position_and_any_time_since_the_first_point_can_be_restored() {
    let past = Past::new(End::Clean);
    let end = past.replay.next();
    let first = number(&past.points[0], "position");
    let mut random = Random::new(seed() ^ 0xa7);
    let mut asked: Vec<u64> = (0..3).map(|_| first + random.below(end - first)).collect();
    asked.extend(past.points.iter().map(|point| number(point, "position")));
    asked.push(end);
    for position in asked {
        let restored = past.restore("scratch", &format!("--at-position {position}"));
        assert_eq!(number(&restored, "position"), position);
        past.is_right(&restored);
        let is_it = |point: &&Value| number(point, "position") == position;
        if let Some(point) = past.points.iter().find(is_it) {
            assert_eq!(restored["state_root"], point["state_root"]);
        }
    }
    // Whole milliseconds, as a person would type them.
    let after_first = past.replay.times_ns[first as usize] + 1_000_000;
    let last = *past.replay.times_ns.last().unwrap();
    for _ in 0..3 {
        let time_ns = (after_first + random.below(last - after_first)) / 1_000_000 * 1_000_000;
        let time = format_time_ns(time_ns);
        let restored = past.restore("scratch", &format!("--at-time {time}"));
        let expected = past.replay.times_ns.partition_point(|at| *at <= time_ns) as u64;
        assert_eq!(number(&restored, "position"), expected, "at {time}");
        past.is_right(&restored);
    }
    let identity = "--config h/evenkeel.toml --identity h/recovery-identity.txt";
    past.rig
        .run(&format!("restore {identity} --to early --at-position 1"))
        .refuses(10, &["position 1", &first.to_string()]);
}

#[test]
fn a_wrong_identity_is_told_apart_from_damage() {
    let past = Past::new(End::Clean);
    past.rig.ok("init --home other --dashboard off");
    past.lose_host();
    let said = past
        .rig
        .run("restore --config h/evenkeel.toml --identity other/recovery-identity.txt --to new");
    said.refuses(12, &["wrong identity", "safe:", "next:"]);
    assert!(!past.rig.path("new").exists());
    past.rig
        .run("drill --home h --level D4 --identity other/recovery-identity.txt")
        .refuses(12, &[]);
}

#[test]
fn a_promoted_restore_goes_live_and_the_old_home_does_not_fork_in_silence() {
    let past = Past::new(End::Killed);
    let rig = &past.rig;
    let kept = rig.path("old-host");
    fs::rename(rig.path("h/host"), &kept).unwrap();
    // That the host is gone proves nothing about a primary that may run elsewhere.
    rig.run(&format!("{RESTORE} --to new --promote")).refuses(
        2,
        &["whether the old primary is dead", "nothing was written", "--attest-primary-dead"],
    );
    assert!(!rig.path("new").exists());
    let restored = past.restore("new", "--promote --attest-primary-dead");
    past.is_right(&restored);
    let (from, to) = (text(&restored["lineage"]), text(&restored["promoted_lineage"]));
    assert_ne!(from, to);

    let mut command = rig.command("up --role primary --home new --dashboard off --ack-log");
    let mut daemon = Daemon::spawn(rig, command.arg(rig.beside("ack-new")));
    daemon.until("acknowledgements in the new lineage", || {
        let noted = fs::metadata(rig.beside("ack-new")).map_or(0, |found| found.len());
        (noted > 68 * 1_000).then_some(())
    });
    let drill = rig.run("drill --home new --level D3 --json");
    assert_eq!(drill.exit, 0, "{drill:?}");
    daemon.end();
    let drill = rig.run("drill --home new --level D4 --identity h/recovery-identity.txt --json");
    assert_eq!(drill.exit, 0, "{drill:?}");
    let listed = rig.ok("points --home new --json").json();
    let lineages: BTreeSet<String> =
        listed["points"].as_array().unwrap().iter().map(|point| text(&point["lineage"])).collect();
    assert_eq!(lineages, BTreeSet::from([from, to]));

    // The host that was given up comes back and writes again.
    fs::rename(&kept, rig.path("h/host")).unwrap();
    old_home_is_noticed(rig);
}

/// Either the old home refuses to write, or whoever reads the sites is told that history forked.
fn old_home_is_noticed(rig: &Rig) {
    let said = rig.run("up --role primary --home h --dashboard off --exit-after 4");
    let listed = rig.run("points --home new --json");
    let restore = rig.run(
        "restore --config new/evenkeel.toml --identity h/recovery-identity.txt --to third --json",
    );
    println!("old home: exit {} {}", said.exit, said.err);
    println!("points: {}", listed.err);
    println!("restore: exit {} {}", restore.exit, restore.err);
    if said.exit == 0 {
        assert!(listed.err.contains("FORK"), "{}", listed.err);
        assert_eq!(restore.exit, 20, "{restore:?}");
        assert!(restore.err.contains("FORK"), "{}", restore.err);
    } else {
        assert_eq!(said.exit, 20, "{said:?}");
        assert_eq!(restore.exit, 0, "{restore:?}");
    }
}

#[test]
fn nothing_is_promoted_beside_a_primary_that_lives() {
    let past = Past::new(End::Killed);
    let mut daemon = Daemon::start(&past.rig, "");
    daemon.until_acked(&past.rig, 100);
    for attested in ["", "--attest-primary-dead"] {
        past.rig
            .run(&format!("{RESTORE} --to new --promote {attested}"))
            .refuses(11, &["the primary is alive: process", "nothing was written"]);
        assert!(!past.rig.path("new").exists());
    }
    daemon.end();
}

#[test]
fn two_homes_promoted_from_one_history_are_shown_as_a_fork_and_one_has_to_be_chosen() {
    let past = Past::new(End::Clean);
    let first = past.restore("new", "--promote");
    let from = text(&first["lineage"]);
    let second = past.restore("other", &format!("--promote --lineage {from}"));
    let listed = past.rig.run("points --home new --json");
    assert!(listed.err.contains("FORK"), "{listed:?}");
    let line = "restore --config new/evenkeel.toml --identity h/recovery-identity.txt --to third";
    let heirs = [&first, &second].map(|one| text(&one["promoted_lineage"]));
    past.rig.run(line).refuses(20, &["FORK", &heirs[0], &heirs[1], "safe:", "--lineage"]);
    assert!(!past.rig.path("third").exists());
    let chosen = past.rig.ok(&format!("{line} --lineage {} --json", heirs[0])).json();
    assert_eq!(chosen["state_root"], first["state_root"]);
    let drill = past.rig.run("drill --home new --level D3 --json");
    assert_eq!(drill.exit, 20, "a fork is no proven restore: {drill:?}");
}

#[test]
fn drills_prove_what_their_level_can_with_up_to_two_sites_gone() {
    let past = Past::new(End::Clean);
    let levels = [("D1", ""), ("D3", ""), ("D4", "--identity h/recovery-identity.txt")];
    for lost in [None, Some([1, 4])] {
        if let Some(lost) = lost {
            past.lose_sites(&lost);
        }
        for (level, key) in levels {
            let said = past.rig.run(&format!("drill --home h --level {level} {key} --json"));
            // What D1 looks at is each site itself: one that does not answer leaves it unproven.
            let expected = match (level, lost) {
                ("D1", Some(_)) => (3, "unproven"),
                _ => (0, "ok"),
            };
            let drill = said.json();
            assert_eq!((said.exit, text(&drill["result"]).as_str()), expected, "{said:?}");
            drill_is_complete(&drill, level);
        }
    }
}

fn drill_is_complete(drill: &Value, level: &str) {
    assert_eq!(text(&drill["message_type"]), "drill");
    assert_eq!(text(&drill["level"]), level);
    for field in ["recovery_point", "key_used"] {
        assert!(!text(&drill[field]).is_empty(), "{field} in {drill}");
    }
    for field in ["position", "entries_replayed"] {
        number(drill, field);
    }
    assert!(drill["sites_used"].as_array().is_some_and(|all| all.len() >= 3));
    for check in drill["checks"].as_array().unwrap() {
        let result = text(&check["result"]);
        let is_verdict = result == text(&drill["result"]);
        assert!(is_verdict || matches!(result.as_str(), "ok" | "not_configured"), "{check}");
        assert!(check["name"].is_string() && check["detail"].is_string());
    }
}

#[test]
fn a_drill_beside_a_running_daemon_says_how_far_the_sites_are_behind() {
    let rig = Rig::new();
    let mut daemon = Daemon::start(&rig, "");
    daemon.until_points(&rig, 1);
    let said = rig.run("drill --home h --level D3 --json");
    let drill = said.json();
    assert_eq!(said.exit, 0, "{said:?}");
    assert!(drill["rpo_entries"].is_u64(), "{drill}");
    assert!(drill["rpo_seconds"].is_number() && drill["rto_seconds"].is_number());
    daemon.end();
}
