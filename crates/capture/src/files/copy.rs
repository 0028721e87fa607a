//! The consistent bytes of an SQLite database that others may be writing.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};

/// How long a writer that holds the database for itself is waited for.
const PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(20);

/// How long a database is read in place: meanwhile its log cannot be checkpointed, and grows.
const IN_PLACE_MAX: Duration = Duration::from_secs(5);

/// What was committed at one moment, to be read once.
pub(super) enum Consistent {
    /// A copy, open and already without a name.
    Copied(File),
    /// The database's own file.
    InPlace(InPlace),
}

impl Consistent {
    /// Of a database; copies go to the scratch folder. Writers in WAL mode are not held up.
    pub(super) fn of(database: &Path, scratch: &Path) -> io::Result<Self> {
        let target = Temporary::new(scratch);
        let taken = (|| {
            let source = open(database)?;
            if let Some(held) = begin_as_it_is(&source, database)? {
                let journal: String =
                    source.query_row("PRAGMA journal_mode", [], |row| row.get(0))?;
                if journal == "wal" {
                    let length_bytes = held.metadata().map_err(failed)?.len();
                    return Ok(Some(InPlace {
                        file: held,
                        length_bytes,
                        read_bytes: 0,
                        until: Instant::now() + IN_PLACE_MAX,
                        scratch: scratch.to_owned(),
                        _held: source,
                    }));
                }
                // A writer with a rollback journal would wait for as long as this is read.
                copy_range(&held, 0, &target.0).map_err(failed)?;
                return Ok(None);
            }
            copy_pages(&source, &target.0).map(|()| None)
        })();
        match taken.map_err(|error: rusqlite::Error| {
            io::Error::other(format!("SQLite could not copy it consistently: {error}"))
        })? {
            Some(in_place) => Ok(Self::InPlace(in_place)),
            None => File::open(&target.0).map(Self::Copied),
        }
    }

    /// Bytes from the beginning to the end.
    pub(super) fn length_bytes(&self) -> io::Result<u64> {
        match self {
            Self::Copied(file) => Ok(file.metadata()?.len()),
            Self::InPlace(in_place) => Ok(in_place.length_bytes),
        }
    }
}

impl Read for Consistent {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if let Self::InPlace(in_place) = self
            && Instant::now() >= in_place.until
        {
            *self = Self::Copied(in_place.copy_rest()?);
        }
        match self {
            Self::Copied(file) => file.read(into),
            Self::InPlace(in_place) => in_place.read(into),
        }
    }
}

/// A database file that is the database, for as long as its read transaction lasts.
pub(super) struct InPlace {
    file: File,
    length_bytes: u64,
    read_bytes: u64,
    until: Instant,
    scratch: PathBuf,
    _held: Connection,
}

impl InPlace {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.length_bytes - self.read_bytes).unwrap_or(usize::MAX);
        let most = left.min(into.len());
        let count = self.file.read_at(&mut into[..most], self.read_bytes)?;
        self.read_bytes += count as u64;
        Ok(count)
    }

    /// What was not read yet, so that the database can be let go.
    fn copy_rest(&self) -> io::Result<File> {
        let target = Temporary::new(&self.scratch);
        copy_range(&self.file, self.read_bytes, &target.0)?;
        File::open(&target.0)
    }
}

fn copy_range(mut from: &File, offset_bytes: u64, target: &Path) -> io::Result<()> {
    io::Seek::seek(&mut from, io::SeekFrom::Start(offset_bytes))?;
    io::copy(&mut from, &mut File::create(target)?).map(drop)
}

fn failed(error: io::Error) -> rusqlite::Error {
    rusqlite::Error::ToSqlConversionFailure(Box::new(error))
}

fn open(database: &Path) -> rusqlite::Result<Connection> {
    let source = Connection::open_with_flags(
        database,
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    source.busy_timeout(PATIENCE)?;
    Ok(source)
}

/// Page by page, by SQLite itself.
fn copy_pages(source: &Connection, target: &Path) -> rusqlite::Result<()> {
    let mut into = Connection::open(target)?;
    // It is read once and thrown away: nothing of it has to survive a crash.
    into.pragma_update(None, "synchronous", "OFF")?;
    {
        let backup = Backup::new(source, &mut into)?;
        let mut waited = Duration::ZERO;
        // All pages in one step: the read lock is held from the first to the last.
        loop {
            match backup.step(-1)? {
                StepResult::Done => break,
                StepResult::Busy | StepResult::Locked if waited < PATIENCE => {
                    std::thread::sleep(PAUSE);
                    waited += PAUSE;
                }
                StepResult::Busy | StepResult::Locked => {
                    return Err(rusqlite::Error::SqliteFailure(
                        rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_BUSY),
                        Some("another program held it all the time".to_owned()),
                    ));
                }
                _ => {}
            }
        }
    }
    into.close().map_err(|(_, error)| error)
}

