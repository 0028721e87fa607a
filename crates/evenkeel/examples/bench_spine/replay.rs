//! Applying entries, in memory and from a journal.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use evenkeel_journal::{Admission, Base, Disk, Durability, FileLog, Identity, Options, Reader};
use evenkeel_journal::{RealDisk, RootTracker};
use evenkeel_recovery::{Agreement, Checkpoint, Follower, boot};
use evenkeel_types::{Canonical, Collateral, Entry};
use evenkeel_venue::Engine;

use crate::feed::Feed;
use crate::figures::{count, median};
use crate::{Outcome, Plan};

const ROUNDS: usize = 3;
/// Entries a frame.
const FRAME: usize = 128;

pub(crate) fn run(plan: &Plan) -> Outcome {
    let entries = if plan.quick { 100_000 } else { 1_000_000 };
    println!(
        "44 % placed, 44 % cancelled, 10 % amended, 2 % trade at once; 200 books, 300 accounts;"
    );
    println!("one thread, entries a second, the median of {ROUNDS} rounds");
    for (depth, collateral) in [
        (1_000, Collateral::Unlimited),
        (1_000, Collateral::Checked),
        (100_000, Collateral::Checked),
    ] {
        let entries = Feed::new(plan.seed).entries(collateral, depth, entries)?;
        println!(
            "{} orders open, collateral {collateral:?}:",
            count(depth as f64)
        );
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
        let begun = Instant::now();
        work()?;
        rates.push(entries as f64 / begun.elapsed().as_secs_f64());
    }
    Ok(median(&rates))
}

fn from_journal(plan: &Plan, entries: &[Entry], memory: f64) -> Outcome {
    let scratch = plan.scratch()?;
    let dir = scratch.path().join("journal");
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let identity = Identity {
        cluster_id: [7; 16],
        lineage: [8; 16],
    };
    // Reading is measured here, not the disk's syncs.
    let options = Options {
        durability: Durability::NoSync,
        ..Options::default()
    };
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
    drop(bytes);
    println!("  from a journal ({mean_bytes} bytes an entry, {FRAME} a frame, in the page cache):");
    let watermark = log.watermark();
    let reader = || Reader::follow(Arc::clone(&disk), &dir, 0, watermark.clone());
    let show = |name: &str, rate: f64| {
        println!(
            "    {name:<30} {:>10}/s  x{:.2}",
            count(rate),
            rate / memory
        );
    };
    show(
        "read",
        rate(entries.len(), || {
            let mut reader = reader()?;
            while let Some(batch) = reader.next_batch()? {
                black_box(batch);
            }
            Ok(())
        })?,
    );
    show(
        "read, decoded",
        rate(entries.len(), || {
            let mut reader = reader()?;
            while let Some(batch) = reader.next_batch()? {
                for record in &batch.records {
                    black_box(Entry::from_bytes(&record.entry)?);
                }
            }
            Ok(())
        })?,
    );
    show(
        "read, journal root",
        rate(entries.len(), || {
            let mut root = RootTracker::new(&base);
            root.follow(&mut reader()?)?;
            black_box(root.root());
            Ok(())
        })?,
    );
    show(
        "replayed (a start)",
        rate(entries.len(), || {
            black_box(boot(&disk, &dir, &base, &watermark, Vec::new())?);
            Ok(())
        })?,
    );
    show(
        "followed (with journal root)",
        rate(entries.len(), || {
            let (disk, agreement) = (Arc::clone(&disk), Arc::new(Agreement::new()));
            let genesis = Checkpoint::genesis();
            let mut follower = Follower::start(&genesis, disk, &dir, watermark.clone(), agreement)?;
            while follower.step(64)? > 0 {}
            black_box(follower.journal_root());
            Ok(())
        })?,
    );
    Ok(())
}
