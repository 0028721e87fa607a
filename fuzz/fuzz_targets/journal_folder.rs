//! A journal folder with bytes overwritten: opening, following and verifying it never panic, and
//! whatever is still read is the history that was written, never another one.
#![no_main]

use evenkeel_journal::fault_disk::FaultDisk;
use evenkeel_journal::{
    Admission, Base, Disk, Durability, FileLog, Identity, Options, Preparation, Reader, verify,
};
use std::path::Path;
use std::sync::{Arc, LazyLock};

const FOLDER: &str = "/journal";
const ENTRIES: u64 = 30;
const OPTIONS: Options = Options {
    segment_bytes: 8 << 10,
    reserve_bytes: 8 << 10,
    durability: Durability::Fdatasync,
    preparation: Preparation::Inline,
};

/// A whole journal of several segments, forked for each input.
static WHOLE: LazyLock<FaultDisk> = LazyLock::new(|| {
    let fault = FaultDisk::new();
    let disk: Arc<dyn Disk> = Arc::new(fault.clone());
    let identity = Identity { cluster_id: [7; 16], lineage: [9; 16] };
    let mut log = FileLog::create(disk, Path::new(FOLDER), identity, Base::genesis(), OPTIONS)
        .expect("a new log");
    log.confirm_end(&[]).expect("nothing to compare with");
    log.begin_term(1).expect("the first term");
    for first in (0..ENTRIES).step_by(3) {
        let batch: Vec<Vec<u8>> = (first..first + 3).map(entry).collect();
        let batch: Vec<&[u8]> = batch.iter().map(Vec::as_slice).collect();
        log.append(&batch, Admission::Normal).expect("room for the batch");
    }
    log.close().expect("a closed log");
    fault
});

/// 0 to 400 bytes, some of them zero for whole sectors.
fn entry(position: u64) -> Vec<u8> {
    let length = usize::try_from(position * 397 % 400).expect("small");
    let fill = u8::try_from(position % 5 * 51).expect("below 256");
    vec![fill; length]
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let fault = WHOLE.fork();
    damage(&fault, bytes);
    let disk: Arc<dyn Disk> = Arc::new(fault);
    let folder = Path::new(FOLDER);
    let _ = verify(&*disk, folder);
    assert_history(&disk);
    // Opening may repair the tail; what is there afterwards is held to the same.
    if let Ok((log, _)) = FileLog::open(disk.clone(), folder, OPTIONS) {
        assert!(log.next() <= ENTRIES, "the log grew by itself");
        drop(log);
        assert_history(&disk);
    }
});

/// Patches `file, offset (3 bytes), length, bytes…`; an odd length byte cuts the file there.
fn damage(fault: &FaultDisk, mut patches: &[u8]) {
    let paths = fault.paths();
    while let [file, a, b, c, length, rest @ ..] = patches {
        let path = &paths[usize::from(*file) % paths.len()];
        let Some(mut content) = fault.bytes(path) else {
            return;
        };
        let offset = usize::from(*a) | usize::from(*b) << 8 | usize::from(*c) << 16;
        let offset = offset % (content.len() + 1);
        let taken = usize::from(*length / 2).min(rest.len());
        if length % 2 == 1 {
            content.truncate(offset);
        } else {
            let end = (offset + taken).min(content.len());
            content[offset..end].copy_from_slice(&rest[..end - offset]);
        }
        fault.set_bytes(path, &content);
        patches = &rest[taken..];
    }
}

fn assert_history(disk: &Arc<dyn Disk>) {
    let Ok(reader) = Reader::external(disk.clone(), Path::new(FOLDER), 0) else {
        return;
    };
    let mut expected = 0;
    for batch in reader {
        let Ok(batch) = batch else { return };
        for record in batch.records {
            assert_eq!(record.position, expected, "a gap or a repetition");
            assert!(record.position < ENTRIES, "an entry nobody wrote");
            assert!(record.entry == entry(record.position), "another entry at {expected}");
            expected += 1;
        }
    }
}