/// A database of which nothing lies in a log or a journal beside it is its file, byte for byte. A
/// read transaction, left open here, keeps writers of a rollback journal, and checkpoints of a log,
/// from changing that file meanwhile. None, and no transaction, if the file alone is not the
/// database. Closing any handle of the file gives the locks on it up.
fn begin_as_it_is(source: &Connection, database: &Path) -> rusqlite::Result<Option<File>> {
    source.execute_batch("BEGIN")?;
    // The first statement that reads begins the transaction and takes its lock.
    source.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
    let is_empty =
        |ending: &str| fs::metadata(beside(database, ending)).map_or(true, |meta| meta.len() == 0);
    if ["-wal", "-journal"].into_iter().all(is_empty)
        && let Ok(file) = File::open(database)
    {
        return Ok(Some(file));
    }
    source.execute_batch("ROLLBACK")?;
    Ok(None)
}

/// The file beside a database whose name ends so.
fn beside(database: &Path, ending: &str) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}

/// Removed when it goes, whatever happened.
struct Temporary(PathBuf);

impl Temporary {
    fn new(scratch: &Path) -> Self {
        let target = Self(scratch.join(format!("copy-{}.sqlite", std::process::id())));
        target.remove();
        target
    }

    fn remove(&self) {
        for ending in ["", "-wal", "-shm", "-journal"] {
            // What is not there need not be removed; what cannot be is in a private folder.
            let _ = fs::remove_file(beside(&self.0, ending));
        }
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        self.remove();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn database(folder: &Path, journal: &str) -> PathBuf {
        let path = folder.join("orders.db");
        let writer = Connection::open(&path).unwrap();
        writer
            .execute_batch(&format!(
                "PRAGMA journal_mode = {journal}; CREATE TABLE orders(id INTEGER, note TEXT);
                 WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
                 INSERT INTO orders SELECT i, 'order ' || i FROM n;
                 PRAGMA wal_checkpoint(TRUNCATE);"
            ))
            .unwrap();
        path
    }

    fn write_and_checkpoint(path: &Path) -> bool {
        let writer = Connection::open(path).unwrap();
        writer.busy_timeout(Duration::ZERO).unwrap();
        writer.execute_batch("UPDATE orders SET note = 'changed'").unwrap();
        let busy: i64 =
            writer.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0)).unwrap();
        busy == 0
    }

    #[test]
    fn a_database_in_wal_mode_is_read_in_place_and_held_until_it_was_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = database(folder.path(), "WAL");
        let before = fs::read(&path).unwrap();
        let mut reading = Consistent::of(&path, folder.path()).unwrap();
        assert!(matches!(reading, Consistent::InPlace(_)));
        let mut bytes = vec![0; 10_000];
        reading.read_exact(&mut bytes).unwrap();
        assert!(!write_and_checkpoint(&path), "a checkpoint changed what is being read");
        assert!(fs::read(&path).unwrap() == before);
        reading.read_to_end(&mut bytes).unwrap();
        assert!(bytes == before);
        drop(reading);
        assert!(write_and_checkpoint(&path), "the database was not let go");
    }

    #[test]
    fn a_database_that_was_held_long_enough_is_let_go_and_its_rest_read_from_a_copy() {
        let folder = tempfile::tempdir().unwrap();
        let path = database(folder.path(), "WAL");
        let before = fs::read(&path).unwrap();
        let mut reading = Consistent::of(&path, folder.path()).unwrap();
        let mut bytes = vec![0; 10_000];
        reading.read_exact(&mut bytes).unwrap();
        if let Consistent::InPlace(in_place) = &mut reading {
            in_place.until = Instant::now();
        }
        let mut more = vec![0; 10_000];
        reading.read_exact(&mut more).unwrap();
        assert!(matches!(reading, Consistent::Copied(_)));
        assert!(write_and_checkpoint(&path), "the database was not let go");
        bytes.append(&mut more);
        reading.read_to_end(&mut bytes).unwrap();
        assert!(bytes == before);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "a copy was left behind");
    }

    #[test]
    fn a_database_with_a_rollback_journal_is_copied_and_let_go_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = database(folder.path(), "DELETE");
        let before = fs::read(&path).unwrap();
        let mut reading = Consistent::of(&path, folder.path()).unwrap();
        let writer = Connection::open(&path).unwrap();
        writer.execute_batch("UPDATE orders SET note = 'changed'").unwrap();
        let mut bytes = Vec::new();
        reading.read_to_end(&mut bytes).unwrap();
        assert!(bytes == before);
    }
}
