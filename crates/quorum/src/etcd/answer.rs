//! What an error of etcd means.

use std::error::Error as _;
use std::fmt;

use etcd_client::Error;

use crate::store::Unreachable;

/// Largest answer that is taken, in bytes. etcd takes requests of up to 1.5 MiB, but answers a
/// range with as much as it holds.
pub(super) const MESSAGE_BYTES_MAX: usize = 32 << 20;

/// Why a call did not bring what was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Failure {
    /// It has no space.
    Full(String),
    /// User, password, certificate or role; asking again brings the same.
    Forbidden(String),
    /// The login has expired, or the users have changed since; nothing was done.
    LoginExpired(String),
    /// The answer is larger than [`MESSAGE_BYTES_MAX`].
    TooLarge(String),
    /// The revision is compacted already.
    Compacted,
    /// Anything else: no answer, no leader, a cut connection.
    Silent(String),
}

impl Failure {
    /// Whether asking again, or somebody else, makes no sense.
    pub(super) fn is_final(&self) -> bool {
        matches!(self, Self::Forbidden(_) | Self::TooLarge(_) | Self::Full(_) | Self::Compacted)
    }

    pub(super) fn at(endpoint: &str, error: &Error) -> Self {
        let text = with_causes(error);
        let has = |part: &str| text.contains(part);
        let said = format!("{endpoint}: {text}");
        if has("database space exceeded") {
            Self::Full(said)
        } else if has("required revision has been compacted") {
            Self::Compacted
        } else if has("message length too large") {
            Self::TooLarge(said)
        } else if has("invalid auth token")
            || has("revision of auth store is old")
            || has("auth: revision in header is old")
        {
            Self::LoginExpired(said)
        } else if has("invalid user ID or password") || has("user name is empty") {
            Self::Forbidden(format!("{said} (check user and password)"))
        } else if has("permission denied") {
            Self::Forbidden(format!("{said} (check the user's role: it needs the prefix)"))
        } else if has("UnknownIssuer") || has("BadSignature") {
            Self::Forbidden(format!("{said} (its certificate is not signed by the CA given)"))
        } else if has("invalid peer certificate")
            || has("BadCertificate")
            || has("CertificateRequired")
            || has("UnknownCA")
            || has("bad certificate")
        {
            Self::Forbidden(format!("{said} (check the certificates on both sides)"))
        } else {
            Self::Silent(said)
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full(why)
            | Self::Forbidden(why)
            | Self::LoginExpired(why)
            | Self::TooLarge(why)
            | Self::Silent(why) => f.write_str(why),
            Self::Compacted => f.write_str("the revision is compacted"),
        }
    }
}

impl From<Failure> for Unreachable {
    fn from(failure: Failure) -> Self {
        Self(failure.to_string())
    }
}

/// The message with those below it: "transport error" alone helps nobody.
fn with_causes(error: &Error) -> String {
    let (mut text, mut cause) = match error {
        Error::GRpcStatus(status) => (status.message().to_owned(), status.source()),
        Error::TransportError(error) => (error.to_string(), error.source()),
        other => (other.to_string(), other.source()),
    };
    while let Some(below) = cause {
        let said = below.to_string();
        if !text.contains(&said) {
            text = format!("{text}: {said}");
        }
        cause = below.source();
    }
    text
}
