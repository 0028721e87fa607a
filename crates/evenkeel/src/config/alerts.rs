//! `[alerts]`: who is told, outside of this machine.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// `[alerts]`: a dead man's switch and a webhook. Such an address is often a secret by itself:
/// then it belongs in a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AlertsConfig {
    /// Is asked for after every drill that proved everything, within what is promised. Whoever
    /// keeps it raises the alarm when it stays silent.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub deadman_url: String,
    /// A file that holds `deadman_url`, and nothing else.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deadman_url_file: Option<PathBuf>,
    /// Gets a JSON document by POST when a critical condition begins, and when it is over.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub webhook_url: String,
    /// A file that holds `webhook_url`, and nothing else.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub webhook_url_file: Option<PathBuf>,
    /// A condition that goes on is told again after so long, in seconds. 0: never.
    pub repeat_seconds: u64,
    /// Whom to believe to be those servers, instead of the system's authorities (PEM).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate_file: Option<PathBuf>,
}

impl Default for AlertsConfig {
    fn default() -> Self {
        Self {
            deadman_url: String::new(),
            deadman_url_file: None,
            webhook_url: String::new(),
            webhook_url_file: None,
            repeat_seconds: 14_400,
            certificate_file: None,
        }
    }
}
