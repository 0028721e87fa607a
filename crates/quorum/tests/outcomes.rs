//! Stores that do not answer, and answers that say nothing.

mod common;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;

use common::{append, texts, two_hosts};
use evenkeel_journal::{Admission, JournalError, Log};
use evenkeel_quorum::memory::CommitFault;
use evenkeel_quorum::{Founded, Frames, QuorumError};

#[test]
fn a_batch_whose_outcome_is_unknown_is_written_once_whatever_became_of_it() {
    for fault in [
        CommitFault::UnknownApplied,
        CommitFault::UnknownNotApplied,
        CommitFault::UnknownLater { operations: 0 },
        CommitFault::UnknownLater { operations: 1 },
        CommitFault::UnknownLater { operations: 2 },
        CommitFault::UnknownLater { operations: 50 },
    ] {
        let (store, a, _) = two_hosts();
        let mut log = a.primary(0);
        append(&mut log, "one").unwrap();
        a.store.fail_commits([fault, fault]);
        assert_eq!(append(&mut log, "two").unwrap(), 1, "{fault:?}");
        assert_eq!(append(&mut log, "three").unwrap(), 2, "{fault:?}");
        store.settle();
        assert_eq!(append(&mut log, "four").unwrap(), 3, "{fault:?}");
        assert_eq!(a.handle.status().waiting, None);
        drop(log);
        assert_eq!(a.entries(), texts(&["one", "two", "three", "four"]), "{fault:?}");
    }
}

#[test]
fn an_append_waits_for_a_majority_as_long_as_it_takes_and_says_so() {
    let (store, a, _) = two_hosts();
    let (shared, handle, seen) =
        (store.clone(), a.handle.clone(), Arc::new(AtomicBool::new(false)));
    let seen_later = Arc::clone(&seen);
    let running = a.running_with(move |pauses| {
        let waiting = handle.status().waiting.expect("it says that it waits");
        assert_eq!(waiting.attempts, pauses);
        assert!(waiting.why.contains("majority"), "{}", waiting.why);
        if pauses == 1_000 {
            assert!(waiting.waited_ms > 400_000, "{} ms", waiting.waited_ms);
            seen_later.store(true, Relaxed);
            shared.set_members_up(2);
        }
    });
    let mut log = a.primary_with(0, running);
    store.set_members_up(1);
    assert_eq!(append(&mut log, "x").unwrap(), 0);
    assert!(seen.load(Relaxed));
    assert_eq!(a.handle.status().waiting, None);
}

#[test]
fn a_stop_ends_the_wait_without_an_acknowledgement_and_the_batch_may_stand() {
    for fault in [CommitFault::UnknownApplied, CommitFault::UnknownNotApplied] {
        let (_, a, _) = two_hosts();
        let handle = a.handle.clone();
        let running = a.running_with(move |pauses| {
            if pauses == 5 {
                handle.stop();
            }
        });
        let mut log = a.primary_with(0, running);
        a.store.fail_commits([fault]);
        a.store.fail_reads_after(Some(0));
        match append(&mut log, "x").unwrap_err() {
            JournalError::Poisoned { cause } => assert!(cause.contains("not known"), "{cause}"),
            other => panic!("{other}"),
        }
        a.store.mend();
        assert!(matches!(append(&mut log, "y"), Err(JournalError::Poisoned { .. })));
        drop(log);
        assert!(a.entries().is_empty(), "it was never acknowledged here");
        // The process starts again, and reads what became of it.
        let mut again = a.clone();
        again.handle = evenkeel_quorum::Handle::default();
        let log = again.take_over(1).unwrap();
        drop(log);
        let stands = fault == CommitFault::UnknownApplied;
        assert_eq!(a.entries().len(), usize::from(stands), "{fault:?}");
    }
}

