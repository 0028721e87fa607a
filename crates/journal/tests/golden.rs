//! Format version 1 against files written when it was fixed: `tests/fixtures/journal-v1`.
#![allow(clippy::unwrap_used)]

mod common;

use common::{IDENTITY, SMALL, append, assert_history, dir, entry, fault_disk, read_from};
use evenkeel_journal::{Admission, Base, Disk, FileLog, Options, RealDisk, RootTracker, verify};
use std::path::PathBuf;
use std::sync::Arc;

const FILES: [&str; 3] = ["meta", "0000000000000000.seg", "000000000000000d.seg"];
const ENTRIES: u64 = 30;

/// As the fixture was written. A released format never changes: if this test fails, the change
/// needs a new version beside this one, and a fixture of its own.
fn write(disk: &Arc<dyn Disk>) {
    let options = Options { segment_bytes: 8 << 10, ..SMALL };
    let mut log =
        FileLog::create(disk.clone(), &dir(), IDENTITY, Base::genesis(), options).unwrap();
    log.confirm_end(&[]).unwrap();
    log.begin_term(1).unwrap();
    for count in [1, 12, 0, 8] {
        if count == 0 {
            assert!(log.seal_if_idle().unwrap());
        } else {
            append(&mut log, count).unwrap();
        }
    }
    log.begin_term(0x0102_0304_0506).unwrap();
    let last: Vec<_> = (21..ENTRIES).map(entry).collect();
    let last: Vec<&[u8]> = last.iter().map(Vec::as_slice).collect();
    log.append(&last, Admission::Normal).unwrap();
    log.close().unwrap();
}

fn fixture(name: &str) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/journal-v1");
    std::fs::read(path.join(name)).unwrap()
}

#[test]
fn the_same_appends_give_the_same_bytes_as_ever() {
    let (fault, disk) = fault_disk();
    write(&disk);
    for name in FILES {
        assert_eq!(fault.bytes(&dir().join(name)).unwrap(), fixture(name), "{name}");
    }
}

#[test]
fn files_of_version_1_are_read_and_written_on() {
    let folder = tempfile::tempdir().unwrap();
    for name in FILES {
        std::fs::write(folder.path().join(name), fixture(name)).unwrap();
    }
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let records = read_from(&disk, folder.path(), 0).unwrap();
    assert_eq!(records.len() as u64, ENTRIES);
    assert_history(&records, 0);
    assert_eq!(records.last().unwrap().term, 0x0102_0304_0506);
    let report = verify(disk.as_ref(), folder.path()).unwrap();
    assert!(report.problems.is_empty(), "{:?}", report.problems);
    let hex = |hash: [u8; 32]| hash.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    assert_eq!(hex(report.chain), CHAIN);
    assert_eq!(hex(report.root.unwrap()), ROOT);
    let mut tracker = RootTracker::new(&Base::genesis());
    records.iter().for_each(|record| {
        tracker.push(&record.entry);
    });
    assert_eq!(hex(tracker.root()), ROOT);

    let (mut log, opened) = common::reopen(&disk, folder.path(), SMALL).unwrap();
    assert!(opened.sealed && opened.stray.is_empty(), "{opened}");
    append(&mut log, 40).unwrap();
    assert_history(&read_from(&disk, folder.path(), 0).unwrap(), 0);
}

const CHAIN: &str = "55dc1968820f19246fc8fc408290ba27e7e7f146ecea4a8bca2b41411ba9d6f1";
const ROOT: &str = "ea2df11fb221ea85d2c3273a27d237b43d743ad36e917a32b433d7f60d83594d";
