//! Damaged journals: flipped bits, torn tails, misplaced frames, missing segments, garbage.
#![allow(clippy::unwrap_used)]

mod common;

use common::{
    IDENTITY, Random, SMALL, append, assert_history, create, dir, fault_disk, read_from, reopen,
    root_before, segments,
};
use evenkeel_journal::fault_disk::FaultDisk;
use evenkeel_journal::{
    Admission, Disk, FileLog, JournalError, Options, ProblemKind, Reader, verify,
};
use proptest::prelude::*;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const SECTOR: usize = 512;

/// Where the frames of a segment lie, read from the drawing of the format and not by the crate:
/// each with its bytes on disk and the number of its bytes that are not padding.
fn frames(bytes: &[u8]) -> Vec<(Range<usize>, usize)> {
    let (mut frames, mut at) = (Vec::new(), SECTOR);
    while bytes.len() > at && bytes[at..].starts_with(b"evenkeel journal frame") {
        let body = u32::from_le_bytes(bytes[at + 52..at + 56].try_into().unwrap()) as usize;
        let logical = 160 + body;
        let sectors = logical.div_ceil(511);
        frames.push((at..at + sectors * SECTOR, logical));
        at += sectors * SECTOR;
    }
    frames
}

/// What a byte of a segment is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Use {
    Content,
    Padding,
    Unused,
}

fn use_of(bytes: &[u8], at: usize) -> Use {
    if at < SECTOR {
        return if at < 148 { Use::Content } else { Use::Padding };
    }
    let Some((range, logical)) = frames(bytes).into_iter().find(|(range, _)| range.contains(&at))
    else {
        return Use::Unused;
    };
    let (sector, inside) = ((at - range.start) / SECTOR, (at - range.start) % SECTOR);
    let is_content = inside == 511 || sector * 511 + inside < logical;
    if is_content { Use::Content } else { Use::Padding }
}

fn sample_journal() -> (FaultDisk, u64) {
    let (fault, disk) = fault_disk();
    let mut log = create(&disk, &dir(), SMALL);
    for count in [7, 1, 30, 25, 2, 2, 40, 11, 3, 18, 1, 1] {
        append(&mut log, count).unwrap();
    }
    (fault.fork(), log.next())
}

fn as_disk(fault: &FaultDisk) -> Arc<dyn Disk> {
    Arc::new(fault.clone())
}

/// Asserts what must hold after any damage: the history is read whole or with an error.
fn never_silently_different(disk: &Arc<dyn Disk>, next: u64, what: &str) -> bool {
    match read_from(disk, &dir(), 0) {
        Ok(records) => {
            assert_eq!(records.len() as u64, next, "silently shorter: {what}");
            assert_history(&records, 0);
            true
        }
        Err(error) => {
            assert!(error.is_corruption(), "{what}: {error}");
            false
        }
    }
}

#[test]
fn a_thousand_flipped_bits_are_each_detected_or_harmless() {
    let (sound, next) = sample_journal();
    let paths: Vec<PathBuf> =
        sound.paths().into_iter().filter(|path| path.file_name().unwrap() != "spare.seg").collect();
    assert!(paths.len() > 5, "meta, reserve and several segments: {paths:?}");
    let mut random = Random(4);
    let mut seen = [0; 3];
    for _ in 0..1_000 {
        let path = &paths[usize::try_from(random.below(paths.len() as u64)).unwrap()];
        let bytes = sound.bytes(path).unwrap();
        let bit = random.below(bytes.len() as u64 * 8);
        let at = usize::try_from(bit / 8).unwrap();
        let is_segment = segments(&sound, &dir()).contains(path);
        let what = if is_segment { use_of(&bytes, at) } else { Use::Unused };
        seen[what as usize] += 1;
        let damaged = sound.fork();
        damaged.flip_bit(path, bit);
        let disk = as_disk(&damaged);
        let name = format!("bit {bit} of {}: {what:?}", path.display());
        let report = verify(disk.as_ref(), &dir()).unwrap();
        assert!(!report.problems.is_empty(), "unnoticed: {name}");
        assert_eq!(report.is_intact(), what != Use::Content, "{name}: {:?}", report.problems);
        assert_eq!(never_silently_different(&disk, next, &name), what != Use::Content, "{name}");
        match FileLog::open(disk, &dir(), SMALL) {
            Ok((log, opened)) => assert_eq!((log.next(), opened.next), (next, next), "{name}"),
            Err(error) => assert!(error.is_corruption() && what == Use::Content, "{error}"),
        }
    }
    assert!(seen.iter().all(|count| *count > 10), "every kind of place was hit: {seen:?}");
}

