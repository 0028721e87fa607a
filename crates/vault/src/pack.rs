//! Packs: chunks sealed one by one, then an encrypted index of them.

use evenkeel_types::{Reader, Writer as Encoder};

use crate::error::{Error, Result};
use crate::keys::IdKey;
use crate::layout::Lineage;
use crate::manifest::{ChunkPlace, ChunkRef};
use crate::period::PeriodKey;
use crate::random::{self, Random};
use crate::seal::{Compressor, Decompressor, SALT_BYTES, SealingKey, Slot, TAG_BYTES, Use};

/// Largest pack: bounds the memory that sealing and restoring need.
pub(crate) const PACK_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Largest chunk before compression.
pub(crate) const CHUNK_BYTES_MAX: usize = 1024 * 1024;
const MAGIC: &[u8; 4] = b"EVKP";
const VERSION: u8 = 1;
/// Header: magic, version, 3 zeros, lineage, period (little-endian), salt.
pub(crate) const HEADER_BYTES: usize = 64;
/// Trailer: length of the sealed index (little-endian u32), magic.
const TRAILER_BYTES: usize = 8;
/// Room an index entry takes at most.
const INDEX_ENTRY_BYTES_MAX: usize = 32 + 4 * 5;

/// What is known of a chunk: its id and its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PackEntry {
    pub(crate) id: [u8; 32],
    pub(crate) place: ChunkPlace,
}

evenkeel_types::canonical_struct!(PackEntry { id, place });

/// A pack being filled.
pub(crate) struct PackBuilder {
    lineage: Lineage,
    salt: [u8; SALT_BYTES],
    key: SealingKey,
    bytes: Vec<u8>,
    entries: Vec<PackEntry>,
}

/// A finished pack.
pub(crate) struct Pack {
    pub(crate) bytes: Vec<u8>,
    pub(crate) entries: Vec<PackEntry>,
}

impl PackBuilder {
    /// Into an empty buffer.
    pub(crate) fn new(
        lineage: Lineage,
        period: u64,
        period_key: &PeriodKey,
        random: &mut dyn Random,
        room: Vec<u8>,
    ) -> Result<Self> {
        Ok(Self::salted(lineage, period, period_key, random::array(random)?, room))
    }

    fn salted(
        lineage: Lineage,
        period: u64,
        period_key: &PeriodKey,
        salt: [u8; SALT_BYTES],
        mut bytes: Vec<u8>,
    ) -> Self {
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&[VERSION, 0, 0, 0]);
        bytes.extend_from_slice(&lineage.0);
        bytes.extend_from_slice(&period.to_le_bytes());
        bytes.extend_from_slice(&salt);
        let key = SealingKey::derive(period_key, &salt, Use::Pack);
        Self { lineage, salt, key, bytes, entries: Vec::new() }
    }

    /// Whether a compressed chunk of this size still fits.
    pub(crate) fn fits(&self, compressed_bytes: usize) -> bool {
        let index = (self.entries.len() + 1) * INDEX_ENTRY_BYTES_MAX + 16 + TAG_BYTES;
        let total = self.bytes.len() + compressed_bytes + TAG_BYTES + index + TRAILER_BYTES;
        total <= PACK_BYTES_MAX
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Seals one compressed chunk.
    pub(crate) fn add(
        &mut self,
        id: [u8; 32],
        compressed: Vec<u8>,
        plain_bytes: usize,
    ) -> Result<ChunkPlace> {
        let slot = number(self.entries.len())?;
        let aad = chunk_context(self.lineage, &self.salt, &id);
        let sealed = self.key.seal(Slot::Chunk(slot), &aad, compressed)?;
        let place = ChunkPlace {
            slot,
            offset_bytes: number(self.bytes.len())?,
            sealed_bytes: number(sealed.len())?,
            plain_bytes: number(plain_bytes)?,
        };
        self.bytes.extend_from_slice(&sealed);
        self.entries.push(PackEntry { id, place });
        Ok(place)
    }

    pub(crate) fn finish(mut self) -> Result<Pack> {
        let mut encoder = Encoder::new();
        encoder.sequence(self.entries.iter());
        self.end(encoder.into_bytes())?;
        Ok(Pack { bytes: self.bytes, entries: self.entries })
    }

    fn end(&mut self, index: Vec<u8>) -> Result<()> {
        let aad = index_context(self.lineage, &self.salt);
        let sealed = self.key.seal(Slot::Index, &aad, index)?;
        self.bytes.extend_from_slice(&sealed);
        self.bytes.extend_from_slice(&number(sealed.len())?.to_le_bytes());
        self.bytes.extend_from_slice(MAGIC);
        Ok(())
    }
}

