//! Where the store is, and how a host shows who it is.

use std::fmt;

use zeroize::Zeroizing;

/// How the store is reached.
#[derive(Clone)]
pub struct Access {
    /// `HOST:PORT` of every member.
    pub endpoints: Vec<String>,
    /// Certificate of the authority that signed the members' certificates; `None`: no TLS.
    pub ca_pem: Option<String>,
    /// This host's certificate, if the members ask for one.
    pub certificate_pem: Option<String>,
    /// Its key. Never shown.
    pub key_pem: Option<Zeroizing<String>>,
    /// User, or empty without authentication.
    pub user: String,
    /// The user's password. Never shown.
    pub password: Zeroizing<String>,
    /// How long one call may take, in milliseconds.
    pub timeout_ms: u64,
    /// What the members were started with as `quota-backend-bytes`; they do not tell.
    pub quota_bytes: u64,
}

impl Default for Access {
    fn default() -> Self {
        Self {
            endpoints: Vec::new(),
            ca_pem: None,
            certificate_pem: None,
            key_pem: None,
            user: String::new(),
            password: String::new().into(),
            timeout_ms: 2_000,
            quota_bytes: 2 << 30,
        }
    }
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Access")
            .field("endpoints", &self.endpoints)
            .field("tls", &self.ca_pem.is_some())
            .field("user", &self.user)
            .field("timeout_ms", &self.timeout_ms)
            .field("quota_bytes", &self.quota_bytes)
            .finish_non_exhaustive()
    }
}
