//! Reading a lineage's chain back from sites of which some may be gone, lying or behind.

use std::collections::{BTreeMap, BTreeSet};

use evenkeel_types::{Canonical, DecodeError};

use crate::certificate::{Certificate, RootPublicKey};
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

/// Lists what has names that begin with `prefix` at every site.
pub(crate) fn list_under(
    sites: &Sites,
    domain: &str,
    prefix: &str,
) -> Vec<Result<Listing, SiteError>> {
    each_site(sites, |_, site| {
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
    })
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
        Self { sites, domain, lineage, certificate, listings }
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
    /// several at each, so that the time a site takes to answer passes once for many.
    fn prefetch(&self) -> BTreeMap<u64, Record> {
        let mut jobs: Vec<Vec<u64>> = vec![Vec::new(); self.sites.len()];
        for (turn, counter) in self.counters().into_iter().enumerate() {
            let name = ObjectName::Record(self.lineage, counter);
            let from: Vec<usize> = holders(self.listings, &name).collect();
            if let Some(site) = from.get(turn % from.len().max(1)) {
                jobs[*site].push(counter);
            }
        }
        let read = each_site(self.sites, |at, site| {
            let lane = jobs[at].len().div_ceil(LANES).max(LANE_RECORDS_MIN);
            std::thread::scope(|scope| {
                let lanes: Vec<_> = jobs[at]
                    .chunks(lane)
                    .map(|counters| scope.spawn(|| self.fetch(site, counters)))
                    .collect();
                let join = |lane: std::thread::ScopedJoinHandle<'_, Vec<(u64, Record)>>| {
                    lane.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
                };
                lanes.into_iter().flat_map(join).collect::<Vec<_>>()
            })
        });
        read.into_iter().flatten().collect()
    }

    /// Records of one site, without bodies; what cannot be read is left out.
    fn fetch(&self, site: &dyn Site, counters: &[u64]) -> Vec<(u64, Record)> {
        let records = counters.iter().filter_map(|counter| {
            let key = ObjectName::Record(self.lineage, *counter).key(self.domain);
            let mut record = Record::decode(&site.get(&key).ok()?).ok()?;
            record.body = Vec::new();
            Some((*counter, record))
        });
        records.collect()
    }

    /// Judges every site's copy of one record and gives the one to believe: the one linked to, or
    /// (without a link) a signed one.
    fn pick(&self, counter: u64, link: Option<[u8; 32]>, chain: &mut Chain) -> Option<Record> {
        let name = ObjectName::Record(self.lineage, counter);
        let from: Vec<usize> = holders(self.listings, &name).collect();
        let mut signed: Vec<(String, Record)> = Vec::new();
        for at in from {
            let site = self.sites[at].as_ref();
            match self.judge(site, counter) {
                Copy::Signed(record) => signed.push((site.name().to_owned(), *record)),
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

    fn judge(&self, site: &dyn Site, counter: u64) -> Copy {
        let key = ObjectName::Record(self.lineage, counter).key(self.domain);
        let problem = |kind, detail| {
            let (site, object) = (site.name().to_owned(), key.clone());
            Copy::Bad(Problem { site, object, kind, detail })
        };
        let bytes = match site.get(&key) {
            Ok(bytes) => bytes,
            Err(error) if error.kind == SiteErrorKind::NotFound => return Copy::Gone,
            Err(error) => return problem(ProblemKind::Unreadable, error.detail),
        };
        match judge_record(&bytes, self.lineage, counter, self.certificate) {
            Ok(record) => Copy::Signed(Box::new(record)),
            Err((kind, detail)) => problem(kind, detail),
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

/// The certificate of a lineage, if any site holds one that the root signed.
pub(crate) fn find_certificate(
    sites: &Sites,
    domain: &str,
    lineage: Lineage,
    listings: &[Result<Listing, SiteError>],
    trust: &RootPublicKey,
) -> (Option<Certificate>, Vec<Problem>) {
    let name = ObjectName::Certificate(lineage);
    let key = name.key(domain);
    let mut problems = Vec::new();
    for at in holders(listings, &name) {
        let site = sites[at].as_ref();
        let judged = match site.get(&key) {
            Ok(bytes) => judge_certificate(&bytes, domain, lineage, trust),
            Err(error) => Err((ProblemKind::Unreadable, error.detail)),
        };
        match judged {
            Ok(certificate) => return (Some(certificate), problems),
            Err((kind, detail)) => problems.push(Problem {
                site: site.name().to_owned(),
                object: key.clone(),
                kind,
                detail,
            }),
        }
    }
    (None, problems)
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
