//! The log on a real disk and in memory, without faults.
#![allow(clippy::unwrap_used)]

mod common;

use common::{
    IDENTITY, SMALL, append, assert_history, confirmation, create, dir, entry, fault_disk,
    read_from, reopen, root_before, segments,
};
use evenkeel_journal::{
    Admission, Base, Confirmation, Disk, Durability, EndState, FileLog, JournalError, Options,
    Preparation, Reader, RealDisk, RootTracker, inspect, verify,
};
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

fn real_disk() -> (tempfile::TempDir, Arc<dyn Disk>) {
    (tempfile::tempdir().unwrap(), Arc::new(RealDisk))
}

#[test]
fn what_was_appended_is_read_back_after_reopening() {
    let (folder, disk) = real_disk();
    let dir = folder.path().join("deep/journal");
    let mut log = create(&disk, &dir, Options { preparation: Preparation::Background, ..SMALL });
    for count in 1..40 {
        append(&mut log, count).unwrap();
    }
    let (next, chain) = (log.next(), log.chain());
    drop(log);
    assert!(segments(disk.as_ref(), &dir).len() > 5, "several segments");
    let (log, opened) = reopen(&disk, &dir, SMALL).unwrap();
    assert_eq!((opened.next, opened.chain, opened.term), (next, chain, 1));
    assert_eq!((opened.torn_tail, opened.stray.len(), opened.sealed), (None, 0, false));
    let records = read_from(&disk, &dir, 0).unwrap();
    assert_eq!(records.len() as u64, next);
    assert_history(&records, 0);
    drop(log);
    let report = verify(disk.as_ref(), &dir).unwrap();
    assert_eq!((report.entries, report.next, report.chain), (next, next, chain));
    assert_eq!((report.root, report.problems.len()), (Some(root_before(next)), 0));
}

#[test]
fn entries_brought_back_keep_their_term_and_so_the_chain() {
    let (folder, disk) = real_disk();
    let (whole, cut) = (folder.path().join("whole"), folder.path().join("cut"));
    let mut log = create(&disk, &whole, SMALL);
    for _ in 0..3 {
        append(&mut log, 4).unwrap();
    }
    let mut restored = create(&disk, &cut, SMALL);
    append(&mut restored, 4).unwrap();
    drop(restored);
    let (mut restored, _) = FileLog::open(disk.clone(), &cut, SMALL).unwrap();
    restored.confirm_end(&[]).unwrap();
    let refused = append(&mut restored, 4);
    assert!(matches!(refused, Err(JournalError::NoTerm { last: 1 })));
    assert!(matches!(restored.rejoin_term(0), Err(JournalError::StaleTerm { asked: 0, last: 1 })));
    restored.rejoin_term(1).unwrap();
    for _ in 0..2 {
        append(&mut restored, 4).unwrap();
    }
    assert_eq!((restored.chain(), restored.next()), (log.chain(), log.next()));
}

#[test]
fn a_reader_can_begin_at_every_position() {
    let (_, disk) = fault_disk();
    let mut log = create(&disk, &dir(), SMALL);
    for count in [3, 1, 20, 9, 30, 2] {
        append(&mut log, count).unwrap();
    }
    for from in 0..=log.next() {
        let records = read_from(&disk, &dir(), from).unwrap();
        assert_eq!(records.len() as u64, log.next() - from);
        assert_history(&records, from);
    }
}

#[test]
fn one_history_has_one_chain_whatever_the_log_it_lies_in() {
    let (_, disk) = fault_disk();
    let (_, other_disk) = fault_disk();
    let mut log = create(&disk, &dir(), SMALL);
    let larger = Options { segment_bytes: 1 << 20, ..SMALL };
    let mut other = create(&other_disk, &dir(), larger);
    for count in [5, 1, 12, 40, 3] {
        append(&mut log, count).unwrap();
        append(&mut other, count).unwrap();
        // Seals belong to a log, not to its history.
        assert!(other.seal_if_idle().unwrap());
        assert!(!other.seal_if_idle().unwrap(), "once is enough");
        assert_eq!(log.chain(), other.chain());
    }
    other.close().unwrap();
    let (other, opened) = reopen(&other_disk, &dir(), larger).unwrap();
    assert!(opened.sealed);
    assert_eq!((other.next(), other.chain()), (log.next(), log.chain()));
}

