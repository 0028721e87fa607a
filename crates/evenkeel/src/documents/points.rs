//! Recovery points.

use serde::{Deserialize, Serialize};

use super::{ErasureDocument, Freshness};

/// `points --json`: the recovery points that can be listed, oldest first.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(tag = "message_type", rename = "points")]
pub struct PointsDocument {
    /// The erasure code in force.
    pub erasure: ErasureDocument,
    /// Whether this list is known to be the newest there is.
    pub freshness: Freshness,
    /// The points, oldest first.
    pub points: Vec<PointDocument>,
    /// Intervals of followed databases and PostgreSQL clusters that no point can bring back, as
    /// the host that captures them knows them; empty on other machines.
    #[serde(default)]
    pub gaps: Vec<SourceGapDocument>,
}

/// An interval of a source that cannot be brought back.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct SourceGapDocument {
    /// Name of the source.
    pub source: String,
    /// Everything up to this moment can be brought back, RFC 3339 UTC.
    pub from: String,
    /// Everything from this moment on; `null` while it lasts.
    pub until: Option<String>,
    /// How it came about.
    pub why: String,
}

/// What a recovery point holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PointKind {
    /// The state of the venue, with its journal.
    #[default]
    Venue,
    /// Files and folders.
    Files,
    /// Databases that are followed as they change.
    Live,
    /// Network metadata, in a domain of its own; the position is the version's number.
    Network,
}

/// One recovery point.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct PointDocument {
    /// Its id.
    pub id: String,
    /// What it holds.
    #[serde(default)]
    pub kind: PointKind,
    /// Security domain.
    pub domain: String,
    /// Lineage, hex.
    pub lineage: String,
    /// Position it restores.
    pub position: u64,
    /// When it was taken, RFC 3339 UTC.
    pub time: String,
    /// How long ago that is.
    pub age_seconds: f64,
    /// State root at the position, hex.
    pub state_root: String,
    /// RFC 6962 root over the journal below the position, hex.
    pub journal_root: String,
    /// The engine's digest chain at the position, hex.
    pub output_digest: String,
    /// Bytes this point added to the sites, all shards together.
    pub bytes: u64,
    /// Verified shards − k over all objects it needs. Negative: cannot be restored now.
    pub margin: i64,
    /// Whether all n sites hold it.
    pub full: bool,
    /// Sites that hold all their share of it.
    pub sites: Vec<String>,
    /// Whether it needs no other point to be read.
    pub self_contained: bool,
    /// Whether its writer's signature was checked.
    pub signed: bool,
    /// When a drill last proved this point, RFC 3339 UTC.
    pub proven_time: Option<String>,
}
