//! Starting on a host that holds a journal: the newest usable snapshot, then the entries behind it.

use std::path::Path;
use std::sync::Arc;

use evenkeel_journal::{Base, Disk, Reader, Watermark};
use evenkeel_types::Event;
use evenkeel_venue::Engine;

use crate::checkpoint::Checkpoint;
use crate::error::{RecoveryError, Result};
use crate::replica::decode;
use crate::skips::{self, Skips, with_skips};

/// An engine that has applied everything the journal holds.
#[derive(Debug)]
pub struct Booted {
    /// The engine.
    pub engine: Engine,
    /// The snapshot it started from; the follower starts there as well.
    pub checkpoint: Checkpoint,
    /// Entries applied on top of it.
    pub replayed: u64,
    /// Entries that are passed over, as far as the replay had to know.
    pub skips: Skips,
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
/// beginning; [`RecoveryError::Poisoned`]; corruption of the journal; an entry that cannot be
/// decoded.
pub fn boot(
    disk: &Arc<dyn Disk>,
    dir: &Path,
    base: &Base,
    watermark: &Watermark,
    snapshots: &[Checkpoint],
) -> Result<Booted> {
    let end = watermark.durable_next();
    boot_to(&Journal { disk, dir, base, watermark }, end, snapshots, Skips::none())
}

/// A journal to replay.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Journal<'a> {
    pub(crate) disk: &'a Arc<dyn Disk>,
    pub(crate) dir: &'a Path,
    pub(crate) base: &'a Base,
    pub(crate) watermark: &'a Watermark,
}

impl Journal<'_> {
    pub(crate) fn reader(&self, from: u64) -> Result<Reader> {
        let (disk, watermark) = (Arc::clone(self.disk), self.watermark.clone());
        Ok(Reader::follow(disk, self.dir, from, watermark)?)
    }

    /// What the journal says, from a position on, is passed over.
    fn ahead(&self, from: u64, skips: &mut Skips) -> Result<()> {
        read_ahead(&mut self.reader(from)?, skips)
    }
}

/// Takes everything that a reader's rest says is passed over.
///
/// # Errors
/// Corruption of the journal; two words that contradict each other.
pub fn read_ahead(reader: &mut Reader, skips: &mut Skips) -> Result<()> {
    while let Some(batch) = reader.next_batch()? {
        for record in &batch.records {
            skips.read(&decode(record.position, &record.entry)?)?;
        }
    }
    Ok(())
}

/// As [`boot`], to before position `end`, with entries that are passed over in any case.
pub(crate) fn boot_to(
    journal: &Journal<'_>,
    end: u64,
    snapshots: &[Checkpoint],
    skips: Skips,
) -> Result<Booted> {
    let mut ahead = |from, skips: &mut Skips| journal.ahead(from, skips);
    let (mut booted, skips) =
        with_skips(skips, &mut ahead, &mut |skips| replay(journal, end, snapshots, skips))?;
    booted.skips = skips;
    Ok(booted)
}

/// The newest of `snapshots` from which a journal can be replayed up to a position, with its
/// engine. One that applied what is passed over is none of them.
#[must_use]
pub fn newest_usable(
    snapshots: &[Checkpoint],
    within: std::ops::RangeInclusive<u64>,
    skips: &Skips,
) -> Option<(Checkpoint, Engine)> {
    let mut usable: Vec<&Checkpoint> =
        snapshots.iter().filter(|one| within.contains(&one.position())).collect();
    usable.sort_by_key(|one| std::cmp::Reverse(one.position()));
    usable.into_iter().find_map(|one| {
        let engine = one.engine().ok().filter(|engine| skips.permit(engine))?;
        Some((one.clone(), engine))
    })
}

fn replay(
    journal: &Journal<'_>,
    end: u64,
    snapshots: &[Checkpoint],
    skips: &Skips,
) -> Result<Booted> {
    let begins = journal.base.position;
    let (checkpoint, mut engine) = match newest_usable(snapshots, begins..=end, skips) {
        Some(found) => found,
        None if begins == 0 => (Checkpoint::genesis(), Engine::new()),
        None => {
            let before = if skips.is_empty() {
                String::new()
            } else {
                ", from before the entries that are passed over,".to_owned()
            };
            let detail = format!(
                "the journal begins at position {begins} and no snapshot on this host{before} \
                 reaches back to it"
            );
            return Err(RecoveryError::Snapshot { detail });
        }
    };
    let from = checkpoint.position();
    let mut reader = journal.reader(from)?;
    let mut events: Vec<Event> = Vec::new();
    while engine.next_position().0 < end
        && let Some(batch) = reader.next_batch()?
    {
        for record in batch.records.iter().filter(|record| record.position < end) {
            events.clear();
            let entry = decode(record.position, &record.entry)?;
            skips::apply(&mut engine, skips, &entry, &record.entry, &mut events)?;
        }
    }
    Ok(Booted { engine, checkpoint, replayed: end - from, skips: Skips::none() })
}
