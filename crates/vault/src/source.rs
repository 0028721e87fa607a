//! From sources to packs at the sites: chunk, recognise, compress, seal, code, check, send.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Instant;

use evenkeel_types::{Canonical, DecodeError, Reader, Writer as Encoder};

use crate::body::sealed_body_bytes;
use crate::crew::{Compressed, Crew};
use crate::cutting::{Chunks, Cut};
use crate::effort::Effort;
use crate::error::{Error, Result};
use crate::index::{DedupIndex, IndexedPack};
use crate::keys::IdKey;
use crate::layout::{Layout, Lineage};
use crate::manifest::{Body, ChunkPlace, ChunkRef, SOURCE_NAME_BYTES_MAX, SourceEntry};
use crate::pack::{PACK_BYTES_MAX, Pack, PackBuilder, PackEntry};
use crate::period::Period;
use crate::proofs::Proofs;
use crate::random::Random;
use crate::record::REPLICATED_BYTES_MAX;
use crate::rooms::Rooms;
use crate::shipping::{EncodedPack, Tally, encode_pack, require, ship_shards};
use crate::site::Site;
use crate::source_list::PackNames;

/// Marks the number of a pack of the index; without it, it is that of a new chunk. Only until
/// [`Sealer::finish`] knows the final pack numbers.
const OLD: u32 = 1 << 31;

/// Room for a pack and the zeros that make whole shards of it.
const PACK_ROOM_BYTES: usize = PACK_BYTES_MAX + 64 * 1024;

/// What sealing needs to know; its own, so that nobody has to wait for it.
#[derive(Clone)]
pub(crate) struct Sealing {
    pub(crate) sites: Vec<Arc<dyn Site>>,
    pub(crate) domain: String,
    pub(crate) lineage: Lineage,
    pub(crate) layout: Layout,
    pub(crate) period: Arc<Period>,
    pub(crate) id_key: Arc<IdKey>,
    /// Threads that compress beside the one that reads; 0: that one does it.
    pub(crate) workers: usize,
    pub(crate) zstd_levels: RangeInclusive<i32>,
    /// Whether what audits need is written beside the shards.
    pub(crate) proofs: bool,
}

/// Sources at the sites.
#[derive(Default)]
pub(crate) struct Sealed {
    pub(crate) sources: Vec<SourceEntry>,
    /// New packs first, then reused ones.
    pub(crate) packs: Vec<IndexedPack>,
    /// Entries of the new packs.
    pub(crate) entries: Vec<Vec<PackEntry>>,
    pub(crate) tally: Tally,
    pub(crate) bytes_new: u64,
    pub(crate) bytes_dedup: u64,
}

/// What a source became: enough to refer to it again without reading it, for as long as the
/// deduplication index knows its chunks. It holds no key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedSource {
    /// Its length.
    pub length_bytes: u64,
    /// BLAKE3 of its plaintext.
    pub hash: [u8; 32],
    /// Keyed id and length of each chunk.
    chunks: Vec<([u8; 32], u32)>,
}

impl Canonical for SealedSource {
    fn encode(&self, encoder: &mut Encoder) {
        encoder.u64(self.length_bytes);
        encoder.fixed(&self.hash);
        encoder.u64(self.chunks.len() as u64);
        for (id, length) in &self.chunks {
            encoder.fixed(id);
            encoder.u64((*length).into());
        }
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (length_bytes, hash) = (reader.u64()?, reader.array()?);
        let count = reader.count()?;
        let mut chunks = Vec::with_capacity(count.min(4096));
        for _ in 0..count {
            chunks.push((reader.array()?, u32::decode(reader)?));
        }
        let total: u64 = chunks.iter().map(|(_, length)| u64::from(*length)).sum();
        if total != length_bytes {
            return Err(reader.not_canonical("a source's length is not that of its chunks"));
        }
        Ok(Self { length_bytes, hash, chunks })
    }
}

/// Takes the sources of a point one after the other, each as it comes.
pub struct SourceFeed<'s, 'a> {
    sealer: &'s mut Sealer<'a>,
    cut: Cut,
    names: BTreeSet<String>,
}

