//! Recovery kits.

use serde::{Deserialize, Serialize};

/// `kit make --json` and `kit check --json`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(tag = "message_type", rename = "kit")]
pub struct KitDocument {
    /// `make` or `check`.
    pub action: String,
    /// The domain.
    pub domain: String,
    /// Files that were made, or the one that was checked.
    pub files: Vec<String>,
    /// When it was made, RFC 3339 UTC.
    pub made: String,
    /// Whole days since.
    pub age_days: u64,
    /// The first digits of the hash of what it says: names it.
    pub kit: String,
    /// Whether it is word for word what was made.
    pub intact: bool,
    /// What is another now than it says; empty if nothing is.
    pub changes: Vec<String>,
    /// Whether it lets its holder read sites.
    pub read_credentials: bool,
}
