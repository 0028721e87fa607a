//! A store that fills: trimming behind the sites, slowing down, refusing, going on.

#![allow(clippy::unwrap_used)]

mod common;

use std::sync::atomic::Ordering::Relaxed;

use common::{Host, append, keys, two_hosts};
use evenkeel_journal::{Admission, JournalError, Log};
use evenkeel_quorum::keys::{Archived, Value};
use evenkeel_quorum::memory::{CommitFault, MemStore, PlayedPause};
use evenkeel_quorum::{
    Frames, Handle, Housekeeping, Keeper, QuorumError, QuorumLog, Settings, Unreachable,
};

fn frames_in(store: &MemStore) -> Vec<u64> {
    store.keys().iter().filter_map(|key| keys().frame_first(key).ok()).collect()
}

fn archived_in(store: &MemStore) -> u64 {
    Archived::from_value(b"a", &store.value(&keys().archived()).unwrap()).unwrap().below
}

#[test]
fn frames_below_what_the_sites_hold_are_given_up_whole_and_in_steps() {
    let (store, mut a, _) = two_hosts();
    a.settings.trim_frames_max = 2;
    let mut log = a.primary(0);
    for _ in 0..6 {
        log.append(&[b"x", b"y", b"z"], Admission::Normal).unwrap();
    }
    a.handle.archived_to(2);
    log.tend().unwrap();
    assert_eq!(frames_in(&store), [0, 3, 6, 9, 12, 15], "2 lies inside the first");
    a.handle.archived_to(13);
    log.tend().unwrap();
    assert_eq!((frames_in(&store), archived_in(&store)), (vec![6, 9, 12, 15], 6));
    a.handle.archived_to(5);
    log.tend().unwrap();
    assert_eq!((frames_in(&store), archived_in(&store)), (vec![12, 15], 12));
    log.tend().unwrap();
    assert_eq!(frames_in(&store), [12, 15], "13 lies inside");
    a.handle.archived_to(1_000_000);
    log.tend().unwrap();
    assert_eq!((frames_in(&store), archived_in(&store)), (vec![], 18), "never beyond the tail");
    assert_eq!(a.handle.status().trimmed_below, 18);
    assert_eq!(append(&mut log, "on").unwrap(), 18);
    assert_eq!(frames_in(&store), [18]);
}

#[test]
fn a_new_primary_goes_on_trimming_where_the_former_one_stopped() {
    let (store, a, b) = two_hosts();
    let mut first = a.primary(0);
    for _ in 0..4 {
        append(&mut first, "x").unwrap();
    }
    let mut second = b.primary(1);
    append(&mut second, "y").unwrap();
    b.handle.archived_to(3);
    second.tend().unwrap();
    append(&mut second, "z").unwrap();
    b.handle.archived_to(5);
    second.tend().unwrap();
    assert_eq!((frames_in(&store), archived_in(&store)), (vec![5], 5));
    // The former one may be told late what the sites hold.
    a.handle.archived_to(6);
    assert!(matches!(first.tend(), Err(JournalError::Fenced { .. })));
    assert_eq!(frames_in(&store), [5]);
}

#[test]
fn trimming_that_did_not_reach_the_store_is_done_later_and_never_taken_back() {
    for fault in [
        CommitFault::UnknownApplied,
        CommitFault::UnknownNotApplied,
        CommitFault::UnknownLater { operations: 1 },
        CommitFault::UnknownLater { operations: 1_000 },
    ] {
        let (store, mut a, _) = two_hosts();
        a.settings.beat_every_ms = 0;
        let mut log = a.primary(0);
        for _ in 0..8 {
            append(&mut log, "x").unwrap();
        }
        a.store.fail_commits([fault]);
        a.handle.archived_to(3);
        log.tend().unwrap();
        assert_eq!(frames_in(&store).len(), 8, "{fault:?}");
        assert!(a.handle.status().housekeeping.is_some(), "{fault:?}");
        a.handle.archived_to(6);
        log.tend().unwrap();
        log.tend().unwrap();
        store.settle();
        assert_eq!((frames_in(&store), archived_in(&store)), (vec![6, 7], 6), "{fault:?}");
        assert_eq!(a.handle.status().housekeeping, None, "{fault:?}");
    }
}

/// A log whose store has little room, with entries of a thousand bytes.
fn small(host: &Host, store: &MemStore, quota_bytes: u64) -> QuorumLog<MemStore> {
    let mut log = host.primary(0);
    store.set_quota_bytes(quota_bytes);
    log.tend().unwrap();
    log
}

fn append_kilobyte(
    log: &mut QuorumLog<MemStore>,
    admission: Admission,
) -> Result<u64, JournalError> {
    log.append(&[&[7; 1_000]], admission).map(|appended| appended.last + 1)
}

