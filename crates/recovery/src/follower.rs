//! The follower: its own engine over the same journal. It compares output with the primary and
//! takes the snapshots, so that the primary never stops for one.

use std::path::Path;
use std::sync::Arc;

use evenkeel_journal::{Disk, Reader, Watermark};
use evenkeel_types::Timestamp;
use evenkeel_types::merkle::Hash;
use evenkeel_venue::Engine;

use crate::agreement::{Agreement, Party};
use crate::checkpoint::Checkpoint;
use crate::error::{RecoveryError, Result};
use crate::replica::Replica;
use crate::skips::Skips;

/// An engine that reads the journal below the durable watermark.
#[derive(Debug)]
pub struct Follower {
    reader: Reader,
    replica: Replica,
    agreement: Arc<Agreement>,
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
        Ok(Self { reader, replica: Replica::start(checkpoint)?, agreement })
    }

    /// Passes over these entries.
    #[must_use]
    pub fn passing_over(mut self, skips: Skips) -> Self {
        self.replica.skips = skips;
        self
    }

    /// Applies up to `batches_max` durable batches; returns how many entries that were.
    ///
    /// # Errors
    /// [`RecoveryError::Poisoned`], after which it is not to be used any more; corruption of the
    /// journal, an entry that cannot be decoded, divergence from the primary.
    pub fn step(&mut self, batches_max: usize) -> Result<u64> {
        let mut applied = 0;
        for _ in 0..batches_max {
            let Some(batch) = self.reader.next_batch()? else {
                break;
            };
            applied += self.replica.apply(&batch, &mut |_, _| {})?;
            if let Some(poisoned) = self.replica.poisoned() {
                return Err(RecoveryError::Poisoned(Box::new(poisoned.clone())));
            }
            let digest = self.replica.engine().output_digest();
            self.agreement.publish(Party::Follower, batch.next(), digest)?;
        }
        Ok(applied)
    }

    /// Next position it will apply.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.replica.position()
    }

    /// RFC 6962 root over all entries it has applied.
    #[must_use]
    pub fn journal_root(&self) -> Hash {
        self.replica.journal_root()
    }

    /// Its engine, for views.
    #[must_use]
    pub fn engine(&self) -> &Engine {
        self.replica.engine()
    }

    /// Time of the last entry applied.
    #[must_use]
    pub fn time(&self) -> Timestamp {
        self.replica.engine().time()
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
        Some(self.replica.checkpoint())
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
