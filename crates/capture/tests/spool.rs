//! The spool through power losses, damage and pruning: what was acknowledged is there, in order.

use evenkeel_capture::spool::{
    Batch, Body, Commit, GapBegin, History, Item, Spool, Why, decode_record, encode_record,
    segment_path,
};
use evenkeel_capture::sqlite::wal::Place;
use evenkeel_journal::fault_disk::{Fault, FaultDisk, Survival};
use evenkeel_journal::{Disk, RealDisk};
use evenkeel_types::Canonical as _;
use proptest::prelude::*;
use std::path::Path;
use std::sync::Arc;

const FOLDER: &str = "/spool";

fn batch(number: u64, complete: bool) -> Body {
    let place = Place { salts: [1, 2], frame: 3, sum: [4, 5] };
    let (time_ns, after_ns, pages) = (number * 10, number * 10 - 5, 2);
    let commit = Commit { number, time_ns, after_ns, pages, digest: [0; 32], place };
    let raw = vec![u8::try_from(number % 251).expect("small"); 1024];
    let mut items = vec![Item::Whole(1), Item::Difference(2)];
    if complete {
        items.push(Item::Commit(commit));
    }
    let compressed = zstd::bulk::compress(&raw, 1).expect("memory");
    Body::Batch(Batch { items, raw_bytes: 1024, compressed })
}

fn open(disk: &FaultDisk) -> evenkeel_capture::Result<(Spool, History)> {
    Spool::open(Arc::new(disk.clone()), Path::new(FOLDER), 700, 1)
}

/// Epoch 1, and commits 1 to `commits`.
fn write(spool: &mut Spool, commits: u64) -> evenkeel_capture::Result<()> {
    if spool.next_record() == 0 {
        spool.append(&Body::Epoch { epoch: 1, page_bytes: 512 })?;
    }
    for number in 1..=commits {
        spool.append(&batch(number, true))?;
    }
    Ok(())
}

fn last(history: &History) -> u64 {
    history.last_commit().map_or(0, |commit| commit.number)
}

#[test]
fn power_may_go_at_every_operation_and_what_was_acknowledged_is_there() {
    let whole = FaultDisk::new();
    let (mut spool, _) = open(&whole).expect("a spool");
    write(&mut spool, 12).expect("room");
    let operations = whole.operations();
    for operation in 0..operations {
        for survival in [
            Survival::Nothing,
            Survival::Everything,
            Survival::Random { seed: operation },
            Survival::Random { seed: operation + 1000 },
        ] {
            let disk = FaultDisk::new();
            disk.fail_at(operation, Fault::PowerLoss);
            let mut acknowledged = 0;
            if let Ok((mut spool, _)) = open(&disk)
                && spool.append(&Body::Epoch { epoch: 1, page_bytes: 512 }).is_ok()
            {
                while acknowledged < 12 && spool.append(&batch(acknowledged + 1, true)).is_ok() {
                    acknowledged += 1;
                }
            }
            disk.power_cycle(survival);
            let (mut spool, history) = open(&disk).expect("a spool after a power loss");
            let found = last(&history);
            assert!(found == acknowledged || found == acknowledged + 1, "{found} {acknowledged}");
            assert_eq!(history.lost, [], "operation {operation}, {survival:?}");
            // It goes on, and what was never finished is out of the way.
            if found == 0 && history.records.is_empty() {
                spool.append(&Body::Epoch { epoch: 1, page_bytes: 512 }).expect("room");
            }
            spool.append(&batch(found + 1, true)).expect("room");
            drop(spool);
            let (_, history) = open(&disk).expect("a spool");
            assert_eq!((last(&history), history.lost.len()), (found + 1, 0));
            assert_eq!(history.runs().len(), 1);
        }
    }
}

