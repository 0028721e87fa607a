//! Several hosts with a real etcd cluster: which of them writes is decided by the term there, and
//! what was acknowledged is on a majority.
#![cfg(feature = "etcd")]
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use std::fs;
use std::time::Duration;

use common::Rig;
use common::audit::{effects, hashes_of};
use common::hosts::{Hosts, read_acks};
use rustix::process::Signal;

#[test]
fn a_killed_primary_is_replaced_by_the_other_host_and_comes_back_as_its_standby() {
    let mut hosts = Hosts::new(Rig::new(), &["h", "g"]);
    hosts.start(0);
    hosts.until_primary(0, 1);
    hosts.start(1);
    hosts.until_following(1);
    hosts.until_acked(0, 500);
    hosts.kill(0);
    hosts.until_primary(1, 2);
    hosts.start(0);
    hosts.until_following(0);
    // The other way round, together with a member of the store.
    let leader = hosts.cluster.leader();
    hosts.cluster.kill(leader);
    hosts.kill(1);
    hosts.until_primary(0, 3);
    hosts.cluster.restart(leader);
    hosts.start(1);
    hosts.until_following(1);
    hosts.assert_nothing_lost(0);
}

#[test]
fn a_planned_hand_over_to_another_host_loses_nothing_and_goes_back_again() {
    let mut hosts = Hosts::new(Rig::new(), &["h", "g"]);
    hosts.start(0);
    hosts.until_primary(0, 1);
    let said = hosts.run(0, "failover");
    said.refuses(10, &["no standby follows this primary", "the primary goes on"]);
    hosts.start(1);
    hosts.until_following(1);
    let said = hosts.run(1, "failover");
    said.refuses(10, &["the primary is on another host"]);
    let said = hosts.run(0, "failover --json");
    assert_eq!(said.exit, 0, "{said:?}");
    assert_eq!((&said.json()["kind"], &said.json()["term"]), (&"planned".into(), &2.into()));
    hosts.until_primary(1, 2);
    hosts.until_following(0);
    // A person may also take the term for a host whose primary lives: it is fenced, and follows.
    let said = hosts.run(0, "failover --unplanned --json");
    assert_eq!(said.exit, 0, "{said:?}");
    hosts.until_primary(0, 3);
    hosts.until_following(1);
    hosts.assert_nothing_lost(0);
}

#[test]
fn a_primary_that_stood_still_for_seconds_acknowledges_nothing_late() {
    let mut hosts = Hosts::new(Rig::new(), &["h", "g"]);
    hosts.start(0);
    hosts.until_primary(0, 1);
    hosts.start(1);
    hosts.until_following(1);
    hosts.daemon(0).signal(Signal::STOP);
    hosts.until_primary(1, 2);
    std::thread::sleep(Duration::from_secs(3));
    hosts.daemon(0).signal(Signal::CONT);
    // What its clients had asked of it before is refused by the store, whenever it goes on.
    hosts.until_following(0);
    hosts.until_acked(1, 300);
    hosts.assert_nothing_lost(1);
}

#[test]
fn without_a_majority_nothing_is_acknowledged_and_with_it_everything_goes_on() {
    let mut hosts = Hosts::new(Rig::new(), &["h"]);
    hosts.start(0);
    hosts.until_primary(0, 1);
    hosts.cluster.kill(0);
    let said = hosts.run(0, "doctor");
    assert!(said.out.contains("does not answer") && said.exit == 3, "{said:?}");
    hosts.cluster.kill(1);
    let said = hosts.run(0, "doctor");
    assert!(said.out.contains("FAIL  shared log") && said.exit == 1, "{said:?}");
    let told = hosts.until(0, "a silent store", |status| {
        let conditions = status["conditions"].as_array().unwrap();
        conditions.iter().any(|one| one["kind"] == "store_silent")
    });
    assert!(told["conditions"].to_string().contains("Nothing is acknowledged"), "{told}");
    let before = hosts.ack_bytes(0);
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(hosts.ack_bytes(0), before, "no majority, no acknowledgement");
    hosts.cluster.restart(0);
    hosts.until_acked(0, 300);
    hosts.cluster.restart(1);
    hosts.assert_nothing_lost(0);
}

#[test]
fn a_lost_majority_is_recovered_by_a_persons_word_after_the_loss_was_stated() {
    let mut hosts = Hosts::new(Rig::new(), &["h", "g"]);
    hosts.start(0);
    hosts.until_primary(0, 1);
    hosts.start(1);
    hosts.until_following(1);
    let said = hosts.run(0, "recover-quorum");
    said.refuses(11, &["runs here since"]);
    hosts.end(1);
    hosts.end(0);
    let said = hosts.run(0, "recover-quorum");
    said.refuses(2, &["the shared log is there", "nothing is lost"]);
    // All members are gone with their disks; new ones are empty.
    hosts.cluster.begin_again();
    hosts.start(0);
    let told = hosts.daemon(0).until_said("recover-quorum");
    assert!(told.contains("holds no log of this cluster"), "{told}");
    hosts.end(0);
    let said = hosts.run(0, "recover-quorum");
    said.refuses(2, &["would be lost", "nobody knows", "--attest-majority-lost"]);
    let said = hosts.run(0, "recover-quorum --attest-majority-lost");
    assert_eq!(said.exit, 0, "{said:?}");
    assert!(said.out.contains("begins again at position"), "{said:?}");
    hosts.start(0);
    hosts.until_primary(0, 2);
    hosts.start(1);
    hosts.until_following(1);
    hosts.assert_nothing_lost(0);
}

