//! Mending in place: the same bytes come back, or nothing is touched.
#![allow(clippy::unwrap_used)]

mod common;

use common::{
    IDENTITY, Random, SMALL, append, assert_history, create, dir, fault_disk, read_from, reopen,
    root_before, segments,
};
use evenkeel_journal::fault_disk::{Fault, FaultDisk, Survival};
use evenkeel_journal::{
    Base, Disk, FetchedFrame, FileLog, JournalError, Options, Position, Reader, Repair,
    RepairScope, repair, verify,
};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const SECTOR: usize = 512;
const BATCHES: [u64; 14] = [7, 1, 30, 25, 2, 2, 40, 11, 3, 18, 1, 1, 26, 9];

/// A closed journal over several segments, with seals and terms, and what a follower holds of it.
struct Sample {
    fault: FaultDisk,
    frames: Vec<FetchedFrame>,
    next: Position,
}

fn sample() -> Sample {
    let (fault, disk) = fault_disk();
    let mut log = create(&disk, &dir(), SMALL);
    for (index, count) in BATCHES.into_iter().enumerate() {
        if index % 5 == 3 {
            log.begin_term(log.term() + 1).unwrap();
        }
        append(&mut log, count).unwrap();
        if index % 3 == 1 {
            log.seal_if_idle().unwrap();
        }
    }
    let next = log.next();
    log.close().unwrap();
    let reader = Reader::external(disk, &dir(), 0).unwrap();
    let frames = reader.map(|batch| batch.unwrap().into()).collect();
    Sample { fault, frames, next }
}

/// Frames that begin in a range, as a holder of the same history hands them out.
fn held(frames: &[FetchedFrame], range: &Range<Position>) -> Vec<FetchedFrame> {
    frames.iter().filter(|frame| range.contains(&frame.first)).cloned().collect()
}

fn mend(fault: &FaultDisk, frames: &[FetchedFrame]) -> Result<Repair, JournalError> {
    repair(fault, &dir(), RepairScope::Closed, &mut |range| Ok(held(frames, &range)))
}

/// The segments' bytes: what a repair restores.
fn image(fault: &FaultDisk) -> Vec<(PathBuf, Vec<u8>)> {
    let paths = segments(fault, &dir());
    paths.into_iter().map(|path| (path.clone(), fault.bytes(&path).unwrap())).collect()
}

/// Where the frames of a segment lie, seals included, read from the drawing of the format.
fn frames_in(bytes: &[u8]) -> Vec<Range<usize>> {
    let (mut frames, mut at) = (Vec::new(), SECTOR);
    while bytes.len() > at && bytes[at..].starts_with(b"evenkeel journal frame") {
        let body = u32::from_le_bytes(bytes[at + 52..at + 56].try_into().unwrap()) as usize;
        let end = at + (160 + body).div_ceil(511) * SECTOR;
        frames.push(at..end);
        at = end;
    }
    frames
}

fn edit(fault: &FaultDisk, path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fault.bytes(path).unwrap();
    change(&mut bytes);
    fault.set_bytes(path, &bytes);
}

/// Repairs and asserts that the same history is back in the same segments.
fn history_comes_back(sound: &Sample, damaged: &FaultDisk, what: &str) -> Repair {
    let found = mend(damaged, &sound.frames).expect(what);
    assert!(found.left.is_empty(), "{what}: {:?}", found.left);
    let report = verify(damaged, &dir()).expect(what);
    assert!(report.problems.is_empty(), "{what}: {:?}", report.problems);
    assert_eq!(report.root, Some(root_before(sound.next)), "{what}");
    assert_eq!(segments(damaged, &dir()), segments(&sound.fault, &dir()), "{what}");
    found
}

/// Repairs and asserts that every segment has its old bytes back.
fn comes_back(sound: &Sample, damaged: &FaultDisk, what: &str) -> Repair {
    let found = history_comes_back(sound, damaged, what);
    for ((path, wanted), (_, mended)) in image(&sound.fault).iter().zip(image(damaged)) {
        assert!(*wanted == mended, "{what}: {} has other bytes", path.display());
    }
    found
}

