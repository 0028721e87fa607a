//! A long list of sources, kept so that most of it is the same from point to point.
//!
//! Where a record's own list says *which of this record's packs*, this one gives each pack's name:
//! what did not change is then the same bytes, whatever packs come and go, and is recognised like
//! any other content. Without it, a point at which nothing changed would bring the whole list.

use std::collections::BTreeMap;

use evenkeel_types::{Canonical as _, DecodeError, Reader, Writer as Encoder};

use crate::certificate::text;
use crate::manifest::{ChunkPlace, ChunkRef, SOURCE_NAME_BYTES_MAX, SourceEntry};

/// The beginning of a pack's hash. Two packs of a record that share it are refused, not confused.
type PackName = [u8; 8];

/// The packs of a record by name.
pub(crate) struct PackNames {
    names: Vec<PackName>,
    numbers: BTreeMap<PackName, u32>,
}

impl PackNames {
    /// `None` if two packs would have one name.
    pub(crate) fn of<'a>(packs: impl Iterator<Item = &'a [u8; 32]>) -> Option<Self> {
        let names: Vec<PackName> = packs.filter_map(|pack| pack.first_chunk().copied()).collect();
        let numbered = names.iter().zip(0_u32..).map(|(name, number)| (*name, number));
        let numbers: BTreeMap<PackName, u32> = numbered.collect();
        (numbers.len() == names.len()).then_some(Self { names, numbers })
    }

    /// The list's bytes; `None` if a chunk lies in none of these packs.
    pub(crate) fn encode(&self, sources: &[SourceEntry]) -> Option<Vec<u8>> {
        let mut encoder = Encoder::new();
        encoder.u64(sources.len() as u64);
        for source in sources {
            encoder.bytes(source.name.as_bytes());
            encoder.u64(source.length_bytes);
            encoder.fixed(&source.hash);
            encoder.u64(source.chunks.len() as u64);
            for chunk in &source.chunks {
                encoder.fixed(self.names.get(chunk.object as usize)?);
                chunk.place.encode(&mut encoder);
                encoder.fixed(&chunk.id);
            }
        }
        Some(encoder.into_bytes())
    }

    /// Decodes what [`PackNames::encode`] gave.
    pub(crate) fn decode(&self, bytes: &[u8]) -> Result<Vec<SourceEntry>, DecodeError> {
        let mut reader = Reader::new(bytes);
        let count = reader.count()?;
        let mut sources = Vec::with_capacity(count.min(4096));
        for _ in 0..count {
            sources.push(self.source(&mut reader)?);
        }
        reader.finish()?;
        Ok(sources)
    }

    fn source(&self, reader: &mut Reader<'_>) -> Result<SourceEntry, DecodeError> {
        let name = text(reader, SOURCE_NAME_BYTES_MAX)?;
        let (length_bytes, hash) = (reader.u64()?, reader.array()?);
        let count = reader.count()?;
        let mut chunks = Vec::with_capacity(count.min(4096));
        for _ in 0..count {
            let Some(object) = self.numbers.get(&reader.array()?) else {
                return Err(reader.not_canonical("a chunk in a pack that the record does not name"));
            };
            let (place, id) = (ChunkPlace::decode(reader)?, reader.array()?);
            chunks.push(ChunkRef { object: *object, place, id });
        }
        SourceEntry { name, length_bytes, hash, chunks }.checked(reader)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn packs() -> Vec<[u8; 32]> {
        (0..4).map(|number| *blake3::hash(&[number]).as_bytes()).collect()
    }

    fn sources() -> Vec<SourceEntry> {
        let chunk = |object: u32| ChunkRef {
            object,
            place: ChunkPlace {
                slot: object * 7,
                offset_bytes: 64 + object,
                sealed_bytes: 30,
                plain_bytes: 500,
            },
            id: [u8::try_from(object).unwrap(); 32],
        };
        let source = |name: &str, objects: &[u32]| SourceEntry {
            name: name.to_owned(),
            length_bytes: 500 * objects.len() as u64,
            hash: [2; 32],
            chunks: objects.iter().map(|object| chunk(*object)).collect(),
        };
        vec![source("book", &[0, 3, 1]), source("none", &[]), source("log", &[2, 2])]
    }

    #[test]
    fn a_list_reads_back_whatever_order_the_packs_are_in() {
        let packs = packs();
        let names = PackNames::of(packs.iter()).unwrap();
        let bytes = names.encode(&sources()).unwrap();
        assert_eq!(names.decode(&bytes).unwrap(), sources());
        let turned: Vec<[u8; 32]> = packs.iter().rev().copied().collect();
        let turned = PackNames::of(turned.iter()).unwrap();
        let mut read = turned.decode(&bytes).unwrap();
        assert_eq!(turned.encode(&read).unwrap(), bytes);
        for chunk in read.iter_mut().flat_map(|source| &mut source.chunks) {
            chunk.object = 3 - chunk.object;
        }
        assert_eq!(read, sources());
    }

    #[test]
    fn packs_that_share_a_name_and_packs_that_are_not_there_are_refused() {
        let mut packs = packs();
        let bytes = PackNames::of(packs.iter()).unwrap().encode(&sources()).unwrap();
        let fewer = PackNames::of(packs[..3].iter()).unwrap();
        assert!(fewer.decode(&bytes).is_err());
        assert!(fewer.encode(&sources()).is_none());
        let twin = packs[0];
        packs[1][..8].copy_from_slice(&twin[..8]);
        assert!(PackNames::of(packs.iter()).is_none());
    }

    proptest! {
        #[test]
        fn garbage_is_an_error_and_never_a_panic(
            bytes in proptest::collection::vec(any::<u8>(), 0..300),
        ) {
            let names = PackNames::of(packs().iter()).unwrap();
            if let Ok(sources) = names.decode(&bytes) {
                prop_assert_eq!(names.encode(&sources).unwrap(), bytes);
            }
        }
    }
}
