//! `[approvals.…]`: whose word an export, a change of recipients or a promotion takes.

use evenkeel_vault::{ActionKind, ApprovalRule, Approver, KindRule};
use serde::{Deserialize, Serialize};

use crate::report::Result;

const HOUR_NS: u64 = 3_600_000_000_000;

/// `[approvals]`: one table for each kind that takes approvals. No variable of the environment
/// changes them.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ApprovalsConfig {
    /// Whatever decrypts to a disk outside of a drill.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub export: Option<ApprovalRuleConfig>,
    /// Changes of who can open what.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recipients: Option<ApprovalRuleConfig>,
    /// What is restored, or another host, goes live by hand.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub promotion: Option<ApprovalRuleConfig>,
    /// Holders of a quorum are asked to open for a drill, which opens as much as a restore.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drill: Option<ApprovalRuleConfig>,
    /// Weaker rules. Without it: what the kind with the most approvals takes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<ApprovalRuleConfig>,
    /// Made from a kit, which may be older than the rules: what was published counts then.
    #[serde(skip)]
    pub from_kit: bool,
}

/// Who, how many, how long.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApprovalRuleConfig {
    /// Ed25519 public keys (64 hexadecimal digits) and Ethereum addresses (`0x` and 40).
    pub approvers: Vec<String>,
    /// How many of them have to agree.
    pub needed: usize,
    /// How many hours everybody has to object, after the last approval that was needed. Not 0.
    pub delay_hours: u32,
    /// So many hours after it was proposed, an action lapses.
    #[serde(default = "lifetime")]
    pub expires_hours: u32,
}

fn lifetime() -> u32 {
    168
}

/// Reads approvers.
///
/// # Errors
/// [`Exit::Usage`](crate::report::Exit::Usage) for a text that names none.
pub(super) fn approvers(texts: &[String]) -> Result<Vec<Approver>> {
    Ok(texts.iter().map(|text| Approver::parse(text)).collect::<Result<_, _>>()?)
}

impl ApprovalRuleConfig {
    fn rule(&self, kind: ActionKind) -> Result<KindRule> {
        let delay_ns = u64::from(self.delay_hours) * HOUR_NS;
        let rule = ApprovalRule::new(&approvers(&self.approvers)?, self.needed, delay_ns)?;
        Ok(KindRule::new(kind, rule, u64::from(self.expires_hours) * HOUR_NS)?)
    }
}

impl ApprovalsConfig {
    /// The rules by kind.
    pub fn kinds(&self) -> impl Iterator<Item = (ActionKind, &ApprovalRuleConfig)> {
        let all = [
            (ActionKind::Export, &self.export),
            (ActionKind::Recipients, &self.recipients),
            (ActionKind::Promotion, &self.promotion),
            (ActionKind::Policy, &self.policy),
            (ActionKind::Drill, &self.drill),
        ];
        all.into_iter().filter_map(|(kind, rule)| Some((kind, rule.as_ref()?)))
    }

    /// Whether nothing is said.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.kinds().next().is_none()
    }

    /// What the rules say.
    ///
    /// # Errors
    /// [`Exit::Usage`](crate::report::Exit::Usage) for approvers that are none or stand twice, for
    /// more needed than there are, for no delay, and if an action would lapse before its delay is
    /// over.
    pub fn rules(&self) -> Result<Vec<KindRule>> {
        self.kinds().map(|(kind, rule)| rule.rule(kind)).collect()
    }
}
