//! A live database that other processes write: what comes back is what they committed.

mod common;

use common::{Client, Desk, TABLES, catch_up, checked, client_main, small, step_until};
use evenkeel_capture::Error;
use evenkeel_capture::restore::Target;
use evenkeel_capture::spool::{Kind, Why};
use evenkeel_capture::sqlite::Options;
use std::process::Command;

#[test]
fn client() {
    client_main();
}

#[test]
fn every_commit_comes_back_as_it_was() {
    let (desk, mut client) = Desk::new();
    let mut capture = desk.capture(&small());
    catch_up(&mut capture);
    let first = capture.last().expect("a snapshot").number;
    client.trade(60, &desk);
    let done = catch_up(&mut capture);
    assert_eq!((done.commits, done.gap), (60, None));
    for seq in 0..=60 {
        let (restored, found) = desk.restored(Target::Commit(first + seq));
        assert_eq!((restored.commit.number, found), (first + seq, seq));
    }
    assert_eq!(desk.restored(Target::End).1, 60);
}

#[test]
fn a_second_comes_back_as_the_writers_own_log_has_it() {
    let (desk, mut client) = Desk::new();
    let mut capture = desk.capture(&small());
    catch_up(&mut capture);
    let mut looked = Vec::new();
    for _ in 0..10 {
        client.trade(7, &desk);
        catch_up(&mut capture);
        looked.push(common::now_ns());
    }
    let written = desk.written();
    for time_ns in looked {
        // Everything was captured before it was looked at, so the log's answer is exact.
        let by_the_log = written.iter().filter(|line| line.after_ns <= time_ns).count() as u64;
        let (restored, found) = desk.restored(Target::Time(time_ns));
        assert_eq!((found, restored.within_gap), (by_the_log, None));
        let last = written[usize::try_from(found).expect("small") - 1];
        assert!(restored.commit.after_ns <= last.after_ns);
        assert!(last.before_ns <= restored.commit.time_ns);
    }
}

#[test]
fn foreign_checkpoints_of_every_kind_lose_nothing() {
    let (desk, mut client) = Desk::new();
    let mut capture = desk.capture(&small());
    catch_up(&mut capture);
    client.sql("PRAGMA busy_timeout=20");
    for kind in ["PASSIVE", "FULL", "RESTART", "TRUNCATE"].repeat(6) {
        client.trade(11, &desk);
        let _ = client.ask(&format!("SELECT 'before {kind}'"));
        client.send(&format!("ask PRAGMA wal_checkpoint({kind})"));
        let _ = client.answer();
        client.trade(1, &desk);
        catch_up(&mut capture);
        client.send(&format!("ask PRAGMA wal_checkpoint({kind})"));
        let _ = client.answer();
    }
    catch_up(&mut capture);
    assert_eq!(desk.gaps(), []);
    assert_eq!(desk.restored(Target::End).1, 24 * 12);
}

#[test]
fn the_log_is_handed_over_and_starts_over_without_a_gap() {
    let (desk, mut client) = Desk::new();
    let mut capture = desk.capture(&small());
    catch_up(&mut capture);
    for _ in 0..40 {
        client.trade(40, &desk);
        step_until(&mut capture, |_, step| step.handed_over);
    }
    let log = desk.database.with_extension("db-wal");
    let log_bytes = std::fs::metadata(log).expect("a log").len();
    assert!(log_bytes < 2 << 20, "the log has {log_bytes} bytes");
    assert_eq!(desk.gaps(), []);
    for seq in [1, 200, 777, 1600] {
        let first = desk.history().runs()[0].first.number;
        assert_eq!(desk.restored(Target::Commit(first + seq)).1, seq);
    }
}

