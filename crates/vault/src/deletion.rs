//! Deleting what is no longer needed: planned by anyone, carried out only by a grant.
//!
//! Two phases, no locks. A plan in force marks what it names: writers look at it before they seal
//! a point and before they sign one, and their records say so. Only when the newest record of a
//! lineage does, the plan may be executed: whatever could refer to a named pack is then in the
//! chain, and is looked at once more. No clock decides that; the delay is for people.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use thiserror::Error as ThisError;

use crate::approval::{ApprovalRule, Approver, Standing};
use crate::catalog::Catalog;
use crate::grant::{DeletionPlan, PlanEntry, PlanId};
use crate::layout::{Lineage, ObjectName};
use crate::marks::{DELETION_ROOT, Grant};
use crate::record::{Kind, Record};
use crate::retention::{is_safe, needs};
use crate::site::{Janitor, SiteError, put_verified};

const DAY_NS: u64 = 86_400_000_000_000;

/// What to keep. In every lineage the newest self-contained point that can still lose a site, and
/// everything after it, stay in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keep {
    /// The newest points, so many.
    pub points: usize,
    /// The last point of each of the last days (UTC) that have one, so many.
    pub daily: usize,
    /// Tails younger than this, counted from the newest record, by the writer's clock.
    pub tails_ns: u64,
}

/// What could go.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Removable {
    /// The objects, by name.
    pub entries: Vec<PlanEntry>,
    /// Recovery points among them.
    pub points: usize,
    /// Points that stay.
    pub points_kept: usize,
    /// Points among these that the policy does not keep: no later one is self-contained, so that
    /// what they brought is still needed.
    pub points_bound: usize,
    /// Bytes freed, all sites together.
    pub bytes: u64,
    /// Bytes held now, all sites together.
    pub bytes_held: u64,
}

/// Plans what could go. It needs memory for the names of everything the catalog holds, as the
/// catalog itself does: some 300 bytes for each pack, none for what is in it.
#[must_use]
pub fn plan_deletion(catalog: &Catalog, keep: &Keep) -> Removable {
    let held = |listing: &crate::chain::Listing| listing.objects.values().sum::<u64>();
    let mut found = Removable {
        bytes_held: catalog.listings.iter().flatten().map(held).sum(),
        ..Removable::default()
    };
    for lineage in catalog.lineages.keys() {
        let gone = removable_records(catalog, *lineage, keep);
        let kept = kept_points(catalog.records(*lineage), keep);
        found.points += gone.iter().filter(|record| record.header.point_id().is_some()).count();
        let points = catalog.records(*lineage).filter(|one| one.header.point_id().is_some());
        found.points_kept += points.count();
        let counters: BTreeSet<u64> = gone.iter().map(|record| record.header.counter).collect();
        let stays: Vec<&Record> = catalog
            .records(*lineage)
            .filter(|record| !counters.contains(&record.header.counter))
            .collect();
        found.points_bound += bound_points(catalog, &stays, &kept);
        let needed: BTreeSet<ObjectName> = stays.iter().flat_map(|record| needs(record)).collect();
        let mut names: BTreeMap<ObjectName, Option<[u8; 32]>> = BTreeMap::new();
        for record in gone {
            let name = ObjectName::Record(*lineage, record.header.counter);
            names.insert(name, Some(record.hash));
            names.extend(hashes(record).filter(|(name, _)| !needed.contains(name)));
        }
        names.extend(wraps_of(catalog, &names));
        for (name, hash) in names {
            let sizes = catalog.listings.iter().flatten();
            let sizes = sizes.filter_map(|listing| listing.objects.get(&name));
            let (bytes, most) = sizes.fold((0, 0), |(sum, most), one| (sum + one, *one.max(&most)));
            if bytes > 0 {
                found.bytes += bytes;
                let object = name.key(catalog.domain());
                found.entries.push(PlanEntry { object, length_bytes: most, hash });
            }
        }
    }
    found.points_kept -= found.points;
    found.entries.sort_by(|one, other| one.object.cmp(&other.object));
    found
}

