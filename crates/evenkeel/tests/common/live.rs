//! A database under a steady writer, followed by a running daemon whose sites are far away; daemon
//! and writer are killed at random, with checkpoints and VACUUM from elsewhere. Every restore has
//! to be what the writer's own notes say.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rusqlite::Connection;

use super::Rig;
use super::daemon::{Daemon, live_status};
use super::random::Random;

const KINDS: [&str; 4] = ["PASSIVE", "FULL", "RESTART", "TRUNCATE"];
const NS_PER_MS: u64 = 1_000_000;

/// How it is played.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    pub seed: u64,
    pub length: Duration,
    /// Orders per second.
    pub rate: u64,
    /// Milliseconds of every round trip to a site.
    pub round_trip_ms: u64,
    /// Milliseconds between two strikes, at most.
    pub pause_max_ms: u64,
    pub restores: u64,
}

/// What was done, and how far the sites were behind.
#[derive(Debug, Default)]
pub struct Outcome {
    pub orders: u64,
    pub daemons_killed: u64,
    pub writers_killed: u64,
    pub checkpoints: u64,
    pub vacuums: u64,
    /// From a commit's return until it was at enough sites, while a daemon ran: ns, sorted.
    pub behind_ns: Vec<u64>,
    /// The same of every commit, kills included.
    pub behind_all_ns: Vec<u64>,
    pub restores: u64,
    /// Restores to a time in no unprotected interval.
    pub exact: u64,
    pub gaps: u64,
}

/// A line of the writer's notes.
#[derive(Debug, Clone, Copy)]
pub struct Note {
    pub seq: u64,
    pub before_ns: u64,
    pub after_ns: u64,
}

/// A home `h` with five sites that protects the bot's folder.
pub fn desk(round_trip_ms: u64) -> Rig {
    let rig = Rig::new()
        .with("EVENKEEL_TEST_SITE_DELAY_MS", &round_trip_ms.to_string())
        .with("EVENKEEL_FILES_EVERY_SECONDS", "3600");
    let log = rig.beside("shipped").display().to_string();
    let rig = rig.with("EVENKEEL_TEST_SHIP_LOG", &log);
    fs::create_dir(rig.path("bot")).unwrap();
    let sites: String =
        ["a", "b", "c", "d", "e"].map(|letter| format!(" --site sites/{letter}")).concat();
    rig.ok(&format!("protect bot --home h{sites}"));
    rig
}

pub fn up(rig: &Rig) -> Daemon {
    Daemon::spawn(rig, &mut rig.command("up --home h --dashboard off"))
}

pub fn database(rig: &Rig) -> PathBuf {
    rig.path("bot/orders.sqlite")
}

/// The bot, writing and taking notes.
pub fn writer(rig: &Rig, rate: u64) -> Child {
    let mut command = rig.command(&format!("demo bot --folder bot --rate {rate} --note"));
    command.arg(rig.beside("notes")).stdout(Stdio::null()).spawn().unwrap()
}

fn kill(mut child: Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

pub fn now_ns() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64
}

/// What was noted, in order; what was committed and not noted before a kill is filled in.
pub fn notes(rig: &Rig) -> Vec<Note> {
    let text = fs::read_to_string(rig.beside("notes")).unwrap_or_default();
    let lines = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
    let mut notes: Vec<Note> = lines
        .map(|line| {
            let mut fields = line.split_whitespace().map(|field| field.parse().unwrap());
            let mut next = || fields.next().unwrap();
            Note { seq: next(), before_ns: next(), after_ns: next() }
        })
        .collect();
    notes.dedup_by_key(|note| note.seq);
    notes
}

/// A kill may come between a commit and its note, or in the middle of one.
fn mend_notes(rig: &Rig) {
    let path = rig.beside("notes");
    let text = fs::read_to_string(&path).unwrap_or_default();
    let whole = text.rfind('\n').map_or(0, |end| end + 1);
    File::options().write(true).open(&path).unwrap().set_len(whole as u64).unwrap();
    let last = notes(rig).last().copied();
    let committed = orders(&database(rig));
    let noted = last.map_or(0, |note| note.seq);
    assert!(committed == noted || committed == noted + 1, "{committed} committed, {noted} noted");
    if committed > noted {
        let before = last.map_or(0, |note| note.after_ns);
        let line = format!("{committed} {before} {}\n", now_ns());
        fs::write(&path, format!("{}{line}", &text[..whole])).unwrap();
    }
}

