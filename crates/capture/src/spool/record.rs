//! What a spool's records say.
//!
//! An *epoch* begins with a snapshot: a batch of all pages that ends with a commit. Batches of
//! changed pages follow. A page is carried whole, or as its difference (XOR) to what the same
//! epoch last said of it; of a page never mentioned, that is zeros. A transaction may span
//! batches; it counts when its commit is there.

use evenkeel_types::Canonical;
use evenkeel_types::codec::{DecodeError, Reader, Writer};

use crate::sqlite::wal::{Place, is_page_size};

/// Largest content of a batch before compression, in bytes.
pub const BATCH_BYTES_MAX: usize = 16 << 20;

/// Why an interval is not protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Why {
    /// The log started over or was checkpointed away while capture was down.
    LogReset,
    /// The log does not hold what was captured from it: a crash took back what was not synced,
    /// or an older copy was put in place.
    Diverged,
    /// Another file lies where the database was.
    Replaced,
    /// The pages have another size.
    PageSize,
    /// No file lies where the database was.
    Gone,
    /// The journal mode is no longer WAL.
    LeftWal,
    /// The log passed its bound, so it was let go.
    LogBound,
    /// The spool holds less than was captured: it is damaged, or parts of it are gone.
    SpoolDamaged,
}

impl Why {
    const ALL: [Self; 8] = [
        Self::LogReset,
        Self::Diverged,
        Self::Replaced,
        Self::Gone,
        Self::PageSize,
        Self::LeftWal,
        Self::LogBound,
        Self::SpoolDamaged,
    ];

    /// The reason in words.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::LogReset => "the database's log was checkpointed and started over",
            Self::Diverged => "the database no longer holds what was captured from it",
            Self::Replaced => "another file lies where the database was",
            Self::Gone => "no file lies where the database was",
            Self::PageSize => "the database has another page size",
            Self::LeftWal => "the database left WAL mode",
            Self::LogBound => "the database's log passed its bound and was let go",
            Self::SpoolDamaged => "the spool lost records",
        }
    }

    fn tag(self) -> u8 {
        match self {
            Self::LogReset => 1,
            Self::Diverged => 2,
            Self::Replaced => 3,
            Self::PageSize => 4,
            Self::LeftWal => 5,
            Self::LogBound => 6,
            Self::SpoolDamaged => 7,
            Self::Gone => 8,
        }
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let tag = reader.u8()?;
        let known = Self::ALL.into_iter().find(|why| why.tag() == tag);
        known.ok_or_else(|| reader.unknown_tag("reason of a gap", u64::from(tag)))
    }
}

/// A state of the database that can be restored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Commit {
    /// Counts commits of this spool, from 1; goes on across epochs.
    pub number: u64,
    /// When it was seen, nanoseconds since 1970 UTC; never less than the one before.
    pub time_ns: u64,
    /// When it was certainly not there yet; the commit happened between the two.
    pub after_ns: u64,
    /// Pages of the database.
    pub pages: u32,
    /// Sum over all pages, see [`crate::spool::Image`].
    pub digest: [u8; 32],
    /// Where it ends in the database's log.
    pub place: Place,
}

impl Canonical for Commit {
    fn encode(&self, writer: &mut Writer) {
        writer.u64(self.number);
        writer.u64(self.time_ns);
        writer.u64(self.after_ns);
        writer.u64(u64::from(self.pages));
        writer.fixed(&self.digest);
        let Place { salts, frame, sum } = self.place;
        for word in [salts[0], salts[1], frame, sum[0], sum[1]] {
            writer.fixed(&word.to_le_bytes());
        }
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (number, time_ns, after_ns) = (reader.u64()?, reader.u64()?, reader.u64()?);
        let pages = page_number(reader)?;
        let digest = reader.array()?;
        let mut word = || reader.array().map(u32::from_le_bytes);
        let place = Place { salts: [word()?, word()?], frame: word()?, sum: [word()?, word()?] };
        Ok(Self { number, time_ns, after_ns, pages, digest, place })
    }
}

fn page_number(reader: &mut Reader<'_>) -> Result<u32, DecodeError> {
    u32::try_from(reader.u64()?).map_err(|_| reader.not_canonical("page number over 32 bits"))
}

/// An unprotected interval that has begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GapBegin {
    /// Why.
    pub why: Why,
    /// Last commit before it; 0 if there is none.
    pub from_number: u64,
    /// Time of that commit.
    pub from_ns: u64,
    /// When it was noticed.
    pub noticed_ns: u64,
}

/// What an item of a batch is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Item {
    /// A page, whole.
    Whole(u32),
    /// A page, as the difference to what the epoch last said of it.
    Difference(u32),
    /// The end of a transaction.
    Commit(Commit),
}

impl Canonical for Item {
    fn encode(&self, writer: &mut Writer) {
        match self {
            Self::Whole(page) => {
                writer.u8(1);
                writer.u64(u64::from(*page));
            }
            Self::Difference(page) => {
                writer.u8(2);
                writer.u64(u64::from(*page));
            }
            Self::Commit(commit) => {
                writer.u8(3);
                commit.encode(writer);
            }
        }
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let tag = reader.u8()?;
        match tag {
            1 | 2 => {
                let page = page_number(reader)?;
                if page == 0 {
                    return Err(reader.not_canonical("page number 0"));
                }
                Ok(if tag == 1 { Self::Whole(page) } else { Self::Difference(page) })
            }
            3 => Commit::decode(reader).map(Self::Commit),
            _ => Err(reader.unknown_tag("item of a batch", u64::from(tag))),
        }
    }
}

