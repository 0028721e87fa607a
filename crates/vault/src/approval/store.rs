//! Actions, words and policies at the sites. What a site says is not believed: an action has to
//! have the hash it is named by, a word its approver's signature, a policy the root's.

use std::collections::{BTreeMap, BTreeSet};

use evenkeel_types::Canonical;

use super::action::{Action, ActionId, Kind};
use super::bundle::ApprovalBundle;
use super::execution::{Execution, Phase};
use super::policy::ApprovalPolicy;
use super::rule::Standing;
use super::statement::{Matter, Statement};
use crate::certificate::RootPublicKey;
use crate::error::Result;
use crate::folder::check_object_name;
use crate::layout::Layout;
use crate::marks::publish;
use crate::site::{Site, Sites, each_site};

const FOLDER: &str = "actions";
const POLICIES: &str = "policy";

/// An action at the sites, what was said of it, and who carried it out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActionAtSites {
    /// Its name.
    pub id: ActionId,
    /// The action, with every genuine word about it.
    pub bundle: ApprovalBundle,
    /// Every genuine line about it, oldest first.
    pub log: Vec<Execution>,
}

impl ActionAtSites {
    /// The action itself.
    #[must_use]
    pub fn action(&self) -> &Action {
        &self.bundle.action
    }

    /// When it was first carried out, if somebody says so.
    #[must_use]
    pub fn executed(&self) -> Option<&Execution> {
        self.log.iter().find(|line| line.phase == Phase::Executed)
    }
}

/// What the sites say of approvals.
#[derive(Debug, Clone, Default)]
pub struct Approvals {
    /// The policy that counts.
    pub policy: Option<ApprovalPolicy>,
    /// Numbers of policies that the root signed and that do not count, with the reason.
    pub refused: Vec<(u64, String)>,
    /// Every action, oldest first.
    pub actions: Vec<ActionAtSites>,
    /// Sites that answered.
    pub answered: usize,
}

impl Approvals {
    /// How an action stands under the policy that counts.
    #[must_use]
    pub fn standing(&self, action: &ActionAtSites, now_ns: u64) -> Option<Standing> {
        action.bundle.standing(self.policy.as_ref()?, &[], now_ns)
    }

    /// Who may be sealed for: those that the policy names, and those that approved actions have
    /// added since, without those that such actions have removed. An objection still counts after
    /// an action was carried out. `None` where nobody has to approve that.
    #[must_use]
    pub fn recipients(&self) -> Option<BTreeSet<String>> {
        let policy = self.policy.as_ref()?;
        policy.rule(Kind::Recipients)?;
        let mut all: BTreeSet<String> = policy.recipients.iter().cloned().collect();
        let mut gone = Vec::new();
        for action in self.actions.iter().filter(|one| one.action().kind == Kind::Recipients) {
            let mut times = action.log.iter().filter(|line| line.phase == Phase::Executed);
            let counts = times.any(|line| {
                let standing = action.bundle.standing(policy, &[], line.time_ns);
                line.time_ns >= policy.time_ns && matches!(standing, Some(Standing::Valid { .. }))
            });
            if counts {
                all.extend(action.action().detail("add").map(str::to_owned));
                gone.extend(action.action().detail("remove").map(str::to_owned));
            }
        }
        all.retain(|one| !gone.contains(one));
        Some(all)
    }
}

/// Reads everything about approvals of a domain from the sites that answer.
#[must_use]
pub fn read_approvals(sites: &Sites, domain: &str, root: &RootPublicKey) -> Approvals {
    let prefix = format!("{FOLDER}/{domain}/");
    let listings = each_site(sites, |_, site| site.list(&prefix).ok());
    let answered = listings.iter().flatten().count();
    let mut named: BTreeMap<String, BTreeMap<String, Vec<usize>>> = BTreeMap::new();
    for (at, listing) in listings.iter().enumerate() {
        for object in listing.iter().flatten() {
            let rest =
                object.key.strip_prefix(&prefix).filter(|_| check_object_name(&object.key).is_ok());
            if let Some((folder, what)) = rest.and_then(|rest| rest.split_once('/')) {
                let places = named.entry(folder.to_owned()).or_default();
                places.entry(what.to_owned()).or_default().push(at);
            }
        }
    }
    let read = Reading { sites, prefix };
    let policies = named.remove(POLICIES).unwrap_or_default();
    let mut actions: Vec<ActionAtSites> = named
        .iter()
        .filter_map(|(folder, objects)| read.action(domain, ActionId::parse(folder)?, objects))
        .collect();
    actions.sort_by_key(|one| (one.action().proposed_time_ns, one.id));
    let mut policies: Vec<ApprovalPolicy> = policies
        .iter()
        .filter_map(|(what, at)| {
            read.first(&format!("{POLICIES}/{what}"), at, |read| {
                let policy: &ApprovalPolicy = read;
                policy.domain == domain && policy.is_signed_by(root)
            })
        })
        .collect();
    policies.sort_by_key(|one| (one.counter, one.time_ns));
    let mut found = Approvals { actions, answered, ..Approvals::default() };
    policies.into_iter().for_each(|policy| found.follow(policy));
    found
}