/// A pack without chunks that says `index` of itself, for the fuzzers.
pub(crate) fn sealed_around(
    lineage: Lineage,
    index: &[u8],
    period_key: &PeriodKey,
) -> Result<Vec<u8>> {
    let mut builder = PackBuilder::salted(lineage, 1, period_key, [0; SALT_BYTES], Vec::new());
    builder.end(index.to_vec())?;
    Ok(builder.bytes)
}

/// A pack being read; its bytes were checked against the pack's name already.
pub(crate) struct PackReader<'a> {
    bytes: &'a [u8],
    lineage: Lineage,
    period: u64,
    salt: [u8; SALT_BYTES],
}

impl<'a> PackReader<'a> {
    /// `None` if these bytes are no pack of this version.
    pub(crate) fn new(bytes: &'a [u8]) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        if reader.array::<4>().ok()? != *MAGIC || reader.array::<4>().ok()? != [VERSION, 0, 0, 0] {
            return None;
        }
        Some(Self {
            bytes,
            lineage: Lineage(reader.array().ok()?),
            period: u64::from_le_bytes(reader.array().ok()?),
            salt: reader.array().ok()?,
        })
    }

    pub(crate) fn lineage(&self) -> Lineage {
        self.lineage
    }

    pub(crate) fn period(&self) -> u64 {
        self.period
    }

    pub(crate) fn key(&self, period_key: &PeriodKey) -> SealingKey {
        SealingKey::derive(period_key, &self.salt, Use::Pack)
    }

    /// A chunk's plaintext; `None` if it is not the chunk that was sealed here.
    pub(crate) fn chunk(
        &self,
        key: &SealingKey,
        entry: &PackEntry,
        decompressor: &mut Decompressor,
    ) -> Option<Vec<u8>> {
        let from = entry.place.offset_bytes as usize;
        let to = from.checked_add(entry.place.sealed_bytes as usize)?;
        self.open(key, entry, self.bytes.get(from..to)?, decompressor)
    }

    /// As [`PackReader::chunk`], of a chunk whose sealed bytes were read without the rest.
    pub(crate) fn open(
        &self,
        key: &SealingKey,
        entry: &PackEntry,
        sealed: &[u8],
        decompressor: &mut Decompressor,
    ) -> Option<Vec<u8>> {
        let aad = chunk_context(self.lineage, &self.salt, &entry.id);
        let compressed = key.open(Slot::Chunk(entry.place.slot), &aad, sealed)?;
        decompressor.decompress(&compressed, entry.place.plain_bytes as usize)
    }

    /// The pack's own index: what a lost local index is rebuilt from.
    pub(crate) fn index(&self, key: &SealingKey) -> Option<Vec<PackEntry>> {
        let end = self.bytes.len().checked_sub(TRAILER_BYTES)?;
        let (length, tail) = self.bytes.get(end..)?.split_at_checked(4)?;
        if tail != MAGIC {
            return None;
        }
        let length = u32::from_le_bytes(length.try_into().ok()?) as usize;
        let from = end.checked_sub(length).filter(|from| *from >= HEADER_BYTES)?;
        let aad = index_context(self.lineage, &self.salt);
        let plain = key.open(Slot::Index, &aad, self.bytes.get(from..end)?)?;
        let mut reader = Reader::new(&plain);
        let entries = reader.sequence().ok()?;
        reader.finish().ok()?;
        Some(entries)
    }
}

/// Opens every chunk of `bytes` and compares it with its id: what was encoded is what went in.
pub(crate) fn check_pack(
    bytes: &[u8],
    expected: &[PackEntry],
    period_key: &PeriodKey,
    id_key: &IdKey,
) -> Result<()> {
    let fail = |detail: String| Error::EncodeCheck { stage: "pack", detail };
    let pack = PackReader::new(bytes).ok_or_else(|| fail("its header does not read".to_owned()))?;
    let key = pack.key(period_key);
    if pack.index(&key).as_deref() != Some(expected) {
        return Err(fail("its index does not read back".to_owned()));
    }
    let mut decompressor = Decompressor::new()?;
    for entry in expected {
        let same = pack
            .chunk(&key, entry, &mut decompressor)
            .is_some_and(|chunk| id_key.chunk_id(&chunk) == entry.id);
        if !same {
            return Err(fail(format!("chunk {} does not read back", entry.place.slot)));
        }
    }
    Ok(())
}

