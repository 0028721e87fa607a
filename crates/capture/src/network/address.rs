//! Addresses of servers, and references to credentials: a secret never stands in a document.

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Where a credential goes in a URL.
pub const CREDENTIAL_PLACE: &str = "{credential}";

/// Names of parameters whose value is a secret.
const SECRET_PARAMETERS: [&str; 10] = [
    "key",
    "apikey",
    "api_key",
    "api-key",
    "token",
    "access_token",
    "secret",
    "auth",
    "password",
    "dkey",
];

/// How an endpoint speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// JSON-RPC in requests of HTTP.
    Http,
    /// JSON-RPC in messages of a WebSocket (RFC 6455).
    Ws,
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Http => "http",
            Self::Ws => "ws",
        })
    }
}

/// A URL of a server, taken apart (RFC 3986, as far as servers of JSON-RPC use it).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// How it speaks.
    pub transport: Transport,
    /// Whether the connection is encrypted.
    pub tls: bool,
    /// Name or address, without the brackets of IPv6.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Path and query, beginning with `/`.
    pub path: String,
}

impl Address {
    /// Takes a URL apart; no message repeats any part of it.
    ///
    /// # Errors
    /// Why it is no address of a server.
    pub fn parse(url: &str) -> Result<Self, String> {
        let (scheme, rest) = url
            .split_once("://")
            .ok_or("the URL has no scheme; it begins with https://, http://, wss:// or ws://")?;
        let (transport, tls) = match scheme.to_ascii_lowercase().as_str() {
            "https" => (Transport::Http, true),
            "http" => (Transport::Http, false),
            "wss" => (Transport::Ws, true),
            "ws" => (Transport::Ws, false),
            _ => return Err("the URL's scheme is none of https, http, wss, ws".to_owned()),
        };
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        if authority.contains('@') {
            return Err("the URL holds a user name or a password".to_owned());
        }
        if url.contains('#') || url.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return Err("the URL holds a space, a control character or a `#`".to_owned());
        }
        let bad_port = || "the URL's port is no number from 1 to 65535".to_owned();
        let (host, port) = split_host(authority);
        let port = match port {
            Some(port) => port.parse().ok().filter(|port| *port > 0).ok_or_else(bad_port)?,
            None if tls => 443,
            None => 80,
        };
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':' | '_');
        if host.is_empty() || !host.chars().all(fits) {
            return Err("the URL's host is neither a name nor an address".to_owned());
        }
        let path = match path {
            "" => "/".to_owned(),
            query if query.starts_with('?') => format!("/{query}"),
            path => path.to_owned(),
        };
        Ok(Self { transport, tls, host: host.to_ascii_lowercase(), port, path })
    }

    /// `host:port`, as pins name it.
    #[must_use]
    pub fn authority(&self) -> String {
        match self.host.contains(':') {
            true => format!("[{}]:{}", self.host, self.port),
            false => format!("{}:{}", self.host, self.port),
        }
    }

    /// Whether it is on this machine by its name alone.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        let ip: Option<std::net::IpAddr> = self.host.parse().ok();
        self.host == "localhost" || ip.is_some_and(|ip| ip.is_loopback())
    }

    /// Which part of the path looks like a secret, in words that do not repeat it.
    #[must_use]
    pub fn secret_in_path(&self) -> Option<&'static str> {
        let (path, query) = self.path.split_once('?').unwrap_or((&self.path, ""));
        if path.split('/').any(is_token_like) {
            return Some("a part of its path looks like a key");
        }
        for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
            let (name, value) = parameter.split_once('=').unwrap_or(("", parameter));
            let named = SECRET_PARAMETERS.contains(&name.to_ascii_lowercase().as_str());
            if (named && !value.is_empty() && value != CREDENTIAL_PLACE) || is_token_like(value) {
                return Some("a parameter of its query looks like a key");
            }
        }
        None
    }
}

/// Host and port of `host`, `host:port`, `[v6]`, `[v6]:port`.
fn split_host(authority: &str) -> (&str, Option<&str>) {
    if let Some(inner) = authority.strip_prefix('[') {
        let (host, rest) = inner.split_once(']').unwrap_or((inner, ""));
        return (host, rest.strip_prefix(':'));
    }
    match authority.rsplit_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (authority, None),
    }
}

