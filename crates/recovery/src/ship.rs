//! Shipping: the journal's tail, continuously, and recovery points, now and then.

use std::path::Path;
use std::sync::Arc;

use evenkeel_journal::{Chain, Disk, Reader, Watermark};
use evenkeel_types::codec::Canonical;
use evenkeel_vault::{Point, PointHead, PointSealer, Root, SealedPoint, Shipped, Writer};

use crate::checkpoint::Checkpoint;
use crate::error::{RecoveryError, Result};
use crate::follower::Promise;
use crate::frames::{EntryBytes, Frame, Frames};
use crate::restore::{CHAIN_ROOT, JOURNAL_SOURCE, SNAPSHOT_SOURCE};

/// Reads the journal's durable frames in the form in which they travel.
#[derive(Debug)]
pub struct FrameReader {
    reader: Reader,
}

impl FrameReader {
    /// Follows a writer in this process from a position on.
    ///
    /// # Errors
    /// A journal that does not hold that position.
    pub fn start(disk: Arc<dyn Disk>, dir: &Path, from: u64, watermark: Watermark) -> Result<Self> {
        Ok(Self { reader: Reader::follow(disk, dir, from, watermark)? })
    }

    /// Next position that will be read.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.reader.position()
    }

    /// The next durable frame, with the chain behind it; `None` when caught up.
    ///
    /// # Errors
    /// Corruption of the journal.
    pub fn next_frame(&mut self) -> Result<Option<(Frame, Chain)>> {
        let Some(batch) = self.reader.next_batch()? else {
            return Ok(None);
        };
        let entries = batch.records.into_iter().map(|record| EntryBytes(record.entry)).collect();
        Ok(Some((Frame { term: batch.term, first: batch.first, entries }, batch.chain)))
    }
}

/// Ships the tail. What could not be shipped stays pending, unchanged, and is sent again.
#[derive(Debug)]
pub struct TailShipper {
    frames: FrameReader,
    pending: Frames,
    pending_bytes: u64,
    chain: Option<Chain>,
}

impl TailShipper {
    /// Ships from a position on.
    #[must_use]
    pub fn new(frames: FrameReader) -> Self {
        Self { frames, pending: Frames::default(), pending_bytes: 0, chain: None }
    }

    /// Position behind the last entry that was shipped.
    #[must_use]
    pub fn shipped_next(&self) -> u64 {
        self.pending.0.first().map_or(self.frames.position(), |frame| frame.first)
    }

    /// Bytes of entries read but not yet shipped.
    #[must_use]
    pub fn pending_bytes(&self) -> u64 {
        self.pending_bytes
    }

    /// Ships what is durable, up to about `bytes_max` bytes of it. `None` if there is nothing; and
    /// whether that was all there is. What an earlier failure left over is sent first, unchanged,
    /// and alone.
    ///
    /// # Errors
    /// [`evenkeel_vault::Error::NotEnoughSites`]: nothing advances, the same is sent next time.
    pub fn ship(
        &mut self,
        writer: &mut Writer,
        time_ns: u64,
        bytes_max: u64,
    ) -> Result<(Option<Shipped>, bool)> {
        // It may have reached enough sites meanwhile, before a point that another thread appended.
        let settled = writer.settle()?;
        let is_retry = !self.pending.0.is_empty();
        let next = writer.next_position().unwrap_or(0);
        self.drop_before(next);
        if is_retry && self.pending.0.is_empty() {
            return Ok((settled, false));
        }
        let caught_up = !is_retry && self.gather(bytes_max, next)?;
        let (Some(first), Some(next), Some(chain)) =
            (self.pending.0.first(), self.pending.next(), self.chain)
        else {
            return Ok((settled, true));
        };
        let payload = self.pending.to_bytes();
        let roots = [Root::new(CHAIN_ROOT, chain)];
        let shipped = writer.append_tail(first.first, next - 1, &payload, &roots, time_ns)?;
        self.pending.0.clear();
        self.pending_bytes = 0;
        Ok((Some(shipped), caught_up))
    }