#[test]
fn ordinary_entries_wait_then_are_refused_while_protective_ones_go_on_until_the_store_refuses() {
    let (store, a, _) = two_hosts();
    let mut log = small(&a, &store, 200_000);
    let mut slowed_at = None;
    let refused = loop {
        match append_kilobyte(&mut log, Admission::Normal) {
            Ok(next) if a.handle.status().slowed > 0 => slowed_at = slowed_at.or(Some(next)),
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    let slowed_at = slowed_at.unwrap();
    assert!((60..=90).contains(&slowed_at), "slowed at {slowed_at} of about 160 that fit");
    let next = log.file().next();
    assert!((100..=135).contains(&next), "refused at {next}");
    match refused {
        JournalError::StoreFull { admission, used_bytes, quota_bytes } => {
            assert_eq!((admission, quota_bytes), (Admission::Normal, 200_000));
            assert!(used_bytes > 160_000 && used_bytes < 180_000, "{used_bytes}");
        }
        other => panic!("{other}"),
    }
    let waited_ms = a.now_ms.load(Relaxed);
    assert!(waited_ms > 0 && waited_ms < 300 * next, "each wait is bounded: {waited_ms} ms");
    let refused = loop {
        match append_kilobyte(&mut log, Admission::Reserve) {
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    assert!(refused.is_full() && refused.to_string().contains("every entry is refused"));
    assert!(log.file().next() > next + 10, "the last fifth is for what protects");
    assert_eq!(log.file().next(), frames_in(&store).len() as u64);
    // Room comes back with the sites, and everything goes on by itself.
    a.handle.archived_to(log.file().next() - 1);
    log.tend().unwrap();
    append_kilobyte(&mut log, Admission::Normal).unwrap();
}

#[test]
fn a_wait_for_room_ends_as_soon_as_trimming_made_some() {
    let (store, a, _) = two_hosts();
    let handle = a.handle.clone();
    let running = a.running_with(move |_| {
        let waiting = handle.status().waiting.expect("it says that it waits");
        assert!(waiting.why.contains("fills up"), "{}", waiting.why);
        handle.archived_to(50);
    });
    let mut log = a.primary_with(0, running);
    store.set_quota_bytes(100_000);
    log.tend().unwrap();
    for _ in 0..200 {
        a.handle.archived_to(log.file().next().saturating_sub(20));
        append_kilobyte(&mut log, Admission::Normal).unwrap();
    }
    let status = a.handle.status();
    assert!(status.slowed > 0 && status.refused == 0 && status.waiting.is_none(), "{status:?}");
    assert!(frames_in(&store).len() < 100);
}

#[test]
fn a_full_store_is_trimmed_although_it_cannot_be_told() {
    let (store, a, b) = two_hosts();
    let mut log = a.primary(0);
    let mut chains = vec![log.file().chain()];
    for _ in 0..20 {
        append_kilobyte(&mut log, Admission::Normal).unwrap();
        chains.push(log.file().chain());
    }
    store.set_quota_bytes(1_000);
    let refused = append_kilobyte(&mut log, Admission::Reserve).unwrap_err();
    assert!(matches!(refused, JournalError::StoreFull { .. }), "{refused}");
    a.handle.archived_to(20);
    log.tend().unwrap();
    assert!(frames_in(&store).is_empty());
    store.set_quota_bytes(1 << 20);
    log.tend().unwrap();
    assert_eq!(archived_in(&store), 20, "said as soon as it can be");
    append_kilobyte(&mut log, Admission::Normal).unwrap();
    let gap = Frames::new(b.store.clone(), &common::IDENTITY).next_batches(4, &chains[4], 1);
    assert_eq!(gap.unwrap_err(), QuorumError::TrimmedAway { from: 4, to: 20 });
}

#[test]
fn the_history_of_beats_is_let_go_even_if_nothing_is_trimmed() {
    let (store, a, _) = two_hosts();
    let mut log = a.primary(0);
    let mut most = 0;
    for _ in 0..20_000 {
        a.now_ms.fetch_add(200, Relaxed);
        log.tend().unwrap();
        most = most.max(a.handle.status().health.unwrap().live_bytes);
    }
    assert!(most < 200_000, "{most} bytes after more than an hour");
    assert!(frames_in(&store).is_empty());
}

#[test]
fn trimming_comes_now_and_then_but_at_once_when_room_is_short() {
    let (store, mut a, _) = two_hosts();
    (a.settings.trim_every_ms, a.settings.health_every_ms) = (1_000, 1);
    let mut log = a.primary(0);
    let mut rounds = 0;
    for number in 1..=95 {
        append(&mut log, "x").unwrap();
        a.handle.archived_to(number);
        let before = archived_in(&store);
        log.tend().unwrap();
        rounds += u64::from(archived_in(&store) != before);
        a.now_ms.fetch_add(100, Relaxed);
    }
    assert_eq!(rounds, 10, "in less than ten seconds");
    let next = append(&mut log, "x").unwrap() + 1;
    a.handle.archived_to(next);
    log.tend().unwrap();
    assert!(archived_in(&store) < next);
    a.now_ms.fetch_add(1, Relaxed);
    store.set_quota_bytes(5_000);
    log.tend().unwrap();
    assert_eq!(archived_in(&store), next);
}

/// A host whose log leaves the housekeeping to a keeper.
fn kept() -> (MemStore, Host, Keeper<MemStore>) {
    let (store, mut a, _) = two_hosts();
    a.settings.housekeeping = Housekeeping::Keeper;
    let keeper = Keeper::new(store.another(), &common::IDENTITY, a.handle.clone(), a.settings);
    (store, a, keeper)
}

#[test]
fn a_keeper_deletes_what_the_log_gave_up_and_nothing_more() {
    let (store, a, mut keeper) = kept();
    let mut log = a.primary(0);
    for _ in 0..6 {
        append(&mut log, "x").unwrap();
    }
    a.handle.archived_to(4);
    keeper.round(0);
    assert_eq!(frames_in(&store).len(), 6, "the log has not noted it yet");
    log.tend().unwrap();
    assert_eq!((frames_in(&store).len(), archived_in(&store)), (6, 4), "noted, not deleted");
    assert_eq!(a.handle.status().trimmed_below, 0);
    keeper.round(1);
    assert_eq!(frames_in(&store), [4, 5]);
    assert_eq!(a.handle.status().trimmed_below, 4);
    // The next primary deletes what a keeper did not come to.
    a.handle.archived_to(5);
    log.tend().unwrap();
    drop(log);
    let mut again = a.clone();
    again.handle = Handle::default();
    let _log = again.primary(1);
    Keeper::new(store.another(), &common::IDENTITY, again.handle.clone(), again.settings).round(0);
    assert_eq!(frames_in(&store), [5]);
}

#[test]
fn a_keeper_tells_the_log_how_the_store_is_doing_and_a_silent_store_holds_up_only_the_keeper() {
    let (store, a, mut keeper) = kept();
    let mut log = a.primary(0);
    log.tend().unwrap();
    assert_eq!(a.handle.status().health, None);
    for _ in 0..40 {
        append_kilobyte(&mut log, Admission::Normal).unwrap();
    }
    store.set_quota_bytes(60_000);
    keeper.round(0);
    log.tend().unwrap();
    assert_eq!(a.handle.status().health.unwrap().quota_bytes, 60_000);
    assert!(append_kilobyte(&mut log, Admission::Normal).unwrap_err().is_full());
    a.handle.archived_to(40);
    log.tend().unwrap();
    keeper.round(1);
    append_kilobyte(&mut log, Admission::Normal).unwrap();
    let silent = store.another();
    silent.set_unreachable(true);
    let (handle, settings) = (a.handle.clone(), a.settings);
    let mut keeper = Keeper::new(silent.clone(), &common::IDENTITY, handle, settings);
    keeper.round(0);
    assert!(a.handle.status().keeper.is_some_and(|why| why.contains("does not answer")));
    append_kilobyte(&mut log, Admission::Normal).unwrap();
    silent.mend();
    keeper.round(1);
    assert_eq!(a.handle.status().keeper, None);
}

#[test]
fn a_keeper_ends_with_its_log() {
    let (_, a, mut keeper) = kept();
    let log = a.primary(0);
    assert!(a.handle.is_driven());
    let mut log = Some(log);
    let mut pause = PlayedPause::new(Default::default(), move |pauses| {
        if pauses == 10 {
            drop(log.take());
        }
        assert!(pauses <= 10, "it goes on without a log");
    });
    keeper.run(&mut pause);
    assert!(!a.handle.is_driven());
}

#[test]
fn a_keeper_on_its_own_thread_connects_when_it_can_and_works() {
    let (store, a, _) = kept();
    let mut log = a.primary(0);
    for _ in 0..5 {
        append(&mut log, "x").unwrap();
    }
    a.handle.archived_to(5);
    log.tend().unwrap();
    let (mut refusals, connection) = (2, store.another());
    let connect = move || match refusals {
        0 => Ok(connection.clone()),
        _ => {
            refusals -= 1;
            Err(Unreachable("not yet (played)".to_owned()))
        }
    };
    let settings = Settings { retry_ms_max: 1, ..a.settings };
    let thread = Keeper::start(connect, common::IDENTITY, a.handle.clone(), settings).unwrap();
    while !frames_in(&store).is_empty() {
        std::thread::yield_now();
    }
    drop(log);
    thread.join().unwrap();
}
