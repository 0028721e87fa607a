//! `[files]` and `[[databases]]`: what a desk has protected.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// `[files]`: what is backed up, and who signs for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FilesConfig {
    /// What `evenkeel backup` takes when no path is named.
    pub paths: Vec<PathBuf>,
    /// Patterns of what is left out.
    pub exclude: Vec<String>,
    /// Run before anything is read: puts whoever writes the files to rest.
    pub before: Vec<String>,
    /// Run when everything is read, whatever happened: lets them go on. Twice has to be harmless.
    pub after: Vec<String>,
    /// How long each of the two may take, in seconds.
    pub hook_timeout_seconds: u64,
    /// The signing key of the files' lineage, which is not the venue's.
    pub writer_key_file: PathBuf,
    /// What the root signed for that writer.
    pub writer_certificate_file: PathBuf,
    /// Every how many points one stands alone, without packs of earlier key periods; it is read
    /// and written whole.
    pub self_contained_every_points: u32,
    /// How hard it compresses: zstd's levels 1 to 19.
    pub zstd_level: i32,
    /// How hard while it has to wait for the sites anyway; never less than `zstd_level`.
    pub zstd_level_max: i32,
    /// `evenkeel up` makes a recovery point this often, in seconds. 0: never.
    pub every_seconds: u64,
    /// It also makes one once changes have settled for so long, in seconds. 0: only at intervals.
    pub settle_seconds: u64,
    /// How old what the sites hold of the files may be, in seconds; beyond it is an alarm.
    pub rpo_seconds: u64,
    /// How long a drill may take until all of them are back, in seconds.
    pub rto_seconds: u64,
    /// Whether `evenkeel up` follows the SQLite databases among the paths as they change.
    pub follow_databases: bool,
    /// The signing key of the lineage of followed databases.
    pub live_writer_key_file: PathBuf,
    /// What the root signed for that writer.
    pub live_writer_certificate_file: PathBuf,
}

impl Default for FilesConfig {
    fn default() -> Self {
        Self {
            paths: Vec::new(),
            exclude: Vec::new(),
            before: Vec::new(),
            after: Vec::new(),
            hook_timeout_seconds: 30,
            writer_key_file: "host/keys/state/files.key".into(),
            writer_certificate_file: "host/keys/state/files.certificate".into(),
            self_contained_every_points: 500,
            zstd_level: 1,
            zstd_level_max: 9,
            every_seconds: 60,
            settle_seconds: 2,
            rpo_seconds: 120,
            rto_seconds: 3_600,
            follow_databases: true,
            live_writer_key_file: "host/keys/state/live.key".into(),
            live_writer_certificate_file: "host/keys/state/live.certificate".into(),
        }
    }
}

/// What keeps a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DatabaseKind {
    /// A file of SQLite, in WAL mode.
    #[default]
    Sqlite,
}

/// `[[databases]]`: a database that `evenkeel up` follows as it changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DatabaseConfig {
    /// What keeps it.
    pub kind: DatabaseKind,
    /// Where it lies.
    pub path: PathBuf,
    /// What was captured goes to the sites this often, in seconds.
    pub every_seconds: u64,
    /// How old the sites' copy may be, in seconds; beyond it is an alarm.
    pub rpo_seconds: u64,
    /// How long a drill may take until it is back, in seconds.
    pub rto_seconds: u64,
}

impl Default for DatabaseConfig {
    fn default() -> Self {
        Self {
            kind: DatabaseKind::Sqlite,
            path: PathBuf::new(),
            every_seconds: 1,
            rpo_seconds: 2,
            rto_seconds: 3_600,
        }
    }
}
