//! `network.toml`: the document, its rules, its canonical form.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::address::{Address, CREDENTIAL_PLACE, CredentialRef, Transport};
use super::error::{DocumentError, nearest};

/// The only format of the document so far.
pub const FORMAT: u32 = 1;

/// Everything that is needed to reach the outside again. After reading, every list is in order of
/// its names, and nothing in it is a secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Document {
    /// [`FORMAT`].
    pub format: u32,
    /// The chains.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub chains: Vec<Chain>,
    /// Where they are reached.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub endpoints: Vec<Endpoint>,
    /// What reads them and remembers how far.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub indexers: Vec<Indexer>,
    /// Exchanges' servers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exchanges: Vec<Exchange>,
    /// Who may be paid or let in.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allow: Vec<AllowList>,
    /// What names have to resolve to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dns: Vec<DnsPin>,
    /// What keys servers have to show.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tls: Vec<TlsPin>,
    /// Keys whose public records are kept with every version.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<KeyEntry>,
}

/// `[[chains]]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Chain {
    /// What the other tables call it.
    pub name: String,
    /// Its number (EIP-155).
    pub chain_id: u64,
    /// Blocks behind the lowest head that is in sync at which hashes are compared: younger blocks
    /// may still be exchanged.
    #[serde(default = "settled_blocks")]
    pub settled_blocks: u64,
    /// An endpoint further behind the best head is stale.
    #[serde(default = "max_lag_blocks")]
    pub max_lag_blocks: u64,
}

fn settled_blocks() -> u64 {
    8
}

fn max_lag_blocks() -> u64 {
    16
}

/// `[[endpoints]]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Endpoint {
    /// Its name, unique.
    pub name: String,
    /// A chain's name.
    pub chain: String,
    /// Where; `{credential}` stands for what `credential` names.
    pub url: String,
    /// How it speaks; follows from the URL where it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transport: Option<Transport>,
    /// Lower is used first among those that are in sync.
    #[serde(default = "priority")]
    pub priority: u32,
    /// A reference: `file:PATH`, `env:NAME`, `command:PROGRAM WORD…`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential: Option<String>,
    /// Our own node: its word decides which of two histories is the right one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub trusted: bool,
    /// What looks like a key in the URL is none.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub public_url: bool,
}

fn priority() -> u32 {
    100
}

/// `[[indexers]]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Indexer {
    /// Its name, unique.
    pub name: String,
    /// The chain it reads.
    pub chain: String,
    /// A file whose whole content is the number of the last block that is done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor_file: Option<PathBuf>,
    /// Its log, kept with every version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_file: Option<PathBuf>,
}

/// What an exchange's server is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ExchangeKind {
    /// JSON-RPC as Deribit speaks it: `public/test`.
    Deribit,
    /// Any answer of HTTP below 500.
    Http,
}

/// `[[exchanges]]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exchange {
    /// Its name, unique.
    pub name: String,
    /// Where.
    pub url: String,
    /// What it is asked.
    pub kind: ExchangeKind,
}

/// `[[allow]]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AllowList {
    /// Its name, unique.
    pub name: String,
    /// Addresses of accounts, as they are written on their chain.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<String>,
    /// Addresses of machines, or networks as `ADDRESS/BITS`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ips: Vec<String>,
}

/// `[[dns]]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DnsPin {
    /// A host's name, unique.
    pub name: String,
    /// All addresses that it may resolve to.
    pub addresses: Vec<IpAddr>,
}

/// `[[tls]]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsPin {
    /// A host's name, or `name:port`; unique.
    pub host: String,
    /// SHA-256 of the public keys it may show (SubjectPublicKeyInfo, RFC 7469), base64.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub spki_sha256: Vec<String>,
    /// Certificates of authorities that are trusted for it instead of the system's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
}