impl SourceFeed<'_, '_> {
    /// Reads and seals one source.
    ///
    /// # Errors
    /// [`Error::Stream`] if it cannot be read; [`Error::Invalid`] for a name used before, empty or
    /// over 256 bytes; [`Error::EncodeCheck`] if the sending failed, whose cause is reported
    /// instead in the end.
    pub fn read(&mut self, name: &str, source: &mut dyn Read) -> Result<SealedSource> {
        self.name(name)?;
        self.sealer.source(name, source, self.cut)
    }

    /// Refers again to a source that an earlier point, or an earlier source of this one, brought.
    /// False, and nothing is changed, if a chunk of it is not known any more: then it has to be
    /// read.
    ///
    /// # Errors
    /// [`Error::Invalid`] as [`SourceFeed::read`].
    pub fn again(&mut self, name: &str, source: &SealedSource) -> Result<bool> {
        let Some(chunks) = self.sealer.refer_to(&source.chunks) else {
            return Ok(false);
        };
        self.name(name)?;
        self.sealer.sealed.bytes_dedup += source.length_bytes;
        self.sealer.sealed.sources.push(SourceEntry {
            name: name.to_owned(),
            length_bytes: source.length_bytes,
            hash: source.hash,
            chunks,
        });
        Ok(true)
    }

    fn name(&mut self, name: &str) -> Result<()> {
        let fits = !name.is_empty() && name.len() <= SOURCE_NAME_BYTES_MAX;
        if fits && self.names.insert(name.to_owned()) {
            return Ok(());
        }
        Err(Error::Invalid {
            what: "source",
            detail: format!("{name:?}: names are unique and have 1 to 256 bytes"),
        })
    }
}

/// What gives a point's sources.
pub type Feeding<'f> = &'f mut dyn FnMut(&mut SourceFeed<'_, '_>) -> Result<()>;

/// Chunks, seals and ships `sources`.
pub(crate) fn seal_sources(
    sealing: &Sealing,
    sources: &mut [(String, &mut dyn Read)],
    known: Option<&DedupIndex>,
    cut: Cut,
    random: &mut dyn Random,
) -> Result<Sealed> {
    let mut feed = |feed: &mut SourceFeed<'_, '_>| {
        sources.iter_mut().try_for_each(|(name, source)| feed.read(name, *source).map(drop))
    };
    seal_feed(sealing, &mut feed, known, cut, random)
}

/// Chunks, seals and ships what is fed. Packs go out while later ones are being made: at most three
/// are in memory beside the one being filled.
pub(crate) fn seal_feed(
    sealing: &Sealing,
    feed: Feeding<'_>,
    known: Option<&DedupIndex>,
    cut: Cut,
    random: &mut dyn Random,
) -> Result<Sealed> {
    let rooms = Rooms::default();
    let effort = Effort::new(sealing.zstd_levels.clone());
    std::thread::scope(|scope| {
        let (rooms, effort) = (&rooms, &effort);
        let (sender, receiver) = sync_channel(1);
        let shipper = scope.spawn(move || ship_packs(sealing, receiver, rooms, effort));
        let (crew, queue) = Crew::new(sealing.workers, effort)?;
        if let Some(queue) = queue {
            queue.start(sealing.workers, scope);
        }
        let mut sealer = Sealer::new(sealing, known, sender, random, crew, rooms);
        let fed = feed(&mut SourceFeed { sealer: &mut sealer, cut, names: BTreeSet::new() });
        let sealed = fed.and_then(|()| sealer.finish());
        let shipped = match shipper.join() {
            Ok(shipped) => shipped,
            Err(panic) => std::panic::resume_unwind(panic),
        };
        // If shipping failed, sealing stopped because of it: the first cause is what to show.
        let shipped = shipped?;
        let mut sealed = sealed?;
        let mut packs = Vec::new();
        for (pack, entries) in shipped.packs {
            packs.push(pack);
            sealed.entries.push(entries);
        }
        packs.append(&mut sealed.packs);
        sealed.packs = packs;
        sealed.tally = shipped.tally;
        Ok(sealed)
    })
}

