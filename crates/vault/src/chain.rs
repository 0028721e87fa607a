//! Reading a lineage's chain back from sites of which some may be gone, lying or behind.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use evenkeel_types::{Canonical, DecodeError};

use crate::certificate::{Certificate, RootPublicKey};
use crate::hedge::{Hedge, Pace, Race, Turn};
use crate::layout::{Lineage, ObjectName, hex};
use crate::record::Record;
use crate::site::{Site, SiteError, SiteErrorKind, Sites, each_site};
use crate::verify::{EVERY_SITE, Problem, ProblemKind};

/// Records read from one site at once.
const LANES: usize = 8;
/// Fewer records than this are not worth a thread.
const LANE_RECORDS_MIN: usize = 16;

/// What one site says it holds.
#[derive(Debug, Clone, Default)]
pub(crate) struct Listing {
    pub(crate) objects: BTreeMap<ObjectName, u64>,
    /// Names that no object of this domain has.
    pub(crate) unknown: Vec<String>,
}

/// Lists `domain` (and only `lineage` of it, if given) at every site.
pub(crate) fn list_sites(
    sites: &Sites,
    domain: &str,
    lineage: Option<Lineage>,
) -> Vec<Result<Listing, SiteError>> {
    let prefix = match lineage {
        Some(lineage) => format!("{domain}/{lineage}/"),
        None => format!("{domain}/"),
    };
    list_under(sites, domain, &prefix)
}

/// Lists `domain` at every site, without waiting long for those that are much slower than most.
pub(crate) fn list_quick(
    sites: &Sites,
    domain: &str,
    pace: &Arc<Pace>,
) -> Vec<Result<Listing, SiteError>> {
    let mut race = Race::new(pace, pace.hedge.listing);
    for (at, site) in sites.iter().enumerate() {
        let (site, domain) = (Arc::clone(site), domain.to_owned());
        race.ask(at, move || (at, list_site(site.as_ref(), &domain, &format!("{domain}/"))));
    }
    let mut listings: BTreeMap<usize, Result<Listing, SiteError>> = BTreeMap::new();
    loop {
        match race.next() {
            Turn::Answer((at, listing)) => drop(listings.insert(at, listing)),
            Turn::Over => break,
            Turn::Silence => {
                let listed = listings.values().filter(|listing| listing.is_ok()).count();
                if listed > sites.len() / 2 {
                    break;
                }
            }
        }
    }
    let take = |(at, site): (usize, &Arc<dyn Site>)| {
        listings.remove(&at).unwrap_or_else(|| Err(slow(site.as_ref(), domain)))
    };
    sites.iter().enumerate().map(take).collect()
}

fn slow(site: &dyn Site, domain: &str) -> SiteError {
    SiteError {
        site: site.name().to_owned(),
        action: "list",
        key: format!("{domain}/"),
        kind: SiteErrorKind::Slow,
        detail: "much slower than the others; it was not waited for".to_owned(),
    }
}

/// Lists what has names that begin with `prefix` at every site.
pub(crate) fn list_under(
    sites: &Sites,
    domain: &str,
    prefix: &str,
) -> Vec<Result<Listing, SiteError>> {
    each_site(sites, |_, site| list_site(site, domain, prefix))
}

fn list_site(site: &dyn Site, domain: &str, prefix: &str) -> Result<Listing, SiteError> {
    let mut listing = Listing::default();
    for object in site.list(prefix)? {
        match ObjectName::parse(domain, &object.key) {
            Some(name) => {
                listing.objects.insert(name, object.length_bytes);
            }
            None => listing.unknown.push(object.key),
        }
    }
    Ok(listing)
}

/// The sites that answered, by number.
pub(crate) fn holders<'a>(
    listings: &'a [Result<Listing, SiteError>],
    name: &'a ObjectName,
) -> impl Iterator<Item = usize> + 'a {
    listings.iter().enumerate().filter_map(move |(at, listing)| {
        listing.as_ref().is_ok_and(|listing| listing.objects.contains_key(name)).then_some(at)
    })
}

/// Two valid records with the same counter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Split {
    pub(crate) counter: u64,
    pub(crate) detail: String,
}

/// Records that no site has (any more).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Gap {
    pub(crate) first: u64,
    pub(crate) last: u64,
}

/// A lineage as read: only records that are signed, or that a signed one links to.
#[derive(Debug, Default)]
pub(crate) struct Chain {
    /// By counter, without their bodies.
    pub(crate) records: BTreeMap<u64, Record>,
    pub(crate) gaps: Vec<Gap>,
    pub(crate) splits: Vec<Split>,
    pub(crate) problems: Vec<Problem>,
}

