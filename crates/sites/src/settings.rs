//! How a site is reached: endpoint, credentials, patience.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use http::Uri;
use http::uri::Scheme;
use thiserror::Error;

use crate::credential::CredentialSource;
use crate::pace::Bandwidth;
use crate::versions::Lock;

/// Why a site cannot be reached as it is configured; found before anything is sent.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SettingsError {
    /// The endpoint is not usable.
    #[error("endpoint {endpoint}: {why}")]
    Endpoint {
        /// As it was given.
        endpoint: String,
        /// What is wrong and what to write instead.
        why: String,
    },
    /// The credential cannot be read.
    #[error("credentials: {source_name} {why}")]
    Credential {
        /// Where it should be.
        source_name: String,
        /// What is wrong.
        why: String,
    },
    /// Certificates of authorities cannot be read.
    #[error("certificates: {0}")]
    Certificates(String),
    /// The bucket or the prefix has no usable name.
    #[error("{what} {name:?}: only letters, digits, - _ . and / (no empty parts)")]
    Name {
        /// Bucket or prefix.
        what: &'static str,
        /// As it was given.
        name: String,
    },
    /// Anything the protocol's client refuses.
    #[error("{0}")]
    Client(String),
}

/// Where a server listens: `https://host[:port][/path]`.
///
/// Plain `http` is for this machine alone unless it is allowed: S3 signatures protect credentials
/// on the way, not what is asked or answered; WebDAV would send the password itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    pub(crate) url: String,
    pub(crate) path: String,
    pub(crate) tls: bool,
}

impl Endpoint {
    /// Checks an endpoint.
    ///
    /// # Errors
    /// [`SettingsError::Endpoint`] if it is no such address, has a user, query or fragment in it,
    /// or is plain `http` to another machine without `allow_http`.
    pub fn parse(text: &str, allow_http: bool) -> Result<Self, SettingsError> {
        let fail = |why: &str| SettingsError::Endpoint {
            endpoint: without_user(text),
            why: why.to_owned(),
        };
        let uri: Uri = text.parse().map_err(|_| fail("write https://host[:port][/path]"))?;
        let tls = match uri.scheme() {
            Some(scheme) if *scheme == Scheme::HTTPS => true,
            Some(scheme) if *scheme == Scheme::HTTP => false,
            _ => return Err(fail("begin it with https://")),
        };
        let host = uri.host().filter(|host| !host.is_empty());
        let host = host.ok_or_else(|| fail("write https://host[:port][/path]"))?;
        if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
            return Err(fail("credentials do not belong here; name a file or a variable instead"));
        }
        if uri.query().is_some() {
            return Err(fail("a query does not belong here"));
        }
        if !tls && !allow_http && !is_loopback(host) {
            return Err(fail(
                "plain http to another machine can be read and changed on the way; use https, or \
                 say allow_http = true if the network itself is encrypted",
            ));
        }
        let path = uri.path().trim_end_matches('/').to_owned();
        Ok(Self { url: text.trim_end_matches('/').to_owned(), path, tls })
    }

    /// The address, without a trailing `/`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }
}

/// An address that somebody put a password into is not repeated in a message.
fn without_user(text: &str) -> String {
    match (text.find("://"), text.rfind('@')) {
        (Some(scheme), Some(at)) if at > scheme => {
            format!("{}://…{}", &text[..scheme], &text[at..])
        }
        _ => text.to_owned(),
    }
}

fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// How long a site is waited for, and how often it is asked again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// Until a connection stands.
    pub connect: Duration,
    /// Until an answer begins, and the longest silence within one.
    pub answer: Duration,
    /// Slowest transfer that is waited for once `answer` has passed, in bytes per second.
    pub rate_min_bytes_per_second: u64,
    /// How often a request that may be repeated is repeated.
    pub repeats: u32,
    /// Longest object that is read; a longer answer is a misread, whatever the site says.
    pub object_bytes_max: u64,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            answer: Duration::from_secs(30),
            rate_min_bytes_per_second: 1000,
            repeats: 3,
            object_bytes_max: 256 * 1024 * 1024,
        }
    }
}

impl Patience {
    /// The longest a transfer of `bytes` may take.
    pub(crate) fn transfer(&self, bytes: u64) -> Duration {
        let rate = self.rate_min_bytes_per_second.max(1);
        self.answer.saturating_add(Duration::from_secs(bytes / rate))
    }
}

