//! Segments that were given up are filled with zeros and used again, and nobody notices.
#![allow(clippy::unwrap_used)]

mod common;

use std::sync::Arc;

use common::{SMALL, append, assert_history, create, dir, fault_disk, read_from, segments};
use evenkeel_journal::{
    Disk, FileLog, JournalError, Options, Preparation, Reader, RealDisk, verify,
};

fn given_up(disk: &dyn Disk) -> usize {
    let names = disk.list(&dir()).unwrap();
    names.iter().filter(|name| name.ends_with(".old")).count()
}

fn append_fives(log: &mut FileLog, batches: u64) {
    for _ in 0..batches {
        append(log, 5).unwrap();
    }
}

#[test]
fn a_segment_that_was_given_up_becomes_a_new_one() {
    let (_, disk) = fault_disk();
    let mut log = create(&disk, &dir(), SMALL);
    append_fives(&mut log, 40);
    let removed = log.trim_before(150).unwrap().segments_removed;
    assert!(removed >= 3, "{removed}");
    let first = log.base().position;
    assert_eq!(given_up(disk.as_ref()), 2, "no more are kept, however many were given up");
    append_fives(&mut log, 60);
    assert_eq!(given_up(disk.as_ref()), 0, "all of them were used");
    assert!(verify(disk.as_ref(), &dir()).unwrap().problems.is_empty());
    assert_history(&read_from(&disk, &dir(), first).unwrap(), first);
}

#[test]
fn what_somebody_reads_is_not_used_again_under_him() {
    let (_, disk) = fault_disk();
    let mut log = create(&disk, &dir(), SMALL);
    append_fives(&mut log, 40);
    let mut reader = Reader::follow(Arc::clone(&disk), &dir(), 0, log.watermark()).unwrap();
    let mut read = reader.next_batch().unwrap().unwrap().records;
    let second = &segments(disk.as_ref(), &dir())[1];
    let end = u64::from_str_radix(second.file_stem().unwrap().to_str().unwrap(), 16).unwrap();
    log.trim_before(150).unwrap();
    append_fives(&mut log, 60);
    let gone = loop {
        match reader.next_batch() {
            Ok(batch) => read.extend(batch.unwrap().records),
            Err(error) => break error,
        }
    };
    // Its own segment to the end; the next one is gone, which is no damage.
    assert_eq!(read.len() as u64, end);
    assert_history(&read, 0);
    assert!(matches!(gone, JournalError::OutOfRange { asked, .. } if asked == end), "{gone}");
}

#[test]
fn a_disk_that_is_full_gets_their_space_back() {
    let (fault, disk) = fault_disk();
    let mut log = create(&disk, &dir(), SMALL);
    append_fives(&mut log, 40);
    log.trim_before(150).unwrap();
    let kept = given_up(disk.as_ref()) as u64;
    // No more room than there is: only what was given up can make more.
    fault.set_capacity_bytes(Some(0));
    let before = log.next();
    let full = loop {
        if let Err(error) = append(&mut log, 5) {
            break error;
        }
    };
    assert!(matches!(full, JournalError::DiskFull { .. }), "{full}");
    assert_eq!(given_up(disk.as_ref()), 0);
    // About forty entries fill a segment.
    assert!(log.next() - before > 30 * kept, "{} entries in {kept} segments", log.next() - before);
}

#[test]
fn readers_beside_a_writer_that_trims_never_see_damage() {
    let home = tempfile::tempdir().unwrap();
    let (disk, dir): (Arc<dyn Disk>, _) = (Arc::new(RealDisk), home.path().join("journal"));
    let options = Options { preparation: Preparation::Background, ..SMALL };
    let mut log = create(&disk, &dir, options);
    let watermark = log.watermark();
    let read = std::thread::scope(|scope| {
        let readers: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    let mut read = 0;
                    while !watermark.is_closed() {
                        let from = watermark.durable_next().saturating_sub(90);
                        let reader = Reader::follow(disk.clone(), &dir, from, watermark.clone());
                        for batch in reader.into_iter().flatten() {
                            match batch {
                                Ok(batch) => {
                                    assert_history(&batch.records, batch.first);
                                    read += batch.records.len();
                                }
                                Err(error) => {
                                    let damage = matches!(error, JournalError::Corrupt { .. });
                                    assert!(!damage, "{error}");
                                    break;
                                }
                            }
                        }
                    }
                    read
                })
            })
            .collect();
        for _ in 0..2_000 {
            append(&mut log, 5).unwrap();
            log.trim_beside(log.next().saturating_sub(100)).unwrap();
        }
        log.close().unwrap();
        readers.into_iter().map(|one| one.join().unwrap()).sum::<usize>()
    });
    assert!(read > 0);
}