type Damage = (&'static str, fn(&mut Vec<u8>, Range<usize>));

const DAMAGES: [Damage; 7] = [
    ("a bit of the header", |bytes, frame| bytes[frame.start + 70] ^= 4),
    ("a bit of the last tag", |bytes, frame| bytes[frame.end - 1] ^= 1),
    ("the header's sector zeroed", |bytes, frame| {
        bytes[frame.start..frame.start + SECTOR].fill(0);
    }),
    ("all of it zeroed", |bytes, frame| bytes[frame].fill(0)),
    ("all of it garbage", |bytes, frame| bytes[frame].fill(0x5A)),
    ("its first sector put over its last", |bytes, frame| {
        bytes.copy_within(frame.start..frame.start + SECTOR, frame.end - SECTOR);
        bytes[frame.start] ^= 1;
    }),
    ("the segment's first frame put over it", |bytes, frame| {
        bytes.copy_within(SECTOR..2 * SECTOR, frame.start);
        bytes[frame.start + 200] ^= 1;
    }),
];

#[test]
fn every_damaged_frame_gets_its_bytes_back() {
    let sound = sample();
    let all = segments(&sound.fault, &dir());
    assert!(all.len() > 4, "{} segments", all.len());
    let mut mended = 0;
    for path in &all {
        let bytes = sound.fault.bytes(path).unwrap();
        let frames = frames_in(&bytes);
        // The very last frame has nothing behind it that proves it: a test of its own.
        let provable = frames.len() - usize::from(path == all.last().unwrap());
        for frame in &frames[..provable] {
            for (what, damage) in DAMAGES {
                let damaged = sound.fault.fork();
                edit(&damaged, path, |bytes| damage(bytes, frame.clone()));
                let is_last_seal = frame.len() == SECTOR && frames.last() == Some(frame);
                if is_last_seal && what.ends_with("zeroed") {
                    // Nothing is missed: the next segment says what the seal said.
                    assert!(history_comes_back(&sound, &damaged, what).mended.is_empty());
                    continue;
                }
                let name = format!("{what}, {} at {}", path.display(), frame.start);
                let found = comes_back(&sound, &damaged, &name);
                assert_eq!(found.mended.len(), 1, "{name}: {found:?}");
                let at = &found.mended[0];
                assert_eq!(*path, dir().join(&at.file), "{name}");
                mended += 1;
            }
        }
    }
    assert!(mended > 100, "{mended}");
}

#[test]
fn neighbouring_frames_lost_together_come_back_together() {
    let sound = sample();
    for path in segments(&sound.fault, &dir()) {
        let frames = frames_in(&sound.fault.bytes(&path).unwrap());
        for pair in frames.windows(3) {
            let damaged = sound.fault.fork();
            edit(&damaged, &path, |bytes| bytes[pair[0].start..pair[1].end].fill(0xEE));
            let found = mend(&damaged, &sound.frames).unwrap();
            assert!(found.left.is_empty(), "{:?}", found.left);
            // Where a seal stood among several lost frames cannot be told, and no history holds it.
            let report = verify(&damaged, &dir()).unwrap();
            assert!(report.problems.is_empty(), "{:?}", report.problems);
            assert_eq!(report.root, Some(root_before(sound.next)));
        }
    }
}

#[test]
fn damaged_cut_and_missing_segments_come_back() {
    let sound = sample();
    let all = segments(&sound.fault, &dir());
    for (index, path) in all.iter().enumerate() {
        let is_last = index + 1 == all.len();
        let damaged = sound.fault.fork();
        edit(&damaged, path, |bytes| bytes[30] ^= 1);
        comes_back(&sound, &damaged, "a damaged header");
        let damaged = sound.fault.fork();
        edit(&damaged, path, |bytes| bytes[..SECTOR].fill(0));
        comes_back(&sound, &damaged, "a header that is gone");
        if is_last {
            continue;
        }
        for length in [0, 100, 512, 700, 4096, 9_000] {
            let damaged = sound.fault.fork();
            edit(&damaged, path, |bytes| bytes.truncate(length));
            // Which seals stood there is no part of the history and is not known.
            let what = format!("{} cut to {length}", path.display());
            history_comes_back(&sound, &damaged, &what);
        }
        let damaged = sound.fault.fork();
        damaged.remove(path).unwrap();
        let found = history_comes_back(&sound, &damaged, "a missing segment");
        assert!(found.entries() > 0, "{found:?}");
    }
}

#[test]
fn many_damages_in_many_segments_are_mended_in_one_go() {
    let sound = sample();
    let all = segments(&sound.fault, &dir());
    let mut random = Random(5);
    for _ in 0..150 {
        let damaged = sound.fault.fork();
        for path in &all[..all.len() - 1] {
            for _ in 0..random.below(4) {
                let bytes = sound.fault.bytes(path).unwrap();
                let frames = frames_in(&bytes);
                let frame = &frames[usize::try_from(random.below(frames.len() as u64)).unwrap()];
                let at = frame.start as u64 + random.below(frame.len() as u64);
                damaged.flip_bit(path, at * 8 + random.below(8));
            }
        }
        let found = mend(&damaged, &sound.frames).unwrap();
        assert!(found.left.is_empty(), "{:?}", found.left);
        let report = verify(&damaged, &dir()).unwrap();
        assert!(report.is_intact(), "{:?}", report.problems);
        assert_eq!(report.root, Some(root_before(sound.next)));
        assert_history(&read_from(&shared(&damaged), &dir(), 0).unwrap(), 0);
    }
}

fn shared(fault: &FaultDisk) -> Arc<dyn Disk> {
    Arc::new(fault.clone())
}

#[test]
fn the_last_frame_comes_back_when_somebody_holds_it() {
    // Unsealed: the last frame is the last batch.
    let (fault, disk) = fault_disk();
    let mut log = create(&disk, &dir(), SMALL);
    for count in [4, 2, 9] {
        append(&mut log, count).unwrap();
    }
    drop(log);
    let reader = Reader::external(disk.clone(), &dir(), 0).unwrap();
    let frames: Vec<FetchedFrame> = reader.map(|batch| batch.unwrap().into()).collect();
    let sound = Sample { fault, frames, next: 15 };
    let path = segments(&sound.fault, &dir()).remove(0);
    let last = frames_in(&sound.fault.bytes(&path).unwrap()).pop().unwrap();
    for (what, damage) in [DAMAGES[0], DAMAGES[1], DAMAGES[4]] {
        let damaged = sound.fault.fork();
        edit(&damaged, &path, |bytes| damage(bytes, last.clone()));
        assert!(FileLog::open(shared(&damaged), &dir(), SMALL).is_err(), "{what}");
        let nobody = mend(&damaged, &sound.frames[..2]).unwrap();
        assert_eq!((nobody.mended.len(), nobody.left.len()), (0, 1), "{what}: {nobody:?}");
        comes_back(&sound, &damaged, what);
    }
}

#[test]
fn what_nobody_holds_stays_untouched_and_is_named() {
    let sound = sample();
    let path = segments(&sound.fault, &dir()).remove(1);
    let frame = frames_in(&sound.fault.bytes(&path).unwrap()).remove(0);
    let damaged = sound.fault.fork();
    edit(&damaged, &path, |bytes| bytes[frame.start + 300] ^= 1);
    let before = image(&damaged);
    let found = mend(&damaged, &[]).unwrap();
    assert!(found.mended.is_empty(), "{found:?}");
    let [problem] = &found.left[..] else { panic!("{found:?}") };
    assert_eq!((dir().join(&problem.file), problem.offset), (path, frame.start as u64));
    assert!(problem.detail.contains("nobody who was asked"), "{problem}");
    assert!(image(&damaged) == before);
    assert!(damaged.paths().iter().all(|path| !path.ends_with("repair.new")));
}

#[test]
fn frames_of_another_history_are_never_written() {
    let sound = sample();
    let all = segments(&sound.fault, &dir());
    type Lie = fn(&mut FetchedFrame);
    let lies: [(&str, Lie); 4] = [
        ("another term", |frame| frame.term += 1),
        ("another entry", |frame| {
            let last = frame.entries.last_mut().unwrap();
            last.reverse();
            last.push(9);
        }),
        ("a byte of an entry", |frame| {
            frame.entries.iter_mut().filter(|entry| !entry.is_empty()).for_each(|entry| {
                entry[0] ^= 0x80;
            });
        }),
        ("an entry less", |frame| drop(frame.entries.pop())),
    ];
    for path in &all[..all.len() - 1] {
        for frame in frames_in(&sound.fault.bytes(path).unwrap()) {
            for at in [frame.start + 70, frame.end - 1] {
                let damaged = sound.fault.fork();
                edit(&damaged, path, |bytes| bytes[at] ^= 1);
                let before = image(&damaged);
                for (what, lie) in lies {
                    let mut frames = sound.frames.clone();
                    frames.iter_mut().for_each(lie);
                    let found = mend(&damaged, &frames).unwrap();
                    let is_seal = frame.len() == SECTOR && found.left.is_empty();
                    if is_seal {
                        assert_eq!(found.entries(), 0, "a seal holds nothing: {what}");
                        damaged
                            .set_bytes(path, &before.iter().find(|one| one.0 == *path).unwrap().1);
                        continue;
                    }
                    assert_eq!(found.left.len(), 1, "{what}: {found:?}");
                    assert!(image(&damaged) == before, "{what}");
                }
            }
        }
    }
}

#[test]
fn a_loss_of_power_while_mending_leaves_the_damaged_or_the_whole_segment() {
    let sound = sample();
    let all = segments(&sound.fault, &dir());
    let damaged = sound.fault.fork();
    for path in &all[..2] {
        let frame = frames_in(&sound.fault.bytes(path).unwrap()).remove(1);
        edit(&damaged, path, |bytes| bytes[frame].fill(0x11));
    }
    let (before, wanted) = (image(&damaged), image(&sound.fault));
    let counted = damaged.fork();
    let begun = counted.operations();
    mend(&counted, &sound.frames).unwrap();
    let total = counted.operations() - begun;
    assert!(total > 15, "{total} operations");
    let mut seen = [0; 2];
    for operation in 0..total {
        for seed in 0..6 {
            let crashed = damaged.fork();
            crashed.fail_at(crashed.operations() + operation, Fault::PowerLoss);
            mend(&crashed, &sound.frames).expect_err("the power is off");
            let survival = match seed {
                0 => Survival::Nothing,
                1 => Survival::Everything,
                _ => Survival::Random { seed: seed * 1_000 + operation },
            };
            crashed.power_cycle(survival);
            for (index, (path, bytes)) in image(&crashed).into_iter().enumerate() {
                let (old, new) = (bytes == before[index].1, bytes == wanted[index].1);
                assert!(old || new, "operation {operation}: a third thing in {}", path.display());
                seen[usize::from(new)] += 1;
            }
            comes_back(&sound, &crashed, &format!("operation {operation}, again"));
        }
    }
    assert!(seen.iter().all(|count| *count > 10), "{seen:?}");
}

#[test]
fn a_disk_error_while_mending_is_an_error_and_the_next_attempt_succeeds() {
    let sound = sample();
    let path = segments(&sound.fault, &dir()).remove(0);
    let damaged = sound.fault.fork();
    edit(&damaged, &path, |bytes| bytes[SECTOR + 300] ^= 1);
    for (fault, name) in [(Fault::NoSpace, "no space"), (Fault::Error { seed: 3 }, "an error")] {
        for operation in 0..12 {
            let failing = damaged.fork();
            failing.fail_at(failing.operations() + operation, fault);
            let first = mend(&failing, &sound.frames);
            assert!(first.is_err() || first.unwrap().left.is_empty(), "{name} at {operation}");
            comes_back(&sound, &failing, name);
        }
    }
}

#[test]
fn sealed_segments_are_mended_beside_a_writer_and_its_readers_go_on() {
    let (fault, disk) = fault_disk();
    let mut log = create(&disk, &dir(), SMALL);
    for count in BATCHES {
        append(&mut log, count).unwrap();
    }
    let next = log.next();
    let frames: Vec<FetchedFrame> = Reader::external(disk.clone(), &dir(), 0)
        .unwrap()
        .map(|batch| batch.unwrap().into())
        .collect();
    let all = segments(&fault, &dir());
    let frame = frames_in(&fault.bytes(&all[0]).unwrap()).remove(1);
    fault.flip_bit(&all[0], (frame.start as u64 + 333) * 8);
    let mut reader = Reader::follow(disk.clone(), &dir(), 0, log.watermark()).unwrap();
    let first = reader.next_batch().unwrap().unwrap();
    assert!(reader.next_batch().unwrap_err().is_corruption());
    assert!(reader.next_batch().unwrap_err().is_corruption(), "never skipped");

    assert!(matches!(mend(&fault, &frames), Err(JournalError::Locked { .. })));
    let found: Repair = repair(&fault, &dir(), RepairScope::Sealed, &mut |range| {
        Ok::<_, JournalError>(held(&frames, &range))
    })
    .unwrap();
    assert_eq!((found.mended.len(), found.left.len()), (1, 0), "{found:?}");
    append(&mut log, 3).unwrap();
    let mut records = first.records;
    while let Some(batch) = reader.next_batch().unwrap() {
        records.extend(batch.records);
    }
    assert_eq!(records.len() as u64, next + 3);
    assert_history(&records, 0);
    log.close().unwrap();
    assert_eq!(verify(&fault, &dir()).unwrap().root, Some(root_before(next + 3)));
}

#[test]
fn damage_in_the_segment_being_written_is_left_to_a_closed_journal() {
    let (fault, disk) = fault_disk();
    let mut log = create(&disk, &dir(), SMALL);
    append(&mut log, 3).unwrap();
    append(&mut log, 3).unwrap();
    let path = segments(&fault, &dir()).remove(0);
    fault.flip_bit(&path, (SECTOR as u64 + 300) * 8);
    let before = image(&fault);
    let mut asked = 0;
    let found: Repair = repair(&fault, &dir(), RepairScope::Sealed, &mut |_| {
        asked += 1;
        Ok::<_, JournalError>(Vec::new())
    })
    .unwrap();
    assert_eq!((found, asked), (Repair::default(), 0));
    assert!(image(&fault) == before);
}

#[test]
fn a_journal_that_was_trimmed_or_begins_behind_others_is_mended_alike() {
    let (fault, disk) = fault_disk();
    let mut log = create(&disk, &dir(), SMALL);
    for count in BATCHES {
        append(&mut log, count).unwrap();
    }
    log.trim_before(70).unwrap();
    let (first, next) = (log.base().position, log.next());
    assert!(first > 0);
    log.close().unwrap();
    let reader = Reader::external(disk.clone(), &dir(), first).unwrap();
    let frames: Vec<FetchedFrame> = reader.map(|batch| batch.unwrap().into()).collect();
    for (index, path) in segments(&fault, &dir()).iter().enumerate() {
        for at in [60, SECTOR + 70, SECTOR + 300] {
            let damaged = fault.fork();
            edit(&damaged, path, |bytes| bytes[at] ^= 1);
            let found = mend(&damaged, &frames).unwrap();
            assert!(found.left.is_empty(), "segment {index}, byte {at}: {:?}", found.left);
            let (log, opened) = reopen(&shared(&damaged), &dir(), SMALL).unwrap();
            assert_eq!((opened.first, log.next()), (first, next));
            assert_eq!(verify(&damaged, &dir()).unwrap().root, Some(root_before(next)));
        }
    }
}

#[test]
fn an_intact_journal_is_not_touched_and_nobody_is_asked() {
    let (fault, disk) = fault_disk();
    let options = Options { segment_bytes: 24 << 10, ..SMALL };
    let mut log =
        FileLog::create(disk.clone(), &dir(), IDENTITY, Base::genesis(), options).unwrap();
    log.confirm_end(&[]).unwrap();
    log.begin_term(1).unwrap();
    for count in BATCHES {
        append(&mut log, count).unwrap();
    }
    log.close().unwrap();
    let before = image(&fault);
    let mut asked = 0;
    let found: Repair = repair(&fault, &dir(), RepairScope::Closed, &mut |_| {
        asked += 1;
        Ok::<_, JournalError>(Vec::new())
    })
    .unwrap();
    assert_eq!((found, asked), (Repair::default(), 0));
    assert!(image(&fault) == before);
}
