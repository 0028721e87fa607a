//! `[quorum]`: the replicated store that decides which of several hosts writes.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{Config, FollowMode};
use crate::report::{Exit, Report, Result};

/// `[quorum]`: where the store is, and how this host shows who it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct QuorumConfig {
    /// `HOST:PORT` of every member of the store.
    pub endpoints: Vec<String>,
    /// Certificate of the authority that signed the members' certificates (PEM).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
    /// This host's certificate for the store (PEM).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate_file: Option<PathBuf>,
    /// Its key (PEM).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_file: Option<PathBuf>,
    /// User of the store; its role should reach this venue's keys and no others.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub user: String,
    /// The file that holds the user's password.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password_file: Option<PathBuf>,
    /// What the members were started with as `quota-backend-bytes`.
    pub quota_bytes: u64,
    /// `HOST:PORT` at which the other hosts reach this one's `link.listen`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub advertise: String,
}

impl Default for QuorumConfig {
    fn default() -> Self {
        Self {
            endpoints: Vec::new(),
            ca_file: None,
            certificate_file: None,
            key_file: None,
            user: String::new(),
            password_file: None,
            quota_bytes: 2 << 30,
            advertise: String::new(),
        }
    }
}

impl QuorumConfig {
    /// Reads `etcd://HOST:PORT,HOST:PORT,…`, as the command line has it.
    ///
    /// # Errors
    /// What is wrong with it, as a sentence.
    pub fn endpoints_of(text: &str) -> Result<Vec<String>, String> {
        let Some(list) = text.strip_prefix("etcd://") else {
            return Err(format!("`{text}` does not begin with etcd://"));
        };
        let endpoints: Vec<String> = list.split(',').map(|one| one.trim().to_owned()).collect();
        match endpoints.iter().find(|one| !is_address(one)) {
            Some(wrong) => Err(format!("`{wrong}` is not HOST:PORT")),
            None => Ok(endpoints),
        }
    }
}

impl Config {
    /// As `--log etcd://HOST:PORT,…` says: the shared log of several hosts.
    ///
    /// # Errors
    /// [`Exit::Usage`] naming what is no address.
    pub fn follow_quorum(&mut self, log: &str) -> Result<()> {
        let endpoints = QuorumConfig::endpoints_of(log).map_err(|what| {
            Report::new(Exit::Usage, what)
                .at("--log")
                .safe("nothing was started")
                .next("--log etcd://host-a:2379,host-b:2379,host-c:2379")
        })?;
        self.quorum.endpoints = endpoints;
        self.standby.mode = FollowMode::Quorum;
        Ok(())
    }
}

/// Whether it has the shape of `HOST:PORT`, with a port that can be connected to.
pub(super) fn is_address(text: &str) -> bool {
    text.rsplit_once(':').is_some_and(|(host, port)| {
        !host.is_empty() && !host.contains('/') && port.parse().is_ok_and(|port: u16| port > 0)
    })
}

#[cfg(test)]
mod tests {
    use super::QuorumConfig;

    #[test]
    fn the_command_line_names_every_member_or_is_refused_with_the_wrong_one() {
        let of = QuorumConfig::endpoints_of;
        assert_eq!(of("etcd://a:2379, b:1").unwrap(), ["a:2379", "b:1"]);
        assert_eq!(of("etcd://[::1]:2379").unwrap(), ["[::1]:2379"]);
        assert_eq!(of("zk://a:1").unwrap_err(), "`zk://a:1` does not begin with etcd://");
        for wrong in ["a", "a:", ":1", "a:0", "a:70000", "http://a:1", ""] {
            let said = of(&format!("etcd://b:1,{wrong}")).unwrap_err();
            assert_eq!(said, format!("`{wrong}` is not HOST:PORT"));
        }
    }
}