#[test]
fn every_flipped_bit_of_the_last_frame_is_detected() {
    let (fault, disk) = fault_disk();
    let mut log = create(&disk, &dir(), SMALL);
    append(&mut log, 2).unwrap();
    // All zero inside: its second sector has nothing but the tag.
    log.append(&[&[0; 700]], Admission::Normal).unwrap();
    drop(log);
    let path = segments(disk.as_ref(), &dir()).remove(0);
    let sound = fault.fork();
    let bytes = sound.bytes(&path).unwrap();
    let last = frames(&bytes).pop().unwrap().0;
    assert_eq!(last.len(), 2 * SECTOR);
    for bit in last.start as u64 * 8..last.end as u64 * 8 {
        let damaged = sound.fork();
        damaged.flip_bit(&path, bit);
        let opened = FileLog::open(as_disk(&damaged), &dir(), SMALL);
        let is_content = use_of(&bytes, usize::try_from(bit / 8).unwrap()) == Use::Content;
        match opened {
            Ok((log, opened)) => {
                assert!(!is_content, "bit {bit} went unnoticed");
                assert_eq!((log.next(), opened.stray.len()), (3, 1), "bit {bit}");
            }
            Err(error) => {
                assert!(is_content, "bit {bit} is padding: {error}");
                let text = error.to_string();
                assert!(text.contains("evenkeel repair --home DIR"), "{text}");
                assert!(text.contains("Every entry before position 2 is safe"), "{text}");
                assert!(text.contains("0000000000000000.seg at byte"), "{text}");
            }
        }
    }
}

/// Zeroes the sectors of `frame` whose bit in `kept` is not set.
fn tear(fault: &FaultDisk, path: &Path, frame: &Range<usize>, kept: u32) {
    let mut bytes = fault.bytes(path).unwrap();
    for (index, start) in frame.clone().step_by(SECTOR).enumerate() {
        if kept & (1 << index) == 0 {
            bytes[start..start + SECTOR].fill(0);
        }
    }
    fault.set_bytes(path, &bytes);
}

#[test]
fn a_last_frame_torn_in_every_pattern_of_sectors_recovers() {
    let contents: [fn(usize) -> Vec<u8>; 2] = [|length| vec![0; length], |length| vec![7; length]];
    for content in contents {
        for sectors in 1..=7 {
            let (fault, disk) = fault_disk();
            let mut log = create(&disk, &dir(), SMALL);
            append(&mut log, 3).unwrap();
            let chain = log.chain();
            log.append(&[&content(sectors * 511 - 300)], Admission::Normal).unwrap();
            drop(log);
            let path = segments(disk.as_ref(), &dir()).remove(0);
            let frame = frames(&fault.bytes(&path).unwrap()).pop().unwrap().0;
            assert_eq!(frame.len(), sectors * SECTOR);
            for kept in 0..(1u32 << sectors) - 1 {
                let torn = fault.fork();
                tear(&torn, &path, &frame, kept);
                let disk = as_disk(&torn);
                let name = format!("{sectors} sectors, kept {kept:b}");
                assert!(verify(disk.as_ref(), &dir()).unwrap().is_intact(), "{name}");
                let (mut log, opened) = reopen(&disk, &dir(), SMALL).expect(&name);
                assert_eq!((opened.next, opened.chain), (3, chain), "{name}");
                let reported = opened.torn_tail.is_some() || !opened.stray.is_empty();
                assert_eq!(reported, kept != 0, "{name}");
                if kept & 1 == 1 {
                    assert_eq!(opened.torn_tail.clone().unwrap().positions, 3..4, "{name}");
                    assert!(opened.to_string().contains("nothing acknowledged is lost"));
                }
                append(&mut log, 5).unwrap();
                drop(log);
                let records = read_from(&disk, &dir(), 0).unwrap();
                assert_eq!(records.len(), 8, "{name}");
                assert_history(&records, 0);
                let report = verify(disk.as_ref(), &dir()).unwrap();
                assert_eq!((report.problems.len(), report.root), (0, Some(root_before(8))));
            }
        }
    }
}