impl Approvals {
    /// Takes a policy for the one that counts, unless it is less and nobody approved that.
    fn follow(&mut self, next: ApprovalPolicy) {
        let Some(now) = &self.policy else {
            self.policy = Some(next);
            return;
        };
        let less = self.less_in(&next);
        if less.is_empty() || self.approved_change(now, &next) {
            self.policy = Some(next);
        } else {
            self.refused.push((next.counter, less.join("; ")));
        }
    }

    /// In what a policy would be less than the one that counts: empty if it is not.
    #[must_use]
    pub fn less_in(&self, next: &ApprovalPolicy) -> Vec<String> {
        let Some(mut known) = self.policy.clone() else {
            return Vec::new();
        };
        if let Some(recipients) = self.recipients() {
            known.recipients = recipients.into_iter().collect();
        }
        next.less_than(&known)
    }

    fn approved_change(&self, now: &ApprovalPolicy, next: &ApprovalPolicy) -> bool {
        let named = self.actions.iter().find(|one| Some(one.id) == next.change);
        named.is_some_and(|named| {
            let about = named.action().is_about(Kind::Policy, &now.domain, &next.details());
            let standing = named.bundle.standing(now, &[], next.time_ns);
            about && matches!(standing, Some(Standing::Valid { .. }))
        })
    }
}

struct Reading<'a> {
    sites: &'a Sites,
    prefix: String,
}

impl Reading<'_> {
    /// The first site's object of that name that reads, and that `is_right`.
    fn first<T: Canonical>(
        &self,
        what: &str,
        at: &[usize],
        is_right: impl Fn(&T) -> bool,
    ) -> Option<T> {
        let key = format!("{}{what}", self.prefix);
        let get = |site: &dyn Site| T::from_bytes(&site.get(&key).ok()?).ok().filter(&is_right);
        at.iter().find_map(|at| get(self.sites[*at].as_ref()))
    }

    fn action(
        &self,
        domain: &str,
        id: ActionId,
        objects: &BTreeMap<String, Vec<usize>>,
    ) -> Option<ActionAtSites> {
        let right = |action: &Action| action.id() == id && action.domain == domain;
        let action: Action = self.first(&format!("{id}/action"), objects.get("action")?, right)?;
        let matter = action.matter();
        let (mut statements, mut log) = (Vec::new(), Vec::new());
        for (what, at) in objects {
            let name = format!("{id}/{what}");
            if what.starts_with("approve-") || what.starts_with("cancel-") {
                let genuine = |one: &Statement| one.is_genuine(&matter);
                statements.extend(self.first(&name, at, genuine));
            } else if what != "action" {
                let genuine = |one: &Execution| one.action == id && one.is_genuine();
                log.extend(self.first(&name, at, genuine));
            }
        }
        log.sort_by_key(|line: &Execution| (line.time_ns, line.phase));
        Some(ActionAtSites { id, bundle: ApprovalBundle { action, statements }, log })
    }
}

/// Publishes an action at the sites. Nothing comes of it before approvers say so.
///
/// # Errors
/// [`Error::NotEnoughSites`](crate::Error::NotEnoughSites); publishing the same again is safe.
pub fn publish_action(sites: &Sites, layout: Layout, action: &Action) -> Result<usize> {
    publish(sites, layout, &action.key(), &action.to_bytes())
}

/// Publishes an approver's word. A second one of the same kind by the same approver with another
/// time is refused by the sites, as any other content would be.
///
/// # Errors
/// As [`publish_action`].
pub fn publish_word(
    sites: &Sites,
    layout: Layout,
    matter: &Matter,
    statement: &Statement,
) -> Result<usize> {
    publish(sites, layout, &statement.key(matter), &statement.to_bytes())
}

/// Publishes a line of the log.
///
/// # Errors
/// As [`publish_action`].
pub fn publish_execution(
    sites: &Sites,
    layout: Layout,
    action: &Action,
    line: &Execution,
) -> Result<usize> {
    publish(sites, layout, &line.key(&action.matter()), &line.to_bytes())
}

/// Publishes a policy that the root signed.
///
/// # Errors
/// As [`publish_action`].
pub fn publish_policy(sites: &Sites, layout: Layout, policy: &ApprovalPolicy) -> Result<usize> {
    publish(sites, layout, &policy.key(), &policy.to_bytes())
}
