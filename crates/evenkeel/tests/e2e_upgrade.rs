//! New rules of the engine come into force by an entry of the journal, once the configuration asks
//! for them; nothing acknowledged before is changed by it.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use common::Rig;
use common::audit::{Promises, audit};
use common::daemon::{Daemon, live_status};
use serde_json::Value;

fn rules(daemon: &mut Daemon, rig: &Rig) -> u64 {
    daemon.until("its rules", || live_status(rig)?["engine"]["rules"].as_u64())
}

#[test]
fn a_home_of_the_first_rules_moves_to_the_second_at_an_entry_and_keeps_its_history() {
    let rig = Rig::new().with("EVENKEEL_VENUE_RULES", "1");
    rig.ok("init --home h");
    let mut daemon = Daemon::start(&rig, "");
    daemon.until_acked(&rig, 500);
    assert_eq!(rules(&mut daemon, &rig), 1);
    daemon.end();
    let before = rig.ok("journal hashes --home h").out;

    let rig = rig.with("EVENKEEL_VENUE_RULES", "2");
    let mut daemon = Daemon::start(&rig, "");
    daemon.until_acked(&rig, 500);
    assert_eq!(rules(&mut daemon, &rig), 2);
    daemon.end();
    let after = rig.ok("journal hashes --home h").out;
    assert!(after.starts_with(&before), "the history before the upgrade is what it was");
    assert!(after.len() > before.len());
    // Both rules are replayed, in one drill, to the promised roots.
    rig.ok("drill --home h --level D3");
}

/// A process of the home that asks for these rules.
fn start(rig: &Rig, role: &str, rules: &str) -> Daemon {
    let mut command = rig.command(&format!("up --role {role} --home h --dashboard off --ack-log"));
    command.arg(rig.beside("ack")).env("EVENKEEL_VENUE_RULES", rules);
    Daemon::spawn_as(rig, &format!("{role}-{rules}"), &mut command)
}

/// Waits for a primary of this term and these rules that a standby follows.
fn until(daemon: &mut Daemon, rig: &Rig, term: u64, rules: u64) -> Value {
    daemon.until("a primary that is followed", || {
        let status = live_status(rig)?;
        let is_it = status["role"] == "primary"
            && status["journal"]["term"] == term
            && status["engine"]["rules"] == rules;
        (is_it && status["standbys"][0]["state"] == "following").then_some(status)
    })
}

#[test]
fn a_rolling_upgrade_restarts_the_standby_hands_over_and_restarts_the_other() {
    let rig = Rig::new();
    rig.ok("init --home h --dashboard off");
    let mut first = start(&rig, "primary", "1");
    let second = start(&rig, "standby", "1");
    until(&mut first, &rig, 1, 1);
    first.until_acked(&rig, 500);

    second.end();
    let mut second = start(&rig, "standby", "2");
    until(&mut first, &rig, 1, 1);
    first.until_acked(&rig, 500);
    let before = rig.ok("journal hashes --home h").out;

    // The new rules come into force with the term of the process that knows them.
    let failover = rig.json("failover --home h --planned --json");
    assert_eq!(failover["term"], 2, "{failover}");
    until(&mut second, &rig, 2, 2);
    second.until_acked(&rig, 500);

    // What was the primary follows by now; it ends as a standby and comes back with the new rules.
    first.end();
    let mut first = start(&rig, "standby", "2");
    until(&mut second, &rig, 2, 2);
    let failover = rig.json("failover --home h --planned --json");
    assert_eq!(failover["term"], 3, "{failover}");
    until(&mut first, &rig, 3, 2);
    first.until_acked(&rig, 500);
    second.end();
    first.end();
    let after = rig.ok("journal hashes --home h").out;
    assert!(after.starts_with(&before), "the history before the upgrade is what it was");
    let audited = audit(&rig, &mut Promises::default()).unwrap();
    assert!(audited.acks > 1_500, "{audited:?}");
    rig.ok("drill --home h --level D3");
}