/// Reads chains of one lineage.
pub(crate) struct ChainReader<'a> {
    pub(crate) sites: &'a Sites,
    pub(crate) domain: &'a str,
    pub(crate) lineage: Lineage,
    pub(crate) certificate: &'a Certificate,
    pub(crate) listings: &'a [Result<Listing, SiteError>],
    pub(crate) pace: Arc<Pace>,
}

/// One site's copy of a record, judged.
enum Copy {
    /// Decodes and carries the writer's signature.
    Signed(Box<Record>),
    Bad(Problem),
    /// Not there any more.
    Gone,
}

impl<'a> ChainReader<'a> {
    pub(crate) fn new(
        sites: &'a Sites,
        (domain, lineage): (&'a str, Lineage),
        certificate: &'a Certificate,
        listings: &'a [Result<Listing, SiteError>],
    ) -> Self {
        let pace = Pace::new(Hedge::default());
        Self { sites, domain, lineage, certificate, listings, pace }
    }
}

impl ChainReader<'_> {
    /// The one signed record with this counter; `None` if there is none, or more than one.
    pub(crate) fn record(&self, counter: u64) -> Option<Record> {
        let mut chain = Chain::default();
        let record = self.pick(counter, None, &mut chain)?;
        chain.splits.is_empty().then_some(record)
    }

    /// Every counter any site claims to hold.
    pub(crate) fn counters(&self) -> BTreeSet<u64> {
        let objects = self.listings.iter().flatten().flat_map(|listing| listing.objects.keys());
        let counters = objects.filter_map(|name| match name {
            ObjectName::Record(lineage, counter) if *lineage == self.lineage => Some(*counter),
            _ => None,
        });
        counters.collect()
    }

    /// The highest valid record; and splits at the places where each site's own story ends.
    pub(crate) fn heads(&self) -> (Option<Record>, Vec<Split>) {
        let mut chain = Chain::default();
        let counters = self.counters();
        let newest =
            counters.iter().rev().find_map(|counter| self.pick(*counter, None, &mut chain));
        let top = newest.as_ref().map_or(0, |record| record.header.counter);
        for counter in self.site_heads().into_iter().filter(|counter| *counter < top) {
            self.pick(counter, None, &mut chain);
        }
        (newest, chain.splits)
    }

    /// The highest counter that each site claims, without repetition.
    pub(crate) fn site_heads(&self) -> BTreeSet<u64> {
        let heads = self.listings.iter().flatten().filter_map(|listing| {
            let from = ObjectName::Record(self.lineage, 0);
            let to = ObjectName::Record(self.lineage, u64::MAX);
            let last = listing.objects.range(from..=to).next_back();
            last.and_then(|(name, _)| match name {
                ObjectName::Record(_, counter) => Some(*counter),
                _ => None,
            })
        });
        heads.collect()
    }

    /// Reads the whole chain, newest first, following the links.
    pub(crate) fn read(&self) -> Chain {
        let mut prefetched = self.prefetch();
        let mut chain = Chain::default();
        let heads = self.site_heads();
        let mut expected: Option<(u64, [u8; 32])> = None;
        for counter in self.counters().into_iter().rev() {
            let link = expected.filter(|(at, _)| *at == counter).map(|(_, hash)| hash);
            // Where a site's own story ends, all copies are compared: there a split shows.
            let quick = match link {
                Some(hash) if !heads.contains(&counter) => {
                    prefetched.remove(&counter).filter(|record| record.hash == hash)
                }
                _ => None,
            };
            let Some(mut record) = quick.or_else(|| self.pick(counter, link, &mut chain)) else {
                continue;
            };
            if let Some((at, _)) = expected.filter(|(at, _)| *at != counter) {
                chain.gaps.push(Gap { first: counter + 1, last: at });
            }
            expected = Some((counter - 1, record.header.previous_hash));
            record.body = Vec::new();
            chain.records.insert(counter, record);
        }
        self.check_start(expected, &mut chain);
        chain
    }

    fn check_start(&self, expected: Option<(u64, [u8; 32])>, chain: &mut Chain) {
        match expected {
            Some((0, hash)) if hash != self.certificate.hash() => chain.problems.push(Problem {
                site: EVERY_SITE.to_owned(),
                object: ObjectName::Record(self.lineage, 1).key(self.domain),
                kind: ProblemKind::Foreign,
                detail: "the first record does not link to this lineage's certificate".to_owned(),
            }),
            Some((last, _)) if last > 0 => chain.gaps.push(Gap { first: 1, last }),
            _ => {}
        }
    }

    /// Reads every record once, each from one of its holders in turn: all sites at once, and
    /// several at each, so that the time a site takes to answer passes once for many. What a slow
    /// site owes is asked of others.
    fn prefetch(&self) -> BTreeMap<u64, Record> {
        let mut missing = self.counters();
        let mut found = BTreeMap::new();
        for round in 0..self.sites.len() {
            found.extend(self.prefetch_round(&missing, round));
            missing.retain(|counter| !found.contains_key(counter));
        }
        found
    }

