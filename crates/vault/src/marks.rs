//! Grants at the sites, and what a writer has to know of them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use evenkeel_types::Canonical;

use crate::approval::{ApprovalRule, Matter, Standing, Statement};
use crate::error::{Error, Result};
use crate::grant::{DeletionPlan, PlanId, parse_grant_key};
use crate::layout::{Layout, Lineage, ObjectName};
use crate::record::Root;
use crate::site::{Site, Sites, each_site, put_verified};

/// Name of the roots by which a writer signs that it refers to nothing that a plan in force names.
pub const DELETION_ROOT: &str = "deletion";

/// A plan at the sites, and what was said of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// The plan's name.
    pub id: PlanId,
    /// The plan.
    pub plan: Arc<DeletionPlan>,
    /// Every genuine statement about it.
    pub statements: Vec<Statement>,
    /// It was executed: used up.
    pub executed: bool,
}

impl Grant {
    /// How it stands.
    #[must_use]
    pub fn standing(&self, rule: &ApprovalRule, now_ns: u64) -> Standing {
        let said: Vec<(Statement, u64)> =
            self.statements.iter().map(|statement| (statement.clone(), 0)).collect();
        rule.judge(&self.plan.matter(), &said, now_ns)
    }

    /// Whether writers have to do without what it names.
    #[must_use]
    pub fn is_in_force(&self, rule: &ApprovalRule) -> bool {
        !self.executed && self.standing(rule, 0).is_in_force()
    }
}

/// Reads every grant of a domain from the sites that answer. What a site says is not believed: a
/// plan has to have the hash it is named by, a statement its approver's signature.
#[must_use]
pub fn read_grants(sites: &Sites, domain: &str) -> Vec<Grant> {
    read_with(sites, domain, &mut BTreeMap::new())
}

type Plans = BTreeMap<PlanId, Arc<DeletionPlan>>;

fn read_with(sites: &Sites, domain: &str, plans: &mut Plans) -> Vec<Grant> {
    let prefix = PlanId::domain_prefix(domain);
    let listings = each_site(sites, |_, site| site.list(&prefix).unwrap_or_default());
    let mut named: BTreeMap<PlanId, BTreeSet<(String, usize)>> = BTreeMap::new();
    for (at, listing) in listings.iter().enumerate() {
        for object in listing {
            if let Some((id, what)) = parse_grant_key(domain, &object.key) {
                named.entry(id).or_default().insert((what.to_owned(), at));
            }
        }
    }
    plans.retain(|id, _| named.contains_key(id));
    let mut grants = Vec::new();
    for (id, objects) in named {
        let at_sites = |what: &str| {
            let what = what.to_owned();
            objects.iter().filter(move |(one, _)| *one == what).map(|(_, at)| sites[*at].as_ref())
        };
        let plan = match plans.get(&id) {
            Some(plan) => Arc::clone(plan),
            None => {
                let Some(plan) = at_sites("plan").find_map(|site| read_plan(site, domain, id))
                else {
                    continue;
                };
                plans.insert(id, Arc::clone(&plan));
                plan
            }
        };
        let mut statements: Vec<Statement> = Vec::new();
        let matter = Matter::deletion(domain, id);
        for (what, at) in &objects {
            let key = format!("{}{what}", id.prefix(domain));
            if what == "plan" || what == "executed" {
                continue;
            }
            let read =
                sites[*at].get(&key).ok().and_then(|bytes| Statement::from_bytes(&bytes).ok());
            let genuine = |one: &Statement| one.is_genuine(&matter);
            if let Some(read) = read.filter(genuine)
                && !statements.contains(&read)
            {
                statements.push(read);
            }
        }
        let executed = at_sites("executed").next().is_some();
        grants.push(Grant { id, plan, statements, executed });
    }
    grants
}

fn read_plan(site: &dyn Site, domain: &str, id: PlanId) -> Option<Arc<DeletionPlan>> {
    let plan = DeletionPlan::from_bytes(&site.get(&id.plan_key(domain)).ok()?).ok()?;
    (plan.id() == id && plan.domain == domain).then(|| Arc::new(plan))
}

/// Puts an object about a grant to every site; as many have to take it as make sure that no k
/// sites can miss it.
pub(crate) fn publish(sites: &Sites, layout: Layout, key: &str, bytes: &[u8]) -> Result<usize> {
    let taken = each_site(sites, |_, site| put_verified(site, key, bytes));
    let found = taken.iter().filter(|one| one.is_ok()).count();
    let needed = (sites.len() + 1).saturating_sub(layout.k()).max(1);
    if found >= needed {
        return Ok(found);
    }
    let errors = taken.iter().filter_map(|one| one.as_ref().err());
    Err(Error::NotEnoughSites {
        what: format!("publishing {key}"),
        needed,
        found,
        sites: errors.map(|error| format!("{} ({})", error.site, error.detail)).collect(),
        points: Vec::new(),
    })
}

/// Publishes a plan at the sites. Nothing comes of it before approvers say so.
///
/// # Errors
/// [`Error::NotEnoughSites`]; proposing the same again is safe.
pub fn propose(sites: &Sites, layout: Layout, plan: &DeletionPlan) -> Result<usize> {
    publish(sites, layout, &plan.id().plan_key(&plan.domain), &plan.to_bytes())
}

/// Publishes an approver's word at the sites.
///
/// # Errors
/// [`Error::NotEnoughSites`]; saying the same again is safe. A second word of the same kind by
/// the same approver with another time is refused by the sites, as any other content would be.
pub fn publish_statement(
    sites: &Sites,
    layout: Layout,
    domain: &str,
    statement: &Statement,
) -> Result<usize> {
    let plan = PlanId(statement.about);
    publish(sites, layout, &statement.key(&Matter::deletion(domain, plan)), &statement.to_bytes())
}

/// What a writer does without, because a plan in force names it.
#[derive(Default)]
pub(crate) struct Marks {
    plans: Plans,
    in_force: BTreeSet<PlanId>,
    packs: BTreeSet<(Lineage, [u8; 32])>,
}

impl Marks {
    /// Looks at the sites again. A plan that no site shows is not marked; nor does the next record
    /// say then that it is, without which nobody executes it.
    pub(crate) fn refresh(&mut self, sites: &Sites, domain: &str, rule: &ApprovalRule) {
        let mut grants = read_with(sites, domain, &mut self.plans);
        grants.retain(|grant| grant.is_in_force(rule));
        self.in_force = grants.iter().map(|grant| grant.id).collect();
        let names = grants.iter().flat_map(|grant| grant.plan.object_names());
        let packs = names.filter_map(|name| match name {
            ObjectName::Shard(lineage, pack, _) => Some((lineage, pack)),
            _ => None,
        });
        self.packs = packs.collect();
    }

    pub(crate) fn names(&self, lineage: Lineage, pack: &[u8; 32]) -> bool {
        self.packs.contains(&(lineage, *pack))
    }

    /// What the next records say of it.
    pub(crate) fn roots(&self) -> impl Iterator<Item = Root> + '_ {
        self.in_force.iter().map(|id| Root::new(DELETION_ROOT, id.0))
    }
}
