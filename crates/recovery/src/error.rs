//! Why a recovery step could not be done.

use evenkeel_journal::JournalError;
use evenkeel_types::DecodeError;
use evenkeel_types::merkle::Hash;
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
    /// Applying an entry panicked, and the journal does not say that it is passed over.
    #[error(
        "the program panics at entry {}: {}; nothing behind it was applied, and nothing was \
         changed; the next start lets a second process try it: evenkeel up",
        .0.position, .0.text
    )]
    Poisoned(Box<crate::skips::Poisoned>),
    /// The journal says that an entry is passed over which was applied here.
    #[error(
        "the journal passes over entry {position}, which was applied here; what was computed \
         since is thrown away and computed again from a snapshot before it"
    )]
    GoBack {
        /// Its position.
        position: u64,
        /// Its RFC 6962 leaf hash, as the journal says.
        entry: Hash,
    },
    /// The journal says that another entry is passed over than stands there.
    #[error(
        "the journal passes over entry {position} with hash {}, but {} stands there: one of them \
         is damaged; nothing was applied; evenkeel journal verify", hex(.said), hex(.stands)
    )]
    WrongSkip {
        /// Its position.
        position: u64,
        /// RFC 6962 leaf hash of what stands there.
        stands: Hash,
        /// The hash that the journal says.
        said: Hash,
    },
    /// A panic at an entry that must not be passed over.
    #[error("the program panics at entry {position} ({text}), and it is not passed over: {why}")]
    NotPassedOver {
        /// Its position.
        position: u64,
        /// What the panic said.
        text: String,
        /// Why, and what to do.
        why: String,
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

fn hex(hash: &Hash) -> String {
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}
