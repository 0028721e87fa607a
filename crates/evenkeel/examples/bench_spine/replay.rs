//! Applying entries, in memory and from a journal.

use std::hint::black_box;
use std::path::PathBuf;
use std::sync::Arc;

use evenkeel_journal::{
    Admission, Base, Batch, Disk, Durability, FileLog, Identity, Options, Reader,
};
use evenkeel_journal::{RealDisk, RootTracker};
use evenkeel_recovery::{Agreement, Checkpoint, Follower, boot};
use evenkeel_types::{Canonical, Collateral, Entry};
use evenkeel_venue::Engine;

use crate::feed::Feed;
use crate::figures::{core_time, count, median};
use crate::{Outcome, Plan};

const ROUNDS: usize = 3;
/// Entries a frame.
const FRAME: usize = 128;

pub(crate) fn run(plan: &Plan) -> Outcome {
    let entries = if plan.quick { 100_000 } else { 1_000_000 };
    println!(
        "44 % placed, 44 % cancelled, 10 % amended, 2 % trade at once; 200 books, 300 accounts;"
    );
    println!("one thread, entries a second of processor time, the median of {ROUNDS} rounds");
    for (depth, collateral) in [
        (1_000, Collateral::Unlimited),
        (1_000, Collateral::Checked),
        (100_000, Collateral::Checked),
    ] {
        let entries = Feed::new(plan.seed).entries(collateral, depth, entries)?;
        println!("{} orders open, collateral {collateral:?}:", count(depth as f64));
        let memory = rate(entries.len(), || {
            black_box(apply(&entries));
            Ok(())
        })?;
        println!("  applied in memory                {:>10}/s", count(memory));
        from_journal(plan, &entries, memory)?;
    }
    Ok(())
}

fn apply(entries: &[Entry]) -> Engine {
    let (mut engine, mut events) = (Engine::new(), Vec::new());
    for entry in entries {
        events.clear();
        engine.apply(entry, &mut events);
    }
    engine
}

/// The median rate of a few rounds.
fn rate(entries: usize, mut work: impl FnMut() -> Outcome) -> Outcome<f64> {
    let mut rates = Vec::new();
    for _ in 0..ROUNDS {
        let begun = core_time();
        work()?;
        rates.push(entries as f64 / (core_time() - begun).as_secs_f64());
    }
    Ok(median(&rates))
}

/// A journal in the page cache: reading it is measured, not the disk.
struct Recorded {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    base: Base,
    log: FileLog,
    entries: usize,
    mean_bytes: usize,
}

impl Recorded {
    fn write(dir: PathBuf, entries: &[Entry]) -> Outcome<Self> {
        let disk: Arc<dyn Disk> = Arc::new(RealDisk);
        let identity = Identity { cluster_id: [7; 16], lineage: [8; 16] };
        let options = Options { durability: Durability::NoSync, ..Options::default() };
        let base = Base::genesis();
        let mut log = FileLog::create(Arc::clone(&disk), &dir, identity, base.clone(), options)?;
        log.confirm_end(&[])?;
        log.begin_term(1)?;
        let bytes: Vec<Vec<u8>> = entries.iter().map(Canonical::to_bytes).collect();
        for frame in bytes.chunks(FRAME) {
            let frame: Vec<&[u8]> = frame.iter().map(Vec::as_slice).collect();
            log.append(&frame, Admission::Normal)?;
        }
        let mean_bytes = bytes.iter().map(Vec::len).sum::<usize>() / bytes.len();
        let entries = entries.len();
        Ok(Self { disk, dir, base, log, entries, mean_bytes })
    }

    fn reader(&self) -> Outcome<Reader> {
        let watermark = self.log.watermark();
        Ok(Reader::follow(Arc::clone(&self.disk), &self.dir, 0, watermark)?)
    }

    fn read(&self, mut each: impl FnMut(Batch) -> Outcome) -> Outcome {
        let mut reader = self.reader()?;
        while let Some(batch) = reader.next_batch()? {
            each(batch)?;
        }
        Ok(())
    }

    fn root(&self) -> Outcome {
        let mut root = RootTracker::new(&self.base);
        root.follow(&mut self.reader()?)?;
        black_box(root.root());
        Ok(())
    }

    /// What a start does.
    fn replay(&self) -> Outcome {
        let watermark = self.log.watermark();
        let booted = boot(&self.disk, &self.dir, &self.base, &watermark, &[])?;
        black_box(booted);
        Ok(())
    }

    /// What the follower does.
    fn follow(&self) -> Outcome {
        let (disk, agreement) = (Arc::clone(&self.disk), Arc::new(Agreement::new()));
        let (genesis, watermark) = (Checkpoint::genesis(), self.log.watermark());
        let mut follower = Follower::start(&genesis, disk, &self.dir, watermark, agreement)?;
        while follower.step(64)? > 0 {}
        black_box(follower.journal_root());
        Ok(())
    }
}

fn from_journal(plan: &Plan, entries: &[Entry], memory: f64) -> Outcome {
    let scratch = plan.scratch()?;
    let recorded = Recorded::write(scratch.path().join("journal"), entries)?;
    println!(
        "  from a journal ({} bytes an entry, {FRAME} a frame, in the page cache):",
        recorded.mean_bytes
    );
    let show = |name: &str, work: &dyn Fn() -> Outcome| -> Outcome {
        let rate = rate(recorded.entries, work)?;
        let (words, ratio) = (count(rate), rate / memory);
        println!("    {name:<30} {words:>10}/s  x{ratio:.2}");
        Ok(())
    };
    show("read", &|| {
        recorded.read(|batch| {
            black_box(batch);
            Ok(())
        })
    })?;
    show("read, decoded", &|| {
        recorded.read(|batch| {
            for record in &batch.records {
                black_box(Entry::from_bytes(&record.entry)?);
            }
            Ok(())
        })
    })?;
    show("read, journal root", &|| recorded.root())?;
    show("replayed (a start)", &|| recorded.replay())?;
    show("followed (with journal root)", &|| recorded.follow())
}