#[test]
fn a_torn_frame_with_a_sector_of_other_bytes_is_corruption() {
    let (fault, disk) = fault_disk();
    let mut log = create(&disk, &dir(), SMALL);
    log.append(&[&[7; 2_000]], Admission::Normal).unwrap();
    drop(log);
    let path = segments(disk.as_ref(), &dir()).remove(0);
    let frame = frames(&fault.bytes(&path).unwrap()).pop().unwrap().0;
    tear(&fault, &path, &frame, 0b10111);
    let mut bytes = fault.bytes(&path).unwrap();
    bytes[frame.start + 2 * SECTOR..frame.start + 3 * SECTOR].fill(0x55);
    fault.set_bytes(&path, &bytes);
    let before = fault.bytes(&path).unwrap();
    let error = FileLog::open(disk, &dir(), SMALL).unwrap_err();
    assert!(matches!(error, JournalError::Corrupt { .. }), "{error}");
    assert_eq!(fault.bytes(&path).unwrap(), before, "nothing was touched");
}

#[test]
fn a_zeroed_sector_below_the_watermark_is_always_corruption() {
    let (fault, disk) = fault_disk();
    let mut log = create(&disk, &dir(), SMALL);
    for count in [4, 1, 6] {
        append(&mut log, count).unwrap();
    }
    log.close().unwrap();
    let path = segments(disk.as_ref(), &dir()).remove(0);
    let bytes = fault.bytes(&path).unwrap();
    let frames = frames(&bytes);
    let (seal, data) = frames.split_last().unwrap();
    assert_eq!((seal.0.len(), data.len()), (SECTOR, 3));
    for (frame, _) in data {
        let sectors = u32::try_from(frame.len() / SECTOR).unwrap();
        for lost in 0..sectors {
            let damaged = fault.fork();
            tear(&damaged, &path, frame, !(1 << lost));
            let disk = as_disk(&damaged);
            let error = FileLog::open(disk.clone(), &dir(), SMALL).unwrap_err();
            assert!(matches!(error, JournalError::Corrupt { .. }), "{error}");
            assert!(!never_silently_different(&disk, 11, "zeroed sector"));
        }
        let damaged = fault.fork();
        tear(&damaged, &path, frame, 0);
        let error = FileLog::open(as_disk(&damaged), &dir(), SMALL).unwrap_err();
        assert!(error.to_string().contains("proves that it was acknowledged"), "{error}");
    }
}

#[test]
fn a_torn_frame_with_a_segment_behind_it_is_corruption() {
    let (sound, next) = sample_journal();
    let all = segments(&sound, &dir());
    for path in &all[..all.len() - 1] {
        let damaged = sound.fork();
        let frame = frames(&sound.bytes(path).unwrap()).pop().unwrap().0;
        tear(&damaged, path, &frame, 1);
        let disk = as_disk(&damaged);
        assert!(!never_silently_different(&disk, next, "torn before a segment"));
        let problem = verify(disk.as_ref(), &dir()).unwrap().problems.remove(0);
        assert_eq!(problem.kind, ProblemKind::DamagedFrame, "{problem}");
        assert!(problem.detail.contains("a later segment follows"), "{problem}");
        assert_eq!((problem.offset, problem.harmless), (frame.start as u64, false));
    }
}

#[test]
fn a_seal_at_another_offset_is_detected_although_chain_and_position_fit() {
    let (fault, disk) = fault_disk();
    let mut log = create(&disk, &dir(), SMALL);
    append(&mut log, 2).unwrap();
    log.close().unwrap();
    let path = segments(disk.as_ref(), &dir()).remove(0);
    let mut bytes = fault.bytes(&path).unwrap();
    let seal = frames(&bytes).pop().unwrap().0;
    bytes.copy_within(seal.clone(), seal.end);
    fault.set_bytes(&path, &bytes);
    let error = FileLog::open(disk, &dir(), SMALL).unwrap_err();
    assert!(error.to_string().contains("was written for byte"), "{error}");
}

