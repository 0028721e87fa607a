//! Parts of a source, without the rest of it.
//!
//! A source was cut into pieces, each sealed for itself: any of them opens alone, and only if it is
//! the one that was sealed in that place (AES-256-GCM over the pack's salt, the piece's id and
//! slot). So a piece is read as a range of the data shard it lies in, or decoded from the same
//! range of k others. What does not open was lied about: then the whole pack is read, each shard
//! compared with its signed root, and the liar is named.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use super::{Lineage, OpenPack, Opener, PointContent, lock, not_of_its_kind};
use crate::erasure::shard_bytes;
use crate::error::{Error, Result};
use crate::fetch::pack_integrity;
use crate::manifest::{ChunkRef, SourceEntry};
use crate::pack::{HEADER_BYTES, PackEntry, PackReader};
use crate::part::{Part, fetch_part, parts_of};
use crate::record::{ObjectRef, Record};
use crate::seal::{Decompressor, SealingKey};

/// What is read again and again of packs whose pieces are read alone.
#[derive(Debug, Default)]
pub(super) struct Heads {
    of: BTreeMap<[u8; 32], Vec<u8>>,
    /// Shards, by number, whose site failed, kept silent or lied: others are asked instead.
    avoid: BTreeSet<usize>,
}

/// A part of a source that was sealed for itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// Its bytes in the source.
    pub range: Range<u64>,
    /// The number of its pack: pieces of one pack are read together at less cost.
    pub pack: u32,
}

/// Takes a piece: its number, and its bytes.
pub type TakePiece<'a> = dyn FnMut(usize, Vec<u8>) -> Result<()> + 'a;

impl PointContent {
    fn source(&self, name: &str) -> Result<&SourceEntry> {
        let found = self.by_name.get(name).and_then(|at| self.sources.get(*at));
        found.ok_or_else(|| Error::NotFound {
            what: format!("source {name} of {}", super::record_label(&self.record)),
            known: Vec::new(),
        })
    }

    /// The pieces that a source was cut into, in order. They lie one behind another and are at
    /// most 1 MiB long.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn pieces(&self, name: &str) -> Result<Vec<Piece>> {
        let mut end = 0;
        let each = self.source(name)?.chunks.iter().map(|chunk| {
            let from = end;
            end += u64::from(chunk.place.plain_bytes);
            Piece { range: from..end, pack: chunk.object }
        });
        Ok(each.collect())
    }

    /// BLAKE3 of a source, as its writer signed it: who reads it in pieces compares the whole
    /// with this.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn hash(&self, name: &str) -> Result<[u8; 32]> {
        Ok(self.source(name)?.hash)
    }
}

impl Opener {
    /// Reads pieces of a source by their numbers, which rise, and gives each to `take`. Packs of
    /// which most is wanted are read whole, the others in ranges. A piece that is given is the one
    /// that was sealed in its place; [`PointContent::hash`] is the check of all of them together.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::NotEnoughSites`], [`Error::Integrity`], and what `take` says.
    pub fn read_pieces(
        &self,
        content: &PointContent,
        name: &str,
        wanted: &[usize],
        take: &mut TakePiece<'_>,
    ) -> Result<()> {
        let source = content.source(name)?;
        let chunks: Vec<(usize, &ChunkRef)> = wanted
            .iter()
            .filter_map(|at| source.chunks.get(*at).map(|chunk| (*at, chunk)))
            .collect();
        let of_one_pack = chunks.chunk_by(|(_, one), (_, next)| one.object == next.object);
        for group in of_one_pack {
            self.read_group(&content.record, group, take)?;
        }
        Ok(())
    }

    /// Pieces of one pack.
    fn read_group(
        &self,
        record: &Record,
        group: &[(usize, &ChunkRef)],
        take: &mut TakePiece<'_>,
    ) -> Result<()> {
        let Some((_, first)) = group.first() else { return Ok(()) };
        let object = record.header.objects.get(first.object as usize);
        let object = object.ok_or_else(|| not_of_its_kind(record))?;
        let sealed: u64 = group.iter().map(|(_, one)| u64::from(one.place.sealed_bytes)).sum();
        let is_cached = lock(&self.packs).iter().any(|(at, _)| at.1 == object.pack);
        if is_cached || sealed > object.length_bytes / 2 {
            return self.read_whole(record, group, take);
        }
        let adjoining = |one: &ChunkRef, next: &ChunkRef| {
            one.place.offset_bytes.checked_add(one.place.sealed_bytes)
                == Some(next.place.offset_bytes)
        };
        for run in group.chunk_by(|(_, one), (_, next)| adjoining(one, next)) {
            match self.open_run(record, object, run)? {
                Some(pieces) => {
                    run.iter().zip(pieces).try_for_each(|((at, _), piece)| take(*at, piece))?;
                }
                None => self.read_whole(record, run, take)?,
            }
        }
        Ok(())
    }

