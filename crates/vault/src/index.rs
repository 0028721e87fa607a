//! The local deduplication index: which chunks the sites already hold, and where. It holds no key
//! and may be lost without harm: then chunks are written again.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use evenkeel_types::{Canonical, DecodeError, Reader, Writer as Encoder};

use crate::certificate::magic;
use crate::error::{Error, Result};
use crate::keys::IdKey;
use crate::layout::Lineage;
use crate::manifest::ChunkPlace;
use crate::pack::PackEntry;
use crate::record::{ObjectRef, PeriodRef};
use crate::state::write_durably;

const MAGIC: &[u8; 4] = b"EVKI";
const VERSION: u8 = 1;
const MAC_BYTES: usize = 32;

/// A pack that later points may refer to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct IndexedPack {
    pub(crate) object: ObjectRef,
    pub(crate) period: PeriodRef,
}

evenkeel_types::canonical_struct!(IndexedPack { object, period });

/// Known chunks of one lineage and one writer since the last self-contained point.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DedupIndex {
    pub(crate) lineage: Lineage,
    pub(crate) writer: [u8; 32],
    /// Points written since (and including) the last self-contained one.
    pub(crate) points: u64,
    packs: Vec<IndexedPack>,
    chunks: BTreeMap<[u8; 32], (u32, ChunkPlace)>,
}

impl DedupIndex {
    /// An index that knows nothing: the next point will be self-contained.
    #[must_use]
    pub fn empty(lineage: Lineage, writer: [u8; 32]) -> Self {
        Self { lineage, writer, points: 0, packs: Vec::new(), chunks: BTreeMap::new() }
    }

    /// Reads an index. A file that is missing, damaged, not authenticated by `id_key`, or of
    /// another lineage or writer gives an empty one: it can cost room, never correctness.
    ///
    /// # Errors
    /// [`Error::File`] if a file is there and cannot be read.
    pub fn load(path: &Path, id_key: &IdKey, lineage: Lineage, writer: [u8; 32]) -> Result<Self> {
        let empty = Self::empty(lineage, writer);
        let bytes = match fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(empty),
            Err(error) => return Err(Error::file("reading", path)(error)),
        };
        let read = authenticated(&bytes, id_key)
            .and_then(|bytes| Self::from_bytes(bytes).ok())
            .filter(|read| read.lineage == lineage && read.writer == writer);
        Ok(read.unwrap_or(empty))
    }

    /// Writes the index, durably.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn save(&self, path: &Path, id_key: &IdKey) -> Result<()> {
        let mut bytes = self.to_bytes();
        let mac = blake3::keyed_hash(&id_key.index_key(), &bytes);
        bytes.extend_from_slice(mac.as_bytes());
        write_durably(path, &bytes)
    }

    /// Number of chunks known.
    #[must_use]
    pub fn chunk_count(&self) -> usize {
        self.chunks.len()
    }

    pub(crate) fn packs(&self) -> &[IndexedPack] {
        &self.packs
    }

    pub(crate) fn find(&self, id: &[u8; 32]) -> Option<(u32, ChunkPlace)> {
        self.chunks.get(id).copied()
    }

    pub(crate) fn add(&mut self, pack: IndexedPack, entries: &[PackEntry]) {
        let Ok(number) = u32::try_from(self.packs.len()) else {
            return;
        };
        self.packs.push(pack);
        for entry in entries {
            self.chunks.entry(entry.id).or_insert((number, entry.place));
        }
    }

    /// Forgets what is in packs for which `keep` is false.
    pub(crate) fn retain_packs(&mut self, keep: impl Fn(&IndexedPack) -> bool) {
        let kept: Vec<bool> = self.packs.iter().map(&keep).collect();
        if kept.iter().all(|kept| *kept) {
            return;
        }
        let mut renumbered = Vec::with_capacity(kept.len());
        let mut next = 0;
        for kept in &kept {
            renumbered.push(kept.then_some(next));
            next += u32::from(*kept);
        }
        let place = |number: u32| renumbered.get(number as usize).copied().flatten();
        self.chunks = std::mem::take(&mut self.chunks)
            .into_iter()
            .filter_map(|(id, (number, at))| Some((id, (place(number)?, at))))
            .collect();
        let mut at = 0;
        self.packs.retain(|_| {
            at += 1;
            kept[at - 1]
        });
    }
}

