//! Verify: every object at every site against what signed records say it is.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::catalog::{Catalog, margin};
use crate::chain::{Listing, judge_certificate, judge_record, list_sites};
use crate::error::{Error, Result};
use crate::layout::{Lineage, ObjectName};
use crate::opener::Opener;
use crate::outboard::Outboard;
use crate::pack::PackReader;
use crate::record::{ObjectRef, PointId};
use crate::site::{Site, SiteErrorKind, each_site};
use crate::wrap::read_wraps;

/// What is wrong with an object at a site.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ProblemKind {
    /// It is not there.
    Missing,
    /// Its bytes are not the right ones.
    Corrupt,
    /// Its end is missing.
    Truncated,
    /// It is something else: another object's bytes, or not from this domain.
    Foreign,
    /// It is an older object's bytes.
    Stale,
    /// It is a signed record of a history that contradicts this one.
    Forked,
    /// Nothing refers to it: an interrupted write, or somebody else's. Nothing depends on it.
    Unexpected,
    /// It, or the whole site, could not be read.
    Unreadable,
}

impl ProblemKind {
    /// Whether something that is needed is not there in good order.
    #[must_use]
    pub fn is_damage(self) -> bool {
        self != Self::Unexpected
    }
}

impl fmt::Display for ProblemKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Missing => "missing",
            Self::Corrupt => "corrupt",
            Self::Truncated => "truncated",
            Self::Foreign => "foreign",
            Self::Stale => "stale",
            Self::Forked => "forked",
            Self::Unexpected => "unexpected",
            Self::Unreadable => "unreadable",
        })
    }
}

/// One object at one site that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// The site.
    pub site: String,
    /// The object's name; empty if it is the site as a whole.
    pub object: String,
    /// What is wrong.
    pub kind: ProblemKind,
    /// How it shows, for people.
    pub detail: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {} ({})", self.site, self.object, self.kind, self.detail)
    }
}

/// How deep to look.
#[derive(Clone, Copy)]
pub enum Verify<'a> {
    /// Every stored byte, by hashes and signatures; needs no key.
    Ciphertext,
    /// In addition, every recovery point is decrypted and compared with its plaintext hashes.
    Full(&'a Opener),
}

/// What verifying found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verification {
    /// Everything that is not as it should be.
    pub problems: Vec<Problem>,
    /// Margin of every point, from verified bytes: sites that may still be lost.
    pub margins: Vec<(PointId, i64)>,
    /// Points whose plaintext was compared ([`Verify::Full`]).
    pub points_opened: usize,
    /// Objects read.
    pub objects: u64,
    /// Bytes read.
    pub bytes: u64,
}

impl Verification {
    /// Whether everything needed is in good order (leftovers nothing depends on do not count).
    #[must_use]
    pub fn is_clean(&self) -> bool {
        !self.problems.iter().any(|problem| problem.kind.is_damage())
    }
}

/// Reads every object of the catalog at every site and compares it with what signed records say.
/// What a writer adds or retention removes in the meantime is not held against a site.
///
/// # Errors
/// [`Error::WrongIdentity`], if [`Verify::Full`] was asked for. A point that does not open for
/// another reason is among the problems.
pub fn verify(catalog: &Catalog, depth: Verify<'_>) -> Result<Verification> {
    let audit = Audit::new(catalog);
    let reports = each_site(catalog.sites(), |at, site| audit.site(at, site));
    let mut found = audit.join(&reports);
    forget_expired(catalog, &mut found);
    if let Verify::Full(opener) = depth {
        for point in found.margins.iter().map(|(point, _)| *point) {
            match open_point(opener, point) {
                Ok(()) => found.points_opened += 1,
                Err(error @ Error::WrongIdentity { .. }) => return Err(error),
                Err(error) => found.problems.push(Problem {
                    site: EVERY_SITE.to_owned(),
                    object: ObjectName::Record(point.lineage, point.counter).key(catalog.domain()),
                    kind: ProblemKind::Unreadable,
                    detail: format!("recovery point {point} does not open: {error}"),
                }),
            }
        }
    }
    Ok(found)
}

fn open_point(opener: &Opener, point: PointId) -> Result<()> {
    for source in opener.sources(point)? {
        opener.read_source(point, &source.name, &mut std::io::sink())?;
    }
    Ok(())
}

/// Retention may have removed objects since the catalog was loaded: what a catalog loaded now does
/// not expect any more is not missing.
fn forget_expired(catalog: &Catalog, found: &mut Verification) {
    if !found.problems.iter().any(|problem| problem.kind == ProblemKind::Missing) {
        return;
    }
    let fresh = Catalog::load(catalog.sites(), catalog.domain(), catalog.trust(), None);
    let Ok(fresh) = fresh else { return };
    let expected = Audit::new(&fresh);
    found.problems.retain(|problem| {
        problem.kind != ProblemKind::Missing
            || problem.site == EVERY_SITE
            || ObjectName::parse(catalog.domain(), &problem.object)
                .is_none_or(|name| expected.expects(&name))
    });
    found
        .margins
        .retain(|(point, _)| expected.expects(&ObjectName::Record(point.lineage, point.counter)));
}