    fn prefetch_round(&self, counters: &BTreeSet<u64>, round: usize) -> Vec<(u64, Record)> {
        let mut jobs: Vec<Vec<u64>> = vec![Vec::new(); self.sites.len()];
        for (turn, counter) in counters.iter().enumerate() {
            let name = ObjectName::Record(self.lineage, *counter);
            let from = holders(self.listings, &name).filter(|at| !self.pace.is_behind(*at));
            let from: Vec<usize> = from.collect();
            if let Some(site) = from.get((turn + round) % from.len().max(1)) {
                jobs[*site].push(*counter);
            }
        }
        let mut race = Race::new(&self.pace, self.pace.hedge.answer);
        for (at, job) in jobs.iter().enumerate() {
            for lane in job.chunks(job.len().div_ceil(LANES).max(LANE_RECORDS_MIN)) {
                let site = Arc::clone(&self.sites[at]);
                let (domain, lineage, lane) =
                    (self.domain.to_owned(), self.lineage, lane.to_owned());
                race.ask_many(at, move |give| {
                    for counter in lane {
                        give(fetch(site.as_ref(), &domain, lineage, counter));
                    }
                });
            }
        }
        let mut read = Vec::with_capacity(counters.len());
        while let Turn::Answer(record) = race.next() {
            read.extend(record);
        }
        read
    }

    /// Judges every site's copy of one record and gives the one to believe: the one linked to, or
    /// (without a link) a signed one.
    fn pick(&self, counter: u64, link: Option<[u8; 32]>, chain: &mut Chain) -> Option<Record> {
        let name = ObjectName::Record(self.lineage, counter);
        let mut signed: Vec<(String, Record)> = Vec::new();
        for (at, copy) in self.copies(&name, counter) {
            match copy {
                Copy::Signed(record) => signed.push((self.sites[at].name().to_owned(), *record)),
                Copy::Bad(problem) => chain.problems.push(problem),
                Copy::Gone => {}
            }
        }
        let chosen = match link {
            Some(hash) => signed.iter().position(|(_, record)| record.hash == hash),
            None => (!signed.is_empty()).then_some(0),
        };
        if let Some((site, first)) = signed.first() {
            let believed = chosen.map_or(first.hash, |at| signed[at].1.hash);
            for (other_site, other) in &signed {
                if other.hash != believed {
                    let detail = format!(
                        "site {other_site} holds record {}, another holds {} (first at {site})",
                        hex(&other.hash[..8]),
                        hex(&believed[..8])
                    );
                    chain.splits.push(Split { counter, detail });
                }
            }
            if chosen.is_none() {
                let detail = format!("site {site} holds a signed record nothing links to");
                chain.splits.push(Split { counter, detail });
            }
        }
        chosen.map(|at| signed.swap_remove(at).1)
    }

    /// The copies of a record, in site order; those of slow sites only if nobody else has one.
    fn copies(&self, name: &ObjectName, counter: u64) -> BTreeMap<usize, Copy> {
        let from: Vec<usize> = holders(self.listings, name).collect();
        let quick = |at: &&usize| !self.pace.is_behind(**at);
        let all = !from.iter().any(|at| quick(&at));
        let mut race = Race::new(&self.pace, self.pace.hedge.answer);
        for at in from.iter().filter(|at| all || quick(at)).copied() {
            let (site, certificate) = (Arc::clone(&self.sites[at]), self.certificate.clone());
            let (key, lineage) = (name.key(self.domain), self.lineage);
            race.ask(at, move || (at, judge(site.as_ref(), key, lineage, counter, &certificate)));
        }
        let mut copies = BTreeMap::new();
        loop {
            match race.next() {
                Turn::Answer((at, copy)) => drop(copies.insert(at, copy)),
                Turn::Over => return copies,
                Turn::Silence => {
                    if copies.values().any(|copy| matches!(copy, Copy::Signed(_))) {
                        return copies;
                    }
                }
            }
        }
    }
}

/// A record of one site, without its body; `None` if it cannot be read.
fn fetch(site: &dyn Site, domain: &str, lineage: Lineage, counter: u64) -> Option<(u64, Record)> {
    let key = ObjectName::Record(lineage, counter).key(domain);
    let mut record = Record::decode(&site.get(&key).ok()?).ok()?;
    record.body = Vec::new();
    Some((counter, record))
}

