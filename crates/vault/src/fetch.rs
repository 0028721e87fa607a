//! Fetching objects from whichever sites have them right, verified before use.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::sync::Arc;

use crate::catalog::Catalog;
use crate::chain::holders;
use crate::erasure::decode_shards;
use crate::error::{Error, Result};
use crate::hedge::{Pace, Race, Turn};
use crate::layout::{Lineage, ObjectName, hex};
use crate::record::{ObjectRef, Record};
use crate::site::{Site, SiteErrorKind, Sites};
use crate::verify::{EVERY_SITE, Problem, ProblemKind};

/// A replicated object, and the sites that did not have it right.
pub(crate) struct FetchedCopy {
    pub(crate) found: Option<(usize, Vec<u8>)>,
    pub(crate) problems: Vec<Problem>,
}

/// The first copy with the right hash, asked for in the order of the sites; where one keeps
/// silent the next is asked as well.
pub(crate) fn fetch_replicated(
    sites: &Sites,
    key: &str,
    hash: [u8; 32],
    pace: &Arc<Pace>,
) -> FetchedCopy {
    let mut waiting: VecDeque<usize> = (0..sites.len()).collect();
    waiting.make_contiguous().sort_by_key(|at| pace.is_behind(*at));
    let mut race = Race::new(pace, pace.hedge.answer);
    let mut problems = Vec::new();
    let mut ask_next = |race: &mut Race<_>| {
        if let Some(at) = waiting.pop_front() {
            let (site, key) = (Arc::clone(&sites[at]), key.to_owned());
            race.ask(at, move || (at, fetch_copy(site.as_ref(), &key, hash)));
        }
    };
    ask_next(&mut race);
    loop {
        match race.next() {
            Turn::Answer((at, Ok(bytes))) => {
                return FetchedCopy { found: Some((at, bytes)), problems };
            }
            Turn::Answer((_, Err(problem))) => {
                problems.push(problem);
                ask_next(&mut race);
            }
            Turn::Silence => ask_next(&mut race),
            Turn::Over => return FetchedCopy { found: None, problems },
        }
    }
}

/// One site's copy, if it has the right hash.
pub(crate) fn fetch_copy(site: &dyn Site, key: &str, hash: [u8; 32]) -> Result<Vec<u8>, Problem> {
    let (kind, detail) = match site.get(key) {
        Ok(bytes) if *blake3::hash(&bytes).as_bytes() == hash => return Ok(bytes),
        Ok(_) => (ProblemKind::Corrupt, "its hash is not the signed one".to_owned()),
        Err(error) => (unreadable(error.kind), error.detail),
    };
    Err(Problem { site: site.name().to_owned(), object: key.to_owned(), kind, detail })
}

fn unreadable(kind: SiteErrorKind) -> ProblemKind {
    match kind {
        SiteErrorKind::NotFound => ProblemKind::Missing,
        _ => ProblemKind::Unreadable,
    }
}

/// A pack, and what was read and met on the way.
pub(crate) struct FetchedPack {
    pub(crate) pack: Result<Vec<u8>>,
    pub(crate) sites_used: Vec<String>,
    pub(crate) problems: Vec<Problem>,
    pub(crate) bytes_read: u64,
}

/// Reads shards until k are good (data shards first: then nothing has to be decoded), verifying
/// each against the signed roots. Where nobody answers for a while, one more is asked; sites that
/// kept somebody waiting are asked last.
pub(crate) fn fetch_pack(
    catalog: &Catalog,
    lineage: Lineage,
    object: &ObjectRef,
    k: usize,
) -> FetchedPack {
    let mut good: BTreeMap<usize, Vec<u8>> = BTreeMap::new();
    let mut fetched = FetchedPack {
        pack: Ok(Vec::new()),
        sites_used: Vec::new(),
        problems: Vec::new(),
        bytes_read: 0,
    };
    let mut waiting: VecDeque<ShardSearch> = (0..object.shard_roots.len())
        .map(|shard| ShardSearch::new(catalog, lineage, object, shard))
        .collect();
    waiting.make_contiguous().sort_by_key(|search| search.is_behind(&catalog.pace));
    let mut race = Race::new(&catalog.pace, catalog.pace.hedge.answer);
    let mut ask_next = |race: &mut Race<_>| {
        if let Some(search) = waiting.pop_front() {
            race.ask(search.first_site(), move || (search.shard, search.run()));
        }
    };
    (0..k).for_each(|_| ask_next(&mut race));
    while good.len() < k {
        match race.next() {
            Turn::Answer((shard, answer)) => {
                fetched.problems.extend(answer.problems);
                if let Some((at, bytes)) = answer.found {
                    fetched.bytes_read += bytes.len() as u64;
                    fetched.sites_used.push(catalog.sites()[at].name().to_owned());
                    good.insert(shard, bytes);
                } else {
                    ask_next(&mut race);
                }
            }
            Turn::Silence => ask_next(&mut race),
            Turn::Over => break,
        }
    }
    fetched.pack = assemble(catalog, lineage, object, k, &good, &fetched.problems);
    fetched
}

