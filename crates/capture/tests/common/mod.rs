//! A database, programs that write it in processes of their own, and a capture that follows it.
//!
//! Locks of SQLite belong to processes, so whoever writes here is a child: this test binary, begun
//! again to run [`client`] alone, told what to do line by line.
#![allow(dead_code, reason = "each test file uses a part of it")]

use evenkeel_capture::Error;
use evenkeel_capture::restore::{Restored, Target, check_integrity, restore};
use evenkeel_capture::spool::{Gap, History};
use evenkeel_capture::sqlite::{Capture, Clock, Options, Step};
use evenkeel_journal::RealDisk;
use rusqlite::Connection;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

const DATABASE: &str = "EVENKEEL_TEST_CLIENT_DATABASE";
const CAPTURED: &str = "EVENKEEL_TEST_CAPTURED_DATABASE";
/// More transactions a second than there will be.
pub const RATE_MAX: u64 = 1_000_000;
pub const TABLES: &str = "
    PRAGMA journal_mode=WAL;
    CREATE TABLE fills(seq INTEGER PRIMARY KEY, at INTEGER, note TEXT);
    CREATE INDEX fills_note ON fills(note);
    CREATE TABLE total(one INTEGER PRIMARY KEY, seq INTEGER, sum INTEGER);
    INSERT INTO total VALUES(1, 0, 0);";

pub fn now_ns() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    u64::try_from(since.as_nanos()).expect("before 2554")
}

pub struct SystemClock;

impl Clock for SystemClock {
    fn now_ns(&self) -> u64 {
        now_ns()
    }
}

/// What transaction `seq` writes: reproducible, of uneven length.
fn note(seq: u64) -> String {
    let word = seq.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    format!("{word:016x}").repeat(1 + usize::try_from(seq % 7).expect("small"))
}

/// One transaction: a row, a changed row, and now and then a deleted one.
fn trade(connection: &Connection, seq: u64) -> rusqlite::Result<()> {
    let number = i64::try_from(seq).expect("small");
    connection.execute_batch("BEGIN IMMEDIATE")?;
    connection.prepare_cached("INSERT INTO fills VALUES(?1, ?2, ?3)")?.execute((
        number,
        number * 3,
        note(seq),
    ))?;
    connection.prepare_cached("UPDATE total SET seq = ?1, sum = sum + ?1")?.execute([number])?;
    if seq.is_multiple_of(5) {
        connection.prepare_cached("DELETE FROM fills WHERE seq = ?1")?.execute([number - 3])?;
    }
    connection.execute_batch("COMMIT")
}

/// The first transaction that is not there yet.
fn next_seq(connection: &Connection) -> u64 {
    let seq: i64 =
        connection.query_row("SELECT seq FROM total", [], |row| row.get(0)).expect("a total");
    u64::try_from(seq).expect("positive") + 1
}

/// `count` transactions, each noted in the log behind its commit: number, time before, time after.
fn burst(connection: &Connection, count: u64, per_second: u64, log: &mut File) {
    let first = next_seq(connection);
    let begun = Instant::now();
    for seq in first..first + count {
        let due = Duration::from_nanos((seq - first) * 1_000_000_000 / per_second);
        // Sleeping before each would be slower than asked for.
        if begun.elapsed() + Duration::from_millis(2) < due {
            std::thread::sleep(due - begun.elapsed());
        }
        let before = now_ns();
        trade(connection, seq).expect("a transaction");
        let line = format!("{seq} {before} {}\n", now_ns());
        log.write_all(line.as_bytes()).expect("a line");
        if seq.is_multiple_of(64) {
            log.sync_data().expect("a durable log");
        }
    }
    log.sync_data().expect("a durable log");
}

/// What runs in the child.
fn serve(database: &Path) {
    let connection = Connection::open(database).expect("a database");
    connection.busy_timeout(Duration::from_secs(30)).expect("a timeout");
    let _ = connection.execute_batch("PRAGMA synchronous=NORMAL");
    for line in std::io::stdin().lines() {
        let line = line.expect("a line");
        let (word, rest) = line.split_once(' ').unwrap_or((&line, ""));
        let answer = match word {
            "sql" => connection.execute_batch(rest).map(|()| String::new()),
            "ask" => connection.query_row(rest, [], |row| row.get(0)),
            _ => {
                let mut fields = rest.splitn(3, ' ');
                let mut next = || fields.next().expect("count, rate and path");
                let count = next().parse().expect("a count");
                let per_second = next().parse().expect("a rate");
                let log = File::options().append(true).create(true).open(next());
                burst(&connection, count, per_second, &mut log.expect("a log"));
                Ok(String::new())
            }
        };
        match answer {
            Ok(text) => println!("@ok {text}"),
            Err(error) => println!("@no {error}"),
        }
    }
}

/// The body of each test file's test of this name: without the variable, it serves nobody.
pub fn client_main() {
    match (std::env::var_os(DATABASE), std::env::var_os(CAPTURED)) {
        (Some(database), _) => serve(Path::new(&database)),
        (None, Some(database)) => follow(Path::new(&database)),
        (None, None) => assert_eq!(note(1).len() % 16, 0),
    }
}

