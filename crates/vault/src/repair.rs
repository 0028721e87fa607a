//! Repair: mends what verify finds, from ciphertext alone.

use std::collections::BTreeMap;

use crate::catalog::Catalog;
use crate::erasure::encode_shards;
use crate::error::Result;
use crate::fetch::{fetch_pack, fetch_replicated};
use crate::layout::{Lineage, ObjectName};
use crate::outboard::outboard_of;
use crate::proofs::complete_proofs;
use crate::site::{Site, SiteError, SiteErrorKind, put_verified};
use crate::verify::{Audit, Problem, ProblemKind, Verify, verify};

/// What became of one problem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RepairOutcome {
    /// The right object is there, read back and compared.
    Repaired {
        /// Where the bad object was kept, if there was one.
        moved_to: Option<String>,
    },
    /// It is as it was.
    Unrepaired {
        /// Why, and what would help.
        why: String,
    },
}

/// One problem and what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repair {
    /// The problem.
    pub problem: Problem,
    /// What became of it.
    pub outcome: RepairOutcome,
}

impl Repair {
    /// Whether the right object is there now.
    #[must_use]
    pub fn is_repaired(&self) -> bool {
        matches!(self.outcome, RepairOutcome::Repaired { .. })
    }
}

/// Verifies every stored byte and puts right what is damaged or missing: records, certificates and
/// key objects from a good copy, shards from any k others; onto the same site, or onto an empty
/// one that took its place or was added. Needs no key. What nothing refers to is left alone. What
/// audits need beside a shard, and is not there, is made from the shard.
///
/// # Errors
/// As [`verify`]; that a single object cannot be mended is an outcome, not an error.
pub fn repair(catalog: &Catalog) -> Result<Vec<Repair>> {
    let found = verify(catalog, Verify::Ciphertext)?;
    let audit = Audit::new(catalog);
    let mut mender = Mender { catalog, audit, pack: None };
    let damage = found.problems.into_iter().filter(|problem| problem.kind.is_damage());
    // Shards of one pack one after the other: then the pack is read once.
    let mut by_object: BTreeMap<(String, String), Problem> = BTreeMap::new();
    for problem in damage {
        by_object.insert((problem.object.clone(), problem.site.clone()), problem);
    }
    let mend = |problem: Problem| {
        let outcome = match mender.mend(&problem) {
            Ok(moved_to) => RepairOutcome::Repaired { moved_to },
            Err(why) => RepairOutcome::Unrepaired { why },
        };
        Repair { problem, outcome }
    };
    let repairs = by_object.into_values().map(mend).collect();
    complete_proofs(catalog);
    Ok(repairs)
}

/// All shards of a pack.
type ShardSet = ((Lineage, [u8; 32]), Result<Vec<Vec<u8>>, String>);

struct Mender<'a> {
    catalog: &'a Catalog,
    audit: Audit<'a>,
    /// The pack mended last.
    pack: Option<ShardSet>,
}

impl Mender<'_> {
    fn mend(&mut self, problem: &Problem) -> Result<Option<String>, String> {
        if problem.kind == ProblemKind::Forked {
            return Err("it is a signed record of another history; decide which one is right \
                        (it was left untouched)"
                .to_owned());
        }
        let catalog = self.catalog;
        let site = catalog.sites().iter().find(|site| site.name() == problem.site);
        let site = site.ok_or("no good copy is left at any site")?;
        let name = ObjectName::parse(catalog.domain(), &problem.object)
            .ok_or("the site does not answer; bring it back, or give an empty one its place")?;
        let bytes = self.right_bytes(name)?;
        place(site.as_ref(), &problem.object, &bytes, problem.kind)
            .map_err(|error| error.to_string())
    }

    fn right_bytes(&mut self, name: ObjectName) -> Result<Vec<u8>, String> {
        if let Some(hash) = self.audit.replicated_hash(&name) {
            let key = name.key(self.catalog.domain());
            let copy = fetch_replicated(self.catalog.sites(), &key, hash, &self.catalog.pace);
            return copy.found.map(|(_, bytes)| bytes).ok_or_else(|| {
                "no site holds a good copy; look for one on a site that is missing".to_owned()
            });
        }
        if let ObjectName::Proof(lineage, pack, shard) = name {
            let bytes = self.right_bytes(ObjectName::Shard(lineage, pack, shard))?;
            return outboard_of(&bytes).ok_or_else(|| "so short a shard has no proof".to_owned());
        }
        let ObjectName::Shard(lineage, pack, shard) = name else {
            return Err("the catalog does not know it".to_owned());
        };
        let current = self.pack.as_ref().is_some_and(|(at, _)| *at == (lineage, pack));
        if !current {
            self.pack = Some(((lineage, pack), self.shards(lineage, &pack)));
        }
        let shards = match &self.pack {
            Some((_, Ok(shards))) => shards,
            Some((_, Err(why))) => return Err(why.clone()),
            None => return Err("the pack was not read".to_owned()),
        };
        let root = self.audit.pack(lineage, &pack).map(|(object, _)| &object.shard_roots);
        let root = root.and_then(|roots| roots.get(shard));
        let right = shards.get(shard).filter(|right| root == Some(blake3::hash(right).as_bytes()));
        right.cloned().ok_or_else(|| "the shard made anew has not the signed root".to_owned())
    }

    fn shards(&self, lineage: Lineage, pack: &[u8; 32]) -> Result<Vec<Vec<u8>>, String> {
        let (object, k) =
            self.audit.pack(lineage, pack).ok_or("the catalog does not know the pack")?;
        let fetched = fetch_pack(self.catalog, lineage, object, k);
        let bytes = fetched.pack.map_err(|error| error.to_string())?;
        encode_shards(&bytes, k).map_err(|error| error.to_string())
    }
}

/// Puts the right bytes, after moving wrong ones aside.
fn place(
    site: &dyn Site,
    key: &str,
    bytes: &[u8],
    kind: ProblemKind,
) -> Result<Option<String>, SiteError> {
    if kind == ProblemKind::Missing {
        match put_verified(site, key, bytes) {
            Err(error) if error.kind == SiteErrorKind::Exists => {}
            other => return other.map(|()| None),
        }
    }
    let moved_to = site.quarantine(key)?;
    put_verified(site, key, bytes)?;
    Ok(Some(moved_to))
}
