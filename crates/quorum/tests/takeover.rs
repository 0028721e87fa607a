//! Taking over with a journal that lags, forks, or holds too much.

#![allow(clippy::unwrap_used)]

mod common;

use std::path::Path;

use common::{DIR, Host, IDENTITY, append, keys, texts, two_hosts};
use evenkeel_journal::{Admission, EndState, Log, verify};
use evenkeel_quorum::keys::{Archived, StoredFrame, Tail, Value};
use evenkeel_quorum::memory::MemStore;
use evenkeel_quorum::{Frames, QuorumError};

#[test]
fn a_lagging_journal_is_brought_to_the_tail_before_the_term_begins() {
    let (_, a, b) = two_hosts();
    let mut first = a.primary(0);
    for number in 0..100 {
        append(&mut first, &format!("entry {number}")).unwrap();
    }
    let second = b.take_over(1).unwrap();
    assert_eq!(second.file().next(), 100);
    assert_eq!(second.file().chain(), first.file().chain());
    assert_eq!(second.file().term(), 1, "no term is begun");
    assert_eq!(second.file().end_state(), Some(EndState::Confirmed));
    drop((first, second));
    assert_eq!(a.entries(), b.entries());
    assert!(verify(&b.disk, Path::new(DIR)).unwrap().problems.is_empty());
}

#[test]
fn hosts_that_take_turns_write_one_history() {
    let (_, a, b) = two_hosts();
    for term in 0..6_u64 {
        let host = if term % 2 == 0 { &a } else { &b };
        let mut log = host.primary(term);
        assert_eq!(log.file().next(), 2 * term);
        log.append(&[b"x", format!("{term}").as_bytes()], Admission::Normal).unwrap();
    }
    drop(a.take_over(6).unwrap());
    drop(b.take_over(7).unwrap());
    assert_eq!(a.entries(), b.entries());
    assert_eq!(a.entries().len(), 12);
}

#[test]
fn the_log_begins_where_the_first_hosts_journal_ends() {
    let store = MemStore::new();
    let (a, b) = (Host::new("a", &store), Host::new("b", &store));
    let mut file = a.file();
    file.confirm_end(&[]).unwrap();
    file.begin_term(4).unwrap();
    file.append(&[b"before", b"etcd"], Admission::Normal).unwrap();
    file.close().unwrap();
    a.found().unwrap();
    let mut log = a.primary(4);
    assert_eq!(append(&mut log, "after").unwrap(), 2);
    assert_eq!(log.file().term(), 5);
    drop(log);
    assert_eq!(a.entries(), texts(&["before", "etcd", "after"]));
    // What was before the log never was in the store.
    let refused = b.take_over(5).unwrap_err().error;
    assert_eq!(refused, QuorumError::TrimmedAway { from: 0, to: 2 });
}

#[test]
fn a_journal_that_ends_below_what_was_trimmed_is_refused_before_the_term_is_touched() {
    let (store, a, b) = two_hosts();
    let mut first = a.primary(0);
    for _ in 0..10 {
        append(&mut first, "x").unwrap();
    }
    a.handle.archived_to(7);
    first.tend().unwrap();
    let refused = b.take_over(1).unwrap_err().error;
    assert_eq!(refused, QuorumError::TrimmedAway { from: 0, to: 7 });
    assert!(refused.to_string().contains("positions 0 to below 7"), "{refused}");
    append(&mut first, "the former primary goes on").unwrap();
    assert!(store.value(&keys().frame(6)).is_none() && store.value(&keys().frame(7)).is_some());
}

#[test]
fn frames_that_the_store_lost_are_named_and_nobody_goes_on_without_them() {
    let (store, a, b) = two_hosts();
    let mut first = a.primary(0);
    for _ in 0..10 {
        append(&mut first, "x").unwrap();
    }
    store.set_value(&keys().frame(3), None);
    store.set_value(&keys().frame(4), None);
    let refused = b.take_over(1).unwrap_err();
    let missing = QuorumError::Missing { from: 3, to: 5, trimmed_below: 0 };
    assert_eq!(refused.error, missing);
    drop(refused);
    let last = b.clone();
    store.set_value(&keys().frame(9), None);
    for first in 3..5 {
        let frame = StoredFrame::behind([0; 32], 1, first, &[b"x"]).unwrap();
        store.set_value(&keys().frame(first), Some(frame.to_value()));
    }
    let refused = last.take_over(1).unwrap_err().error;
    assert!(matches!(refused, QuorumError::Forked { position: 3 }), "{refused}");
    append(&mut first, "y").unwrap();
}

