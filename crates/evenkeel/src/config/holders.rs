//! `[[domains.*.holders]]`: who stands behind a recipient, for people.

use serde::{Deserialize, Serialize};

/// What a recipient is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum HolderRole {
    /// The recovery identity: opens everything, and certifies writers.
    Recovery,
    /// The drill host: opens everything, to prove restores.
    DrillHost,
    /// A standby that begins from what the sites hold.
    Standby,
    /// Somebody else who can open everything.
    #[default]
    Holder,
}

impl std::fmt::Display for HolderRole {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Recovery => "recovery",
            Self::DrillHost => "drill host",
            Self::Standby => "standby",
            Self::Holder => "holder",
        })
    }
}

/// Why a recipient was removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum RemovedBecause {
    /// Its identity is gone, and nobody has it.
    Lost,
    /// Somebody else may have its identity.
    Compromised,
    /// It has left, or another one took its place.
    Replaced,
}

impl std::fmt::Display for RemovedBecause {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Lost => "lost",
            Self::Compromised => "compromised",
            Self::Replaced => "replaced",
        })
    }
}

/// `[[domains.*.holders]]`: who stands behind a recipient, now or formerly.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HolderConfig {
    /// The recipient, `age1…`.
    pub recipient: String,
    /// What people call it; unique in its domain.
    pub label: String,
    /// What it is for.
    pub role: HolderRole,
    /// Since when it has been one, RFC 3339 UTC.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub since: String,
    /// Where its identity is said to be kept; never the identity itself.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub kept_at: String,
    /// Since when it is one no more, RFC 3339 UTC; then it is not in `recipients`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub removed: String,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub because: Option<RemovedBecause>,
}

impl HolderConfig {
    /// Whether periods are wrapped for it no more.
    #[must_use]
    pub fn is_removed(&self) -> bool {
        !self.removed.is_empty()
    }
}