/// Captures until it is killed; notes the last commit and the time once it is durable.
fn follow(database: &Path) {
    let folder = database.parent().expect("a folder");
    let log = File::options().append(true).create(true).open(folder.join("captured.log"));
    let mut log = log.expect("a log");
    let clock = Arc::new(SystemClock);
    let spool = folder.join("spool");
    let mut capture =
        Capture::open(database, Arc::new(RealDisk), &spool, clock, Options::default())
            .expect("a spool");
    capture.run(&AtomicBool::new(false), |capture, step| {
        let line = match (step, capture.last()) {
            (Ok(step), _) if step == Step::default() => return,
            (Ok(step), Some(last)) => {
                let (snapshot, over) = (u8::from(step.snapshot), u8::from(step.handed_over));
                let (number, time_ns) = (last.number, last.time_ns);
                format!("{number} {time_ns} {} {snapshot} {over}\n", now_ns())
            }
            (Ok(_), None) => return,
            (Err(error), _) => format!("# {error}\n"),
        };
        log.write_all(line.as_bytes()).expect("a line");
    });
}

/// Capture in a process of its own.
pub struct Follower(Child);

impl Follower {
    pub fn begin(desk: &Desk) -> Self {
        let child = Command::new(std::env::current_exe().expect("this binary"))
            .args(["--exact", "client", "--nocapture"])
            .env(CAPTURED, &desk.database)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        Self(child.expect("a capture"))
    }

    pub fn kill(mut self) {
        self.0.kill().expect("a running capture");
        self.0.wait().expect("an end");
    }
}

/// Another program that has the database open.
pub struct Client {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Client {
    pub fn open(database: &Path) -> Self {
        let mut child = Command::new(std::env::current_exe().expect("this binary"))
            .args(["--exact", "client", "--nocapture"])
            .env(DATABASE, database)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("a client");
        let input = child.stdin.take().expect("its input");
        let output = BufReader::new(child.stdout.take().expect("its output"));
        Self { child, input, output }
    }

    pub fn send(&mut self, command: &str) {
        writeln!(self.input, "{}", command.replace('\n', " ")).expect("a running client");
    }

    pub fn answer(&mut self) -> Result<String, String> {
        loop {
            let mut line = String::new();
            let length = self.output.read_line(&mut line).expect("a running client");
            assert!(length > 0, "the client ended");
            // The test harness writes to the same stream, before and without an end of line.
            if let Some((_, text)) = line.trim_end().split_once("@ok ") {
                return Ok(text.to_owned());
            }
            if let Some((_, text)) = line.trim_end().split_once("@no ") {
                return Err(text.to_owned());
            }
            if line.trim_end().ends_with("@ok") {
                return Ok(String::new());
            }
        }
    }

    pub fn sql(&mut self, sql: &str) {
        self.send(&format!("sql {sql}"));
        self.answer().expect(sql);
    }

    pub fn try_sql(&mut self, sql: &str) -> Result<String, String> {
        self.send(&format!("sql {sql}"));
        self.answer()
    }

    pub fn ask(&mut self, sql: &str) -> String {
        self.send(&format!("ask {sql}"));
        self.answer().expect(sql)
    }

    pub fn trade(&mut self, count: u64, desk: &Desk) {
        self.send(&format!("burst {count} {RATE_MAX} {}", desk.log.display()));
        self.answer().expect("transactions");
    }

    pub fn close(self) {
        let Self { mut child, input, .. } = self;
        drop(input);
        child.wait().expect("an end");
    }

    pub fn kill(mut self) {
        self.child.kill().expect("a running client");
        self.child.wait().expect("an end");
    }
}

/// A folder with a database, its spool and the writer's own log.
pub struct Desk {
    pub folder: tempfile::TempDir,
    pub database: PathBuf,
    pub spool: PathBuf,
    pub log: PathBuf,
}

/// A line of the writer's own log.
#[derive(Debug, Clone, Copy)]
pub struct Written {
    pub seq: u64,
    pub before_ns: u64,
    pub after_ns: u64,
}

impl Desk {
    /// A database with tables, and a client that has it open.
    pub fn new() -> (Self, Client) {
        let desk = Self::empty();
        let mut client = Client::open(&desk.database);
        client.sql(TABLES);
        (desk, client)
    }

    pub fn empty() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let database = folder.path().join("orders.db");
        let spool = folder.path().join("spool");
        let log = folder.path().join("writer.log");
        Self { folder, database, spool, log }
    }

    pub fn capture(&self, options: &Options) -> Capture {
        loop {
            let (disk, clock) = (Arc::new(RealDisk), Arc::new(SystemClock));
            match Capture::open(&self.database, disk, &self.spool, clock, options.clone()) {
                // A child that is just being made has the lock of a capture dropped meanwhile.
                Err(Error::Locked { .. }) => std::thread::sleep(Duration::from_millis(1)),
                opened => return opened.expect("a spool"),
            }
        }
    }

