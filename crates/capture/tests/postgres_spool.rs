//! The log of a PostgreSQL server on a disk that loses power, and bytes from outside that are
//! wrong.

#![allow(clippy::cast_possible_truncation, reason = "a pattern of bytes")]

use std::path::Path;
use std::sync::Arc;

use evenkeel_capture::postgres::{
    Archive, Happening, Kind, Lsn, Position, Received, Records, Segments, Store, Timeline,
    parse_history, segment_name,
};
use evenkeel_journal::fault_disk::{Fault, FaultDisk, Survival};
use evenkeel_journal::{Access, Disk};
use proptest::prelude::*;

const FOLDER: &str = "/capture";
const SEGMENT_BYTES: u64 = 4096;
const BEGIN: Lsn = Lsn(2 * SEGMENT_BYTES);
const PIECES: u64 = 16;
const PIECE_BYTES: u64 = 700;

/// The log's byte at a position.
fn byte(at: u64) -> u8 {
    (at % 251) as u8 ^ (at / 251) as u8
}

fn piece(from: Lsn, bytes: u64) -> Vec<u8> {
    (from.0..from.0 + bytes).map(byte).collect()
}

fn open(disk: &FaultDisk) -> Option<Store> {
    Store::open(Arc::new(disk.clone()), Path::new(FOLDER)).ok()
}

/// Where what is held ends, as capture finds it.
fn resume(store: &Store) -> Lsn {
    let last = store.segments(SEGMENT_BYTES).expect("a folder").pop();
    last.map_or(BEGIN, |last| Lsn((last.number + u64::from(!last.partial)) * SEGMENT_BYTES))
}

/// Goes on to the end; gives up to where a sync said that it is durable.
fn receive(store: &Store, promised: Lsn, acknowledged: &mut Lsn) -> Option<()> {
    let from = resume(store);
    let mut received = Received::new(store, (1, from), SEGMENT_BYTES, promised, "server");
    let end = BEGIN.plus(PIECES * PIECE_BYTES);
    while received.next() < end {
        let bytes = PIECE_BYTES.min(end.0 - received.next().0);
        received.write(received.next(), &piece(received.next(), bytes)).ok()?;
        received.sync().ok()?;
        *acknowledged = (*acknowledged).max(received.durable());
        let (timeline, lsn, time_ns) = (1, received.durable(), 1);
        store.set_position(&Position { timeline, lsn, time_ns }).ok()?;
        let detail = "a line".to_owned();
        store.note(Happening { time_ns, kind: Kind::Resumed, timeline, lsn, detail }).ok()?;
    }
    Some(())
}

fn held(disk: &FaultDisk, at: Lsn) -> Option<u8> {
    let name = segment_name(1, at.segment(SEGMENT_BYTES), SEGMENT_BYTES);
    let wal = Path::new(FOLDER).join("wal");
    let whole = disk.open(&wal.join(&name), Access::Read);
    let file = whole.or_else(|_| disk.open(&wal.join(name + ".partial"), Access::Read)).ok()?;
    let mut found = [0];
    let read = file.read_at(&mut found, at.0 % SEGMENT_BYTES).ok()?;
    (read == 1).then_some(found[0])
}

#[test]
fn what_a_server_was_told_to_be_flushed_survives_power_losses_at_any_operation() {
    let whole = FaultDisk::new();
    let store = open(&whole).expect("a store");
    receive(&store, Lsn(0), &mut Lsn(0)).expect("room");
    let operations = whole.operations();
    assert!(operations > 100, "{operations}");
    for operation in 0..operations {
        for survival in [
            Survival::Nothing,
            Survival::Everything,
            Survival::Random { seed: operation },
            Survival::Random { seed: operation + 1000 },
        ] {
            let disk = FaultDisk::new();
            disk.fail_at(operation, Fault::PowerLoss);
            let mut acknowledged = BEGIN;
            if let Some(store) = open(&disk) {
                assert_eq!(receive(&store, Lsn(0), &mut acknowledged), None, "the power went");
            }
            disk.power_cycle(survival);
            let store = open(&disk).expect("a store after a power loss");
            let lines = store.happenings();
            let position = store.position().expect("a folder").unwrap_or_default();
            assert!(position.lsn <= acknowledged, "at {operation}: {position:?}");
            assert!(lines.iter().all(|line| line.lsn <= acknowledged));
            for at in BEGIN.0..acknowledged.0 {
                assert_eq!(held(&disk, Lsn(at)), Some(byte(at)), "at {operation}, {survival:?}");
            }
            // The last segment comes again; what was promised has to be the same.
            receive(&store, acknowledged, &mut acknowledged).expect("it goes on");
            for at in BEGIN.0..BEGIN.0 + PIECES * PIECE_BYTES {
                assert_eq!(held(&disk, Lsn(at)), Some(byte(at)), "at {operation}, {survival:?}");
            }
        }
    }
}

