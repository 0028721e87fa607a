//! Why a recovery step could not be done.

use evenkeel_journal::JournalError;
use evenkeel_types::DecodeError;
use thiserror::Error;

use crate::agreement::Divergence;

/// Result of this crate.
pub type Result<T, E = RecoveryError> = std::result::Result<T, E>;

/// Each names what happened and what is safe; the command to type next stands in the message of
/// the layer that failed, or here.
#[derive(Debug, Error)]
pub enum RecoveryError {
    /// The journal refused or failed.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The vault refused or failed.
    #[error(transparent)]
    Vault(#[from] evenkeel_vault::Error),
    /// Primary and follower differ.
    #[error(transparent)]
    Divergence(#[from] Divergence),
    /// A snapshot does not hold together.
    #[error(
        "the snapshot cannot be used: {detail}; the journal and older recovery points are \
         untouched; restore from an earlier point with --at-position"
    )]
    Snapshot {
        /// What is wrong with it.
        detail: String,
    },
    /// Bytes at a position are no entry.
    #[error(
        "entry {position} cannot be decoded: {source}; nothing behind it was applied; a newer \
         version of this program may have written it"
    )]
    Entry {
        /// Its position.
        position: u64,
        /// Why.
        source: DecodeError,
    },
    /// Frames that do not continue one another.
    #[error(
        "the sites hold no entries from position {missing_from} to {missing_to}; everything \
         before {missing_from} can be restored: --at-position {missing_from}"
    )]
    Gap {
        /// First missing position.
        missing_from: u64,
        /// First position present behind the gap.
        missing_to: u64,
    },
    /// Frames came from behind a gap.
    #[error(
        "entries {missing_from} to below {missing_to} have not come here; nothing behind them was \
         applied, and this standby is not promoted before it has them"
    )]
    Behind {
        /// First missing position.
        missing_from: u64,
        /// First position that came.
        missing_to: u64,
    },
    /// The other side of a link said what it must not.
    #[error(transparent)]
    Link(#[from] crate::link::Unexpected),
    /// A standby that must not become primary.
    #[error("this standby is not promoted: {0}")]
    Barred(Box<crate::standby::Bar>),
    /// There is no recovery point at or before what was asked for.
    #[error("no recovery point reaches back to {asked}; the earliest is at {earliest}")]
    BeforeFirstPoint {
        /// Position or time asked for, in words.
        asked: String,
        /// What there is, in words.
        earliest: String,
    },
    /// What came back is not what was promised.
    #[error("{what} differs: promised {promised}, restored {restored}; nothing was written")]
    Mismatch {
        /// Which root or figure.
        what: &'static str,
        /// As signed at the sites.
        promised: String,
        /// As computed from what came back.
        restored: String,
    },
    /// Accounts could not be recomputed.
    #[error("a figure leaves 128 bits while recomputing accounts")]
    Arithmetic(#[from] evenkeel_types::money::ArithmeticError),
    /// Writing what was restored failed.
    #[error("{action}: {source}")]
    Sink {
        /// What was being written.
        action: String,
        /// Why it failed.
        source: std::io::Error,
    },
}
