//! Measures how many entries a second become durable, on the disk of the folder given (default:
//! the folder for temporary files).
//!
//! `cargo run --release -p evenkeel-journal --example append_rate -- [DIR]`

use evenkeel_journal::{
    Admission, Base, FileLog, Identity, Options, Reader, RealDisk, RootTracker,
};
use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

const ENTRY_BYTES: usize = 256;
const RUN: Duration = Duration::from_secs(5);

fn main() -> Result<(), Box<dyn Error>> {
    let dir = std::env::args_os().nth(1).map_or_else(std::env::temp_dir, PathBuf::from);
    println!("{ENTRY_BYTES}-byte entries, fdatasync per batch, in {}", dir.display());
    for batch in [1, 128, 1024] {
        let home = dir.join(format!("append-rate-{}-{batch}", std::process::id()));
        let measured = measure(&home, batch);
        std::fs::remove_dir_all(&home)?;
        measured?;
    }
    Ok(())
}

fn measure(home: &Path, batch: usize) -> Result<(), Box<dyn Error>> {
    let disk = Arc::new(RealDisk);
    let identity = Identity { cluster_id: [7; 16], lineage: [8; 16] };
    let mut log =
        FileLog::create(disk.clone(), home, identity, Base::genesis(), Options::default())?;
    log.confirm_end(&[])?;
    log.begin_term(1)?;
    let entries: Vec<Vec<u8>> = (1..=u8::MAX).cycle().take(batch).map(entry).collect();
    let entries: Vec<&[u8]> = entries.iter().map(Vec::as_slice).collect();
    let mut latencies_us = Vec::new();
    let start = Instant::now();
    while start.elapsed() < RUN {
        let began = Instant::now();
        log.append(&entries, Admission::Normal)?;
        latencies_us.push(began.elapsed().as_micros());
    }
    let seconds = start.elapsed().as_secs_f64();
    latencies_us.sort_unstable();
    let quantile = |part: usize| latencies_us[(latencies_us.len() - 1) * part / 1000];
    let rate = log.next() as f64 / seconds;
    println!(
        "batch {batch:5}: {rate:10.0} entries/s; \
         append p50 {} us, p99 {} us, p99.9 {} us, max {} us",
        quantile(500),
        quantile(990),
        quantile(999),
        quantile(1000)
    );
    let next = log.next();
    log.close()?;
    read_back(home, next)
}

/// An entry without long runs of one byte.
fn entry(seed: u8) -> Vec<u8> {
    (0..ENTRY_BYTES)
        .scan(seed, |byte, _| {
            *byte = byte.wrapping_mul(31).wrapping_add(7);
            Some(*byte)
        })
        .collect()
}

fn read_back(home: &Path, next: u64) -> Result<(), Box<dyn Error>> {
    let disk = Arc::new(RealDisk);
    let start = Instant::now();
    let mut count = 0;
    for batch in Reader::external(disk.clone(), home, 0)? {
        count += batch?.records.len() as u64;
    }
    let read_rate = count as f64 / start.elapsed().as_secs_f64();
    assert_eq!(count, next, "everything that was appended is read");
    let start = Instant::now();
    let mut tracker = RootTracker::new(&Base::genesis());
    tracker.follow(&mut Reader::external(disk.clone(), home, 0)?)?;
    let root_rate = count as f64 / start.elapsed().as_secs_f64();
    let start = Instant::now();
    let (log, _) = FileLog::open(disk, home, Options::default())?;
    let open_ms = start.elapsed().as_millis();
    drop(log);
    println!(
        "             read back {read_rate:.0} entries/s, with journal root {root_rate:.0}; \
         open {open_ms} ms"
    );
    Ok(())
}