#[test]
fn a_damaged_frame_is_refused_and_named() {
    let (store, a, b) = two_hosts();
    let mut first = a.primary(0);
    append(&mut first, "x").unwrap();
    let mut bytes = store.value(&keys().frame(0)).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    store.set_value(&keys().frame(0), Some(bytes));
    match b.take_over(1).unwrap_err().error {
        QuorumError::Damaged { key, what } => {
            assert!(key.ends_with("frame/0000000000000000") && what.contains("chain"), "{what}");
        }
        other => panic!("{other}"),
    }
}

/// A journal on `host` with entries that no store ever saw.
fn write_alone(host: &Host, term: u64, batches: &[&[&[u8]]]) {
    let mut file = host.file();
    file.confirm_end(&[]).unwrap();
    file.begin_term(term).unwrap();
    for batch in batches {
        file.append(batch, Admission::Normal).unwrap();
    }
    file.close().unwrap();
}

#[test]
fn a_journal_that_holds_more_than_was_committed_is_refused() {
    let (_, a, b) = two_hosts();
    let mut first = a.primary(0);
    append(&mut first, "x").unwrap();
    write_alone(&b, 1, &[&[b"x"], &[b"y"]]);
    let refused = b.take_over(1).unwrap_err();
    assert_eq!(refused.error, QuorumError::LocalAhead { ours: 2, theirs: 1 });
    append(&mut first, "the former primary goes on").unwrap();
}

#[test]
fn a_journal_of_another_history_is_refused_wherever_it_ends() {
    let cases: [(&[&[&[u8]]], u64); 3] = [
        (&[&[b"other"]], 1),
        (&[&[b"one"], &[b"two"], &[b"other"]], 3),
        // The same entries, but acknowledged otherwise: within a frame of the store.
        (&[&[b"one"], &[b"two"], &[b"three"], &[b"four"]], 4),
    ];
    for (batches, position) in cases {
        let (_, a, b) = two_hosts();
        let mut first = a.primary(0);
        append(&mut first, "one").unwrap();
        append(&mut first, "two").unwrap();
        first.append(&[b"three", b"four", b"five"], Admission::Normal).unwrap();
        append(&mut first, "six").unwrap();
        write_alone(&b, 1, batches);
        let refused = b.take_over(1).unwrap_err().error;
        assert_eq!(refused, QuorumError::Forked { position });
        append(&mut first, "the former primary goes on").unwrap();
    }
}

#[test]
fn a_tail_that_points_into_a_frame_is_damage() {
    let (store, a, b) = two_hosts();
    let mut first = a.primary(0);
    first.append(&[b"one", b"two"], Admission::Normal).unwrap();
    let tail = Tail { next: 1, chain: [9; 32], term: 1 };
    store.set_value(&keys().tail(), Some(tail.to_value()));
    assert!(matches!(b.take_over(1).unwrap_err().error, QuorumError::Damaged { .. }));
}

#[test]
fn a_store_put_back_while_the_primary_writes_ends_it() {
    let (store, a, _) = two_hosts();
    let mut first = a.primary(0);
    append(&mut first, "one").unwrap();
    let earlier = store.value(&keys().tail());
    append(&mut first, "two").unwrap();
    store.set_value(&keys().tail(), earlier);
    assert!(append(&mut first, "three").is_err());
    assert!(append(&mut first, "three").is_err());
    drop(first);
    assert_eq!(a.take_over(1).unwrap_err().error, QuorumError::LocalAhead { ours: 2, theirs: 1 });
}

