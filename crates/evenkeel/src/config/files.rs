//! `[files]`: files and folders whose recovery points `evenkeel backup` makes.

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
}

impl Default for FilesConfig {
    fn default() -> Self {
        Self {
            paths: Vec::new(),
            exclude: Vec::new(),
            writer_key_file: "host/keys/state/files.key".into(),
            writer_certificate_file: "host/keys/state/files.certificate".into(),
            self_contained_every_points: 500,
        }
    }
}
