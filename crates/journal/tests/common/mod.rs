//! What the tests share.
#![allow(dead_code, clippy::unwrap_used)]

use evenkeel_journal::fault_disk::FaultDisk;
use evenkeel_journal::{
    Admission, Base, Confirmation, Disk, FileLog, Identity, JournalError, Opened, Options,
    Position, Preparation, Reader, Record, RootTracker,
};
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub const IDENTITY: Identity =
    Identity { cluster_id: *b"a test cluster !", lineage: *b"lineage number 1" };

/// Small segments, so that a few hundred entries cross several; no threads.
pub const SMALL: Options = Options {
    segment_bytes: 16 << 10,
    reserve_bytes: 8 << 10,
    durability: evenkeel_journal::Durability::Fdatasync,
    preparation: Preparation::Inline,
};

pub fn dir() -> PathBuf {
    PathBuf::from("/journal")
}

/// Splitmix64: tests repeat exactly.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

/// The entry at a position of the test history: 0 to 700 bytes, some all zero.
pub fn entry(position: Position) -> Vec<u8> {
    let mut random = Random(position);
    let length = random.below(700) * u64::from(position % 11 != 3);
    let zeros = position % 7 == 5;
    (0..length).map(|_| if zeros { 0 } else { random.next().to_le_bytes()[0] }).collect()
}

pub fn entries(from: Position, count: u64) -> Vec<Vec<u8>> {
    (from..from + count).map(entry).collect()
}

/// Appends the next `count` entries of the test history as one batch.
pub fn append(log: &mut FileLog, count: u64) -> Result<Position, JournalError> {
    let batch = entries(log.next(), count);
    let batch: Vec<&[u8]> = batch.iter().map(Vec::as_slice).collect();
    log.append(&batch, Admission::Normal).map(|appended| appended.last + 1)
}

/// A new log, ready to append.
pub fn create(disk: &Arc<dyn Disk>, dir: &Path, options: Options) -> FileLog {
    let mut log = FileLog::create(disk.clone(), dir, IDENTITY, Base::genesis(), options).unwrap();
    log.confirm_end(&[]).unwrap();
    log.begin_term(1).unwrap();
    log
}

/// Opens a log and makes it ready to append.
pub fn reopen(
    disk: &Arc<dyn Disk>,
    dir: &Path,
    options: Options,
) -> Result<(FileLog, Opened), JournalError> {
    let (mut log, opened) = FileLog::open(disk.clone(), dir, options)?;
    log.confirm_end(&[])?;
    log.begin_term(opened.term + 1)?;
    Ok((log, opened))
}

pub fn fault_disk() -> (FaultDisk, Arc<dyn Disk>) {
    let fault = FaultDisk::new();
    let disk: Arc<dyn Disk> = Arc::new(fault.clone());
    (fault, disk)
}

/// Everything an external reader finds from a position on.
pub fn read_from(
    disk: &Arc<dyn Disk>,
    dir: &Path,
    from: Position,
) -> Result<Vec<Record>, JournalError> {
    let mut records = Vec::new();
    for batch in Reader::external(disk.clone(), dir, from)? {
        records.extend(batch?.records);
    }
    Ok(records)
}

/// Asserts that the records are the test history from a position on.
pub fn assert_history(records: &[Record], from: Position) {
    for (position, record) in (from..).zip(records) {
        assert_eq!(record.position, position);
        assert_eq!(record.entry, entry(position), "entry {position}");
    }
}

/// Journal root of the test history before a position.
pub fn root_before(next: Position) -> [u8; 32] {
    let mut tracker = RootTracker::new(&Base::genesis());
    for position in 0..next {
        tracker.push(&entry(position));
    }
    tracker.root()
}

pub fn confirmation(source: &str, next: Position) -> Confirmation {
    Confirmation { source: source.to_owned(), next, chain: None }
}

/// The segment files, in order.
pub fn segments(disk: &dyn Disk, dir: &Path) -> Vec<PathBuf> {
    let names = disk.list(dir).unwrap();
    let is_segment = |name: &&String| name.len() == 20 && name.ends_with(".seg");
    names.iter().filter(is_segment).map(|name| dir.join(name)).collect()
}
