//! The durable, ordered log that everything else is a view of.
//!
//! A [`FileLog`] takes batches of opaque entries and returns from an append only when they are
//! durable. A [`Reader`] follows below the [`Watermark`] while the writer writes, or reads from
//! outside after a crash. [`verify`] walks everything. [`RootTracker`] builds the journal root
//! (RFC 6962) beside the path of acknowledgement. The bytes are drawn in `docs/formats/journal.md`.
//!
//! **Architecture invariants**
//! - It never knows what an entry means: entries are bytes, and no entry is ever parsed.
//! - An append returns after `fdatasync`, or with an error; a reader in the writer's process never
//!   sees an entry before that.
//! - One frame is in flight at a time, written to space known to be zero. Torn tail and corruption
//!   are told apart by that, and by nothing else.
//! - Nothing that was acknowledged is ever truncated, rewritten with other bytes, or skipped.
//!   Corruption is an error that names file, offset and positions.
//! - After a failed write or sync nothing more is written until the log was opened again.
//! - No async, no network, no mmap; one thread, which prepares zero-filled segments. All input and
//!   output goes through [`Disk`], so every fault can be played.
//! - It does not know `vault`, `venue` or `recovery`, and it decides nothing about terms: it only
//!   refuses one that is not higher.
#![forbid(unsafe_code)]

pub mod disk;
mod envelope;
mod error;
#[cfg(feature = "fault-disk")]
pub mod fault_disk;
mod frame;
mod inspect;
mod log;
mod meta;
mod preparer;
mod reader;
mod real_disk;
mod repair;
mod root;
mod scan;
mod scrub;
mod sector;
mod segment;
mod tail;
mod verify;
mod watermark;

pub use disk::{Access, Claim, Disk, DiskFile, DiskLock, LockRefused};
pub use error::{Holder, JournalError, Problem, ProblemKind, Result};
pub use frame::{FRAME_BYTES_MAX, chain_behind};
pub use inspect::{Inspection, SegmentSummary, inspect};
pub use log::{
    Admission, Appended, Confirmation, Durability, EndState, FileLog, Log, Opened, Options,
    Preparation, Trimmed, lock_holder,
};
pub use reader::{Batch, Reader, Record};
pub use real_disk::RealDisk;
pub use repair::{FetchedFrame, Mended, Repair, RepairScope, repair};
pub use root::RootTracker;
pub use scrub::{Scrubbed, Scrubber};
pub use tail::TornTail;
pub use verify::{Report, verify};
pub use watermark::Watermark;

use evenkeel_types::merkle::Frontier;

/// Index of an entry. The first entry of a lineage has position 0; there are no gaps.
pub type Position = u64;

/// Hash of the history up to a position: BLAKE3 over the frames, each including the one before.
pub type Chain = [u8; 32];

/// Whose journal it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    /// Names the cluster, for good.
    pub cluster_id: [u8; 16],
    /// Names the unbroken history; a restore that goes live begins a new one.
    pub lineage: [u8; 16],
}

/// Where a log begins: at 0, behind what was trimmed, or where a restored log goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Base {
    /// First position that the log holds or will hold.
    pub position: Position,
    /// Chain before that position.
    pub chain: Chain,
    /// Journal root's tree before that position; `position` leaves.
    pub frontier: Frontier,
}

impl Base {
    /// The beginning of a lineage without a parent.
    #[must_use]
    pub fn genesis() -> Self {
        Self { position: 0, chain: [0; 32], frontier: Frontier::new() }
    }
}
