//! Power loss and disk errors at every single operation.
#![allow(clippy::unwrap_used)]

mod common;

use common::{
    Random, SMALL, append, assert_history, confirmation, create, dir, entry, fault_disk, read_from,
    reopen, root_before,
};
use evenkeel_journal::fault_disk::{Fault, FaultDisk, Survival};
use evenkeel_journal::{
    Admission, Base, Disk, FileLog, JournalError, Position, Reader, RootTracker, verify,
};
use std::sync::Arc;

/// What a run of the scripted writer reached before something went wrong.
#[derive(Debug, Default)]
struct Reached {
    /// The log was created.
    created: bool,
    /// First position not acknowledged.
    acknowledged: Position,
    /// First position not even attempted.
    attempted: Position,
    /// Everything below was trimmed or being trimmed.
    trimming: Position,
}

/// Batches over several segments, seals, a trim, a full disk with the reserve in use and its end, a
/// clean close and a second life.
fn script(disk: &FaultDisk, reached: &mut Reached) -> Result<(), JournalError> {
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    let mut log =
        FileLog::create(shared.clone(), &dir(), common::IDENTITY, Base::genesis(), SMALL)?;
    reached.created = true;
    log.confirm_end(&[])?;
    log.begin_term(1)?;
    for count in [1, 12, 30, 5] {
        step(&mut log, count, Admission::Normal, reached)?;
    }
    log.seal_if_idle()?;
    for count in [30, 30, 2, 30, 1, 1, 30, 12, 30, 1, 30] {
        step(&mut log, count, Admission::Normal, reached)?;
    }
    reached.trimming = 45;
    log.trim_before(45)?;
    disk.set_capacity_bytes(Some(0));
    loop {
        match step(&mut log, 25, Admission::Normal, reached) {
            Err(JournalError::DiskFull { .. }) => break,
            other => other?,
        }
    }
    reached.attempted = reached.acknowledged;
    step(&mut log, 9, Admission::Reserve, reached)?;
    step(&mut log, 1, Admission::Reserve, reached)?;
    disk.set_capacity_bytes(None);
    step(&mut log, 20, Admission::Normal, reached)?;
    log.close()?;
    let (mut log, _) = reopen(&shared, &dir(), SMALL)?;
    step(&mut log, 3, Admission::Normal, reached)?;
    log.close()
}

fn step(
    log: &mut FileLog,
    count: u64,
    admission: Admission,
    reached: &mut Reached,
) -> Result<(), JournalError> {
    let batch = common::entries(log.next(), count);
    let batch: Vec<&[u8]> = batch.iter().map(Vec::as_slice).collect();
    reached.attempted = log.next() + count;
    reached.acknowledged = log.append(&batch, admission)?.last + 1;
    Ok(())
}

/// Opens after a fault, checks that everything acknowledged is there, and writes on.
fn recovers(disk: &FaultDisk, reached: &Reached, what: &str) {
    disk.set_capacity_bytes(None);
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    let (mut log, opened) = match FileLog::open(shared.clone(), &dir(), SMALL) {
        Err(JournalError::NotAJournal { .. }) if !reached.created => {
            let mut log = create(&shared, &dir(), SMALL);
            append(&mut log, 2).expect(what);
            return;
        }
        other => other.expect(what),
    };
    let next = opened.next;
    assert!(next >= reached.acknowledged, "{what}: {} of {reached:?}", next);
    assert!(next <= reached.attempted, "{what}: more than was attempted");
    log.confirm_end(&[confirmation("north", reached.acknowledged)]).expect(what);
    log.begin_term(opened.term + 1).unwrap();
    append(&mut log, 4).expect(what);
    assert!(opened.first <= reached.trimming, "{what}");
    let mut tracker = RootTracker::new(log.base());
    let mut reader =
        Reader::follow(shared.clone(), &dir(), opened.first, log.watermark()).expect(what);
    tracker.follow(&mut reader).expect(what);
    assert_eq!(tracker.root(), root_before(next + 4), "{what}");
    drop(log);
    assert_history(&read_from(&shared, &dir(), opened.first).expect(what), opened.first);
    let report = verify(disk, &dir()).expect(what);
    assert!(report.is_intact(), "{what}: {:?}", report.problems);
    assert_eq!(report.root, Some(root_before(next + 4)), "{what}");
}

