//! Opening: bringing plaintext back from any k sites, naming every bad shard on the way.

mod pieces;

pub use pieces::{Piece, TakePiece};

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io::Write;
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex, PoisonError};

use crate::body::open_body;
use crate::catalog::{Catalog, record_label};
use crate::error::{Error, Result};
use crate::facts::TailInfo;
use crate::fetch::{fetch_pack, fetch_replicated, pack_integrity};
use crate::index::{DedupIndex, IndexedPack};
use crate::layout::{Lineage, ObjectName};
use crate::manifest::{Body, ChunkRef, SourceEntry, decode_sources};
use crate::pack::{PackEntry, PackReader};
use crate::period::{self, PeriodKey};
use crate::record::{Kind, ObjectRef, PeriodRef, PointId, Record, RecordHeader};
use crate::seal::{Decompressor, SealingKey};
use crate::source_list::PackNames;
use crate::unlock::Unlock;
use crate::verify::{EVERY_SITE, Problem};
use crate::wrap;
use pieces::Heads;

/// Packs kept in memory between chunks: 4 × 16 MiB at most.
const CACHED_PACKS: usize = 4;

/// Name and size of a source in a recovery point.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceInfo {
    /// Its name.
    pub name: String,
    /// Its length.
    pub length_bytes: u64,
}

/// A recovery point whose list of sources was read: its sources can be read one by one, without
/// reading the list again.
pub struct PointContent {
    record: Record,
    sources: Vec<SourceEntry>,
    by_name: BTreeMap<String, usize>,
}

impl PointContent {
    /// The sources, in the order in which they were sealed.
    pub fn sources(&self) -> impl Iterator<Item = SourceInfo> {
        self.sources.iter().map(|source| SourceInfo {
            name: source.name.clone(),
            length_bytes: source.length_bytes,
        })
    }

    /// Where a source begins, as a number: who reads sources by rising numbers reads each pack
    /// once, as long as few of them are scattered.
    #[must_use]
    pub fn place(&self, name: &str) -> u64 {
        let source = self.by_name.get(name).and_then(|at| self.sources.get(*at));
        let first = source.and_then(|source| source.chunks.first());
        first.map_or(0, |chunk| u64::from(chunk.object) << 32 | u64::from(chunk.place.slot))
    }

    /// Pack bytes that reading these sources needs.
    #[must_use]
    pub fn pack_bytes<'n>(&self, names: impl Iterator<Item = &'n str>) -> u64 {
        let sources = names.filter_map(|name| self.sources.get(*self.by_name.get(name)?));
        let packs: BTreeSet<u32> =
            sources.flat_map(|source| source.chunks.iter().map(|chunk| chunk.object)).collect();
        let objects = &self.record.header.objects;
        packs.iter().filter_map(|at| objects.get(*at as usize)).map(|one| one.length_bytes).sum()
    }
}

impl std::fmt::Debug for PointContent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PointContent")
            .field("point", &self.record.header.point_id())
            .field("sources", &self.sources.len())
            .finish_non_exhaustive()
    }
}

/// What opening has seen so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// Sites that gave good data.
    pub sites_used: Vec<String>,
    /// Bytes read from sites.
    pub bytes: u64,
    /// Objects that were bad or missing, and were done without.
    pub problems: Vec<Problem>,
}

/// A pack's ciphertext, ready to open.
type CachedPack = ((Lineage, [u8; 32]), Arc<Vec<u8>>);

/// A pack, and the key of what is in it.
struct OpenPack {
    bytes: Arc<Vec<u8>>,
    key: SealingKey,
}

/// Opens what a catalog lists, with one identity or what a quorum decrypted.
pub struct Opener {
    catalog: Arc<Catalog>,
    unlock: Unlock,
    keys: Mutex<BTreeMap<(Lineage, u64), PeriodKey>>,
    packs: Mutex<VecDeque<CachedPack>>,
    seen: Mutex<Seen>,
    /// Of packs that are read in parts.
    heads: Mutex<Heads>,
}

impl Opener {
    /// An opener over a catalog.
    ///
    /// # Errors
    /// [`Error::NotEnoughSites`] (naming points and sites), [`Error::RolledBack`] or
    /// [`Error::Fork`] if what the catalog shows may not be restored as it is.
    pub fn new(catalog: Arc<Catalog>, unlock: impl Into<Unlock>) -> Result<Self> {
        catalog.check_restorable()?;
        Ok(Self {
            catalog,
            unlock: unlock.into(),
            keys: Mutex::default(),
            packs: Mutex::default(),
            seen: Mutex::default(),
            heads: Mutex::default(),
        })
    }

