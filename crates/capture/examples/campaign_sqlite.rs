//! A database under a steady writer, with capture and writer killed at random and checkpoints and
//! VACUUM from elsewhere; every restore has to be what the writer's own log says.
//!
//! `cargo xtask campaign sqlite [--minutes N] [--rate TRANSACTIONS_PER_SECOND] [--seed N]`
#![allow(clippy::unwrap_used, reason = "a campaign that cannot go on fails")]

#[path = "../tests/common/mod.rs"]
mod common;

use common::{Client, Desk, Follower, client_main, now_ns, wait_until};
use evenkeel_capture::restore::Target;
use std::time::{Duration, Instant};

const NS_PER_MS: u64 = 1_000_000;
const KINDS: [&str; 4] = ["PASSIVE", "FULL", "RESTART", "TRUNCATE"];
const RESTORES: u64 = 40;

struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963);
        (self.0 >> 33) % sides
    }
}

#[derive(Default, Debug)]
struct Strikes {
    /// When capture was killed.
    captures_ns: Vec<u64>,
    writers: u64,
    checkpoints: u64,
    vacuums: u64,
}

fn argument(name: &str, default: u64) -> u64 {
    let mut words = std::env::args();
    let found = words.by_ref().find(|word| word == name).and_then(|_| words.next());
    found.map_or(default, |word| word.parse().expect("a number"))
}

fn main() {
    // A child: see `common`.
    if std::env::args().any(|word| word == "--exact") {
        return client_main();
    }
    let seed = std::env::var("EVENKEEL_SEED").map_or(1, |seed| seed.parse().expect("a number"));
    let mut dice = Dice(argument("--seed", seed));
    let (minutes, rate) = (argument("--minutes", 10), argument("--rate", 1_500));
    let (desk, client) = Desk::new();
    client.close();
    let begun = Instant::now();
    let strikes = play(&desk, &mut dice, Duration::from_secs(minutes * 60), rate);
    let elapsed = begun.elapsed();
    report(&desk, &strikes, elapsed);
    check_restores(&desk, &mut dice);
}

/// A writer that goes on where the one before was killed.
fn write(desk: &Desk, rate: u64) -> Client {
    let mut writer = Client::open(&desk.database);
    writer.send(&format!("burst 100000000 {rate} {}", desk.log.display()));
    writer
}

fn play(desk: &Desk, dice: &mut Dice, length: Duration, rate: u64) -> Strikes {
    let begun = Instant::now();
    let mut strikes = Strikes::default();
    let mut follower = Follower::begin(desk);
    let mut writer = write(desk, rate);
    while begun.elapsed() < length {
        std::thread::sleep(Duration::from_millis(500 + dice.roll(5_000)));
        match dice.roll(10) {
            0..=2 => {
                follower.kill();
                strikes.captures_ns.push(now_ns());
                std::thread::sleep(Duration::from_millis(dice.roll(400)));
                follower = Follower::begin(desk);
            }
            3..=4 => {
                writer.kill();
                strikes.writers += 1;
                desk.mend_log();
                writer = write(desk, rate);
            }
            5 => {
                strikes.vacuums += 1;
                elsewhere(desk, "PRAGMA busy_timeout=10000; VACUUM");
            }
            _ => {
                strikes.checkpoints += 1;
                let kind = KINDS[usize::try_from(dice.roll(4)).unwrap()];
                elsewhere(desk, &format!("PRAGMA busy_timeout=50; PRAGMA wal_checkpoint({kind})"));
            }
        }
    }
    writer.kill();
    desk.mend_log();
    // A capture that was being begun anew has to come back first.
    let last = desk.written().last().expect("transactions").after_ns;
    wait_until(|| captured(desk).last().is_some_and(|look| look.time_ns >= last));
    follower.kill();
    strikes
}

fn elsewhere(desk: &Desk, sql: &str) {
    let mut other = Client::open(&desk.database);
    let _ = other.try_sql(sql);
    other.kill();
}

/// A look of capture that found something: when it looked, and when that was durable.
struct Look {
    time_ns: u64,
    durable_ns: u64,
    handed_over: bool,
}