#[test]
fn a_name_that_the_format_does_not_hold_is_refused() {
    let (_, a, _) = two_hosts();
    let mut me = a.holder();
    me.address = "x".repeat(257);
    let taken =
        evenkeel_quorum::take_over(a.store.clone(), a.file(), 0, me, a.running()).unwrap_err();
    assert!(matches!(taken.error, QuorumError::HolderTooLong { max_bytes: 256 }));
}

#[test]
fn a_follower_reads_what_was_committed_and_mirrors_it() {
    let (store, a, b) = two_hosts();
    let mut first = a.primary(0);
    let mut frames = Frames::new(b.store.clone(), &IDENTITY);
    let mut file = b.file();
    file.confirm_end(&[]).unwrap();
    assert!(frames.next_batches(0, &file.chain(), 10).unwrap().is_empty());
    for number in 0..40 {
        append(&mut first, &format!("{number}")).unwrap();
    }
    while file.next() < 40 {
        for batch in frames.next_batches(file.next(), &file.chain(), 10).unwrap() {
            file.mirror(&batch, "the store").unwrap();
        }
    }
    assert_eq!(file.chain(), first.file().chain());
    // A watch that is cut says nothing; the tail does.
    b.store.set_watch(evenkeel_quorum::memory::Watch::Cut);
    assert!(frames.next_batches(40, &file.chain(), 10).unwrap().is_empty());
    append(&mut first, "more").unwrap();
    assert_eq!(frames.next_batches(40, &file.chain(), 10).unwrap().len(), 1);
    let other = frames.next_batches(40, &[1; 32], 10).unwrap_err();
    assert_eq!(other, QuorumError::Forked { position: 40 });
    let beyond = frames.next_batches(42, &[1; 32], 10).unwrap_err();
    assert_eq!(beyond, QuorumError::LocalAhead { ours: 42, theirs: 41 });
    store.set_members_up(1);
    assert!(frames.next_batches(40, &file.chain(), 10).unwrap_err().is_passing());
}

#[test]
fn a_follower_behind_the_trimmed_frames_learns_what_to_fetch_and_goes_on_behind_it() {
    let (_, a, b) = two_hosts();
    let mut first = a.primary(0);
    let mut chains = vec![first.file().chain()];
    for _ in 0..10 {
        append(&mut first, "x").unwrap();
        chains.push(first.file().chain());
    }
    a.handle.archived_to(6);
    first.tend().unwrap();
    let mut frames = Frames::new(b.store.clone(), &IDENTITY);
    let gap = frames.next_batches(2, &chains[2], 10).unwrap_err();
    assert_eq!(gap, QuorumError::TrimmedAway { from: 2, to: 6 });
    let batches = frames.next_batches(6, &chains[6], 10).unwrap();
    assert_eq!(batches.iter().map(|batch| batch.first).collect::<Vec<_>>(), [6, 7, 8, 9]);
}

#[test]
fn beats_tell_that_the_primary_lives_and_how_far_it_is() {
    let (_, a, b) = two_hosts();
    let mut frames = Frames::new(b.store.clone(), &IDENTITY);
    assert_eq!(frames.read_beat().unwrap(), None);
    let mut first = a.primary(0);
    first.tend().unwrap();
    first.tend().unwrap();
    let beat = frames.read_beat().unwrap().unwrap();
    assert_eq!((beat.term, beat.counter, beat.durable_next), (1, 1, 0), "not more often than set");
    append(&mut first, "x").unwrap();
    a.now_ms.fetch_add(a.settings.beat_every_ms, std::sync::atomic::Ordering::Relaxed);
    first.tend().unwrap();
    let beat = frames.read_beat().unwrap().unwrap();
    assert_eq!((beat.counter, beat.durable_next, beat.address.as_str()), (2, 1, "a:7"));
    a.store.set_unreachable(true);
    first.beat().unwrap();
    assert!(a.handle.status().housekeeping.is_some(), "a silent store is shown, not an error");
}

#[test]
fn a_value_of_a_newer_version_is_not_guessed_at() {
    let (store, a, _) = two_hosts();
    let mut value = Archived { below: 0 }.to_value();
    value[4] = 2;
    store.set_value(&keys().archived(), Some(value));
    let error = a.take_over(0).unwrap_err().error;
    assert!(error.to_string().contains("unknown version 2"), "{error}");
}