/// A record of the spool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// A history begins: the next commit is a snapshot.
    Epoch {
        /// Counts epochs, from 1.
        epoch: u64,
        /// Size of its pages.
        page_bytes: u32,
    },
    /// Pages and commits.
    Batch(Batch),
    /// An unprotected interval begins; it ends with the next snapshot.
    Gap(GapBegin),
    /// Capture was down and lost nothing, but saw commits of this interval only at its end.
    Downtime {
        /// The last time it looked before.
        from_ns: u64,
        /// When it looked again.
        to_ns: u64,
    },
}

/// Pages and commits, in order, the pages' bytes compressed together.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Batch {
    /// What it carries.
    pub items: Vec<Item>,
    /// Length of the pages' bytes.
    pub raw_bytes: u64,
    /// The pages' bytes, one behind another, compressed (RFC 8878).
    pub compressed: Vec<u8>,
}

impl Batch {
    /// Number of pages.
    #[must_use]
    pub fn pages(&self) -> usize {
        self.items.iter().filter(|item| !matches!(item, Item::Commit(_))).count()
    }

    /// Commits, in order.
    pub fn commits(&self) -> impl DoubleEndedIterator<Item = &Commit> {
        self.items.iter().filter_map(|item| match item {
            Item::Commit(commit) => Some(commit),
            Item::Whole(_) | Item::Difference(_) => None,
        })
    }

    /// Whether no transaction is left open at its end.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        matches!(self.items.last(), Some(Item::Commit(_)))
    }

    /// The pages' bytes.
    ///
    /// # Errors
    /// If they do not decompress to exactly the length stated.
    pub fn decompress(&self) -> Result<Vec<u8>, DecodeError> {
        let bad = DecodeError::NotCanonical { at: 0, what: "compressed pages" };
        let length = usize::try_from(self.raw_bytes).map_err(|_| bad)?;
        if length == 0 && self.compressed.is_empty() {
            return Ok(Vec::new());
        }
        let raw = zstd::bulk::decompress(&self.compressed, length).map_err(|_| bad)?;
        if raw.len() == length { Ok(raw) } else { Err(bad) }
    }
}

const TAG_EPOCH: u8 = 1;
pub(super) const TAG_BATCH: u8 = 2;
const TAG_GAP: u8 = 3;
const TAG_DOWNTIME: u8 = 4;

impl Canonical for Body {
    fn encode(&self, writer: &mut Writer) {
        match self {
            Self::Epoch { epoch, page_bytes } => {
                writer.u8(TAG_EPOCH);
                writer.u64(*epoch);
                writer.u64(u64::from(*page_bytes));
            }
            Self::Batch(Batch { items, raw_bytes, compressed }) => {
                writer.u8(TAG_BATCH);
                writer.sequence(items.iter());
                writer.u64(*raw_bytes);
                writer.bytes(compressed);
            }
            Self::Gap(GapBegin { why, from_number, from_ns, noticed_ns }) => {
                writer.u8(TAG_GAP);
                writer.u8(why.tag());
                writer.u64(*from_number);
                writer.u64(*from_ns);
                writer.u64(*noticed_ns);
            }
            Self::Downtime { from_ns, to_ns } => {
                writer.u8(TAG_DOWNTIME);
                writer.u64(*from_ns);
                writer.u64(*to_ns);
            }
        }
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match reader.u8()? {
            TAG_EPOCH => {
                let epoch = reader.u64()?;
                let page_bytes = page_number(reader)?;
                if !is_page_size(page_bytes) {
                    return Err(reader.not_canonical("page size"));
                }
                Ok(Self::Epoch { epoch, page_bytes })
            }
            TAG_BATCH => decode_batch(reader).map(Self::Batch),
            TAG_GAP => {
                let why = Why::decode(reader)?;
                let (from_number, from_ns) = (reader.u64()?, reader.u64()?);
                let noticed_ns = reader.u64()?;
                Ok(Self::Gap(GapBegin { why, from_number, from_ns, noticed_ns }))
            }
            TAG_DOWNTIME => Ok(Self::Downtime { from_ns: reader.u64()?, to_ns: reader.u64()? }),
            tag => Err(reader.unknown_tag("record of a spool", u64::from(tag))),
        }
    }
}

fn decode_batch(reader: &mut Reader<'_>) -> Result<Batch, DecodeError> {
    let items: Vec<Item> = reader.sequence()?;
    let raw_bytes = reader.u64()?;
    if raw_bytes > BATCH_BYTES_MAX as u64 {
        let limit_bytes = BATCH_BYTES_MAX as u64;
        return Err(DecodeError::TooLong { at: reader.at(), length_bytes: raw_bytes, limit_bytes });
    }
    let compressed = reader.bytes(reader.remaining())?.to_vec();
    let batch = Batch { items, raw_bytes, compressed };
    let pages = batch.pages() as u64;
    let page_bytes = raw_bytes.checked_div(pages).unwrap_or(0);
    let even = pages * page_bytes == raw_bytes
        && (pages == 0 || u32::try_from(page_bytes).is_ok_and(is_page_size));
    if even { Ok(batch) } else { Err(reader.not_canonical("pages of uneven length")) }
}