/// litestream #752: a checkpoint while nothing captured left a history that did not restore.
#[test]
fn litestream_752_a_checkpoint_while_capture_is_down_is_a_gap_and_both_sides_restore() {
    let (desk, mut client) = Desk::new();
    let mut capture = desk.capture(&small());
    catch_up(&mut capture);
    client.trade(30, &desk);
    catch_up(&mut capture);
    let before = capture.last().expect("commits");
    drop(capture);
    client.trade(500, &desk);
    assert_eq!(client.ask("SELECT 'x'"), "x");
    client.send("ask PRAGMA wal_checkpoint(TRUNCATE)");
    let _ = client.answer();
    client.trade(5, &desk);

    let mut capture = desk.capture(&small());
    let step = catch_up(&mut capture);
    assert!(step.snapshot);
    let gaps = desk.gaps();
    assert_eq!(gaps.len(), 1);
    assert_eq!(gaps[0].begin.why, Why::LogReset);
    assert_eq!((gaps[0].begin.from_number, gaps[0].begin.from_ns), (before.number, before.time_ns));
    assert_eq!(gaps[0].until.map(|until| until.number), Some(before.number + 1));
    assert_eq!(desk.restored(Target::Commit(before.number)).1, 30);
    assert_eq!(desk.restored(Target::Commit(before.number + 1)).1, 535);
    let (within, found) = desk.restored(Target::Time(before.time_ns + 1));
    assert_eq!((within.within_gap, found), (Some(gaps[0]), 30));
    client.trade(20, &desk);
    catch_up(&mut capture);
    assert_eq!(desk.restored(Target::End).1, 555);
}

/// litestream #781: after a restore, what was written next was not captured.
#[test]
fn litestream_781_after_a_restore_a_new_epoch_begins_and_goes_on() {
    let (desk, mut client) = Desk::new();
    let mut capture = desk.capture(&small());
    catch_up(&mut capture);
    let first = capture.last().expect("a snapshot").number;
    client.trade(50, &desk);
    catch_up(&mut capture);
    drop(capture);
    client.close();
    for suffix in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(format!("{}{suffix}", desk.database.display()));
    }
    let disk = evenkeel_journal::RealDisk;
    let target = Target::Commit(first + 20);
    evenkeel_capture::restore::restore(&disk, &desk.spool, target, &desk.database)
        .expect("a restore");

    let mut client = Client::open(&desk.database);
    client.trade(3, &desk);
    let mut capture = desk.capture(&small());
    let step = catch_up(&mut capture);
    assert!(step.snapshot && step.gap.is_some(), "{step:?}");
    client.trade(4, &desk);
    assert_eq!(catch_up(&mut capture).commits, 4);
    assert_eq!(desk.restored(Target::End).1, 27);
    assert_eq!(desk.restored(Target::Commit(first + 50)).1, 50);
    let epochs: Vec<u64> = desk.history().runs().iter().map(|run| run.epoch).collect();
    assert_eq!(epochs, [1, 2]);
}

/// litestream #1164: restored databases whose indexes do not fit their tables.
#[test]
fn litestream_1164_snapshots_and_checkpoints_under_a_writer_leave_indexes_that_fit() {
    let (desk, mut client) = Desk::new();
    client.trade(2000, &desk);
    let mut other = Client::open(&desk.database);
    other.sql("PRAGMA busy_timeout=5");
    for round in 0..6 {
        client.send(&format!("burst 1500 1000000 {}", desk.log.display()));
        // A snapshot while transactions go on, as each capture that begins anew takes one.
        let mut capture = desk.capture(&small());
        for look in 0..60 {
            capture.step().expect("a step");
            if look % 7 == 3 {
                other.send("ask PRAGMA wal_checkpoint(TRUNCATE)");
                let _ = other.answer();
            }
        }
        client.answer().expect("transactions");
        catch_up(&mut capture);
        let (_, found) = desk.restored(Target::End);
        assert_eq!(found, 2000 + 1500 * (round + 1));
        drop(capture);
        client.trade(0, &desk);
        other.send("ask PRAGMA wal_checkpoint(TRUNCATE)");
        let _ = other.answer();
    }
    for run in desk.history().runs() {
        for number in [run.first.number, run.first.number.midpoint(run.last.number)] {
            desk.restored(Target::Commit(number));
        }
    }
}

#[test]
fn capture_killed_and_begun_again_goes_on_where_it_was() {
    let (desk, mut client) = Desk::new();
    for round in 1..=5 {
        // Dropping it does no more than the end of its process would: nothing is said, locks go.
        let mut capture = desk.capture(&Options { log_bytes_checkpoint: 1 << 30, ..small() });
        let step = catch_up(&mut capture);
        assert_eq!((step.snapshot, step.gap), (round == 1, None));
        client.trade(10, &desk);
        catch_up(&mut capture);
        drop(capture);
        client.trade(10, &desk);
    }
    let downtimes =
        desk.history().records.iter().filter(|at| matches!(at.kind, Kind::Downtime { .. })).count();
    assert_eq!((desk.gaps(), downtimes), (vec![], 4));
    assert_eq!(desk.restored(Target::End).1, 90);
}

