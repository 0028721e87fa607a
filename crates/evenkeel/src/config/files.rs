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
    /// The signing key of the files' lineage, which is not the venue's.
    pub writer_key_file: PathBuf,
    /// What the root signed for that writer.
    pub writer_certificate_file: PathBuf,
    /// Every how many points one stands alone, without packs of earlier key periods; it is read
    /// and written whole.
    pub self_contained_every_points: u32,
    /// How hard it compresses: zstd's levels 1 to 19.
    pub zstd_level: i32,
    /// `evenkeel up` makes a recovery point this often, in seconds. 0: never.
    pub every_seconds: u64,
    /// How old what the sites hold of the files may be, in seconds; beyond it is an alarm.
    pub rpo_seconds: u64,
    /// How long a drill may take until all of them are back, in seconds.
    pub rto_seconds: u64,
}

impl Default for FilesConfig {
    fn default() -> Self {
        Self {
            paths: Vec::new(),
            exclude: Vec::new(),
            writer_key_file: "host/keys/state/files.key".into(),
            writer_certificate_file: "host/keys/state/files.certificate".into(),
            self_contained_every_points: 500,
            zstd_level: 1,
            every_seconds: 60,
            rpo_seconds: 120,
            rto_seconds: 3_600,
        }
    }
}
