//! SQLite's write-ahead log, read by our own code from the published file format
//! (sqlite.org/fileformat2.html, "The Write-Ahead Log").
//!
//! ```text
//!  header, 32 bytes, all integers big-endian
//!   0 magic 0x377f0682 (checksums over little-endian words) or 0x377f0683 (big-endian words)
//!   4 version 3007000     8 page size     12 checkpoint number    16 salt 1    20 salt 2
//!  24 checksum of bytes 0 to 23 (two words)
//!  frame, 24 bytes and a page
//!   0 page number   4 pages of the database behind this commit, 0 within a transaction
//!   8 salt 1       12 salt 2      16 checksum of bytes 0 to 7 and the page, seeded with
//!                                    the one before
//! ```
//!
//! What a file holds behind the last commit frame whose checksums chain is not data: the next
//! transaction overwrites it. No length is believed: a frame counts when its bytes are there and
//! its checksum continues the one before.

use thiserror::Error;

/// Length of the file header in bytes.
pub const HEADER_BYTES: usize = 32;
/// Length of a frame's header in bytes.
pub const FRAME_HEADER_BYTES: usize = 24;
const MAGIC_LITTLE: u32 = 0x377f_0682;
const MAGIC_BIG: u32 = 0x377f_0683;
const VERSION: u32 = 3_007_000;

/// Two words that change whenever the log starts over.
pub type Salts = [u32; 2];
/// The running checksum.
pub type Sum = [u32; 2];

/// Why bytes are not a write-ahead log, or not a frame of this one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum WalProblem {
    /// Fewer bytes than a header.
    #[error("the log is shorter than its header")]
    Short,
    /// Not the magic of a write-ahead log.
    #[error("the log does not begin with SQLite's magic")]
    Magic,
    /// A version this reader does not know.
    #[error("version {0} of the log is not known")]
    Version(u32),
    /// Not a power of two from 512 to 65,536.
    #[error("{0} is not a page size")]
    PageSize(u32),
    /// The header's checksum is wrong.
    #[error("the checksum of the log's header is wrong")]
    HeaderChecksum,
    /// A frame of an earlier round of the log.
    #[error("frame {0} has the salts of another round of the log")]
    Salt(u32),
    /// A frame whose bytes changed, or that is not wholly there.
    #[error("the checksum of frame {0} is wrong")]
    FrameChecksum(u32),
    /// Page number 0.
    #[error("frame {0} has no page number")]
    PageZero(u32),
}

/// Whether a database can have pages of this size.
#[must_use]
pub fn is_page_size(page_bytes: u32) -> bool {
    page_bytes.is_power_of_two() && (512..=65_536).contains(&page_bytes)
}

/// SQLite's checksum, continued from `seed` over `bytes`, whose length is a multiple of eight.
#[must_use]
pub fn checksum(big_endian: bool, seed: Sum, bytes: &[u8]) -> Sum {
    let word = if big_endian { u32::from_be_bytes } else { u32::from_le_bytes };
    let [mut first, mut second] = seed;
    let (pairs, _) = bytes.as_chunks::<8>();
    for [a, b, c, d, e, f, g, h] in pairs.iter().copied() {
        first = first.wrapping_add(word([a, b, c, d])).wrapping_add(second);
        second = second.wrapping_add(word([e, f, g, h])).wrapping_add(first);
    }
    [first, second]
}

/// The header of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WalHeader {
    /// Whether checksums are taken over big-endian words.
    pub big_endian: bool,
    /// Size of a page.
    pub page_bytes: u32,
    /// Number of the checkpoint that started this round.
    pub checkpoint: u32,
    /// What every frame of this round carries.
    pub salts: Salts,
    /// Seed of the first frame's checksum.
    pub sum: Sum,
}

fn word(bytes: &[u8], at: usize) -> u32 {
    bytes
        .get(at..)
        .and_then(|rest| rest.first_chunk())
        .map_or(0, |chunk: &[u8; 4]| u32::from_be_bytes(*chunk))
}

impl WalHeader {
    /// Reads and checks a header at the start of `bytes`.
    ///
    /// # Errors
    /// See [`WalProblem`].
    pub fn decode(bytes: &[u8]) -> Result<Self, WalProblem> {
        let bytes = bytes.get(..HEADER_BYTES).ok_or(WalProblem::Short)?;
        let big_endian = match word(bytes, 0) {
            MAGIC_LITTLE => false,
            MAGIC_BIG => true,
            _ => return Err(WalProblem::Magic),
        };
        let version = word(bytes, 4);
        let page_bytes = word(bytes, 8);
        let sum = [word(bytes, 24), word(bytes, 28)];
        // A header that is only damaged must not be taken for one of the future.
        if sum != checksum(big_endian, [0, 0], &bytes[..24]) {
            return Err(WalProblem::HeaderChecksum);
        }
        if version != VERSION {
            return Err(WalProblem::Version(version));
        }
        if !is_page_size(page_bytes) {
            return Err(WalProblem::PageSize(page_bytes));
        }
        let salts = [word(bytes, 16), word(bytes, 20)];
        Ok(Self { big_endian, page_bytes, checkpoint: word(bytes, 12), salts, sum })
    }

    /// Length of a frame in bytes.
    #[must_use]
    pub fn frame_bytes(&self) -> usize {
        FRAME_HEADER_BYTES + self.page_bytes as usize
    }

