//! An engine beside the primary's, with what is needed to go on from where it stands: the common
//! part of the follower in the primary's process and of a standby in another.

use evenkeel_journal::{Batch, Chain, RootTracker};
use evenkeel_types::codec::Canonical;
use evenkeel_types::merkle::Hash;
use evenkeel_types::{Entry, Event};
use evenkeel_venue::Engine;

use crate::checkpoint::Checkpoint;
use crate::error::{RecoveryError, Result};
use crate::follower::Promise;
use crate::skips::{self, Poisoned, Skips};

/// Engine, journal root and chain at one position.
#[derive(Debug)]
pub(crate) struct Replica {
    engine: Engine,
    root: RootTracker,
    chain: Chain,
    events: Vec<Event>,
    /// Entries to pass over.
    pub(crate) skips: Skips,
    /// Where applying panicked: from there on there is no engine, only the journal's root.
    poisoned: Option<Poisoned>,
}

impl Replica {
    pub(crate) fn start(checkpoint: &Checkpoint) -> Result<Self> {
        Ok(Self {
            engine: checkpoint.engine()?,
            root: RootTracker::resume(checkpoint.position(), checkpoint.frontier.clone()),
            chain: checkpoint.chain,
            events: Vec::new(),
            skips: Skips::none(),
            poisoned: None,
        })
    }

    /// Applies what of a batch was not applied yet, and shows the engine behind each entry with
    /// what it said; see [`Replica::poisoned`]. A batch behind a gap is refused; nothing of it is
    /// applied.
    pub(crate) fn apply(
        &mut self,
        batch: &Batch,
        seen: &mut dyn FnMut(&Engine, &[Event]),
    ) -> Result<u64> {
        let known = self.position();
        if batch.first > known {
            return Err(RecoveryError::Behind { missing_from: known, missing_to: batch.first });
        }
        if batch.next() <= known {
            return Ok(0);
        }
        for record in batch.records.iter().filter(|record| record.position >= known) {
            let entry = decode(record.position, &record.entry)?;
            if self.apply_one(&entry, &record.entry)? {
                seen(&self.engine, &self.events);
            }
            self.root.push(&record.entry);
        }
        self.chain = batch.chain;
        Ok(batch.next() - known)
    }

    /// Whether the entry was applied. Without an engine it waits for the word that passes over what
    /// took the engine away, which is told as [`RecoveryError::GoBack`].
    fn apply_one(&mut self, entry: &Entry, bytes: &[u8]) -> Result<bool> {
        if let Some(poisoned) = &self.poisoned {
            return match skips::order_in(entry) {
                Some((position, entry)) if position == poisoned.position => {
                    Err(RecoveryError::GoBack { position, entry })
                }
                _ => Ok(false),
            };
        }
        self.events.clear();
        match skips::apply(&mut self.engine, &self.skips, entry, bytes, &mut self.events) {
            Ok(()) => Ok(true),
            Err(RecoveryError::Poisoned(poisoned)) => {
                self.poisoned = Some(*poisoned);
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    /// Where applying panicked, if it did.
    pub(crate) fn poisoned(&self) -> Option<&Poisoned> {
        self.poisoned.as_ref()
    }

    pub(crate) fn position(&self) -> u64 {
        self.root.next()
    }

    pub(crate) fn journal_root(&self) -> Hash {
        self.root.root()
    }

    pub(crate) fn chain(&self) -> Chain {
        self.chain
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }

    pub(crate) fn into_engine(self) -> Engine {
        self.engine
    }

    pub(crate) fn checkpoint(&self) -> (Checkpoint, Promise) {
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
        (checkpoint, promise)
    }
}

/// Decodes an entry of the journal.
pub(crate) fn decode(position: u64, bytes: &[u8]) -> Result<Entry> {
    Entry::from_bytes(bytes).map_err(|source| RecoveryError::Entry { position, source })
}