/// The chunk lists of what was sealed, for the record's body; in packs of their own (added to the
/// others) if they are too large for it, and then only what of them `known` does not have.
pub(crate) fn describe(
    sealing: &Sealing,
    sealed: &mut Sealed,
    known: Option<&DedupIndex>,
    random: &mut dyn Random,
) -> Result<Body> {
    let body = Body::Sources { sources: std::mem::take(&mut sealed.sources) };
    if sealed_body_bytes(&body)? < REPLICATED_BYTES_MAX {
        return Ok(body);
    }
    let Body::Sources { sources } = body else {
        return Ok(body);
    };
    let fail = |detail: &str| Error::EncodeCheck { stage: "chunk list", detail: detail.to_owned() };
    let names = PackNames::of(sealed.packs.iter().map(|pack| &pack.object.pack));
    let list = names.and_then(|names| names.encode(&sources));
    let list = list.ok_or_else(|| fail("two packs have one name; seal it again"))?;
    let mut list: &[u8] = &list;
    let mut sources: [(String, &mut dyn Read); 1] = [("list".to_owned(), &mut list)];
    let mut lists = seal_sources(sealing, &mut sources, known, Cut::List, random)?;
    sealed.tally.merge(std::mem::take(&mut lists.tally));
    let list = lists.sources.pop().ok_or_else(|| fail("it was not sealed"))?;
    Ok(Body::Listed { list: with_packs_of(sealed, lists, list) })
}

/// Adds the packs of a list to those of its sources: the new ones to the new ones.
fn with_packs_of(sealed: &mut Sealed, lists: Sealed, mut list: SourceEntry) -> SourceEntry {
    let (first, new) = (sealed.entries.len(), lists.entries.len());
    let mut packs = lists.packs;
    let reused = packs.split_off(new.min(packs.len()));
    sealed.packs.splice(first..first, packs);
    sealed.entries.extend(lists.entries);
    let mut numbers: Vec<usize> = (first..first + new).collect();
    for pack in reused {
        let there = sealed.packs.iter().position(|one| one.object == pack.object);
        numbers.push(there.unwrap_or(sealed.packs.len()));
        if there.is_none() {
            sealed.packs.push(pack);
        }
    }
    for chunk in &mut list.chunks {
        let number = numbers.get(chunk.object as usize).copied();
        chunk.object = number.and_then(|number| u32::try_from(number).ok()).unwrap_or(u32::MAX);
    }
    list
}

/// New packs at the sites, in order.
#[derive(Default)]
struct ShippedPacks {
    packs: Vec<(IndexedPack, Vec<PackEntry>)>,
    tally: Tally,
}

type Encoded = Result<EncodedPack>;

/// Encodes one pack while the one before is on its way: neither processors nor sites wait.
fn ship_packs(
    sealing: &Sealing,
    packs: Receiver<Pack>,
    rooms: &Rooms,
    effort: &Effort,
) -> Result<ShippedPacks> {
    std::thread::scope(|scope| {
        let (encoded, to_ship) = sync_channel::<Encoded>(0);
        scope.spawn(move || {
            let mut begun = Instant::now();
            for pack in packs {
                let (period, id_key) = (&sealing.period, &sealing.id_key);
                let made = encode_pack(pack, sealing.layout, period, id_key, rooms);
                let ready = Instant::now();
                if encoded.send(made).is_err() {
                    // Shipping failed, and says so.
                    return;
                }
                effort.adjust(ready.duration_since(begun), ready.elapsed());
                begun = Instant::now();
            }
        });
        // Beside the shards, so that no pack waits for another one's proofs.
        let (proofs, waiting) = sync_channel::<Proofs>(2);
        scope.spawn(move || {
            for proofs in waiting {
                proofs.ship(&sealing.sites, &sealing.domain, sealing.lineage);
            }
        });
        let shipped = ship_each(sealing, to_ship, &proofs, rooms);
        drop(proofs);
        shipped
    })
}

