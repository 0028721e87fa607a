//! The daemon looks at what waits for approvers, and tells: a new action, one that was approved and
//! whose delay runs, and one that was cancelled. Deletion plans, too.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use evenkeel_vault::{Standing, read_grants};

use super::held::Held;
use super::listing::{action_document, deadline};
use super::{now_ns, short};
use crate::config::{Config, SiteKind};
use crate::documents::{PendingApprovalsDocument, Severity};
use crate::node::domain::Domain;
use crate::node::observed::{Observed, lock};
use crate::node::stop::Stop;
use crate::report::Result;

/// Between two looks, where sites are folders of this machine, and elsewhere. Each lists names
/// twice at each site, and reads actions and plans.
const EVERY: Duration = Duration::from_secs(10);
const EVERY_FAR: Duration = Duration::from_secs(60);
/// How long a cancelled one is shown.
const CANCELLED_SHOWN_NS: u64 = 24 * super::HOUR_NS;
const SECOND_NS: f64 = 1e9;

/// What is told of one action or plan.
struct Told {
    id: String,
    what: &'static str,
    words: String,
    next: String,
    proposed_ns: u64,
    is_pending: bool,
}

/// Looks for as long as the daemon runs.
pub(crate) struct ApprovalsLoop {
    pub(crate) config: Config,
    pub(crate) observed: Arc<Observed>,
}

impl ApprovalsLoop {
    /// Whether anything may wait: somebody approves something here, or this host has seen a policy.
    pub(crate) fn is_wanted(config: &Config) -> bool {
        !config.deletion.approvers.is_empty()
            || Domain::of(config).is_ok_and(|domain| Held::is_known_of(config, &domain))
    }

    /// Runs until asked to stop. Sites that do not answer leave what was told as it was.
    pub(crate) fn run(self, stop: &Stop) -> Result<()> {
        let mut raised: BTreeMap<String, &'static str> = BTreeMap::new();
        let is_near = self.config.sites.iter().all(|site| site.kind == SiteKind::Folder);
        let every = if is_near { EVERY } else { EVERY_FAR };
        loop {
            self.turn(&mut raised);
            if stop.sleep(every) {
                return Ok(());
            }
        }
    }

    fn turn(&self, raised: &mut BTreeMap<String, &'static str>) {
        let conditions = &self.observed.conditions;
        let Ok(domain) = Domain::of(&self.config) else {
            return;
        };
        let held = match Held::answered(&self.config, &domain) {
            Ok(Some(held)) => held,
            Ok(None) => return,
            Err(report) => {
                let detail = report.details().join("; ");
                conditions.raise(
                    "approval_rules",
                    Severity::Critical,
                    format!("{}: {detail}", report.message()),
                    "the published rules hold; nothing is sealed until it is settled",
                    "evenkeel approvals list",
                );
                return;
            }
        };
        conditions.clear("approval_rules");
        let now_ns = now_ns();
        let mut told = actions(&held, now_ns);
        told.extend(self.plans(&domain, now_ns));
        let kinds: BTreeMap<String, &Told> = told
            .iter()
            .map(|one| (format!("approval_{}_{}", one.what, &one.id[..8]), one))
            .collect();
        for gone in raised.keys().filter(|kind| !kinds.contains_key(*kind)) {
            conditions.clear(gone);
        }
        raised.retain(|kind, _| kinds.contains_key(kind));
        for (kind, one) in &kinds {
            raised.insert(kind.clone(), one.what);
            conditions.raise(
                kind,
                Severity::Warning,
                one.words.clone(),
                "nothing of it is done before enough have signed and the delay is over",
                &one.next,
            );
        }
        let pending = || told.iter().filter(|one| one.is_pending);
        let oldest = pending().map(|one| now_ns.saturating_sub(one.proposed_ns)).max();
        *lock(&self.observed.approvals) = Some(PendingApprovalsDocument {
            pending: pending().count() as u64,
            #[allow(clippy::cast_precision_loss, reason = "an age, shown in seconds")]
            oldest_pending_seconds: oldest.map(|age_ns| age_ns as f64 / SECOND_NS),
        });
    }

    fn plans(&self, domain: &Domain<'_>, now_ns: u64) -> Vec<Told> {
        let Ok(Some(rule)) = self.config.deletion.rule() else {
            return Vec::new();
        };
        let grants = read_grants(&domain.sites(), domain.name());
        let of = |grant: &evenkeel_vault::Grant| {
            let standing = grant.standing(&rule, now_ns);
            let what = what_of(standing, grant.plan.proposed_time_ns, now_ns)?;
            let id = grant.id.to_string();
            let how = match standing {
                Standing::Waiting { approvals, needed } => {
                    format!("{approvals} of {needed} approvals")
                }
                Standing::Delayed { from_ns } | Standing::Valid { from_ns } => {
                    format!("approved, from {}", crate::cli::format_time_ns(from_ns))
                }
                Standing::Cancelled { by } => format!("cancelled by {by}"),
                Standing::Lapsed { .. } => return None,
            };
            Some(Told {
                words: format!("deletion plan {}: {how}", short(&id)),
                next: format!("evenkeel prune list --plan {}", short(&id)),
                what,
                proposed_ns: grant.plan.proposed_time_ns,
                is_pending: standing.is_pending(),
                id,
            })
        };
        grants.iter().filter(|grant| !grant.executed).filter_map(of).collect()
    }
}

/// What is worth telling of how it stands.
fn what_of(standing: Standing, proposed_ns: u64, now_ns: u64) -> Option<&'static str> {
    match standing {
        Standing::Waiting { .. } => Some("waiting"),
        Standing::Delayed { .. } | Standing::Valid { .. } => Some("approved"),
        Standing::Cancelled { .. } if now_ns < proposed_ns.saturating_add(CANCELLED_SHOWN_NS) => {
            Some("cancelled")
        }
        Standing::Cancelled { .. } | Standing::Lapsed { .. } => None,
    }
}

fn actions(held: &Held, now_ns: u64) -> Vec<Told> {
    let of = |action: &evenkeel_vault::ActionAtSites| {
        let standing = held.standing(action, now_ns)?;
        let proposed_ns = action.action().proposed_time_ns;
        let what = what_of(standing, proposed_ns, now_ns)?;
        // Done: whoever wants to know finds it in the list.
        if action.executed().is_some() && what == "approved" {
            return None;
        }
        let document = action_document(held, action, now_ns);
        let signed: Vec<&str> = document.said.iter().map(|one| one.approver.as_str()).collect();
        let signed = match signed.is_empty() {
            true => "nobody has signed".to_owned(),
            false => format!("signed by {}", signed.join(", ")),
        };
        let lines: Vec<&str> = document.details.iter().map(|one| one.value.as_str()).collect();
        Some(Told {
            words: format!(
                "{} {} ({}): {}; {signed}",
                document.kind,
                short(&document.id),
                lines.join(", "),
                deadline(action, standing)
            ),
            next: format!("evenkeel approvals show --action {}", short(&document.id)),
            id: document.id,
            what,
            proposed_ns,
            is_pending: standing.is_pending(),
        })
    };
    held.found.actions.iter().filter_map(of).collect()
}