#[test]
fn a_failed_sync_is_final_until_the_spool_is_opened_again() {
    let disk = FaultDisk::new();
    let (mut spool, _) = open(&disk).expect("a spool");
    write(&mut spool, 3).expect("room");
    disk.fail_at(disk.operations() + 1, Fault::Error { seed: 3 });
    assert!(spool.append(&batch(4, true)).is_err());
    assert!(spool.append(&batch(4, true)).is_err());
    let history = spool.reopen().expect("the same spool");
    let found = last(&history);
    assert!(found == 3 || found == 4);
    spool.append(&batch(found + 1, true)).expect("room");
    let again = History::load(&disk, Path::new(FOLDER)).expect("a history");
    assert_eq!((last(&again), again.lost), (found + 1, vec![]));
}

#[test]
fn a_full_disk_takes_nothing_and_loses_nothing() {
    let disk = FaultDisk::new();
    let (mut spool, _) = open(&disk).expect("a spool");
    write(&mut spool, 5).expect("room");
    disk.set_capacity_bytes(Some(1));
    let mut acknowledged = 5;
    // Space that was prepared is still there.
    while spool.append(&batch(acknowledged + 1, true)).is_ok() {
        acknowledged += 1;
        assert!(acknowledged < 1000, "the disk was never full");
    }
    disk.set_capacity_bytes(None);
    let history = spool.reopen().expect("the same spool");
    assert_eq!((last(&history), history.lost.len()), (acknowledged, 0));
    spool.append(&batch(acknowledged + 1, true)).expect("room");
}

#[test]
fn what_was_not_finished_gives_way_to_what_comes_next() {
    let disk = FaultDisk::new();
    let (mut spool, _) = open(&disk).expect("a spool");
    write(&mut spool, 3).expect("room");
    spool.append(&batch(4, false)).expect("room");
    spool.append(&batch(4, false)).expect("room");
    drop(spool);
    let (mut spool, history) = open(&disk).expect("a spool");
    assert_eq!((last(&history), spool.next_record()), (3, 4));
    spool.append(&batch(4, true)).expect("room");
    let history = History::load(&disk, Path::new(FOLDER)).expect("a history");
    assert_eq!((last(&history), history.records.len(), history.lost.len()), (4, 5, 0));
}

#[test]
fn a_gap_lasts_until_the_next_snapshot_and_is_one_gap() {
    let disk = FaultDisk::new();
    let (mut spool, _) = open(&disk).expect("a spool");
    write(&mut spool, 3).expect("room");
    let gap = |why| GapBegin { why, from_number: 3, from_ns: 30, noticed_ns: 31 };
    spool.append(&Body::Gap(gap(Why::Replaced))).expect("room");
    spool.append(&Body::Epoch { epoch: 2, page_bytes: 512 }).expect("room");
    spool.append(&batch(4, false)).expect("room");
    spool.append(&Body::Gap(gap(Why::LogReset))).expect("room");
    let history = History::load(&disk, Path::new(FOLDER)).expect("a history");
    assert_eq!(history.gaps().iter().map(|gap| gap.until).collect::<Vec<_>>(), [None]);
    spool.append(&Body::Epoch { epoch: 3, page_bytes: 512 }).expect("room");
    spool.append(&batch(4, true)).expect("room");
    let history = History::load(&disk, Path::new(FOLDER)).expect("a history");
    let gaps = history.gaps();
    assert_eq!((gaps.len(), gaps[0].begin.why), (1, Why::Replaced));
    assert_eq!(gaps[0].until.map(|until| until.number), Some(4));
    let runs: Vec<(u64, u64, u64)> =
        history.runs().iter().map(|run| (run.epoch, run.first.number, run.last.number)).collect();
    assert_eq!(runs, [(1, 1, 3), (3, 4, 4)]);
}

#[test]
fn every_flipped_bit_is_found_and_never_changes_what_is_read() {
    let disk = FaultDisk::new();
    let (mut spool, _) = open(&disk).expect("a spool");
    write(&mut spool, 8).expect("room");
    drop(spool);
    let whole = History::load(&disk, Path::new(FOLDER)).expect("a history");
    for segment in 0..whole.next_segment {
        let path = segment_path(Path::new(FOLDER), segment);
        let records = whole.records.iter().filter(|at| at.segment == segment);
        let end = records.map(|at| at.offset + at.length_bytes as u64).max().expect("records");
        for bit in 0..end * 8 {
            let disk = disk.fork();
            disk.flip_bit(&path, bit);
            let found = History::load(&disk, Path::new(FOLDER)).expect("a history");
            assert!(found.records.len() < whole.records.len(), "segment {segment}, bit {bit}");
            assert!(found.records.iter().all(|at| whole.records.contains(at)));
            // Seen as damage, unless it was at the very end, where a write may have been cut.
            let at_the_end = segment + 1 == whole.next_segment;
            assert!(at_the_end || !found.lost.is_empty(), "segment {segment}, bit {bit}");
        }
    }
}

