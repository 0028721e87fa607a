//! What a primary needs of a log, whoever decides its order.

use super::{Admission, Appended, FileLog, Trimmed};
use crate::error::Result;
use std::fmt;

/// A durable, ordered log with an authority that refuses a stale primary: the lock and the term of
/// a folder ([`FileLog`]), or the transactions of a store that several hosts share.
///
/// Whoever decides, every host keeps the committed frames in a [`FileLog`] of its own: that is what
/// followers, shipping, drills and repair read, below its watermark.
pub trait Log: fmt::Debug + Send {
    /// This host's copy: for its position, chain, term and folder, and for readers.
    fn file(&self) -> &FileLog;

    /// The term that [`Log::begin_term`] expects next: of a folder the one after its last, of a
    /// shared store the one that was won there.
    fn next_term(&self) -> u64 {
        self.file().term() + 1
    }

    /// Largest batch for one append, in bytes: see [`FileLog::body_bytes_max`].
    fn body_bytes_max(&self) -> u64 {
        self.file().body_bytes_max()
    }

    /// Begins a term; the next append carries it.
    ///
    /// # Errors
    /// [`crate::JournalError::StaleTerm`] unless it is higher than every term before;
    /// [`crate::JournalError::Fenced`] if somebody else holds a higher one.
    fn begin_term(&mut self, term: u64) -> Result<()>;

    /// Appends entries as one frame; returns when they are durable and readable here.
    ///
    /// # Errors
    /// As [`FileLog::append`]. [`crate::JournalError::Fenced`]: another primary has taken over;
    /// nothing of the batch was acknowledged, and it may only be sent to that one.
    fn append(&mut self, entries: &[&[u8]], admission: Admission) -> Result<Appended>;

    /// Seals the end in quiet moments; says whether something was written.
    ///
    /// # Errors
    /// As [`FileLog::seal_if_idle`].
    fn seal_if_idle(&mut self) -> Result<bool>;

    /// Gives up what lies below `position`, which the caller knows to be safe elsewhere; appends do
    /// not wait for it. Says what an earlier call did.
    ///
    /// # Errors
    /// As [`FileLog::trim_beside`].
    fn trim_beside(&mut self, position: u64) -> Result<Trimmed>;

    /// Housekeeping between batches; called several times a second.
    ///
    /// # Errors
    /// As [`Log::append`].
    fn tend(&mut self) -> Result<()> {
        Ok(())
    }

    /// Ends cleanly and gives back whatever keeps others from writing.
    ///
    /// # Errors
    /// A failed disk; everything acknowledged is durable in any case.
    fn close(self: Box<Self>) -> Result<()>;
}

impl Log for FileLog {
    fn file(&self) -> &FileLog {
        self
    }

    fn begin_term(&mut self, term: u64) -> Result<()> {
        Self::begin_term(self, term)
    }

    fn append(&mut self, entries: &[&[u8]], admission: Admission) -> Result<Appended> {
        Self::append(self, entries, admission)
    }

    fn seal_if_idle(&mut self) -> Result<bool> {
        Self::seal_if_idle(self)
    }

    fn trim_beside(&mut self, position: u64) -> Result<Trimmed> {
        Self::trim_beside(self, position)
    }

    fn close(self: Box<Self>) -> Result<()> {
        Self::close(*self)
    }
}