    /// Where frame `frame` begins in the file; the first frame is 1.
    #[must_use]
    pub fn frame_offset(&self, frame: u32) -> u64 {
        frame_offset(self.page_bytes, frame)
    }
}

/// Where frame `frame` begins in a log with pages of `page_bytes`; the first frame is 1.
#[must_use]
pub fn frame_offset(page_bytes: u32, frame: u32) -> u64 {
    let frame_bytes = FRAME_HEADER_BYTES as u64 + u64::from(page_bytes);
    HEADER_BYTES as u64 + u64::from(frame.saturating_sub(1)) * frame_bytes
}

/// Salts and checksum that a frame's header bears, whatever its page.
pub(crate) fn frame_end(frame: &[u8]) -> (Salts, Sum) {
    ([word(frame, 8), word(frame, 12)], [word(frame, 16), word(frame, 20)])
}

/// A frame whose checksum continues the chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a> {
    /// Number of the page, from 1.
    pub page: u32,
    /// Pages of the database behind this commit; none within a transaction.
    pub commit_pages: Option<u32>,
    /// The page.
    pub data: &'a [u8],
}

/// A place in a log: how many frames were accepted, and the checksum behind them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Place {
    /// Salts of the round.
    pub salts: Salts,
    /// Frames before this place.
    pub frame: u32,
    /// Running checksum; meaningless at frame 0, where the header's applies.
    pub sum: Sum,
}

/// Accepts frame after frame.
#[derive(Debug, Clone, Copy)]
pub struct WalChain {
    header: WalHeader,
    place: Place,
}

impl WalChain {
    /// Before the first frame.
    #[must_use]
    pub fn begin(header: WalHeader) -> Self {
        let place = Place { salts: header.salts, frame: 0, sum: header.sum };
        Self { header, place }
    }

    /// Behind frames that were accepted earlier.
    ///
    /// # Errors
    /// [`WalProblem::Salt`] if the place is of another round.
    pub fn resume(header: WalHeader, place: Place) -> Result<Self, WalProblem> {
        if place.frame == 0 {
            return Ok(Self::begin(header));
        }
        if place.salts != header.salts {
            return Err(WalProblem::Salt(place.frame));
        }
        Ok(Self { header, place })
    }

    /// The header.
    #[must_use]
    pub fn header(&self) -> &WalHeader {
        &self.header
    }

    /// Behind the last accepted frame.
    #[must_use]
    pub fn place(&self) -> Place {
        self.place
    }

    /// Accepts the frame that begins with `bytes`, or leaves the chain as it was.
    ///
    /// # Errors
    /// [`WalProblem::Salt`], [`WalProblem::FrameChecksum`], [`WalProblem::PageZero`].
    pub fn accept<'a>(&mut self, bytes: &'a [u8]) -> Result<Frame<'a>, WalProblem> {
        let number = self.place.frame.saturating_add(1);
        let end = self.header.frame_bytes();
        let bytes = bytes.get(..end).ok_or(WalProblem::FrameChecksum(number))?;
        let (head, data) = bytes.split_at(FRAME_HEADER_BYTES);
        if [word(head, 8), word(head, 12)] != self.header.salts {
            return Err(WalProblem::Salt(number));
        }
        let big_endian = self.header.big_endian;
        let sum = checksum(big_endian, self.place.sum, &head[..8]);
        let sum = checksum(big_endian, sum, data);
        if sum != [word(head, 16), word(head, 20)] {
            return Err(WalProblem::FrameChecksum(number));
        }
        let page = word(head, 0);
        if page == 0 {
            return Err(WalProblem::PageZero(number));
        }
        self.place = Place { salts: self.header.salts, frame: number, sum };
        let commit_pages = Some(word(head, 4)).filter(|pages| *pages > 0);
        Ok(Frame { page, commit_pages, data })
    }
}

/// A transaction that is wholly in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transaction<'a> {
    /// Pages it wrote, in order; one may come twice, the later counts.
    pub pages: Vec<(u32, &'a [u8])>,
    /// Pages of the database behind it.
    pub database_pages: u32,
    /// Behind its commit frame.
    pub end: Place,
}

/// All that a log says for certain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decoded<'a> {
    /// Its header.
    pub header: WalHeader,
    /// Transactions up to the last commit frame whose checksums chain.
    pub transactions: Vec<Transaction<'a>>,
    /// Why the next frame does not continue the chain; none at the very end of the bytes.
    pub stopped_by: Option<WalProblem>,
}

/// Reads a whole log.
///
/// # Errors
/// Whatever is wrong with its header; what is wrong behind it ends the list of transactions.
pub fn decode(bytes: &[u8]) -> Result<Decoded<'_>, WalProblem> {
    let header = WalHeader::decode(bytes)?;
    let mut chain = WalChain::begin(header);
    let mut rest = &bytes[HEADER_BYTES..];
    let (mut transactions, mut pages, mut stopped_by) = (Vec::new(), Vec::new(), None);
    while !rest.is_empty() {
        let frame = match chain.accept(rest) {
            Ok(frame) => frame,
            Err(problem) => {
                stopped_by = Some(problem);
                break;
            }
        };
        rest = &rest[header.frame_bytes()..];
        pages.push((frame.page, frame.data));
        if let Some(database_pages) = frame.commit_pages {
            let pages = std::mem::take(&mut pages);
            transactions.push(Transaction { pages, database_pages, end: chain.place() });
        }
    }
    Ok(Decoded { header, transactions, stopped_by })
}
