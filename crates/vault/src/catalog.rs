//! The catalog: what is at the sites, read from any k of them alone, believing only signatures.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::certificate::{Certificate, Parent, RootPublicKey};
use crate::chain::{Chain, ChainReader, Listing, find_certificate, list_quick};
use crate::error::{Error, Result};
use crate::facts::{Fork, Freshness, LineageInfo, PointInfo, TailInfo};
use crate::hedge::{Hedge, Pace};
use crate::layout::{Layout, Lineage, ObjectName, check_domain, hex};
use crate::record::{Kind, ObjectRef, Record};
use crate::revocation::{Revocation, revocations};
use crate::site::{Site, SiteError, SiteErrorKind, Sites};
use crate::state::Pin;
use crate::verify::{EVERY_SITE, Problem, ProblemKind};

#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) certificate: Certificate,
    /// By counter, without bodies.
    pub(crate) records: BTreeMap<u64, Record>,
    /// The last record that is believed, if its writer was revoked.
    pub(crate) revoked_after: Option<u64>,
    /// Hashes of the root's words about that.
    pub(crate) revocations: Vec<[u8; 32]>,
}

/// What is at the sites.
pub struct Catalog {
    sites: Vec<Arc<dyn Site>>,
    domain: String,
    trust: RootPublicKey,
    pub(crate) listings: Vec<Result<Listing, SiteError>>,
    pub(crate) lineages: BTreeMap<Lineage, Entry>,
    problems: Vec<Problem>,
    forks: Vec<Fork>,
    freshness: Freshness,
    /// Sites that keep readers waiting.
    pub(crate) pace: Arc<Pace>,
}

impl Catalog {
    /// Reads the catalog of `domain` from `sites` (in shard order). Sites may be gone or lying:
    /// what they get wrong is in [`Catalog::problems`].
    ///
    /// # Errors
    /// [`Error::NothingYet`] if every site answered and none holds a lineage;
    /// [`Error::NotEnoughSites`] if so few answered that none can be found.
    pub fn load(
        sites: &[Arc<dyn Site>],
        domain: &str,
        trust: &RootPublicKey,
        pin: Option<Pin>,
    ) -> Result<Self> {
        Self::load_hedged(sites, domain, trust, pin, Hedge::default())
    }

    /// As [`Catalog::load`], with bounds of one's own on how long a slow site holds up what
    /// others could answer, here and in what is read through this catalog.
    ///
    /// # Errors
    /// As [`Catalog::load`].
    pub fn load_hedged(
        sites: &[Arc<dyn Site>],
        domain: &str,
        trust: &RootPublicKey,
        pin: Option<Pin>,
        hedge: Hedge,
    ) -> Result<Self> {
        check_domain(domain)?;
        let pace = Pace::new(hedge);
        let listings = list_quick(sites, domain, &pace);
        let mut catalog = Self {
            sites: sites.to_vec(),
            domain: domain.to_owned(),
            trust: *trust,
            listings,
            lineages: BTreeMap::new(),
            problems: Vec::new(),
            forks: Vec::new(),
            freshness: Freshness::Unproven { why: "no pin, anchor or witness".to_owned() },
            pace,
        };
        catalog.note_unreachable();
        for lineage in catalog.claimed_lineages() {
            catalog.read_lineage(lineage);
        }
        catalog.find_forks();
        if let Some(pin) = pin {
            catalog.freshness = catalog.compare(pin);
        }
        if catalog.lineages.is_empty() {
            return Err(catalog.nothing());
        }
        Ok(catalog)
    }

    fn nothing(&self) -> Error {
        let unreachable = self.unreachable();
        if unreachable.is_empty() {
            return Error::NothingYet { domain: self.domain.clone() };
        }
        Error::NotEnoughSites {
            what: format!("finding any lineage of domain {}", self.domain),
            needed: self.sites.len().min(1 + self.reachable()),
            found: self.reachable(),
            sites: unreachable,
            points: Vec::new(),
        }
    }

    fn note_unreachable(&mut self) {
        for listing in &self.listings {
            match listing {
                Err(error) => self.problems.push(Problem {
                    site: error.site.clone(),
                    object: String::new(),
                    kind: ProblemKind::Unreadable,
                    detail: error.detail.clone(),
                }),
                Ok(_) => continue,
            }
        }
    }