#[test]
fn a_frame_copied_to_any_other_place_is_detected() {
    let (fault, disk) = fault_disk();
    let mut log = create(&disk, &dir(), SMALL);
    for count in [2, 3, 1, 4] {
        append(&mut log, count).unwrap();
    }
    drop(log);
    let path = segments(disk.as_ref(), &dir()).remove(0);
    let bytes = fault.bytes(&path).unwrap();
    let frame = frames(&bytes)[1].0.clone();
    for target in (SECTOR..bytes.len() - frame.len()).step_by(SECTOR) {
        if target == frame.start {
            continue;
        }
        let mut changed = bytes.clone();
        changed.copy_within(frame.clone(), target);
        let damaged = fault.fork();
        damaged.set_bytes(&path, &changed);
        let disk = as_disk(&damaged);
        let error = FileLog::open(disk.clone(), &dir(), SMALL).unwrap_err();
        assert!(matches!(error, JournalError::Corrupt { .. }), "at {target}: {error}");
        assert!(!never_silently_different(&disk, 10, "copied frame"));
        assert!(!verify(disk.as_ref(), &dir()).unwrap().is_intact(), "at {target}");
    }
}

#[test]
fn a_last_frame_that_went_astray_is_missed_although_nothing_follows_its_place() {
    let (fault, disk) = fault_disk();
    let mut log = create(&disk, &dir(), SMALL);
    for count in [2, 3, 1, 4] {
        append(&mut log, count).unwrap();
    }
    drop(log);
    let path = segments(disk.as_ref(), &dir()).remove(0);
    let bytes = fault.bytes(&path).unwrap();
    let all = frames(&bytes);
    let (first, last) = (all[0].0.clone(), all[3].0.clone());
    let mut changed = bytes.clone();
    changed[last.clone()].fill(0);
    changed[first.start..first.start + last.len()].copy_from_slice(&bytes[last]);
    fault.set_bytes(&path, &changed);
    let report = verify(disk.as_ref(), &dir()).unwrap();
    let end = report.problems.last().unwrap();
    assert_eq!((end.kind, end.positions.clone()), (ProblemKind::Gap, report.next..10));
    assert_eq!((report.is_intact(), report.written_next()), (false, 10));
}

#[test]
fn a_last_frame_that_fell_into_the_middle_of_another_is_missed_as_well() {
    let (fault, disk) = fault_disk();
    let mut log = create(&disk, &dir(), Options { segment_bytes: 64 << 10, ..SMALL });
    for count in [60, 3, 4] {
        append(&mut log, count).unwrap();
    }
    drop(log);
    let path = segments(disk.as_ref(), &dir()).remove(0);
    let bytes = fault.bytes(&path).unwrap();
    let all = frames(&bytes);
    let (first, last) = (all[0].0.clone(), all[2].0.clone());
    assert!(first.len() > last.len() + 1_024, "the first frame has room in its middle");
    for start in (first.start + 512..first.end - last.len()).step_by(512) {
        let mut changed = bytes.clone();
        changed[last.clone()].fill(0);
        changed[start..start + last.len()].copy_from_slice(&bytes[last.clone()]);
        fault.set_bytes(&path, &changed);
        let report = verify(disk.as_ref(), &dir()).unwrap();
        assert_eq!((report.is_intact(), report.written_next()), (false, 67), "at {start}");
    }
}

#[test]
fn a_damaged_last_frame_counts_as_written() {
    let (fault, disk) = fault_disk();
    let mut log = create(&disk, &dir(), SMALL);
    append(&mut log, 2).unwrap();
    append(&mut log, 3).unwrap();
    drop(log);
    let path = segments(disk.as_ref(), &dir()).remove(0);
    let last = frames(&fault.bytes(&path).unwrap())[1].0.clone();
    fault.flip_bit(&path, (last.start as u64 + 200) * 8);
    let report = verify(disk.as_ref(), &dir()).unwrap();
    assert_eq!((report.next, report.written_next()), (2, 5));
}

