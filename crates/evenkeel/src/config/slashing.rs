//! `[[slashing]]`: signing histories of validators.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// `[[slashing]]`: a validator client's history, as an interchange file (EIP-3076).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SlashingConfig {
    /// Its name, unique.
    pub name: String,
    /// The interchange file; it may be written anew at any time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<PathBuf>,
    /// A command that prints the interchange file.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub command: Vec<String>,
    /// How long the command may take, in seconds.
    pub timeout_seconds: u64,
    /// When the chain began, in seconds since 1970 UTC; that of Ethereum's mainnet.
    pub genesis_unix_seconds: u64,
    /// How long an epoch is: 32 slots of 12 seconds.
    pub epoch_seconds: u64,
}

impl Default for SlashingConfig {
    fn default() -> Self {
        Self {
            name: String::new(),
            file: None,
            command: Vec::new(),
            timeout_seconds: 60,
            genesis_unix_seconds: 1_606_824_023,
            epoch_seconds: 384,
        }
    }
}

impl SlashingConfig {
    /// The epoch of a moment, in seconds since 1970 UTC.
    #[must_use]
    pub fn epoch_at(&self, unix_seconds: u64) -> u64 {
        unix_seconds.saturating_sub(self.genesis_unix_seconds) / self.epoch_seconds.max(1)
    }

    /// When an epoch begins, in seconds since 1970 UTC.
    #[must_use]
    pub fn begin_of(&self, epoch: u64) -> u64 {
        self.genesis_unix_seconds.saturating_add(epoch.saturating_mul(self.epoch_seconds))
    }
}