    pub fn written(&self) -> Vec<Written> {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        let line = |line: &str| {
            let mut fields = line.split(' ').map(|field| field.parse().expect("a number"));
            let mut next = || fields.next().expect("three fields");
            Written { seq: next(), before_ns: next(), after_ns: next() }
        };
        // The last line may have been cut by a kill.
        text.split_inclusive('\n')
            .filter(|text| text.ends_with('\n'))
            .map(|t| line(t.trim()))
            .collect()
    }

    /// The last transaction of the writer's own log whose commit returned by then.
    pub fn noted_by(&self, time_ns: u64) -> u64 {
        let lines = self.written();
        let count = lines.partition_point(|line| line.after_ns <= time_ns);
        count.checked_sub(1).map_or(0, |last| lines[last].seq)
    }

    /// The last transaction that was begun by then.
    pub fn begun_by(&self, time_ns: u64) -> u64 {
        let lines = self.written();
        let count = lines.partition_point(|line| line.before_ns <= time_ns);
        count.checked_sub(1).map_or(0, |last| lines[last].seq)
    }

    /// A kill may come between a commit and its line in the log; what is committed is noted now.
    pub fn mend_log(&self) {
        let mut reader = Client::open(&self.database);
        let seq: u64 = reader.ask("SELECT CAST(seq AS TEXT) FROM total").parse().expect("a number");
        reader.kill();
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        let mut whole = text[..text.rfind('\n').map_or(0, |end| end + 1)].to_owned();
        let last = self.written().last().copied();
        let noted = last.map_or(0, |line| line.seq);
        assert!(seq == noted || seq == noted + 1, "{seq} are committed, {noted} noted");
        if seq > noted {
            let now = now_ns();
            let before = last.map_or(now, |line| line.after_ns);
            whole.push_str(&format!("{seq} {before} {now}\n"));
        }
        std::fs::write(&self.log, whole).expect("a log");
    }

    pub fn history(&self) -> History {
        History::load(&RealDisk, &self.spool).expect("a history")
    }

    pub fn gaps(&self) -> Vec<Gap> {
        self.history().gaps()
    }

    /// Restores, and gives what was restored with the number of its last transaction; checks that
    /// it holds exactly the transactions up to that one.
    pub fn restored(&self, target: Target) -> (Restored, u64) {
        let to = self.folder.path().join("restored.db");
        for suffix in ["", "-wal", "-shm"] {
            let _ = std::fs::remove_file(format!("{}{suffix}", to.display()));
        }
        let restored = restore(&RealDisk, &self.spool, target, &to).expect("a restore");
        (restored, checked(&to))
    }
}

/// Checks that a database holds exactly the transactions up to some number, which it gives.
pub fn checked(database: &Path) -> u64 {
    check_integrity(database).expect("an intact database");
    let connection = Connection::open(database).expect("a database");
    let seq = next_seq(&connection) - 1;
    let sum: i64 =
        connection.query_row("SELECT sum FROM total", [], |row| row.get(0)).expect("a sum");
    assert_eq!(u64::try_from(sum).expect("positive"), seq * (seq + 1) / 2, "the sum of {seq}");
    let mut rows =
        connection.prepare("SELECT seq, at, note FROM fills ORDER BY seq").expect("rows");
    let found: Vec<(i64, i64, String)> = rows
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .expect("rows")
        .map(|row| row.expect("a row"))
        .collect();
    let expected: Vec<(i64, i64, String)> = (1..=seq)
        .filter(|row| !(row % 5 == 2 && row + 3 <= seq))
        .map(|row| (i64::try_from(row).expect("small"), row, note(row)))
        .map(|(number, row, note)| (number, i64::try_from(row * 3).expect("small"), note))
        .collect();
    assert!(found == expected, "the rows of {seq}");
    seq
}

/// Small limits, so that everything happens often.
pub fn small() -> Options {
    Options {
        segment_bytes: 256 << 10,
        log_bytes_checkpoint: 256 << 10,
        lock_wait: Duration::from_secs(10),
        ..Options::default()
    }
}

/// Steps until nothing new is found; gives what was done together.
pub fn catch_up(capture: &mut Capture) -> Step {
    let mut all = Step::default();
    loop {
        let step = capture.step().expect("a step");
        all.commits += step.commits;
        all.pages += step.pages;
        all.bytes += step.bytes;
        all.snapshot |= step.snapshot;
        all.handed_over |= step.handed_over;
        all.gap = all.gap.or(step.gap);
        if step == Step::default() && capture.is_attached() {
            return all;
        }
    }
}

/// Steps until `done`, or fails after a minute: a guard against hanging, not a measure.
pub fn step_until(capture: &mut Capture, mut done: impl FnMut(&Capture, &Step) -> bool) {
    let begun = Instant::now();
    loop {
        let step = capture.step().expect("a step");
        if done(capture, &step) {
            return;
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "it never came to that");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Waits until `done`, or fails after a minute: a guard against hanging, not a measure.
pub fn wait_until(mut done: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < Duration::from_secs(60), "it never came to that");
        std::thread::sleep(Duration::from_millis(2));
    }
}
