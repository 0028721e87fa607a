//! Following the shared log from another host.

use evenkeel_journal::{Batch, Chain, Identity, Position};

use crate::ends::{fetch, read_ends};
use crate::error::{QuorumError, Result};
use crate::keys::{Beat, Keys, StoredFrame, Tail, Term, Value};
use crate::store::{Store, Unreachable};

/// A reader of the shared log: of committed frames and of the primary's beats.
#[derive(Debug)]
pub struct Frames<S> {
    store: S,
    keys: Keys,
}

impl<S: Store> Frames<S> {
    /// A reader of the journal with this identity.
    #[must_use]
    pub fn new(store: S, identity: &Identity) -> Self {
        Self { store, keys: Keys::new(identity) }
    }

    /// Gives the store back.
    #[must_use]
    pub fn into_store(self) -> S {
        self.store
    }

    /// Committed batches from `position` on, whose chain is `chain`; waits for them at most
    /// `wait_ms`. Empty if there are none by then. Each batch was compared with the chain: they can
    /// be mirrored as they are.
    ///
    /// # Errors
    /// [`QuorumError::TrimmedAway`]: fetch the range from the sites, then go on behind it.
    /// [`QuorumError::LocalAhead`], [`QuorumError::Forked`]: this host holds what was never
    /// committed. [`QuorumError::Missing`], [`QuorumError::Damaged`], [`QuorumError::NotFounded`],
    /// [`QuorumError::Unreachable`].
    pub fn next_batches(
        &mut self,
        position: Position,
        chain: &Chain,
        wait_ms: u64,
    ) -> Result<Vec<Batch>> {
        let mut waited = false;
        loop {
            let ends = read_ends(&mut self.store, &self.keys)?;
            if ends.tail.next > position {
                break;
            }
            agree_at_end(&ends.tail, position, chain)?;
            if waited {
                return Ok(Vec::new());
            }
            // A watch that is cut is no worse than one that comes early: the tail is read again.
            let tail_key = self.keys.tail();
            match self.store.await_change(&tail_key, Some(&ends.tail_value), wait_ms) {
                Ok(()) | Err(Unreachable(_)) => waited = true,
            }
        }
        let frames = fetch(&mut self.store, &self.keys, position, chain)?;
        Ok(frames.into_iter().map(StoredFrame::into_batch).collect())
    }

    /// The term and who holds it.
    ///
    /// # Errors
    /// [`QuorumError::NotFounded`], [`QuorumError::Damaged`], [`QuorumError::Unreachable`].
    pub fn read_term(&mut self) -> Result<Term> {
        Ok(read_ends(&mut self.store, &self.keys)?.term)
    }

    /// Where the log ends.
    ///
    /// # Errors
    /// As [`Frames::read_term`].
    pub fn read_tail(&mut self) -> Result<Tail> {
        Ok(read_ends(&mut self.store, &self.keys)?.tail)
    }

    /// The primary's last beat. That it has not changed for a while is a reason to try to take
    /// over, and nothing more.
    ///
    /// # Errors
    /// [`QuorumError::Damaged`], [`QuorumError::Unreachable`].
    pub fn read_beat(&mut self) -> Result<Option<Beat>> {
        let key = self.keys.beat();
        let value = self.store.read(&[&key])?.into_iter().next().flatten();
        value.map(|value| Beat::from_value(&key, &value)).transpose()
    }
}

/// A history that reaches the tail must be the log's.
pub(crate) fn agree_at_end(tail: &Tail, position: Position, chain: &Chain) -> Result<()> {
    if tail.next < position {
        return Err(QuorumError::LocalAhead { ours: position, theirs: tail.next });
    }
    if tail.next == position && tail.chain != *chain {
        return Err(QuorumError::Forked { position });
    }
    Ok(())
}
