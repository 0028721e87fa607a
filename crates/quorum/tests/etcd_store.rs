//! The store over a real cluster: what is done is done, and what is not known is told as such.
#![cfg(feature = "etcd")]
#![allow(clippy::unwrap_used, reason = "tests")]

mod cluster;

use cluster::{Cluster, Plan};
use evenkeel_quorum::{Committed, EtcdStore, Guard, Store, Write};

fn key(name: &str) -> Vec<u8> {
    format!("/evenkeel/test/{name}").into_bytes()
}

fn put(store: &mut impl Store, name: &str, value: &[u8]) -> Committed {
    store.commit(&[], &[Write { key: key(name), value: value.to_vec() }])
}

/// Sends it again until it is done, since a machine that is busy may leave an outcome unknown.
fn put_at_last(store: &mut impl Store, name: &str, value: &[u8]) {
    loop {
        match put(store, name, value) {
            Committed::Done => return,
            Committed::Unknown(_) => {}
            other => panic!("{other:?}"),
        }
    }
}

fn guard(name: &str, value: Option<&[u8]>) -> Guard {
    Guard { key: key(name), value: value.map(<[u8]>::to_vec) }
}

fn read(store: &mut impl Store, name: &str) -> Option<Vec<u8>> {
    store.read(&[&key(name)]).unwrap().remove(0)
}

#[test]
fn a_commit_takes_place_if_every_guard_holds_and_says_otherwise_what_is_there() {
    let cluster = Cluster::start(Plan::default());
    let mut store = cluster.store();
    let write = |name: &str, value: &[u8]| Write { key: key(name), value: value.to_vec() };
    let both = [guard("a", None), guard("b", None)];
    assert_eq!(store.commit(&both, &[write("a", b"1"), write("b", b"2")]), Committed::Done);
    let found = vec![Some(b"1".to_vec()), Some(b"2".to_vec())];
    assert_eq!(store.commit(&both, &[write("a", b"3")]), Committed::Refused(found.clone()));
    let one_wrong = [guard("a", Some(b"1")), guard("b", Some(b"x"))];
    assert_eq!(store.commit(&one_wrong, &[write("a", b"3")]), Committed::Refused(found));
    let right = [guard("a", Some(b"1")), guard("b", Some(b"2"))];
    assert_eq!(store.commit(&right, &[write("a", b"3")]), Committed::Done);
    let keys = [key("b"), key("none"), key("a")];
    let keys: Vec<&[u8]> = keys.iter().map(Vec::as_slice).collect();
    let values = store.read(&keys).unwrap();
    assert_eq!(values, [Some(b"2".to_vec()), None, Some(b"3".to_vec())]);
}

#[test]
fn ranges_are_in_order_and_discarded_keys_are_gone() {
    let cluster = Cluster::start(Plan::default());
    let mut store = cluster.store();
    for at in 0..9 {
        assert_eq!(put(&mut store, &format!("f/{at}"), &[at]), Committed::Done);
    }
    let names = |pairs: Vec<(Vec<u8>, Vec<u8>)>| -> Vec<u8> {
        pairs.into_iter().map(|(_, value)| value[0]).collect()
    };
    let (from, to) = (key("f/"), key("f0"));
    let keys = store.keys(&from, &to, 100).unwrap();
    assert_eq!(keys, (0..9).map(|at| key(&format!("f/{at}"))).collect::<Vec<_>>());
    assert_eq!(store.keys(&from, &to, 4).unwrap().len(), 4);
    let first = names(store.range(&from, &to, 2).unwrap());
    assert_eq!(first, [0, 1]);
    store.discard(&from, &key("f/7")).unwrap();
    // Once more changes nothing, and the history behind it is compacted already.
    store.discard(&from, &key("f/7")).unwrap();
    assert_eq!(names(store.range(&from, &to, 9).unwrap()), [7, 8]);
}

#[test]
fn a_watch_wakes_for_a_change_and_ends_without_one_also_after_a_compaction() {
    let cluster = Cluster::start(Plan::default());
    let (mut store, mut other) = (cluster.store(), cluster.store());
    put(&mut store, "tail", b"1");
    // Another value is there already: no waiting.
    store.await_change(&key("tail"), Some(b"0"), 60_000).unwrap();
    store.await_change(&key("tail"), Some(b"1"), 50).unwrap();
    let waiting = std::thread::spawn(move || {
        store.await_change(&key("tail"), Some(b"1"), 60_000).unwrap();
        store
    });
    std::thread::sleep(std::time::Duration::from_millis(200));
    other.discard(&key("none"), &key("nonf")).unwrap();
    assert!(!waiting.is_finished(), "a compaction is no change");
    put(&mut other, "tail", b"2");
    let mut store = waiting.join().unwrap();
    assert_eq!(read(&mut store, "tail"), Some(b"2".to_vec()));
}

