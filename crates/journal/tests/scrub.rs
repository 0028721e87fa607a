//! Reading everything again in small steps, beside the writer.
#![allow(clippy::unwrap_used)]

mod common;

use common::{Random, SMALL, append, create, dir, fault_disk, reopen, segments};
use evenkeel_journal::fault_disk::FaultDisk;
use evenkeel_journal::{Disk, ProblemKind, Scrubbed, Scrubber, verify};
use std::sync::Arc;

const BATCHES: [u64; 12] = [7, 1, 30, 25, 2, 2, 40, 11, 3, 18, 1, 1];

/// A round in steps of about this many bytes, and how many it took.
fn round(disk: &Arc<dyn Disk>, budget_bytes: u64) -> (Scrubbed, u64) {
    let mut scrubber = Scrubber::new(disk.clone(), &dir());
    let mut steps = 1;
    loop {
        if let Some(found) = scrubber.step(budget_bytes).unwrap() {
            assert_eq!(scrubber.bytes(), 0, "the round is over");
            return (found, steps);
        }
        assert!(scrubber.bytes() >= steps * budget_bytes);
        steps += 1;
    }
}

fn sound() -> (FaultDisk, u64) {
    let (fault, disk) = fault_disk();
    let mut log = create(&disk, &dir(), SMALL);
    for count in BATCHES {
        append(&mut log, count).unwrap();
    }
    let next = log.next();
    log.close().unwrap();
    (fault, next)
}

#[test]
fn a_round_reads_everything_whatever_the_steps() {
    let (fault, next) = sound();
    let disk: Arc<dyn Disk> = Arc::new(fault);
    let (whole, steps) = round(&disk, u64::MAX);
    assert_eq!((whole.entries, whole.next, whole.problems.len(), steps), (next, next, 0, 1));
    assert!(whole.bytes > 40_000, "{}", whole.bytes);
    for budget in [1, 600, 5_000, 17_000] {
        let (found, steps) = round(&disk, budget);
        assert_eq!(found, whole, "steps of {budget}");
        assert!(steps > whole.bytes / (budget + 16_384), "{steps} steps of {budget}");
    }
}

#[test]
fn a_round_finds_what_verify_finds() {
    let (fault, _) = sound();
    let mut random = Random(8);
    let mut damaged_rounds = 0;
    for index in 0..80 {
        let copy = fault.fork();
        let all = segments(&copy, &dir());
        for _ in 0..=random.below(3) {
            let path = &all[usize::try_from(random.below(all.len() as u64)).unwrap()];
            copy.flip_bit(path, random.below((16 << 10) * 8));
        }
        if index % 10 == 9 {
            copy.remove(&all[usize::try_from(random.below(3)).unwrap()]).unwrap();
        }
        let disk: Arc<dyn Disk> = Arc::new(copy);
        let wanted = verify(disk.as_ref(), &dir()).unwrap();
        let (found, _) = round(&disk, 3_000);
        assert_eq!(found.damage().is_none(), wanted.is_intact(), "{found:?}\n{wanted:?}");
        assert_eq!(found.damage(), wanted.problems.iter().find(|problem| !problem.harmless));
        damaged_rounds += u32::from(found.damage().is_some());
    }
    assert!((20..80).contains(&damaged_rounds), "{damaged_rounds}");
}

#[test]
fn the_writer_writes_and_trims_while_a_round_goes_on() {
    let (_, disk) = fault_disk();
    let mut log = create(&disk, &dir(), SMALL);
    for count in BATCHES {
        append(&mut log, count).unwrap();
    }
    let mut scrubber = Scrubber::new(disk.clone(), &dir());
    assert_eq!(scrubber.step(1).unwrap(), None);
    log.trim_before(100).unwrap();
    assert!(log.base().position >= 67, "a segment is gone");
    let found = loop {
        append(&mut log, 9).unwrap();
        if let Some(found) = scrubber.step(2_000).unwrap() {
            break found;
        }
    };
    assert_eq!(found.problems, []);
    let (later, _) = round(&disk, 2_000);
    assert_eq!((later.next, later.entries), (log.next(), log.next() - log.base().position));
}

#[test]
fn damage_is_found_beside_the_writer_and_is_gone_once_it_is_repaired() {
    let (fault, _) = sound();
    let disk: Arc<dyn Disk> = Arc::new(fault.clone());
    let (mut log, _) = reopen(&disk, &dir(), SMALL).unwrap();
    let path = segments(&fault, &dir()).remove(1);
    fault.flip_bit(&path, 900 * 8);
    append(&mut log, 5).unwrap();
    let (found, _) = round(&disk, 4_000);
    let damage = found.damage().unwrap();
    assert_eq!((damage.kind, dir().join(&damage.file)), (ProblemKind::DamagedFrame, path.clone()));
    assert!(found.entries < log.next());
    fault.flip_bit(&path, 900 * 8);
    assert_eq!(round(&disk, 4_000).0.damage(), None);
}