/// What the sites list of keys wrapped anew for periods that go; their names are their hashes.
fn wraps_of(
    catalog: &Catalog,
    gone: &BTreeMap<ObjectName, Option<[u8; 32]>>,
) -> Vec<(ObjectName, Option<[u8; 32]>)> {
    let listed = catalog.listings.iter().flatten().flat_map(|listing| listing.objects.keys());
    let found: BTreeSet<ObjectName> = listed.copied().collect();
    let wraps = found.into_iter().filter_map(|name| match name {
        ObjectName::Wrap(lineage, number, hash)
            if gone.contains_key(&ObjectName::Period(lineage, number)) =>
        {
            Some((name, Some(hash)))
        }
        _ => None,
    });
    wraps.collect()
}

/// What a record needs, with the hashes it gives.
fn hashes(record: &Record) -> impl Iterator<Item = (ObjectName, Option<[u8; 32]>)> + '_ {
    let hash = |name: &ObjectName| match name {
        ObjectName::Period(_, number) => {
            let period = record.header.periods.iter().find(|one| one.number == *number)?;
            Some(period.hash)
        }
        ObjectName::Shard(_, pack, shard) => {
            let object = record.header.objects.iter().find(|one| one.pack == *pack)?;
            object.shard_roots.get(*shard).copied()
        }
        _ => None,
    };
    needs(record).into_iter().map(move |name| (name, hash(&name)))
}

/// Of what stays, the points that the policy does not keep, but for the one that all need.
fn bound_points(catalog: &Catalog, stays: &[&Record], kept: &BTreeSet<u64>) -> usize {
    let safe = stays.iter().rev().find(|record| is_safe(catalog, record));
    let safe = safe.map(|record| record.header.counter);
    let points = stays.iter().filter(|record| record.header.point_id().is_some());
    let counters = points.map(|record| record.header.counter);
    counters.filter(|counter| !kept.contains(counter) && Some(*counter) != safe).count()
}

fn removable_records<'a>(catalog: &'a Catalog, lineage: Lineage, keep: &Keep) -> Vec<&'a Record> {
    let Some(newest) = catalog.records(lineage).rev().find(|one| is_safe(catalog, one)) else {
        return Vec::new();
    };
    let Kind::Point { position, .. } = newest.header.kind else {
        return Vec::new();
    };
    let head_ns = catalog.records(lineage).next_back().map_or(0, |head| head.header.time_ns);
    let kept = kept_points(catalog.records(lineage), keep);
    let may_go = |record: &&Record| {
        let header = &record.header;
        header.counter < newest.header.counter
            && match header.kind {
                Kind::Point { .. } => !kept.contains(&header.counter),
                Kind::Tail { last, .. } => {
                    last <= position && header.time_ns.saturating_add(keep.tails_ns) <= head_ns
                }
                Kind::Heartbeat { .. } => true,
            }
    };
    catalog.records(lineage).filter(may_go).collect()
}

fn kept_points<'a>(
    records: impl DoubleEndedIterator<Item = &'a Record>,
    keep: &Keep,
) -> BTreeSet<u64> {
    let (mut kept, mut days) = (BTreeSet::new(), BTreeSet::new());
    let points = records.filter(|record| record.header.point_id().is_some());
    for (at, point) in points.rev().enumerate() {
        let newest_of_day = days.len() < keep.daily && days.insert(point.header.time_ns / DAY_NS);
        if at < keep.points || newest_of_day {
            kept.insert(point.header.counter);
        }
    }
    kept
}

/// What would be there later, if points go on as they came and retention runs once a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Forecast {
    /// Days from now.
    pub days: u64,
    /// Points there then.
    pub points: u64,
    /// Bytes of packs there then, all sites together, each point counted with what it brought.
    pub bytes: u64,
}

