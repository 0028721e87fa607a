//! Two primaries: one of them writes.

mod common;

use common::{append, keys, texts, two_hosts};
use evenkeel_journal::{Admission, JournalError, Log};
use evenkeel_quorum::keys::Value;
use evenkeel_quorum::memory::CommitFault;
use evenkeel_quorum::{Frames, QuorumError, Term};

#[test]
fn of_two_primaries_only_the_one_with_the_higher_term_is_acknowledged() {
    let (_, a, b) = two_hosts();
    let mut first = a.primary(0);
    assert_eq!(append(&mut first, "one").unwrap(), 0);
    let mut second = b.primary(1);
    assert_eq!(append(&mut second, "two").unwrap(), 1);
    match append(&mut first, "never").unwrap_err() {
        JournalError::Fenced { term: 2, holder } => assert_eq!(holder, "b at b:7"),
        other => panic!("{other}"),
    }
    assert_eq!(append(&mut second, "three").unwrap(), 2);
    drop((first, second));
    assert_eq!(a.entries(), texts(&["one"]));
    assert_eq!(b.entries(), texts(&["one", "two", "three"]));
}

#[test]
fn a_fenced_log_stays_fenced_even_if_the_store_were_to_forget() {
    let (store, a, b) = two_hosts();
    let mut first = a.primary(0);
    let before = store.value(&keys().term());
    let _second = b.primary(1);
    assert!(matches!(append(&mut first, "x"), Err(JournalError::Fenced { .. })));
    store.set_value(&keys().term(), before);
    assert!(matches!(append(&mut first, "x"), Err(JournalError::Fenced { .. })));
    assert!(matches!(first.tend(), Err(JournalError::Fenced { .. })));
    assert!(matches!(first.begin_term(9), Err(JournalError::Fenced { .. })));
    assert!(a.handle.status().ended.is_some_and(|why| why.contains("not primary")));
}

#[test]
fn an_idle_primary_finds_out_by_its_beat() {
    let (_, a, b) = two_hosts();
    let mut first = a.primary(0);
    first.tend().unwrap();
    let _second = b.primary(1);
    a.now_ms.fetch_add(10_000, std::sync::atomic::Ordering::Relaxed);
    assert!(matches!(first.tend(), Err(JournalError::Fenced { term: 2, .. })));
}

#[test]
fn a_commit_that_arrives_after_a_change_of_term_writes_nothing() {
    let (store, a, b) = two_hosts();
    let store_of_a = a.store.clone();
    // The batch is on its way when the term changes; the primary hears nothing until then.
    let (shared, taker) = (store.clone(), b.clone());
    let mut taken = None;
    let running = a.running_with(move |_| {
        if taken.is_none() {
            taken = Some(taker.primary(1));
            assert_eq!(shared.delayed(), 1);
            assert_eq!(shared.settle(), 0, "its guard on the term does not hold any more");
        }
    });
    let mut first = a.primary_with(0, running);
    store_of_a.fail_commits([CommitFault::UnknownLater { operations: 1_000 }]);
    assert!(matches!(append(&mut first, "late"), Err(JournalError::Fenced { term: 2, .. })));
    drop(first);
    assert!(a.entries().is_empty() && b.entries().is_empty());
    assert!(!store.keys().contains(&keys().frame(0)), "no frame was written");
}

#[test]
fn only_one_of_two_that_expect_the_same_term_wins_it() {
    let (_, a, b) = two_hosts();
    let _first = a.primary(0);
    match b.take_over(0).unwrap_err().error {
        QuorumError::Taken(by) => assert_eq!((by.term, by.holder.name.as_str()), (1, "a")),
        other => panic!("{other}"),
    }
}

#[test]
fn processes_of_one_name_do_not_take_each_others_term() {
    let (_, a, _) = two_hosts();
    let mut again = a.clone();
    again.disk = a.disk.fork();
    again.run = 0xee;
    let _first = a.primary(0);
    assert!(matches!(again.take_over(0).unwrap_err().error, QuorumError::Taken(_)));
}

#[test]
fn a_term_whose_winning_was_not_told_is_found_to_be_won() {
    for fault in [
        CommitFault::UnknownApplied,
        CommitFault::UnknownNotApplied,
        CommitFault::UnknownLater { operations: 0 },
        CommitFault::UnknownLater { operations: 1 },
        CommitFault::UnknownLater { operations: 2 },
    ] {
        let (_, a, _) = two_hosts();
        a.store.fail_commits([fault]);
        let log = a.take_over(0).unwrap();
        assert_eq!((log.term().term, log.next_term()), (1, 1), "{fault:?}");
    }
}

#[test]
fn a_term_won_by_a_request_that_came_late_is_kept_by_trying_again() {
    let (store, a, _) = two_hosts();
    a.store.fail_commits([CommitFault::UnknownLater { operations: u64::MAX }]);
    a.store.fail_commits([CommitFault::UnknownNotApplied; 1_000]);
    let not_taken = a.take_over(0).unwrap_err();
    assert!(matches!(not_taken.error, QuorumError::NotKnown { term: 1, .. }), "{not_taken}");
    assert!(not_taken.error.is_passing());
    drop(not_taken);
    assert_eq!(store.settle(), 1);
    a.store.mend();
    let mut log = a.primary(0);
    assert_eq!(append(&mut log, "x").unwrap(), 0);
}

#[test]
fn a_term_begins_once_and_only_while_it_is_held() {
    let (_, a, b) = two_hosts();
    let mut first = a.take_over(0).unwrap();
    let refused = first.append(&[b"x"], Admission::Normal).unwrap_err();
    assert!(matches!(refused, JournalError::NoTerm { last: 0 }));
    assert!(matches!(first.begin_term(0), Err(JournalError::StaleTerm { .. })));
    assert!(matches!(first.begin_term(2), Err(JournalError::SharedLog { .. })));
    let mut second = b.take_over(1).unwrap();
    assert!(matches!(first.begin_term(1), Err(JournalError::Fenced { term: 2, .. })));
    second.begin_term(2).unwrap();
    assert!(matches!(second.begin_term(2), Err(JournalError::StaleTerm { .. })));
}

#[test]
fn a_store_that_knows_a_lower_term_than_was_heard_of_is_refused() {
    let (store, a, b) = two_hosts();
    let backup = store.fork();
    let mut first = a.primary(0);
    append(&mut first, "x").unwrap();
    drop(first);
    let mut restored = b.clone();
    restored.store = backup.another();
    let error = restored.take_over(1).unwrap_err().error;
    assert_eq!(error, QuorumError::TermWentBack { store: 0, known: 1 });
    let mut restored = a.clone();
    restored.store = backup.another();
    let error = restored.take_over(0).unwrap_err().error;
    assert_eq!(error, QuorumError::TermWentBack { store: 0, known: 1 });
    let unchanged = Term::from_value(b"term", &backup.value(&keys().term()).unwrap());
    assert_eq!(unchanged.map(|term| term.term), Ok(0));
}

#[test]
fn the_term_and_its_holder_can_be_read_by_those_who_follow() {
    let (store, a, _) = two_hosts();
    let mut frames = Frames::new(store.another(), &common::IDENTITY);
    assert_eq!(frames.read_term().unwrap().holder.to_string(), "nobody");
    let _log = a.primary(0);
    let term = frames.read_term().unwrap();
    assert_eq!((term.term, term.holder.to_string().as_str()), (1, "a at a:7"));
}