#[test]
fn nothing_is_appended_before_the_end_was_compared_and_a_term_begun() {
    let (_, disk) = fault_disk();
    drop(create(&disk, &dir(), SMALL));
    let (mut log, _) = FileLog::open(disk.clone(), &dir(), SMALL).unwrap();
    assert!(matches!(append(&mut log, 1), Err(JournalError::EndNotConfirmed)));
    assert_eq!(log.confirm_end(&[]).unwrap(), EndState::Unconfirmed);
    assert!(matches!(append(&mut log, 1), Err(JournalError::NoTerm { last: 0 })));
    log.begin_term(7).unwrap();
    append(&mut log, 1).unwrap();
    assert_eq!(log.confirm_end(&[confirmation("north", 1)]).unwrap(), EndState::Confirmed);
    assert!(matches!(log.begin_term(7), Err(JournalError::StaleTerm { asked: 7, last: 7 })));
    drop(log);
    let (mut log, opened) = FileLog::open(disk, &dir(), SMALL).unwrap();
    assert_eq!(opened.term, 7);
    assert!(matches!(log.begin_term(6), Err(JournalError::StaleTerm { .. })));
}

#[test]
fn an_acknowledged_tail_that_vanished_is_noticed_against_a_site() {
    let (fault, disk) = fault_disk();
    let mut log = create(&disk, &dir(), SMALL);
    append(&mut log, 4).unwrap();
    let before = fault.fork();
    let next = append(&mut log, 5).unwrap();
    let disk: Arc<dyn Disk> = Arc::new(before);
    let (mut log, opened) = FileLog::open(disk, &dir(), SMALL).unwrap();
    assert_eq!(opened.next, 4, "nothing shows here that five entries were there");
    let error =
        log.confirm_end(&[confirmation("north", 3), confirmation("south", next)]).unwrap_err();
    let JournalError::TailVanished { ours: 4, theirs: 9, ref confirmed_by } = error else {
        panic!("{error}");
    };
    assert_eq!(confirmed_by, "south");
    log.begin_term(2).unwrap();
    assert!(matches!(append(&mut log, 1), Err(JournalError::EndNotConfirmed)));
}

#[test]
fn a_site_with_another_history_is_named() {
    let (_, disk) = fault_disk();
    let mut log = create(&disk, &dir(), SMALL);
    append(&mut log, 4).unwrap();
    let chain = log.chain();
    append(&mut log, 40).unwrap();
    append(&mut log, 40).unwrap();
    let says = |chain| Confirmation { source: "east".to_owned(), next: 4, chain: Some(chain) };
    assert_eq!(log.confirm_end(&[says(chain)]).unwrap(), EndState::Confirmed);
    let error = log.confirm_end(&[says([9; 32])]).unwrap_err();
    assert!(matches!(error, JournalError::Forked { position: 4, .. }), "{error}");
}

fn claim(source: &str, next: u64, chain: [u8; 32]) -> Confirmation {
    Confirmation { chain: Some(chain), ..confirmation(source, next) }
}

/// A log of batches of these sizes; position and chain at every boundary, the base included.
fn batches(
    disk: &Arc<dyn Disk>,
    counts: impl IntoIterator<Item = u64>,
) -> (FileLog, Vec<(u64, [u8; 32])>) {
    let mut log = create(disk, &dir(), SMALL);
    let mut boundaries = vec![(log.next(), log.chain())];
    for count in counts {
        append(&mut log, count).unwrap();
        boundaries.push((log.next(), log.chain()));
    }
    (log, boundaries)
}

