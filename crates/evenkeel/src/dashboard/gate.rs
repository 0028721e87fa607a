//! Who may look.

use std::net::IpAddr;

use axum::http::{HeaderMap, Uri, header};

use evenkeel_types::merkle::leaf_hash;

/// Cookie that stands for the token after the first visit.
const COOKIE_NAME: &str = "evenkeel_dashboard";
/// Separates the cookie's hash from every other hash of the same token.
const COOKIE_CONTEXT: &str = "evenkeel dashboard cookie v1:";

/// Decides on each request.
pub(super) struct Gate {
    token: Option<Token>,
    loopback_only: bool,
}

struct Token {
    hash: [u8; 32],
    /// Derived from the token, so it survives a restart and does not disclose the token.
    cookie: String,
}

/// What to do with a request.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Answer it.
    Admit,
    /// The token came in the address: set the cookie, then go on without it.
    SetCookie {
        /// Value of `Set-Cookie`.
        cookie: String,
        /// Path and query to go on to, without the token.
        location: String,
    },
    /// No token, or a wrong one.
    Unauthorized,
    /// Addressed to a name that is not this machine's loopback name.
    Misdirected,
}

impl Gate {
    pub(super) fn new(bound: IpAddr, token: Option<String>) -> Self {
        let token = token.map(|token| Token {
            hash: leaf_hash(token.as_bytes()),
            cookie: hex(&leaf_hash(format!("{COOKIE_CONTEXT}{token}").as_bytes())),
        });
        Self { loopback_only: bound.is_loopback() && token.is_none(), token }
    }

    pub(super) fn judge(&self, uri: &Uri, headers: &HeaderMap) -> Verdict {
        if self.loopback_only && !addressed_to_loopback(headers) {
            return Verdict::Misdirected;
        }
        let Some(token) = &self.token else {
            return Verdict::Admit;
        };
        if bearer(headers).is_some_and(|given| token.matches(given))
            || cookie(headers).is_some_and(|given| same_bytes(given, &token.cookie))
        {
            return Verdict::Admit;
        }
        match split_token(uri) {
            Some((given, location)) if token.matches(&given) => Verdict::SetCookie {
                cookie: format!(
                    "{COOKIE_NAME}={}; Path=/; HttpOnly; SameSite=Strict; Max-Age=2592000",
                    token.cookie
                ),
                location,
            },
            _ => Verdict::Unauthorized,
        }
    }
}

impl Token {
    fn matches(&self, given: &str) -> bool {
        same_hash(&leaf_hash(given.as_bytes()), &self.hash)
    }
}

/// Compares by hash, so that neither content nor length shows in the time it takes.
fn same_bytes(left: &str, right: &str) -> bool {
    same_hash(&leaf_hash(left.as_bytes()), &leaf_hash(right.as_bytes()))
}

fn same_hash(left: &[u8; 32], right: &[u8; 32]) -> bool {
    let difference = left.iter().zip(right).fold(0_u8, |sum, (l, r)| sum | (l ^ r));
    std::hint::black_box(difference) == 0
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// A page on another name that resolves to 127.0.0.1 sends its own name here.
fn addressed_to_loopback(headers: &HeaderMap) -> bool {
    let Some(host) = headers.get(header::HOST).and_then(|host| host.to_str().ok()) else {
        return false;
    };
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    name.eq_ignore_ascii_case("localhost")
        || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn cookie(headers: &HeaderMap) -> Option<&str> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(name, _)| *name == COOKIE_NAME)
        .map(|(_, value)| value)
}

/// The token in the address, percent-decoded, and the address without it.
fn split_token(uri: &Uri) -> Option<(String, String)> {
    let query = uri.query()?;
    let (mine, rest): (Vec<_>, Vec<_>) =
        query.split('&').partition(|pair| pair.starts_with("token="));
    let token = percent_decode(mine.first()?.strip_prefix("token=")?)?;
    let path = uri.path();
    // A path that begins with two slashes would send the browser to another host.
    let path = if path.starts_with("//") { "/" } else { path };
    let location =
        if rest.is_empty() { path.to_owned() } else { format!("{path}?{}", rest.join("&")) };
    Some((token, location))
}