fn orders(path: &Path) -> u64 {
    let connection = Connection::open(path).unwrap();
    connection.busy_timeout(Duration::from_secs(30)).unwrap();
    connection
        .query_row("SELECT orders FROM book", [], |row| row.get::<_, i64>(0))
        .unwrap()
        .cast_unsigned()
}

/// Checks that a restored database holds exactly the orders up to some number, which it gives.
pub fn checked(path: &Path) -> u64 {
    let connection = Connection::open(path).unwrap();
    let ok: String = connection.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(ok, "ok");
    let one = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    let (orders, count) = (one("SELECT orders FROM book"), one("SELECT count(*) FROM orders"));
    assert_eq!(orders, count, "as many rows as the book says");
    assert_eq!(one("SELECT coalesce(max(seq), 0) FROM orders"), orders, "no order is missing");
    assert_eq!(one("SELECT checksum FROM book"), orders * (orders + 1) / 2);
    let signed = "SELECT coalesce(sum(CASE side WHEN 'buy' THEN quantity ELSE -quantity END), 0)
        FROM orders";
    assert_eq!(one("SELECT position FROM book"), one(signed), "the position");
    orders.cast_unsigned()
}

fn elsewhere(rig: &Rig, sql: &str, wait: Duration) {
    let other = Connection::open(database(rig)).unwrap();
    other.busy_timeout(wait).unwrap();
    // In somebody's way it does nothing.
    let _ = other.execute_batch(sql);
}

/// Plays, and checks everything.
pub fn play(plan: Plan) -> Outcome {
    let rig = desk(plan.round_trip_ms);
    let mut dice = Random::new(plan.seed);
    let mut outcome = Outcome::default();
    let mut daemon = up(&rig);
    let mut bot = writer(&rig, plan.rate);
    let mut killed_ns = Vec::new();
    until_shipped(&rig, &mut daemon, now_ns());
    let followed_ns = now_ns();
    let begun = Instant::now();
    while begun.elapsed() < plan.length {
        std::thread::sleep(Duration::from_millis(200 + dice.below(plan.pause_max_ms)));
        match dice.below(10) {
            0..=1 => {
                daemon.kill();
                killed_ns.push(now_ns());
                std::thread::sleep(Duration::from_millis(dice.below(400)));
                daemon = up(&rig);
                outcome.daemons_killed += 1;
            }
            2..=3 => {
                kill(bot);
                mend_notes(&rig);
                bot = writer(&rig, plan.rate);
                outcome.writers_killed += 1;
            }
            4 => {
                elsewhere(&rig, "VACUUM", Duration::from_secs(10));
                outcome.vacuums += 1;
            }
            _ => {
                let kind = KINDS[dice.index(4)];
                let sql = format!("PRAGMA wal_checkpoint({kind})");
                elsewhere(&rig, &sql, Duration::from_millis(50));
                outcome.checkpoints += 1;
            }
        }
    }
    kill(bot);
    mend_notes(&rig);
    let last = notes(&rig).last().unwrap().after_ns;
    until_shipped(&rig, &mut daemon, last);
    drop(daemon.end());
    measure(&rig, &killed_ns, &mut outcome);
    check_restores(&rig, plan, (followed_ns, last), &mut dice, &mut outcome);
    outcome
}

/// Waits until everything committed by then is at enough sites.
pub fn until_shipped(rig: &Rig, daemon: &mut Daemon, at_ns: u64) {
    daemon.until("what was committed at the sites", || {
        shipped(rig).last().is_some_and(|(captured, _)| *captured >= at_ns).then_some(())
    });
    assert!(live_status(rig).is_some());
}

/// What was captured by the first moment had reached enough sites by the second.
fn shipped(rig: &Rig) -> Vec<(u64, u64)> {
    let text = fs::read_to_string(rig.beside("shipped")).unwrap_or_default();
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    let line = |line: &str| {
        let mut fields = line.split(' ').map(|field| field.parse().ok());
        Some((fields.next()??, fields.next()??))
    };
    whole.lines().filter_map(line).collect()
}

