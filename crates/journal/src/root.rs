//! The journal root, built by whoever follows: hashing entries would only slow acknowledgements.

use crate::reader::{Batch, Reader};
use crate::{Base, JournalError, Position, Result};
use evenkeel_types::merkle::{Frontier, Hash, leaf_hash};

/// RFC 6962 tree over all entries of a lineage up to a position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RootTracker {
    frontier: Frontier,
    next: Position,
}

impl RootTracker {
    /// Begins where a log begins.
    #[must_use]
    pub fn new(base: &Base) -> Self {
        Self::resume(base.position, base.frontier.clone())
    }

    /// Goes on from a frontier that was kept, for instance beside a snapshot at `next`.
    #[must_use]
    pub fn resume(next: Position, frontier: Frontier) -> Self {
        Self { frontier, next }
    }

    /// Adds the entry at [`RootTracker::next`] and returns its `entry_hash`.
    pub fn push(&mut self, entry: &[u8]) -> Hash {
        let leaf = leaf_hash(entry);
        self.frontier.push(leaf);
        self.next += 1;
        leaf
    }

    /// Adds the records of a batch that are not yet in.
    ///
    /// # Errors
    /// [`JournalError::OutOfRange`] if the batch begins behind [`RootTracker::next`]; nothing is
    /// added then.
    pub fn push_batch(&mut self, batch: &Batch) -> Result<()> {
        if batch.first > self.next {
            let (asked, first, next) = (self.next, batch.first, batch.next());
            return Err(JournalError::OutOfRange { asked, first, next });
        }
        let known = self.next;
        for record in batch.records.iter().filter(|record| record.position >= known) {
            self.push(&record.entry);
        }
        Ok(())
    }

    /// Reads everything that the reader has. Returns [`RootTracker::next`].
    ///
    /// # Errors
    /// As [`Reader::next_batch`] and [`RootTracker::push_batch`].
    pub fn follow(&mut self, reader: &mut Reader) -> Result<Position> {
        while let Some(batch) = reader.next_batch()? {
            self.push_batch(&batch)?;
        }
        Ok(self.next)
    }

    /// First position that is not in the tree.
    #[must_use]
    pub fn next(&self) -> Position {
        self.next
    }

    /// The root over every entry below [`RootTracker::next`].
    #[must_use]
    pub fn root(&self) -> Hash {
        self.frontier.root()
    }

    /// What to keep to go on from here later.
    #[must_use]
    pub fn frontier(&self) -> &Frontier {
        &self.frontier
    }
}