#[test]
fn early_segments_may_be_removed() {
    let disk = FaultDisk::new();
    let (mut spool, _) = open(&disk).expect("a spool");
    write(&mut spool, 4).expect("room");
    spool.append(&Body::Epoch { epoch: 2, page_bytes: 512 }).expect("room");
    spool.append(&batch(5, true)).expect("room");
    let history = History::load(&disk, Path::new(FOLDER)).expect("a history");
    let keep = history.records[history.runs()[1].records.start].segment;
    for segment in 0..keep {
        disk.remove(&segment_path(Path::new(FOLDER), segment)).expect("a segment");
    }
    drop(spool);
    let (mut spool, history) = open(&disk).expect("a spool");
    assert_eq!((history.lost.len(), history.runs().len(), last(&history)), (0, 1, 5));
    assert_eq!(spool.next_record(), 7);
    spool.append(&batch(6, true)).expect("room");
}

#[test]
fn two_processes_never_write_one_spool() {
    let folder = tempfile::tempdir().expect("a folder");
    let first = Spool::open(Arc::new(RealDisk), folder.path(), 1 << 20, 1).expect("a spool");
    let second = Spool::open(Arc::new(RealDisk), folder.path(), 1 << 20, 1);
    assert!(matches!(second, Err(evenkeel_capture::Error::Locked { .. })));
    drop(first);
    assert!(Spool::open(Arc::new(RealDisk), folder.path(), 1 << 20, 1).is_ok());
}

proptest! {
    #[test]
    fn a_record_that_decodes_is_the_one_that_was_written(
        number in 1_u64..1000, complete in any::<bool>(), record in any::<u64>(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3)
    ) {
        let body = batch(number, complete);
        let (mut bytes, chain) = encode_record(&[7; 32], record, &body);
        let whole = bytes.clone();
        for (at, value) in damage {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        match decode_record(&[7; 32], record, &bytes) {
            Some(decoded) => {
                prop_assert_eq!(&bytes, &whole);
                prop_assert_eq!((decoded.body, decoded.chain), (body, chain));
            }
            None => prop_assert_ne!(bytes, whole),
        }
    }

    #[test]
    fn a_body_has_one_form(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(body) = Body::from_bytes(&bytes) {
            prop_assert_eq!(body.to_bytes(), bytes);
        }
    }
}

/// The folder of version 1's fixture: an epoch, six commits, a gap, a second epoch.
fn fixture() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/spool-1")
}

#[test]
fn a_spool_of_version_1_is_read_as_it_was_written() {
    let history = History::load(&RealDisk, &fixture()).expect("a history");
    assert_eq!((history.lost.len(), history.unfinished_bytes, history.records.len()), (0, 0, 10));
    let gaps = history.gaps();
    assert_eq!((gaps.len(), gaps[0].begin.why), (1, Why::LogBound));
    let folder = tempfile::tempdir().expect("a folder");
    for (number, expected) in [(1, 0_u8), (4, 3), (6, 5), (7, 9)] {
        let to = folder.path().join(format!("{number}.db"));
        let target = evenkeel_capture::restore::Target::Commit(number);
        evenkeel_capture::restore::restore(&RealDisk, &fixture(), target, &to).expect("a restore");
        let connection = rusqlite::Connection::open(&to).expect("a database");
        let sum: u8 = connection
            .query_row("SELECT count(*) FROM orders", [], |row| row.get(0))
            .expect("a count");
        assert_eq!(sum, expected, "commit {number}");
    }
}