fn measure(rig: &Rig, killed_ns: &[u64], outcome: &mut Outcome) {
    let (notes, shipped) = (notes(rig), shipped(rig));
    outcome.orders = notes.last().unwrap().seq;
    let at_sites =
        |ns: u64| shipped.get(shipped.partition_point(|one| one.0 < ns)).map(|one| one.1);
    let down: Vec<(u64, u64)> =
        killed_ns.iter().filter_map(|at| Some((*at, at_sites(*at)?))).collect();
    for note in &notes {
        let Some(there) = at_sites(note.after_ns) else { continue };
        let behind = there.saturating_sub(note.after_ns);
        outcome.behind_all_ns.push(behind);
        if down.iter().all(|(killed, back)| there < *killed || *back < note.after_ns) {
            outcome.behind_ns.push(behind);
        }
    }
    outcome.behind_ns.sort_unstable();
    outcome.behind_all_ns.sort_unstable();
}

/// Restores to random times from the sites alone, two of them gone.
fn check_restores(
    rig: &Rig,
    plan: Plan,
    (first, last): (u64, u64),
    dice: &mut Random,
    outcome: &mut Outcome,
) {
    fs::remove_dir_all(rig.path("h/host")).unwrap();
    for letter in ["b", "d"] {
        fs::remove_dir_all(rig.path(&format!("sites/{letter}"))).unwrap();
    }
    let rig = rig.without("EVENKEEL_TEST_SITE_DELAY_MS");
    let notes = notes(&rig);
    for round in 0..plan.restores {
        let time_ns = first + dice.below((last - first) / NS_PER_MS) * NS_PER_MS;
        let (document, seq) = restored(&rig, &format!("back-{round}"), Some(time_ns));
        let begun = notes.partition_point(|note| note.before_ns <= time_ns + NS_PER_MS);
        assert!(seq <= notes[..begun].last().map_or(0, |note| note.seq), "{seq}: {document}");
        let one = &document["databases"][0];
        outcome.restores += 1;
        outcome.gaps = outcome.gaps.max(one["gaps"].as_array().unwrap().len() as u64);
        if one["within_gap"] == false {
            // All that had returned when the commit was seen.
            let seen_ns = parse_ns(one["after_time"].as_str().unwrap());
            let noted = notes.partition_point(|note| note.after_ns + NS_PER_MS <= seen_ns);
            let noted = notes[..noted].last().map_or(0, |note| note.seq);
            assert!(seq >= noted, "{seq} is older than it says: {noted}, {document}");
            outcome.exact += 1;
        }
    }
    let (_, seq) = restored(&rig, "back-end", None);
    assert_eq!(seq, notes[notes.len() - 1].seq, "the end");
}

/// Restores the database alone; the document, and how many orders came back.
pub fn restored(rig: &Rig, to: &str, time_ns: Option<u64>) -> (serde_json::Value, u64) {
    let only = database(rig).display().to_string();
    let at = time_ns
        .map_or_else(String::new, |ns| format!(" --at-time {}", evenkeel::cli::format_time_ns(ns)));
    let line = format!(
        "restore --home h --identity h/recovery-identity.txt --to {to} --only {only}{at} --json"
    );
    let document = rig.ok(&line).json();
    let seq = checked(&rig.path(to).join(only.trim_start_matches('/')));
    (document, seq)
}

fn parse_ns(text: &str) -> u64 {
    evenkeel::cli::parse_time_ns(text).unwrap()
}

impl Outcome {
    /// A line for people.
    pub fn words(&self) -> String {
        let at = |all: &[u64], permille: usize| {
            let last = all.len().saturating_sub(1);
            all.get(last * permille / 1000).map_or(0, |ns| ns / NS_PER_MS)
        };
        let line = |all: &[u64]| {
            [500, 900, 990, 999, 1000].map(|permille| at(all, permille).to_string()).join(" / ")
        };
        format!(
            "{} orders; killed: daemon {}, writer {}; {} checkpoints, {} VACUUM\n\
             commit to k sites, ms, p50 / p90 / p99 / p99.9 / largest\n  \
             while a daemon ran   {}\n  with its kills       {}\n\
             {} restores right, {} of them to a time outside of {} unprotected intervals",
            self.orders,
            self.daemons_killed,
            self.writers_killed,
            self.checkpoints,
            self.vacuums,
            line(&self.behind_ns),
            line(&self.behind_all_ns),
            self.restores,
            self.exact,
            self.gaps
        )
    }
}