#[test]
fn vacuum_is_a_transaction_like_any_other() {
    let (desk, mut client) = Desk::new();
    let mut capture = desk.capture(&small());
    catch_up(&mut capture);
    client.trade(800, &desk);
    catch_up(&mut capture);
    client.sql("CREATE TABLE gone AS SELECT * FROM fills; DROP TABLE gone; VACUUM");
    catch_up(&mut capture);
    client.trade(30, &desk);
    catch_up(&mut capture);
    assert_eq!(desk.gaps(), []);
    assert_eq!(desk.restored(Target::End).1, 830);
    let first = desk.history().runs()[0].first.number;
    assert_eq!(desk.restored(Target::Commit(first + 777)).1, 777);
}

#[test]
fn a_changed_schema_comes_back() {
    let (desk, mut client) = Desk::new();
    let mut capture = desk.capture(&small());
    catch_up(&mut capture);
    client.sql("ALTER TABLE fills ADD COLUMN venue TEXT; CREATE VIEW v AS SELECT venue FROM fills");
    client
        .sql("ALTER TABLE fills DROP COLUMN venue".replace("ALTER", "DROP VIEW v; ALTER").as_str());
    client.trade(9, &desk);
    catch_up(&mut capture);
    assert_eq!((desk.gaps(), desk.restored(Target::End).1), (vec![], 9));
}

#[test]
fn another_page_size_is_a_gap_and_a_snapshot() {
    let (desk, mut client) = Desk::new();
    let mut capture = desk.capture(&small());
    client.trade(20, &desk);
    catch_up(&mut capture);
    let refused = client.try_sql("PRAGMA journal_mode=DELETE");
    assert!(refused.is_err() || client.ask("PRAGMA journal_mode") == "wal");
    drop(capture);
    client
        .sql("PRAGMA journal_mode=DELETE; PRAGMA page_size=8192; VACUUM; PRAGMA journal_mode=WAL");
    client.trade(5, &desk);
    let mut capture = desk.capture(&small());
    let step = catch_up(&mut capture);
    assert_eq!(step.gap.map(|gap| gap.why), Some(Why::PageSize));
    let sizes: Vec<u32> = desk.history().runs().iter().map(|run| run.page_bytes).collect();
    assert_eq!((sizes, desk.restored(Target::End).1), (vec![4096, 8192], 25));
}

#[test]
fn a_database_that_leaves_wal_mode_is_said_and_followed_again_when_it_is_back() {
    let (desk, mut client) = Desk::new();
    let mut capture = desk.capture(&small());
    client.trade(20, &desk);
    catch_up(&mut capture);
    let last = capture.last().expect("commits").number;
    drop(capture);
    client.sql("PRAGMA journal_mode=DELETE");
    client.trade(3, &desk);
    let mut capture = desk.capture(&small());
    assert!(matches!(capture.step(), Err(Error::NotWal { .. })));
    assert!(matches!(capture.step(), Err(Error::NotWal { .. })));
    let gap = capture.gap().expect("a gap");
    assert_eq!((gap.why, gap.from_number), (Why::LeftWal, last));
    client.sql("PRAGMA journal_mode=WAL");
    client.trade(3, &desk);
    assert!(catch_up(&mut capture).snapshot);
    assert_eq!((desk.gaps().len(), desk.restored(Target::End).1), (1, 26));
}

#[test]
fn a_database_replaced_underneath_is_noticed_and_snapshot() {
    let (desk, mut client) = Desk::new();
    let mut capture = desk.capture(&small());
    client.trade(20, &desk);
    catch_up(&mut capture);
    let other = desk.folder.path().join("other.db");
    let mut writer = Client::open(&other);
    writer.sql(TABLES);
    writer.trade(4, &desk);
    writer.close();
    client.kill();
    for suffix in ["-wal", "-shm"] {
        let _ = std::fs::remove_file(format!("{}{suffix}", desk.database.display()));
    }
    std::fs::rename(&other, &desk.database).expect("a replacement");
    let step = catch_up(&mut capture);
    assert!(step.snapshot);
    assert_eq!(step.gap.map(|gap| gap.why), Some(Why::Replaced));
    assert_eq!(desk.restored(Target::End).1, 4);
    assert_eq!(checked(&desk.database), 4);
}