/// Simulates retention for some days: the mean interval and the mean new bytes of the points
/// there are now go on. `None` with fewer than two points in the newest lineage.
#[must_use]
pub fn forecast(catalog: &Catalog, keep: &Keep, days: u64) -> Option<Forecast> {
    let lineage = catalog.current_lineage()?;
    let points = || catalog.records(lineage).filter(|one| one.header.point_id().is_some());
    let (first, last) = (points().next()?, points().next_back()?);
    let count = points().count() as u64;
    let span_ns = last.header.time_ns.checked_sub(first.header.time_ns)?;
    let interval_ns = (span_ns / count.checked_sub(1).filter(|gaps| *gaps > 0)?).max(1);
    let mut seen = BTreeSet::new();
    let mut brought = 0_u64;
    for object in points().flat_map(|point| &point.header.objects) {
        if seen.insert(object.pack) {
            brought += object.length_bytes;
        }
    }
    let layout = last.header.layout;
    let each = brought / count * layout.n() as u64 / layout.k() as u64;
    let end_ns = last.header.time_ns.saturating_add(days.saturating_mul(DAY_NS));
    let newest = (end_ns - last.header.time_ns) / interval_ns + count;
    // Those kept by number, and of the days before them one each.
    let by_number = newest.min(keep.points as u64);
    let oldest_ns = end_ns.saturating_sub(by_number.saturating_mul(interval_ns));
    let begun_ns = first.header.time_ns;
    let days_before = (oldest_ns / DAY_NS).saturating_sub(begun_ns / DAY_NS);
    let days_covered = end_ns / DAY_NS - oldest_ns / DAY_NS;
    let daily = (keep.daily as u64).saturating_sub(days_covered + 1).min(days_before);
    let kept = (by_number + daily).max(1).min(newest);
    Some(Forecast { days, points: kept, bytes: kept.saturating_mul(each) })
}

/// Why a plan is not executed. Nothing was deleted.
#[derive(Debug, Clone, PartialEq, Eq, ThisError)]
pub enum DeletionRefused {
    /// Too few approvers have signed it.
    #[error("plan {plan}: {approvals} of {needed} approvals; nothing was deleted")]
    NotApproved {
        /// The plan.
        plan: PlanId,
        /// How many have.
        approvals: usize,
        /// How many are needed.
        needed: usize,
    },
    /// The delay is not over.
    #[error("plan {plan}: its delay is not over; nothing was deleted, and it can be cancelled")]
    TooEarly {
        /// The plan.
        plan: PlanId,
        /// From when on, nanoseconds since 1970 UTC.
        from_ns: u64,
    },
    /// An approver objected.
    #[error("plan {plan} was cancelled by approver {by}; nothing was deleted")]
    Cancelled {
        /// The plan.
        plan: PlanId,
        /// Who.
        by: Approver,
    },
    /// It was executed before.
    #[error("plan {plan} was executed before, and is used up; nothing was deleted; propose anew")]
    Used {
        /// The plan.
        plan: PlanId,
    },
    /// It is of another domain.
    #[error("plan {plan} is of domain {domain}; nothing was deleted")]
    OtherDomain {
        /// The plan.
        plan: PlanId,
        /// Its domain.
        domain: String,
    },
    /// Too few sites answered to be sure that no record was missed.
    #[error(
        "plan {plan}: {found} sites answered, and {needed} have to, so that no newer record is \
         missed; nothing was deleted; bring the others back"
    )]
    Unseen {
        /// The plan.
        plan: PlanId,
        /// Sites that answered.
        found: usize,
        /// Sites that have to.
        needed: usize,
    },
    /// Something that stays needs an object that the plan names.
    #[error(
        "plan {plan} names what is needed: {}; nothing was deleted; propose anew",
        .needed.join("; ")
    )]
    Needed {
        /// The plan.
        plan: PlanId,
        /// What, and by whom; the first ten.
        needed: Vec<String>,
    },
    /// A writer has not said yet that it does without.
    #[error(
        "plan {plan}: the writer of lineage {lineage} has not signed since the plan is in force \
         that it does without; nothing was deleted; its next recovery point does"
    )]
    NotSeen {
        /// The plan.
        plan: PlanId,
        /// The lineage.
        lineage: Lineage,
    },
}