/// Compresses a chunk, ready for [`PackBuilder::add`].
pub(crate) fn compress(compressor: &mut Compressor, chunk: &[u8]) -> Result<Vec<u8>> {
    let mut compressed = compressor.compress(chunk)?;
    // Room for the tag, so that sealing appends in place.
    compressed.reserve_exact(TAG_BYTES);
    Ok(compressed)
}

impl From<ChunkRef> for PackEntry {
    fn from(chunk: ChunkRef) -> Self {
        Self { id: chunk.id, place: chunk.place }
    }
}

fn chunk_context(lineage: Lineage, salt: &[u8; SALT_BYTES], id: &[u8; 32]) -> Vec<u8> {
    [b"evkchunk".as_slice(), &lineage.0, salt, id].concat()
}

fn index_context(lineage: Lineage, salt: &[u8; SALT_BYTES]) -> Vec<u8> {
    [b"evkindex".as_slice(), &lineage.0, salt].concat()
}

fn number(value: usize) -> Result<u32> {
    u32::try_from(value).map_err(|_| Error::Invalid {
        what: "pack",
        detail: format!("{value} does not fit a pack"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::OsRandom;
    use proptest::prelude::*;
    use zeroize::Zeroizing;

    fn pack(key: &PeriodKey, ids: &IdKey) -> Pack {
        let mut builder =
            PackBuilder::new(Lineage([1; 16]), 5, key, &mut OsRandom, Vec::new()).unwrap();
        let mut compressor = Compressor::new(1).unwrap();
        for size in [1_usize, 1000, 70_000] {
            let chunk = vec![u8::try_from(size % 251).unwrap(); size];
            let compressed = compress(&mut compressor, &chunk).unwrap();
            assert!(builder.fits(compressed.len()));
            builder.add(ids.chunk_id(&chunk), compressed, size).unwrap();
        }
        builder.finish().unwrap()
    }

    #[test]
    fn a_pack_checks_and_reads_back_from_its_own_index() {
        let (key, ids) = (Zeroizing::new([1; 32]), IdKey::from_bytes(&[2; 32]));
        let pack = pack(&key, &ids);
        check_pack(&pack.bytes, &pack.entries, &key, &ids).unwrap();
        let reader = PackReader::new(&pack.bytes).unwrap();
        assert_eq!((reader.lineage(), reader.period()), (Lineage([1; 16]), 5));
        assert_eq!(reader.index(&reader.key(&key)).unwrap(), pack.entries);
        let other = Zeroizing::new([9; 32]);
        assert!(reader.index(&reader.key(&other)).is_none());
    }

    #[test]
    fn every_flipped_byte_of_a_pack_fails_the_check() {
        let (key, ids) = (Zeroizing::new([1; 32]), IdKey::from_bytes(&[2; 32]));
        let pack = pack(&key, &ids);
        for at in 0..pack.bytes.len() {
            // The period in the header is covered by the pack's name, not by the ciphertext.
            if (24..32).contains(&at) {
                continue;
            }
            let mut bytes = pack.bytes.clone();
            bytes[at] ^= 1;
            assert!(check_pack(&bytes, &pack.entries, &key, &ids).is_err(), "byte {at}");
        }
    }

    #[test]
    fn a_chunk_cannot_stand_for_another() {
        let (key, ids) = (Zeroizing::new([1; 32]), IdKey::from_bytes(&[2; 32]));
        let pack = pack(&key, &ids);
        let reader = PackReader::new(&pack.bytes).unwrap();
        let key = reader.key(&key);
        let swapped = PackEntry { id: pack.entries[0].id, place: pack.entries[1].place };
        assert!(reader.chunk(&key, &swapped, &mut Decompressor::new().unwrap()).is_none());
    }

    proptest! {
        #[test]
        fn garbage_is_never_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let mut framed = b"EVKP\x01\0\0\0".to_vec();
            framed.extend(&bytes);
            for bytes in [&bytes, &framed] {
                if let Some(reader) = PackReader::new(bytes) {
                    let key = reader.key(&Zeroizing::new([0; 32]));
                    prop_assert!(reader.index(&key).is_none());
                }
            }
        }
    }
}
