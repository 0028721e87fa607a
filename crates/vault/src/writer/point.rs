//! Recovery points in three steps, so that tails go out while a large one is being sealed: a short
//! beginning, the sealing (which needs no writer), a short end.

use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use evenkeel_types::Canonical;

use crate::cutting::Cut;
use crate::error::{Error, Result};
use crate::index::{DedupIndex, IndexedPack};
use crate::layout::{Layout, Lineage};
use crate::manifest::Body;
use crate::pack::PackEntry;
use crate::random::Shared;
use crate::record::{Kind, PointId};
use crate::resume::check_names;
use crate::shipping::{ShardsHeld, Tally};
use crate::site::Site;
use crate::source::{Feeding, Sealing, SourceFeed, describe, seal_feed};
use crate::writing::{Point, PointHead, PointInput, Shipped};

use super::Writer;

/// Seals the content of one recovery point, on any thread: the writer goes on meanwhile. It holds
/// the key of the period in which it was begun, until it is done.
pub struct PointSealer {
    sealing: Sealing,
    /// What may be referred to; `None` for a self-contained point.
    known: Option<Arc<DedupIndex>>,
    random: Shared,
}

/// The content of a recovery point, at the sites already. Until [`Writer::finish_point`] nothing
/// refers to it: dropped, it leaves objects that `verify` calls unexpected.
pub struct SealedPoint {
    sites: Vec<Arc<dyn Site>>,
    domain: String,
    lineage: Lineage,
    layout: Layout,
    body: Body,
    /// New packs, reused ones, then those of the chunk lists.
    pub(super) packs: Vec<IndexedPack>,
    /// Entries of the new packs.
    entries: Vec<Vec<PackEntry>>,
    tally: Tally,
    bytes_new: u64,
    bytes_dedup: u64,
    self_contained: bool,
    /// A deletion names a pack that it refers to.
    doomed: AtomicBool,
}

impl PointSealer {
    /// Chunks, compresses, seals and ships the sources. They are streamed: packs go out while
    /// later ones are made.
    ///
    /// # Errors
    /// [`Error::NotEnoughSites`]; [`Error::Stream`] if a source fails; [`Error::Invalid`] for
    /// names of sources that cannot be; [`Error::EncodeCheck`] if what was encoded does not
    /// decode. The chain is as it was: begin again.
    pub fn seal(self, sources: &mut [(String, &mut dyn Read)]) -> Result<SealedPoint> {
        check_names(sources)?;
        self.seal_feed(&mut |feed: &mut SourceFeed<'_, '_>| {
            sources.iter_mut().try_for_each(|(name, source)| feed.read(name, *source).map(drop))
        })
    }

    /// As [`PointSealer::seal`], of sources that are not known beforehand: `feed` reads them one
    /// after the other, or refers to earlier ones again.
    ///
    /// # Errors
    /// As [`PointSealer::seal`], and whatever `feed` gives.
    pub fn seal_feed(mut self, feed: Feeding<'_>) -> Result<SealedPoint> {
        self.forget_lost_packs();
        let (sealing, known) = (&self.sealing, self.known.as_deref());
        let random = &mut self.random;
        let mut sealed = seal_feed(sealing, feed, known, Cut::Content, random)?;
        let body = describe(sealing, &mut sealed, known, random)?;
        // Without a reused pack it is self-contained, whatever was intended.
        let self_contained = sealed.packs.len() == sealed.entries.len();
        Ok(SealedPoint {
            sites: self.sealing.sites,
            domain: self.sealing.domain,
            lineage: self.sealing.lineage,
            layout: self.sealing.layout,
            body,
            packs: sealed.packs,
            entries: sealed.entries,
            tally: sealed.tally,
            bytes_new: sealed.bytes_new,
            bytes_dedup: sealed.bytes_dedup,
            self_contained,
            doomed: AtomicBool::new(false),
        })
    }

    /// What fewer than k sites still hold whole is sealed anew.
    fn forget_lost_packs(&mut self) {
        let Some(known) = self.known.as_mut().filter(|known| !known.packs().is_empty()) else {
            return;
        };
        let (sites, domain) = (&self.sealing.sites, &self.sealing.domain);
        let k = self.sealing.layout.k();
        let held = ShardsHeld::list(sites, domain, self.sealing.lineage, k);
        let there = |pack: &IndexedPack| held.of(&pack.object) >= k;
        if !known.packs().iter().all(there) {
            Arc::make_mut(known).retain_packs(there);
        }
    }
}

