//! What a home protects beside a venue, source by source.

use serde::{Deserialize, Serialize};

/// What kind of source it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SourceKind {
    /// Files and folders, taken at one time.
    #[default]
    Files,
    /// A live SQLite database, followed page by page.
    Sqlite,
    /// The document of how the outside is reached, with cursors and logs of indexers.
    Network,
    /// A PostgreSQL cluster, followed as a standby is fed.
    Postgres,
}

impl SourceKind {
    /// The word of the JSON documents.
    pub fn word(self) -> &'static str {
        match self {
            Self::Files => "files",
            Self::Sqlite => "sqlite",
            Self::Network => "network",
            Self::Postgres => "postgres",
        }
    }
}

/// How a source is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SourceState {
    /// Nothing of it has reached the sites since the daemon started.
    #[default]
    Waiting,
    /// What the sites hold is as new as promised.
    Protected,
    /// What the sites hold is older than promised.
    Behind,
    /// What happens to it now cannot be brought back.
    Unprotected,
}

impl SourceState {
    /// The word of the JSON documents.
    pub fn word(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Protected => "protected",
            Self::Behind => "behind",
            Self::Unprotected => "unprotected",
        }
    }
}

/// One source.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct ProtectedDocument {
    /// `files`, `network`, the path of a SQLite database, or `postgres:NAME`.
    pub name: String,
    /// What kind of source it is.
    pub kind: SourceKind,
    /// How it is doing.
    pub state: SourceState,
    /// The newest recovery point that holds it; `null` before the first.
    pub recovery_point: Option<String>,
    /// Everything in it up to this moment is at enough sites, RFC 3339 UTC; `null` before.
    pub time: Option<String>,
    /// What would be lost if this host vanished now, in seconds; `null` before `time`.
    pub rpo_seconds: Option<f64>,
    /// What was promised.
    pub rpo_target_seconds: f64,
    /// Sites that may still be lost; `null` before the first point.
    pub margin: Option<i64>,
    /// Intervals that cannot be brought back, since the daemon started.
    pub gaps: u64,
    /// What is wrong, for people; `null` if nothing is.
    pub detail: Option<String>,
    /// The last drill that brought it back; `null` before the first.
    pub last_proven_restore: Option<ProvenSourceDocument>,
}

/// A drill that brought a source back.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct ProvenSourceDocument {
    /// When it began, RFC 3339 UTC.
    pub time: String,
    /// How long ago that is.
    pub age_seconds: f64,
}
