//! The embedded log: segments of frames in one folder, one writer.

mod append;
mod confirm;
mod contract;
mod mirror;
mod open;
mod space;
mod trim;

use crate::disk::{Disk, DiskFile, DiskLock};
use crate::error::{JournalError, Result};
use crate::frame::{self, FRAME_BYTES_MAX};
use crate::preparer::Preparer;
use crate::sector::{PAYLOAD_BYTES, SECTOR};
use crate::segment::{FRAMES_AT, SegmentHeader};
use crate::watermark::Watermark;
use crate::{Base, Chain, Identity, Position};
use evenkeel_types::codec::Writer;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use append::Appended;
pub use confirm::{Confirmation, EndState};
pub use contract::Log;
pub use open::{Opened, lock_holder};
pub(crate) use open::{broken_link, held_segments, lock};
pub use trim::Trimmed;
use trim::Trimmer;

/// Name of the lock file.
pub(crate) const LOCK: &str = "LOCK";

/// What an append is allowed to use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// Ordinary entries: refused once the disk is full.
    Normal,
    /// Mode changes, cancels, withdrawals: may use the reserve.
    Reserve,
}

/// How an append becomes durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Durability {
    /// `fdatasync` before the append returns.
    #[default]
    Fdatasync,
    /// **Test switch.** Nothing is synced and acknowledged entries are lost with the power; it
    /// exists to show that the tests of durability can fail.
    NoSync,
}

/// Who prepares segments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Preparation {
    /// A thread, ahead of need.
    #[default]
    Background,
    /// The append that needs one: for simulations, where the order of disk operations is played.
    Inline,
}

/// How a log is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Size of a segment in bytes; a multiple of 4096, at least 8192.
    pub segment_bytes: u64,
    /// Size of the reserve segment in bytes; a multiple of 4096, at least 8192.
    pub reserve_bytes: u64,
    /// How an append becomes durable.
    pub durability: Durability,
    /// Who prepares segments.
    pub preparation: Preparation,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            segment_bytes: 64 << 20,
            reserve_bytes: 8 << 20,
            durability: Durability::default(),
            preparation: Preparation::default(),
        }
    }
}

impl Options {
    fn check(&self) -> Result<()> {
        for (name, bytes) in
            [("segment_bytes", self.segment_bytes), ("reserve_bytes", self.reserve_bytes)]
        {
            if bytes < 8192 || bytes % 4096 != 0 {
                return Err(JournalError::BadOptions(format!(
                    "{name} is {bytes}; it must be a multiple of 4096 and at least 8192"
                )));
            }
        }
        Ok(())
    }
}

/// The segment being written.
#[derive(Debug)]
struct Active {
    file: Box<dyn DiskFile>,
    path: PathBuf,
    header: SegmentHeader,
    /// Where the next frame goes.
    offset: u64,
}

/// The durable log in a folder. One process at a time has it open.
#[derive(Debug)]
pub struct FileLog {
    // Fields are dropped in this order: the threads must be gone before the lock is.
    preparer: Preparer,
    trimmer: Trimmer,
    segment: Active,
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    options: Options,
    identity: Identity,
    base: Base,
    next: Position,
    chain: Chain,
    term: u64,
    /// Term of the last frame: what a new segment's header names as the term before it.
    durable_term: u64,
    /// A term was begun since the log was opened.
    term_begun: bool,
    end: Option<EndState>,
    /// The last frame is a seal, or there is none: nothing would be gained by another.
    sealed: bool,
    /// `reserve.seg` is known to be in place.
    reserve_ready: bool,
    /// The last attempt to get a segment found the disk full.
    full: bool,
    /// Ranges of the active segment to be zeroed before the next frame.
    dirty: Vec<Range<u64>>,
    poisoned: Option<String>,
    watermark: Watermark,
    body: Writer,
    physical: Vec<u8>,
    _lock: Box<dyn DiskLock>,
}

impl FileLog {
    /// Last term that the log has seen or begun; 0 before the first.
    #[must_use]
    pub fn term(&self) -> u64 {
        self.term
    }

    /// Next position, all below being durable.
    #[must_use]
    pub fn next(&self) -> Position {
        self.next
    }

    /// Chain of everything below [`FileLog::next`].
    #[must_use]
    pub fn chain(&self) -> Chain {
        self.chain
    }

    /// Whose log it is.
    #[must_use]
    pub fn identity(&self) -> Identity {
        self.identity
    }

    /// Where it begins.
    #[must_use]
    pub fn base(&self) -> &Base {
        &self.base
    }

    /// Its folder.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// How far readers may read; clones follow the writer.
    #[must_use]
    pub fn watermark(&self) -> Watermark {
        self.watermark.clone()
    }

    /// Result of the last comparison of the end; `None` before the first.
    #[must_use]
    pub fn end_state(&self) -> Option<EndState> {
        self.end
    }

    /// What made the log stop writing, if something did.
    #[must_use]
    pub fn poisoned(&self) -> Option<&str> {
        self.poisoned.as_deref()
    }

    /// Whether it writes to the reserve because the disk is full.
    #[must_use]
    pub fn is_on_reserve(&self) -> bool {
        self.segment.header.reserve
    }

    /// Largest batch for one append: the encoded size of its entries (each with its length of up
    /// to five bytes), in bytes.
    #[must_use]
    pub fn body_bytes_max(&self) -> u64 {
        let frame = FRAME_BYTES_MAX.min(self.options.segment_bytes - FRAMES_AT);
        frame / SECTOR * PAYLOAD_BYTES as u64 - frame::HEADER_BYTES as u64
    }

    /// Begins a term; the next append carries it and makes it durable.
    ///
    /// # Errors
    /// [`JournalError::StaleTerm`] unless it is higher than every term before.
    pub fn begin_term(&mut self, term: u64) -> Result<()> {
        if term <= self.term {
            return Err(JournalError::StaleTerm { asked: term, last: self.term });
        }
        self.term = term;
        self.term_begun = true;
        Ok(())
    }

    /// Begins a term, or goes on in the last one: for entries that are brought back from a copy of
    /// this history under the terms they were written in. Never for new ones: whoever writes those
    /// begins a term of its own.
    ///
    /// # Errors
    /// [`JournalError::StaleTerm`] if it is lower than the last one.
    pub fn rejoin_term(&mut self, term: u64) -> Result<()> {
        if term == self.term {
            self.term_begun = true;
            return Ok(());
        }
        self.begin_term(term)
    }

    /// Ends cleanly: seals the end and gives the lock back.
    ///
    /// # Errors
    /// As [`FileLog::seal_if_idle`]; the lock is given back in any case.
    pub fn close(mut self) -> Result<()> {
        self.seal_if_idle()?;
        Ok(())
    }
}

impl Drop for FileLog {
    fn drop(&mut self) {
        self.watermark.close();
    }
}