/// Where a problem is that no single site has.
pub(crate) const EVERY_SITE: &str = "every site";

/// A shard that a site should hold.
pub(crate) struct ShardAt {
    pub(crate) lineage: Lineage,
    pub(crate) pack: [u8; 32],
    pub(crate) shard: usize,
    pub(crate) root: [u8; 32],
    pub(crate) length_bytes: u64,
    /// Whether the site lists it.
    pub(crate) has_shard: bool,
    /// Whether the site lists what proves its parts.
    pub(crate) has_proof: bool,
}

/// What has to be at the sites.
pub(crate) struct Audit<'a> {
    catalog: &'a Catalog,
    listings: Vec<Result<Listing, crate::site::SiteError>>,
    /// Objects that every site has whole, with their hashes.
    replicated: BTreeMap<ObjectName, [u8; 32]>,
    /// Packs by lineage and name, with k.
    packs: BTreeMap<(Lineage, [u8; 32]), (&'a ObjectRef, usize, u64)>,
    /// Every hash that belongs somewhere, with the counter of the record that brought it.
    known: BTreeMap<[u8; 32], (ObjectName, u64)>,
}

#[derive(Default)]
struct SiteReport {
    problems: Vec<Problem>,
    good: BTreeSet<ObjectName>,
    objects: u64,
    bytes: u64,
}

impl<'a> Audit<'a> {
    pub(crate) fn new(catalog: &'a Catalog) -> Self {
        let listings = list_sites(catalog.sites(), catalog.domain(), None);
        let (replicated, packs) = (BTreeMap::new(), BTreeMap::new());
        let mut audit = Self { catalog, listings, replicated, packs, known: BTreeMap::new() };
        for wrap in read_wraps(catalog, &audit.listings) {
            audit.expect(wrap.name(), wrap.hash, 0);
        }
        for (lineage, entry) in &catalog.lineages {
            let name = ObjectName::Certificate(*lineage);
            audit.expect(name, entry.certificate.hash(), 0);
            for hash in &entry.revocations {
                audit.expect(ObjectName::Revocation(*lineage, *hash), *hash, 0);
            }
            for record in entry.records.values() {
                let header = &record.header;
                let counter = header.counter;
                audit.expect(ObjectName::Record(*lineage, counter), record.hash, counter);
                for period in &header.periods {
                    audit.expect(ObjectName::Period(*lineage, period.number), period.hash, counter);
                }
                for object in &header.objects {
                    audit.expect_pack(*lineage, object, header.layout.k(), counter);
                }
            }
        }
        audit
    }

    fn expect(&mut self, name: ObjectName, hash: [u8; 32], counter: u64) {
        self.replicated.entry(name).or_insert(hash);
        self.known.entry(hash).or_insert((name, counter));
    }

    fn expect_pack(&mut self, lineage: Lineage, object: &'a ObjectRef, k: usize, counter: u64) {
        let new = self.packs.insert((lineage, object.pack), (object, k, counter)).is_none();
        if new {
            for (shard, root) in object.shard_roots.iter().enumerate() {
                let name = ObjectName::Shard(lineage, object.pack, shard);
                self.known.entry(*root).or_insert((name, counter));
            }
        }
    }

    /// The shard of a pack that a site should hold: its own number, unless it holds another one
    /// (the sites may be given in another order than they were written in).
    fn shard_of(&self, at: usize, lineage: Lineage, object: &ObjectRef) -> Option<usize> {
        let held = |shard: &usize| {
            let name = ObjectName::Shard(lineage, object.pack, *shard);
            self.listings[at].as_ref().is_ok_and(|listing| listing.objects.contains_key(&name))
        };
        let own = (at < object.shard_roots.len()).then_some(at);
        own.filter(held).or_else(|| (0..object.shard_roots.len()).find(held)).or(own)
    }