    fn claimed_lineages(&self) -> BTreeSet<Lineage> {
        let objects = self.listings.iter().flatten().flat_map(|listing| listing.objects.keys());
        objects
            .map(|name| match name {
                ObjectName::Certificate(lineage)
                | ObjectName::Period(lineage, _)
                | ObjectName::Wrap(lineage, ..)
                | ObjectName::Revocation(lineage, _)
                | ObjectName::Record(lineage, _)
                | ObjectName::Shard(lineage, _, _)
                | ObjectName::Proof(lineage, _, _) => *lineage,
            })
            .collect()
    }

    fn read_lineage(&mut self, lineage: Lineage) {
        let (listings, trust, pace) = (&self.listings, &self.trust, &self.pace);
        let (certificate, problems) =
            find_certificate(&self.sites, &self.domain, lineage, listings, trust, pace);
        self.problems.extend(problems);
        let Some(certificate) = certificate else {
            self.problems.push(Problem {
                site: EVERY_SITE.to_owned(),
                object: ObjectName::Certificate(lineage).key(&self.domain),
                kind: ProblemKind::Unexpected,
                detail: "objects of a lineage that the root key did not certify: somebody else's, \
                         or every copy of the certificate is lost"
                    .to_owned(),
            });
            return;
        };
        let reader = ChainReader {
            sites: &self.sites,
            domain: &self.domain,
            lineage,
            certificate: &certificate,
            listings: &self.listings,
            pace: Arc::clone(&self.pace),
        };
        let mut chain = reader.read();
        let revoked = revocations(&self.sites, &self.domain, lineage, &self.listings, &self.trust);
        let strictest = revoked.iter().map(|(_, one)| one).min_by_key(|one| one.trusted);
        let revoked_after = strictest.map(|one| one.trusted);
        if let Some(one) = strictest {
            self.disbelieve(one, &mut chain);
        }
        let revocations = revoked.into_iter().map(|(hash, _)| hash).collect();
        self.problems.extend(chain.problems);
        for split in chain.splits {
            self.forks.push(Fork {
                lineages: vec![lineage],
                counter: Some(split.counter),
                detail: split.detail,
            });
        }
        for gap in chain.gaps {
            if !expired(&chain.records, gap.last) {
                self.problems.push(Problem {
                    site: EVERY_SITE.to_owned(),
                    object: ObjectName::Record(lineage, gap.last).key(&self.domain),
                    kind: ProblemKind::Missing,
                    detail: format!(
                        "records {} to {} are nowhere, and no later recovery point covers them",
                        gap.first, gap.last
                    ),
                });
            }
        }
        let records = chain.records;
        let entry = Entry { certificate, records, revoked_after, revocations };
        self.lineages.insert(lineage, entry);
    }

    /// Takes out of a chain what the root has said is not to be believed.
    fn disbelieve(&mut self, revocation: &Revocation, chain: &mut Chain) {
        let (lineage, trusted) = (revocation.lineage, revocation.trusted);
        let gone = chain.records.split_off(&(trusted.saturating_add(1)));
        chain.gaps.retain(|gap| gap.first <= trusted);
        chain.splits.retain(|split| split.counter <= trusted);
        let last = chain.records.get(&trusted);
        if last.is_some_and(|record| record.hash != revocation.trusted_hash) {
            self.forks.push(Fork {
                lineages: vec![lineage],
                counter: Some(trusted),
                detail: "the root believes another record than the one found".to_owned(),
            });
        }
        if let Some(first) = gone.keys().next() {
            self.problems.push(Problem {
                site: EVERY_SITE.to_owned(),
                object: ObjectName::Record(lineage, *first).key(&self.domain),
                kind: ProblemKind::Unexpected,
                detail: format!(
                    "{} records from here on are of a writer that the root revoked: none of them \
                     is believed",
                    gone.len()
                ),
            });
        }
    }

    fn find_forks(&mut self) {
        let mut children: BTreeMap<Lineage, Vec<&Certificate>> = BTreeMap::new();
        for entry in self.lineages.values() {
            if let Some(parent) = entry.certificate.parent {
                children.entry(parent.lineage).or_default().push(&entry.certificate);
            }
        }
        for (parent, children) in children {
            let lineages: Vec<Lineage> = children.iter().map(|child| child.lineage).collect();
            if lineages.len() > 1 {
                let detail = format!("{} lineages continue lineage {parent}", lineages.len());
                self.forks.push(Fork { lineages, counter: None, detail });
            }
            let records = self.lineages.get(&parent).map(|entry| &entry.records);
            for child in children {
                let on = records.and_then(|records| went_on(records, child.parent?));
                if let Some(head) = on {
                    self.forks.push(Fork {
                        lineages: vec![parent, child.lineage],
                        counter: None,
                        detail: format!(
                            "lineage {parent} went on (record {}) after lineage {} continued it",
                            head.header.counter, child.lineage
                        ),
                    });
                }
            }
        }
    }

