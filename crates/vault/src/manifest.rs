//! What a record's sealed body says: the payload itself, or where the chunks of each source are.

use evenkeel_types::{Canonical, DecodeError, Reader, Writer as Encoder};

use crate::certificate::text;
use crate::pack::CHUNK_BYTES_MAX;

/// Longest name of a source.
pub(crate) const SOURCE_NAME_BYTES_MAX: usize = 256;

/// A chunk's place: which of the record's packs, where in it, and what it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ChunkRef {
    /// Index into the record's list of packs.
    pub(crate) object: u32,
    pub(crate) place: ChunkPlace,
    pub(crate) id: [u8; 32],
}

/// Where a chunk lies in its pack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ChunkPlace {
    /// Number within the pack; its nonce.
    pub(crate) slot: u32,
    pub(crate) offset_bytes: u32,
    pub(crate) sealed_bytes: u32,
    pub(crate) plain_bytes: u32,
}

/// One source, as its chunks in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SourceEntry {
    pub(crate) name: String,
    pub(crate) length_bytes: u64,
    /// BLAKE3 of the whole plaintext: the check from end to end.
    pub(crate) hash: [u8; 32],
    pub(crate) chunks: Vec<ChunkRef>,
}

/// A record's body, opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Body {
    /// Nothing (a heartbeat).
    Empty,
    /// A small payload itself.
    Payload { bytes: Vec<u8> },
    /// Sources in packs.
    Sources { sources: Vec<SourceEntry> },
    /// A source whose bytes are an encoded list of sources, because the list is large. Only read:
    /// [`Body::Listed`] took its place.
    Indirect { list: SourceEntry },
    /// The same, with packs by name.
    Listed { list: SourceEntry },
}

impl Canonical for ChunkPlace {
    fn encode(&self, encoder: &mut Encoder) {
        encoder.u64(self.slot.into());
        encoder.u64(self.offset_bytes.into());
        encoder.u64(self.sealed_bytes.into());
        encoder.u64(self.plain_bytes.into());
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let place = Self {
            slot: u32::decode(reader)?,
            offset_bytes: u32::decode(reader)?,
            sealed_bytes: u32::decode(reader)?,
            plain_bytes: u32::decode(reader)?,
        };
        if place.plain_bytes as usize > CHUNK_BYTES_MAX {
            return Err(reader.not_canonical("a chunk larger than chunks can be"));
        }
        Ok(place)
    }
}

evenkeel_types::canonical_struct!(ChunkRef { object, place, id });

impl Canonical for SourceEntry {
    fn encode(&self, encoder: &mut Encoder) {
        encoder.bytes(self.name.as_bytes());
        encoder.u64(self.length_bytes);
        encoder.fixed(&self.hash);
        encoder.sequence(self.chunks.iter());
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Self {
            name: text(reader, SOURCE_NAME_BYTES_MAX)?,
            length_bytes: reader.u64()?,
            hash: reader.array()?,
            chunks: reader.sequence()?,
        }
        .checked(reader)
    }
}

impl SourceEntry {
    /// An entry as read, if it is as long as its chunks.
    pub(crate) fn checked(self, reader: &Reader<'_>) -> Result<Self, DecodeError> {
        let total: u64 = self.chunks.iter().map(|chunk| u64::from(chunk.place.plain_bytes)).sum();
        if total != self.length_bytes {
            return Err(reader.not_canonical("a source's length is not that of its chunks"));
        }
        Ok(self)
    }
}

/// Encodes a list of sources, for [`Body::Indirect`].
pub(crate) fn encode_sources(sources: &[SourceEntry]) -> Vec<u8> {
    let mut encoder = Encoder::new();
    encoder.sequence(sources.iter());
    encoder.into_bytes()
}

/// Decodes what [`encode_sources`] gave.
pub(crate) fn decode_sources(bytes: &[u8]) -> Result<Vec<SourceEntry>, DecodeError> {
    let mut reader = Reader::new(bytes);
    let sources = reader.sequence()?;
    reader.finish()?;
    Ok(sources)
}

impl Canonical for Body {
    fn encode(&self, encoder: &mut Encoder) {
        match self {
            Self::Empty => encoder.u8(0),
            Self::Payload { bytes } => {
                encoder.u8(1);
                encoder.bytes(bytes);
            }
            Self::Sources { sources } => {
                encoder.u8(2);
                encoder.sequence(sources.iter());
            }
            Self::Indirect { list } => {
                encoder.u8(3);
                list.encode(encoder);
            }
            Self::Listed { list } => {
                encoder.u8(4);
                list.encode(encoder);
            }
        }
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match reader.u8()? {
            0 => Ok(Self::Empty),
            1 => {
                let limit = reader.remaining();
                Ok(Self::Payload { bytes: reader.bytes(limit)?.to_vec() })
            }
            2 => Ok(Self::Sources { sources: reader.sequence()? }),
            3 => Ok(Self::Indirect { list: SourceEntry::decode(reader)? }),
            4 => Ok(Self::Listed { list: SourceEntry::decode(reader)? }),
            tag => Err(reader.unknown_tag("body", tag.into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn source() -> SourceEntry {
        let place = ChunkPlace { slot: 1, offset_bytes: 64, sealed_bytes: 30, plain_bytes: 500 };
        let chunk = ChunkRef { object: 0, place, id: [1; 32] };
        let chunks = vec![chunk, chunk];
        SourceEntry { name: "book".to_owned(), length_bytes: 1000, hash: [2; 32], chunks }
    }

    #[test]
    fn every_kind_of_body_reads_back() {
        for body in [
            Body::Empty,
            Body::Payload { bytes: vec![1, 2, 3] },
            Body::Sources { sources: vec![source(), source()] },
            Body::Indirect { list: source() },
            Body::Listed { list: source() },
        ] {
            assert_eq!(Body::from_bytes(&body.to_bytes()).unwrap(), body);
        }
        let sources = vec![source()];
        assert_eq!(decode_sources(&encode_sources(&sources)).unwrap(), sources);
    }

    #[test]
    fn a_source_whose_length_is_not_its_chunks_is_refused() {
        let mut wrong = source();
        wrong.length_bytes = 999;
        assert!(SourceEntry::from_bytes(&wrong.to_bytes()).is_err());
    }

    proptest! {
        #[test]
        fn garbage_is_an_error_and_never_a_panic(
            bytes in proptest::collection::vec(any::<u8>(), 0..300),
        ) {
            let _ = Body::from_bytes(&bytes);
            let _ = decode_sources(&bytes);
        }
    }
}