/// Two approvers with keys in files, a day to object, and a clock that can be set.
fn approved_home(kind: &str) -> Hosts {
    let rig = Rig::new();
    let library = common::power_loss::build_from("common/clock.c", &rig.beside("."));
    let clock = rig.beside("clock").display().to_string();
    fs::write(&clock, "0").unwrap();
    let rig =
        rig.with("LD_PRELOAD", &library.display().to_string()).with("EVENKEEL_CLOCK_FILE", &clock);
    let key = |name: &str| rig.ok(&format!("prune key --out {name}.key")).out.trim().to_owned();
    let rule = format!(
        "\n[approvals.{kind}]\napprovers = [\"{}\", \"{}\"]\nneeded = 2\ndelay_hours = 24\n",
        key("ada"),
        key("bob")
    );
    let hosts = Hosts::new(rig, &["h"]);
    let file = hosts.rig.path("h/evenkeel.toml");
    let config = fs::read_to_string(&file).unwrap();
    fs::write(&file, config + &rule).unwrap();
    hosts.rig.ok("approvals publish --home h --identity h/recovery-identity.txt");
    hosts
}

#[test]
fn a_shared_log_begins_again_only_as_all_who_have_to_approved_it() {
    let mut hosts = approved_home("promotion");
    hosts.start(0);
    hosts.until_primary(0, 1);
    hosts.end(0);
    hosts.cluster.begin_again();
    let word = |hosts: &Hosts, word: &str, action: &str, who: &str| {
        hosts.rig.ok(&format!("approvals {word} --home h --action {action} --key {who}.key"));
    };
    let propose = |hosts: &Hosts| {
        let said = hosts.run(0, "recover-quorum --attest-majority-lost --propose the-rack-burnt");
        assert_eq!(said.exit, 0, "{said:?}");
        let pending = hosts.rig.ok("approvals list --home h --pending --json").json();
        pending["actions"][0]["id"].as_str().unwrap().to_owned()
    };
    let refused = |hosts: &Hosts, parts: &[&str]| {
        hosts.run(0, "recover-quorum --attest-majority-lost").refuses(11, parts);
    };
    refused(&hosts, &["nobody has proposed it", "2 of 2", "nothing was done"]);
    let cancelled = propose(&hosts);
    word(&hosts, "approve", &cancelled, "ada");
    refused(&hosts, &["1 of 2 approvals"]);
    word(&hosts, "approve", &cancelled, "bob");
    refused(&hosts, &["its delay ends at"]);
    word(&hosts, "cancel", &cancelled, "bob");
    fs::write(hosts.rig.beside("clock"), format!("{}", 25 * 3600)).unwrap();
    refused(&hosts, &["cancelled by"]);
    // The store is as empty as it was: nobody can be primary on it.
    hosts.start(0);
    hosts.daemon(0).until_said("holds no log of this cluster");
    hosts.end(0);
    let action = propose(&hosts);
    for who in ["ada", "bob"] {
        word(&hosts, "approve", &action, who);
    }
    fs::write(hosts.rig.beside("clock"), format!("{}", 50 * 3600)).unwrap();
    let said = hosts.run(0, "recover-quorum --attest-majority-lost");
    assert!(said.exit == 0 && said.out.contains("begins again at position"), "{said:?}");
    let shown = hosts.rig.ok(&format!("approvals show --home h --action {action} --json")).json();
    assert_eq!(shown["actions"][0]["standing"], "executed", "{shown}");
    hosts.start(0);
    hosts.until_primary(0, 2);
    hosts.assert_nothing_lost(0);
}

#[test]
fn clients_on_another_machine_trade_on_through_failovers_and_nothing_is_lost_or_done_twice() {
    let mut hosts = Hosts::new(Rig::new(), &["h", "g"]);
    hosts.let_in("gateway");
    hosts.start(0);
    hosts.until_primary(0, 1);
    hosts.start(1);
    hosts.until_following(1);
    let mut clients = hosts.start_clients("gateway");
    let log = hosts.rig.beside("ack-gateway");
    let until_more = |clients: &mut common::daemon::Daemon| {
        let before = read_acks(&log).len();
        clients.until("acknowledgements", || (read_acks(&log).len() > before + 200).then_some(()));
    };
    until_more(&mut clients);
    hosts.kill(0);
    hosts.until_primary(1, 2);
    until_more(&mut clients);
    hosts.start(0);
    hosts.until_following(0);
    until_more(&mut clients);
    let said = hosts.run(1, "failover --json");
    assert_eq!(said.exit, 0, "{said:?}");
    hosts.until_primary(0, 3);
    until_more(&mut clients);
    let said = clients.end();
    for words in ["the primary of term 1 is at", "the primary of term 3 is at", "acknowledged"] {
        assert!(said.contains(words), "{words}: {said}");
    }
    hosts.assert_nothing_lost(0);
    let hashes = hashes_of(&hosts.rig, "h");
    let acks = read_acks(&log);
    assert!(acks.len() > 800, "{}", acks.len());
    let lost: Vec<_> = acks.iter().filter(|(at, hash)| hashes.get(at) != Some(hash)).collect();
    assert_eq!(lost, Vec::<&(u64, String)>::new());
    let effects = effects(&hosts.rig);
    let twice: Vec<_> = effects.iter().filter(|(_, count)| **count > 1).collect();
    assert_eq!(twice, Vec::new());
    // Orders and cancels, and not refusals alone.
    let theirs = effects.keys().filter(|origin| origin.session.0 >= 1 << 32).count();
    assert!(theirs > 400, "{theirs}");
}