fn ship_each(
    sealing: &Sealing,
    to_ship: Receiver<Encoded>,
    proofs: &SyncSender<Proofs>,
    rooms: &Rooms,
) -> Result<ShippedPacks> {
    let mut shipped = ShippedPacks::default();
    for encoded in to_ship {
        let mut encoded = encoded?;
        let delivery = ship_shards(&sealing.sites, &sealing.domain, sealing.lineage, &encoded);
        require(&delivery, sealing.layout.k(), "sending a pack")?;
        shipped.tally.add(&delivery, encoded.coded.shard_bytes());
        if sealing.proofs {
            let outboards = std::mem::take(&mut encoded.coded.outboards);
            let pack = encoded.object.pack;
            // Its thread ends only after this sender is gone.
            let _ = proofs.send(Proofs { pack, outboards });
        }
        let period = sealing.period.reference;
        let indexed = IndexedPack { object: encoded.object, period };
        shipped.packs.push((indexed, encoded.entries));
        encoded.coded.give_back(rooms);
    }
    Ok(shipped)
}

struct Sealer<'a> {
    sealing: &'a Sealing,
    known: Option<&'a DedupIndex>,
    sender: SyncSender<Pack>,
    random: &'a mut dyn Random,
    crew: Crew<'a>,
    rooms: &'a Rooms,
    builder: Option<PackBuilder>,
    packs_sent: u32,
    /// New chunks so far.
    new: u32,
    /// New chunks of this very record that may come again: number and length.
    own: BTreeMap<[u8; 32], (u32, u64)>,
    /// Where new chunks went, by number: which of the new packs, and where in it.
    places: Vec<(u32, ChunkPlace)>,
    /// Reused packs: number in the index to number among the reused.
    reused: BTreeMap<u32, u32>,
    sealed: Sealed,
}

/// Stands for a place until a chunk is in its pack.
const NOWHERE: ChunkPlace =
    ChunkPlace { slot: 0, offset_bytes: 0, sealed_bytes: 0, plain_bytes: 0 };

impl<'a> Sealer<'a> {
    fn new(
        sealing: &'a Sealing,
        known: Option<&'a DedupIndex>,
        sender: SyncSender<Pack>,
        random: &'a mut dyn Random,
        crew: Crew<'a>,
        rooms: &'a Rooms,
    ) -> Self {
        Self {
            sealing,
            known,
            sender,
            random,
            crew,
            rooms,
            builder: None,
            packs_sent: 0,
            new: 0,
            own: BTreeMap::new(),
            places: Vec::new(),
            reused: BTreeMap::new(),
            sealed: Sealed::default(),
        }
    }

    fn source(&mut self, name: &str, source: &mut dyn Read, cut: Cut) -> Result<SealedSource> {
        let (mut length_bytes, mut refs, mut ids) = (0, Vec::new(), Vec::new());
        let mut hasher = blake3::Hasher::new();
        let mut chunks = Chunks::new(name, source, cut, self.sealing.id_key.chunker_seed());
        while let Some(chunk) = chunks.next()? {
            hasher.update(chunk);
            length_bytes += chunk.len() as u64;
            let reference = self.chunk(chunk, cut)?;
            ids.push((reference.id, u32::try_from(chunk.len()).unwrap_or(u32::MAX)));
            refs.push(reference);
            while let Some(batch) = self.crew.take()? {
                self.pack(batch)?;
            }
        }
        let hash = *hasher.finalize().as_bytes();
        self.sealed.sources.push(SourceEntry {
            name: name.to_owned(),
            length_bytes,
            hash,
            chunks: refs,
        });
        Ok(SealedSource { length_bytes, hash, chunks: ids })
    }

    /// A reference to a chunk; that of a new one holds its number until [`Sealer::finish`].
    fn chunk(&mut self, chunk: &[u8], cut: Cut) -> Result<ChunkRef> {
        let id = self.sealing.id_key.chunk_id(chunk);
        let length = chunk.len() as u64;
        if let Some(reference) = self.find(&id, length) {
            self.sealed.bytes_dedup += length;
            return Ok(self.refer(reference));
        }
        self.crew.add(id, chunk)?;
        let number = self.new;
        if number >= OLD - 1 {
            return Err(Error::Invalid {
                what: "recovery point",
                detail: "more chunks than one can hold".to_owned(),
            });
        }
        self.new += 1;
        if !matches!(cut, Cut::Fixed) {
            self.own.insert(id, (number, length));
        }
        self.sealed.bytes_new += length;
        Ok(ChunkRef { object: number, place: NOWHERE, id })
    }

