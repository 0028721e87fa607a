//! Errors around PostgreSQL. Each says what happened, what is safe, and what to type next.

use std::io;
use std::path::{Path, PathBuf};

use evenkeel_journal::Holder;
use thiserror::Error;

use super::lsn::{Lsn, Timeline};

/// Result of this module.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can go wrong between us and a server, and in our folder of its log.
#[derive(Debug, Error)]
pub enum Error {
    /// Nobody answers, or somebody stopped answering.
    #[error(
        "{server}: no connection: {detail}; what was captured is safe and capture goes on when \
             the server is back; look at it with: pg_isready -h HOST -p PORT"
    )]
    Unreachable {
        /// Whom we tried.
        server: String,
        /// What the system said.
        detail: String,
    },
    /// The connection cannot be made secret.
    #[error(
        "{server}: no TLS connection: {detail}; nothing was sent; name the authority's \
             certificate with sslrootcert=FILE in the URL, or say sslmode=disable if the network \
             is your own"
    )]
    Tls {
        /// Whom we tried.
        server: String,
        /// What is wrong.
        detail: String,
    },
    /// Role or password are not accepted.
    #[error(
        "{server}: the server does not let `{user}` in: {detail}; what was captured is safe; \
             correct password_file, or in psql: ALTER ROLE {user} PASSWORD '…', and see that \
             pg_hba.conf has a line `host replication {user} ADDRESS scram-sha-256`"
    )]
    NotLetIn {
        /// Whom we tried.
        server: String,
        /// As whom.
        user: String,
        /// What the server said.
        detail: String,
    },
    /// The role may not replicate.
    #[error(
        "{server}: the role `{user}` may not replicate; nothing was captured; in psql as an \
             administrator: ALTER ROLE {user} REPLICATION;"
    )]
    NoReplicationRight {
        /// The server.
        server: String,
        /// The role.
        user: String,
    },
    /// The log does not hold what a copy needs.
    #[error(
        "{server}: wal_level is `{found}`, which cannot be captured; nothing was captured; in \
             psql as an administrator: ALTER SYSTEM SET wal_level = replica; ALTER SYSTEM SET \
             max_wal_senders = 10; then restart the server"
    )]
    WalLevel {
        /// The server.
        server: String,
        /// What it is set to.
        found: String,
    },
    /// All places for replication are taken.
    #[error(
        "{server}: no place for replication is free: {detail}; what was captured is safe; in \
             psql as an administrator: ALTER SYSTEM SET max_wal_senders = 10; ALTER SYSTEM SET \
             max_replication_slots = 10; then restart the server"
    )]
    NoPlace {
        /// The server.
        server: String,
        /// What it said.
        detail: String,
    },
    /// Too old.
    #[error("{server}: version {found} of PostgreSQL; capture needs 15 or newer")]
    Version {
        /// The server.
        server: String,
        /// Its version.
        found: String,
    },
    /// Another cluster answers at this address.
    #[error(
        "{server}: this is another cluster: its system identifier is {found}, that of what was \
             captured is {expected}; nothing of it was taken and nothing captured was touched; \
             correct the URL, or protect the new cluster under a new name"
    )]
    OtherCluster {
        /// The server.
        server: String,
        /// What was captured.
        expected: u64,
        /// What answers.
        found: u64,
    },
    /// The server's history is not a continuation of ours.
    #[error(
        "{server}: its log contradicts what was captured at {lsn} on timeline {timeline}: \
             {detail}; nothing captured was touched; if the server was put back to an earlier \
             state, protect it under a new name"
    )]
    Contradiction {
        /// The server.
        server: String,
        /// Where.
        lsn: Lsn,
        /// On which timeline.
        timeline: Timeline,
        /// What differs.
        detail: String,
    },
    /// The server is not as far as what was captured.
    #[error(
        "{server}: {detail}, and what was captured goes up to {lsn} on timeline {timeline}; \
             nothing of it was taken; capture goes on when this or another server of the URL has \
             been promoted; if the cluster was put back to an earlier state, protect it under a \
             new name"
    )]
    Behind {
        /// The server.
        server: String,
        /// What we have goes up to here …
        lsn: Lsn,
        /// … on this timeline.
        timeline: Timeline,
        /// How far the server is.
        detail: String,
    },
    /// The server has removed log that we lack.
    #[error(
        "{server}: the log from {lsn} on was removed before it was captured; the gap is recorded \
             and a new base backup follows; to keep it from happening again, in psql: ALTER SYSTEM \
             SET max_slot_wal_keep_size = '…'; (-1 keeps everything)"
    )]
    Removed {
        /// The server.
        server: String,
        /// What we have goes up to here.
        lsn: Lsn,
    },
    /// Somebody else uses our slot.
    #[error(
        "{server}: another connection uses the slot: {detail}; what was captured is safe; stop \
             the other one; a server notices a dead one within wal_sender_timeout"
    )]
    SlotBusy {
        /// The server.
        server: String,
        /// What it said.
        detail: String,
    },
    /// The server refuses for another reason.
    #[error("{server}: {message} (SQLSTATE {code}); what was captured is safe")]
    Server {
        /// The server.
        server: String,
        /// Five characters, see appendix A of PostgreSQL's manual.
        code: String,
        /// Its words.
        message: String,
    },
    /// Whoever answers does not speak the protocol.
    #[error("{server}: not understood: {detail}; what was captured is safe")]
    Protocol {
        /// The server.
        server: String,
        /// What.
        detail: String,
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
    /// Somebody else captures into this folder.
    #[error("{path}: another process (pid {}) captures here: {}; stop it first", .holder.pid,
            .holder.command)]
    Locked {
        /// The folder.
        path: PathBuf,
        /// Who.
        holder: Holder,
    },
    /// A file of ours is not what we wrote.
    #[error("{path}: damaged: {detail}; nothing was changed; bring the folder back from a point")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        detail: String,
    },
    /// It cannot be brought back to that.
    #[error("{what}; nothing was written; what can be restored: {windows}")]
    NotCovered {
        /// What was asked for.
        what: String,
        /// What there is.
        windows: String,
    },
    /// The place to restore into is taken.
    #[error("{path}: is not empty; nothing was written; name a new folder: --to NEW")]
    Occupied {
        /// The folder.
        path: PathBuf,
    },
    /// Whoever runs capture asked it to end.
    #[error("stopped as asked; what was captured is safe")]
    Stopped,
}

impl Error {
    /// Whether trying again later may help without anybody's doing.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::SlotBusy { .. } | Self::Behind { .. })
            || matches!(self, Self::Server { code, .. } if is_passing(code))
    }
}

/// Shutting down, starting up, out of connections or of other resources.
fn is_passing(code: &str) -> bool {
    code.starts_with("57P") || code.starts_with("53") || code.starts_with("08")
}

/// Adds what was being done to an error of the system.
pub(super) fn io_error<'a>(
    action: &'static str,
    path: &'a Path,
) -> impl Fn(io::Error) -> Error + 'a {
    move |source| Error::Io { action, path: path.to_path_buf(), source }
}
