//! What a writer can prove by itself: that what it wrote in its current key period comes back from
//! the sites and opens. It has no key for anything earlier.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use crate::body::open_body;
use crate::catalog::expired;
use crate::erasure::decode_shards;
use crate::layout::{Lineage, ObjectName, hex};
use crate::manifest::{Body, SourceEntry, decode_sources};
use crate::pack::{PackEntry, PackReader, check_pack};
use crate::record::{Kind, ObjectRef, PointId, Record, RecordHeader};
use crate::seal::Decompressor;
use crate::site::{SiteError, SiteErrorKind, each_site};
use crate::source::Sealing;
use crate::source_list::PackNames;
use crate::verify::{Problem, ProblemKind};

use super::Writer;

/// Records read at once: bounds the memory needed.
const BATCH: u64 = 64;
/// Packs of large tails are brought back up to this many bytes; those of the newest point always.
const TAIL_PACK_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// Brings back what was written in the current key period, on any thread: the writer goes on
/// meanwhile. It holds the period's key until it is done.
pub struct CurrentCheck {
    sealing: Sealing,
    /// Counter and hash of the newest record, from the writer's memory.
    head: (u64, [u8; 32]),
    newest_point: Option<(u64, [u8; 32])>,
}

/// What checking the current key period found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CurrentFindings {
    /// The lineage.
    pub lineage: Lineage,
    /// The key period.
    pub period: u64,
    /// Records brought back, compared and opened, newest first from the writer's last one.
    pub records: u64,
    /// Packs rebuilt (from data shards, and from parity), opened and compared chunk by chunk.
    pub packs: u64,
    /// Packs of the newest point that earlier key periods seal: this writer cannot open them.
    pub packs_earlier: u64,
    /// The newest point of the period with the position it brings back, if there is one.
    pub point: Option<(PointId, u64)>,
    /// Objects read.
    pub objects: u64,
    /// Bytes read.
    pub bytes: u64,
    /// Sites that answered.
    pub sites_used: Vec<String>,
    /// Sites that did not, with the reason.
    pub sites_missing: Vec<String>,
    /// k: fewer sites than that prove nothing about packs.
    pub sites_needed: usize,
    /// Everything that is not as it should be at a site that answered.
    pub problems: Vec<Problem>,
    /// What could not be brought back or opened, from whatever sites.
    pub lost: Vec<String>,
}

impl CurrentFindings {
    /// Whether at least k sites answered and there was something to bring back.
    #[must_use]
    pub fn is_proof(&self) -> bool {
        self.sites_used.len() >= self.sites_needed && self.records > 0
    }

    /// Whether everything came back, and every site that answered holds it right.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.lost.is_empty() && self.problems.is_empty()
    }
}

impl Writer {
    /// What checks the current key period, apart from the writer; `None` if no period has begun.
    #[must_use]
    pub fn current_check(&self) -> Option<CurrentCheck> {
        Some(CurrentCheck {
            sealing: self.sealing().ok()?,
            head: (self.head.counter, self.head.hash),
            newest_point: self.newest_point,
        })
    }
}

impl CurrentCheck {
    /// Reads, at every site, the newest `records_max` records of the period and the packs of the
    /// newest point (and of large tails, up to 64 MiB) that the period seals; rebuilds each pack
    /// from its first k shards and again from the last k, which include the parity; opens
    /// everything and compares every chunk.
    #[must_use]
    pub fn run(&self, records_max: u64) -> CurrentFindings {
        let sealing = &self.sealing;
        let mut run = Run {
            sealing,
            missing: BTreeMap::new(),
            tail_pack_bytes: 0,
            seen: BTreeMap::new(),
            found: CurrentFindings {
                lineage: sealing.lineage,
                period: sealing.period.reference.number,
                records: 0,
                packs: 0,
                packs_earlier: 0,
                point: None,
                objects: 0,
                bytes: 0,
                sites_used: Vec::new(),
                sites_missing: Vec::new(),
                sites_needed: sealing.layout.k(),
                problems: Vec::new(),
                lost: Vec::new(),
            },
        };
        run.walk(self.head, records_max);
        run.newest_point(self.newest_point);
        run.finish()
    }
}

