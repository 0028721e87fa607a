//! The follower: its own engine over the same journal. It compares output with the primary and
//! takes the snapshots, so that the primary never stops for one.

use std::path::Path;
use std::sync::Arc;

use evenkeel_journal::{Disk, Reader, RootTracker, Watermark};
use evenkeel_types::codec::Canonical;
use evenkeel_types::merkle::Hash;
use evenkeel_types::{Entry, Event, Timestamp};
use evenkeel_venue::Engine;

use crate::agreement::{Agreement, Party};
use crate::checkpoint::Checkpoint;
use crate::error::{RecoveryError, Result};

/// An engine that reads the journal below the durable watermark.
#[derive(Debug)]
pub struct Follower {
    reader: Reader,
    engine: Engine,
    root: RootTracker,
    chain: Hash,
    agreement: Arc<Agreement>,
    events: Vec<Event>,
}

impl Follower {
    /// Follows a writer in this process from a checkpoint on.
    ///
    /// # Errors
    /// A checkpoint that does not hold together, or a journal that does not reach back to it.
    pub fn start(
        checkpoint: &Checkpoint,
        disk: Arc<dyn Disk>,
        dir: &Path,
        watermark: Watermark,
        agreement: Arc<Agreement>,
    ) -> Result<Self> {
        let reader = Reader::follow(disk, dir, checkpoint.position(), watermark)?;
        Ok(Self {
            reader,
            engine: checkpoint.engine()?,
            root: RootTracker::resume(checkpoint.position(), checkpoint.frontier.clone()),
            chain: checkpoint.chain,
            agreement,
            events: Vec::new(),
        })
    }

    /// Applies up to `batches_max` durable batches; returns how many entries that were.
    ///
    /// # Errors
    /// Corruption of the journal, an entry that cannot be decoded, divergence from the primary.
    pub fn step(&mut self, batches_max: usize) -> Result<u64> {
        let mut applied = 0;
        for _ in 0..batches_max {
            let Some(batch) = self.reader.next_batch()? else {
                break;
            };
            for record in &batch.records {
                let entry = decode(record.position, &record.entry)?;
                self.events.clear();
                self.engine.apply(&entry, &mut self.events);
                self.root.push(&record.entry);
            }
            self.chain = batch.chain;
            applied += batch.records.len() as u64;
            let digest = self.engine.output_digest();
            self.agreement.publish(Party::Follower, batch.next(), digest)?;
        }
        Ok(applied)
    }

    /// Next position it will apply.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.root.next()
    }

    /// RFC 6962 root over all entries it has applied.
    #[must_use]
    pub fn journal_root(&self) -> Hash {
        self.root.root()
    }

    /// Its engine, for views.
    #[must_use]
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Time of the last entry applied.
    #[must_use]
    pub fn time(&self) -> Timestamp {
        self.engine.time()
    }

    /// Whether waiting here can bring the agreement that a checkpoint needs. If not, the primary
    /// left this position without a digest (before it began, or too long ago), and the follower
    /// has to go on.
    #[must_use]
    pub fn awaits_primary(&self) -> bool {
        self.agreement.may_come(self.position())
    }

    /// The state here, if primary and follower have agreed on everything before it.
    #[must_use]
    pub fn checkpoint(&self) -> Option<(Checkpoint, Promise)> {
        if self.agreement.agreed() < self.position() {
            return None;
        }
        let checkpoint = Checkpoint {
            chain: self.chain,
            frontier: self.root.frontier().clone(),
            engine: self.engine.snapshot(),
        };
        let promise = Promise {
            state_root: self.engine.state_root(),
            journal_root: self.root.root(),
            output_digest: self.engine.output_digest(),
            chain: self.chain,
        };
        Some((checkpoint, promise))
    }
}

/// What a recovery point promises about its position: signed at the sites, recomputed by drills.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Promise {
    /// Merkle root over the venue's state.
    pub state_root: Hash,
    /// RFC 6962 root over the journal's entries.
    pub journal_root: Hash,
    /// Digest chain over all events.
    pub output_digest: Hash,
    /// The journal's own chain.
    pub chain: Hash,
}

/// Decodes an entry of the journal.
pub(crate) fn decode(position: u64, bytes: &[u8]) -> Result<Entry> {
    Entry::from_bytes(bytes).map_err(|source| RecoveryError::Entry { position, source })
}
