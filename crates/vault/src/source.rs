//! From sources to packs at the sites: chunk, recognise, compress, seal, code, check, send.

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use fastcdc::v2020::{Normalization, StreamCDC};

use crate::body::sealed_body_bytes;
use crate::error::{Error, Result};
use crate::index::{DedupIndex, IndexedPack};
use crate::keys::IdKey;
use crate::layout::{Layout, Lineage};
use crate::manifest::{Body, ChunkPlace, ChunkRef, SourceEntry, encode_sources};
use crate::pack::{CHUNK_BYTES_MAX, Pack, PackBuilder, PackEntry, compress};
use crate::period::Period;
use crate::random::Random;
use crate::record::REPLICATED_BYTES_MAX;
use crate::seal::Compressor;
use crate::shipping::{Tally, encode_pack, require, ship_shards};
use crate::site::Site;

/// Chunk sizes: least, average, most.
const CDC_BYTES: (usize, usize, usize) = (16 * 1024, 64 * 1024, 256 * 1024);
/// Marks a pack number as one of the index, until the final numbers are known.
const OLD: u32 = 1 << 31;

/// What sealing needs to know; its own, so that nobody has to wait for it.
#[derive(Clone)]
pub(crate) struct Sealing {
    pub(crate) sites: Vec<Arc<dyn Site>>,
    pub(crate) domain: String,
    pub(crate) lineage: Lineage,
    pub(crate) layout: Layout,
    pub(crate) period: Arc<Period>,
    pub(crate) id_key: Arc<IdKey>,
}