    fn compare(&self, pin: Pin) -> Freshness {
        let lineage = pin.lineage;
        let entry = self.lineages.get(&lineage);
        let found = entry.and_then(|entry| entry.records.keys().next_back().copied()).unwrap_or(0);
        if let Some(after) = entry.and_then(|entry| entry.revoked_after)
            && after < pin.counter
        {
            return Freshness::Unproven {
                why: format!("record {} was pinned, and its writer was revoked", pin.counter),
            };
        }
        if found < pin.counter {
            return Freshness::RolledBack { lineage, pinned: pin.counter, found };
        }
        let record = entry.and_then(|entry| entry.records.get(&pin.counter));
        if record.is_some_and(|record| record.hash != pin.hash) {
            return Freshness::Contradicted { lineage, counter: pin.counter };
        }
        // What is older than every record listed was pruned; in between, none may be missing.
        let oldest = entry.and_then(|entry| entry.records.keys().next().copied());
        if record.is_none() && oldest.is_some_and(|oldest| oldest < pin.counter) {
            return Freshness::Unproven {
                why: format!("the pinned record {} is nowhere to be compared", pin.counter),
            };
        }
        match self.current_lineage_of(lineage.kind_beside()) {
            Some(current) if current != lineage => Freshness::Unproven {
                why: format!("the pin is of lineage {lineage}, the newest lineage is {current}"),
            },
            _ => Freshness::Proven { pinned: pin.counter },
        }
    }

    /// The domain.
    #[must_use]
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// The root key whose certificates are believed.
    #[must_use]
    pub fn trust(&self) -> &RootPublicKey {
        &self.trust
    }

    /// The sites, in shard order.
    #[must_use]
    pub fn sites(&self) -> &Sites {
        &self.sites
    }

    /// Every lineage, oldest first.
    #[must_use]
    pub fn lineages(&self) -> Vec<LineageInfo> {
        let mut all: Vec<LineageInfo> = self.lineages.values().map(info).collect();
        all.sort_by_key(|info| (info.issued_time_ns, info.lineage));
        all
    }

    /// The lineage of the main line certified last: the one that is, or was last, live.
    #[must_use]
    pub fn current_lineage(&self) -> Option<Lineage> {
        self.current_lineage_of(None)
    }

    /// The lineage of a kind (see [`Lineage::beside`]) certified last.
    #[must_use]
    pub fn current_lineage_of(&self, kind: Option<[u8; 4]>) -> Option<Lineage> {
        let lineages = self.lineages();
        let of_kind = lineages.iter().rfind(|info| info.lineage.kind_beside() == kind);
        of_kind.map(|info| info.lineage)
    }

    /// k and n of the newest record.
    #[must_use]
    pub fn layout(&self) -> Option<Layout> {
        let heads = self.lineages.values().filter_map(|entry| entry.records.values().next_back());
        heads.max_by_key(|record| record.header.time_ns).map(|record| record.header.layout)
    }

    /// Every recovery point, by lineage and position; the newest of a lineage last.
    #[must_use]
    pub fn points(&self) -> Vec<PointInfo> {
        let records = self.lineages.values().flat_map(|entry| entry.records.values());
        records.filter_map(|record| self.point_info(record)).collect()
    }

    /// The newest point of the current lineage, else of the newest lineage of the main line that
    /// has one.
    #[must_use]
    pub fn latest_point(&self) -> Option<PointInfo> {
        self.latest_point_of(None)
    }

    /// As [`Catalog::latest_point`], of the lineages of a kind.
    #[must_use]
    pub fn latest_point_of(&self, kind: Option<[u8; 4]>) -> Option<PointInfo> {
        let order = self.lineages();
        let mut of_kind = order.iter().rev().filter(|info| info.lineage.kind_beside() == kind);
        let newest = of_kind.find_map(|info| {
            let records = self.lineages.get(&info.lineage)?.records.values();
            records.rev().find(|record| record.header.point_id().is_some())
        });
        newest.and_then(|record| self.point_info(record))
    }

