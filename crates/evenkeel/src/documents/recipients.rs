//! Who opens what.

use serde::{Deserialize, Serialize};

/// `recipients … --json`: for whom key periods are wrapped, and what was done about it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(tag = "message_type", rename = "recipients")]
pub struct RecipientsDocument {
    /// `list`, `add`, `remove`, `rewrap`, `rotate` or `revoke-writer`.
    pub action: String,
    /// The domain.
    pub domain: String,
    /// Whether the configuration was changed.
    pub config_changed: bool,
    /// Key periods that something at the sites needs; `null` if they were not looked at.
    pub periods: Option<u64>,
    /// Everybody who is a recipient, or was one.
    pub recipients: Vec<RecipientDocument>,
    /// Periods not wrapped for every recipient of today.
    pub incomplete: Vec<PeriodDocument>,
    /// Periods wrapped anew by this command.
    pub wrapped: u64,
    /// Periods that served every recipient already.
    pub already: u64,
    /// Objects of an earlier run that were brought to sites that had missed them.
    pub completed: u64,
    /// Periods that the identity given does not open.
    pub closed: Vec<PeriodDocument>,
}

/// A recipient.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RecipientDocument {
    /// The recipient, `age1…`.
    pub recipient: String,
    /// What people call it; empty if nothing is said of it.
    pub label: String,
    /// `recovery`, `drill host`, `standby` or `holder`.
    pub role: String,
    /// Since when; `null` if that is not known.
    pub since: Option<String>,
    /// Where its identity is said to be kept; `null` if that is not known.
    pub kept_at: Option<String>,
    /// Since when it is one no more; `null` if it is one.
    pub removed: Option<String>,
    /// `lost`, `compromised` or `replaced`; `null` if it is one.
    pub because: Option<String>,
    /// Periods wrapped for it.
    pub opens: u64,
    /// Periods not wrapped for it.
    pub not: u64,
    /// Periods whose key object does not say for whom it is wrapped.
    pub unknown: u64,
    /// Time of the first record that it opens; `null` if it opens none.
    pub first_time: Option<String>,
    /// Time of the last one.
    pub last_time: Option<String>,
    /// Bytes of packs that it opens, before they are spread over the sites.
    pub bytes: u64,
}

/// A key period.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PeriodDocument {
    /// Its lineage.
    pub lineage: String,
    /// Its number in it.
    pub number: u64,
    /// Time of its first record.
    pub first_time: String,
    /// Time of its last one.
    pub last_time: String,
    /// Bytes of packs that it seals.
    pub bytes: u64,
    /// Labels of the recipients it is not wrapped for, as far as that is known.
    pub not_for: Vec<String>,
}
