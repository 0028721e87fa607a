//! What goes wrong between a host and a real cluster, and inside it.
#![cfg(feature = "etcd")]
#![allow(clippy::unwrap_used, reason = "tests")]

mod cluster;
#[path = "cluster/proxy.rs"]
mod proxy;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use cluster::{Cluster, Plan};
use evenkeel_quorum::{Committed, EtcdStore, Guard, MemberSettings, Store, Write};
use proxy::{Proxy, Way};

fn key(name: &str) -> Vec<u8> {
    format!("/evenkeel/test/{name}").into_bytes()
}

/// Sets a key if it holds `old`.
fn swap(store: &mut EtcdStore, name: &str, old: Option<&[u8]>, new: &[u8]) -> Committed {
    let guard = Guard { key: key(name), value: old.map(<[u8]>::to_vec) };
    store.commit(&[guard], &[Write { key: key(name), value: new.to_vec() }])
}

/// The same until it is done, since a machine that is busy may leave an outcome unknown.
fn swap_at_last(store: &mut EtcdStore, name: &str, old: Option<&[u8]>, new: &[u8]) {
    loop {
        match swap(store, name, old, new) {
            Committed::Done => return,
            Committed::Unknown(_) => {}
            // An attempt before, whose outcome was not known.
            Committed::Refused(found) if found == [Some(new.to_vec())] => return,
            other => panic!("{other:?}"),
        }
    }
}

fn read(store: &mut EtcdStore, name: &str) -> Option<Vec<u8>> {
    store.read(&[&key(name)]).unwrap().remove(0)
}

#[test]
fn a_lost_answer_is_unknown_and_reading_tells_that_it_was_done() {
    let cluster = Cluster::start(Plan::default());
    let proxy = Proxy::to(&cluster.endpoints()[0]);
    let mut access = cluster.access();
    access.endpoints = vec![proxy.address.clone()];
    let mut store = EtcdStore::connect(&access).unwrap();
    swap_at_last(&mut store, "a", None, b"1");
    proxy.set(Way::Questions);
    let outcome = swap(&mut store, "a", Some(b"1"), b"2");
    assert!(matches!(outcome, Committed::Unknown(_)), "{outcome:?}");
    let said = store.read(&[&key("a")]).unwrap_err().to_string();
    assert!(said.contains(&proxy.address), "{said}");
    proxy.set(Way::Both);
    proxy.cut();
    assert_eq!(read(&mut store, "a"), Some(b"2".to_vec()));
    swap_at_last(&mut store, "a", Some(b"2"), b"3");
}

#[test]
fn a_lost_question_is_unknown_and_reading_tells_that_it_was_not_done() {
    let cluster = Cluster::start(Plan::default());
    let proxy = Proxy::to(&cluster.endpoints()[0]);
    let mut access = cluster.access();
    access.endpoints = vec![proxy.address.clone()];
    let mut store = EtcdStore::connect(&access).unwrap();
    swap_at_last(&mut store, "a", None, b"1");
    proxy.set(Way::Nothing);
    let outcome = swap(&mut store, "a", Some(b"1"), b"2");
    assert!(matches!(outcome, Committed::Unknown(_)), "{outcome:?}");
    proxy.set(Way::Both);
    proxy.cut();
    assert_eq!(read(&mut store, "a"), Some(b"1".to_vec()));
    swap_at_last(&mut store, "a", Some(b"1"), b"2");
}

/// Swaps a counter on and on, finding out by reading what became of outcomes that were not known,
/// until it is told to end. What it counted to.
fn count_on(store: &mut EtcdStore, name: &str, end: &AtomicBool) -> u64 {
    let mut at = 0_u64;
    swap_at_last(store, name, None, &at.to_le_bytes());
    while !end.load(Ordering::SeqCst) {
        let (old, new) = (at.to_le_bytes(), (at + 1).to_le_bytes());
        match swap(store, name, Some(&old), &new) {
            Committed::Done => at += 1,
            Committed::Unknown(_) => match store.read(&[&key(name)]) {
                Ok(found) if found == [Some(new.to_vec())] => at += 1,
                Ok(found) => {
                    assert_eq!(found, [Some(old.to_vec())], "nothing that was done is lost");
                }
                Err(_) => {}
            },
            // A former attempt that was read as not done came later.
            Committed::Refused(found) => {
                assert_eq!(found, [Some(new.to_vec())], "nobody else writes");
                at += 1;
            }
            Committed::Full(why) => panic!("{why}"),
        }
    }
    at
}

