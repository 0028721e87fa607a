//! A consistent copy of an SQLite database that others may be writing.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};

/// How long a writer that holds the database for itself is waited for.
const PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(20);

/// Copies what is committed, at one moment, into a file of the scratch folder, and gives it open
/// and already without a name. Writers in WAL mode are not held up.
pub(super) fn copy(database: &Path, scratch: &Path) -> io::Result<File> {
    let target = Temporary(scratch.join(format!("copy-{}.sqlite", std::process::id())));
    target.remove();
    copy_into(database, &target.0).map_err(|error| {
        io::Error::other(format!("SQLite could not copy it consistently: {error}"))
    })?;
    File::open(&target.0)
}

fn copy_into(database: &Path, target: &Path) -> rusqlite::Result<()> {
    let source = Connection::open_with_flags(
        database,
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    source.busy_timeout(PATIENCE)?;
    if copied_as_it_is(&source, database, target)? {
        return Ok(());
    }
    let mut into = Connection::open(target)?;
    // It is read once and thrown away: nothing of it has to survive a crash.
    into.pragma_update(None, "synchronous", "OFF")?;
    {
        let backup = Backup::new(&source, &mut into)?;
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
/// read transaction keeps writers of a rollback journal, and checkpoints of a log, from changing
/// that file meanwhile. False if the file alone is not the database, or cannot be copied.
fn copied_as_it_is(source: &Connection, database: &Path, target: &Path) -> rusqlite::Result<bool> {
    source.execute_batch("BEGIN")?;
    // The first statement that reads begins the transaction and takes its lock.
    source.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
    let is_empty =
        |ending: &str| fs::metadata(beside(database, ending)).map_or(true, |meta| meta.len() == 0);
    let copied =
        ["-wal", "-journal"].into_iter().all(is_empty) && fs::copy(database, target).is_ok();
    // Closing any handle of the file gives the lock up, so this is only said for order's sake.
    source.execute_batch("ROLLBACK")?;
    Ok(copied)
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