/// `[[keys]]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyEntry {
    /// Its name, unique.
    pub name: String,
    /// Its public record: a fingerprint record, or the record of a group.
    pub record: PathBuf,
    /// The log of drills of its cards.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drill_log: Option<PathBuf>,
    /// A card whose last drill is older than so many days is due.
    #[serde(default = "stale_days")]
    pub stale_days: u64,
}

fn stale_days() -> u64 {
    90
}

impl Document {
    /// Reads a document.
    ///
    /// # Errors
    /// The first thing that is wrong, with its line and what to do. No message repeats a URL.
    pub fn parse(text: &str) -> Result<Self, DocumentError> {
        let mut document: Self =
            toml::from_str(text).map_err(|error| DocumentError::of_toml(&error, text))?;
        Checker { text }.check(&document)?;
        document.order();
        Ok(document)
    }

    fn order(&mut self) {
        self.chains.sort_by(|a, b| a.name.cmp(&b.name));
        self.endpoints.sort_by(|a, b| a.name.cmp(&b.name));
        self.indexers.sort_by(|a, b| a.name.cmp(&b.name));
        self.exchanges.sort_by(|a, b| a.name.cmp(&b.name));
        self.allow.sort_by(|a, b| a.name.cmp(&b.name));
        self.dns.sort_by(|a, b| a.name.cmp(&b.name));
        self.tls.sort_by(|a, b| a.host.cmp(&b.host));
        self.keys.sort_by(|a, b| a.name.cmp(&b.name));
        for endpoint in &mut self.endpoints {
            // What follows from the URL is said, so that saying it is no other document.
            endpoint.transport = Address::parse(&endpoint.url).ok().map(|it| it.transport);
        }
        for list in &mut self.allow {
            list.addresses.sort();
            list.addresses.dedup();
            list.ips.sort();
            list.ips.dedup();
        }
        for pin in &mut self.dns {
            pin.addresses.sort();
            pin.addresses.dedup();
        }
        for pin in &mut self.tls {
            pin.spki_sha256.sort();
            pin.spki_sha256.dedup();
        }
    }

    /// The bytes that say what is in it, whatever the order and the comments it was written with:
    /// JSON without spaces, keys in the model's order, what is not said left out.
    #[must_use]
    pub fn canonical(&self) -> Vec<u8> {
        // Nothing in the model can fail to be written: text keys, no floats, no foreign types.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// BLAKE3 of [`Document::canonical`]: two documents with one hash say the same.
    #[must_use]
    pub fn hash(&self) -> [u8; 32] {
        *blake3::hash(&self.canonical()).as_bytes()
    }

    /// A chain by its name.
    #[must_use]
    pub fn chain(&self, name: &str) -> Option<&Chain> {
        self.chains.iter().find(|chain| chain.name == name)
    }

    /// What a server at this address has to show: an entry with its port first.
    #[must_use]
    pub fn tls_pin(&self, address: &Address) -> Option<&TlsPin> {
        let with_port = address.authority();
        let exact = self.tls.iter().find(|pin| pin.host.eq_ignore_ascii_case(&with_port));
        exact.or_else(|| self.tls.iter().find(|pin| pin.host.eq_ignore_ascii_case(&address.host)))
    }

    /// What a name has to resolve to.
    #[must_use]
    pub fn dns_pin(&self, host: &str) -> Option<&DnsPin> {
        self.dns.iter().find(|pin| pin.name.eq_ignore_ascii_case(host))
    }
}

/// The rules that the form alone does not say.
struct Checker<'t> {
    text: &'t str,
}

type Checked = Result<(), DocumentError>;

