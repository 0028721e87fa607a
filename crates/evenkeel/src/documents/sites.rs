//! Sites.

use serde::{Deserialize, Serialize};

use super::{ErasureDocument, SiteDocument};

/// `sites list --json` and `sites probe --json`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(tag = "message_type", rename = "sites")]
pub struct SitesDocument {
    /// The erasure code in force.
    pub erasure: ErasureDocument,
    /// The sites, in configured order.
    pub sites: Vec<SiteDocument>,
    /// What a probe tried, in the same order; empty for `list`.
    pub probes: Vec<ProbeDocument>,
}

/// What a probe of one site found by trying.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct ProbeDocument {
    /// The site's name.
    pub site: String,
    /// Whether a fresh object could be written.
    pub wrote: bool,
    /// Whether it came back bit for bit.
    pub read_back: bool,
    /// Whether overwriting it was refused (expected of everything but *mutable*).
    pub overwrite_refused: bool,
    /// Whether deleting it was refused (expected of everything but *mutable*).
    pub delete_refused: bool,
    /// Whether what was found is what the class promises.
    pub keeps_promise: bool,
    /// How long the write took.
    pub write_seconds: Option<f64>,
    /// What went wrong; `null` when nothing did.
    pub detail: Option<String>,
}