fn judge(
    site: &dyn Site,
    key: String,
    lineage: Lineage,
    counter: u64,
    certificate: &Certificate,
) -> Copy {
    let bytes = match site.get(&key) {
        Ok(bytes) => bytes,
        Err(error) if error.kind == SiteErrorKind::NotFound => return Copy::Gone,
        Err(error) => {
            let (site, kind, detail) =
                (site.name().to_owned(), ProblemKind::Unreadable, error.detail);
            return Copy::Bad(Problem { site, object: key, kind, detail });
        }
    };
    match judge_record(&bytes, lineage, counter, certificate) {
        Ok(record) => Copy::Signed(Box::new(record)),
        Err((kind, detail)) => {
            Copy::Bad(Problem { site: site.name().to_owned(), object: key, kind, detail })
        }
    }
}

/// The record in `bytes`, if it is the signed record `counter` of `lineage`; else what it is.
pub(crate) fn judge_record(
    bytes: &[u8],
    lineage: Lineage,
    counter: u64,
    certificate: &Certificate,
) -> Result<Record, (ProblemKind, String)> {
    let record = Record::decode(bytes).map_err(|error| match error {
        DecodeError::UnexpectedEnd { .. } => {
            (ProblemKind::Truncated, format!("{} bytes, and more are needed", bytes.len()))
        }
        other => (ProblemKind::Corrupt, other.to_string()),
    })?;
    let header = &record.header;
    if header.lineage != lineage || header.domain != certificate.domain {
        let detail = format!(
            "it is record {} of domain {}, lineage {}",
            header.counter, header.domain, header.lineage
        );
        return Err((ProblemKind::Foreign, detail));
    }
    if !Record::signed_by(bytes, certificate) {
        return Err((ProblemKind::Corrupt, "the writer's signature does not match".to_owned()));
    }
    match header.counter.cmp(&counter) {
        std::cmp::Ordering::Less => {
            Err((ProblemKind::Stale, format!("it is the older record {}", header.counter)))
        }
        std::cmp::Ordering::Greater => {
            Err((ProblemKind::Foreign, format!("it is record {}", header.counter)))
        }
        std::cmp::Ordering::Equal => Ok(record),
    }
}

/// The certificate of a lineage, if any site holds one that the root signed: asked for in the order
/// of the sites, and where one keeps silent of the next as well.
pub(crate) fn find_certificate(
    sites: &Sites,
    domain: &str,
    lineage: Lineage,
    listings: &[Result<Listing, SiteError>],
    trust: &RootPublicKey,
    pace: &Arc<Pace>,
) -> (Option<Certificate>, Vec<Problem>) {
    let name = ObjectName::Certificate(lineage);
    let mut waiting: VecDeque<usize> = holders(listings, &name).collect();
    waiting.make_contiguous().sort_by_key(|at| pace.is_behind(*at));
    let mut race = Race::new(pace, pace.hedge.answer);
    let mut ask_next = |race: &mut Race<_>| {
        if let Some(at) = waiting.pop_front() {
            let (site, domain, trust) = (Arc::clone(&sites[at]), domain.to_owned(), *trust);
            race.ask(at, move || fetch_certificate(site.as_ref(), &domain, lineage, &trust));
        }
    };
    let mut problems = Vec::new();
    ask_next(&mut race);
    loop {
        match race.next() {
            Turn::Answer(Ok(certificate)) => return (Some(certificate), problems),
            Turn::Answer(Err(problem)) => {
                problems.push(problem);
                ask_next(&mut race);
            }
            Turn::Silence => ask_next(&mut race),
            Turn::Over => return (None, problems),
        }
    }
}

fn fetch_certificate(
    site: &dyn Site,
    domain: &str,
    lineage: Lineage,
    trust: &RootPublicKey,
) -> Result<Certificate, Problem> {
    let object = ObjectName::Certificate(lineage).key(domain);
    let judged = match site.get(&object) {
        Ok(bytes) => judge_certificate(&bytes, domain, lineage, trust),
        Err(error) => Err((ProblemKind::Unreadable, error.detail)),
    };
    judged.map_err(|(kind, detail)| Problem { site: site.name().to_owned(), object, kind, detail })
}

/// The certificate in `bytes`, if it is the one of `lineage`; else what it is.
pub(crate) fn judge_certificate(
    bytes: &[u8],
    domain: &str,
    lineage: Lineage,
    trust: &RootPublicKey,
) -> Result<Certificate, (ProblemKind, String)> {
    let certificate = Certificate::from_bytes(bytes).map_err(|error| match error {
        DecodeError::UnexpectedEnd { .. } => (ProblemKind::Truncated, error.to_string()),
        _ => (ProblemKind::Corrupt, error.to_string()),
    })?;
    if certificate.lineage != lineage || certificate.domain != domain {
        let detail = format!(
            "it is the certificate of domain {}, lineage {}",
            certificate.domain, certificate.lineage
        );
        return Err((ProblemKind::Foreign, detail));
    }
    if certificate.verify(trust).is_err() {
        return Err((ProblemKind::Corrupt, format!("not signed by the root key {trust}")));
    }
    Ok(certificate)
}
