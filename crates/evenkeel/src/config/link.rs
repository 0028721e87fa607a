//! `[link]` and `[standby]`: how primary and standby find each other.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::Config;

/// `[link]`: where a primary serves standbys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LinkConfig {
    /// Where it listens; with port 0 at a free one, which `host/link/address` names.
    pub listen: SocketAddr,
}

impl Default for LinkConfig {
    fn default() -> Self {
        Self { listen: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0) }
    }
}

/// Whose journal a standby keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FollowMode {
    /// None of its own: it runs in the primary's home, and opens its journal when it takes over.
    #[default]
    Shared,
    /// A copy in a home of its own, on another host.
    Mirror,
    /// A copy in a home of its own; `[quorum]` decides which host writes.
    Quorum,
}

/// `[standby]`: what a standby of this home follows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StandbyConfig {
    /// What people call it.
    pub name: String,
    /// Whose journal it keeps.
    pub mode: FollowMode,
    /// `HOST:PORT` of the primary's link; in the primary's own home it is found there.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub follow: String,
    /// Opens what the sites hold: with it a host without a journal begins with the newest state
    /// that they give back, and follows from there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub identity_file: Option<PathBuf>,
}

impl Default for StandbyConfig {
    fn default() -> Self {
        Self {
            name: "standby".to_owned(),
            mode: FollowMode::Shared,
            follow: String::new(),
            identity_file: None,
        }
    }
}

impl Config {
    /// Where the link's certificates lie.
    #[must_use]
    pub fn link_dir(&self) -> PathBuf {
        self.host.data.join("link")
    }

    /// Says where the primary of this home listens for standbys, while there is one.
    #[must_use]
    pub fn link_address_file(&self) -> PathBuf {
        self.link_dir().join("address")
    }
}
