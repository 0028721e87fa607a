//! `[clients]`: the door for clients on other machines.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

/// `[clients]`: where clients on other machines reach this host, and who they are.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClientsConfig {
    /// Where it listens; none: only clients on this host are served, at a socket in the home.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listen: Option<SocketAddr>,
    /// `HOST:PORT` at which clients reach it, which the other hosts tell them.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub advertise: String,
    /// Who is let in.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub gateways: Vec<GatewayConfig>,
}

/// `[[clients.gateways]]`: a client on another machine.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GatewayConfig {
    /// What people call it, unique.
    pub name: String,
    /// SHA-256 of its certificate (DER), 64 hexadecimal digits, colons allowed.
    pub certificate_sha256: String,
    /// Whether it may send the operator's commands: listings, deposits, modes, rules.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub operates: bool,
}

impl GatewayConfig {
    /// The certificate's fingerprint; `None` if it is none.
    #[must_use]
    pub fn fingerprint(&self) -> Option<[u8; 32]> {
        let digits = self.certificate_sha256.replace(':', "").to_ascii_lowercase();
        crate::keyfile::unhex(&digits)?.try_into().ok()
    }
}