#[test]
fn a_fork_is_noticed_where_no_frame_of_ours_ends() {
    let (_, disk) = fault_disk();
    let (_, other_disk) = fault_disk();
    let (mut log, ours) = batches(&disk, [4, 10, 40]);
    let (_other, theirs) = batches(&other_disk, [4, 5]);
    let shared: Vec<_> =
        ours[..2].iter().map(|(next, chain)| claim("north", *next, *chain)).collect();
    assert_eq!(log.confirm_end(&shared).unwrap(), EndState::Confirmed);
    let error = log.confirm_end(&[claim("east", theirs[2].0, theirs[2].1)]).unwrap_err();
    let JournalError::Forked { position: 9, ref confirmed_by } = error else { panic!("{error}") };
    assert_eq!(confirmed_by, "east");
    assert!(matches!(append(&mut log, 1), Err(JournalError::EndNotConfirmed)));
    for position in [0, 54] {
        let error = log.confirm_end(&[claim("east", position, [9; 32])]).unwrap_err();
        assert!(matches!(error, JournalError::Forked { position: at, .. } if at == position));
    }
}

#[test]
fn a_forked_log_is_not_taken_for_one_whose_tail_vanished() {
    let (_, disk) = fault_disk();
    let (_, other_disk) = fault_disk();
    let (mut log, ours) = batches(&disk, [4, 10]);
    let (_other, theirs) = batches(&other_disk, [4, 5, 5, 20]);
    // Beyond ours; a boundary of both with another chain; no boundary of ours.
    for inside in [3, 2] {
        let told = [4, inside, 1].map(|at| claim("east", theirs[at].0, theirs[at].1));
        let error = log.confirm_end(&told).unwrap_err();
        let expected = theirs[inside].0;
        assert!(matches!(error, JournalError::Forked { position, .. } if position == expected));
    }
    let honest = [claim("east", 34, theirs[4].1), claim("north", ours[1].0, ours[1].1)];
    let error = log.confirm_end(&honest).unwrap_err();
    assert!(matches!(error, JournalError::TailVanished { ours: 14, theirs: 34, .. }), "{error}");
}

#[test]
fn thousands_of_confirmations_are_compared() {
    let (fault, disk) = fault_disk();
    let (mut log, ours) = batches(&disk, (0..2500).map(|step| 1 + step % 3));
    let mut told: Vec<_> =
        ours.iter().rev().map(|(next, chain)| claim("north", *next, *chain)).collect();
    assert_eq!(log.confirm_end(&told).unwrap(), EndState::Confirmed);
    let trimmed = log.trim_before(1000).unwrap().first;
    assert!(trimmed > 500);
    assert_eq!(log.confirm_end(&told).unwrap(), EndState::Confirmed, "before the base: not ours");
    told[700].chain = Some([9; 32]);
    let error = log.confirm_end(&told).unwrap_err();
    assert!(matches!(error, JournalError::Forked { position, .. } if position == told[700].next));
    told[700].chain = None;
    log.confirm_end(&told).unwrap();
    // In the first frame of the first segment.
    fault.flip_bit(&segments(disk.as_ref(), &dir())[0], 8 * 600);
    let error = log.confirm_end(&told).unwrap_err();
    assert!(matches!(error, JournalError::Corrupt { .. }), "{error}");
    let error = log.chain_at(trimmed + 5).unwrap_err();
    assert!(matches!(error, JournalError::Corrupt { .. }), "{error}");
}

#[test]
fn only_the_owner_may_read_what_lies_on_disk() {
    let (folder, disk) = real_disk();
    let parent = folder.path().join("deep");
    let dir = parent.join("journal");
    let mut log = create(&disk, &dir, SMALL);
    append(&mut log, 40).unwrap();
    append(&mut log, 40).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    assert_eq!((mode(&parent), mode(&dir)), (0o700, 0o700));
    let names = disk.list(&dir).unwrap();
    assert!(["LOCK", "meta", "reserve.seg"].iter().all(|name| names.iter().any(|one| one == name)));
    for name in names {
        assert_eq!(mode(&dir.join(&name)), 0o600, "{name}");
    }
}