impl SealedPoint {
    /// Whether a pack of it is lost, even if every site that does not answer still has its shard.
    /// After a failed [`Writer::finish_point`] this tells that it has to be sealed again; else
    /// finishing again is enough.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        if self.doomed.load(Ordering::Relaxed) {
            return true;
        }
        let k = self.layout.k();
        let held = ShardsHeld::list(&self.sites, &self.domain, self.lineage, k);
        let away = held.failures().len();
        let mut packs = self.packs.iter();
        packs.any(|pack| held.of(&pack.object) + away < k)
    }

    /// Plaintext bytes that had to be written.
    #[must_use]
    pub fn bytes_new(&self) -> u64 {
        self.bytes_new
    }

    /// Plaintext bytes that were known already.
    #[must_use]
    pub fn bytes_dedup(&self) -> u64 {
        self.bytes_dedup
    }

    /// What it is, for recognising it after a failure.
    fn content(&self) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&self.body.to_bytes());
        for pack in &self.packs {
            hasher.update(&pack.object.pack);
        }
        *hasher.finalize().as_bytes()
    }
}

impl Writer {
    /// Begins a recovery point: what it gives seals the content without the writer, to which
    /// tails can be appended meanwhile; then comes [`Writer::finish_point`].
    ///
    /// # Errors
    /// [`Error::NotEnoughSites`] if a record left over by a failure, or the key of a new period,
    /// does not reach enough sites.
    pub fn begin_point(&mut self, time_ns: u64, self_contained: bool) -> Result<PointSealer> {
        self.settle()?;
        self.look_for_deletions();
        self.begin_period(time_ns)?;
        let every = self.options.self_contained_every.max(1);
        let whole = self_contained || self.index.points.is_multiple_of(every);
        Ok(PointSealer {
            sealing: self.sealing()?,
            known: (!whole).then(|| Arc::clone(&self.index)),
            random: self.random.clone(),
        })
    }

    /// Signs and ships the record of a sealed point: from here on it counts. Its packs may be
    /// sealed under a key period that has ended; the record names every period it needs. The same
    /// point again, after an error, is recognised and not written twice.
    ///
    /// # Errors
    /// [`Error::NotEnoughSites`]: nothing advances; if it is because packs of it were lost
    /// meanwhile ([`SealedPoint::is_lost`]), begin again. [`Error::Invalid`] if it was sealed for
    /// another lineage.
    pub fn finish_point(&mut self, head: &PointHead, sealed: &SealedPoint) -> Result<Point> {
        if sealed.lineage != self.lineage() || sealed.domain != self.certificate.domain {
            return Err(Error::Invalid {
                what: "sealed point",
                detail: format!("it is of lineage {}, not {}", sealed.lineage, self.lineage()),
            });
        }
        self.settle()?;
        let kind = Kind::Point { position: head.position, self_contained: sealed.self_contained };
        let content = sealed.content();
        if let Some(settled) = self.settled_already(kind, content) {
            let mut tally = sealed.tally.clone();
            tally.lower(settled.sites);
            return self.count_point(sealed, settled.shipped, tally.least());
        }
        let mut tally = sealed.tally.clone();
        self.check_deletions(sealed)?;
        self.check_held(sealed, &mut tally)?;
        self.begin_period(head.time_ns)?;
        self.extend_locks(sealed, head.time_ns, &mut tally)?;
        let header = self.header(kind, &head.roots, head.time_ns)?;
        let (header, body) = self.seal_packed(header, &sealed.packs, &sealed.body)?;
        let (shipped, sites) = self.append(header, &body, tally, Some(content))?;
        self.count_point(sealed, shipped, sites)
    }