/// A bucket of an S3-compatible store, addressed by path (`endpoint/bucket/key`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct S3Settings {
    /// The server.
    pub endpoint: Endpoint,
    /// As the server calls it; any word for servers that have none.
    pub region: String,
    /// The bucket; it has to exist.
    pub bucket: String,
    /// In front of every name, empty or ending in `/`.
    pub prefix: String,
    /// Who asks.
    pub credential: CredentialSource,
    /// Certificates that are trusted for this site, instead of the system's (PEM).
    pub certificates: Option<PathBuf>,
    /// A probe has shown that the store refuses to replace an object when asked not to
    /// (`If-None-Match: *`). Until then every put looks first and reads back after.
    pub conditional_put: bool,
    /// A probe has shown that the bucket keeps versions: an object's first one is read, whatever
    /// was written over it.
    pub versions: bool,
    /// What the bucket locks new objects with, as a probe has shown.
    pub lock: Option<Lock>,
    /// How long it is waited for.
    pub patience: Patience,
    /// How fast it may be written to and read.
    pub bandwidth: Bandwidth,
}

/// A folder of a WebDAV server (RFC 4918).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebDavSettings {
    /// The folder; it has to exist.
    pub endpoint: Endpoint,
    /// Who asks (Basic, RFC 7617); none for servers that ask nobody.
    pub credential: Option<CredentialSource>,
    /// Certificates that are trusted for this site, instead of the system's (PEM).
    pub certificates: Option<PathBuf>,
    /// As for [`S3Settings::conditional_put`].
    pub conditional_put: bool,
    /// How long it is waited for.
    pub patience: Patience,
    /// How fast it may be written to and read.
    pub bandwidth: Bandwidth,
}

/// Whether a bucket or prefix (`what` says which) has only what such a name may have.
///
/// # Errors
/// [`SettingsError::Name`] if not.
pub fn check_site_name(what: &'static str, name: &str) -> Result<(), SettingsError> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let parts = name.strip_suffix('/').unwrap_or(name);
    let good = |part: &str| !part.is_empty() && !part.starts_with('.') && part.bytes().all(plain);
    let slashes = what == "prefix";
    let fits = match slashes {
        true => name.is_empty() || (name.ends_with('/') && parts.split('/').all(good)),
        false => good(name),
    };
    if fits { Ok(()) } else { Err(SettingsError::Name { what, name: name.to_owned() }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_is_for_this_machine_alone_unless_it_is_allowed() {
        for local in ["http://127.0.0.1:9000", "http://[::1]:9000/x", "http://localhost"] {
            assert!(!Endpoint::parse(local, false).unwrap().tls);
        }
        for other in
            ["http://10.0.0.7:9000", "http://localhost.example.org", "http://127.0.0.1.nip"]
        {
            let error = Endpoint::parse(other, false).unwrap_err().to_string();
            assert!(error.contains("allow_http"), "{error}");
            assert!(Endpoint::parse(other, true).is_ok());
        }
        assert!(Endpoint::parse("https://s3.example.org/x/", false).unwrap().tls);
    }

    #[test]
    fn an_endpoint_holds_no_credentials_and_the_message_does_not_repeat_them() {
        let error = Endpoint::parse("https://me:hush@host", false).unwrap_err().to_string();
        assert!(error.contains("do not belong here") && !error.contains("hush"), "{error}");
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in ["", "host", "ftp://host", "https://", "https://host/?a", "https:///x"] {
            assert!(Endpoint::parse(text, true).is_err(), "{text:?}");
        }
    }

    #[test]
    fn buckets_and_prefixes_have_plain_names() {
        for good in ["", "a/", "a/b-1/"] {
            check_site_name("prefix", good).unwrap();
        }
        for bad in ["a", "/", "/a/", "a//b/", "../", "a/./"] {
            assert!(check_site_name("prefix", bad).is_err(), "{bad:?}");
        }
        check_site_name("bucket", "vault-a").unwrap();
        for bad in ["", "a/b", "..", ".a", "a b"] {
            assert!(check_site_name("bucket", bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_slow_transfer_has_the_time_its_size_needs() {
        let patience = Patience::default();
        assert_eq!(patience.transfer(0), Duration::from_secs(30));
        assert_eq!(patience.transfer(4_000_000), Duration::from_secs(30 + 4000));
    }
}