#[test]
fn a_missing_segment_is_a_gap_with_its_exact_range() {
    let (sound, next) = sample_journal();
    let all = segments(&sound, &dir());
    let first_of = |path: &PathBuf| {
        u64::from_str_radix(path.file_stem().unwrap().to_str().unwrap(), 16).unwrap()
    };
    for (index, path) in all.iter().enumerate().take(all.len() - 1) {
        let damaged = sound.fork();
        damaged.remove(path).unwrap();
        let disk = as_disk(&damaged);
        let (from, to) = (first_of(path), first_of(&all[index + 1]));
        let error = FileLog::open(disk.clone(), &dir(), SMALL).unwrap_err();
        let JournalError::Gap { missing_from, missing_to, .. } = error else { panic!("{error}") };
        assert_eq!((missing_from, missing_to), (from, to));
        assert!(!never_silently_different(&disk, next, "missing segment"));
        let report = verify(disk.as_ref(), &dir()).unwrap();
        let gap = report.problems.iter().find(|problem| problem.kind == ProblemKind::Gap).unwrap();
        assert_eq!((gap.positions.clone(), gap.harmless), (from..to, false));
        assert_eq!((report.next, report.entries, report.root), (next, next - (to - from), None));
    }
    let damaged = sound.fork();
    for path in &all {
        damaged.remove(path).unwrap();
    }
    let error = FileLog::open(as_disk(&damaged), &dir(), SMALL).unwrap_err();
    assert!(error.is_corruption(), "{error}");
}

#[test]
fn a_segment_cut_short_or_of_another_journal_is_refused() {
    let (sound, next) = sample_journal();
    let all = segments(&sound, &dir());
    for length in [0, 100, 512, 8_192, 16_383] {
        let damaged = sound.fork();
        let path = all.last().unwrap();
        damaged.set_bytes(path, &sound.bytes(path).unwrap()[..length]);
        let error = FileLog::open(as_disk(&damaged), &dir(), SMALL).unwrap_err();
        assert!(matches!(error, JournalError::Corrupt { .. }), "{error}");
        assert!(!never_silently_different(&as_disk(&damaged), next, "cut segment"));
    }
    let damaged = sound.fork();
    damaged.set_bytes(&all[2], &sound.bytes(&all[1]).unwrap());
    let error = FileLog::open(as_disk(&damaged), &dir(), SMALL).unwrap_err();
    assert!(error.to_string().contains("foreign segment"), "{error}");

    let (_, other_disk) = fault_disk();
    let other = evenkeel_journal::Identity { lineage: [9; 16], ..IDENTITY };
    let base = evenkeel_journal::Base::genesis();
    drop(FileLog::create(other_disk.clone(), &dir(), other, base, SMALL).unwrap());
    let foreign = segments(other_disk.as_ref(), &dir()).remove(0);
    let mut bytes = vec![0; 16 << 10];
    other_disk
        .open(&foreign, evenkeel_journal::Access::Read)
        .unwrap()
        .read_at(&mut bytes, 0)
        .unwrap();
    let damaged = sound.fork();
    damaged.set_bytes(&all[0], &bytes);
    let error = FileLog::open(as_disk(&damaged), &dir(), SMALL).unwrap_err();
    assert!(error.to_string().contains("another cluster or lineage"), "{error}");
}

#[test]
fn stray_bytes_after_the_end_are_cleaned_before_the_next_append_and_its_crash() {
    let (fault, disk) = fault_disk();
    let mut log = create(&disk, &dir(), SMALL);
    append(&mut log, 2).unwrap();
    drop(log);
    let path = segments(disk.as_ref(), &dir()).remove(0);
    let end = frames(&fault.bytes(&path).unwrap()).pop().unwrap().0.end as u64;
    for sector in 0..4 {
        fault.flip_bit(&path, (end + sector * 512 + 77) * 8);
    }
    let (mut log, opened) = reopen(&disk, &dir(), SMALL).unwrap();
    assert_eq!(opened.stray.len(), 4);
    assert!(opened.to_string().contains("no entry lies here"), "{opened}");
    // Two syncs: of the cleaning, then of the frame, which the power loss takes.
    let operations = fault.operations();
    fault.fail_at(operations + 6, evenkeel_journal::fault_disk::Fault::PowerLoss);
    append(&mut log, 5).unwrap_err();
    drop(log);
    for seed in 0..50 {
        let crashed = fault.fork();
        crashed.power_cycle(evenkeel_journal::fault_disk::Survival::Random { seed });
        let (log, _) = reopen(&as_disk(&crashed), &dir(), SMALL).unwrap();
        assert!([2, 7].contains(&log.next()), "seed {seed}");
    }
}