fn percent_decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        rest = tail;
        if first == b'%' {
            let digits = std::str::from_utf8(rest.get(..2)?).ok()?;
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
            rest = rest.get(2..)?;
        } else {
            bytes.push(first);
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "correct horse battery staple";
    const LOOPBACK: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
    const ANYWHERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED);

    fn headers(pairs: &[(header::HeaderName, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect()
    }

    #[test]
    fn on_loopback_only_loopback_names_are_answered() {
        let gate = Gate::new(LOOPBACK, None);
        let root = Uri::from_static("/");
        for good in ["localhost", "LOCALHOST:7171", "127.0.0.1:7171", "127.8.8.8", "[::1]:7171"] {
            assert_eq!(
                gate.judge(&root, &headers(&[(header::HOST, good)])),
                Verdict::Admit,
                "{good}"
            );
        }
        for bad in ["evil.example", "127.0.0.1.evil.example", "10.0.0.1", "localhost.evil", ""] {
            let verdict = gate.judge(&root, &headers(&[(header::HOST, bad)]));
            assert_eq!(verdict, Verdict::Misdirected, "{bad}");
        }
        assert_eq!(gate.judge(&root, &HeaderMap::new()), Verdict::Misdirected);
    }

    #[test]
    fn a_token_is_taken_from_the_bearer_header_and_a_wrong_one_is_not() {
        let gate = Gate::new(ANYWHERE, Some(TOKEN.to_owned()));
        let root = Uri::from_static("/api/status");
        let judge = |value: &str| gate.judge(&root, &headers(&[(header::AUTHORIZATION, value)]));
        assert_eq!(judge(&format!("Bearer {TOKEN}")), Verdict::Admit);
        assert_eq!(judge(&format!("bearer {TOKEN}")), Verdict::Admit);
        assert_eq!(judge(&format!("Basic {TOKEN}")), Verdict::Unauthorized);
        assert_eq!(judge(&format!("Bearer {TOKEN}x")), Verdict::Unauthorized);
        assert_eq!(judge("Bearer "), Verdict::Unauthorized);
        assert_eq!(gate.judge(&root, &HeaderMap::new()), Verdict::Unauthorized);
    }

    #[test]
    fn the_token_in_the_address_becomes_a_cookie_that_is_not_the_token() {
        let gate = Gate::new(ANYWHERE, Some(TOKEN.to_owned()));
        let first: Uri = "/points?all=1&token=correct%20horse%20battery%20staple".parse().unwrap();
        let Verdict::SetCookie { cookie, location } = gate.judge(&first, &HeaderMap::new()) else {
            panic!("the right token in the address sets a cookie");
        };
        assert_eq!(location, "/points?all=1");
        assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"));
        assert!(!cookie.contains("horse"));
        let pair = cookie.split(';').next().unwrap();
        let next = headers(&[(header::COOKIE, &format!("other=1; {pair}"))]);
        assert_eq!(gate.judge(&Uri::from_static("/"), &next), Verdict::Admit);
        let forged = headers(&[(header::COOKIE, &format!("{COOKIE_NAME}=00"))]);
        assert_eq!(gate.judge(&Uri::from_static("/"), &forged), Verdict::Unauthorized);
    }

    #[test]
    fn a_redirect_never_leaves_this_server() {
        let gate = Gate::new(ANYWHERE, Some("aaaaaaaaaaaaaaaa".to_owned()));
        let uri: Uri = "//evil.example/?token=aaaaaaaaaaaaaaaa".parse().unwrap();
        if let Verdict::SetCookie { location, .. } = gate.judge(&uri, &HeaderMap::new()) {
            assert!(!location.starts_with("//"), "{location}");
        }
    }

    #[test]
    fn a_malformed_token_in_the_address_is_a_wrong_token() {
        let gate = Gate::new(ANYWHERE, Some(TOKEN.to_owned()));
        for query in ["/?token=%", "/?token=%zz", "/?token=%ff", "/?token=", "/?token"] {
            let uri: Uri = query.parse().unwrap();
            assert_eq!(gate.judge(&uri, &HeaderMap::new()), Verdict::Unauthorized, "{query}");
        }
    }
}