fn operations_of_the_script() -> u64 {
    let disk = FaultDisk::new();
    let mut reached = Reached::default();
    script(&disk, &mut reached).unwrap();
    assert!(reached.acknowledged > 120, "{reached:?}");
    disk.operations()
}

#[test]
fn a_power_loss_at_any_operation_loses_nothing_acknowledged() {
    let total = operations_of_the_script();
    assert!(total > 100, "{total} operations");
    for operation in 0..total {
        let disk = FaultDisk::new();
        disk.fail_at(operation, Fault::PowerLoss);
        let mut reached = Reached::default();
        script(&disk, &mut reached).expect_err("the power is off");
        let randoms = (0..6).map(|seed| Survival::Random { seed: seed * 1_000 + operation });
        for survival in [Survival::Nothing, Survival::Everything].into_iter().chain(randoms) {
            let crashed = disk.fork();
            crashed.power_cycle(survival);
            recovers(&crashed, &reached, &format!("operation {operation}, {survival:?}"));
        }
    }
}

#[test]
fn a_second_power_loss_during_recovery_loses_nothing_either() {
    let total = operations_of_the_script();
    let mut random = Random(11);
    for seed in 0..400 {
        let disk = FaultDisk::new();
        let operation = 8 + random.below(total - 8);
        disk.fail_at(operation, Fault::PowerLoss);
        let mut reached = Reached::default();
        script(&disk, &mut reached).expect_err("the power is off");
        disk.power_cycle(Survival::Random { seed });
        disk.set_capacity_bytes(None);
        disk.fail_at(disk.operations() + random.below(14), Fault::PowerLoss);
        let shared: Arc<dyn Disk> = Arc::new(disk.clone());
        if let Ok((mut log, _)) = reopen(&shared, &dir(), SMALL) {
            while step(&mut log, 3, Admission::Normal, &mut reached).is_ok() {}
        }
        disk.power_cycle(Survival::Random { seed: seed + 7_777 });
        recovers(&disk, &reached, &format!("seed {seed}, operation {operation}"));
    }
}

#[test]
fn an_error_of_any_write_or_sync_is_sticky_and_loses_nothing_acknowledged() {
    let total = operations_of_the_script();
    let (mut poisoned_count, mut unnoticed_count) = (0, 0);
    for operation in 0..total {
        for seed in 0..3 {
            let disk = FaultDisk::new();
            disk.fail_at(operation, Fault::Error { seed });
            let mut reached = Reached::default();
            let what = format!("operation {operation}, seed {seed}");
            match script(&disk, &mut reached) {
                Err(JournalError::Poisoned { cause }) => {
                    assert!(cause.contains("input/output error"), "{what}: {cause}");
                    poisoned_count += 1;
                }
                Err(JournalError::Io { .. }) => {}
                // Clearing away a file that had no room may fail; it is made anew later.
                Ok(()) => unnoticed_count += 1,
                other => panic!("{what}: {other:?}"),
            }
            // The page cache may show what the disk does not have; opening must mend that.
            let crashed = disk.fork();
            crashed.set_capacity_bytes(None);
            let shared: Arc<dyn Disk> = Arc::new(crashed.clone());
            if let Ok((log, _)) = FileLog::open(shared, &dir(), SMALL) {
                reached.acknowledged = log.next();
            }
            crashed.power_cycle(Survival::Nothing);
            recovers(&crashed, &reached, &what);
        }
    }
    assert!(poisoned_count > 150, "{poisoned_count}");
    assert!(unnoticed_count <= 9, "{unnoticed_count}");
}