#[test]
fn whoever_must_not_come_in_is_told_why() {
    let cluster = Cluster::start(Plan::default());
    let mut access = cluster.access();
    access.password = "guessed".to_owned().into();
    let mut store = EtcdStore::connect(&access).unwrap();
    let said = store.read(&[&key("a")]).unwrap_err().to_string();
    assert!(said.contains("authentication failed") && said.contains("password"), "{said}");
    assert!(matches!(put(&mut store, "a", b"1"), Committed::Unknown(_)));
    // The role reaches the venue's keys and no others.
    let mut store = cluster.store();
    let said = store.read(&[b"/other"]).unwrap_err().to_string();
    assert!(said.contains("permission denied"), "{said}");
    let other = Cluster::start(Plan { members: 1, ..Plan::default() });
    let mut access = cluster.access();
    access.ca_pem = other.access().ca_pem;
    let said = EtcdStore::connect(&access).unwrap().read(&[&key("a")]).unwrap_err().to_string();
    assert!(said.contains("ertificate"), "{said}");
}

#[test]
fn an_expired_token_is_renewed_without_anybody_noticing() {
    let cluster = Cluster::start(Plan { token_seconds: 1, ..Plan::default() });
    let mut store = cluster.store();
    put_at_last(&mut store, "a", b"1");
    std::thread::sleep(std::time::Duration::from_millis(2_500));
    assert_eq!(read(&mut store, "a"), Some(b"1".to_vec()));
}

#[test]
fn a_killed_leader_costs_unknown_outcomes_and_nothing_that_was_done() {
    let mut cluster = Cluster::start(Plan::default());
    let mut store = cluster.store();
    let (mut done, mut unknown) = (Vec::new(), Vec::new());
    let mut killed = None;
    for at in 0..400_u32 {
        if at == 100 {
            let leader = cluster.leader();
            cluster.kill(leader);
            killed = Some(leader);
        }
        match put(&mut store, &format!("n/{at:04}"), &at.to_le_bytes()) {
            Committed::Done => done.push(at),
            Committed::Unknown(_) => unknown.push(at),
            other => panic!("{other:?}"),
        }
    }
    assert!(done.iter().any(|at| *at > 100), "the others go on");
    cluster.restart(killed.unwrap());
    for at in done {
        assert_eq!(read(&mut store, &format!("n/{at:04}")), Some(at.to_le_bytes().to_vec()));
    }
    for at in unknown {
        let found = read(&mut store, &format!("n/{at:04}"));
        assert!(found.is_none_or(|value| value == at.to_le_bytes()), "whole or not at all");
    }
}

#[test]
fn without_a_majority_nothing_is_done_and_with_it_again_everything_is_there() {
    let mut cluster = Cluster::start(Plan::default());
    let mut store = cluster.store();
    put_at_last(&mut store, "a", b"1");
    cluster.kill(0);
    cluster.kill(1);
    assert!(matches!(put(&mut store, "a", b"2"), Committed::Unknown(_)));
    assert!(store.read(&[&key("a")]).is_err());
    let health = store.health();
    assert!(health.is_err() || health.unwrap().members_up <= 1);
    cluster.restart(0);
    cluster.leader();
    let found = read(&mut store, "a").unwrap();
    assert!(found == b"1" || found == b"2", "the unknown one may have been done");
    put_at_last(&mut store, "a", b"3");
    cluster.restart(1);
}

#[test]
fn a_member_without_its_disk_is_replaced_while_the_others_go_on() {
    let mut cluster = Cluster::start(Plan::default());
    let mut store = cluster.store();
    put_at_last(&mut store, "a", b"1");
    cluster.replace(2);
    put_at_last(&mut store, "b", b"2");
    // With another member gone the new one is needed, and has everything.
    cluster.kill(0);
    cluster.leader();
    assert_eq!(read(&mut store, "a"), Some(b"1".to_vec()));
    assert_eq!(read(&mut store, "b"), Some(b"2".to_vec()));
}

#[test]
fn a_stopped_member_costs_a_wait_and_is_left_for_the_next_one() {
    let cluster = Cluster::start(Plan::default());
    let mut store = cluster.store();
    put_at_last(&mut store, "a", b"1");
    // The first is the one that is asked.
    cluster.signal(0, "-STOP");
    assert!(matches!(put(&mut store, "a", b"1"), Committed::Unknown(_) | Committed::Done));
    assert_eq!(read(&mut store, "a"), Some(b"1".to_vec()));
    cluster.signal(0, "-CONT");
}

#[test]
fn a_full_store_says_so_and_takes_writes_again_once_there_is_space() {
    let cluster = Cluster::start(Plan { quota_bytes: 16 << 20, ..Plan::default() });
    let mut store = cluster.store();
    let value = vec![7; 1 << 20];
    let full = (0..64).find_map(|at| match put(&mut store, &format!("f/{at:02}"), &value) {
        Committed::Full(why) => Some(why),
        _ => None,
    });
    assert!(full.unwrap().contains("space exceeded"));
    assert!(store.health().unwrap().full);
    store.discard(&key("f/"), &key("f0")).unwrap();
    // What is used again needs no more room, but the file is not smaller: somebody with the right
    // to administer the cluster makes space.
    let said = store.make_space().unwrap_err().to_string();
    assert!(said.contains("permission denied"), "{said}");
    for at in 0..3 {
        cluster.control_at(at, &["defrag"]).unwrap();
    }
    cluster.control_at(0, &["alarm", "disarm"]).unwrap();
    assert_eq!(put(&mut store, "f/00", &value), Committed::Done);
    let health = store.health().unwrap();
    assert!(!health.full && health.members_up == 3 && health.used_bytes < 16 << 20);
}