#[test]
fn a_database_overwritten_in_place_while_capture_was_down_is_noticed() {
    let (desk, mut client) = Desk::new();
    let mut capture = desk.capture(&small());
    client.trade(20, &desk);
    catch_up(&mut capture);
    drop(capture);
    let other = desk.folder.path().join("other.db");
    let mut writer = Client::open(&other);
    writer.sql(TABLES);
    writer.trade(4, &desk);
    writer.close();
    client.close();
    let bytes = std::fs::read(&other).expect("another database");
    std::fs::write(&desk.database, bytes).expect("overwritten in place");
    let mut capture = desk.capture(&small());
    let step = catch_up(&mut capture);
    assert!(step.snapshot && step.gap.is_some());
    assert_eq!(desk.restored(Target::End).1, 4);
}

#[test]
fn a_log_that_cannot_start_over_is_let_go_at_its_bound_and_the_gap_is_exact() {
    let (desk, mut client) = Desk::new();
    let options = Options { log_bytes_max: 512 << 10, ..small() };
    let mut capture = desk.capture(&options);
    catch_up(&mut capture);
    let mut reader = Client::open(&desk.database);
    reader.sql("BEGIN; SELECT * FROM total");
    let mut gap = None;
    for _ in 0..200 {
        client.trade(10, &desk);
        let step = capture.step().expect("a step");
        gap = gap.or(step.gap);
        if !capture.is_attached() {
            break;
        }
    }
    let gap = gap.expect("a gap");
    let last = capture.last().expect("commits");
    assert_eq!((gap.why, gap.from_number, gap.from_ns), (Why::LogBound, last.number, last.time_ns));
    client.trade(10, &desk);
    assert_eq!(capture.step().expect("a step"), evenkeel_capture::sqlite::Step::default());
    assert!(!capture.is_attached(), "held again while the log was too long");
    reader.sql("COMMIT");
    step_until(&mut capture, |_, step| step.snapshot);
    let gaps = desk.gaps();
    assert_eq!((gaps.len(), gaps[0].until), (1, capture.last()));
    let seq: u64 = client.ask("SELECT CAST(seq AS TEXT) FROM total").parse().expect("a number");
    assert_eq!(desk.restored(Target::End).1, seq);
}

#[test]
fn a_writer_killed_within_a_transaction_leaves_only_what_it_committed() {
    let (desk, client) = Desk::new();
    let mut capture = desk.capture(&small());
    catch_up(&mut capture);
    client.close();
    for round in 0..8 {
        let mut client = Client::open(&desk.database);
        client.send(&format!("burst 100000 1000000 {}", desk.log.display()));
        let more = desk.written().len() + 40 + 37 * round;
        step_until(&mut capture, |_, _| desk.written().len() > more);
        client.kill();
        catch_up(&mut capture);
        let noted = desk.written().last().expect("transactions").seq;
        let (_, found) = desk.restored(Target::End);
        // The last one may be committed and not noted.
        assert!(found == noted || found == noted + 1, "{found} came back, {noted} were noted");
        let seq = Client::open(&desk.database).ask("SELECT CAST(seq AS TEXT) FROM total");
        assert_eq!(found.to_string(), seq);
        // The kill may have come between the commit and its line: keep the log whole.
        if found > noted {
            let now = common::now_ns();
            let log = std::fs::read_to_string(&desk.log).expect("a log");
            let whole = log.rfind('\n').map_or(0, |end| end + 1);
            let line = format!("{}{found} {now} {now}\n", &log[..whole]);
            std::fs::write(&desk.log, line).expect("a log");
        }
    }
    assert_eq!(desk.gaps(), []);
}

#[test]
fn the_command_line_program_is_a_writer_like_any_other() {
    let (desk, mut client) = Desk::new();
    let mut capture = desk.capture(&small());
    catch_up(&mut capture);
    let sql = "PRAGMA busy_timeout=400; BEGIN; INSERT INTO fills VALUES(100000, 1, 'cli'); \
               COMMIT; PRAGMA wal_checkpoint(TRUNCATE); DELETE FROM fills WHERE seq = 100000;";
    for _ in 0..5 {
        client.trade(9, &desk);
        // Another version of SQLite where there is one; without it, our own in another process.
        match Command::new("sqlite3").arg(&desk.database).arg(sql).output() {
            Ok(output) => assert!(output.status.success(), "{output:?}"),
            Err(_) => Client::open(&desk.database).sql(sql),
        }
        assert!(catch_up(&mut capture).commits >= 11);
    }
    assert_eq!((desk.gaps(), desk.restored(Target::End).1), (vec![], 45));
}

