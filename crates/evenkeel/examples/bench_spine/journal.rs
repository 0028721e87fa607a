//! Entries that become durable: `FileLog`, SQLite and a bare file, in turn on the same disk.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use evenkeel::demo::Random;
use evenkeel_journal::{Admission, Base, FileLog, Identity, Options, RealDisk};
use rusqlite::Connection;

use crate::figures::{Samples, count, median};
use crate::{Outcome, Plan};

const ENTRY_BYTES: usize = 256;
const BATCHES: [usize; 4] = [1, 16, 128, 1024];
const ROUNDS: usize = 3;
/// The bare file: as large as a segment, written round and round.
const BARE_BYTES: u64 = 64 << 20;

/// Something that makes a batch durable.
trait Store {
    fn append(&mut self, batch: &[&[u8]]) -> Outcome;
}

struct Log(FileLog);

impl Store for Log {
    fn append(&mut self, batch: &[&[u8]]) -> Outcome {
        self.0.append(batch, Admission::Normal)?;
        Ok(())
    }
}

/// One table by position, one transaction a batch: what a venue would write first.
struct Sqlite {
    connection: Connection,
    position: i64,
}

impl Store for Sqlite {
    fn append(&mut self, batch: &[&[u8]]) -> Outcome {
        let transaction = self.connection.transaction()?;
        {
            let mut insert = transaction.prepare_cached("INSERT INTO journal VALUES (?1, ?2)")?;
            for entry in batch {
                insert.execute((self.position, *entry))?;
                self.position += 1;
            }
        }
        transaction.commit()?;
        Ok(())
    }
}

/// The limit: nothing but the bytes and `fdatasync`, on space that is zeroed already.
struct Bare {
    file: File,
    at: u64,
    buffer: Vec<u8>,
}

impl Store for Bare {
    fn append(&mut self, batch: &[&[u8]]) -> Outcome {
        self.buffer.clear();
        batch.iter().for_each(|entry| self.buffer.extend_from_slice(entry));
        let length = self.buffer.len() as u64;
        if self.at + length > BARE_BYTES {
            self.at = 0;
        }
        self.file.write_all_at(&self.buffer, self.at)?;
        self.file.sync_data()?;
        self.at += length;
        Ok(())
    }
}

fn stores(dir: &Path) -> Outcome<[(&'static str, Box<dyn Store>); 3]> {
    let identity = Identity { cluster_id: [7; 16], lineage: [8; 16] };
    let (disk, home) = (Arc::new(RealDisk), dir.join("journal"));
    let mut log = FileLog::create(disk, &home, identity, Base::genesis(), Options::default())?;
    log.confirm_end(&[])?;
    log.begin_term(1)?;
    let connection = Connection::open(dir.join("journal.sqlite"))?;
    let mode: String = connection.query_row("PRAGMA journal_mode=WAL", [], |row| row.get(0))?;
    connection.execute_batch(
        "PRAGMA synchronous=FULL;
         CREATE TABLE journal (position INTEGER PRIMARY KEY, entry BLOB NOT NULL);",
    )?;
    let full: i64 = connection.query_row("PRAGMA synchronous", [], |row| row.get(0))?;
    if mode != "wal" || full != 2 {
        return Err(format!("SQLite took journal_mode {mode}, synchronous {full}").into());
    }
    let file = File::create(dir.join("bare"))?;
    for at in (0..BARE_BYTES).step_by(1 << 20) {
        file.write_all_at(&vec![0; 1 << 20], at)?;
    }
    file.sync_all()?;
    Ok([
        ("FileLog", Box::new(Log(log))),
        ("SQLite WAL, FULL", Box::new(Sqlite { connection, position: 0 })),
        ("bare fdatasync", Box::new(Bare { file, at: 0, buffer: Vec::new() })),
    ])
}

/// Appends for a while; entries a second, and how long each append took.
fn fill(store: &mut dyn Store, batch: &[&[u8]], run: Duration) -> Outcome<(f64, Samples)> {
    let (mut samples, mut entries) = (Samples::default(), 0);
    let started = Instant::now();
    while started.elapsed() < run {
        let begun = Instant::now();
        store.append(batch)?;
        samples.add(begun.elapsed());
        entries += batch.len();
    }
    Ok((entries as f64 / started.elapsed().as_secs_f64(), samples))
}

pub(crate) fn run(plan: &Plan) -> Outcome {
    let run = Duration::from_millis(if plan.quick { 300 } else { 2_000 });
    let mut random = Random::new(plan.seed, 1);
    println!("entries of {ENTRY_BYTES} bytes, each batch durable before the next begins;");
    println!("{ROUNDS} rounds of {run:?} in turn, the median of the rates; ratio to FileLog");
    for size in BATCHES {
        let mut entry = || -> Vec<u8> {
            (0..ENTRY_BYTES / 8).flat_map(|_| random.bits().to_le_bytes()).collect()
        };
        let entries: Vec<Vec<u8>> = (0..size).map(|_| entry()).collect();
        let batch: Vec<&[u8]> = entries.iter().map(Vec::as_slice).collect();
        let scratch = plan.scratch()?;
        let mut stores = stores(scratch.path())?;
        let mut rates: [Vec<f64>; 3] = Default::default();
        let mut samples: [Samples; 3] = Default::default();
        for _ in 0..ROUNDS {
            for (at, (_, store)) in stores.iter_mut().enumerate() {
                let (rate, latencies) = fill(store.as_mut(), &batch, run)?;
                rates[at].push(rate);
                samples[at].merge(latencies);
            }
        }
        let own = median(&rates[0]);
        for (at, (name, _)) in stores.iter().enumerate() {
            let rate = median(&rates[at]);
            println!(
                "batch {size:>5}  {name:<18} {:>10}/s  x{:<6.2} {}",
                count(rate),
                rate / own,
                samples[at].words()
            );
        }
    }
    Ok(())
}