    /// Writes a recovery point: begin, seal and finish in one.
    ///
    /// # Errors
    /// [`Error::NotEnoughSites`]: nothing advances; [`Error::Stream`] if a source fails;
    /// [`Error::EncodeCheck`] if what was encoded does not decode.
    pub fn append_point(&mut self, mut input: PointInput<'_>) -> Result<Point> {
        let sealer = self.begin_point(input.time_ns, input.self_contained)?;
        let sealed = sealer.seal(&mut input.sources)?;
        let head =
            PointHead { position: input.position, time_ns: input.time_ns, roots: input.roots };
        self.finish_point(&head, &sealed)
    }

    /// Looks at the deletion plans in force, and forgets what they name: nothing new refers to it.
    fn look_for_deletions(&mut self) {
        let Some(rule) = &self.options.deletion else { return };
        self.marks.refresh(&self.sites, &self.certificate.domain, rule);
        let (marks, lineage) = (&self.marks, self.certificate.lineage);
        let stays = |pack: &IndexedPack| !marks.names(lineage, &pack.object.pack);
        if !self.index.packs().iter().all(stays) {
            Arc::make_mut(&mut self.index).retain_packs(stays);
        }
    }

    /// A point that was begun before a deletion plan came into force may refer to what it names.
    fn check_deletions(&mut self, sealed: &SealedPoint) -> Result<()> {
        self.look_for_deletions();
        let named = |pack: &&IndexedPack| self.marks.names(sealed.lineage, &pack.object.pack);
        if sealed.packs.iter().find(named).is_none() {
            return Ok(());
        }
        sealed.doomed.store(true, Ordering::Relaxed);
        Err(Error::NotEnoughSites {
            what: "keeping a pack that a granted deletion names".to_owned(),
            needed: self.options.layout.k(),
            found: 0,
            sites: vec!["every site (the deletion is in force)".to_owned()],
            points: Vec::new(),
        })
    }

    /// Every pack has to be there still; where some shards are not, the margin is smaller.
    fn check_held(&mut self, sealed: &SealedPoint, tally: &mut Tally) -> Result<()> {
        let k = self.options.layout.k();
        let held = ShardsHeld::list(&self.sites, &sealed.domain, sealed.lineage, k);
        let there = |pack: &IndexedPack| held.of(&pack.object) >= k;
        if !self.index.packs().iter().all(there) {
            Arc::make_mut(&mut self.index).retain_packs(there);
        }
        let least = sealed.packs.iter().map(|pack| held.of(&pack.object)).min();
        let least = least.unwrap_or(self.sites.len());
        tally.lower(least);
        if least >= k {
            return Ok(());
        }
        Err(Error::NotEnoughSites {
            what: "keeping a pack until its recovery point was signed".to_owned(),
            needed: k,
            found: least,
            sites: held.failures(),
            points: Vec::new(),
        })
    }

    /// Later points may refer to what this one brought.
    fn count_point(
        &mut self,
        sealed: &SealedPoint,
        shipped: Shipped,
        sites: usize,
    ) -> Result<Point> {
        let (lineage, writer) = (self.lineage(), self.key.public());
        let index = Arc::make_mut(&mut self.index);
        if sealed.self_contained {
            *index = DedupIndex::empty(lineage, writer);
        }
        index.points += 1;
        for (pack, entries) in sealed.packs.iter().zip(&sealed.entries) {
            let known = index.packs().iter().any(|one| one.object == pack.object);
            if !known {
                index.add(pack.clone(), entries);
            }
        }
        if let Some(path) = &self.options.index_path {
            // The record is shipped: failing now would have the same point written again. What a
            // stale index does not know is sealed anew after a restart; packs that it knows and
            // that are gone are forgotten.
            let _ = self.index.save(path, &self.id_key);
        }
        let signed = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        Ok(Point {
            id: PointId { lineage, counter: shipped.counter },
            shipped,
            margin: signed(sites) - signed(self.options.layout.k()),
            objects: sealed.packs.len(),
            bytes_new: sealed.bytes_new,
            bytes_dedup: sealed.bytes_dedup,
            self_contained: sealed.self_contained,
        })
    }
}

impl std::fmt::Debug for PointSealer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PointSealer")
            .field("lineage", &self.sealing.lineage)
            .field("period", &self.sealing.period.reference.number)
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for SealedPoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SealedPoint")
            .field("lineage", &self.lineage)
            .field("packs", &self.packs.len())
            .field("self_contained", &self.self_contained)
            .finish_non_exhaustive()
    }
}
