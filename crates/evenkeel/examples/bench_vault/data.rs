//! What is backed up: orders in SQLite, market data in JSON lines, and noise, a third each.

use std::fs::{self, File, OpenOptions};
use std::io::{BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use evenkeel::demo::Random;
use rusqlite::{Connection, params};

use crate::Outcome;

const ORDERS: &str = "orders.db";
const MARKET_FILES: usize = 24;
/// What a row of the table takes, about.
const ROW_BYTES: usize = 90;

/// Makes the data of about `bytes`.
pub(crate) fn create(dir: &Path, seed: u64, bytes: usize) -> Outcome {
    fs::create_dir_all(dir.join("market"))?;
    let rows = bytes / 3 / ROW_BYTES;
    let database = Connection::open(dir.join(ORDERS))?;
    database.execute_batch(
        "PRAGMA page_size = 4096; PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF;
         CREATE TABLE orders (id INTEGER PRIMARY KEY, time_ns INTEGER, instrument TEXT,
             side INTEGER, price INTEGER, size INTEGER, filled INTEGER, client TEXT);",
    )?;
    insert(&database, seed, 0, rows)?;
    database.execute_batch("PRAGMA wal_checkpoint(TRUNCATE);")?;
    drop(database);
    for file in 0..MARKET_FILES {
        let path = dir.join("market").join(format!("{file:03}.jsonl"));
        json(&path, seed + file as u64, bytes / 3 / MARKET_FILES)?;
    }
    noise(&dir.join("noise.bin"), seed, bytes / 3)
}

/// A day's change of about a hundredth: the newest orders are filled, others come, one more file of
/// market data; noise does not change.
pub(crate) fn a_day_on(dir: &Path, seed: u64, bytes: usize) -> Outcome {
    let rows = bytes / 3 / ROW_BYTES;
    let database = Connection::open(dir.join(ORDERS))?;
    let newest = i64::try_from(rows - rows / 100)?;
    database.execute("UPDATE orders SET filled = size WHERE id > ?1 AND id % 2 = 0", [newest])?;
    insert(&database, seed + 1, rows, rows / 100)?;
    database.execute_batch("PRAGMA wal_checkpoint(TRUNCATE);")?;
    drop(database);
    let path = dir.join("market").join(format!("{MARKET_FILES:03}.jsonl"));
    json(&path, seed + 99, bytes / 300)
}

fn insert(database: &Connection, seed: u64, after: usize, rows: usize) -> Outcome {
    let mut random = Random::new(seed, 4);
    let mut time_ns = 1_767_225_600_000_000_000_i64 + i64::try_from(after)? * 200_000;
    database.execute_batch("BEGIN")?;
    let mut statement =
        database.prepare("INSERT INTO orders VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")?;
    for row in 0..rows {
        time_ns += i64::try_from(random.below(400_000))?;
        let instrument = format!("BTC-27MAR26-{}000-C", 20 + random.below(100));
        let client = format!("{:016x}", random.bits());
        statement.execute(params![
            i64::try_from(after + row + 1)?,
            time_ns,
            instrument,
            i64::try_from(random.below(2))?,
            100_000 + random.between(-500, 500),
            random.between(1, 2_000),
            0,
            client,
        ])?;
    }
    drop(statement);
    database.execute_batch("COMMIT")?;
    Ok(())
}

fn json(path: &Path, seed: u64, bytes: usize) -> Outcome {
    let mut random = Random::new(seed, 5);
    let mut file = BufWriter::new(File::create(path)?);
    let (mut written, mut number) = (0, 0_u64);
    while written < bytes {
        number += 1;
        let (strike, bid) = (20 + random.below(100), random.below(65_536));
        let (ask, amount) = (bid + random.below(64), random.below(900));
        let line = format!(
            "{{\"instrument_name\":\"BTC-27MAR26-{strike}000-C\",\"change_id\":{number},\
             \"best_bid_price\":0.{bid:05},\"best_ask_price\":0.{ask:05},\"amount\":{amount}}}\n"
        );
        file.write_all(line.as_bytes())?;
        written += line.len();
    }
    file.flush()?;
    Ok(())
}

fn noise(path: &Path, seed: u64, bytes: usize) -> Outcome {
    let mut random = Random::new(seed, 6);
    let mut file = BufWriter::new(OpenOptions::new().create_new(true).write(true).open(path)?);
    for _ in 0..bytes / 8 {
        file.write_all(&random.bits().to_le_bytes())?;
    }
    file.flush()?;
    Ok(())
}

/// An error unless every file of `source` came back below `restored`, wherever a tool puts it. The
/// database's own side files may be missing.
pub(crate) fn compare(source: &Path, restored: &Path) -> Outcome {
    let back = files(restored)?;
    for path in files(source)? {
        let name = path.strip_prefix(source)?;
        if ["-wal", "-shm"].iter().any(|end| name.to_string_lossy().ends_with(end)) {
            continue;
        }
        let found = back.iter().find(|other| other.ends_with(name));
        let found = found.ok_or_else(|| format!("{} did not come back", name.display()))?;
        if hash(&path)? != hash(found)? {
            return Err(format!("{} came back as something else", name.display()).into());
        }
    }
    Ok(())
}

fn files(dir: &Path) -> Outcome<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.metadata()?.is_dir() {
            found.extend(files(&entry.path())?);
        } else {
            found.push(entry.path());
        }
    }
    Ok(found)
}

fn hash(path: &Path) -> Outcome<blake3::Hash> {
    let (mut file, mut hasher) = (File::open(path)?, blake3::Hasher::new());
    let mut buffer = vec![0; 1 << 20];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hasher.finalize()),
            read => hasher.update(&buffer[..read]),
        };
    }
}
