//! A log that copies another one frame by frame: the same history, or nothing.
#![allow(clippy::unwrap_used)]

mod common;

use common::{
    IDENTITY, Random, SMALL, append, create, dir, entries, fault_disk, read_from, reopen,
    root_before,
};
use evenkeel_journal::fault_disk::{Fault, FaultDisk, Survival};
use evenkeel_journal::{
    Admission, Base, Batch, Chain, Disk, FileLog, JournalError, Options, Position, Reader, verify,
};
use proptest::prelude::*;
use std::path::PathBuf;
use std::sync::Arc;

/// Everything that a journal holds, frame by frame.
fn frames_of(disk: &Arc<dyn Disk>) -> Vec<Batch> {
    Reader::external(disk.clone(), &dir(), 0).unwrap().map(Result::unwrap).collect()
}

/// A source with these batches, each `(entries, begins a term)`; seals between some.
fn source(batches: &[(u64, bool)]) -> (Arc<dyn Disk>, Vec<Batch>) {
    let (_, disk) = fault_disk();
    let mut log = create(&disk, &dir(), SMALL);
    for (index, (count, begins)) in batches.iter().enumerate() {
        if *begins {
            log.begin_term(log.term() + 3).unwrap();
        }
        append(&mut log, *count).unwrap();
        if index % 4 == 2 {
            log.seal_if_idle().unwrap();
        }
    }
    log.close().unwrap();
    let frames = frames_of(&disk);
    assert_eq!(frames.len(), batches.len());
    (disk, frames)
}

/// A log that has begun nothing: only a copy.
fn copy(disk: &Arc<dyn Disk>, options: Options) -> FileLog {
    let mut log =
        FileLog::create(disk.clone(), &dir(), IDENTITY, Base::genesis(), options).unwrap();
    log.confirm_end(&[]).unwrap();
    log
}

/// All files with their bytes: what a refusal must leave as it was.
fn image(fault: &FaultDisk) -> Vec<(PathBuf, Vec<u8>)> {
    let paths = fault.paths();
    paths.into_iter().map(|path| (path.clone(), fault.bytes(&path).unwrap_or_default())).collect()
}

const BATCHES: [(u64, bool); 9] = [
    (1, false),
    (12, false),
    (30, true),
    (5, false),
    (30, false),
    (2, true),
    (1, true),
    (25, false),
    (3, false),
];

#[test]
fn a_mirror_has_the_chain_and_the_journal_root_of_its_source_behind_every_frame() {
    let (_, frames) = source(&BATCHES);
    // Other segments than the source's: where a frame lies is no part of the history.
    for segment_bytes in [16 << 10, 24 << 10, 256 << 10] {
        let (_, disk) = fault_disk();
        let mut log = copy(&disk, Options { segment_bytes, ..SMALL });
        for frame in &frames {
            let appended = log.mirror(frame, "the source").unwrap().unwrap();
            assert_eq!((appended.first, appended.last + 1), (frame.first, frame.next()));
            assert_eq!((appended.chain, log.chain()), (frame.chain, frame.chain));
            assert_eq!((log.next(), log.term()), (frame.next(), frame.term));
            assert_eq!(log.watermark().durable_next(), frame.next());
            let report = verify(disk.as_ref(), &dir()).unwrap();
            assert!(report.problems.is_empty(), "{:?}", report.problems);
            assert_eq!((report.next, report.chain), (frame.next(), frame.chain));
            assert_eq!(report.root, Some(root_before(frame.next())), "before {}", frame.next());
        }
        log.close().unwrap();
        assert_eq!(frames_of(&disk), frames);
    }
}

#[test]
fn frames_already_held_are_passed_over_and_write_nothing() {
    let (_, frames) = source(&BATCHES);
    let (fault, disk) = fault_disk();
    let mut log = copy(&disk, SMALL);
    for (held, frame) in frames.iter().enumerate() {
        log.mirror(frame, "the source").unwrap().unwrap();
        let before = (image(&fault), fault.operations());
        for old in &frames[..=held] {
            assert_eq!(log.mirror(old, "the source").unwrap(), None);
        }
        assert_eq!((image(&fault), fault.operations()), before);
        assert_eq!((log.next(), log.chain()), (frame.next(), frame.chain));
    }
}