impl Checker<'_> {
    fn check(&self, document: &Document) -> Checked {
        if document.format != FORMAT {
            let what =
                format!("format {} is not known; this program reads {FORMAT}", document.format);
            return Err(self.at("format", what).next(format!("format = {FORMAT}")));
        }
        self.unique("chains", document.chains.iter().map(|it| it.name.as_str()))?;
        self.unique("endpoints", document.endpoints.iter().map(|it| it.name.as_str()))?;
        self.unique("indexers", document.indexers.iter().map(|it| it.name.as_str()))?;
        self.unique("exchanges", document.exchanges.iter().map(|it| it.name.as_str()))?;
        self.unique("allow", document.allow.iter().map(|it| it.name.as_str()))?;
        self.unique("dns", document.dns.iter().map(|it| it.name.as_str()))?;
        self.unique("tls", document.tls.iter().map(|it| it.host.as_str()))?;
        self.unique("keys", document.keys.iter().map(|it| it.name.as_str()))?;
        let chains: Vec<&str> = document.chains.iter().map(|it| it.name.as_str()).collect();
        for endpoint in &document.endpoints {
            self.chain_of(&endpoint.name, &endpoint.chain, &chains)?;
            self.endpoint(endpoint)?;
        }
        for indexer in &document.indexers {
            self.chain_of(&indexer.name, &indexer.chain, &chains)?;
        }
        document.exchanges.iter().try_for_each(|exchange| self.exchange(exchange))?;
        document.allow.iter().try_for_each(|list| self.allow(list))?;
        document.dns.iter().try_for_each(|pin| self.dns(pin))?;
        document.tls.iter().try_for_each(|pin| self.tls(pin))
    }

    /// The line on which `value` stands in quotes, or begins a line; the last one, where a
    /// repeated name is meant.
    fn at(&self, value: &str, message: String) -> DocumentError {
        let quoted = [format!("\"{value}\""), format!("'{value}'")];
        let names = |line: &str| {
            quoted.iter().any(|quoted| line.contains(quoted))
                || line.trim_start().starts_with(value)
        };
        let line = self.text.lines().enumerate().filter(|(_, line)| names(line)).last();
        DocumentError::new(line.map_or(1, |(at, _)| at + 1), message)
    }

    fn unique<'n>(&self, table: &str, names: impl Iterator<Item = &'n str>) -> Checked {
        let mut seen = BTreeSet::new();
        for name in names {
            let fits = |c: char| {
                c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ':' | '[' | ']')
            };
            if name.is_empty()
                || name.len() > 120
                || !name.chars().all(fits)
                || name.starts_with('.')
            {
                let what = format!(
                    "a name in [[{table}]] is empty, too long, or has other letters \
                                    than A-Z a-z 0-9 - _ . :"
                );
                return Err(self.at(name, what).next("choose a short plain name"));
            }
            if !seen.insert(name.to_ascii_lowercase()) {
                let what = format!("`{name}` stands twice in [[{table}]]");
                return Err(self.at(name, what).next("give each its own name"));
            }
        }
        Ok(())
    }

    fn chain_of(&self, of: &str, chain: &str, chains: &[&str]) -> Checked {
        if chains.contains(&chain) {
            return Ok(());
        }
        let error =
            self.at(chain, format!("`{of}` is of chain `{chain}`, which [[chains]] does not have"));
        Err(match nearest(chain, chains) {
            Some(near) => error.next(format!("did you mean `{near}`?")),
            None => error.next("add it: [[chains]] with name and chain_id"),
        })
    }

    fn endpoint(&self, endpoint: &Endpoint) -> Checked {
        let name = &endpoint.name;
        let bad = |why: &str| self.at(&endpoint.url, format!("endpoint `{name}`: {why}"));
        let moved = |why: &str| {
            bad(why)
                .next(
                    "put the secret alone into a file with mode 600, and name it here: \
                       credential = \"file:PATH\"",
                )
                .next(
                    "in the URL write {credential} where it stood; where it stood in front of \
                       the host, it goes into a header by itself",
                )
                .next("treat it as seen by whoever could read this document")
        };
        let address = Address::parse(&endpoint.url).map_err(|why| {
            if why.contains("password") {
                moved(&why)
            } else {
                bad(&why).next("url = \"https://HOST/PATH\"")
            }
        })?;
        if let (Some(why), false) = (address.secret_in_path(), endpoint.public_url) {
            return Err(moved(why).next("if it is no secret: public_url = true"));
        }
        if endpoint.transport.is_some_and(|transport| transport != address.transport) {
            let what = format!(
                "the URL is of transport `{}`, and `transport` says another",
                address.transport
            );
            return Err(bad(&what).next("leave `transport` out: it follows from the URL"));
        }
        let Some(credential) = &endpoint.credential else {
            return match endpoint.url.contains(CREDENTIAL_PLACE) {
                true => Err(bad("the URL has a place for a credential, and none is named")
                    .next("credential = \"file:PATH\"")),
                false => Ok(()),
            };
        };
        CredentialRef::parse(credential).map_err(|why| {
            let what = format!("endpoint `{name}`: {why}");
            self.at(credential, what).next("treat what stands there as seen, if it is a secret")
        })?;
        if !address.tls && !address.is_loopback() {
            return Err(bad("a credential would go over the network as it is")
                .next("use https:// or wss://"));
        }
        Ok(())
    }

    fn exchange(&self, exchange: &Exchange) -> Checked {
        let bad =
            |why: &str| self.at(&exchange.url, format!("exchange `{}`: {why}", exchange.name));
        let address = Address::parse(&exchange.url)
            .map_err(|why| bad(&why).next("name the public address alone"))?;
        if address.transport == Transport::Ws {
            return Err(bad("it is asked over HTTP").next("url = \"https://HOST\""));
        }
        match address.secret_in_path() {
            Some(why) => Err(bad(why).next(
                "name the public address alone: no key is needed to see \
                                            whether it answers",
            )),
            None => Ok(()),
        }
    }

    fn allow(&self, list: &AllowList) -> Checked {
        let bad =
            |value: &str, why: &str| self.at(value, format!("allow-list `{}`: {why}", list.name));
        for address in &list.addresses {
            let fits = |c: char| c.is_ascii_alphanumeric();
            let hex = address.strip_prefix("0x");
            let wrong = hex
                .is_some_and(|hex| hex.len() != 40 || !hex.chars().all(|c| c.is_ascii_hexdigit()));
            if wrong || address.len() < 20 || address.len() > 120 || !address.chars().all(fits) {
                return Err(bad(address, "this is no address of an account")
                    .next("0x and 40 hexadecimal digits, or as another chain writes them"));
            }
        }
        for ip in &list.ips {
            let (base, bits) =
                ip.split_once('/').map_or((ip.as_str(), None), |(a, b)| (a, Some(b)));
            let base: Option<IpAddr> = base.parse().ok();
            let most = if base.is_some_and(|ip| ip.is_ipv4()) { 32 } else { 128 };
            let fits = bits.is_none_or(|bits| bits.parse::<u32>().is_ok_and(|bits| bits <= most));
            if base.is_none() || !fits {
                return Err(bad(ip, "this is no address of a machine")
                    .next("192.0.2.7, 2001:db8::7, or a network as 192.0.2.0/24"));
            }
        }
        Ok(())
    }

    fn dns(&self, pin: &DnsPin) -> Checked {
        if pin.addresses.is_empty() {
            let what = format!("DNS pin `{}` names no address", pin.name);
            return Err(self.at(&pin.name, what).next("addresses = [\"192.0.2.7\"]"));
        }
        Ok(())
    }

    fn tls(&self, pin: &TlsPin) -> Checked {
        use base64::Engine as _;
        let decode = |text: &String| base64::engine::general_purpose::STANDARD.decode(text);
        if let Some(bad) =
            pin.spki_sha256.iter().find(|it| decode(it).map_or(0, |it| it.len()) != 32)
        {
            let what = format!("TLS pin of `{}`: this is no SHA-256 in base64", pin.host);
            return Err(self
                .at(bad, what)
                .next("`evenkeel network check` shows what the server has now"));
        }
        if pin.spki_sha256.is_empty() && pin.ca_file.is_none() {
            let what = format!("TLS pin of `{}` pins nothing", pin.host);
            return Err(self.at(&pin.host, what).next("spki_sha256 = [\"…\"], or ca_file"));
        }
        Ok(())
    }
}
