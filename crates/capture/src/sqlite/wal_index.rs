//! The header of SQLite's wal-index, the first bytes of the `-shm` file
//! (sqlite.org/walformat.html, "The WAL-Index File Format"): the last frame that is committed.
//!
//! The log alone does not tell that: a writer killed between its commit frame and the wal-index
//! leaves a frame whose checksums chain and that the next writer overwrites.

use crate::sqlite::wal::{Salts, Sum, checksum};

/// Bytes of the file that are looked at: two copies of the header, then the checkpoint's fields.
pub const INDEX_BYTES: usize = 2 * COPY_BYTES + 4;
const COPY_BYTES: usize = 48;
const SUMMED_BYTES: usize = 40;
const VERSION: u32 = 3_007_000;

/// What the wal-index says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WalIndex {
    /// Counts transactions.
    pub change: u32,
    /// Size of a page; 0 while the log has never been written.
    pub page_bytes: u32,
    /// Last committed frame, 0 if there is none.
    pub frames: u32,
    /// Pages of the database; 0 if the log does not say.
    pub pages: u32,
    /// Running checksum behind the last committed frame.
    pub sum: Sum,
    /// Salts of this round of the log.
    pub salts: Salts,
    /// Frames already copied into the database file.
    pub backfilled: u32,
}

impl WalIndex {
    /// Whether the database file holds everything that is committed.
    #[must_use]
    pub fn is_backfilled(&self) -> bool {
        self.backfilled == self.frames
    }

    /// Reads the header; none while a writer is changing it, or if one died doing so.
    #[must_use]
    pub fn decode(bytes: &[u8; INDEX_BYTES]) -> Option<Self> {
        let (copies, checkpoint) = bytes.split_at(2 * COPY_BYTES);
        let (first, second) = copies.split_at(COPY_BYTES);
        // Both copies the same, initialised, and the checksum right: SQLite's own conditions.
        let native_big_endian = cfg!(target_endian = "big");
        let sum = checksum(native_big_endian, [0, 0], &first[..SUMMED_BYTES]);
        if first != second || first[12] == 0 || sum != [native(first, 40), native(first, 44)] {
            return None;
        }
        if native(first, 0) != VERSION {
            return None;
        }
        let short = u32::from(u16::from_ne_bytes([first[14], first[15]]));
        Some(Self {
            change: native(first, 8),
            page_bytes: (short & 0xfe00) + ((short & 1) << 16),
            frames: native(first, 16),
            pages: native(first, 20),
            sum: [native(first, 24), native(first, 28)],
            salts: [u32::from_be(native(first, 32)), u32::from_be(native(first, 36))],
            backfilled: native(checkpoint, 0),
        })
    }
}

fn native(bytes: &[u8], at: usize) -> u32 {
    bytes
        .get(at..)
        .and_then(|rest| rest.first_chunk())
        .map_or(0, |chunk: &[u8; 4]| u32::from_ne_bytes(*chunk))
}
