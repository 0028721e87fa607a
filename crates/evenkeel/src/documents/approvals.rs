//! `approvals … --json`, and what other commands say of approvals.

use serde::{Deserialize, Serialize};

/// `approvals … --json`, and a proposal of any command: rules, actions, words, who did what.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(tag = "message_type", rename = "approvals")]
pub struct ApprovalsDocument {
    /// `list`, `show`, `propose`, `message`, `approve`, `cancel` or `publish`.
    pub action: String,
    /// The domain.
    pub domain: String,
    /// Number of the published policy that counts; `null` if none was published.
    pub policy: Option<u64>,
    /// The rules in force.
    pub rules: Vec<ApprovalRuleDocument>,
    /// Policies that the root signed and that do not count, with the reason.
    pub refused: Vec<String>,
    /// Who may be sealed for, where that takes approvals.
    pub recipients: Vec<String>,
    /// Actions, oldest first.
    pub actions: Vec<ActionDocument>,
    /// The text to sign; `null` elsewhere.
    pub message: Option<String>,
    /// The time in it, RFC 3339 UTC; `null` elsewhere.
    pub message_time: Option<String>,
    /// Files written.
    pub written: Vec<String>,
}

/// A rule.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ApprovalRuleDocument {
    /// `export`, `recipients`, `promotion`, `policy` or `drill`.
    pub kind: String,
    /// Public keys (hex) and addresses.
    pub approvers: Vec<String>,
    /// How many of them have to agree.
    pub needed: u64,
    /// How long everybody has to object.
    pub delay_seconds: u64,
    /// How long after its proposal an action lapses.
    pub lifetime_seconds: u64,
    /// Whether the root published it; a rule of the configuration alone can be edited away.
    pub published: bool,
}

/// An action.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ActionDocument {
    /// Its name, hex.
    pub id: String,
    /// `export`, `recipients`, `promotion`, `policy` or `drill`.
    pub kind: String,
    /// `waiting`, `delayed`, `valid`, `cancelled`, `lapsed` or `executed`; `no_rule` without one.
    pub standing: String,
    /// What exactly, line by line as it is signed.
    pub details: Vec<ActionDetailDocument>,
    /// Why, in the proposer's words.
    pub why: String,
    /// Approvals that are needed.
    pub needed: u64,
    /// From when on it may be carried out, RFC 3339 UTC.
    pub valid_from: Option<String>,
    /// When it was proposed, RFC 3339 UTC.
    pub proposed: String,
    /// When it lapses, RFC 3339 UTC.
    pub lapses: String,
    /// Who said what.
    pub said: Vec<ActionWordDocument>,
    /// Who carried it out.
    pub log: Vec<ActionLogDocument>,
}

/// A line of an action.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ActionDetailDocument {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
}

/// A word about an action.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ActionWordDocument {
    /// Who: a public key (hex) or an address.
    pub approver: String,
    /// `approve` or `cancel`.
    pub word: String,
    /// When, by the approver's clock, RFC 3339 UTC.
    pub time: String,
}

/// A line of the log.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ActionLogDocument {
    /// `begun` or `executed`.
    pub phase: String,
    /// When, by that host's clock, RFC 3339 UTC.
    pub time: String,
    /// Who and where, in the host's words.
    pub by: String,
    /// What came of it, in the host's words.
    pub what: String,
    /// The key that signed the line, hex.
    pub signer: String,
}