/// Checks everything that an execution depends on, against a catalog loaded just now.
///
/// # Errors
/// [`DeletionRefused`].
pub fn check_execution(
    catalog: &Catalog,
    grant: &Grant,
    rule: &ApprovalRule,
    now_ns: u64,
) -> Result<(), DeletionRefused> {
    let plan = grant.id;
    if grant.plan.domain != catalog.domain() {
        return Err(DeletionRefused::OtherDomain { plan, domain: grant.plan.domain.clone() });
    }
    if grant.executed {
        return Err(DeletionRefused::Used { plan });
    }
    match grant.standing(rule, now_ns) {
        Standing::Valid { .. } => {}
        Standing::Cancelled { by } => return Err(DeletionRefused::Cancelled { plan, by }),
        Standing::Delayed { from_ns } => return Err(DeletionRefused::TooEarly { plan, from_ns }),
        Standing::Waiting { approvals, needed } => {
            return Err(DeletionRefused::NotApproved { plan, approvals, needed });
        }
        // A plan has no end; a reader that knew of one would be right to refuse.
        Standing::Lapsed { .. } => return Err(DeletionRefused::Used { plan }),
    }
    let k = catalog.layout().map_or(1, |layout| layout.k());
    let needed = (catalog.sites().len() + 1).saturating_sub(k);
    let found = catalog.listings.iter().flatten().count();
    if found < needed {
        return Err(DeletionRefused::Unseen { plan, found, needed });
    }
    let needed = blockers(catalog, &grant.plan);
    if !needed.is_empty() {
        return Err(DeletionRefused::Needed { plan, needed });
    }
    match unaware_lineage(catalog, grant) {
        Some(lineage) => Err(DeletionRefused::NotSeen { plan, lineage }),
        None => Ok(()),
    }
}

/// A lineage whose packs are named and whose newest record does not say that its writer knows. One
/// that another lineage has continued has no writer any more.
fn unaware_lineage(catalog: &Catalog, grant: &Grant) -> Option<Lineage> {
    let packs = grant.plan.object_names().filter_map(|name| match name {
        ObjectName::Shard(lineage, ..) => Some(lineage),
        _ => None,
    });
    let named: BTreeSet<Lineage> = packs.collect();
    let parents = catalog.lineages.values().filter_map(|entry| entry.certificate.parent);
    let continued: BTreeSet<Lineage> = parents.map(|parent| parent.lineage).collect();
    let aware = |lineage: &Lineage| {
        continued.contains(lineage)
            || catalog.records(*lineage).next_back().is_some_and(|head| {
                let mut roots = head.header.roots.iter();
                roots.any(|root| root.name == DELETION_ROOT && root.hash == grant.id.0)
            })
    };
    named.into_iter().find(|lineage| !aware(lineage))
}

/// What stays and needs something that the plan names; ten at most.
fn blockers(catalog: &Catalog, plan: &DeletionPlan) -> Vec<String> {
    const SHOWN: usize = 10;
    let named: BTreeSet<ObjectName> = plan.object_names().collect();
    let mut found = Vec::new();
    for lineage in catalog.lineages.keys() {
        let goes =
            |record: &Record| named.contains(&ObjectName::Record(*lineage, record.header.counter));
        let stays = || catalog.records(*lineage).filter(|record| !goes(record));
        for record in stays() {
            if let Some(name) = needs(record).into_iter().find(|name| named.contains(name)) {
                let counter = record.header.counter;
                let object = name.key(catalog.domain());
                found.push(format!("record {counter} of lineage {lineage} needs {object}"));
            }
        }
        let covered = stays().rfind(|one| is_safe(catalog, one));
        let covered = covered.and_then(|one| match one.header.kind {
            Kind::Point { position, .. } => Some((one.header.counter, position)),
            _ => None,
        });
        for record in catalog.records(*lineage).filter(|record| goes(record)) {
            let counter = record.header.counter;
            let last = match record.header.kind {
                Kind::Tail { last, .. } => last,
                _ => 0,
            };
            if covered.is_none_or(|(newest, position)| counter > newest || last > position) {
                found.push(format!(
                    "record {counter} of lineage {lineage} is covered by no whole point that stays"
                ));
            }
        }
    }
    found.truncate(SHOWN);
    found
}

