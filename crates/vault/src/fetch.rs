//! Fetching objects from whichever sites have them right, verified before use.

use std::collections::BTreeMap;

use crate::catalog::Catalog;
use crate::chain::holders;
use crate::erasure::decode_shards;
use crate::error::{Error, Result};
use crate::layout::{Lineage, ObjectName, hex};
use crate::record::{ObjectRef, Record};
use crate::site::{SiteErrorKind, Sites};
use crate::verify::{EVERY_SITE, Problem, ProblemKind};

/// A replicated object, and the sites that did not have it right.
pub(crate) struct FetchedCopy {
    pub(crate) found: Option<(usize, Vec<u8>)>,
    pub(crate) problems: Vec<Problem>,
}

/// The first copy with the right hash.
pub(crate) fn fetch_replicated(sites: &Sites, key: &str, hash: [u8; 32]) -> FetchedCopy {
    let mut problems = Vec::new();
    for (at, site) in sites.iter().enumerate() {
        let problem = match site.get(key) {
            Ok(bytes) if *blake3::hash(&bytes).as_bytes() == hash => {
                return FetchedCopy { found: Some((at, bytes)), problems };
            }
            Ok(_) => (ProblemKind::Corrupt, "its hash is not the signed one".to_owned()),
            Err(error) => (unreadable(error.kind), error.detail),
        };
        let (kind, detail) = problem;
        let (site, object) = (site.name().to_owned(), key.to_owned());
        problems.push(Problem { site, object, kind, detail });
    }
    FetchedCopy { found: None, problems }
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
/// each against the signed roots.
pub(crate) fn fetch_pack(
    catalog: &Catalog,
    lineage: Lineage,
    object: &ObjectRef,
    k: usize,
) -> FetchedPack {
    let sites = catalog.sites();
    let mut good: BTreeMap<usize, Vec<u8>> = BTreeMap::new();
    let mut fetched = FetchedPack {
        pack: Ok(Vec::new()),
        sites_used: Vec::new(),
        problems: Vec::new(),
        bytes_read: 0,
    };
    let mut next = 0;
    while good.len() < k && next < object.shard_roots.len() {
        let wave: Vec<usize> = (next..object.shard_roots.len()).take(k - good.len()).collect();
        next += wave.len();
        let answers = std::thread::scope(|scope| {
            let handles: Vec<_> = wave
                .iter()
                .map(|shard| scope.spawn(|| find_shard(catalog, lineage, object, *shard)))
                .collect();
            handles.into_iter().map(join).collect::<Vec<_>>()
        });
        for (shard, answer) in wave.into_iter().zip(answers) {
            fetched.problems.extend(answer.problems);
            if let Some((at, bytes)) = answer.found {
                fetched.bytes_read += bytes.len() as u64;
                fetched.sites_used.push(sites[at].name().to_owned());
                good.insert(shard, bytes);
            }
        }
    }
    fetched.pack = assemble(catalog, lineage, object, k, &good, &fetched.problems);
    fetched
}

fn join<T>(handle: std::thread::ScopedJoinHandle<'_, T>) -> T {
    match handle.join() {
        Ok(answer) => answer,
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

/// One shard: at the site of its number, else (sites may be in another order) wherever it is
/// listed. Shards beyond the number of sites are only looked for where they are listed.
fn find_shard(
    catalog: &Catalog,
    lineage: Lineage,
    object: &ObjectRef,
    shard: usize,
) -> FetchedCopy {
    let sites = catalog.sites();
    let name = ObjectName::Shard(lineage, object.pack, shard);
    let key = name.key(catalog.domain());
    let listed = holders(&catalog.listings, &name).filter(|at| *at != shard);
    let own = (shard < sites.len()).then_some(shard);
    let mut problems = Vec::new();
    for at in own.into_iter().chain(listed) {
        let one = fetch_replicated(&sites[at..=at], &key, object.shard_roots[shard]);
        if let Some((_, bytes)) = one.found {
            return FetchedCopy { found: Some((at, bytes)), problems };
        }
        problems.extend(one.problems);
    }
    FetchedCopy { found: None, problems }
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
