//! How long the primary is held up by a snapshot: a real primary and its follower on two threads,
//! the same paced load with and without a checkpoint being taken.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use evenkeel_journal::{Base, Disk, FileLog, Identity, Options, RealDisk, Watermark};
use evenkeel_recovery::{Agreement, Checkpoint, Follower, Primary, Request};
use evenkeel_types::{Collateral, Timestamp};
use evenkeel_venue::Engine;

use crate::feed::{Feed, Sent};
use crate::figures::{Samples, count, duration};
use crate::{Outcome, Plan};

/// The load: this many commands in a batch, a batch every so often.
const BATCH: usize = 32;
const EVERY: Duration = Duration::from_millis(2);
/// Batch of the run at full speed: what `up` gathers at most.
const BATCH_MAX: usize = 1_024;
/// Before a commit is due the thread spins this long, so that waking up is not measured.
const SPIN: Duration = Duration::from_micros(150);

pub(crate) fn run(plan: &Plan) -> Outcome {
    let (small, large) = if plan.quick { (5, 2) } else { (40, 8) };
    let deep = if plan.quick { 200_000 } else { 1_000_000 };
    println!("{BATCH} commands every {EVERY:?}; latency from the moment a batch was due");
    for (orders, rounds) in [(100_000, small), (deep, large)] {
        depth(plan, &plan.dir, orders, rounds)?;
    }
    // Without a disk under the journal only the follower is left to hold the primary up.
    let memory = Path::new("/dev/shm");
    if !memory.is_dir() {
        return Ok(());
    }
    for (orders, rounds) in [(100_000, small), (deep, large)] {
        depth(plan, memory, orders, rounds)?;
    }
    Ok(())
}

fn depth(plan: &Plan, dir: &Path, depth: usize, rounds: usize) -> Outcome {
    std::fs::create_dir_all(dir)?;
    let scratch = tempfile::tempdir_in(dir)?;
    let mut venue = Venue::found(&scratch.path().join("journal"), plan.seed, depth)?;
    let open = venue.primary.engine().open_order_count();
    let on_disk = dir == plan.dir;
    let place = if on_disk { "on disk" } else { "in memory: no disk to wait for" };
    println!("{} open orders, journal {place}:", count(open as f64));
    let mut held = Held::default();
    for _ in 0..rounds {
        held.round(&mut venue)?;
    }
    held.print();
    if on_disk {
        full_speed(&mut venue, if plan.quick { 1 } else { 5 })?;
    }
    let alone = venue.end()?;
    if on_disk {
        alone.print();
    }
    Ok(())
}

/// A primary with a market on it, and its follower's thread.
struct Venue {
    primary: Primary,
    feed: Feed,
    depth: usize,
    started: Instant,
    follower: Tail,
}

impl Venue {
    fn found(dir: &Path, seed: u64, depth: usize) -> Outcome<Self> {
        let disk: Arc<dyn Disk> = Arc::new(RealDisk);
        let identity = Identity { cluster_id: [7; 16], lineage: [8; 16] };
        let (base, options) = (Base::genesis(), Options::default());
        let mut log = FileLog::create(Arc::clone(&disk), dir, identity, base, options)?;
        log.confirm_end(&[])?;
        let (watermark, agreement) = (log.watermark(), Arc::new(Agreement::new()));
        let genesis = Checkpoint::genesis();
        let follower =
            Follower::start(&genesis, disk, dir, watermark.clone(), Arc::clone(&agreement))?;
        let primary = Primary::begin(log, Engine::new(), agreement, Timestamp(0))?;
        let follower = Tail::start(follower, watermark);
        let (mut feed, started) = (Feed::new(seed), Instant::now());
        let founding = feed.founding(Collateral::Checked)?;
        let mut venue = Self { primary, feed, depth, started, follower };
        venue.commit(founding)?;
        for from in (0..depth).step_by(BATCH_MAX) {
            let batch = (from..depth.min(from + BATCH_MAX)).map(|_| venue.feed.rest());
            let batch = batch.collect();
            venue.commit(batch)?;
        }
        venue.catch_up()?;
        Ok(venue)
    }

    fn commit(&mut self, batch: Vec<Sent>) -> Outcome {
        let now = Timestamp(self.started.elapsed().as_nanos() as u64);
        let request = |(origin, command)| Request { origin, command };
        let answers = self.primary.commit(now, batch.into_iter().map(request).collect())?;
        if answers.iter().any(Result::is_err) {
            return Err("the disk is full".into());
        }
        Ok(())
    }