    /// Forgets what the sites confirmed; a record always ends with a frame.
    fn drop_before(&mut self, next: u64) {
        let frames = &mut self.pending.0;
        frames.retain(|frame| frame.next() > next);
        self.pending_bytes = frames.iter().map(Frame::entry_bytes).sum();
    }

    /// Reads frames behind `from` until `bytes_max`; returns whether it caught up with the writer.
    fn gather(&mut self, bytes_max: u64, from: u64) -> Result<bool> {
        while self.pending_bytes < bytes_max {
            let Some((frame, chain)) = self.frames.next_frame()? else {
                return Ok(true);
            };
            if frame.next() <= from {
                continue;
            }
            self.pending_bytes += frame.entry_bytes();
            self.chain = Some(chain);
            self.pending.0.push(frame);
        }
        Ok(false)
    }
}

/// Makes recovery points: a checkpoint and the journal since the point before.
#[derive(Debug)]
pub struct PointMaker {
    frames: FrameReader,
}

impl PointMaker {
    /// The journal parts begin where the last point of the lineage ended.
    #[must_use]
    pub fn new(frames: FrameReader) -> Self {
        Self { frames }
    }

    /// Position of the last point made.
    #[must_use]
    pub fn last_position(&self) -> u64 {
        self.frames.position()
    }

    /// Reads the journal up to a checkpoint. The frames are kept by the caller until the point is
    /// made: a failed attempt is repeated with the same ones.
    ///
    /// # Errors
    /// Corruption of the journal; a checkpoint that lies before the last point or inside a frame.
    pub fn frames_up_to(&mut self, checkpoint: &Checkpoint, frames: &mut Frames) -> Result<()> {
        let end = checkpoint.position();
        while self.frames.position() < end {
            let Some((frame, _)) = self.frames.next_frame()? else {
                break;
            };
            frames.0.push(frame);
        }
        if self.frames.position() == end {
            return Ok(());
        }
        let found = self.frames.position();
        let detail = format!("it stands at position {end}, the journal was read up to {found}");
        Err(RecoveryError::Snapshot { detail })
    }
}

/// Writes a recovery point, with the writer held throughout: for who has no tail to ship meanwhile.
///
/// # Errors
/// Whatever the vault says; nothing advances then.
pub fn write_point(
    writer: &mut Writer,
    checkpoint: &Checkpoint,
    promise: &Promise,
    frames: &Frames,
    time_ns: u64,
) -> Result<Point> {
    let sealer = writer.begin_point(time_ns, false)?;
    let sealed = seal_point(sealer, checkpoint, frames)?;
    finish_point(writer, checkpoint, promise, &sealed, time_ns)
}

/// Seals a recovery point's content, without the writer: tails can be shipped meanwhile.
///
/// # Errors
/// Whatever the vault says; nothing advances then.
pub fn seal_point(
    sealer: PointSealer,
    checkpoint: &Checkpoint,
    frames: &Frames,
) -> Result<SealedPoint> {
    let (snapshot, journal) = (checkpoint.to_bytes(), frames.to_bytes());
    let (mut snapshot, mut journal) = (snapshot.as_slice(), journal.as_slice());
    Ok(sealer.seal(&mut [
        (SNAPSHOT_SOURCE.to_owned(), &mut snapshot),
        (JOURNAL_SOURCE.to_owned(), &mut journal),
    ])?)
}

/// Signs a sealed recovery point: from here on it can be restored.
///
/// # Errors
/// Whatever the vault says; the same can be finished again unless [`SealedPoint::is_lost`].
pub fn finish_point(
    writer: &mut Writer,
    checkpoint: &Checkpoint,
    promise: &Promise,
    sealed: &SealedPoint,
    time_ns: u64,
) -> Result<Point> {
    let head = PointHead { position: checkpoint.position(), time_ns, roots: promise.to_roots() };
    Ok(writer.finish_point(&head, sealed)?)
}
