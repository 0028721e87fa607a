//! A followed database answers queries while most of it is still at the sites, and is in the end
//! what a full restore brings back.

#![allow(clippy::unwrap_used, reason = "what only tests call is a test as well")]

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use common::daemon::Daemon;
use common::live::now_ns;
use common::{Rig, Said, live};
use rusqlite::{Connection, OpenFlags};
use rustix::process::{Pid, Signal, kill_process};

/// Of each row: random, so that nothing of it is compressed away.
const ROW_BYTES: u64 = 4_000;
const IDENTITY: &str = "restore --home h --identity h/recovery-identity.txt";
const PATIENCE: Duration = Duration::from_secs(240);
/// A site gives so many bytes a second: what is read before a query is answered is not the rest.
const RATE: &str = "EVENKEEL_TEST_SITE_READ_RATE";

/// A home that follows a database of so many rows, most of them in a recovery point.
fn followed(rows: u64) -> Rig {
    let rig = live::desk(0);
    fs::create_dir_all(rig.path("bot")).unwrap();
    let connection = Connection::open(live::database(&rig)).unwrap();
    let sql = format!(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF; PRAGMA page_size = 4096;
         CREATE TABLE fills(seq INTEGER PRIMARY KEY, venue TEXT, raw BLOB);
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows})
         INSERT INTO fills SELECT i, 'venue ' || i, randomblob({ROW_BYTES}) FROM n;
         PRAGMA wal_checkpoint(TRUNCATE);"
    );
    connection.execute_batch(&sql).unwrap();
    ship(&rig, &connection, "INSERT INTO fills VALUES (0, 'in a tail', x'00')");
    // A daemon begins with a point of all that was captured before.
    ship(&rig, &connection, "UPDATE fills SET venue = 'changed' WHERE seq IN (0, 7, 100)");
    rig
}

/// Runs the daemon until a change is at the sites.
fn ship(rig: &Rig, connection: &Connection, change: &str) {
    let mut daemon = live::up(rig);
    let points = live_points(rig);
    live::until_shipped(rig, &mut daemon, now_ns());
    daemon.until("a point of what was captured", || (live_points(rig) > points).then_some(()));
    connection.execute_batch(change).unwrap();
    live::until_shipped(rig, &mut daemon, now_ns());
    drop(daemon.end());
}

fn live_points(rig: &Rig) -> usize {
    let said = rig.run("points --home h --json");
    let points = said.json()["points"].as_array().cloned().unwrap_or_default();
    points.iter().filter(|point| point["kind"] == "live").count()
}

/// A restore that shows the database in `shown`.
struct Lazy {
    child: Child,
    folder: PathBuf,
    log: PathBuf,
}

impl Lazy {
    fn start(rig: &Rig, more: &str) -> Self {
        let only = live::database(rig).display().to_string();
        let line = format!("{IDENTITY} --to back --only {only} --lazy shown {more}");
        let log = rig.beside("lazy.err");
        let mut command = rig.command(&line);
        command.stdout(fs::File::create(rig.beside("lazy.out")).unwrap());
        command.stderr(fs::File::create(&log).unwrap());
        Self { child: command.spawn().unwrap(), folder: rig.path("shown"), log }
    }