    fn batch(&mut self, size: usize) -> Vec<Sent> {
        (0..size).map(|_| self.feed.next(self.depth)).collect()
    }

    /// Commits batches as they fall due until told to end; how late each was.
    fn paced(
        &mut self,
        size: usize,
        every: Duration,
        until: impl Fn(Instant) -> bool,
    ) -> Outcome<Samples> {
        let mut samples = Samples::default();
        let mut due = Instant::now() + every;
        while !until(due) {
            let batch = self.batch(size);
            wait_until(due);
            self.commit(batch)?;
            samples.add(due.elapsed());
            due += every;
        }
        Ok(samples)
    }

    fn catch_up(&self) -> Outcome {
        while self.follower.lag() > 0 {
            if self.follower.thread.is_finished() {
                return Err("the follower ended".into());
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }

    /// Ends both; what the parts of a checkpoint cost with nothing else going on.
    fn end(self) -> Outcome<Alone> {
        self.catch_up()?;
        let alone = Alone::measure(self.primary.engine());
        self.follower.ask.send(None)?;
        self.primary.close()?;
        self.follower.thread.join().map_err(|_| "the follower panicked")??;
        Ok(alone)
    }
}

fn wait_until(due: Instant) {
    let left = due.saturating_duration_since(Instant::now());
    if left > SPIN {
        std::thread::sleep(left - SPIN);
    }
    while Instant::now() < due {
        std::hint::spin_loop();
    }
}

/// One checkpoint as the follower took it.
struct Taken {
    took: Duration,
    bytes: usize,
}

type Failure = String;
type Asked = Option<(Sender<Taken>, Arc<AtomicBool>)>;

/// The follower's thread, as the daemon runs it: applies, and takes a checkpoint when asked.
struct Tail {
    ask: Sender<Asked>,
    position: Arc<AtomicU64>,
    watermark: Watermark,
    thread: JoinHandle<Result<(), Failure>>,
}

impl Tail {
    fn start(mut follower: Follower, watermark: Watermark) -> Self {
        let (ask, asked) = channel();
        let position = Arc::default();
        let (shown, durable) = (Arc::clone(&position), watermark.clone());
        let thread = std::thread::spawn(move || {
            follow(&mut follower, &asked, &durable, &shown).map_err(|error| error.to_string())
        });
        Self { ask, position, watermark, thread }
    }

    fn lag(&self) -> u64 {
        let position = self.position.load(Ordering::Acquire);
        self.watermark.durable_next().saturating_sub(position)
    }
}

fn follow(
    follower: &mut Follower,
    asked: &Receiver<Asked>,
    durable: &Watermark,
    position: &AtomicU64,
) -> Outcome {
    let mut waiting = None;
    loop {
        if waiting.is_none() {
            waiting = match asked.try_recv() {
                Ok(None) => return Ok(()),
                Ok(some) => some,
                Err(_) => None,
            };
        }
        if let Some((answer, done)) = waiting.take() {
            let begun = Instant::now();
            let Some((checkpoint, _)) = follower.checkpoint() else {
                waiting = Some((answer, done));
                std::thread::sleep(Duration::from_micros(100));
                continue;
            };
            let (took, bytes) = (begun.elapsed(), checkpoint.engine.len());
            done.store(true, Ordering::Release);
            // Whoever asked waits for it.
            let _ = answer.send(Taken { took, bytes });
        }
        let applied = follower.step(64)?;
        position.store(follower.position(), Ordering::Release);
        if applied == 0 {
            let _ = durable.wait_beyond(follower.position(), Duration::from_millis(20));
        }
    }
}

/// Commit latencies while nothing else goes on, while a checkpoint is taken, and after it.
#[derive(Default)]
struct Held {
    quiet: Samples,
    during: Samples,
    after: Samples,
    taking: Samples,
    bytes: usize,
    lag_max: u64,
}

impl Held {
    fn round(&mut self, venue: &mut Venue) -> Outcome {
        let (answer, taken) = channel();
        let done = Arc::new(AtomicBool::new(false));
        let begun = Instant::now();
        venue.follower.ask.send(Some((answer, Arc::clone(&done))))?;
        let gone = |_: Instant| done.load(Ordering::Acquire) || begun.elapsed().as_secs() > 60;
        let during = venue.paced(BATCH, EVERY, gone)?;
        self.during.merge(during);
        let taken = taken.recv_timeout(Duration::from_secs(1))?;
        self.bytes = taken.bytes;
        self.taking.add(taken.took);
        self.lag_max = self.lag_max.max(venue.follower.lag());
        // As long again, while the follower works off what it missed; then the same in quiet.
        let length = begun.elapsed().max(Duration::from_millis(50));
        let end = Instant::now() + length;
        let after = venue.paced(BATCH, EVERY, |due| due > end)?;
        self.after.merge(after);
        venue.catch_up()?;
        let end = Instant::now() + length;
        let quiet = venue.paced(BATCH, EVERY, |due| due > end)?;
        self.quiet.merge(quiet);
        Ok(())
    }

    fn print(&mut self) {
        let quiet = self.quiet.permille(990);
        for (name, samples) in [
            ("without a snapshot", &mut self.quiet),
            ("while one is taken", &mut self.during),
            ("as long again after", &mut self.after),
        ] {
            let ratio = samples.permille(990).as_secs_f64() / quiet.as_secs_f64();
            let (words, commits) = (samples.words(), count(samples.count() as f64));
            println!("  commit, {name:<20} {words}, p99 x{ratio:.2}  ({commits} commits)");
        }
        println!(
            "  checkpoints: {} of {:.1} MB; taken in {}; follower behind by {} entries at most",
            self.taking.count(),
            self.bytes as f64 / 1e6,
            self.taking.words(),
            count(self.lag_max as f64)
        );
    }
}

/// Batch after batch without pause, then paced at half of that.
fn full_speed(venue: &mut Venue, seconds: u64) -> Outcome {
    let (begun, mut samples) = (Instant::now(), Samples::default());
    while begun.elapsed() < Duration::from_secs(seconds) {
        let batch = venue.batch(BATCH_MAX);
        let from = Instant::now();
        venue.commit(batch)?;
        samples.add(from.elapsed());
    }
    let rate = (samples.count() * BATCH_MAX) as f64 / begun.elapsed().as_secs_f64();
    let lag = venue.follower.lag();
    println!(
        "  full speed: {}/s journaled, applied, answered in batches of {BATCH_MAX}; {}; \
         follower {} entries behind at the end",
        count(rate),
        samples.words(),
        count(lag as f64)
    );
    let begun = Instant::now();
    venue.catch_up()?;
    if lag > 0 {
        let ahead = lag as f64 / begun.elapsed().as_secs_f64();
        println!("  follower alone works off {}/s", count(ahead));
    }
    let size = BATCH_MAX / 4;
    let every = Duration::from_secs_f64(size as f64 / (rate / 2.0));
    let end = Instant::now() + Duration::from_secs(seconds);
    let mut half = venue.paced(size, every, |due| due > end)?;
    println!("  half of that, in batches of {size}: {}", half.words());
    Ok(())
}

/// What a snapshot by the primary itself would have held up: the peer of the follower's.
struct Alone {
    snapshot: Duration,
    root: Duration,
    clone: Duration,
    restored: Duration,
    bytes: usize,
    compressed: usize,
}

impl Alone {
    fn measure(engine: &Engine) -> Self {
        let begun = Instant::now();
        let bytes = engine.snapshot();
        let snapshot = begun.elapsed();
        let begun = Instant::now();
        let root = engine.state_root();
        let root_took = begun.elapsed();
        let begun = Instant::now();
        let copy = engine.clone();
        let clone = begun.elapsed();
        drop(copy);
        let begun = Instant::now();
        let again = Engine::from_snapshot(&bytes);
        let restored = begun.elapsed();
        assert!(again.is_ok_and(|again| again.state_root() == root), "the snapshot is the state");
        let compressed = zstd::bulk::compress(&bytes, 1).map_or(0, |packed| packed.len());
        let (root, bytes) = (root_took, bytes.len());
        Self { snapshot, root, clone, restored, bytes, compressed }
    }

    fn print(&self) {
        println!(
            "  alone: snapshot {} ({:.1} MB, zstd-1 {:.1} MB), state root {}, restored {}",
            duration(self.snapshot),
            self.bytes as f64 / 1e6,
            self.compressed as f64 / 1e6,
            duration(self.root),
            duration(self.restored)
        );
        println!(
            "  peer: taken by the primary it would hold commits up for {} (a clone for {})",
            duration(self.snapshot + self.root),
            duration(self.clone)
        );
    }
}