    fn site(&self, at: usize, site: &dyn Site) -> SiteReport {
        let mut report = SiteReport::default();
        let listing = match &self.listings[at] {
            Ok(listing) => listing,
            Err(error) => {
                report.problems.push(Problem {
                    site: site.name().to_owned(),
                    object: String::new(),
                    kind: ProblemKind::Unreadable,
                    detail: error.detail.clone(),
                });
                return report;
            }
        };
        let mut wanted = BTreeSet::new();
        for (name, hash) in &self.replicated {
            wanted.insert(*name);
            self.object(site, *name, *hash, None, &mut report);
        }
        for ((lineage, pack), (object, k, _)) in &self.packs {
            if let Some(shard) = self.shard_of(at, *lineage, object) {
                let name = ObjectName::Shard(*lineage, *pack, shard);
                wanted.insert(name);
                let (root, length) = (object.shard_roots[shard], object.shard_bytes(*k));
                self.object(site, name, root, Some(length), &mut report);
                let proof = ObjectName::Proof(*lineage, *pack, shard);
                if listing.objects.contains_key(&proof) {
                    wanted.insert(proof);
                    self.proof(
                        site,
                        proof,
                        Outboard { length_bytes: length, hash: root },
                        &mut report,
                    );
                }
            }
        }
        let before = self.catalog.listings[at].as_ref();
        let new = |name: &ObjectName| before.is_ok_and(|before| !before.objects.contains_key(name));
        let extra = listing.objects.keys().filter(|name| !wanted.contains(name) && !new(name));
        let extra = extra.map(|name| name.key(self.catalog.domain()));
        for object in extra.chain(listing.unknown.iter().cloned()) {
            report.problems.push(Problem {
                site: site.name().to_owned(),
                object,
                kind: ProblemKind::Unexpected,
                detail: "no signed record of the catalog refers to it; nothing depends on it"
                    .to_owned(),
            });
        }
        report
    }

    fn object(
        &self,
        site: &dyn Site,
        name: ObjectName,
        hash: [u8; 32],
        length_bytes: Option<u64>,
        report: &mut SiteReport,
    ) {
        let key = name.key(self.catalog.domain());
        let judged = match site.get(&key) {
            Ok(bytes) => {
                report.objects += 1;
                report.bytes += bytes.len() as u64;
                self.judge(&bytes, name, hash, length_bytes)
            }
            Err(error) if error.kind == SiteErrorKind::NotFound => {
                Err((ProblemKind::Missing, "not at this site".to_owned()))
            }
            Err(error) => Err((ProblemKind::Unreadable, error.detail)),
        };
        match judged {
            Ok(()) => {
                report.good.insert(name);
            }
            Err((kind, detail)) => {
                let site = site.name().to_owned();
                report.problems.push(Problem { site, object: key, kind, detail });
            }
        }
    }

    /// What proves a shard's parts has to be of that shard; that it is there is not required.
    fn proof(&self, site: &dyn Site, name: ObjectName, of: Outboard, report: &mut SiteReport) {
        let object = name.key(self.catalog.domain());
        let (kind, detail) = match site.get(&object) {
            Ok(bytes) => {
                report.objects += 1;
                report.bytes += bytes.len() as u64;
                if Outboard::decode(&bytes) == Some(of) {
                    return;
                }
                (ProblemKind::Corrupt, "it does not lead to its shard's signed root".to_owned())
            }
            Err(error) if error.kind == SiteErrorKind::NotFound => return,
            Err(error) => (ProblemKind::Unreadable, error.detail),
        };
        let site = site.name().to_owned();
        report.problems.push(Problem { site, object, kind, detail });
    }

    fn judge(
        &self,
        bytes: &[u8],
        name: ObjectName,
        expected: [u8; 32],
        length_bytes: Option<u64>,
    ) -> Result<(), (ProblemKind, String)> {
        let hash = *blake3::hash(bytes).as_bytes();
        if hash == expected {
            return Ok(());
        }
        let wanted = self.known.get(&expected).map(|(_, counter)| *counter);
        if let Some((other, counter)) = self.known.get(&hash) {
            let older = wanted.is_some_and(|wanted| *counter < wanted);
            let kind = if older { ProblemKind::Stale } else { ProblemKind::Foreign };
            let detail = format!("it holds the bytes of {}", other.key(self.catalog.domain()));
            return Err((kind, detail));
        }
        if let Some(judged) = self.judge_content(bytes, name) {
            return Err(judged);
        }
        let found = bytes.len() as u64;
        match length_bytes {
            Some(expected) if found < expected => {
                Err((ProblemKind::Truncated, format!("{found} bytes of {expected}")))
            }
            Some(expected) if found > expected => {
                Err((ProblemKind::Corrupt, format!("{found} bytes where {expected} are expected")))
            }
            _ if bytes.is_empty() => Err((ProblemKind::Truncated, "it is empty".to_owned())),
            _ => Err((ProblemKind::Corrupt, "its hash is not the signed one".to_owned())),
        }
    }

