//! Sites.

use serde::{Deserialize, Serialize};

use super::{ErasureDocument, SiteClass, SiteDocument};

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
    /// The class that was shown.
    pub class_shown: SiteClass,
    /// Whether a put was refused where its condition did not hold; `null` if not tried.
    pub conditional_put: Option<bool>,
    /// Whether the bucket keeps what is overwritten; `null` if not tried.
    pub versions: Option<bool>,
    /// What the bucket locks new objects with, such as `COMPLIANCE`; `null` if with nothing.
    pub lock_mode: Option<String>,
    /// How long it locks them, in seconds.
    pub lock_seconds: Option<u64>,
    /// Everything that was tried, in order.
    pub attempts: Vec<AttemptDocument>,
    /// Times and rates; `null` if not measured.
    pub measured: Option<MeasuredDocument>,
}

/// One thing that a thief would do, tried.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct AttemptDocument {
    /// What, in a word or two.
    pub what: String,
    /// What came of it.
    pub outcome: AttemptOutcome,
    /// What the site said.
    pub said: String,
}

/// What came of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AttemptOutcome {
    /// The site said no, and nothing had changed.
    Refused,
    /// It was done.
    Allowed,
    /// The site does not know such a thing.
    NotOffered,
    /// Neither is certain; counted as allowed.
    #[default]
    Unclear,
}

/// How quick a site was during a probe.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct MeasuredDocument {
    /// Half of the writes of 4 KiB took no longer.
    pub write_p50_seconds: f64,
    /// 99 of 100 took no longer.
    pub write_p99_seconds: f64,
    /// Half of the reads of 4 KiB took no longer.
    pub read_p50_seconds: f64,
    /// 99 of 100 took no longer.
    pub read_p99_seconds: f64,
    /// While writing 2 MiB.
    pub write_bytes_per_second: u64,
    /// While reading them.
    pub read_bytes_per_second: u64,
}