/// Long, of letters and digits mixed as people do not mix them. An address of 20 bytes is public.
fn is_token_like(word: &str) -> bool {
    let is_letter = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if word.len() < 20 || !word.chars().all(is_letter) {
        return false;
    }
    let any = |fits: fn(&char) -> bool| word.chars().any(|c| fits(&c));
    let mixed = any(char::is_ascii_digit) && any(char::is_ascii_alphabetic);
    let runs = word.split(|c: char| !c.is_ascii_alphanumeric());
    let long_run = runs.map(str::len).max().unwrap_or(0) >= 16;
    let both_cases = any(char::is_ascii_uppercase) && any(char::is_ascii_lowercase);
    mixed && (long_run || both_cases)
}

/// Where a credential is kept; never the credential.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum CredentialRef {
    /// The whole of a file that only its owner may read.
    File(PathBuf),
    /// A variable of the environment.
    Variable(String),
    /// What a program prints, such as one that asks a keyring.
    Command(Vec<String>),
}

impl CredentialRef {
    /// Reads a reference; no message repeats what was written.
    ///
    /// # Errors
    /// Why it is none, and what one looks like.
    pub fn parse(text: &str) -> Result<Self, String> {
        let forms = "a credential is named by reference: `file:PATH`, `env:NAME` or \
                     `command:PROGRAM WORD…`";
        let (kind, rest) = text.split_once(':').ok_or(forms)?;
        let rest = rest.trim();
        match kind {
            _ if rest.is_empty() => Err(forms.to_owned()),
            "file" => Ok(Self::File(rest.into())),
            "env" => {
                let fits = |c: char| c.is_ascii_alphanumeric() || c == '_';
                let is_name =
                    rest.chars().all(fits) && !rest.starts_with(|c: char| c.is_ascii_digit());
                if is_name { Ok(Self::Variable(rest.to_owned())) } else { Err(forms.to_owned()) }
            }
            "command" => Ok(Self::Command(rest.split_whitespace().map(str::to_owned).collect())),
            "keyring" => Err("a keyring is asked by its program, such as \
                              `command:secret-tool lookup service NAME`"
                .to_owned()),
            _ => Err(forms.to_owned()),
        }
    }
}

impl fmt::Display for CredentialRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "file:{}", path.display()),
            Self::Variable(name) => write!(f, "env:{name}"),
            Self::Command(words) => write!(f, "command:{}", words.join(" ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_taken_apart_with_the_ports_of_its_scheme() {
        let parse = |url| Address::parse(url).unwrap();
        let address = parse("https://Rpc.Example.com/v3?x=1");
        assert_eq!((address.host.as_str(), address.port), ("rpc.example.com", 443));
        assert_eq!((address.path.as_str(), address.tls), ("/v3?x=1", true));
        assert_eq!(parse("ws://127.0.0.1:8546").transport, Transport::Ws);
        assert_eq!(parse("http://[::1]:8545").authority(), "[::1]:8545");
        assert!(parse("http://localhost").is_loopback() && !parse("http://a.b").is_loopback());
        for bad in [
            "rpc.example.com",
            "ftp://x",
            "https://",
            "https://x:0",
            "https://x:y",
            "https://a b",
            "https://x/#f",
            "https://ü.example",
        ] {
            assert!(Address::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn keys_in_urls_are_recognised_and_words_and_addresses_of_people_are_not() {
        let secret = |path: &str| {
            Address::parse(&format!("https://h.example{path}")).unwrap().secret_in_path().is_some()
        };
        for path in [
            "/v3/0123456789abcdef0123456789abcdef",
            "/v2/Ab3dEf-gh1_jKLmN0pQrStUv",
            "/?apikey=abc",
            "/rpc?token=x",
            "/?x=0123456789abcdef0123456789abcdef",
        ] {
            assert!(secret(path), "{path}");
        }
        for path in [
            "/",
            "/v3/{credential}",
            "/?apikey={credential}",
            "/ext/bc/C/rpc",
            "/optimism-mainnet-archive-node-v3",
            "/api/v2/public/get_time",
        ] {
            assert!(!secret(path), "{path}");
        }
    }

    #[test]
    fn credentials_are_references_and_nothing_else() {
        for text in ["file:/run/keys/a", "env:RPC_KEY", "command:pass show rpc"] {
            assert_eq!(CredentialRef::parse(text).unwrap().to_string(), text);
        }
        assert!(CredentialRef::parse("file:").is_err());
        for text in ["0123456789abcdef", "env:A B", "env:1A", "keyring:x", "vault:x"] {
            let why = CredentialRef::parse(text).unwrap_err();
            assert!(!why.contains(text), "{why}");
        }
    }
}
