//! Journal frames as they travel to the sites: the same batches with the same terms, so that a
//! journal rebuilt from them has the same chain as the one that was lost.

use evenkeel_types::codec::{Canonical, DecodeError, Reader, Writer};
use evenkeel_types::{Entry, canonical_struct};

/// One frame of the journal: a batch that was acknowledged together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// Fencing number of the primary that wrote it.
    pub term: u64,
    /// Position of its first entry.
    pub first: u64,
    /// Its entries' canonical bytes.
    pub entries: Vec<EntryBytes>,
}
canonical_struct!(Frame { term, first, entries });

impl Frame {
    /// Position behind its last entry.
    #[must_use]
    pub fn next(&self) -> u64 {
        self.first + self.entries.len() as u64
    }

    /// Bytes of its entries together.
    #[must_use]
    pub fn entry_bytes(&self) -> u64 {
        self.entries.iter().map(|entry| entry.0.len() as u64).sum()
    }
}

/// Canonical bytes of one entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntryBytes(pub Vec<u8>);

impl Canonical for EntryBytes {
    fn encode(&self, writer: &mut Writer) {
        writer.bytes(&self.0);
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self(reader.bytes(Entry::MAX_BYTES)?.to_vec()))
    }
}

/// A contiguous run of frames: what a tail object or a recovery point's journal part holds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Frames(pub Vec<Frame>);

impl Frames {
    const VERSION: u8 = 1;

    /// Position behind the last entry, `None` if there is none.
    #[must_use]
    pub fn next(&self) -> Option<u64> {
        self.0.last().map(Frame::next)
    }

    /// Number of entries.
    #[must_use]
    pub fn entry_count(&self) -> u64 {
        self.0.iter().map(|frame| frame.entries.len() as u64).sum()
    }
}

impl Canonical for Frames {
    fn encode(&self, writer: &mut Writer) {
        writer.u8(Self::VERSION);
        writer.sequence(self.0.iter());
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match reader.u8()? {
            Self::VERSION => {}
            version => return Err(reader.unknown_tag("frames version", version.into())),
        }
        let frames: Vec<Frame> = reader.sequence()?;
        let mut next = frames.first().map(|frame| frame.first);
        for frame in &frames {
            if frame.entries.is_empty() || Some(frame.first) != next {
                return Err(reader.not_canonical("frames empty or not contiguous"));
            }
            next = frame.first.checked_add(frame.entries.len() as u64);
        }
        if !frames.is_empty() && next.is_none() {
            return Err(reader.not_canonical("frames beyond the last position"));
        }
        Ok(Self(frames))
    }
}