/// One site's answer for one object.
type Answer = Option<Result<Vec<u8>, SiteError>>;

struct Run<'a> {
    sealing: &'a Sealing,
    /// Sites that do not answer, by number.
    missing: BTreeMap<usize, SiteError>,
    tail_pack_bytes: u64,
    /// Records seen, without bodies.
    seen: BTreeMap<u64, Record>,
    found: CurrentFindings,
}

impl Run<'_> {
    fn finish(mut self) -> CurrentFindings {
        for (at, site) in self.sealing.sites.iter().enumerate() {
            match self.missing.get(&at) {
                None => self.found.sites_used.push(site.name().to_owned()),
                Some(error) => {
                    let text = format!("{} ({})", error.site, error.detail);
                    self.found.sites_missing.push(text);
                }
            }
        }
        self.found.problems.sort();
        self.found.problems.dedup();
        self.found
    }

    /// Reads objects at every site that answers: by site, then in the order of `names`.
    fn read(&mut self, names: impl Fn(usize) -> Vec<ObjectName> + Sync) -> Vec<Vec<Answer>> {
        let (missing, domain) = (&self.missing, &self.sealing.domain);
        let answers = each_site(&self.sealing.sites, |at, site| {
            let mut gone = missing.contains_key(&at);
            let read = |name: &ObjectName| {
                if gone {
                    return None;
                }
                let answer = site.get(&name.key(domain));
                gone = answer.as_ref().is_err_and(|error| error.kind == SiteErrorKind::Unavailable);
                Some(answer)
            };
            names(at).iter().map(read).collect::<Vec<Answer>>()
        });
        for (at, answer) in answers.iter().enumerate() {
            for one in answer.iter().flatten() {
                match one {
                    Ok(bytes) => {
                        self.found.objects += 1;
                        self.found.bytes += bytes.len() as u64;
                    }
                    Err(error) if error.kind == SiteErrorKind::Unavailable => {
                        self.missing.insert(at, error.clone());
                    }
                    Err(_) => {}
                }
            }
        }
        answers
    }

    /// The bytes with the right hash; wrong answers become problems.
    fn compare(&mut self, at: usize, name: &ObjectName, answer: Answer, hash: [u8; 32]) -> Answer {
        let (kind, detail) = match answer? {
            Ok(bytes) if *blake3::hash(&bytes).as_bytes() == hash => return Some(Ok(bytes)),
            Ok(_) => (ProblemKind::Corrupt, "its hash is not the one written".to_owned()),
            Err(error) => match error.kind {
                SiteErrorKind::Unavailable => return None,
                SiteErrorKind::NotFound => (ProblemKind::Missing, "not at this site".to_owned()),
                _ => (ProblemKind::Unreadable, error.detail),
            },
        };
        self.found.problems.push(Problem {
            site: self.sealing.sites[at].name().to_owned(),
            object: name.key(&self.sealing.domain),
            kind,
            detail,
        });
        None
    }

    fn lost(&mut self, what: String) {
        self.found.lost.push(what);
    }

    /// Follows the links back from the newest record, as far as the period and `max` reach.
    fn walk(&mut self, head: (u64, [u8; 32]), max: u64) {
        let (mut counter, mut hash) = head;
        let mut left = max.min(counter);
        while left > 0 {
            let batch = left.min(BATCH);
            let lineage = self.sealing.lineage;
            let name = |at: u64| ObjectName::Record(lineage, counter - at);
            let mut answers = self.read(|_| (0..batch).map(name).collect());
            for at in 0..usize::try_from(batch).unwrap_or_default() {
                let copies = answers.iter_mut().map(|site| site[at].take()).collect();
                let Some(previous) = self.record(counter, hash, copies) else {
                    return;
                };
                (counter, hash) = (counter - 1, previous);
            }
            left -= batch;
        }
    }

    /// Judges one record; gives the hash of the one before, or `None` where the walk ends.
    fn record(&mut self, counter: u64, hash: [u8; 32], copies: Vec<Answer>) -> Option<[u8; 32]> {
        let name = ObjectName::Record(self.sealing.lineage, counter);
        let nowhere = copies
            .iter()
            .flatten()
            .all(|copy| copy.as_ref().is_err_and(|error| error.kind == SiteErrorKind::NotFound));
        if nowhere && expired(&self.seen, counter) {
            return None;
        }
        let mut good = None;
        for (at, copy) in copies.into_iter().enumerate() {
            if let Some(Ok(bytes)) = self.compare(at, &name, copy, hash) {
                good.get_or_insert(bytes);
            }
        }
        let Some(record) = good.and_then(|bytes| Record::decode(&bytes).ok()) else {
            self.lost(format!("record {counter}: no site has it right"));
            return None;
        };
        if record.header.periods.first() != Some(&self.sealing.period.reference) {
            return None;
        }
        let previous = record.header.previous_hash;
        self.open(record);
        Some(previous)
    }

    /// The newest point is looked at whole, however far back it lies.
    fn newest_point(&mut self, newest: Option<(u64, [u8; 32])>) {
        let Some((counter, hash)) = newest.filter(|(at, _)| !self.seen.contains_key(at)) else {
            return;
        };
        let name = ObjectName::Record(self.sealing.lineage, counter);
        let answers = self.read(|_| vec![name]);
        let copies = answers.into_iter().map(|mut site| site.pop().flatten());
        self.record(counter, hash, copies.collect());
    }

    fn open(&mut self, mut record: Record) {
        let body = open_body(&record.header, &record.body, &self.sealing.period.key);
        record.body = Vec::new();
        let header = record.header.clone();
        self.seen.insert(header.counter, record);
        let Some(body) = body else {
            self.lost(format!("record {}: its body does not open", header.counter));
            return;
        };
        self.found.records += 1;
        match header.kind {
            Kind::Point { position, .. } if self.found.point.is_none() => {
                self.found.point = header.point_id().map(|id| (id, position));
                self.packs(&header, &body);
            }
            Kind::Tail { .. } if !header.objects.is_empty() => {
                let bytes: u64 = header.objects.iter().map(|one| one.length_bytes).sum();
                if self.tail_pack_bytes + bytes <= TAIL_PACK_BYTES_MAX {
                    self.tail_pack_bytes += bytes;
                    self.packs(&header, &body);
                }
            }
            _ => {}
        }
    }

    /// Brings back every pack of a record that the period seals, with the chunks it should hold.
    fn packs(&mut self, header: &RecordHeader, body: &Body) {
        let current = self.sealing.period.reference.number;
        let mut wanted: BTreeMap<usize, Vec<PackEntry>> = BTreeMap::new();
        match body {
            Body::Sources { sources } => want(&mut wanted, sources),
            Body::Indirect { list } | Body::Listed { list } => {
                want(&mut wanted, std::slice::from_ref(list));
                let is_named = matches!(body, Body::Listed { .. });
                if let Some(sources) = self.list(header, list, is_named) {
                    want(&mut wanted, &sources);
                }
            }
            Body::Empty | Body::Payload { .. } => {}
        }
        for (at, object) in header.objects.iter().enumerate() {
            if object.period != current {
                self.found.packs_earlier += 1;
                continue;
            }
            let Some(pack) = self.pack(header, object) else {
                continue;
            };
            let right = self.entries(&pack).is_some_and(|entries| {
                let mut wanted = wanted.get(&at).into_iter().flatten();
                wanted.all(|one| entries.get(one.place.slot as usize) == Some(one))
            });
            if right {
                self.found.packs += 1;
            } else {
                self.lost(format!("pack {}: it does not open", hex(&object.pack)));
            }
        }
    }

    /// A pack's entries, each chunk opened and compared with its id.
    fn entries(&self, pack: &[u8]) -> Option<Vec<PackEntry>> {
        let reader = PackReader::new(pack)?;
        let (key, ids) = (&self.sealing.period.key, &self.sealing.id_key);
        let of = (self.sealing.lineage, self.sealing.period.reference.number);
        if (reader.lineage(), reader.period()) != of {
            return None;
        }
        let entries = reader.index(&reader.key(key))?;
        check_pack(pack, &entries, key, ids).ok()?;
        Some(entries)
    }

    /// A chunk list that lies in packs itself; `None` if an earlier period seals these.
    fn list(
        &mut self,
        header: &RecordHeader,
        list: &SourceEntry,
        is_named: bool,
    ) -> Option<Vec<SourceEntry>> {
        let mut bytes = Vec::new();
        let mut packs: BTreeMap<u32, Vec<u8>> = BTreeMap::new();
        for chunk in &list.chunks {
            let object = header.objects.get(chunk.object as usize)?;
            if object.period != self.sealing.period.reference.number {
                return None;
            }
            let pack = match packs.entry(chunk.object) {
                Entry::Occupied(read) => read.into_mut(),
                Entry::Vacant(new) => new.insert(self.pack(header, object)?),
            };
            let reader = PackReader::new(pack)?;
            let key = reader.key(&self.sealing.period.key);
            let mut decompressor = Decompressor::new().ok()?;
            bytes.extend(reader.chunk(&key, &PackEntry::from(*chunk), &mut decompressor)?);
        }
        let sources = if is_named {
            let names = PackNames::of(header.objects.iter().map(|object| &object.pack));
            names.and_then(|names| names.decode(&bytes).ok())
        } else {
            decode_sources(&bytes).ok()
        };
        let right = *blake3::hash(&bytes).as_bytes() == list.hash && sources.is_some();
        if !right {
            self.lost(format!("record {}: its chunk list does not open", header.counter));
            return None;
        }
        sources
    }

    /// A pack's bytes, if its shards at the sites give it both ways.
    fn pack(&mut self, header: &RecordHeader, object: &ObjectRef) -> Option<Vec<u8>> {
        let (lineage, k) = (self.sealing.lineage, header.layout.k());
        let name = |at: usize| ObjectName::Shard(lineage, object.pack, at);
        let answers = self.read(|at| vec![name(at)]);
        let mut good: Vec<(usize, Vec<u8>)> = Vec::new();
        for (at, mut answer) in answers.into_iter().enumerate() {
            let Some(root) = object.shard_roots.get(at) else {
                continue;
            };
            let answer = answer.pop().flatten();
            if let Some(Ok(bytes)) = self.compare(at, &name(at), answer, *root) {
                good.push((at, bytes));
            }
        }
        let what = || format!("pack {}", hex(&object.pack));
        if good.len() < k {
            let found = good.len();
            self.lost(format!("{}: {found} good shards, {k} are needed", what()));
            return None;
        }
        let shards: Vec<(usize, &[u8])> =
            good.iter().map(|(at, bytes)| (*at, bytes.as_slice())).collect();
        let rebuild = |shards: &[(usize, &[u8])]| {
            let length = usize::try_from(object.length_bytes).ok()?;
            let pack = decode_shards(shards, k, length).ok()?;
            (*blake3::hash(&pack).as_bytes() == object.pack).then_some(pack)
        };
        let first = rebuild(&shards[..k]);
        let parity = rebuild(&shards[shards.len() - k..]);
        if parity.is_none() || first.is_none() {
            self.lost(format!("{}: its shards do not give it", what()));
        }
        parity.and(first)
    }
}

fn want(wanted: &mut BTreeMap<usize, Vec<PackEntry>>, sources: &[SourceEntry]) {
    for chunk in sources.iter().flat_map(|source| &source.chunks) {
        let of = wanted.entry(chunk.object as usize).or_default();
        of.push(PackEntry::from(*chunk));
    }
}