#[test]
fn a_refusal_for_space_after_an_unknown_outcome_does_not_say_that_nothing_was_written() {
    let (store, a, _) = two_hosts();
    let shared = store.clone();
    let running = a.running_with(move |pauses| {
        if pauses == 3 {
            assert_eq!(shared.settle(), 1, "the first attempt arrives after all");
        }
    });
    let mut log = a.primary_with(0, running);
    let late = CommitFault::UnknownLater { operations: 1_000 };
    a.store.fail_commits([late, CommitFault::Full, CommitFault::Full, CommitFault::Full]);
    assert_eq!(append(&mut log, "x").unwrap(), 0);
    drop(log);
    assert_eq!(a.entries(), texts(&["x"]));
}

#[test]
fn a_batch_that_a_journal_or_a_frame_cannot_hold_never_reaches_the_store() {
    let (store, a, _) = two_hosts();
    let mut log = a.primary(0);
    let before = store.keys();
    assert!(matches!(log.append(&[], Admission::Normal), Err(JournalError::EmptyBatch)));
    let max = usize::try_from(log.body_bytes_max()).unwrap();
    let large = vec![0; max];
    let error = log.append(&[&large], Admission::Normal).unwrap_err();
    assert!(matches!(error, JournalError::FrameTooLarge { .. }), "{error}");
    a.disk.set_capacity_bytes(Some(0));
    let entry = vec![7; 20_000];
    let refused = loop {
        match log.append(&[&entry], Admission::Normal) {
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    assert!(matches!(refused, JournalError::DiskFull { .. }) && refused.is_full());
    let frames = store.keys().len() - before.len();
    let next = log.file().next();
    assert_eq!(frames as u64, next, "the store holds what the journal holds");
}

#[test]
fn a_committed_batch_that_this_hosts_disk_lost_is_fetched_at_the_next_start() {
    let (_, a, _) = two_hosts();
    let mut log = a.primary(0);
    append(&mut log, "one").unwrap();
    let fault = evenkeel_journal::fault_disk::Fault::Error { seed: 3 };
    let operations = a.disk.operations();
    a.disk.fail_at(operations, fault);
    assert!(matches!(append(&mut log, "two"), Err(JournalError::Poisoned { .. })));
    assert!(matches!(append(&mut log, "three"), Err(JournalError::Poisoned { .. })));
    drop(log);
    let mut log = a.primary(1);
    assert_eq!(append(&mut log, "four").unwrap(), 2, "behind the one that the store has");
    drop(log);
    assert_eq!(a.entries(), texts(&["one", "two", "four"]));
}

#[test]
fn an_unreachable_store_is_not_taken_over_and_nothing_changes() {
    let (_, a, _) = two_hosts();
    a.store.set_unreachable(true);
    let not_taken = a.take_over(0).unwrap_err();
    assert!(matches!(not_taken.error, QuorumError::Unreachable(_)));
    assert!(not_taken.error.is_passing());
    assert_eq!(not_taken.file.next(), 0);
    let waited_ms = a.now_ms.load(Relaxed);
    assert!(waited_ms >= a.settings.patience_ms && waited_ms < 2 * a.settings.patience_ms);
    drop(not_taken);
    a.store.mend();
    assert_eq!(a.primary(0).file().term(), 1);
}

#[test]
fn a_log_is_begun_once_however_unclear_the_answer() {
    for fault in [
        CommitFault::None,
        CommitFault::UnknownApplied,
        CommitFault::UnknownNotApplied,
        CommitFault::UnknownLater { operations: 1 },
    ] {
        let store = evenkeel_quorum::memory::MemStore::new();
        let (a, b) = (common::Host::new("a", &store), common::Host::new("b", &store));
        let none = a.take_over(0).unwrap_err().error;
        assert!(matches!(none, QuorumError::NotFounded { .. }), "{none}");
        a.store.fail_commits([fault]);
        assert_eq!(a.found(), Ok(Founded::Begun), "{fault:?}");
        let mut log = a.primary(0);
        append(&mut log, "x").unwrap();
        let tail = Frames::new(store.another(), &common::IDENTITY).read_tail().unwrap();
        assert_eq!(tail.next, 1);
        assert_eq!(b.found(), Ok(Founded::AlreadyThere(tail)));
    }
}