    /// The catalog.
    #[must_use]
    pub fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    /// What was read so far, and what was bad on the way.
    #[must_use]
    pub fn seen(&self) -> Seen {
        let mut seen = lock(&self.seen).clone();
        // Sites race, so who answered first says nothing: the order is the configuration's.
        let sites = self.catalog.sites();
        seen.sites_used.sort_by_key(|used| sites.iter().position(|site| site.name() == used));
        seen
    }

    /// The sources of a recovery point.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::WrongIdentity`], [`Error::NotEnoughSites`],
    /// [`Error::Integrity`].
    pub fn sources(&self, point: PointId) -> Result<Vec<SourceInfo>> {
        let record = self.point(point)?;
        let sources = self.source_entries(&record)?;
        let info = |source: SourceEntry| SourceInfo {
            name: source.name,
            length_bytes: source.length_bytes,
        };
        Ok(sources.into_iter().map(info).collect())
    }

    /// Reads a recovery point's list of sources, to read many of them.
    ///
    /// # Errors
    /// As [`Opener::sources`].
    pub fn content(&self, point: PointId) -> Result<PointContent> {
        let record = self.point(point)?;
        let sources = self.source_entries(&record)?;
        let names = sources.iter().enumerate();
        let by_name = names.map(|(at, source)| (source.name.clone(), at)).collect();
        Ok(PointContent { record, sources, by_name })
    }

    /// As [`Opener::read_source`], of a point whose list was read before.
    ///
    /// # Errors
    /// As [`Opener::read_source`].
    pub fn read_content(
        &self,
        content: &PointContent,
        name: &str,
        into: &mut dyn Write,
    ) -> Result<u64> {
        let source = content.by_name.get(name).and_then(|at| content.sources.get(*at));
        let source = source.ok_or_else(|| Error::NotFound {
            what: format!("source {name} of {}", record_label(&content.record)),
            known: Vec::new(),
        })?;
        self.copy_source(&content.record, source, into)?;
        Ok(source.length_bytes)
    }

    /// Writes a source of a recovery point to `into`; gives its length. Only verified bytes are
    /// written; the hash of the whole is compared at the end, so after an error what was written
    /// has to be thrown away.
    ///
    /// # Errors
    /// As [`Opener::sources`], and [`Error::Stream`] if `into` fails.
    pub fn read_source(&self, point: PointId, name: &str, into: &mut dyn Write) -> Result<u64> {
        let record = self.point(point)?;
        let sources = self.source_entries(&record)?;
        let Some(source) = sources.iter().find(|source| source.name == name) else {
            return Err(Error::NotFound {
                what: format!("source {name} of recovery point {point}"),
                known: sources.into_iter().map(|source| source.name).collect(),
            });
        };
        self.copy_source(&record, source, into)?;
        Ok(source.length_bytes)
    }

    /// The payload of a tail.
    ///
    /// # Errors
    /// As [`Opener::sources`].
    pub fn read_tail(&self, tail: &TailInfo) -> Result<Vec<u8>> {
        let known = self.catalog.record(tail.lineage, tail.counter);
        let known = known.filter(|record| matches!(record.header.kind, Kind::Tail { .. }));
        let known = known.ok_or_else(|| Error::NotFound {
            what: format!("tail [{}, {}]", tail.first, tail.last),
            known: Vec::new(),
        })?;
        let record = self.with_body(known)?;
        match self.body(&record)? {
            Body::Payload { bytes } => Ok(bytes),
            Body::Sources { sources } if sources.len() == 1 => {
                let mut payload = Vec::new();
                self.copy_source(&record, &sources[0], &mut payload)?;
                Ok(payload)
            }
            _ => Err(not_of_its_kind(&record)),
        }
    }

    /// The ciphertext of a pack, from any k shards, each verified first.
    ///
    /// # Errors
    /// [`Error::NotEnoughSites`] naming the sites, and the points if any point needs the pack.
    pub fn read_object(&self, lineage: Lineage, object: &ObjectRef, k: usize) -> Result<Vec<u8>> {
        let fetched = fetch_pack(&self.catalog, lineage, object, k);
        self.note(fetched.bytes_read, &fetched.sites_used, &fetched.problems);
        fetched.pack
    }

    fn note(&self, bytes_read: u64, sites_used: &[String], problems: &[Problem]) {
        let mut seen = lock(&self.seen);
        seen.bytes += bytes_read;
        for site in sites_used {
            if !seen.sites_used.contains(site) {
                seen.sites_used.push(site.clone());
            }
        }
        for problem in problems {
            if !seen.problems.contains(problem) {
                seen.problems.push(problem.clone());
            }
        }
    }

