//! `profile`: what a configuration promises as a whole.

use serde::{Deserialize, Serialize};

/// A strategy whose promises `config check`, and every start, enforces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Profile {
    /// Keys are on paper, metal and devices: at no site, and not on this machine.
    AirGapped,
    /// State is at k of n sites that no single operator, law or thief of this host takes away.
    EncryptedDistributed,
    /// As encrypted-distributed; and nothing is deleted without m of n people, after a delay.
    Multisig,
}

impl Profile {
    /// Its name, as the configuration has it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::AirGapped => "air-gapped",
            Self::EncryptedDistributed => "encrypted-distributed",
            Self::Multisig => "multisig",
        }
    }
}