fn authenticated<'a>(bytes: &'a [u8], id_key: &IdKey) -> Option<&'a [u8]> {
    let (body, mac) = bytes.split_at_checked(bytes.len().checked_sub(MAC_BYTES)?)?;
    let mac: [u8; MAC_BYTES] = mac.try_into().ok()?;
    // Comparing two `blake3::Hash` takes the same time whatever differs.
    (blake3::keyed_hash(&id_key.index_key(), body) == blake3::Hash::from_bytes(mac)).then_some(body)
}

impl Canonical for DedupIndex {
    fn encode(&self, encoder: &mut Encoder) {
        encoder.fixed(MAGIC);
        encoder.u8(VERSION);
        self.lineage.encode(encoder);
        encoder.fixed(&self.writer);
        encoder.u64(self.points);
        encoder.sequence(self.packs.iter());
        encoder.u64(self.chunks.len() as u64);
        for (id, (pack, place)) in &self.chunks {
            encoder.fixed(id);
            encoder.u64((*pack).into());
            place.encode(encoder);
        }
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        magic(reader, MAGIC, VERSION)?;
        let mut index = Self::empty(Lineage::decode(reader)?, reader.array()?);
        index.points = reader.u64()?;
        index.packs = reader.sequence()?;
        let mut last: Option<[u8; 32]> = None;
        for _ in 0..reader.count()? {
            let id = reader.array()?;
            if last.is_some_and(|last| last >= id) {
                return Err(reader.not_canonical("chunk ids out of order"));
            }
            last = Some(id);
            let pack = u32::decode(reader)?;
            if pack as usize >= index.packs.len() {
                return Err(reader.not_canonical("a chunk in no pack"));
            }
            index.chunks.insert(id, (pack, ChunkPlace::decode(reader)?));
        }
        Ok(index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn index() -> DedupIndex {
        let mut index = DedupIndex::empty(Lineage([1; 16]), [2; 32]);
        for number in 0..3_u8 {
            let object = ObjectRef {
                pack: [number; 32],
                length_bytes: 9,
                period: 1,
                shard_roots: vec![[0; 32]; 11],
            };
            let period = PeriodRef { number: 1, hash: [4; 32] };
            let place = ChunkPlace {
                slot: number.into(),
                offset_bytes: 64,
                sealed_bytes: 20,
                plain_bytes: 4,
            };
            let entry = PackEntry { id: [number + 10; 32], place };
            index.add(IndexedPack { object, period }, &[entry]);
        }
        index
    }

    #[test]
    fn an_index_reads_back_and_a_damaged_or_foreign_one_is_empty() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("index");
        let key = IdKey::from_bytes(&[5; 32]);
        let load = |key: &IdKey| DedupIndex::load(&path, key, Lineage([1; 16]), [2; 32]).unwrap();
        assert_eq!(load(&key).chunk_count(), 0);
        index().save(&path, &key).unwrap();
        assert_eq!(load(&key), index());
        assert_eq!(load(&IdKey::from_bytes(&[6; 32])).chunk_count(), 0);
        let other = DedupIndex::load(&path, &key, Lineage([9; 16]), [2; 32]).unwrap();
        assert_eq!(other.chunk_count(), 0);
        let mut bytes = fs::read(&path).unwrap();
        bytes[50] ^= 1;
        fs::write(&path, bytes).unwrap();
        assert_eq!(load(&key).chunk_count(), 0);
    }

    #[test]
    fn dropping_a_pack_forgets_its_chunks_and_renumbers_the_rest() {
        let mut index = index();
        index.retain_packs(|pack| pack.object.pack != [1; 32]);
        assert_eq!(index.packs().len(), 2);
        assert_eq!(index.find(&[11; 32]), None);
        let (number, _) = index.find(&[12; 32]).unwrap();
        assert_eq!(index.packs()[number as usize].object.pack, [2; 32]);
    }

    proptest! {
        #[test]
        fn garbage_is_never_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let mut framed = b"EVKI\x01".to_vec();
            framed.extend(&bytes);
            let _ = DedupIndex::from_bytes(&framed);
        }
    }
}
