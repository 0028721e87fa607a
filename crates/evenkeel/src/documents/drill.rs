//! Drills: restores that are timed and checked.

use serde::{Deserialize, Serialize};

use super::{DrillLevel, Outcome};

/// `drill --json`: the report of one drill.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(tag = "message_type", rename = "drill")]
pub struct DrillDocument {
    /// Security domain: `state` or `network`.
    #[serde(default)]
    pub domain: String,
    /// Failed if one check failed, unproven if one configured check could not be made.
    pub result: Outcome,
    /// What the key used allows to prove.
    pub level: DrillLevel,
    /// Which key opened the data, by public name (`none` at D1).
    pub key_used: String,
    /// Id of the recovery point it started from; empty when none was found.
    pub recovery_point: String,
    /// Position restored.
    pub position: u64,
    /// Entries replayed on top of the snapshot.
    pub entries_replayed: u64,
    /// From the moment the identity was present until every check had passed; `null` when the
    /// drill did not get that far.
    pub rto_seconds: Option<f64>,
    /// Durable position when the drill began − position restored; `null` when the host could not
    /// be asked.
    pub rpo_entries: Option<u64>,
    /// Age of the newest entry restored when the drill began; `null` when not known.
    pub rpo_seconds: Option<f64>,
    /// Sites data was read from.
    pub sites_used: Vec<String>,
    /// Sites that did not answer.
    pub sites_missing: Vec<String>,
    /// Every check, configured or not.
    pub checks: Vec<CheckDocument>,
    /// Its number in the history.
    pub id: String,
    /// When it began, RFC 3339 UTC.
    pub time: String,
    /// Bytes read from the sites.
    pub bytes_read: u64,
    /// State root that was recomputed, hex.
    pub state_root: Option<String>,
    /// Journal root that was recomputed, hex.
    pub journal_root: Option<String>,
    /// Output digest that was recomputed, hex.
    pub output_digest: Option<String>,
    /// Where the time went, in order.
    pub phases: Vec<PhaseDocument>,
    /// Every source, beside what is promised of it; empty in reports of earlier versions.
    #[serde(default)]
    pub sources: Vec<SourceProofDocument>,
    /// Everything was proven, and every source is as new and as fast as promised.
    #[serde(default)]
    pub within_objectives: bool,
    /// Public key that signed the report and its signature, hex; `null` when unsigned.
    pub signature: Option<String>,
}

/// What a drill showed of one source.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct SourceProofDocument {
    /// `venue`, `files`, the path of a SQLite database, `postgres:NAME`, or `network`.
    pub name: String,
    /// `venue`, `files`, `sqlite`, `postgres` or `network`.
    pub kind: String,
    /// The worst result among its checks.
    pub result: Outcome,
    /// The recovery point that it came from; empty if there was none.
    pub recovery_point: String,
    /// Everything in it up to this moment came back, RFC 3339 UTC.
    pub until_time: Option<String>,
    /// Age of that moment when the drill began.
    pub rpo_seconds: Option<f64>,
    /// What is promised of it; `null` if nothing is.
    pub rpo_target_seconds: Option<f64>,
    /// How long it took until it was back.
    pub rto_seconds: Option<f64>,
    /// What is promised of that; `null` if nothing is.
    pub rto_target_seconds: Option<f64>,
    /// It came back right, as new and as fast as promised.
    pub within_objectives: bool,
}

/// One check of a drill.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct CheckDocument {
    /// Stable name, snake case: `state_root`, `journal_root`, `output_digest`, `equity`, ….
    pub name: String,
    /// How it ended.
    pub result: Outcome,
    /// What was compared, or why it could not be.
    pub detail: String,
}

/// One phase of a drill.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct PhaseDocument {
    /// Stable name, snake case: `catalog`, `fetch`, `decode`, `replay`, `check`.
    pub name: String,
    /// How long it took.
    pub seconds: f64,
}