    /// What wrong bytes say of themselves, if they say anything.
    fn judge_content(&self, bytes: &[u8], name: ObjectName) -> Option<(ProblemKind, String)> {
        match name {
            ObjectName::Record(lineage, counter) => {
                let entry = self.catalog.lineages.get(&lineage)?;
                match judge_record(bytes, lineage, counter, &entry.certificate) {
                    Ok(_) => Some((
                        ProblemKind::Forked,
                        "a signed record with this counter, but not the one the chain links to"
                            .to_owned(),
                    )),
                    Err(judged) => Some(judged),
                }
            }
            ObjectName::Certificate(lineage) => {
                let (domain, trust) = (self.catalog.domain(), self.catalog.trust());
                judge_certificate(bytes, domain, lineage, trust).err()
            }
            // The first shard begins with the pack's header.
            ObjectName::Shard(lineage, _, 0) => {
                let other = PackReader::new(bytes)?.lineage();
                let detail = format!("it is of a pack of lineage {other}");
                (other != lineage).then_some((ProblemKind::Foreign, detail))
            }
            ObjectName::Shard(..)
            | ObjectName::Proof(..)
            | ObjectName::Period(..)
            | ObjectName::Wrap(..)
            | ObjectName::Revocation(..) => None,
        }
    }

    fn join(&self, reports: &[SiteReport]) -> Verification {
        let mut copies: BTreeMap<ObjectName, usize> = BTreeMap::new();
        for name in reports.iter().flat_map(|report| &report.good) {
            *copies.entry(*name).or_default() += 1;
        }
        let count = |name: ObjectName| copies.get(&name).copied().unwrap_or(0);
        let records = self.catalog.lineages.values().flat_map(|entry| entry.records.values());
        let margins = records.filter_map(|record| {
            let lineage = record.header.lineage;
            let shards = |object: &ObjectRef| {
                let all = 0..object.shard_roots.len();
                all.filter(|shard| count(ObjectName::Shard(lineage, object.pack, *shard)) > 0)
                    .count()
            };
            Some((record.header.point_id()?, margin(record, count, shards)))
        });
        let mut problems: Vec<Problem> =
            reports.iter().flat_map(|report| report.problems.iter().cloned()).collect();
        // What loading saw and no single object shows: records that are nowhere.
        let nowhere = |problem: &&Problem| problem.site == EVERY_SITE;
        problems.extend(self.catalog.problems().iter().filter(nowhere).cloned());
        problems.sort();
        Verification {
            problems,
            margins: margins.collect(),
            points_opened: 0,
            objects: reports.iter().map(|report| report.objects).sum(),
            bytes: reports.iter().map(|report| report.bytes).sum(),
        }
    }

    pub(crate) fn expects(&self, name: &ObjectName) -> bool {
        match name {
            ObjectName::Shard(lineage, pack, _) | ObjectName::Proof(lineage, pack, _) => {
                self.packs.contains_key(&(*lineage, *pack))
            }
            _ => self.replicated.contains_key(name),
        }
    }

    /// What a site answered when it was asked what it holds.
    pub(crate) fn listing(&self, at: usize) -> Result<&Listing, &crate::site::SiteError> {
        self.listings[at].as_ref()
    }

    /// Objects that every site has whole, with their hashes.
    pub(crate) fn replicated(&self) -> impl Iterator<Item = (ObjectName, [u8; 32])> + '_ {
        self.replicated.iter().map(|(name, hash)| (*name, *hash))
    }

    /// The shards that a site should hold.
    pub(crate) fn shards_at(&self, at: usize) -> impl Iterator<Item = ShardAt> + '_ {
        let listed = move |name| {
            let listing = self.listings[at].as_ref().ok()?;
            listing.objects.get(&name).copied()
        };
        self.packs.iter().filter_map(move |((lineage, pack), (object, k, _))| {
            let shard = self.shard_of(at, *lineage, object)?;
            let listed_bytes = listed(ObjectName::Shard(*lineage, *pack, shard));
            let has_proof = listed(ObjectName::Proof(*lineage, *pack, shard)).is_some();
            Some(ShardAt {
                lineage: *lineage,
                pack: *pack,
                shard,
                root: object.shard_roots[shard],
                length_bytes: object.shard_bytes(*k),
                has_shard: listed_bytes.is_some(),
                has_proof,
            })
        })
    }

    /// The hash that `name` must have, if it is a replicated object of the catalog.
    pub(crate) fn replicated_hash(&self, name: &ObjectName) -> Option<[u8; 32]> {
        self.replicated.get(name).copied()
    }

    /// A pack of the catalog, with k.
    pub(crate) fn pack(&self, lineage: Lineage, pack: &[u8; 32]) -> Option<(&'a ObjectRef, usize)> {
        self.packs.get(&(lineage, *pack)).map(|(object, k, _)| (*object, *k))
    }
}

impl From<Problem> for Error {
    fn from(problem: Problem) -> Self {
        Self::integrity(
            problem.object,
            format!("site {}", problem.site),
            format!("{}: {}", problem.kind, problem.detail),
        )
    }
}
