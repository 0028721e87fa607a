//! `root … --json`.

use serde::{Deserialize, Serialize};

/// `root … --json`: what a domain's root has to sign, or has signed.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(tag = "message_type", rename = "root")]
pub struct RootDocument {
    /// `request`, `show`, `sign` or `accept`.
    pub action: String,
    /// Who has to sign: an Ed25519 public key.
    pub root_public_key: String,
    /// What, in order.
    pub words: Vec<RootWordDocument>,
    /// Files written: the request, messages, signatures, or certificates.
    pub written: Vec<String>,
}

/// One thing that the root is asked to sign.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RootWordDocument {
    /// From 1 on.
    pub number: u64,
    /// `certificate`, `key-wrapped-anew`, `revocation` or `approval-policy`.
    pub says: String,
    /// The domain.
    pub domain: String,
    /// SHA-256 of the message, as `keys group sign` says it.
    pub sha256: String,
    /// What it says, a line each: `name: value`.
    pub words: Vec<String>,
    /// Whether it is signed and counts now; `null` where that is not known.
    pub counts: Option<bool>,
}