#[test]
fn frames_behind_a_gap_are_refused_with_nothing_written() {
    let (_, frames) = source(&BATCHES);
    let (fault, disk) = fault_disk();
    let mut log = copy(&disk, SMALL);
    for next in 0..frames.len() - 1 {
        let before = image(&fault);
        for far in &frames[next + 1..] {
            let error = log.mirror(far, "the source").unwrap_err();
            let JournalError::OutOfRange { asked, first: 0, next } = error else {
                panic!("{error}")
            };
            assert_eq!((asked, next), (far.first, log.next()));
        }
        assert_eq!(image(&fault), before);
        log.mirror(&frames[next], "the source").unwrap().unwrap();
    }
}

/// Every way in which a frame may differ from the one that continues this history.
fn foreign(frame: &Batch) -> Vec<(&'static str, Batch)> {
    let change = |what, edit: &dyn Fn(&mut Batch)| {
        let mut changed = frame.clone();
        edit(&mut changed);
        (what, changed)
    };
    vec![
        change("another chain", &|batch| batch.chain[7] ^= 1),
        change("another term", &|batch| batch.term += 1),
        change("another entry", &|batch| batch.records[0].entry.push(0)),
        change("an entry more", &|batch| {
            let more = batch.records[0].clone();
            batch.records.push(more);
        }),
        change("another order", &|batch| {
            let moved = batch.records[0].entry.clone();
            batch.records[0].entry = [moved, vec![1]].concat();
        }),
    ]
}

#[test]
fn frames_of_another_history_are_refused_with_nothing_written() {
    let (_, frames) = source(&BATCHES);
    let (fault, disk) = fault_disk();
    let mut log = copy(&disk, SMALL);
    for frame in &frames {
        let before = (image(&fault), log.chain(), log.term());
        for (what, changed) in foreign(frame) {
            let error = log.mirror(&changed, "another").unwrap_err();
            let JournalError::Forked { position, confirmed_by } = error else {
                panic!("{what}: {error}")
            };
            assert_eq!((position, confirmed_by.as_str()), (changed.next(), "another"), "{what}");
        }
        assert_eq!((image(&fault), log.chain(), log.term()), before);
        log.mirror(frame, "the source").unwrap().unwrap();
    }
}

#[test]
fn a_frame_of_a_lower_term_is_refused_although_its_chain_fits() {
    let (_, disk) = fault_disk();
    let mut log = copy(&disk, SMALL);
    let (_, frames) = source(&[(2, true), (3, false)]);
    log.mirror(&frames[0], "the source").unwrap().unwrap();
    let chain = log.chain();
    log.begin_term(frames[0].term + 1).unwrap();
    let error = log.mirror(&frames[1], "the source").unwrap_err();
    assert!(matches!(error, JournalError::StaleTerm { .. }), "{error}");
    assert_eq!((log.next(), log.chain()), (2, chain));
}

#[test]
fn a_part_of_a_frame_is_no_frame() {
    let (disk, frames) = source(&BATCHES);
    let (fault, copied) = fault_disk();
    let mut log = copy(&copied, SMALL);
    log.mirror(&frames[0], "the source").unwrap().unwrap();
    log.mirror(&frames[1], "the source").unwrap().unwrap();
    let before = image(&fault);
    // A reader that begins inside a frame hands out its end: neither whole nor in its place.
    let inside = frames[2].first + 4;
    let part = Reader::external(disk, &dir(), inside).unwrap().next().unwrap().unwrap();
    assert_eq!(part.first, inside);
    assert!(matches!(log.mirror(&part, "it"), Err(JournalError::OutOfRange { .. })));
    // And a beginning that claims the place of the whole.
    let mut head = frames[2].clone();
    head.records.truncate(4);
    assert!(matches!(log.mirror(&head, "it"), Err(JournalError::Forked { .. })));
    assert_eq!(image(&fault), before);
}

/// Where the mirror stood when its last frame was acknowledged.
type Acknowledged = (Position, Chain);

/// Mirrors until the disk fails or everything is held.
fn mirror_all(log: &mut FileLog, frames: &[Batch], reached: &mut Acknowledged) -> bool {
    frames.iter().all(|frame| match log.mirror(frame, "the source") {
        Ok(_) => {
            *reached = (log.next(), log.chain());
            true
        }
        Err(error) => {
            let stopped = matches!(error, JournalError::Poisoned { .. } | JournalError::Io { .. });
            assert!(stopped, "{error}");
            false
        }
    })
}