/// Counts while something is done to the cluster; then the count is what a fresh connection reads.
fn counting_while(cluster: &mut Cluster, mut work: impl FnMut(&mut Cluster)) -> u64 {
    let end = Arc::new(AtomicBool::new(false));
    let (mut store, ended) = (cluster.store(), Arc::clone(&end));
    let counting = thread::spawn(move || count_on(&mut store, "count", &ended));
    work(cluster);
    end.store(true, Ordering::SeqCst);
    let counted = counting.join().unwrap();
    let found = read(&mut cluster.store(), "count").unwrap();
    assert_eq!(u64::from_le_bytes(found.try_into().unwrap()), counted);
    counted
}

/// Waits until the counter has moved on, so that what comes next meets a cluster that works.
fn until_counted(cluster: &Cluster, more: u64) {
    let mut store = cluster.store();
    let mut count = || match store.read(&[&key("count")]) {
        Ok(mut found) => found.remove(0).map(|at| u64::from_le_bytes(at.try_into().unwrap())),
        Err(_) => None,
    };
    let begun = loop {
        if let Some(at) = count() {
            break at;
        }
    };
    while count().is_none_or(|at| at < begun + more) {
        thread::sleep(std::time::Duration::from_millis(10));
    }
}

#[test]
fn leaders_that_are_killed_one_after_the_other_lose_nothing_and_repeat_nothing() {
    let mut cluster = Cluster::start(Plan::default());
    counting_while(&mut cluster, |cluster| {
        for _ in 0..3 {
            until_counted(cluster, 50);
            let leader = cluster.leader();
            cluster.kill(leader);
            until_counted(cluster, 50);
            cluster.restart(leader);
        }
    });
}

#[test]
fn a_leader_that_stands_still_and_comes_back_loses_nothing() {
    let mut cluster = Cluster::start(Plan::default());
    counting_while(&mut cluster, |cluster| {
        for _ in 0..2 {
            until_counted(cluster, 50);
            let leader = cluster.leader();
            cluster.signal(leader, "-STOP");
            until_counted(cluster, 50);
            cluster.signal(leader, "-CONT");
        }
    });
}

#[test]
fn members_that_stand_still_while_they_are_defragmented_lose_nothing() {
    let mut cluster = Cluster::start(Plan::default());
    let mut store = cluster.store();
    for at in 0..64 {
        swap_at_last(&mut store, &format!("f/{at:02}"), None, &vec![at; 1 << 20]);
    }
    counting_while(&mut cluster, |cluster| {
        until_counted(cluster, 50);
        for at in 0..3 {
            cluster.control_at(at, &["defrag"]).unwrap();
        }
        until_counted(cluster, 50);
    });
}

#[test]
fn a_majority_that_stands_still_does_nothing_until_it_goes_on() {
    let cluster = Cluster::start(Plan::default());
    let mut store = cluster.store();
    swap_at_last(&mut store, "a", None, b"1");
    for at in [0, 1] {
        cluster.signal(at, "-STOP");
    }
    let outcome = swap(&mut store, "a", Some(b"1"), b"2");
    assert!(matches!(outcome, Committed::Unknown(_)), "{outcome:?}");
    assert!(store.read(&[&key("a")]).is_err());
    assert!(store.discard(&key("x"), &key("y")).is_err());
    for at in [0, 1] {
        cluster.signal(at, "-CONT");
    }
    cluster.leader();
    let found = read(&mut store, "a").unwrap();
    assert!(found == b"1" || found == b"2", "the unknown one may have been done");
    swap_at_last(&mut store, "a", Some(&found), b"3");
}