#[test]
fn a_second_process_is_told_who_holds_the_lock() {
    let (folder, disk) = real_disk();
    let log = create(&disk, folder.path(), SMALL);
    let error = FileLog::open(disk.clone(), folder.path(), SMALL).unwrap_err();
    let JournalError::Locked { holder_pid, since_unix_seconds, ref command, .. } = error else {
        panic!("{error}");
    };
    assert_eq!(holder_pid, std::process::id());
    assert!(since_unix_seconds > 1_600_000_000);
    assert!(!command.is_empty());
    drop(log);
    FileLog::open(disk, folder.path(), SMALL).unwrap();
}

#[test]
fn followers_read_while_the_writer_writes_and_never_beyond_the_watermark() {
    let (folder, disk) = real_disk();
    let dir = folder.path().to_owned();
    let options = Options { preparation: Preparation::Background, ..SMALL };
    let mut log = create(&disk, &dir, options);
    let watermark = log.watermark();
    let followers: Vec<_> = (0..3)
        .map(|_| {
            let (disk, dir, watermark) = (disk.clone(), dir.clone(), watermark.clone());
            thread::spawn(move || {
                let mut reader = Reader::follow(disk, &dir, 0, watermark.clone()).unwrap();
                let mut tracker = RootTracker::new(&Base::genesis());
                loop {
                    while let Some(batch) = reader.next_batch().unwrap() {
                        assert!(batch.next() <= watermark.durable_next());
                        assert_history(&batch.records, tracker.next());
                        tracker.push_batch(&batch).unwrap();
                    }
                    let closed = watermark.is_closed();
                    if closed && tracker.next() == watermark.durable_next() {
                        return (tracker.next(), tracker.root());
                    }
                    let _ = watermark.wait_beyond(tracker.next(), Duration::from_secs(5));
                }
            })
        })
        .collect();
    for step in 0..200 {
        append(&mut log, 1 + step % 17).unwrap();
        if step % 20 == 0 {
            log.seal_if_idle().unwrap();
        }
    }
    let next = log.next();
    log.close().unwrap();
    for follower in followers {
        assert_eq!(follower.join().unwrap(), (next, root_before(next)));
    }
}

#[test]
fn a_reader_from_outside_sees_a_growing_journal_and_never_a_wrong_one() {
    let (folder, disk) = real_disk();
    let dir = folder.path().to_owned();
    let mut log = create(&disk, &dir, SMALL);
    append(&mut log, 1).unwrap();
    let mut reader = Reader::external(disk.clone(), &dir, 0).unwrap();
    let mut seen = 0;
    thread::scope(|scope| {
        let writer = scope.spawn(move || {
            for step in 0..150 {
                append(&mut log, 1 + step % 13).unwrap();
            }
            log
        });
        while !writer.is_finished() {
            let report = verify(disk.as_ref(), &dir).unwrap();
            assert!(report.is_intact(), "{:?}", report.problems);
            while let Some(batch) = reader.next_batch().unwrap() {
                assert_history(&batch.records, seen);
                seen = batch.next();
            }
        }
        let log = writer.join().unwrap();
        while let Some(batch) = reader.next_batch().unwrap() {
            assert_history(&batch.records, seen);
            seen = batch.next();
        }
        assert_eq!(seen, log.next());
        assert!(reader.proven_next() < seen, "the last frame is proven by none after it");
        log.close().unwrap();
        assert_eq!(reader.next_batch().unwrap(), None);
        assert_eq!(reader.proven_next(), seen, "the seal proves it");
    });
}