    fn read_whole(
        &self,
        record: &Record,
        group: &[(usize, &ChunkRef)],
        take: &mut TakePiece<'_>,
    ) -> Result<()> {
        let Some((_, first)) = group.first() else { return Ok(()) };
        let OpenPack { bytes, key } = self.open_pack(record, first.object)?;
        let mut decompressor = Decompressor::new()?;
        let object = &record.header.objects[first.object as usize];
        for (at, chunk) in group {
            let piece = PackReader::new(&bytes)
                .and_then(|pack| pack.chunk(&key, &PackEntry::from(**chunk), &mut decompressor))
                .ok_or_else(|| pack_integrity(object, "a chunk does not open"))?;
            take(*at, piece)?;
        }
        Ok(())
    }

    /// Pieces that lie one behind another, each opened; none if what the sites gave does not open,
    /// or too few gave anything.
    fn open_run(
        &self,
        record: &Record,
        object: &ObjectRef,
        run: &[(usize, &ChunkRef)],
    ) -> Result<Option<Vec<Vec<u8>>>> {
        let (Some((_, first)), Some((_, last))) = (run.first(), run.last()) else {
            return Ok(None);
        };
        let from = u64::from(first.place.offset_bytes);
        let to = u64::from(last.place.offset_bytes) + u64::from(last.place.sealed_bytes);
        let Some(head) = self.head(record, object) else { return Ok(None) };
        let Some(bytes) = self.read_range(record, object, from..to) else { return Ok(None) };
        let period_key = self.key(&record.header, object.period)?;
        let opened = open_all(&head, &period_key, run, &bytes)?;
        if opened.is_none() {
            self.blame(record, object, from..to);
        }
        Ok(opened)
    }

    /// Its range came wrong, or its pack's beginning did: neither is asked for alone again.
    fn blame(&self, record: &Record, object: &ObjectRef, range: Range<u64>) {
        let mut heads = lock(&self.heads);
        heads.of.remove(&object.pack);
        let parts = parts_of(&range, size_of_shards(record, object));
        heads.avoid.extend(parts.iter().map(|part| part.shard));
    }

    /// The first bytes of a pack: its salt is in them.
    fn head(&self, record: &Record, object: &ObjectRef) -> Option<Vec<u8>> {
        if let Some(head) = lock(&self.heads).of.get(&object.pack) {
            return Some(head.clone());
        }
        let head = self.read_range(record, object, 0..HEADER_BYTES as u64)?;
        let is_of = |pack: &PackReader<'_>| {
            (pack.lineage(), pack.period()) == (record.header.lineage, object.period)
        };
        if PackReader::new(&head).is_none_or(|pack| !is_of(&pack)) {
            self.blame(record, object, 0..HEADER_BYTES as u64);
            return None;
        }
        lock(&self.heads).of.insert(object.pack, head.clone());
        Some(head)
    }

    /// A range of a pack, not compared with anything.
    fn read_range(
        &self,
        record: &Record,
        object: &ObjectRef,
        range: Range<u64>,
    ) -> Option<Vec<u8>> {
        let parts = parts_of(&range, size_of_shards(record, object));
        let skipped = usize::try_from(range.start % crate::part::BLOCK_BYTES).ok()?;
        let mut bytes = Vec::new();
        for part in &parts {
            bytes.extend(self.read_part(record.header.lineage, object, record, part)?);
        }
        let length = usize::try_from(range.end - range.start).ok()?;
        bytes.get(skipped..skipped + length).map(<[u8]>::to_vec)
    }

    fn read_part(
        &self,
        lineage: Lineage,
        object: &ObjectRef,
        record: &Record,
        part: &Part,
    ) -> Option<Vec<u8>> {
        let avoid = lock(&self.heads).avoid.clone();
        let k = record.header.layout.k();
        let fetched = fetch_part(&self.catalog, (lineage, object), k, part, &avoid);
        self.note(fetched.bytes_read, &fetched.sites_used, &fetched.problems);
        lock(&self.heads).avoid.extend(fetched.failed);
        fetched.bytes
    }
}

fn size_of_shards(record: &Record, object: &ObjectRef) -> u64 {
    let length = usize::try_from(object.length_bytes).unwrap_or(usize::MAX);
    shard_bytes(length, record.header.layout.k()) as u64
}

fn open_all(
    head: &[u8],
    period_key: &crate::period::PeriodKey,
    run: &[(usize, &ChunkRef)],
    bytes: &[u8],
) -> Result<Option<Vec<Vec<u8>>>> {
    let Some(pack) = PackReader::new(head) else { return Ok(None) };
    let key: SealingKey = pack.key(period_key);
    let mut decompressor = Decompressor::new()?;
    let mut rest = bytes;
    let open_next = |(_, chunk): &(usize, &ChunkRef)| {
        let (sealed, behind) = rest.split_at_checked(chunk.place.sealed_bytes as usize)?;
        rest = behind;
        pack.open(&key, &PackEntry::from(**chunk), sealed, &mut decompressor)
    };
    Ok(run.iter().map(open_next).collect())
}
