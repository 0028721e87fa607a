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

/// Removed when it goes, whatever happened.
struct Temporary(PathBuf);

impl Temporary {
    fn remove(&self) {
        for ending in ["", "-wal", "-shm", "-journal"] {
            let mut name = self.0.clone().into_os_string();
            name.push(ending);
            // What is not there need not be removed; what cannot be is in a private folder.
            let _ = fs::remove_file(PathBuf::from(name));
        }
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        self.remove();
    }
}