proptest! {
    #[test]
    fn random_bytes_as_a_segment_never_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..6_000),
    ) {
        let (sound, _) = sample_journal();
        for path in segments(&sound, &dir()).iter().rev().take(2) {
            let damaged = sound.fork();
            damaged.set_bytes(path, &bytes);
            prop_assert!(FileLog::open(as_disk(&damaged), &dir(), SMALL).is_err());
            prop_assert!(!verify(&damaged, &dir()).unwrap().is_intact());
        }
    }

    #[test]
    fn random_overwrites_never_panic_and_never_pass_for_another_history(
        at in 0..16_384usize,
        garbage in prop::collection::vec(any::<u8>(), 1..2_000),
        which in 0..8usize,
    ) {
        let (sound, next) = sample_journal();
        let all = segments(&sound, &dir());
        let path = &all[which % all.len()];
        let mut bytes = sound.bytes(path).unwrap();
        let end = (at + garbage.len()).min(bytes.len());
        bytes[at..end].copy_from_slice(&garbage[..end - at]);
        let damaged = sound.fork();
        damaged.set_bytes(path, &bytes);
        let disk = as_disk(&damaged);
        never_silently_different(&disk, next, "overwritten");
        if let Ok((log, _)) = FileLog::open(disk, &dir(), SMALL) {
            prop_assert_eq!(log.next(), next);
        }
    }
}

#[test]
fn a_follower_that_meets_damage_behind_a_seal_says_so_and_does_not_look_for_ever() {
    let (fault, disk) = fault_disk();
    let mut log = create(&disk, &dir(), SMALL);
    append(&mut log, 5).unwrap();
    assert!(log.seal_if_idle().unwrap());
    append(&mut log, 5).unwrap();
    let path = dir().join(format!("{:016x}.seg", 0));
    let (behind_seal, _) = frames(&fault.bytes(&path).unwrap())[2].clone();
    fault.flip_bit(&path, (behind_seal.start as u64 + 40) * 8);
    // It begins behind the seal's position, so that the seal itself gives it nothing.
    let mut reader = Reader::follow(disk, &dir(), 7, log.watermark()).unwrap();
    let refused = reader.next_batch().unwrap_err();
    assert!(refused.is_corruption(), "{refused}");
}

#[test]
fn behind_a_damaged_header_it_is_known_how_far_the_journal_reached() {
    let (fault, next) = sample_journal();
    let disk = as_disk(&fault);
    let last = segments(disk.as_ref(), &dir()).pop().unwrap();
    assert!(!verify(disk.as_ref(), &dir()).unwrap().may_reach_beyond(next));
    fault.flip_bit(&last, 8 * 50);
    let found = verify(disk.as_ref(), &dir()).unwrap();
    assert!(found.next < next, "{found:?}");
    assert_eq!(found.written_next(), next);
    assert!(!found.may_reach_beyond(next), "all of it is accounted for");
}

#[test]
fn a_last_frame_whose_header_is_lost_may_reach_beyond_what_is_held() {
    let (fault, next) = sample_journal();
    let disk = as_disk(&fault);
    let last = segments(disk.as_ref(), &dir()).pop().unwrap();
    let bytes = fault.bytes(&last).unwrap();
    let (range, _) = frames(&bytes).pop().unwrap();
    fault.flip_bit(&last, 8 * (range.start as u64 + 50));
    let found = verify(disk.as_ref(), &dir()).unwrap();
    assert!(found.may_reach_beyond(found.next), "{found:?}");
    assert!(!found.may_reach_beyond(next), "a whole frame came back from elsewhere");
}
