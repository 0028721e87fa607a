//! Retention: which objects are no longer needed. Planning only; nothing here deletes but
//! [`prune_demo`], and that only through janitors.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::catalog::Catalog;
use crate::layout::{Lineage, ObjectName};
use crate::record::{Kind, Record};
use crate::site::{Janitor, SiteError};

/// What to keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// Plan deletions, least needed first, until all sites together hold no more than this.
    pub bytes_max: u64,
}

/// Why an object is no longer needed: it is one of these, or only these needed it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// A tail or heartbeat from before the newest self-contained point, which covers it.
    Covered,
    /// A recovery point from before the newest self-contained point.
    OldPoint,
}

/// One object that could go, at every site that lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deletion {
    /// The object.
    pub object: String,
    /// Why.
    pub reason: Reason,
    /// Bytes freed, all sites together.
    pub bytes: u64,
}

/// Deletions in the order in which they would be made, and what they free.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// The deletions.
    pub deletions: Vec<Deletion>,
    /// Bytes held now, all sites together.
    pub bytes_before: u64,
    /// Bytes held after all deletions.
    pub bytes_after: u64,
}

/// Plans what could be deleted. In every lineage the newest self-contained point that can still
/// lose a site, and everything after it, stay, with all they need; a lineage without one stays
/// whole, and so does one that stands beside the main line: nothing of it is made anew.
#[must_use]
pub fn plan_retention(catalog: &Catalog, policy: Policy) -> Plan {
    let objects = |listing: &crate::chain::Listing| listing.objects.values().sum::<u64>();
    let held: u64 = catalog.listings.iter().flatten().map(objects).sum();
    let mut plan = Plan { deletions: Vec::new(), bytes_before: held, bytes_after: held };
    let mut steps: Vec<(Reason, u64, Vec<ObjectName>)> = Vec::new();
    for lineage in catalog.lineages.keys().filter(|one| one.kind_beside().is_none()) {
        steps.extend(lineage_steps(catalog, *lineage));
    }
    steps.sort_by_key(|(reason, time_ns, _)| (*reason, *time_ns));
    let mut gone = BTreeSet::new();
    for (reason, _, names) in steps {
        if plan.bytes_after <= policy.bytes_max {
            break;
        }
        for name in names {
            let sizes = catalog.listings.iter().flatten();
            let bytes: u64 = sizes.filter_map(|listing| listing.objects.get(&name)).sum();
            if bytes > 0 && gone.insert(name) {
                plan.bytes_after -= bytes.min(plan.bytes_after);
                let object = name.key(catalog.domain());
                plan.deletions.push(Deletion { object, reason, bytes });
            }
        }
    }
    plan
}

/// What a lineage could lose, in steps: a record, then what only records already gone needed.
fn lineage_steps(catalog: &Catalog, lineage: Lineage) -> Vec<(Reason, u64, Vec<ObjectName>)> {
    let full = |record: &&Record| is_safe(catalog, record);
    let Some(newest) = catalog.records(lineage).rev().find(full) else {
        return Vec::new();
    };
    let Kind::Point { position, .. } = newest.header.kind else {
        return Vec::new();
    };
    let (mut old, mut kept): (Vec<&Record>, Vec<&Record>) = (Vec::new(), Vec::new());
    for record in catalog.records(lineage) {
        let before = record.header.counter < newest.header.counter;
        let covered = match record.header.kind {
            Kind::Tail { last, .. } => last <= position,
            Kind::Heartbeat { .. } | Kind::Point { .. } => true,
        };
        if before && covered {
            old.push(record);
        } else {
            kept.push(record);
        }
    }
    // Covered records go before points, whatever their age.
    old.sort_by_key(|record| (reason_of(record), record.header.counter));
    let mut users: BTreeMap<ObjectName, u64> = BTreeMap::new();
    for name in old.iter().chain(&kept).flat_map(|record| needs(record)) {
        *users.entry(name).or_default() += 1;
    }
    let mut steps = Vec::with_capacity(old.len());
    for record in old {
        let mut names = vec![ObjectName::Record(lineage, record.header.counter)];
        for name in needs(record) {
            if let Some(left) = users.get_mut(&name) {
                *left -= 1;
                if *left == 0 {
                    names.push(name);
                }
            }
        }
        steps.push((reason_of(record), record.header.time_ns, names));
    }
    steps
}

/// Whether what this point covers may go: it needs nothing earlier, and is not itself about to be
/// lost, so that nobody will need what went to rebuild it.
pub(crate) fn is_safe(catalog: &Catalog, record: &Record) -> bool {
    let layout = record.header.layout;
    let least = i64::from(layout.n() > layout.k());
    let point = catalog.point_info(record);
    point.is_some_and(|point| point.self_contained && point.margin >= least)
}

fn reason_of(record: &Record) -> Reason {
    match record.header.kind {
        Kind::Point { .. } => Reason::OldPoint,
        Kind::Tail { .. } | Kind::Heartbeat { .. } => Reason::Covered,
    }
}

/// Everything a record refers to.
pub(crate) fn needs(record: &Record) -> Vec<ObjectName> {
    let lineage = record.header.lineage;
    let periods = record.header.periods.iter();
    let periods = periods.map(|period| ObjectName::Period(lineage, period.number));
    let shards = record.header.objects.iter().flat_map(|object| {
        let all = 0..object.shard_roots.len();
        let pack = object.pack;
        all.flat_map(move |shard| {
            [ObjectName::Shard(lineage, pack, shard), ObjectName::Proof(lineage, pack, shard)]
        })
    });
    periods.chain(shards).collect()
}

/// Carries a plan out, only for capping the demonstration's disk use: a real domain deletes by
/// quorum-signed grant and with a delay. Gives the errors; what failed can be tried again.
pub fn prune_demo(janitors: &[Arc<dyn Janitor>], plan: &Plan) -> Vec<SiteError> {
    let mut errors = Vec::new();
    for janitor in janitors {
        for deletion in &plan.deletions {
            if let Err(error) = janitor.delete(&deletion.object) {
                errors.push(error);
            }
        }
    }
    errors
}
