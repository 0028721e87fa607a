//! What the log of several hosts carries for as long as one likes: three members of etcd and the
//! writer on this machine, one transaction under way, trimmed every few seconds. Entries have 256
//! bytes unless told; a venue's own have about 70.
//!
//! Then the leader is killed a few times: how long the log stands still.
//!
//! `cargo xtask bench etcd_log [--minutes N] [--batch ENTRIES] [--entry-bytes N] [--kills N]
//! [--dir DIR] [--seed N]`
#![allow(
    clippy::unwrap_used,
    clippy::cast_precision_loss,
    reason = "a benchmark ends with what is wrong; rates are for people"
)]

#[path = "../tests/cluster/mod.rs"]
mod cluster;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use cluster::{Cluster, Plan};
use evenkeel_journal::{Admission, Base, FileLog, Identity, JournalError, Log, Options, RealDisk};
use evenkeel_quorum::{
    EtcdStore, Handle, Holder, Housekeeping, Keeper, QuorumLog, Running, Settings, found, take_over,
};

const IDENTITY: Identity = Identity { cluster_id: [0xbe; 16], lineage: [0x11; 16] };
/// Between two moments at which the sites are said to have everything.
const ARCHIVE_EVERY: Duration = Duration::from_secs(3);

struct Args {
    minutes: u64,
    batch: usize,
    entry_bytes: usize,
    kills: usize,
    dir: PathBuf,
    seed: u64,
}

impl Args {
    fn read() -> Self {
        let seed = std::env::var("EVENKEEL_SEED").map_or(1, |seed| seed.parse().unwrap());
        // A batch of 1,024 is a frame of 264 KiB.
        let dir = std::env::temp_dir();
        let mut read = Self { minutes: 1, batch: 1_024, entry_bytes: 256, kills: 5, dir, seed };
        let mut args = std::env::args().skip(1);
        while let Some(arg) = args.next() {
            let mut value = || args.next().expect("a value");
            match arg.as_str() {
                "--minutes" => read.minutes = value().parse().unwrap(),
                "--batch" => read.batch = value().parse().unwrap(),
                "--entry-bytes" => read.entry_bytes = value().parse().unwrap(),
                "--kills" => read.kills = value().parse().unwrap(),
                "--dir" => read.dir = value().into(),
                "--seed" => read.seed = value().parse().unwrap(),
                other => panic!("unknown argument {other}"),
            }
        }
        read
    }
}

/// Entries with nothing to compress in them.
fn entries(seed: u64, count: usize, bytes: usize) -> Vec<Vec<u8>> {
    // Steele, Lea, Flood: "Fast splittable pseudorandom number generators", 2014.
    let mut state = seed;
    let mut word = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    };
    let mut byte = || word().to_le_bytes()[0];
    (0..count).map(|_| (0..bytes).map(|_| byte()).collect()).collect()
}

fn main() {
    let args = Args::read();
    let scratch = tempfile::Builder::new().prefix("bench-etcd-log-").tempdir_in(&args.dir).unwrap();
    let mut cluster = Cluster::start_in(&args.dir, Plan::default());
    let disk = Arc::new(RealDisk);
    let journal = scratch.path().join("journal");
    let options = Options::default();
    let file = FileLog::create(disk, &journal, IDENTITY, Base::genesis(), options).unwrap();
    let settings = Settings { housekeeping: Housekeeping::Keeper, ..Settings::default() };
    let handle = Handle::default();
    let running = || Running { handle: handle.clone(), settings, ..Running::default() };
    let mut store = cluster.store();
    found(&mut store, &file, &mut running()).unwrap();
    let me = Holder { name: "bench".to_owned(), address: String::new(), run: [1; 16] };
    let taken = take_over(store, file, 0, me, running());
    let mut log = taken.map_err(|not| not.error.to_string()).unwrap();
    let term = log.next_term();
    log.begin_term(term).unwrap();
    let access = cluster.access();
    let connect = move || EtcdStore::connect(&access);
    let keeper = Keeper::start(connect, IDENTITY, handle.clone(), settings).unwrap();
    println!(
        "three members on this machine, entries of {} bytes, {} a batch,",
        args.entry_bytes, args.batch
    );
    println!("one transaction under way, archived every {ARCHIVE_EVERY:?}");
    drive(&mut log, &handle, &args);
    kill_leaders(log, &mut cluster, args.kills);
    keeper.join().unwrap();
}