/// etcd may write and say in the same breath that there is no space.
#[test]
fn whatever_is_told_to_be_refused_for_want_of_space_is_not_written() {
    let cluster = Cluster::start(Plan { quota_bytes: 24 << 20, ..Plan::default() });
    let writers = (0..6).map(|writer| {
        let mut store = cluster.store();
        thread::spawn(move || {
            for at in 0..200 {
                let name = format!("f/{writer}/{at}");
                match swap(&mut store, &name, None, &vec![writer; 400 << 10]) {
                    Committed::Full(_) => return Some(name),
                    Committed::Done | Committed::Unknown(_) => {}
                    Committed::Refused(found) => panic!("{found:?}"),
                }
            }
            None
        })
    });
    let writers: Vec<_> = writers.collect();
    let refused: Vec<String> =
        writers.into_iter().filter_map(|writer| writer.join().unwrap()).collect();
    assert!(!refused.is_empty());
    let mut store = cluster.store();
    for name in refused {
        assert!(read(&mut store, &name).is_none(), "{name}");
    }
}

#[test]
fn a_maintainer_makes_space_and_the_writes_go_on() {
    let cluster = Cluster::start(Plan { quota_bytes: 16 << 20, ..Plan::default() });
    let mut store = EtcdStore::connect(&cluster.access_of_maintainer()).unwrap();
    for _ in 0..2 {
        let value = vec![7; 1 << 20];
        let full = (0..64).find(|at| {
            matches!(swap(&mut store, &format!("f/{at:02}"), None, &value), Committed::Full(_))
        });
        assert!(full.is_some() && store.health().unwrap().full);
        let settings = MemberSettings { quota_bytes: 16 << 20, ..MemberSettings::default() };
        let found = settings.check(&mut store, "/evenkeel/test/").unwrap();
        assert!(found.iter().any(|one| one.what.contains("NOSPACE")), "{found:?}");
        store.discard(&key("f/"), &key("f0")).unwrap();
        store.make_space().unwrap();
        let health = store.health().unwrap();
        assert!(!health.full && health.used_bytes < 8 << 20, "{health:?}");
        swap_at_last(&mut store, "f/on", None, &value);
        store.discard(&key("f/"), &key("f0")).unwrap();
    }
}

/// What the check finds, except how fast this machine is.
fn found(store: &mut EtcdStore) -> Vec<String> {
    let found = MemberSettings::default().check(store, "/evenkeel/test/").unwrap();
    let what = found.into_iter().map(|one| one.what);
    what.filter(|what| !what.contains("a transaction takes")).collect()
}

#[test]
fn a_sound_cluster_has_no_findings_and_a_lame_or_an_open_one_has() {
    let mut cluster = Cluster::start(Plan::default());
    assert_eq!(found(&mut cluster.store()), Vec::<String>::new());
    let mut access = cluster.access();
    access.endpoints.pop();
    let said = found(&mut EtcdStore::connect(&access).unwrap());
    assert_eq!(said, ["2 endpoints are given for 3 members"]);
    cluster.kill(1);
    cluster.leader();
    let said = found(&mut cluster.store());
    assert!(said.len() == 1 && said[0].contains("does not answer"), "{said:?}");
    cluster.restart(1);
    cluster.control_at(0, &["auth", "disable"]).unwrap();
    let said = found(&mut cluster.store());
    assert!(said.iter().any(|what| what.contains("authentication is off")), "{said:?}");
    let single = Cluster::start(Plan { members: 1, ..Plan::default() });
    assert_eq!(found(&mut single.store()), ["there are 1 members"]);
}

#[test]
fn a_look_at_a_member_that_did_not_answer_does_not_cost_the_login_there() {
    let cluster = Cluster::start(Plan::default());
    let mut store = cluster.store();
    swap_at_last(&mut store, "a", None, b"1");
    let leader = cluster.leader();
    cluster.signal(leader, "-STOP");
    // A signal takes effect when the system gets to it: until then the member may still answer.
    assert!((0..50).any(|_| store.health().unwrap().members_up < 3));
    cluster.signal(leader, "-CONT");
    cluster.leader();
    assert_eq!(read(&mut store, "a"), Some(b"1".to_vec()));
}

#[test]
fn a_login_that_was_not_needed_is_made_up_for_once_it_is() {
    let cluster = Cluster::start(Plan::default());
    cluster.control_at(0, &["auth", "disable"]).unwrap();
    let mut store = cluster.store();
    swap_at_last(&mut store, "a", None, b"1");
    cluster.control_at(0, &["auth", "enable"]).unwrap();
    assert_eq!(read(&mut store, "a"), Some(b"1".to_vec()));
    swap_at_last(&mut store, "a", Some(b"1"), b"2");
}