#[test]
fn a_trim_beside_appends_ends_as_one_that_they_wait_for() {
    let (_, disk) = fault_disk();
    let options = Options { preparation: Preparation::Background, ..SMALL };
    let mut log = create(&disk, &dir(), options);
    for _ in 0..12 {
        append(&mut log, 20).unwrap();
    }
    let held = segments(disk.as_ref(), &dir()).len();
    let mut removed = log.trim_beside(130).unwrap().segments_removed;
    while log.base().position == 0 {
        append(&mut log, 1).unwrap();
        removed += log.trim_beside(130).unwrap().segments_removed;
    }
    assert!(removed > 0 && removed < held, "{removed} of {held}");
    let (first, next) = (log.base().position, log.next());
    assert!(first <= 130, "{first}");
    // Ended in the middle of another: what is there is a log, whichever of the two it is.
    log.trim_beside(next).unwrap();
    drop(log);
    let (log, _) = reopen(&disk, &dir(), SMALL).unwrap();
    assert!((first..=next).contains(&log.base().position));
    assert_eq!(log.next(), next);
}

#[test]
fn a_trimmed_log_begins_later_and_keeps_chain_and_root() {
    let (_, disk) = fault_disk();
    let mut log = create(&disk, &dir(), SMALL);
    for _ in 0..12 {
        append(&mut log, 20).unwrap();
    }
    let next = log.next();
    let before = segments(disk.as_ref(), &dir()).len();
    let trimmed = log.trim_before(130).unwrap();
    assert!(trimmed.first > 0 && trimmed.first <= 130, "{trimmed:?}");
    assert_eq!(segments(disk.as_ref(), &dir()).len(), before - trimmed.segments_removed);
    assert_eq!(log.trim_before(130).unwrap().segments_removed, 0);
    let asked = read_from(&disk, &dir(), trimmed.first - 1).unwrap_err();
    assert!(matches!(asked, JournalError::OutOfRange { .. }), "{asked}");
    append(&mut log, 20).unwrap();
    drop(log);
    let (log, opened) = reopen(&disk, &dir(), SMALL).unwrap();
    assert_eq!((opened.first, opened.next), (trimmed.first, next + 20));
    assert_eq!(log.base().frontier.leaf_count(), trimmed.first);
    let report = verify(disk.as_ref(), &dir()).unwrap();
    assert_eq!((report.root, report.problems.len()), (Some(root_before(next + 20)), 0));
    assert_history(&read_from(&disk, &dir(), trimmed.first).unwrap(), trimmed.first);
}

#[test]
fn an_inspection_lists_the_segments_as_they_lie() {
    let (fault, disk) = fault_disk();
    let mut log = create(&disk, &dir(), SMALL);
    for count in [20, 20, 20, 3] {
        append(&mut log, count).unwrap();
    }
    let next = log.next();
    log.close().unwrap();
    let seen = inspect(disk.as_ref(), &dir()).unwrap();
    assert_eq!((seen.identity, seen.base), (IDENTITY, Base::genesis()));
    let (first, last) = (&seen.segments[0], seen.segments.last().unwrap());
    assert_eq!((first.first, last.next, last.seals, last.term), (0, next, 1, 1));
    assert_eq!(seen.segments.iter().map(|segment| segment.frames).sum::<u64>(), 4);
    for pair in seen.segments.windows(2) {
        assert_eq!(pair[0].next, pair[1].first);
    }
    fault.flip_bit(&dir().join(&last.file), 8 * 600);
    let stopped = inspect(disk.as_ref(), &dir()).unwrap().segments.pop().unwrap();
    assert_eq!((stopped.next, stopped.stopped_by.is_some()), (last.first, true));
}

#[test]
fn a_log_can_be_handed_to_another_thread_and_a_watermark_shared() {
    fn is_send<T: Send>() {}
    fn is_sync<T: Sync>() {}
    is_send::<FileLog>();
    is_send::<Reader>();
    is_sync::<evenkeel_journal::Watermark>();
}