/// Looks for one shard: at the site of its number, else (sites may be in another order) wherever
/// it is listed. Shards beyond the number of sites are only looked for where they are listed.
pub(crate) struct ShardSearch {
    pub(crate) shard: usize,
    key: String,
    root: [u8; 32],
    candidates: Vec<(usize, Arc<dyn Site>)>,
}

impl ShardSearch {
    pub(crate) fn new(
        catalog: &Catalog,
        lineage: Lineage,
        object: &ObjectRef,
        shard: usize,
    ) -> Self {
        let sites = catalog.sites();
        let name = ObjectName::Shard(lineage, object.pack, shard);
        let listed = holders(&catalog.listings, &name).filter(|at| *at != shard);
        let own = (shard < sites.len()).then_some(shard);
        let candidates = own.into_iter().chain(listed).map(|at| (at, Arc::clone(&sites[at])));
        Self {
            shard,
            key: name.key(catalog.domain()),
            root: object.shard_roots[shard],
            candidates: candidates.collect(),
        }
    }

    /// The site that is asked first.
    pub(crate) fn first_site(&self) -> usize {
        self.candidates.first().map_or(usize::MAX, |(at, _)| *at)
    }

    /// Whether any site is known that may have it.
    pub(crate) fn is_anywhere(&self) -> bool {
        !self.candidates.is_empty()
    }

    pub(crate) fn is_behind(&self, pace: &Pace) -> bool {
        self.candidates.first().is_some_and(|(at, _)| pace.is_behind(*at))
    }

    /// A range of it, from the first site that gives as many bytes: nothing else is compared.
    pub(crate) fn run_part(
        &self,
        within: &Range<u64>,
    ) -> std::result::Result<(usize, Vec<u8>), Vec<Problem>> {
        let mut problems = Vec::new();
        let length_bytes = within.end - within.start;
        for (at, site) in &self.candidates {
            let (kind, detail) = match site.get_range(&self.key, within.start, length_bytes) {
                Ok(bytes) if bytes.len() as u64 == length_bytes => return Ok((*at, bytes)),
                Ok(_) => (ProblemKind::Corrupt, "it is shorter than signed".to_owned()),
                Err(error) => (unreadable(error.kind), error.detail),
            };
            let (site, object) = (site.name().to_owned(), self.key.clone());
            problems.push(Problem { site, object, kind, detail });
        }
        Err(problems)
    }

    fn run(&self) -> FetchedCopy {
        let mut problems = Vec::new();
        for (at, site) in &self.candidates {
            match fetch_copy(site.as_ref(), &self.key, self.root) {
                Ok(bytes) => return FetchedCopy { found: Some((*at, bytes)), problems },
                Err(problem) => problems.push(problem),
            }
        }
        FetchedCopy { found: None, problems }
    }
}

fn assemble(
    catalog: &Catalog,
    lineage: Lineage,
    object: &ObjectRef,
    k: usize,
    good: &BTreeMap<usize, Vec<u8>>,
    problems: &[Problem],
) -> Result<Vec<u8>> {
    if good.len() < k {
        let needs =
            |record: &&Record| record.header.objects.iter().any(|other| other.pack == object.pack);
        return Err(Error::NotEnoughSites {
            what: format!("reading pack {}", hex(&object.pack)),
            needed: k,
            found: good.len(),
            sites: problems.iter().map(|one| format!("{} ({})", one.site, one.kind)).collect(),
            points: catalog
                .records(lineage)
                .filter(needs)
                .filter_map(|record| record.header.point_id())
                .collect(),
        });
    }
    let shards: Vec<(usize, &[u8])> =
        good.iter().map(|(shard, bytes)| (*shard, bytes.as_slice())).collect();
    let length = usize::try_from(object.length_bytes).unwrap_or(usize::MAX);
    let pack = decode_shards(&shards, k, length)?;
    if *blake3::hash(&pack).as_bytes() == object.pack {
        return Ok(pack);
    }
    Err(pack_integrity(object, "verified shards do not give the named pack"))
}

/// A pack whose bytes are not what signed records say.
pub(crate) fn pack_integrity(object: &ObjectRef, detail: &str) -> Error {
    Error::integrity(format!("pack {}", hex(&object.pack)), EVERY_SITE, detail)
}