/// Mirrors with a loss of power at each of `crashes` operations after the start of a life.
fn mirror_through(frames: &[Batch], crashes: &[u64], seed: u64) {
    let (fault, disk) = fault_disk();
    drop(copy(&disk, SMALL));
    let mut random = Random(seed);
    let mut reached = (0, [0; 32]);
    for after in crashes {
        fault.fail_at(fault.operations() + after, Fault::PowerLoss);
        if let Ok((mut log, opened)) = FileLog::open(disk.clone(), &dir(), SMALL) {
            assert!(opened.next >= reached.0, "{} of {reached:?}", opened.next);
            if log.confirm_end(&[]).is_ok() {
                mirror_all(&mut log, frames, &mut reached);
            }
        }
        fault.power_cycle(Survival::Random { seed: random.next() });
    }
    let (mut log, opened) = FileLog::open(disk.clone(), &dir(), SMALL).unwrap();
    assert!(opened.next >= reached.0, "an acknowledged frame was lost");
    let ends = |position| frames.iter().any(|frame| frame.next() == position);
    assert!(opened.next == 0 || ends(opened.next), "half a frame was kept: {}", opened.next);
    log.confirm_end(&[]).unwrap();
    assert!(mirror_all(&mut log, frames, &mut reached));
    log.close().unwrap();
    assert_eq!(frames_of(&disk), frames);
    let report = verify(disk.as_ref(), &dir()).unwrap();
    assert!(report.is_intact(), "{:?}", report.problems);
    assert_eq!(report.root, Some(root_before(report.next)));
}

#[test]
fn a_mirror_that_loses_power_at_any_operation_goes_on_and_ends_the_same() {
    let (_, frames) = source(&BATCHES);
    let (fault, disk) = fault_disk();
    let mut log = copy(&disk, SMALL);
    let begun = fault.operations();
    assert!(mirror_all(&mut log, &frames, &mut (0, [0; 32])));
    let total = fault.operations() - begun;
    assert!(total > 30, "{total} operations");
    for operation in 0..total {
        mirror_through(&frames, &[operation], operation);
    }
}

#[test]
fn a_mirror_that_is_promoted_writes_on_under_a_higher_term() {
    let (_, frames) = source(&BATCHES);
    let (_, disk) = fault_disk();
    let mut log = copy(&disk, SMALL);
    assert!(mirror_all(&mut log, &frames, &mut (0, [0; 32])));
    log.close().unwrap();
    let (mut log, opened) = reopen(&disk, &dir(), SMALL).unwrap();
    let last = frames.last().unwrap();
    assert_eq!((opened.next, opened.chain, opened.term), (last.next(), last.chain, last.term));
    append(&mut log, 4).unwrap();
    // What the old primary writes from here on is another history.
    let batch = entries(last.next(), 4);
    let (_, old) = fault_disk();
    let mut rival = copy(&old, SMALL);
    assert!(mirror_all(&mut rival, &frames, &mut (0, [0; 32])));
    let batch: Vec<&[u8]> = batch.iter().map(Vec::as_slice).collect();
    rival.append(&batch, Admission::Normal).unwrap();
    let theirs = frames_of(&old).pop().unwrap();
    assert_eq!(log.mirror(&theirs, "the old one").unwrap(), None, "held: never written again");
    let confirmed = [evenkeel_journal::Confirmation {
        source: "the old one".to_owned(),
        next: theirs.next(),
        chain: Some(theirs.chain),
    }];
    assert!(matches!(log.confirm_end(&confirmed), Err(JournalError::Forked { .. })));
    assert_eq!(read_from(&disk, &dir(), 0).unwrap().len() as u64, last.next() + 4);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_frames_and_terms_survive_any_crashes_of_the_mirror(
        batches in prop::collection::vec((1u64..34, prop::bool::weighted(0.2)), 1..24),
        crashes in prop::collection::vec(0u64..60, 0..6),
        seed: u64,
    ) {
        let (_, frames) = source(&batches);
        mirror_through(&frames, &crashes, seed);
    }
}