    /// Builds the deduplication index of a lineage anew from its newest point's packs.
    ///
    /// # Errors
    /// As [`Opener::sources`].
    pub fn rebuild_index(&self, lineage: Lineage) -> Result<DedupIndex> {
        let entry = self.catalog.lineages.get(&lineage).ok_or_else(|| Error::NotFound {
            what: format!("lineage {lineage}"),
            known: self.catalog.lineages.keys().map(ToString::to_string).collect(),
        })?;
        let mut index = DedupIndex::empty(lineage, entry.certificate.writer);
        let points: Vec<&Record> =
            entry.records.values().filter(|record| record.header.point_id().is_some()).collect();
        let Some(newest) = points.last() else {
            return Ok(index);
        };
        let full = |record: &&&Record| {
            matches!(record.header.kind, Kind::Point { self_contained: true, .. })
        };
        let since = points.iter().rev().position(|record| full(&record)).unwrap_or(0);
        index.points = since as u64 + 1;
        for object in &newest.header.objects {
            let bytes = self.pack(&newest.header, object)?;
            let bad = || pack_integrity(object, "its own index does not open");
            let reader = PackReader::new(&bytes).ok_or_else(bad)?;
            let key = self.key(&newest.header, object.period)?;
            let entries = reader.index(&reader.key(&key)).ok_or_else(bad)?;
            let period = period_ref(&newest.header, object.period)?;
            index.add(IndexedPack { object: object.clone(), period }, &entries);
        }
        Ok(index)
    }

    fn point(&self, id: PointId) -> Result<Record> {
        let known = self.catalog.record(id.lineage, id.counter);
        match known.filter(|record| record.header.point_id().is_some()) {
            Some(record) => self.with_body(record),
            None => Err(Error::NotFound {
                what: format!("recovery point {id}"),
                known: self.catalog.points().iter().map(|point| point.id.to_string()).collect(),
            }),
        }
    }

    /// Reads a record again, with its body, from the first site that holds the right bytes.
    fn with_body(&self, known: &Record) -> Result<Record> {
        let name = ObjectName::Record(known.header.lineage, known.header.counter);
        let bytes = self.replicated(name, known.hash)?;
        Record::decode(&bytes).map_err(Error::format(record_label(known)))
    }

    fn replicated(&self, name: ObjectName, hash: [u8; 32]) -> Result<Vec<u8>> {
        let key = name.key(self.catalog.domain());
        let fetched = fetch_replicated(self.catalog.sites(), &key, hash, &self.catalog.pace);
        let mut seen = lock(&self.seen);
        seen.problems.extend(fetched.problems.iter().cloned());
        if let Some((_, bytes)) = &fetched.found {
            seen.bytes += bytes.len() as u64;
        }
        let bad = fetched.problems;
        fetched.found.map(|(_, bytes)| bytes).ok_or_else(|| Error::NotEnoughSites {
            what: format!("reading {key}"),
            needed: 1,
            found: 0,
            sites: bad.iter().map(|one| format!("{} ({})", one.site, one.kind)).collect(),
            points: match name {
                ObjectName::Record(lineage, counter) => vec![PointId { lineage, counter }],
                _ => Vec::new(),
            },
        })
    }

    fn key(&self, header: &RecordHeader, period: u64) -> Result<PeriodKey> {
        let at = (header.lineage, period);
        if let Some(key) = lock(&self.keys).get(&at) {
            return Ok(key.clone());
        }
        let reference = period_ref(header, period)?;
        let key = match self.first_key(header, reference) {
            Ok(key) => key,
            // Somebody added later, or the first object is gone: what was wrapped anew may open.
            Err(first) => wrap::open_any(&self.catalog, header.lineage, reference, &self.unlock)
                .ok_or(first)?,
        };
        lock(&self.keys).insert(at, key.clone());
        Ok(key)
    }

    fn first_key(&self, header: &RecordHeader, period: PeriodRef) -> Result<PeriodKey> {
        let name = ObjectName::Period(header.lineage, period.number);
        let object = self.replicated(name, period.hash)?;
        let domain = self.catalog.domain();
        period::open(domain, header.lineage, period.number, &object, &self.unlock)
    }

    fn body(&self, record: &Record) -> Result<Body> {
        let header = &record.header;
        let period = header.periods.first().map_or(0, |period| period.number);
        let key = self.key(header, period)?;
        open_body(header, &record.body, &key).ok_or_else(|| {
            Error::integrity(record_label(record), EVERY_SITE, "its body does not open")
        })
    }