#[test]
fn a_restored_log_goes_on_where_its_base_says() {
    let (_, disk) = fault_disk();
    let mut log = create(&disk, &dir(), SMALL);
    append(&mut log, 50).unwrap();
    let mut tracker = RootTracker::new(&Base::genesis());
    tracker.follow(&mut Reader::external(disk.clone(), &dir(), 0).unwrap()).unwrap();
    let frontier = tracker.frontier().clone();
    let base = Base { position: 50, chain: log.chain(), frontier };
    let (_, new_disk) = fault_disk();
    let mut restored = FileLog::create(new_disk.clone(), &dir(), IDENTITY, base, SMALL).unwrap();
    restored.confirm_end(&[confirmation("north", 50)]).unwrap();
    restored.begin_term(1).unwrap();
    append(&mut restored, 30).unwrap();
    append(&mut log, 30).unwrap();
    assert_eq!(restored.chain(), log.chain());
    let report = verify(new_disk.as_ref(), &dir()).unwrap();
    assert_eq!((report.first, report.root), (50, Some(root_before(80))));
}

#[test]
fn a_batch_too_large_for_a_frame_is_refused_and_the_largest_possible_one_fits() {
    let (_, disk) = fault_disk();
    let mut log = create(&disk, &dir(), SMALL);
    let max = usize::try_from(log.body_bytes_max()).unwrap();
    let largest = vec![1; max - 2];
    log.append(&[&largest], Admission::Normal).unwrap();
    let larger = vec![1; max - 1];
    let error = log.append(&[&larger], Admission::Normal).unwrap_err();
    assert!(matches!(error, JournalError::FrameTooLarge { .. }), "{error}");
    assert!(matches!(log.append(&[], Admission::Normal), Err(JournalError::EmptyBatch)));
    log.append(&[b"goes on"], Admission::Normal).unwrap();
    assert_eq!(read_from(&disk, &dir(), 0).unwrap()[1].entry, b"goes on");
}

#[test]
fn creating_never_overwrites_and_opening_never_creates() {
    let (_, disk) = fault_disk();
    assert!(matches!(
        FileLog::open(disk.clone(), &dir(), SMALL),
        Err(JournalError::NotAJournal { .. })
    ));
    let mut log = create(&disk, &dir(), SMALL);
    append(&mut log, 1).unwrap();
    drop(log);
    let again = || FileLog::create(disk.clone(), &dir(), IDENTITY, Base::genesis(), SMALL);
    assert!(matches!(again(), Err(JournalError::AlreadyExists { .. })));
    disk.remove(&dir().join("meta")).unwrap();
    let error = again().unwrap_err();
    assert!(matches!(error, JournalError::AlreadyExists { .. }), "entries without meta: {error}");
    let odd = Options { segment_bytes: 10_000, ..SMALL };
    let error = FileLog::open(disk.clone(), &dir(), odd).unwrap_err();
    assert!(matches!(error, JournalError::BadOptions(_)), "{error}");
}

#[test]
fn without_sync_the_test_switch_loses_what_was_acknowledged() {
    let (fault, disk) = fault_disk();
    let mut log = create(&disk, &dir(), Options { durability: Durability::NoSync, ..SMALL });
    append(&mut log, 3).unwrap();
    drop(log);
    fault.power_cycle(evenkeel_journal::fault_disk::Survival::Nothing);
    let (log, _) = reopen(&disk, &dir(), SMALL).unwrap();
    assert_eq!(log.next(), 0, "so the durability tests can fail");
}

#[test]
fn the_test_history_has_empty_zero_and_random_entries() {
    let kinds: BTreeSet<_> = (0..50)
        .map(entry)
        .map(|bytes| (bytes.is_empty(), bytes.iter().all(|byte| *byte == 0)))
        .collect();
    assert_eq!(kinds.len(), 3);
}
