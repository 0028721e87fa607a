//! Audits and deletions.

use serde::{Deserialize, Serialize};

use super::{Outcome, ProblemDocument};

/// `audit --json`: whether the sites still have what they should, by samples.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(tag = "message_type", rename = "audit")]
pub struct AuditDocument {
    /// Ok when every site passed; failed when one has lost something; unproven when one did not
    /// answer or could not be looked at enough.
    pub result: Outcome,
    /// Probability, at least, with which the loss below is found.
    pub confidence: f64,
    /// A fraction of a site's bytes.
    pub loss: f64,
    /// The sites, in shard order.
    pub sites: Vec<SiteAuditDocument>,
    /// File of the signed report; `null` if this host has no key to sign one.
    pub report: Option<String>,
    /// How long it took.
    pub elapsed_seconds: f64,
}

/// What an audit found at one site.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct SiteAuditDocument {
    /// The site's name.
    pub site: String,
    /// Ok, failed or unproven.
    pub verdict: Outcome,
    /// Ranges of at most 8 KiB that were asked for.
    pub challenges: u64,
    /// Of them, those answered wrongly or not at all.
    pub failed: u64,
    /// Of them, those that could not be compared.
    pub unproven: u64,
    /// Bytes read for them.
    pub bytes_read: u64,
    /// Objects that the site should hold.
    pub objects: u64,
    /// Bytes that the site should hold.
    pub bytes: u64,
    /// Objects that are not as they should be.
    pub damaged: Vec<ProblemDocument>,
    /// Why the site could not be asked.
    pub detail: Option<String>,
}

/// `prune … --json`: what may go, who said so, what went.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(tag = "message_type", rename = "prune")]
pub struct PruneDocument {
    /// `plan`, `propose`, `list`, `approve`, `cancel` or `execute`.
    pub action: String,
    /// Whether nothing was changed because that was asked for.
    pub dry_run: bool,
    /// The plan; `null` where there is none, or several.
    pub plan: Option<String>,
    /// Objects that could go, or went, all sites together for the latter.
    pub objects: u64,
    /// Recovery points among what could go.
    pub points: u64,
    /// Recovery points that stay.
    pub points_kept: u64,
    /// Recovery points among these that the policy does not keep: no later one is self-contained.
    pub points_bound: u64,
    /// Bytes that going frees, all sites together.
    pub bytes: u64,
    /// Bytes held now, all sites together.
    pub bytes_held: u64,
    /// What would be there later, if points go on as they came.
    pub forecast: Option<ForecastDocument>,
    /// Plans at the sites.
    pub plans: Vec<PlanDocument>,
    /// Sites at which something is left to delete, with the reason.
    pub left: Vec<String>,
}

/// What would be there later.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ForecastDocument {
    /// Days from now.
    pub days: u64,
    /// Points there then.
    pub points: u64,
    /// Bytes there then, all sites together.
    pub bytes: u64,
}

/// A deletion plan at the sites.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PlanDocument {
    /// Its name, hex.
    pub plan: String,
    /// `waiting`, `delayed`, `valid`, `cancelled` or `executed`; `no_rule` without approvers.
    pub standing: String,
    /// Approvals that count.
    pub approvals: u64,
    /// Approvals that are needed.
    pub needed: u64,
    /// From when on it may be executed, RFC 3339 UTC.
    pub valid_from: Option<String>,
    /// When it was proposed, by the proposer's clock, RFC 3339 UTC.
    pub proposed: String,
    /// How many objects it names.
    pub objects: u64,
    /// Bytes of one copy of each.
    pub bytes: u64,
    /// Their names, where asked for.
    pub names: Vec<String>,
}