#[test]
fn a_failed_sync_poisons_the_log_until_it_is_opened_again() {
    let (fault, disk) = fault_disk();
    let mut log = create(&disk, &dir(), SMALL);
    append(&mut log, 3).unwrap();
    let watermark = log.watermark();
    // The write, then the sync.
    fault.fail_at(fault.operations() + 1, Fault::Error { seed: 1 });
    let error = append(&mut log, 2).unwrap_err();
    assert!(matches!(error, JournalError::Poisoned { .. }), "{error}");
    assert_eq!((watermark.durable_next(), watermark.is_closed()), (3, true));
    let operations = fault.operations();
    for _ in 0..3 {
        let again = append(&mut log, 2).unwrap_err();
        assert!(again.to_string().contains("Everything acknowledged is safe"), "{again}");
        assert!(matches!(log.seal_if_idle(), Err(JournalError::Poisoned { .. })));
        assert!(matches!(log.trim_before(1), Err(JournalError::Poisoned { .. })));
    }
    assert_eq!(fault.operations(), operations, "the disk was not touched again");
    let mut reader = Reader::follow(disk.clone(), &dir(), 0, watermark).unwrap();
    assert_eq!(reader.next_batch().unwrap().unwrap().records.len(), 3, "reading goes on");
    assert_eq!(reader.next_batch().unwrap(), None);
    drop(log);
    let (mut log, opened) = reopen(&disk, &dir(), SMALL).unwrap();
    assert!([3, 5].contains(&opened.next));
    append(&mut log, 1).unwrap();
}

fn cancel(log: &mut FileLog) -> Result<(), JournalError> {
    let bytes = entry(log.next());
    log.append(&[&bytes], Admission::Reserve).map(|_| ())
}

/// Fills the disk, appends until that is refused, and returns the refusal.
fn fill(fault: &FaultDisk, log: &mut FileLog) -> JournalError {
    append(log, 5).unwrap();
    fault.set_capacity_bytes(Some(0));
    loop {
        if let Err(error) = append(log, 5) {
            return error;
        }
    }
}

#[test]
fn a_full_disk_admits_reserve_entries_only_until_the_reserve_is_used_up() {
    let (fault, disk) = fault_disk();
    let mut log = create(&disk, &dir(), SMALL);
    let error = fill(&fault, &mut log);
    let JournalError::DiskFull { admission: Admission::Normal, needed_bytes, free_bytes, .. } =
        error
    else {
        panic!("{error}");
    };
    assert_eq!((needed_bytes, free_bytes), (SMALL.segment_bytes, 0));
    assert!(error.to_string().contains("cancels and withdrawals are still admitted"), "{error}");
    while !log.is_on_reserve() {
        cancel(&mut log).unwrap();
    }
    let small = entry(log.next());
    let refused = log.append(&[&small], Admission::Normal).unwrap_err();
    assert!(matches!(refused, JournalError::DiskFull { .. }), "room, but not for this: {refused}");
    let mut admitted = 0;
    let used_up = loop {
        match cancel(&mut log) {
            Ok(_) => admitted += 1,
            Err(error) => break error,
        }
    };
    assert!(admitted >= 7, "{admitted} entries in {} bytes", SMALL.reserve_bytes);
    assert!(used_up.to_string().contains("the reserve is used up"), "{used_up}");
    assert_history(&read_from(&disk, &dir(), 0).unwrap(), 0);
}