/// What was deleted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Executed {
    /// Objects deleted, all sites together.
    pub objects: u64,
    /// What failed; executing again goes on.
    pub errors: Vec<SiteError>,
    /// Sites at which nobody here can delete.
    pub left: Vec<String>,
    /// The plan is used up.
    pub finished: bool,
}

/// Executes a granted plan: records first, at every site, then what only they needed; then it is
/// marked as used. After an interruption, executing again goes on where it ended.
///
/// # Errors
/// [`DeletionRefused`], before anything is deleted.
pub fn execute_deletion(
    catalog: &Catalog,
    grant: &Grant,
    rule: &ApprovalRule,
    janitors: &[Arc<dyn Janitor>],
    now_ns: u64,
) -> Result<Executed, DeletionRefused> {
    check_execution(catalog, grant, rule, now_ns)?;
    let mut done = Executed::default();
    let domain = catalog.domain();
    let (records, rest): (Vec<&PlanEntry>, Vec<&PlanEntry>) =
        grant.plan.entries.iter().partition(|entry| {
            matches!(ObjectName::parse(domain, &entry.object), Some(ObjectName::Record(..)))
        });
    for phase in [records, rest] {
        for janitor in janitors {
            let (objects, errors) = delete_listed(catalog, janitor.as_ref(), &phase);
            done.objects += objects;
            done.errors.extend(errors);
        }
        if !done.errors.is_empty() {
            break;
        }
    }
    let sites = catalog.sites();
    let has_janitor = |name: &str| janitors.iter().any(|janitor| janitor.name() == name);
    let left = sites.iter().map(|site| site.name()).filter(|name| !has_janitor(name));
    done.left = left.map(str::to_owned).collect();
    if done.errors.is_empty() && done.left.is_empty() {
        let key = grant.id.executed_key(domain);
        for site in sites {
            if let Err(error) = put_verified(site.as_ref(), &key, &grant.id.0) {
                done.errors.push(error);
            }
        }
        done.finished = done.errors.is_empty();
    }
    Ok(done)
}

/// Deletes what the site lists of these. A site that did not answer when the catalog was loaded
/// is asked for all of them.
fn delete_listed(
    catalog: &Catalog,
    janitor: &dyn Janitor,
    entries: &[&PlanEntry],
) -> (u64, Vec<SiteError>) {
    let at = catalog.sites().iter().position(|site| site.name() == janitor.name());
    let listing = at.and_then(|at| catalog.listings[at].as_ref().ok());
    let (mut objects, mut errors) = (0, Vec::new());
    for entry in entries {
        let name = ObjectName::parse(catalog.domain(), &entry.object);
        let listed = |listing: &crate::chain::Listing| {
            name.is_some_and(|name| listing.objects.contains_key(&name))
        };
        if listing.is_some_and(|listing| !listed(listing)) {
            continue;
        }
        match janitor.delete(&entry.object) {
            Ok(()) => objects += 1,
            // The others would fail in the same way.
            Err(error) => {
                errors.push(error);
                break;
            }
        }
    }
    (objects, errors)
}

impl Catalog {
    /// Takes out of the catalog the records that a granted deletion has begun to remove: what an
    /// interrupted execution left of them is neither a point to restore nor damage to repair.
    pub fn forget_deleted(&mut self, grants: &[Grant], rule: &ApprovalRule) {
        for grant in grants.iter().filter(|grant| grant.standing(rule, 0).is_in_force()) {
            for name in grant.plan.object_names() {
                let ObjectName::Record(lineage, counter) = name else { continue };
                let mut listings = self.listings.iter().flatten();
                let begun = listings.any(|listing| !listing.objects.contains_key(&name));
                if begun && let Some(entry) = self.lineages.get_mut(&lineage) {
                    entry.records.remove(&counter);
                }
            }
        }
    }
}