#[test]
fn other_bytes_are_refused_below_what_was_promised_and_taken_behind_it() {
    let disk = FaultDisk::new();
    let store = open(&disk).expect("a store");
    let mut received = Received::new(&store, (1, BEGIN), SEGMENT_BYTES, Lsn(0), "server");
    received.write(BEGIN, &piece(BEGIN, 100)).expect("room");
    received.sync().expect("a sync");
    let mut other = piece(BEGIN, 100);
    other[60] ^= 1;
    let again = |promised: u64| {
        let promised = BEGIN.plus(promised);
        Received::new(&store, (1, BEGIN), SEGMENT_BYTES, promised, "server").write(BEGIN, &other)
    };
    assert!(again(61).is_err());
    assert_eq!(held(&disk, BEGIN.plus(60)), Some(byte(BEGIN.0 + 60)), "nothing was touched");
    again(60).expect("a crash may have left anything there");
    assert_eq!(held(&disk, BEGIN.plus(60)), Some(other[60]));
}

#[test]
fn a_piece_that_is_not_the_next_one_is_refused() {
    let store = open(&FaultDisk::new()).expect("a store");
    let mut received = Received::new(&store, (1, BEGIN), SEGMENT_BYTES, Lsn(0), "server");
    received.write(BEGIN, b"abc").expect("room");
    assert!(received.write(BEGIN.plus(4), b"x").is_err());
    assert!(received.write(BEGIN.plus(2), b"x").is_err());
}

struct Anything(Vec<u8>);

impl Segments for Anything {
    fn segment(&mut self, number: u64) -> Option<(Timeline, Vec<u8>)> {
        (number == 1).then(|| (1, self.0.clone()))
    }
}

/// A page of a log, and then anything: so that more than the first check is reached.
fn nearly_a_log() -> impl Strategy<Value = Vec<u8>> {
    (any::<u16>(), any::<u32>(), 24_u32..4000, prop::collection::vec(any::<u8>(), 0..20_000))
        .prop_map(|(info, rest, length, tail)| {
            let mut bytes = vec![0; 40];
            bytes[2..4].copy_from_slice(&info.to_le_bytes());
            bytes[8..16].copy_from_slice(&(1_u64 << 20).to_le_bytes());
            bytes[16..20].copy_from_slice(&rest.to_le_bytes());
            bytes.extend_from_slice(&length.to_le_bytes());
            bytes.extend(tail);
            bytes
        })
}

proptest! {
    #[test]
    fn wrong_bytes_end_a_log_and_nothing_else(bytes in nearly_a_log()) {
        let mut segments = Anything(bytes);
        if let Some(records) = Records::of_segment(&mut segments, 1 << 20, 1) {
            prop_assert_eq!(records.count(), 0, "no sum can be right");
        }
        let records = Records::at(&mut segments, 1 << 20, Lsn((1 << 20) + 40));
        prop_assert_eq!(records.count(), 0);
    }

    #[test]
    fn wrong_archives_and_histories_are_errors(
        bytes in prop::collection::vec(any::<u8>(), 0..3000),
    ) {
        let mut archive = Archive::new(bytes.as_slice());
        while let Ok(Some(entry)) = archive.next_entry() {
            prop_assert!(!entry.path.contains(".."));
        }
        let text = String::from_utf8_lossy(&bytes);
        if let Ok(switches) = parse_history(&text) {
            prop_assert!(switches.is_sorted_by_key(|switch| switch.timeline));
        }
    }
}
