//! Errors. Each says what happened, what is safe, and what to do next.

use std::io;
use std::path::{Path, PathBuf};

use evenkeel_journal::Holder;
use thiserror::Error;

use crate::sqlite::wal::WalProblem;

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can go wrong while capturing or restoring.
#[derive(Debug, Error)]
pub enum Error {
    /// The database is not there.
    #[error(
        "{path}: there is no database; what was captured before is safe; create it, or \
             correct the path"
    )]
    Missing {
        /// Where it should be.
        path: PathBuf,
    },
    /// The file is something else.
    #[error("{path}: not an SQLite database; nothing was captured from it; correct the path")]
    NotADatabase {
        /// The file.
        path: PathBuf,
    },
    /// The database does not keep a write-ahead log.
    #[error(
        "{path}: the journal mode is not WAL, so changes cannot be followed; what was \
             captured before is safe; run `PRAGMA journal_mode=WAL` in the program that owns it"
    )]
    NotWal {
        /// The database.
        path: PathBuf,
    },
    /// A writer would not let go in time.
    #[error(
        "{path}: a transaction of another program held the database for {waited_ms} ms; \
             nothing is lost; capture tries again"
    )]
    Busy {
        /// The database.
        path: PathBuf,
        /// How long was waited.
        waited_ms: u64,
    },
    /// SQLite refused.
    #[error("{path}: SQLite could not {action}: {source}; what was captured before is safe")]
    Sqlite {
        /// What was being done.
        action: &'static str,
        /// The database.
        path: PathBuf,
        /// What it said.
        source: rusqlite::Error,
    },
    /// A committed part of the log does not read back.
    #[error(
        "{path}: the database's log is damaged below its last commit: {problem}; what was \
             captured before is safe; check the disk, then let the database's owner checkpoint"
    )]
    Log {
        /// The database.
        path: PathBuf,
        /// What is wrong.
        problem: WalProblem,
    },
    /// A file could not be read or written.
    #[error("{path}: could not {action}: {source}")]
    Io {
        /// What was being done.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Somebody else writes this spool.
    #[error("{path}: another process (pid {}) writes this spool: {}; stop it first", .holder.pid,
            .holder.command)]
    Locked {
        /// The spool's folder.
        path: PathBuf,
        /// Who.
        holder: Holder,
    },
    /// A write or sync of the spool failed before; it has to be opened again.
    #[error(
        "{path}: the spool failed before and takes nothing more until it is opened again; \
             what it acknowledged is safe"
    )]
    SpoolFailed {
        /// The spool's folder.
        path: PathBuf,
    },
    /// The spool does not hold what is asked for.
    #[error("{path}: the spool holds no {what}; {held}")]
    NoSuchPoint {
        /// The spool's folder.
        path: PathBuf,
        /// What was asked for.
        what: String,
        /// What it holds.
        held: String,
    },
    /// Bytes of the spool changed.
    #[error(
        "{path}: record {record} of the spool is damaged; commits before it and snapshots \
             behind it are safe; restore one of those, or fetch the segment from a site"
    )]
    Damaged {
        /// The segment.
        path: PathBuf,
        /// The record.
        record: u64,
    },
    /// A restored database is not what was captured.
    #[error(
        "{path}: the restored database is not usable: {detail}; it was not put in place; \
             the spool is unchanged; restore an earlier commit and report this"
    )]
    NotRestored {
        /// Where it would have been.
        path: PathBuf,
        /// What is wrong with it.
        detail: String,
    },
}

/// Adds what was being done to an error of the system.
pub(crate) fn io_error<'a>(
    action: &'static str,
    path: &'a Path,
) -> impl Fn(io::Error) -> Error + 'a {
    move |source| Error::Io { action, path: path.to_path_buf(), source }
}
