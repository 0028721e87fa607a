//! Errors that say what is wrong, what is safe, and what to do next.

use evenkeel_journal::{JournalError, Position};
use thiserror::Error;

use crate::keys::{Holder, Term};
use crate::store::Unreachable;

/// Result of an operation on the shared log.
pub type Result<T, E = QuorumError> = std::result::Result<T, E>;

/// Why the shared log refused.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum QuorumError {
    /// This host's journal.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// No majority of the store answers.
    #[error(
        "{0}. Nothing follows from that, and nothing was acknowledged; a majority of its members \
         must run and be reachable from here"
    )]
    Unreachable(#[from] Unreachable),
    /// A value that cannot be read.
    #[error(
        "the shared store holds something at {key} that cannot be read: {what}. Nothing was \
         changed. Was it written by a newer version, or by another program?"
    )]
    Damaged {
        /// The key, as text.
        key: String,
        /// What is wrong with its value.
        what: String,
    },
    /// The log was never begun in this store.
    #[error(
        "the shared store holds no log of this cluster and lineage (no key {key}). Nothing was \
         written. If there was one, this is another store, or an emptied one: from the host whose \
         journal goes furthest, evenkeel recover-quorum"
    )]
    NotFounded {
        /// The key that is missing.
        key: String,
    },
    /// Frames that the store gave up, and this host does not hold.
    #[error(
        "positions {from} to below {to} are not in the shared store any more (it was trimmed). \
         Nothing was changed here. The sites have them: evenkeel repair --home DIR"
    )]
    TrimmedAway {
        /// First position to fetch.
        from: Position,
        /// First position that the store still holds.
        to: Position,
    },
    /// Frames that the store should hold.
    #[error(
        "positions {from} to below {to} are missing in the shared store, which was trimmed only \
         below {trimmed_below}: it has lost committed frames. Nothing was changed here. A host \
         that has them in its journal must take over, or they come from the sites: evenkeel \
         repair --home DIR"
    )]
    Missing {
        /// First missing position.
        from: Position,
        /// First position present behind it.
        to: Position,
        /// Where trimming stands.
        trimmed_below: Position,
    },
    /// This host holds more than was committed.
    #[error(
        "this journal goes on to position {ours}, but the shared log ends at {theirs}: a store \
         that was put back to an earlier state, or a journal that was written without it. Nothing \
         was changed. What lies between must not be lost: compare the hosts, then begin a new \
         lineage from the one that has most: evenkeel restore --promote"
    )]
    LocalAhead {
        /// Next position here.
        ours: Position,
        /// Next position in the store.
        theirs: Position,
    },
    /// This host holds another history.
    #[error(
        "this journal and the shared log differ at position {position}: two histories came from \
         one. Nothing was changed. Find out which one was acknowledged: evenkeel verify --home DIR"
    )]
    Forked {
        /// Where the chains were compared (next position).
        position: Position,
    },
    /// Somebody was faster.
    #[error("term {} is held by {}; it was not taken. Follow that one", .0.term, .0.holder)]
    Taken(Box<Term>),
    /// The store knows less than was heard of.
    #[error(
        "the shared store is in term {store}, but term {known} has been: it was put back to an \
         earlier state. Nothing was changed. What came after may be in the hosts' journals and at \
         the sites; begin a new lineage from the one that has most: evenkeel restore --promote"
    )]
    TermWentBack {
        /// Term in the store.
        store: u64,
        /// Term heard of.
        known: u64,
    },
    /// It cannot be told whether the term was won.
    #[error(
        "whether term {term} was won cannot be told: {why}. No entry was written. Try again from \
         the same process: what the store holds will tell"
    )]
    NotKnown {
        /// The term asked for.
        term: u64,
        /// What happened.
        why: String,
    },
    /// The store takes no writes.
    #[error(
        "the shared store is full and takes no writes: {0}. Nothing was changed. It must be \
         trimmed below what the sites hold, and its space given back"
    )]
    Full(String),
    /// A name or address that the format does not hold.
    #[error("the holder's name and address must have at most {max_bytes} bytes each")]
    HolderTooLong {
        /// The limit.
        max_bytes: usize,
    },
}

impl QuorumError {
    pub(crate) fn damaged(key: &[u8], what: &str) -> Self {
        Self::Damaged { key: String::from_utf8_lossy(key).into_owned(), what: what.to_owned() }
    }

    /// Whether trying again may succeed without anybody doing anything.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::Unreachable(_) | Self::NotKnown { .. } | Self::Full(_))
    }
}

// Journal errors hold system errors, which cannot be compared: by their words.
impl PartialEq for QuorumError {
    fn eq(&self, other: &Self) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
            && self.to_string() == other.to_string()
    }
}

impl From<QuorumError> for JournalError {
    fn from(error: QuorumError) -> Self {
        match error {
            QuorumError::Journal(error) => error,
            QuorumError::Taken(taken) => fenced(&taken),
            other => Self::SharedLog { reason: other.to_string() },
        }
    }
}

/// Somebody else holds a higher term.
pub(crate) fn fenced(by: &Term) -> JournalError {
    let holder = match &by.holder {
        nobody if *nobody == Holder::default() => "nobody yet".to_owned(),
        holder => holder.to_string(),
    };
    JournalError::Fenced { term: by.term, holder }
}
