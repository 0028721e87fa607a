//! The logs. Each makes a batch of entries durable before it returns, and drops what is old now and
//! then, as a log in use does.

use std::path::Path;
use std::sync::Arc;

use evenkeel_journal::{Admission, Base, FileLog, Identity, Options, RealDisk};
use raft_engine::{Config, Engine, LogBatch, MessageExt, ReadableSize};
use raft_proto::eraftpb::Entry;
use rusqlite::Connection;

use crate::Outcome;

/// Something that makes a batch durable.
pub(crate) trait DurableLog {
    fn append(&mut self, batch: &[&[u8]]) -> Outcome;
}

/// Entries that are kept; what is older may be dropped.
pub(crate) const KEPT: u64 = 2_000_000;
/// Entries between two looks at what may be dropped.
const LOOK_EVERY: u64 = 100_000;

struct Own {
    log: FileLog,
    /// Entries since the last look.
    unlooked: u64,
}

impl DurableLog for Own {
    fn append(&mut self, batch: &[&[u8]]) -> Outcome {
        self.log.append(batch, Admission::Normal)?;
        self.unlooked += batch.len() as u64;
        if self.unlooked >= LOOK_EVERY {
            self.unlooked = 0;
            self.log.trim_beside(self.log.next().saturating_sub(KEPT))?;
        }
        Ok(())
    }
}

/// One table by position, one transaction a batch: what a venue would write first.
struct Sqlite {
    connection: Connection,
    position: i64,
}

impl DurableLog for Sqlite {
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

/// TiKV's log of raft entries.
struct Raft {
    engine: Engine,
    next: u64,
    /// Entries since the last look.
    unlooked: u64,
}

const REGION: u64 = 1;

struct Whole;

impl MessageExt for Whole {
    type Entry = Entry;

    fn index(entry: &Entry) -> u64 {
        entry.index
    }
}

impl DurableLog for Raft {
    fn append(&mut self, batch: &[&[u8]]) -> Outcome {
        let entries: Vec<Entry> = (self.next..)
            .zip(batch)
            .map(|(index, bytes)| {
                let mut entry = Entry { index, term: 1, ..Entry::default() };
                entry.data = bytes.to_vec().into();
                entry
            })
            .collect();
        let mut write = LogBatch::with_capacity(1);
        write.add_entries::<Whole>(REGION, &entries)?;
        self.engine.write(&mut write, true)?;
        self.next += batch.len() as u64;
        self.unlooked += batch.len() as u64;
        if self.unlooked >= LOOK_EVERY {
            self.unlooked = 0;
            self.engine.compact_to(REGION, self.next.saturating_sub(KEPT));
            self.engine.purge_expired_files()?;
        }
        Ok(())
    }
}

fn own(dir: &Path) -> Outcome<Box<dyn DurableLog>> {
    let identity = Identity { cluster_id: [7; 16], lineage: [8; 16] };
    let (disk, home) = (Arc::new(RealDisk), dir.join("journal"));
    let mut log = FileLog::create(disk, &home, identity, Base::genesis(), Options::default())?;
    log.confirm_end(&[])?;
    log.begin_term(1)?;
    Ok(Box::new(Own { log, unlooked: 0 }))
}

fn raft(dir: &Path) -> Outcome<Box<dyn DurableLog>> {
    let config = Config {
        dir: dir.join("raft").to_string_lossy().into_owned(),
        // As its makers ship it, but for compression: the entries are random.
        batch_compression_threshold: ReadableSize(0),
        ..Config::default()
    };
    Ok(Box::new(Raft { engine: Engine::open(config)?, next: 1, unlooked: 0 }))
}

fn sqlite(dir: &Path) -> Outcome<Box<dyn DurableLog>> {
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
    Ok(Box::new(Sqlite { connection, position: 0 }))
}

/// A log that takes part.
pub(crate) struct Log {
    /// What it is called on the command line.
    pub(crate) key: &'static str,
    pub(crate) name: &'static str,
    /// Makes an empty one in a folder.
    pub(crate) open: fn(&Path) -> Outcome<Box<dyn DurableLog>>,
}

/// Ours first.
pub(crate) const LOGS: [Log; 3] = [
    Log { key: "own", name: "FileLog", open: own },
    Log { key: "raft", name: "raft-engine 0.4.2", open: raft },
    Log { key: "sqlite", name: "SQLite WAL, FULL", open: sqlite },
];