    fn said(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    fn until<T>(&mut self, what: &str, mut ready: impl FnMut(&Self) -> Option<T>) -> T {
        let begun = Instant::now();
        loop {
            if let Some(ready) = ready(self) {
                return ready;
            }
            let ended = self.child.try_wait().unwrap();
            assert!(ended.is_none(), "{ended:?} before {what}: {}", self.said());
            assert!(begun.elapsed() < PATIENCE, "never: {what}\n{}", self.said());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn until_shown(&mut self) -> Connection {
        let path = self.until("a database", |lazy| {
            let path = lazy.folder.join("orders.sqlite");
            lazy.said().contains("can be queried").then_some(path)
        });
        open(&path)
    }

    fn until_whole(&mut self) {
        self.until("the whole", |lazy| lazy.status().contains("whole: ").then_some(()));
    }

    fn status(&self) -> String {
        fs::read_to_string(self.folder.join("STATUS")).unwrap_or_default()
    }

    fn bytes_read(&self) -> u64 {
        let status = self.status();
        let line = status.lines().find_map(|line| line.strip_prefix("bytes_read: "));
        line.unwrap_or_else(|| panic!("no bytes in {status}")).parse().unwrap()
    }

    fn signal(&self, signal: Signal) {
        let process = Pid::from_raw(self.child.id().cast_signed()).unwrap();
        kill_process(process, signal).unwrap();
    }

    fn ends(mut self, rig: &Rig) -> Said {
        let status = self.child.wait().unwrap();
        let out = fs::read_to_string(rig.beside("lazy.out")).unwrap();
        Said { exit: status.code().unwrap_or(-1), out, err: self.said() }
    }
}

/// As any program would: plainly, for reading.
fn open(path: &Path) -> Connection {
    Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap()
}

fn venue(connection: &Connection, seq: u64) -> String {
    let sql = "SELECT venue FROM fills WHERE seq = ?1";
    connection.query_row(sql, [seq.cast_signed()], |row| row.get(0)).unwrap()
}

fn shard_bytes(rig: &Rig) -> u64 {
    let mut folders = vec![rig.path("sites")];
    let mut bytes = 0;
    while let Some(folder) = folders.pop() {
        for entry in folder.read_dir().unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.to_string_lossy().contains("/shards/") {
                bytes += entry.metadata().unwrap().len();
            }
        }
    }
    bytes
}

/// The file that a full restore brings back.
fn full(rig: &Rig, more: &str) -> Vec<u8> {
    let only = live::database(rig).display().to_string();
    rig.ok(&format!("{IDENTITY} --to full --only {only} {more}"));
    let bytes = fs::read(back(rig, "full")).unwrap();
    fs::remove_dir_all(rig.path("full")).unwrap();
    bytes
}

fn back(rig: &Rig, to: &str) -> PathBuf {
    let name = live::database(rig).display().to_string();
    rig.path(to).join(name.trim_start_matches('/'))
}

fn is_mounted(rig: &Rig) -> bool {
    let shown = rig.path("shown").display().to_string();
    fs::read_to_string("/proc/self/mounts").unwrap().contains(&shown)
}

#[test]
fn a_row_is_read_before_a_quarter_of_the_shards_and_the_whole_is_that_of_a_full_restore() {
    let rows = 52_000;
    let rig = followed(rows).with(RATE, "8000000");
    let shards = shard_bytes(&rig);
    let begun = Instant::now();
    let mut lazy = Lazy::start(&rig, "--json");
    let connection = lazy.until_shown();
    assert_eq!(venue(&connection, 31_234), "venue 31234");
    let (read, after) = (lazy.bytes_read(), begun.elapsed());
    let database = fs::metadata(live::database(&rig)).unwrap().len();
    println!(
        "{} MiB: a row by its key after {:.1} s and {} KiB of {} KiB in shards ({:.1} %)",
        database >> 20,
        after.as_secs_f64(),
        read >> 10,
        shards >> 10,
        read as f64 / shards as f64 * 100.0
    );
    assert!(database >= 200 << 20 && read * 4 < shards, "{read} of {shards}");
    assert!(lazy.status().contains("unproven: "), "{}", lazy.status());
    assert!(!back(&rig, "back").exists(), "nothing is in its place yet");
    for (seq, expected) in [(0, "changed"), (7, "changed"), (100, "changed"), (8, "venue 8")] {
        assert_eq!(venue(&connection, seq), expected);
    }
    assert_eq!(venue(&connection, rows), format!("venue {rows}"));
    lazy.until_whole();
    println!(
        "whole after {:.1} s and {} KiB",
        begun.elapsed().as_secs_f64(),
        lazy.bytes_read() >> 10
    );
    assert_eq!(venue(&connection, 44_444), "venue 44444");
    let shown = fs::read(rig.path("shown/orders.sqlite")).unwrap();
    drop(connection);
    lazy.signal(Signal::INT);
    let said = lazy.ends(&rig);
    assert_eq!(said.exit, 0, "{said:?}");
    let document = said.json();
    let first = document["lazy"]["first_answer_bytes"].as_u64().unwrap();
    assert!(first > 0 && first < read && document["bytes_read"].as_u64().unwrap() > read);
    assert!(!is_mounted(&rig) && !rig.path("shown").exists());
    let begun = Instant::now();
    let (whole, full) = (fs::read(back(&rig, "back")).unwrap(), full(&rig, ""));
    println!("a full restore, for comparison: {:.1} s", begun.elapsed().as_secs_f64());
    assert!(whole == full, "byte for byte");
    let differs = |(at, (one, other)): (usize, (&u8, &u8))| (one != other).then_some(at);
    let differing: Vec<usize> = shown.iter().zip(&full).enumerate().filter_map(differs).collect();
    assert_eq!(differing, [18, 19], "shown as a database without a log");
    assert_eq!(fs::read_dir(rig.path("back")).unwrap().count(), 1, "no scratch stays");
}

const FEW: u64 = 4_000;
const SLOW: &str = "3000000";

/// A restore of which a row was read, and most is still to come.
fn midway(rig: &Rig, more: &str) -> Lazy {
    let mut lazy = Lazy::start(rig, more);
    let connection = lazy.until_shown();
    assert_eq!(venue(&connection, 100), "changed");
    assert!(lazy.status().contains("unproven: "), "{}", lazy.status());
    lazy
}

fn assert_whole(rig: &Rig, said: &Said) {
    assert_eq!(said.exit, 0, "{said:?}");
    assert!(said.out.contains("queries were answered from"), "{}", said.out);
    let rig = rig.without(RATE);
    assert!(fs::read(back(&rig, "back")).unwrap() == full(&rig, ""), "byte for byte");
    assert_eq!(fs::read_dir(rig.path("back")).unwrap().count(), 1, "no scratch stays");
    assert!(!is_mounted(&rig));
}

#[test]
fn stopped_before_the_whole_it_leaves_nothing() {
    let rig = followed(FEW).with(RATE, SLOW);
    let lazy = midway(&rig, "");
    lazy.signal(Signal::INT);
    let said = lazy.ends(&rig);
    said.refuses(130, &["stopped before the databases were whole", "nothing of them stays"]);
    assert!(!rig.path("back").exists() && !rig.path("shown").exists() && !is_mounted(&rig));
}

#[test]
fn killed_it_leaves_nothing_that_looks_whole_and_the_same_command_goes_again() {
    let rig = followed(FEW).with(RATE, SLOW);
    let mut lazy = midway(&rig, "");
    lazy.child.kill().unwrap();
    lazy.child.wait().unwrap();
    assert!(!back(&rig, "back").exists());
    let left: Vec<_> = fs::read_dir(rig.path("back")).unwrap().flatten().collect();
    assert!(left.iter().all(|one| one.file_name().to_string_lossy().starts_with(".evenkeel-")));
    assert!(fs::read_dir(rig.path("shown")).is_err(), "a mount of which nobody answers");
    let said = midway(&rig, "--until-whole").ends(&rig);
    assert_whole(&rig, &said);
}

#[test]
fn unmounted_by_somebody_else_the_rest_comes_all_the_same() {
    let rig = followed(FEW).with(RATE, SLOW);
    let lazy = midway(&rig, "");
    let mut unmount = Command::new("fusermount3");
    let unmounted = unmount.arg("-u").arg(rig.path("shown")).stdin(Stdio::null()).status();
    assert!(unmounted.unwrap().success());
    let said = lazy.ends(&rig);
    assert!(said.err.contains("the folder was unmounted"), "{}", said.err);
    assert_whole(&rig, &said);
}

#[test]
fn a_site_lost_on_the_way_and_one_that_lies_cost_nothing_but_bytes() {
    let rig = followed(FEW);
    damage_shards(&rig.path("sites/a"));
    let rig = rig.with(RATE, SLOW);
    let mut lazy = Lazy::start(&rig, "--until-whole");
    let connection = lazy.until_shown();
    fs::remove_dir_all(rig.path("sites/b")).unwrap();
    for seq in [100, 7, 1, FEW / 2, FEW] {
        let expected = venue(&open(&live::database(&rig)), seq);
        assert_eq!(venue(&connection, seq), expected);
    }
    drop(connection);
    let said = lazy.ends(&rig);
    assert_whole(&rig, &said);
}

/// One byte in each 4 KiB of every shard of a site is another.
fn damage_shards(site: &Path) {
    let mut folders = vec![site.to_owned()];
    let mut damaged = 0;
    while let Some(folder) = folders.pop() {
        for path in folder.read_dir().unwrap().flatten().map(|entry| entry.path()) {
            if path.is_dir() {
                folders.push(path);
            } else if path.to_string_lossy().contains("/shards/") {
                let mut bytes = fs::read(&path).unwrap();
                bytes.iter_mut().step_by(4096).for_each(|byte| *byte ^= 1);
                fs::remove_file(&path).unwrap();
                fs::write(&path, bytes).unwrap();
                damaged += 1;
            }
        }
    }
    assert!(damaged > 0);
}

#[test]
fn any_second_is_shown_as_a_full_restore_brings_it_back() {
    let rig = followed(FEW);
    let connection = Connection::open(live::database(&rig)).unwrap();
    let mut daemon = live::up(&rig);
    let mut moments = Vec::new();
    for round in 0..12 {
        let sql = format!(
            "UPDATE fills SET venue = 'round {round}' WHERE seq % 97 = {round} OR seq = 5;
             DELETE FROM fills WHERE seq > {FEW} - 50 * {round}; PRAGMA incremental_vacuum"
        );
        connection.execute_batch(&sql).unwrap();
        std::thread::sleep(Duration::from_millis(300));
        moments.push(now_ns());
    }
    live::until_shipped(&rig, &mut daemon, now_ns());
    drop(daemon.end());
    for (round, time_ns) in moments.into_iter().enumerate().step_by(5) {
        let at = format!("--at-time {}", evenkeel::cli::format_time_ns(time_ns));
        let mut lazy = Lazy::start(&rig, &at);
        let connection = lazy.until_shown();
        assert_eq!(venue(&connection, 5), format!("round {round}"));
        lazy.until_whole();
        drop(connection);
        lazy.signal(Signal::TERM);
        assert_eq!(lazy.ends(&rig).exit, 0);
        assert!(fs::read(back(&rig, "back")).unwrap() == full(&rig, &at), "round {round}");
        fs::remove_dir_all(rig.path("back")).unwrap();
    }
}

#[test]
fn a_database_that_no_point_holds_yet_is_shown_from_the_tails() {
    let rig = live::desk(0);
    let mut daemon: Daemon = live::up(&rig);
    let connection = Connection::open(live::database(&rig)).unwrap();
    let sql = "PRAGMA journal_mode = WAL; CREATE TABLE fills(seq INTEGER PRIMARY KEY, venue TEXT);
        INSERT INTO fills VALUES (100, 'changed')";
    connection.execute_batch(sql).unwrap();
    live::until_shipped(&rig, &mut daemon, now_ns());
    drop(daemon.end());
    let mut lazy = Lazy::start(&rig, "--until-whole");
    lazy.until("its words", |lazy| lazy.said().contains("can be queried").then_some(()));
    let said = lazy.ends(&rig);
    assert_whole(&rig, &said);
    assert_eq!(venue(&open(&back(&rig, "back")), 100), "changed");
}

#[test]
fn what_cannot_be_shown_is_refused_before_anything_is_written() {
    let rig = followed(100);
    let only = live::database(&rig).display().to_string();
    let run = |words: &str| rig.run(&format!("{IDENTITY} {words}"));
    fs::create_dir(rig.path("full-folder")).unwrap();
    fs::write(rig.path("full-folder/file"), "x").unwrap();
    run(&format!("--to back --only {only} --lazy full-folder"))
        .refuses(2, &["it is not empty", "--lazy DIR"]);
    run(&format!("--to back --only {only} --lazy back/shown"))
        .refuses(2, &["it lies in the folder to restore into"]);
    run(&format!("--to full-folder --only {only} --lazy shown"))
        .refuses(2, &["the folder to restore into is not empty"]);
    run("--to back --only bot --lazy shown").refuses(2, &["databases that are followed"]);
    run("--to back --lazy shown").refuses(2, &["--only"]);
    // Whether a spool from then is there at all depends on what had reached the sites by now.
    let early =
        run(&format!("--to back --only {only} --lazy shown --at-time 2020-01-01T00:00:00Z"));
    let nothing = "nothing of followed databases is at the sites from that time";
    let says = |words: &str| early.err.contains(words);
    assert!(early.exit == 10, "{early:?}");
    assert!(says("the spool holds no commit at or before") || says(nothing), "{early:?}");
    assert!(!rig.path("back").exists() && !rig.path("shown").exists());
}
