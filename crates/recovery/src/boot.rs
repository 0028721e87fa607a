//! Starting on a host that holds a journal: the newest usable snapshot, then the entries behind it.

use std::path::Path;
use std::sync::Arc;

use evenkeel_journal::{Base, Disk, Reader, Watermark};
use evenkeel_types::Event;
use evenkeel_venue::Engine;

use crate::checkpoint::Checkpoint;
use crate::error::{RecoveryError, Result};
use crate::replica::decode;

/// An engine that has applied everything the journal holds.
#[derive(Debug)]
pub struct Booted {
    /// The engine.
    pub engine: Engine,
    /// The snapshot it started from; the follower starts there as well.
    pub checkpoint: Checkpoint,
    /// Entries applied on top of it.
    pub replayed: u64,
}

impl Checkpoint {
    /// The state before the first entry of a venue.
    #[must_use]
    pub fn genesis() -> Self {
        let Base { chain, frontier, .. } = Base::genesis();
        Self { chain, frontier, engine: Engine::new().snapshot() }
    }
}

/// Rebuilds the engine: from the newest of `snapshots` that lies within the journal, or from its
/// beginning.
///
/// # Errors
/// [`RecoveryError::Snapshot`] if the journal begins behind position 0 and no snapshot reaches its
/// beginning; corruption of the journal; an entry that cannot be decoded.
pub fn boot(
    disk: &Arc<dyn Disk>,
    dir: &Path,
    base: &Base,
    watermark: &Watermark,
    snapshots: Vec<Checkpoint>,
) -> Result<Booted> {
    let end = watermark.durable_next();
    let mut snapshots = snapshots;
    snapshots.retain(|one| (base.position..=end).contains(&one.position()));
    snapshots.sort_by_key(|one| std::cmp::Reverse(one.position()));
    let newest =
        snapshots.into_iter().find_map(|one| one.engine().ok().map(|engine| (one, engine)));
    let (checkpoint, mut engine) = match newest {
        Some(found) => found,
        None if base.position == 0 => (Checkpoint::genesis(), Engine::new()),
        None => {
            let detail = format!(
                "the journal begins at position {} and no snapshot on this host reaches back to it",
                base.position
            );
            return Err(RecoveryError::Snapshot { detail });
        }
    };
    let from = checkpoint.position();
    let mut reader = Reader::follow(Arc::clone(disk), dir, from, watermark.clone())?;
    let mut events: Vec<Event> = Vec::new();
    while let Some(batch) = reader.next_batch()? {
        for record in &batch.records {
            events.clear();
            engine.apply(&decode(record.position, &record.entry)?, &mut events);
        }
    }
    Ok(Booted { engine, checkpoint, replayed: end - from })
}