/// Where to cut.
#[derive(Clone, Copy)]
pub(crate) enum Cut {
    /// By content, so that a change moves few boundaries (FastCDC v2020).
    Content,
    /// At fixed sizes: nothing will be recognised again.
    Fixed,
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

/// Chunks, seals and ships `sources`. Packs go out while later ones are being made: at most two
/// are in memory beside the one being filled.
pub(crate) fn seal_sources(
    sealing: &Sealing,
    sources: &mut [(String, &mut dyn Read)],
    known: Option<&DedupIndex>,
    cut: Cut,
    random: &mut dyn Random,
) -> Result<Sealed> {
    std::thread::scope(|scope| {
        let (sender, receiver) = sync_channel(1);
        let shipper = scope.spawn(move || ship_packs(sealing, &receiver));
        let mut sealer = Sealer::new(sealing, known, sender, random)?;
        let sealed = sources
            .iter_mut()
            .try_for_each(|(name, source)| sealer.source(name, *source, cut))
            .and_then(|()| sealer.finish());
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

/// The chunk lists of what was sealed, for the record's body; in a pack of their own (added to
/// the others) if they are too large for it.
pub(crate) fn describe(
    sealing: &Sealing,
    sealed: &mut Sealed,
    random: &mut dyn Random,
) -> Result<Body> {
    let body = Body::Sources { sources: std::mem::take(&mut sealed.sources) };
    if sealed_body_bytes(&body)? < REPLICATED_BYTES_MAX {
        return Ok(body);
    }
    let Body::Sources { sources } = body else {
        return Ok(body);
    };
    let list = encode_sources(&sources);
    let mut list: &[u8] = &list;
    let mut sources: [(String, &mut dyn Read); 1] = [("list".to_owned(), &mut list)];
    let lists = seal_sources(sealing, &mut sources, None, Cut::Fixed, random)?;
    let offset = u32::try_from(sealed.packs.len()).unwrap_or(u32::MAX);
    sealed.packs.extend(lists.packs);
    sealed.tally.merge(lists.tally);
    let mut list = lists.sources.into_iter().next().ok_or(Error::EncodeCheck {
        stage: "chunk list",
        detail: "it was not sealed".to_owned(),
    })?;
    for chunk in &mut list.chunks {
        chunk.object += offset;
    }
    Ok(Body::Indirect { list })
}

/// New packs at the sites, in order.
#[derive(Default)]
struct ShippedPacks {
    packs: Vec<(IndexedPack, Vec<PackEntry>)>,
    tally: Tally,
}

fn ship_packs(sealing: &Sealing, packs: &Receiver<Pack>) -> Result<ShippedPacks> {
    let mut shipped = ShippedPacks::default();
    for pack in packs {
        let encoded = encode_pack(&pack, sealing.layout, &sealing.period, &sealing.id_key)?;
        let delivery = ship_shards(&sealing.sites, &sealing.domain, sealing.lineage, &encoded);
        require(&delivery, sealing.layout.k(), "sending a pack")?;
        shipped.tally.add(&delivery, encoded.shards[0].len());
        let period = sealing.period.reference;
        let indexed = IndexedPack { object: encoded.object, period };
        shipped.packs.push((indexed, pack.entries));
    }
    Ok(shipped)
}

struct Sealer<'a> {
    sealing: &'a Sealing,
    known: Option<&'a DedupIndex>,
    sender: SyncSender<Pack>,
    random: &'a mut dyn Random,
    compressor: Compressor,
    builder: Option<PackBuilder>,
    packs_sent: u32,
    /// Chunks of this very record.
    own: BTreeMap<[u8; 32], (u32, ChunkPlace)>,
    /// Reused packs: number in the index to number among the reused.
    reused: BTreeMap<u32, u32>,
    sealed: Sealed,
}

impl<'a> Sealer<'a> {
    fn new(
        sealing: &'a Sealing,
        known: Option<&'a DedupIndex>,
        sender: SyncSender<Pack>,
        random: &'a mut dyn Random,
    ) -> Result<Self> {
        Ok(Self {
            sealing,
            known,
            sender,
            random,
            compressor: Compressor::new()?,
            builder: None,
            packs_sent: 0,
            own: BTreeMap::new(),
            reused: BTreeMap::new(),
            sealed: Sealed::default(),
        })
    }

    fn source(&mut self, name: &str, source: &mut dyn Read, cut: Cut) -> Result<()> {
        let mut entry = SourceEntry {
            name: name.to_owned(),
            length_bytes: 0,
            hash: [0; 32],
            chunks: Vec::new(),
        };
        let mut hasher = blake3::Hasher::new();
        let seed = self.sealing.id_key.chunker_seed();
        let mut each = |chunk: &[u8]| {
            hasher.update(chunk);
            entry.length_bytes += chunk.len() as u64;
            entry.chunks.push(self.chunk(chunk, cut)?);
            Ok(())
        };
        match cut {
            Cut::Content => by_content(name, source, seed, &mut each)?,
            Cut::Fixed => by_size(name, source, &mut each)?,
        }
        entry.hash = *hasher.finalize().as_bytes();
        self.sealed.sources.push(entry);
        Ok(())
    }

    fn chunk(&mut self, chunk: &[u8], cut: Cut) -> Result<ChunkRef> {
        let id = self.sealing.id_key.chunk_id(chunk);
        let length = chunk.len() as u64;
        let own = self.own.get(&id).copied();
        let known = || {
            let (number, place) = self.known?.find(&id)?;
            Some((number | OLD, place))
        };
        // An id decides what is inside only together with the length: never trust a place of
        // another size.
        let found = own.or_else(known).filter(|(_, place)| u64::from(place.plain_bytes) == length);
        if let Some((object, place)) = found {
            if object & OLD != 0 {
                let next = u32::try_from(self.reused.len()).unwrap_or(u32::MAX);
                self.reused.entry(object & !OLD).or_insert(next);
            }
            self.sealed.bytes_dedup += length;
            return Ok(ChunkRef { object, place, id });
        }
        let compressed = compress(&mut self.compressor, chunk)?;
        if self.builder.as_ref().is_some_and(|builder| !builder.fits(compressed.len())) {
            self.send()?;
        }
        let builder = match &mut self.builder {
            Some(builder) => builder,
            None => {
                let period = &self.sealing.period;
                let (number, key) = (period.reference.number, &period.key);
                let lineage = self.sealing.lineage;
                let new = PackBuilder::new(lineage, number, key, self.random)?;
                self.builder.insert(new)
            }
        };
        let place = builder.add(id, compressed, chunk.len())?;
        let object = self.packs_sent;
        if matches!(cut, Cut::Content) {
            self.own.insert(id, (object, place));
        }
        self.sealed.bytes_new += length;
        Ok(ChunkRef { object, place, id })
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

    /// Sends what is left and gives every chunk its final pack number.
    fn finish(mut self) -> Result<Sealed> {
        self.send()?;
        let new = self.packs_sent;
        for chunk in self.sealed.sources.iter_mut().flat_map(|source| &mut source.chunks) {
            if chunk.object & OLD != 0 {
                let reused = self.reused.get(&(chunk.object & !OLD));
                chunk.object = new + reused.copied().unwrap_or(u32::MAX - new);
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

fn by_content(
    name: &str,
    source: &mut dyn Read,
    seed: u64,
    each: &mut dyn FnMut(&[u8]) -> Result<()>,
) -> Result<()> {
    let (least, average, most) = CDC_BYTES;
    let level = Normalization::Level1;
    for chunk in StreamCDC::with_level_and_seed(source, least, average, most, level, seed) {
        let chunk = chunk.map_err(|error| Error::Stream {
            what: format!("reading source {name}"),
            source: match error {
                fastcdc::v2020::Error::IoError(error) => error,
                other => std::io::Error::other(other.to_string()),
            },
        })?;
        each(&chunk.data)?;
    }
    Ok(())
}

fn by_size(
    name: &str,
    source: &mut dyn Read,
    each: &mut dyn FnMut(&[u8]) -> Result<()>,
) -> Result<()> {
    let mut chunk = Vec::with_capacity(CHUNK_BYTES_MAX);
    loop {
        chunk.clear();
        let read = (&mut *source).take(CHUNK_BYTES_MAX as u64).read_to_end(&mut chunk);
        read.map_err(|error| Error::Stream {
            what: format!("reading source {name}"),
            source: error,
        })?;
        if chunk.is_empty() {
            return Ok(());
        }
        each(&chunk)?;
    }
}
