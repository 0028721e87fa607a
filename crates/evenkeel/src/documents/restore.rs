//! Restores.

use serde::{Deserialize, Serialize};

use super::PointKind;

/// Whether the newest data there is was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Freshness {
    /// A pin, an anchor or a witness confirms that nothing newer exists.
    Proven,
    /// Nothing newer was found; sites that did not answer or lie could hide it.
    #[default]
    Unproven,
}

/// `restore --json`: what was brought back.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(tag = "message_type", rename = "restore")]
pub struct RestoreDocument {
    /// Position restored: entries below it are back.
    pub position: u64,
    /// State root at the position, hex, recomputed from what was restored.
    pub state_root: String,
    /// From the moment the identity was present until the state was checked.
    pub elapsed_seconds: f64,
    /// Bytes read from the sites.
    pub bytes_read: u64,
    /// Sites data was read from.
    pub sites_used: Vec<String>,
    /// Sites that did not answer or had not what was needed.
    pub sites_missing: Vec<String>,
    /// When the newest restored data reached the sites, RFC 3339 UTC.
    pub last_shipped_time: Option<String>,
    /// The folder written to.
    pub to: String,
    /// Recovery point it started from.
    pub recovery_point: String,
    /// Entries replayed on top of the snapshot.
    pub entries_replayed: u64,
    /// Time of the newest entry restored, RFC 3339 UTC.
    pub entry_time: Option<String>,
    /// Journal root at the position, hex.
    pub journal_root: String,
    /// Output digest at the position, hex.
    pub output_digest: String,
    /// Lineage restored from, hex.
    pub lineage: String,
    /// The new lineage, hex, when the restore went live (`--promote`).
    pub promoted_lineage: Option<String>,
    /// Whether the newest data there is was seen.
    pub freshness: Freshness,
    /// What was restored; of files, the fields about entries and roots are 0 and empty.
    pub kind: PointKind,
    /// Files brought back, each name counted.
    pub files: u64,
    /// Folders brought back.
    pub folders: u64,
    /// Symbolic links brought back.
    pub links: u64,
    /// Bytes of files brought back, each compared with its hash.
    pub file_bytes: u64,
    /// BLAKE3 of the tree of files, hex; empty for a venue.
    pub tree_hash: String,
    /// Followed databases that came back, each as of a commit.
    pub databases: Vec<RestoredDatabaseDocument>,
    /// Where queries were answered before all of it was back (`--lazy`).
    pub lazy: Option<LazyRestoreDocument>,
}

/// How soon queries could be answered.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct LazyRestoreDocument {
    /// The folder that shows the databases.
    pub folder: String,
    /// Until a query could be answered, from the same moment as `elapsed_seconds`.
    pub first_answer_seconds: f64,
    /// Bytes read from the sites until then.
    pub first_answer_bytes: u64,
}

/// A followed database that came back.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct RestoredDatabaseDocument {
    /// Its path.
    pub path: String,
    /// Recovery point it started from; empty if tails alone brought it back.
    pub recovery_point: String,
    /// Number of the commit, counted since it is followed.
    pub commit: u64,
    /// The commit was certainly not there yet at this time, RFC 3339 UTC …
    pub after_time: String,
    /// … and seen at this time.
    pub time: String,
    /// Whether the time asked for lies in an interval that cannot be brought back.
    pub within_gap: bool,
    /// Intervals in what the sites hold of it that cannot be brought back.
    pub gaps: Vec<GapDocument>,
}

/// An interval of a database that cannot be brought back.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct GapDocument {
    /// Time of the last commit before it, RFC 3339 UTC.
    pub from: String,
    /// Time of the first behind it; `null` while it lasts.
    pub until: Option<String>,
    /// How it came about.
    pub why: String,
}