#[test]
fn writing_resumes_by_itself_when_space_returns() {
    let (fault, disk) = fault_disk();
    let mut log = create(&disk, &dir(), SMALL);
    fill(&fault, &mut log);
    while !log.is_on_reserve() {
        cancel(&mut log).unwrap();
    }
    let next = log.next();
    drop(log);
    let (mut log, opened) = reopen(&disk, &dir(), SMALL).unwrap();
    assert!(opened.on_reserve && opened.next == next, "{opened}");
    assert!(append(&mut log, 1).is_err());
    fault.set_capacity_bytes(Some(1 << 20));
    append(&mut log, 5).unwrap();
    assert!(!log.is_on_reserve());
    assert!(fault.paths().contains(&dir().join("reserve.seg")), "a new reserve is in place");
    drop(log);
    let report = verify(disk.as_ref(), &dir()).unwrap();
    assert_eq!((report.root, report.problems.len()), (Some(root_before(next + 5)), 0));
    assert_history(&read_from(&disk, &dir(), 0).unwrap(), 0);
}

#[test]
fn a_reserve_that_was_begun_and_never_used_gives_way_to_an_ordinary_segment() {
    let (fault, disk) = fault_disk();
    let mut log = create(&disk, &dir(), SMALL);
    append(&mut log, 5).unwrap();
    fault.set_capacity_bytes(Some(0));
    while append(&mut log, 5).is_ok() {}
    let next = log.next();
    // Header, sync, name and sync of the name of the reserve; then the frame, which fails.
    fault.fail_at(fault.operations() + 4, Fault::Error { seed: 0 });
    let batch = common::entries(next, 20);
    let batch: Vec<&[u8]> = batch.iter().map(Vec::as_slice).collect();
    let error = log.append(&batch, Admission::Reserve).unwrap_err();
    assert!(matches!(error, JournalError::Poisoned { .. }), "{error}");
    drop(log);
    fault.set_capacity_bytes(None);
    let (mut log, opened) = reopen(&disk, &dir(), SMALL).unwrap();
    assert!(opened.on_reserve && opened.next == next, "{opened}");
    let mut outside = Reader::external(disk.clone(), &dir(), next).unwrap();
    assert_eq!(outside.next_batch().unwrap(), None);
    append(&mut log, 20).unwrap();
    assert!(!log.is_on_reserve());
    append(&mut log, 20).unwrap();
    drop(log);
    // It may end once where the old file ended, and then goes on in the new one.
    let mut seen = next;
    for _ in 0..3 {
        seen = outside.by_ref().map(Result::unwrap).last().map_or(seen, |batch| batch.next());
    }
    assert_eq!(seen, next + 40);
    let (_, opened) = reopen(&disk, &dir(), SMALL).unwrap();
    assert_eq!(opened.next, next + 40);
    let report = verify(disk.as_ref(), &dir()).unwrap();
    assert_eq!((report.root, report.problems.len()), (Some(root_before(next + 40)), 0));
}

#[test]
fn a_disk_that_lies_about_syncs_is_noticed_against_the_sites() {
    let (fault, disk) = fault_disk();
    let mut log = create(&disk, &dir(), SMALL);
    append(&mut log, 3).unwrap();
    fault.fail_at(fault.operations() + 1, Fault::Lie);
    let next = append(&mut log, 3).unwrap();
    drop(log);
    fault.power_cycle(Survival::Nothing);
    let (mut log, opened) = FileLog::open(disk, &dir(), SMALL).unwrap();
    assert_eq!(opened.next, 3);
    let error = log.confirm_end(&[confirmation("north", next)]).unwrap_err();
    assert!(matches!(error, JournalError::TailVanished { ours: 3, theirs: 6, .. }), "{error}");
}

#[test]
fn a_write_that_went_astray_is_found() {
    for to_offset in [512, 1_024, 6_144, 12_288, 15_360] {
        let (fault, disk) = fault_disk();
        let mut log = create(&disk, &dir(), SMALL);
        append(&mut log, 3).unwrap();
        fault.fail_at(fault.operations(), Fault::Misdirected { to_offset });
        append(&mut log, 1).unwrap();
        drop(log);
        let error = FileLog::open(disk, &dir(), SMALL).unwrap_err();
        assert!(matches!(error, JournalError::Corrupt { .. }), "to {to_offset}: {error}");
    }
}