fn drive(log: &mut QuorumLog<EtcdStore>, handle: &Handle, args: &Args) {
    let owned = entries(args.seed, args.batch, args.entry_bytes);
    let batch: Vec<&[u8]> = owned.iter().map(Vec::as_slice).collect();
    let (mut all, mut refused, begun) = (Vec::new(), 0_u64, Instant::now());
    let (mut next, mut archived, mut archived_at) = (0, 0, Instant::now());
    for minute in 1..=args.minutes {
        let (mut took, minute_begun) = (Vec::new(), Instant::now());
        while begun.elapsed() < Duration::from_secs(60 * minute) {
            let sent = Instant::now();
            match log.append(&batch, Admission::Normal) {
                Ok(appended) => next = appended.last + 1,
                Err(JournalError::StoreFull { .. }) => refused += 1,
                Err(other) => panic!("{other}"),
            }
            took.push(sent.elapsed());
            log.tend().unwrap();
            if archived_at.elapsed() >= ARCHIVE_EVERY {
                // What was there the last time has arrived at the sites by now.
                handle.archived_to(archived);
                log.trim_beside(archived).unwrap();
                (archived, archived_at) = (next, Instant::now());
            }
        }
        let rate = (took.len() * args.batch) as f64 / minute_begun.elapsed().as_secs_f64();
        let status = handle.status();
        let mib = |bytes: u64| bytes >> 20;
        let (used, live) =
            status.health.map_or((0, 0), |health| (mib(health.used_bytes), mib(health.live_bytes)));
        println!(
            "minute {minute:>3}  {rate:>8.0}/s  {}  store {live} of {used} MiB  slowed {} refused \
             {refused}  load {}",
            words(&mut took),
            status.slowed,
            load_average()
        );
        all.append(&mut took);
    }
    let rate = (all.len() * args.batch) as f64 / begun.elapsed().as_secs_f64();
    println!("all         {rate:>8.0}/s  {}", words(&mut all));
}

/// How long a writer stands still whose store's leader is killed: between two acknowledged appends.
fn kill_leaders(mut log: QuorumLog<EtcdStore>, cluster: &mut Cluster, kills: usize) {
    let stop = AtomicBool::new(false);
    let gap_us = AtomicU64::new(0);
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut last = Instant::now();
            while !stop.load(Ordering::Acquire) {
                log.append(&[&[7; 64]], Admission::Normal).unwrap();
                let gap = u64::try_from(last.elapsed().as_micros()).unwrap();
                gap_us.fetch_max(gap, Ordering::AcqRel);
                last = Instant::now();
                log.tend().unwrap();
            }
        });
        let mut gaps = Vec::new();
        for _ in 0..kills {
            let leader = cluster.leader();
            thread::sleep(Duration::from_secs(1));
            gap_us.store(0, Ordering::Release);
            cluster.kill(leader);
            thread::sleep(Duration::from_secs(6));
            gaps.push(gap_us.load(Ordering::Acquire) / 1_000);
            cluster.restart(leader);
            thread::sleep(Duration::from_secs(4));
        }
        stop.store(true, Ordering::Release);
        println!("leader killed, to the next append: {gaps:?} ms");
    });
}

/// `p50 0.17 ms, p99 1.20 ms, p99.9 3.00 ms, max 9.00 ms`.
fn words(took: &mut [Duration]) -> String {
    took.sort_unstable();
    let at = |permille: usize| {
        let index = took.len().saturating_sub(1) * permille / 1_000;
        took.get(index).copied().unwrap_or_default().as_secs_f64() * 1e3
    };
    let [p50, p99, p999, max] = [500, 990, 999, 1_000].map(at);
    format!("p50 {p50:.2} ms, p99 {p99:.2} ms, p99.9 {p999:.2} ms, max {max:.2} ms")
}

/// Work of others on this machine makes every figure worse: it is printed with them.
fn load_average() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().unwrap_or_default().to_owned()
}