    /// The point that `id` (as [`PointId`](crate::PointId) prints it) names.
    ///
    /// # Errors
    /// [`Error::NotFound`] with the ids there are.
    pub fn point(&self, id: &str) -> Result<PointInfo> {
        let points = self.points();
        match points.iter().find(|point| point.id.to_string() == id) {
            Some(point) => Ok(point.clone()),
            None => Err(Error::NotFound {
                what: format!("recovery point {id}"),
                known: points.iter().map(|point| point.id.to_string()).collect(),
            }),
        }
    }

    /// Tails of a lineage that reach beyond `position` (all for `None`), in order.
    #[must_use]
    pub fn tails_after(&self, lineage: Lineage, position: Option<u64>) -> Vec<TailInfo> {
        let records = self.lineages.get(&lineage).into_iter().flat_map(|one| one.records.values());
        let tails = records.filter_map(|record| match record.header.kind {
            Kind::Tail { first, last } if position.is_none_or(|position| last > position) => {
                Some(TailInfo {
                    lineage,
                    counter: record.header.counter,
                    first,
                    last,
                    time_ns: record.header.time_ns,
                    roots: record.header.roots.clone(),
                })
            }
            _ => None,
        });
        tails.collect()
    }

    /// A record of the catalog (without its body).
    #[must_use]
    pub fn record(&self, lineage: Lineage, counter: u64) -> Option<&Record> {
        self.lineages.get(&lineage)?.records.get(&counter)
    }

    /// All records of a lineage, oldest first, without their bodies.
    pub fn records(&self, lineage: Lineage) -> impl DoubleEndedIterator<Item = &Record> {
        self.lineages.get(&lineage).into_iter().flat_map(|entry| entry.records.values())
    }

    /// The newest record of a lineage, to be pinned.
    #[must_use]
    pub fn pin(&self, lineage: Lineage) -> Option<Pin> {
        let head = self.records(lineage).next_back()?;
        Some(Pin { lineage, counter: head.header.counter, hash: head.hash })
    }

    /// What is wrong at which site, as far as loading noticed; [`crate::verify()`] reads all of it.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// Histories that contradict each other.
    #[must_use]
    pub fn forks(&self) -> &[Fork] {
        &self.forks
    }

    /// How sure it is that this is the newest state.
    #[must_use]
    pub fn freshness(&self) -> &Freshness {
        &self.freshness
    }

    /// Names of the sites that did not answer, with the reason.
    #[must_use]
    pub fn unreachable(&self) -> Vec<String> {
        let errors = self.listings.iter().filter_map(|listing| listing.as_ref().err());
        errors.map(|error| format!("{} ({})", error.site, error.detail)).collect()
    }

    /// Sites that answered, or may yet: a slow one is asked when there is nobody else.
    fn reachable(&self) -> usize {
        let away = |error: &SiteError| error.kind != SiteErrorKind::Slow;
        self.listings.iter().filter(|one| !one.as_ref().is_err_and(away)).count()
    }

    /// Succeeds if at least k sites answered, and they neither roll back nor contradict the pin.
    ///
    /// # Errors
    /// [`Error::NotEnoughSites`] naming the points and sites, [`Error::RolledBack`],
    /// [`Error::Fork`].
    pub fn check_restorable(&self) -> Result<()> {
        let needed = self.layout().map_or(1, |layout| layout.k());
        if self.reachable() < needed {
            return Err(Error::NotEnoughSites {
                what: "restoring".to_owned(),
                needed,
                found: self.reachable(),
                sites: self.unreachable(),
                points: self.points().iter().map(|point| point.id).collect(),
            });
        }
        match &self.freshness {
            Freshness::RolledBack { lineage, pinned, found } => Err(Error::RolledBack {
                lineage: lineage.to_string(),
                pinned: *pinned,
                found: *found,
            }),
            Freshness::Contradicted { lineage, counter } => Err(Error::Fork {
                lineage: lineage.to_string(),
                counter: *counter,
                detail: "the sites hold another record than the pinned one".to_owned(),
            }),
            Freshness::Proven { .. } | Freshness::Unproven { .. } => Ok(()),
        }
    }

