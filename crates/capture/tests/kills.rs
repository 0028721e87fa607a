//! Capture and writer killed at random, with checkpoints and VACUUM from elsewhere in between.

mod common;

use common::{Client, Desk, Follower, client_main, wait_until};
use evenkeel_capture::pages::PageReader;
use evenkeel_capture::restore::Target;
use evenkeel_capture::spool::Image;
use evenkeel_journal::RealDisk;
use std::sync::Arc;

#[test]
fn client() {
    client_main();
}

#[test]
fn whatever_is_killed_every_restore_is_what_the_writer_noted() {
    let (desk, client) = Desk::new();
    client.close();
    let mut dice = 1_u64;
    let mut roll = |sides: u64| {
        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (dice >> 33) % sides
    };
    for _ in 0..12 {
        let follower = Follower::begin(&desk);
        let mut writer = Client::open(&desk.database);
        let before = desk.written().len();
        // One more than is noted may be committed: it is written again under the same number.
        writer.send(&format!("burst 1000000 1000000 {}", desk.log.display()));
        let wanted = before + 50 + usize::try_from(roll(400)).expect("small");
        wait_until(|| desk.written().len() >= wanted);
        let mut other = Client::open(&desk.database);
        let kind = ["PASSIVE", "FULL", "RESTART", "TRUNCATE"][usize::try_from(roll(4)).expect("4")];
        other.send(&format!("sql PRAGMA busy_timeout=50; PRAGMA wal_checkpoint({kind})"));
        let _ = other.answer();
        if roll(3) == 0 {
            let _ = other.try_sql("PRAGMA busy_timeout=5000; VACUUM");
        }
        if roll(2) == 0 {
            writer.kill();
            follower.kill();
        } else {
            follower.kill();
            writer.kill();
        }
        desk.mend_log();
        other.close();
    }
    let follower = Follower::begin(&desk);
    let last = desk.written().last().expect("transactions").seq;
    wait_until(|| {
        let history = desk.history();
        history.last_commit().is_some() && desk.restored(Target::End).1 == last
    });
    follower.kill();
    check_every_kind_of_restore(&desk, last);
}

fn check_every_kind_of_restore(desk: &Desk, last: u64) {
    let history = desk.history();
    assert_eq!(history.lost, []);
    let runs = history.runs();
    assert_eq!(desk.restored(Target::End).1, last);
    for run in &runs {
        for number in [run.first.number, run.first.number.midpoint(run.last.number)] {
            let (restored, seq) = desk.restored(Target::Commit(number));
            let commit = restored.commit;
            // Not before it was there, and not later than the writer had got by then.
            assert!(seq >= desk.noted_by(commit.after_ns), "commit {number} is too old");
            assert!(seq <= desk.begun_by(commit.time_ns).max(1), "commit {number} is too new");
        }
        let time_ns = u64::midpoint(run.first.time_ns, run.last.time_ns);
        let (restored, seq) = desk.restored(Target::Time(time_ns));
        assert!(restored.commit.time_ns <= time_ns);
        // All that was noted when it was looked at.
        assert!(seq >= desk.noted_by(restored.commit.time_ns));
        assert!(seq <= desk.begun_by(time_ns).max(1));
    }
    // What is missing between two snapshots is said, from the last commit to the next snapshot.
    // The last kill may have come between the beginning of an interval and its snapshot.
    let gaps: Vec<_> = history.gaps().into_iter().filter(|gap| gap.until.is_some()).collect();
    assert_eq!(gaps.len() + 1, runs.len());
    for (gap, pair) in gaps.iter().zip(runs.windows(2)) {
        assert_eq!(gap.begin.from_number, pair[0].last.number);
        assert_eq!(gap.until, Some(pair[1].first));
    }
}

#[test]
fn single_pages_are_those_of_the_whole_restore() {
    let (desk, mut client) = Desk::new();
    let mut capture = desk.capture(&common::small());
    for _ in 0..8 {
        client.trade(150, &desk);
        common::catch_up(&mut capture);
    }
    client.sql("DELETE FROM fills WHERE seq > 0; VACUUM");
    common::catch_up(&mut capture);
    let run = desk.history().runs()[0].clone();
    let to = desk.folder.path().join("whole.db");
    for number in [run.first.number, run.first.number + 700, run.last.number - 1, run.last.number] {
        let _ = std::fs::remove_file(&to);
        let target = Target::Commit(number);
        evenkeel_capture::restore::restore(&RealDisk, &desk.spool, target, &to).expect("a restore");
        let whole = std::fs::read(&to).expect("a database");
        let mut reader =
            PageReader::open(Arc::new(RealDisk), &desk.spool, target).expect("a reader");
        assert_eq!(whole.len(), reader.commit().pages as usize * 4096);
        for (page, data) in (1..).zip(whole.chunks(4096)) {
            assert_eq!(reader.page(page).expect("a page"), data, "page {page} of commit {number}");
        }
        assert!(reader.page(reader.commit().pages + 1).is_err());
    }
    let target = Target::Commit(run.first.number + 700);
    let mut reader = PageReader::open(Arc::new(RealDisk), &desk.spool, target).expect("a reader");
    let all = reader.records_needed(1..=reader.commit().pages);
    assert!(reader.records_needed(2..=2) < all);
    let sparse = desk.folder.path().join("sparse.db");
    let mut image = Image::create(&sparse, 4096).expect("a file");
    reader.fill(&mut image, 2..=3).expect("pages");
    let whole: Vec<u8> = [2, 3].iter().flat_map(|p| reader.page(*p).expect("a page")).collect();
    assert_eq!(std::fs::read(&sparse).expect("a file")[4096..], whole);
}