    fn source_entries(&self, record: &Record) -> Result<Vec<SourceEntry>> {
        match self.body(record)? {
            Body::Sources { sources } => Ok(sources),
            Body::Indirect { list } => {
                let mut bytes = Vec::new();
                self.copy_source(record, &list, &mut bytes)?;
                decode_sources(&bytes).map_err(Error::format(record_label(record)))
            }
            Body::Listed { list } => {
                let mut bytes = Vec::new();
                self.copy_source(record, &list, &mut bytes)?;
                let packs = record.header.objects.iter().map(|object| &object.pack);
                let names = PackNames::of(packs).ok_or_else(|| {
                    let why = "two of its packs have one name";
                    Error::integrity(record_label(record), EVERY_SITE, why)
                })?;
                names.decode(&bytes).map_err(Error::format(record_label(record)))
            }
            Body::Empty | Body::Payload { .. } => Err(not_of_its_kind(record)),
        }
    }

    fn copy_source(
        &self,
        record: &Record,
        source: &SourceEntry,
        into: &mut dyn Write,
    ) -> Result<()> {
        let mut hasher = blake3::Hasher::new();
        let mut decompressor = Decompressor::new()?;
        self.each_run(record, &source.chunks, &mut |chunk, open| {
            let plain = PackReader::new(&open.bytes).and_then(|pack| {
                pack.chunk(&open.key, &PackEntry::from(*chunk), &mut decompressor)
            });
            let object = &record.header.objects[chunk.object as usize];
            let plain = plain.ok_or_else(|| pack_integrity(object, "a chunk does not open"))?;
            hasher.update(&plain);
            into.write_all(&plain).map_err(|error| Error::Stream {
                what: format!("writing source {}", source.name),
                source: error,
            })
        })?;
        if *hasher.finalize().as_bytes() == source.hash {
            return Ok(());
        }
        Err(Error::integrity(
            format!("source {} of {}", source.name, record_label(record)),
            EVERY_SITE,
            "the plaintext is not what the writer hashed",
        ))
    }

    /// Gives every chunk with its pack; the next pack is fetched while this one is worked on.
    fn each_run(
        &self,
        record: &Record,
        chunks: &[ChunkRef],
        each: &mut dyn FnMut(&ChunkRef, &OpenPack) -> Result<()>,
    ) -> Result<()> {
        let mut runs = chunks.chunk_by(|one, next| one.object == next.object);
        if chunks.first().map(|one| one.object) == chunks.last().map(|one| one.object) {
            return runs.try_for_each(|run| {
                let open = self.open_pack(record, run[0].object)?;
                run.iter().try_for_each(|chunk| each(chunk, &open))
            });
        }
        std::thread::scope(|scope| {
            let (sender, packs) = sync_channel(0);
            let ahead = runs.clone();
            scope.spawn(move || {
                for run in ahead {
                    // Nobody listens any more after a failure.
                    if sender.send(self.open_pack(record, run[0].object)).is_err() {
                        return;
                    }
                }
            });
            runs.try_for_each(|run| {
                let open = packs.recv().map_err(|_| not_of_its_kind(record))??;
                run.iter().try_for_each(|chunk| each(chunk, &open))
            })
        })
    }

    fn open_pack(&self, record: &Record, number: u32) -> Result<OpenPack> {
        let object = record.header.objects.get(number as usize);
        let object = object.ok_or_else(|| not_of_its_kind(record))?;
        let bytes = self.pack(&record.header, object)?;
        let period_key = self.key(&record.header, object.period)?;
        let of = (record.header.lineage, object.period);
        let key = PackReader::new(&bytes)
            .filter(|pack| (pack.lineage(), pack.period()) == of)
            .ok_or_else(|| pack_integrity(object, "not the pack the record describes"))?
            .key(&period_key);
        Ok(OpenPack { bytes, key })
    }

    fn pack(&self, header: &RecordHeader, object: &ObjectRef) -> Result<Arc<Vec<u8>>> {
        let at = (header.lineage, object.pack);
        if let Some((_, pack)) = lock(&self.packs).iter().find(|(key, _)| *key == at) {
            return Ok(pack.clone());
        }
        let pack = Arc::new(self.read_object(header.lineage, object, header.layout.k())?);
        let mut cached = lock(&self.packs);
        if cached.len() >= CACHED_PACKS {
            cached.pop_front();
        }
        cached.push_back((at, pack.clone()));
        Ok(pack)
    }
}

impl std::fmt::Debug for Opener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Opener").field("unlock", &self.unlock).finish_non_exhaustive()
    }
}

/// A poisoned lock only means that another thread panicked; what it guards is replaced whole.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn period_ref(header: &RecordHeader, number: u64) -> Result<PeriodRef> {
    let found = header.periods.iter().find(|period| period.number == number);
    found.copied().ok_or_else(|| {
        Error::integrity(format!("record {}", header.counter), EVERY_SITE, "unknown key period")
    })
}

fn not_of_its_kind(record: &Record) -> Error {
    Error::integrity(record_label(record), EVERY_SITE, "its body is not of the record's kind")
}