    pub(crate) fn point_info(&self, record: &Record) -> Option<PointInfo> {
        let header = &record.header;
        let Kind::Point { position, self_contained } = header.kind else {
            return None;
        };
        let lineage = header.lineage;
        let copies = |name| self.listed(&name, None);
        let shards = |object: &ObjectRef| self.listed_shards(lineage, object, header.layout.k());
        Some(PointInfo {
            id: header.point_id()?,
            position,
            time_ns: header.time_ns,
            roots: header.roots.clone(),
            self_contained,
            margin: margin(record, copies, shards),
            objects: header.objects.len(),
            length_bytes: header.objects.iter().map(|object| object.length_bytes).sum(),
        })
    }

    fn listed(&self, name: &ObjectName, length_bytes: Option<u64>) -> usize {
        let holds = |listing: &&Listing| {
            let found = listing.objects.get(name);
            found.is_some_and(|found| length_bytes.is_none_or(|expected| expected == *found))
        };
        self.listings.iter().flatten().filter(holds).count()
    }

    fn listed_shards(&self, lineage: Lineage, object: &ObjectRef, k: usize) -> usize {
        let expected = Some(object.shard_bytes(k));
        let there = |shard: &usize| {
            self.listed(&ObjectName::Shard(lineage, object.pack, *shard), expected) > 0
        };
        (0..object.shard_roots.len()).filter(there).count()
    }
}

impl std::fmt::Debug for Catalog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let sites: Vec<&str> = self.sites.iter().map(|site| site.name()).collect();
        f.debug_struct("Catalog")
            .field("domain", &self.domain)
            .field("sites", &sites)
            .field("lineages", &self.lineages())
            .finish_non_exhaustive()
    }
}

/// The newest record of a lineage, if it came after the one at which a child continued it. Records
/// are compared, never times: the two hosts' clocks need not agree.
fn went_on(records: &BTreeMap<u64, Record>, parent: Parent) -> Option<&Record> {
    let head = records.values().next_back()?;
    let taken = records.values().find(|record| record.hash == parent.record_hash);
    let on = match taken {
        Some(taken) => head.header.counter > taken.header.counter,
        // Pruned: then only how far it reaches tells.
        None => head.header.tail_last.max(head.header.point_position) > Some(parent.position),
    };
    on.then_some(head)
}

/// Sites that may still be lost before `record` cannot be restored: over everything it needs, the
/// least number of good copies or shards, minus k.
pub(crate) fn margin(
    record: &Record,
    copies: impl Fn(ObjectName) -> usize,
    shards: impl Fn(&ObjectRef) -> usize,
) -> i64 {
    let header = &record.header;
    let lineage = header.lineage;
    let replicated =
        [ObjectName::Certificate(lineage), ObjectName::Record(lineage, header.counter)]
            .into_iter()
            .chain(header.periods.iter().map(|period| ObjectName::Period(lineage, period.number)));
    let least = replicated.map(copies).chain(header.objects.iter().map(shards)).min().unwrap_or(0);
    signed(least) - signed(header.layout.k())
}

fn signed(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// Whether a gap in the counters that ends at `last` is what retention leaves: a later point
/// reaches at least as far as every tail that the missing records could have carried.
pub(crate) fn expired(records: &BTreeMap<u64, Record>, last: u64) -> bool {
    let next = records.range(last + 1..).next().map(|(_, record)| &record.header);
    let Some(next) = next else { return false };
    let reached = match next.kind {
        Kind::Tail { first, .. } => first.checked_sub(1),
        _ => next.tail_last,
    };
    let covered = records.range(last + 1..).filter_map(|(_, record)| match record.header.kind {
        Kind::Point { position, .. } => Some(position),
        _ => None,
    });
    let Some(covered) = covered.max() else {
        return false;
    };
    // What the record before the gap had reached, no missing record carried.
    let before = records.range(..=last).next_back().and_then(|(_, record)| record.header.tail_last);
    reached.is_none_or(|reached| reached <= covered || Some(reached) <= before)
        && next.point_position.is_none_or(|point| point <= covered)
}

fn info(entry: &Entry) -> LineageInfo {
    let head = entry.records.values().next_back();
    LineageInfo {
        lineage: entry.certificate.lineage,
        parent: entry.certificate.parent,
        issued_time_ns: entry.certificate.issued_time_ns,
        head: head.map(|head| (head.header.counter, head.hash, head.header.time_ns)),
        tail_last: head.and_then(|head| head.header.tail_last),
        revoked_after: entry.revoked_after,
    }
}

/// How a record is called in messages.
pub(crate) fn record_label(record: &Record) -> String {
    format!("record {} ({})", record.header.counter, hex(&record.hash[..8]))
}
