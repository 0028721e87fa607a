//! PostgreSQL: what is held of a cluster, and what was brought back.

use serde::{Deserialize, Serialize};

/// `restore --only postgres:NAME --json`: a data folder that was laid out.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(tag = "message_type", rename = "restore_postgres")]
pub struct RestorePostgresDocument {
    /// Name of the cluster in the configuration.
    pub name: String,
    /// The folder that was written.
    pub to: String,
    /// The data folder in it.
    pub data: String,
    /// The recovery point that it came from.
    pub recovery_point: String,
    /// Number of the base backup that it begins with.
    pub base_backup: u64,
    /// Timeline that recovery follows.
    pub timeline: u32,
    /// Where the base backup begins.
    pub from_lsn: String,
    /// Where the window ends.
    pub until_lsn: String,
    /// When that was, RFC 3339 UTC.
    pub until_time: String,
    /// The setting that stops recovery; `null` for the log's end.
    pub stop: Option<String>,
    /// Files written.
    pub files: u64,
    /// Bytes in them.
    pub bytes: u64,
    /// Segments of the log.
    pub segments: u64,
    /// Version of the server.
    pub version: String,
    /// From the moment the identity was present until all was written.
    pub elapsed_seconds: f64,
}

/// `postgres status --json`: what this host holds of the configured clusters.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(tag = "message_type", rename = "postgres_status")]
pub struct PostgresStatusDocument {
    /// Every cluster that was captured here.
    pub captures: Vec<PostgresCaptureDocument>,
}

/// One cluster.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PostgresCaptureDocument {
    /// Its name in the configuration.
    pub name: String,
    /// What the server calls it.
    pub system_identifier: String,
    /// Version of the server.
    pub version: String,
    /// Base backups held.
    pub base_backups: u64,
    /// Stretches any moment of which comes back; what lies between two of them does not.
    pub windows: Vec<PostgresWindowDocument>,
    /// Points of `pg_create_restore_point`.
    pub named_points: Vec<PostgresNamedPointDocument>,
    /// What happened to the capture, oldest first.
    pub events: Vec<PostgresEventDocument>,
}

/// A stretch any moment of which comes back.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PostgresWindowDocument {
    /// From this time on, RFC 3339 UTC.
    pub from_time: String,
    /// Up to this time.
    pub until_time: String,
    /// From this position on.
    pub from_lsn: String,
    /// Up to this position.
    pub until_lsn: String,
    /// Timeline at its end.
    pub timeline: u32,
}

/// A named point.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PostgresNamedPointDocument {
    /// Its name.
    pub name: String,
    /// When it was made, RFC 3339 UTC.
    pub time: String,
    /// Where it lies in the log.
    pub lsn: String,
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PostgresEventDocument {
    /// When, RFC 3339 UTC.
    pub time: String,
    /// What; the kinds are drawn in `formats/postgres.md`.
    pub event: String,
    /// On which timeline.
    pub timeline: u32,
    /// Where in the log.
    pub lsn: String,
    /// More about it; may be empty.
    pub detail: String,
}