#[test]
fn a_long_epoch_gives_way_to_a_new_one_without_a_gap() {
    let (desk, mut client) = Desk::new();
    let mut capture = desk.capture(&Options { epoch_bytes: 64 << 10, ..small() });
    catch_up(&mut capture);
    for _ in 0..30 {
        client.trade(30, &desk);
        catch_up(&mut capture);
    }
    let history = desk.history();
    let runs = history.runs();
    assert!(runs.len() > 2, "{} epochs", runs.len());
    assert_eq!((history.gaps(), desk.restored(Target::End).1), (vec![], 900));
    for (before, after) in runs.iter().zip(&runs[1..]) {
        assert_eq!(before.last.number + 1, after.first.number);
        let (_, seq) = desk.restored(Target::Commit(before.last.number));
        assert_eq!(desk.restored(Target::Commit(after.first.number)).1, seq);
        assert_eq!(desk.restored(Target::Commit(after.first.number + 1)).1, seq + 1);
    }
}

/// A log of some pages, all captured and copied; the next commit starts it over.
fn handed_over(desk: &Desk, client: &mut Client) -> u64 {
    let mut capture = desk.capture(&Options { log_bytes_checkpoint: 1, ..small() });
    client.trade(20, desk);
    catch_up(&mut capture);
    client.trade(20, desk);
    step_until(&mut capture, |_, step| step.handed_over);
    capture.last().expect("commits").number
}

#[test]
fn a_log_that_started_over_while_capture_was_down_continues_if_its_old_end_is_still_there() {
    let (desk, mut client) = Desk::new();
    handed_over(&desk, &mut client);
    client.trade(3, &desk);
    let mut capture = desk.capture(&small());
    let step = catch_up(&mut capture);
    assert_eq!((step.commits, step.snapshot), (3, false));
    assert_eq!((desk.gaps(), desk.restored(Target::End).1), (vec![], 43));
}

#[test]
fn a_log_that_grew_before_it_started_over_while_capture_was_down_is_a_gap() {
    for kind in ["RESTART", "TRUNCATE"] {
        let (desk, mut client) = Desk::new();
        let mut capture = desk.capture(&Options { log_bytes_checkpoint: 1 << 30, ..small() });
        client.trade(41, &desk);
        catch_up(&mut capture);
        drop(capture);
        // A reader inside the log keeps it from starting over, not from being copied.
        let mut reader = Client::open(&desk.database);
        reader.sql("BEGIN; SELECT * FROM total");
        let mut capture = desk.capture(&Options { log_bytes_checkpoint: 1, ..small() });
        step_until(&mut capture, |_, step| step.handed_over);
        let last = capture.last().expect("commits").number;
        drop(capture);
        client.trade(1, &desk);
        reader.sql("COMMIT");
        client.send(&format!("ask PRAGMA wal_checkpoint({kind})"));
        let _ = client.answer();
        client.trade(1, &desk);
        let mut capture = desk.capture(&small());
        assert!(catch_up(&mut capture).snapshot, "{kind}");
        let gaps = desk.gaps();
        assert_eq!((gaps.len(), gaps[0].begin.from_number), (1, last));
        assert_eq!(desk.restored(Target::End).1, 43);
    }
}

#[test]
fn a_log_wholly_copied_while_capture_is_down_may_start_over_while_it_comes_back() {
    let (desk, mut client) = Desk::new();
    let mut capture = desk.capture(&small());
    client.trade(10, &desk);
    catch_up(&mut capture);
    drop(capture);
    // Copied whole, and not yet started over: the next commit overwrites what was not captured.
    client.trade(10, &desk);
    client.send("ask PRAGMA wal_checkpoint(PASSIVE)");
    let _ = client.answer();
    let mut capture = desk.capture(&small());
    let step = capture.step().expect("a step");
    assert_eq!((step.commits, step.snapshot), (10, false));
    client.trade(10, &desk);
    catch_up(&mut capture);
    assert_eq!((desk.gaps(), desk.restored(Target::End).1), (vec![], 30));
}