    /// A reference to a chunk that this point, or one before it, brought. An id decides what is
    /// inside only together with the length: a place of another size is never trusted.
    fn find(&self, id: &[u8; 32], plain_bytes: u64) -> Option<ChunkRef> {
        if let Some((number, _)) = self.own.get(id).filter(|(_, own)| *own == plain_bytes) {
            return Some(ChunkRef { object: *number, place: NOWHERE, id: *id });
        }
        let known = self.known.and_then(|known| known.find(id));
        let known = known.filter(|(_, at)| u64::from(at.plain_bytes) == plain_bytes);
        known.map(|(number, place)| ChunkRef { object: number | OLD, place, id: *id })
    }

    /// Counts the pack of a reference among the reused.
    fn refer(&mut self, reference: ChunkRef) -> ChunkRef {
        if reference.object & OLD != 0 {
            let next = u32::try_from(self.reused.len()).unwrap_or(u32::MAX);
            self.reused.entry(reference.object & !OLD).or_insert(next);
        }
        reference
    }

    /// References to chunks, if all of them are known.
    fn refer_to(&mut self, chunks: &[([u8; 32], u32)]) -> Option<Vec<ChunkRef>> {
        let find = |(id, length): &([u8; 32], u32)| self.find(id, (*length).into());
        let found: Option<Vec<ChunkRef>> = chunks.iter().map(find).collect();
        Some(found?.into_iter().map(|reference| self.refer(reference)).collect())
    }

    fn pack(&mut self, batch: Vec<Compressed>) -> Result<()> {
        for Compressed { id, bytes, plain_bytes } in batch {
            if self.builder.as_ref().is_some_and(|builder| !builder.fits(bytes.len())) {
                self.send()?;
            }
            let builder = match &mut self.builder {
                Some(builder) => builder,
                None => {
                    let period = &self.sealing.period;
                    let (number, key) = (period.reference.number, &period.key);
                    let lineage = self.sealing.lineage;
                    let room = self.rooms.take(PACK_ROOM_BYTES);
                    let new = PackBuilder::new(lineage, number, key, self.random, room)?;
                    self.builder.insert(new)
                }
            };
            self.places.push((self.packs_sent, builder.add(id, bytes, plain_bytes)?));
        }
        Ok(())
    }

    fn send(&mut self) -> Result<()> {
        let Some(builder) = self.builder.take().filter(|builder| !builder.is_empty()) else {
            return Ok(());
        };
        self.packs_sent += 1;
        // The receiver hangs up only after a failure, which the caller reports instead.
        self.sender.send(builder.finish()?).map_err(|_| Error::EncodeCheck {
            stage: "sending",
            detail: "the sending thread stopped".to_owned(),
        })
    }

    /// Sends what is left and gives every chunk its place and final pack number.
    fn finish(mut self) -> Result<Sealed> {
        self.crew.end()?;
        while let Some(batch) = self.crew.take()? {
            self.pack(batch)?;
        }
        self.send()?;
        let new = self.packs_sent;
        for chunk in self.sealed.sources.iter_mut().flat_map(|source| &mut source.chunks) {
            if chunk.object & OLD != 0 {
                let reused = self.reused.get(&(chunk.object & !OLD));
                chunk.object = new + reused.copied().unwrap_or(u32::MAX - new);
            } else {
                (chunk.object, chunk.place) = self.places[chunk.object as usize];
            }
        }
        if let Some(known) = self.known {
            let mut order: Vec<(u32, u32)> =
                self.reused.iter().map(|(number, place)| (*place, *number)).collect();
            order.sort_unstable();
            let packs = order.iter().map(|(_, number)| known.packs()[*number as usize].clone());
            self.sealed.packs = packs.collect();
        }
        Ok(self.sealed)
    }
}
