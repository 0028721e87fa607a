//! `[network]`: the document of how the outside is reached.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// `[network]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NetworkConfig {
    /// The document; none: nothing is probed or protected.
    #[serde(skip_serializing_if = "is_unset")]
    pub document: PathBuf,
    /// `evenkeel up` asks everything this often, in seconds, and makes a version when something
    /// changed. 0: never; the cards of keys and the sites are looked at all the same.
    pub probe_every_seconds: u64,
    /// How long one server may take in all, in seconds.
    pub timeout_seconds: u64,
    /// A version is made when the document changed, and at the latest after this many seconds, for
    /// cursors and logs. 0: only when the document changed.
    pub version_every_seconds: u64,
    /// Every object of the versions is read at every site this often, in hours, and mended; 0: only
    /// when a site missed something.
    pub scrub_every_hours: u64,
    /// How old a version may be that a drill brings back, in seconds; nothing is promised of it
    /// where versions are made only when the document changes.
    pub rpo_seconds: u64,
    /// How long bringing it back may take, in seconds.
    pub rto_seconds: u64,
}

impl Default for NetworkConfig {
    fn default() -> Self {
        Self {
            document: PathBuf::new(),
            probe_every_seconds: 30,
            timeout_seconds: 5,
            version_every_seconds: 3_600,
            scrub_every_hours: 24,
            rpo_seconds: 7_200,
            rto_seconds: 600,
        }
    }
}

fn is_unset(path: &std::path::Path) -> bool {
    path.as_os_str().is_empty()
}

impl NetworkConfig {
    /// Whether there is a document.
    #[must_use]
    pub fn is_set(&self) -> bool {
        !is_unset(&self.document)
    }
}
