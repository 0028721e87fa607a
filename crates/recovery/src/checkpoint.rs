//! A checkpoint: the engine's state at a position, with what is needed to go on from there.

use evenkeel_types::codec::{Canonical, DecodeError, Reader, Writer};
use evenkeel_types::merkle::{Frontier, Hash};
use evenkeel_venue::Engine;

use crate::error::RecoveryError;

/// State at a position. It is what a recovery point's `snapshot` source holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// Chain of the journal up to its position.
    pub chain: Hash,
    /// Right edge of the journal's Merkle tree; its leaf count is the position.
    pub frontier: Frontier,
    /// The engine's canonical snapshot.
    pub engine: Vec<u8>,
}

impl Checkpoint {
    const MAGIC: &'static [u8; 8] = b"EVKCHKP1";

    /// Index of the next entry to apply.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.frontier.leaf_count()
    }

    /// Rebuilds the engine.
    ///
    /// # Errors
    /// [`RecoveryError::Snapshot`] if the bytes are not an engine's snapshot at this position.
    pub fn engine(&self) -> Result<Engine, RecoveryError> {
        let engine = Engine::from_snapshot(&self.engine)
            .map_err(|error| RecoveryError::Snapshot { detail: error.to_string() })?;
        let (found, expected) = (engine.next_position().0, self.position());
        if found != expected {
            let detail = format!("engine at position {found}, journal edge at {expected}");
            return Err(RecoveryError::Snapshot { detail });
        }
        Ok(engine)
    }
}

impl Canonical for Checkpoint {
    fn encode(&self, writer: &mut Writer) {
        writer.fixed(Self::MAGIC);
        self.chain.encode(writer);
        self.frontier.encode(writer);
        // Without a length: it fills the rest, so that equal states chunk alike.
        writer.fixed(&self.engine);
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        if reader.fixed(Self::MAGIC.len())? != Self::MAGIC {
            return Err(reader.not_canonical("not a checkpoint"));
        }
        let (chain, frontier) = (Canonical::decode(reader)?, Canonical::decode(reader)?);
        let engine = reader.fixed(reader.remaining())?.to_vec();
        Ok(Self { chain, frontier, engine })
    }
}
