//! Where the store is, and how a host shows who it is.

use std::fmt;

use zeroize::Zeroizing;

/// A user of the store.
#[derive(Clone)]
pub struct Login {
    /// Its name; empty: none.
    pub user: String,
    /// Its password. Never shown; the client library keeps a copy while it is connected, to log in
    /// again.
    pub password: Zeroizing<String>,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login").field("user", &self.user).finish_non_exhaustive()
    }
}

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
    /// A user of the role `root`, for defragmenting and disarming alone; `None`: the user above is
    /// tried, and if it may not, an operator has to.
    pub maintainer: Option<Login>,
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
            maintainer: None,
            timeout_ms: 2_000,
            quota_bytes: 2 << 30,
        }
    }
}

impl Access {
    /// The user for everything but maintenance.
    #[must_use]
    pub fn login(&self) -> Login {
        Login { user: self.user.clone(), password: self.password.clone() }
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