fn captured(desk: &Desk) -> Vec<Look> {
    let path = desk.folder.path().join("captured.log");
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let look = |line: &str| {
        let fields: Vec<u64> = line.split(' ').map_while(|field| field.parse().ok()).collect();
        let [_, time_ns, durable_ns, _, over] = fields.try_into().ok()?;
        Some(Look { time_ns, durable_ns, handed_over: over == 1 })
    };
    text.lines().filter_map(look).collect()
}

fn report(desk: &Desk, strikes: &Strikes, elapsed: Duration) {
    let (written, looks) = (desk.written(), captured(desk));
    let per_second = written.len() as u64 / elapsed.as_secs().max(1);
    let Strikes { captures_ns, writers, checkpoints, vacuums } = strikes;
    let captures = captures_ns.len();
    println!("{} transactions, {per_second} a second", written.len());
    println!(
        "killed: capture {captures}, writer {writers}; {checkpoints} checkpoints, {vacuums} VACUUM"
    );
    // A commit is durable at the latest with the first look that began after it returned.
    let first_look = |ns: u64| looks.get(looks.partition_point(|look| look.time_ns < ns));
    let behind: Vec<(u64, u64)> = written
        .iter()
        .filter_map(|line| Some((line.after_ns, first_look(line.after_ns)?.durable_ns)))
        .collect();
    let down: Vec<(u64, u64)> = captures_ns
        .iter()
        .filter_map(|killed_ns| Some((*killed_ns, first_look(*killed_ns)?.durable_ns)))
        .collect();
    let ran =
        |(from, to): &&(u64, u64)| down.iter().all(|(killed, back)| to < killed || back < from);
    let latency = |(from, to): &(u64, u64)| to.saturating_sub(*from);
    distribution(
        "commit to spool while capture ran",
        behind.iter().filter(ran).map(latency).collect(),
    );
    distribution("commit to spool with its kills", behind.iter().map(latency).collect());
    let look = looks.iter().map(|look| look.durable_ns.saturating_sub(look.time_ns));
    distribution("a look that found something", look.collect());
    let own = written.iter().map(|line| line.after_ns.saturating_sub(line.before_ns));
    distribution("the writer's own transaction", own.collect());
    let over = looks.iter().filter(|look| look.handed_over).count();
    let history = desk.history();
    let bytes: u64 = history.records.iter().map(|at| at.length_bytes as u64).sum();
    println!("spool: {} records, {bytes} bytes, {over} hand-overs", history.records.len());
    for gap in history.gaps() {
        let until = gap.until.map_or(0, |until| until.time_ns);
        let ms = until.saturating_sub(gap.begin.from_ns) / NS_PER_MS;
        println!("not protected for {ms} ms: {}", gap.begin.why.words());
    }
}

fn distribution(what: &str, mut ns: Vec<u64>) {
    ns.sort_unstable();
    let Some(last) = ns.len().checked_sub(1) else { return };
    let at = |permille: usize| ns[last * permille / 1000] as f64 / NS_PER_MS as f64;
    println!(
        "{what}, ms: p50 {:.1}, p90 {:.1}, p99 {:.1}, p99.9 {:.1}, largest {:.1}",
        at(500),
        at(900),
        at(990),
        at(999),
        at(1000)
    );
}

/// Restores to random seconds; each has to hold exactly what the writer had committed by then, but
/// for what it was committing while capture looked, or for what a gap says.
fn check_restores(desk: &Desk, dice: &mut Dice) {
    let written = desk.written();
    let (first, last) = (written[0].after_ns, written[written.len() - 1].after_ns);
    let mut exact = 0;
    for _ in 0..RESTORES {
        let time_ns = first + dice.roll((last - first) / NS_PER_MS) * NS_PER_MS;
        let (restored, seq) = desk.restored(Target::Time(time_ns));
        let commit = restored.commit;
        assert!(seq <= desk.begun_by(time_ns), "{seq} was not begun by {time_ns}");
        assert!(seq >= desk.noted_by(commit.time_ns), "{seq} is older than it says");
        if restored.within_gap.is_none() {
            exact += 1;
        }
    }
    let (_, seq) = desk.restored(Target::End);
    assert_eq!(seq, written[written.len() - 1].seq, "the end");
    println!("{RESTORES} restores to random times and one to the end ok; {exact} outside of gaps");
}
