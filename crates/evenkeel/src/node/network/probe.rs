//! Asks everything that a document names, all at once, each within its own deadline.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use evenkeel_capture::network::{
    Address, Capability, Chain, Cursor, DnsHealth, Document, Endpoint, Exchange, ExchangeHealth,
    ExchangeKind, Health, Indexer, Measured, Transport, common_heights, judge,
};
use serde_json::{Value, json};

use super::http::Request;
use super::rpc::{CallError, Rpc, plain_words};
use super::wire::{Line, Pins, Refused, resolve, told};

/// How often the head is asked for; the middle one of the times counts.
const SAMPLES: usize = 3;
/// Servers asked at one time.
const AT_ONCE: usize = 32;
/// A cursor is a number.
const CURSOR_BYTES_MAX: u64 = 64;
const NOBODY: &str = "0x0000000000000000000000000000000000000000";
const NO_TRANSACTION: &str = "0x0000000000000000000000000000000000000000000000000000000000000000";

/// Measures and judges everything. `time` is what the result says of when.
pub(super) fn measure(document: &Document, time: String, patience: Duration) -> Health {
    let endpoints: Vec<&Endpoint> = document.endpoints.iter().collect();
    let mut measured: BTreeMap<String, Measured> = endpoints
        .iter()
        .map(|endpoint| endpoint.name.clone())
        .zip(at_once(&endpoints, |endpoint| {
            Probe::new(document, endpoint, patience).and_then(Probe::look)
        }))
        .map(|(name, found)| (name, found.unwrap_or_else(refused)))
        .collect();
    for chain in &document.chains {
        compare_blocks(document, chain, &mut measured, patience);
    }
    let (endpoints, chains) = judge(document, &measured);
    let exchanges: Vec<&Exchange> = document.exchanges.iter().collect();
    let pins: Vec<_> = document.dns.iter().collect();
    Health {
        time,
        endpoints,
        chains,
        dns: at_once(&pins, |pin| look_up(&pin.name, &pin.addresses, patience)),
        exchanges: at_once(&exchanges, |exchange| ask_exchange(document, exchange, patience)),
        cursors: document.indexers.iter().map(cursor).collect(),
    }
}

/// Does it for each, many at once, and gives the results in order.
fn at_once<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let mut results = Vec::with_capacity(items.len());
    for some in items.chunks(AT_ONCE) {
        results.extend(std::thread::scope(|scope| {
            let work = &work;
            let threads: Vec<_> = some.iter().map(|item| scope.spawn(move || work(item))).collect();
            // A result that is left out would be taken for the next one's.
            let join = |thread: std::thread::ScopedJoinHandle<'_, R>| {
                thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            };
            threads.into_iter().map(join).collect::<Vec<R>>()
        }));
    }
    results
}

fn refused(why: Refused) -> Measured {
    match why {
        Refused::Failed(why) => Measured { error: Some(why), ..Measured::default() },
        Refused::Dns(found) => Measured {
            error: Some(format!("its name resolves to {found}, which is not pinned")),
            dns_mismatch: true,
            ..Measured::default()
        },
        Refused::Key(found) => Measured {
            error: Some("its server's key is not pinned".to_owned()),
            spki_sha256: Some(found),
            tls_mismatch: true,
            ..Measured::default()
        },
    }
}

fn pins_of(document: &Document, address: &Address) -> Pins {
    let tls = document.tls_pin(address);
    Pins {
        addresses: document.dns_pin(&address.host).map(|pin| pin.addresses.clone()),
        spki_sha256: tls.map(|pin| pin.spki_sha256.clone()).unwrap_or_default(),
        ca_file: tls.and_then(|pin| pin.ca_file.clone()),
    }
}

struct Probe {
    rpc: Rpc,
    transport: Transport,
}

fn word(answer: Result<Value, CallError>) -> Result<String, Refused> {
    match answer {
        Ok(Value::String(text)) => Ok(text),
        Ok(_) => Err(Refused::Failed("its answer is no text".to_owned())),
        Err(CallError::Failed(why)) => Err(why),
        Err(CallError::Refused { code, message }) => {
            Err(Refused::Failed(format!("it refuses: {message} ({code})")))
        }
    }
}

/// A quantity as JSON-RPC of Ethereum writes it: `0x` and hexadecimal digits.
fn quantity(text: &str) -> Result<u64, Refused> {
    let digits = text.strip_prefix("0x").filter(|digits| !digits.starts_with('+'));
    digits
        .and_then(|digits| u64::from_str_radix(digits, 16).ok())
        .ok_or_else(|| Refused::Failed("its answer is no number".to_owned()))
}

impl Probe {
    fn new(document: &Document, endpoint: &Endpoint, patience: Duration) -> Result<Self, Refused> {
        let deadline = Instant::now() + patience;
        let address = Address::parse(&endpoint.url).map_err(Refused::Failed)?;
        let credential = endpoint.credential.as_deref();
        let credential = credential.map(|reference| crate::credential::load(reference, deadline));
        let credential = credential.transpose().map_err(Refused::Failed)?;
        let (pins, transport) = (pins_of(document, &address), address.transport);
        Ok(Self { rpc: Rpc::new(address, pins, credential, deadline), transport })
    }

    /// Chain, head, latency, client, and what it can be asked.
    fn look(mut self) -> Result<Measured, Refused> {
        let chain_id = quantity(&word(self.rpc.call("eth_chainId", &json!([])))?)?;
        let mut times = Vec::new();
        let mut head = 0;
        for _ in 0..SAMPLES {
            head = quantity(&word(self.rpc.call("eth_blockNumber", &json!([])))?)?;
            times.push(u64::try_from(self.rpc.took.as_micros()).unwrap_or(u64::MAX));
        }
        times.sort_unstable();
        let client = word(self.rpc.call("web3_clientVersion", &json!([]))).ok();
        Ok(Measured {
            error: None,
            latency_us: times.get(times.len() / 2).copied(),
            head: Some(head),
            chain_id: Some(chain_id),
            client: client.map(|client| plain_words(&client)),
            capabilities: self.capabilities(head),
            spki_sha256: self.rpc.spki_sha256.clone(),
            ..Measured::default()
        })
    }

    fn capabilities(&mut self, head: u64) -> Vec<Capability> {
        let mut found = Vec::new();
        let early = format!("0x{:x}", head.min(1));
        if self.rpc.call("eth_getBalance", &json!([NOBODY, early])).is_ok() {
            found.push(Capability::Archive);
        }
        let newest = format!("0x{head:x}");
        let range = json!([{"fromBlock": newest, "toBlock": newest}]);
        if self.rpc.call("eth_getLogs", &range).is_ok_and(|logs| logs.is_array()) {
            found.push(Capability::Logs);
        }
        // There is no such transaction: whoever knows the method says so, or gives nothing.
        let knows = |answer: Result<Value, CallError>| match answer {
            Ok(_) => true,
            Err(error) => !error.is_unknown_method(),
        };
        if knows(self.rpc.call("debug_traceTransaction", &json!([NO_TRANSACTION])))
            || knows(self.rpc.call("trace_transaction", &json!([NO_TRANSACTION])))
        {
            found.push(Capability::Trace);
        }
        if self.transport == Transport::Ws
            && self.rpc.call("eth_subscribe", &json!(["newHeads"])).is_ok_and(|id| id.is_string())
        {
            found.push(Capability::Subscriptions);
        }
        found
    }

    /// The hash of its block at a height; `None` if it has none there.
    fn block(&mut self, height: u64) -> Result<Option<String>, Refused> {
        let params = json!([format!("0x{height:x}"), false]);
        let block = match self.rpc.call("eth_getBlockByNumber", &params) {
            Ok(block) => block,
            Err(CallError::Failed(why)) => return Err(why),
            Err(CallError::Refused { .. }) => return Ok(None),
        };
        let field = |name: &str| block.get(name).and_then(Value::as_str);
        let number = field("number").map(quantity).transpose()?;
        let is_hash = |hash: &&str| {
            hash.len() == 66
                && hash.starts_with("0x")
                && hash.bytes().all(|it| it.is_ascii_alphanumeric())
        };
        // A block of another height, or without a hash, is not the one that was asked for.
        let hash = field("hash").filter(is_hash).filter(|_| number == Some(height));
        Ok(hash.map(str::to_ascii_lowercase))
    }
}

/// Asks all endpoints of a chain for their blocks at heights that they should share.
fn compare_blocks(
    document: &Document,
    chain: &Chain,
    measured: &mut BTreeMap<String, Measured>,
    patience: Duration,
) {
    let of_chain: Vec<&Endpoint> = document
        .endpoints
        .iter()
        .filter(|it| it.chain == chain.name)
        .filter(|it| {
            let found = measured.get(&it.name);
            found.is_some_and(|it| it.error.is_none() && it.chain_id == Some(chain.chain_id))
        })
        .collect();
    let seen: Vec<&Measured> = of_chain.iter().filter_map(|it| measured.get(&it.name)).collect();
    let heights = common_heights(chain, &seen);
    let found = at_once(&of_chain, |endpoint| -> Result<BTreeMap<_, _>, Refused> {
        let mut probe = Probe::new(document, endpoint, patience)?;
        heights.iter().map(|height| Ok((*height, probe.block(*height)?))).collect()
    });
    for (endpoint, blocks) in of_chain.iter().zip(found) {
        let Some(measured) = measured.get_mut(&endpoint.name) else { continue };
        match blocks {
            Ok(blocks) => measured.blocks = blocks,
            Err(why) => {
                let now = refused(why);
                measured.error = now.error;
                measured.tls_mismatch |= now.tls_mismatch;
                measured.dns_mismatch |= now.dns_mismatch;
            }
        }
    }
}

fn look_up(name: &str, pinned: &[IpAddr], patience: Duration) -> DnsHealth {
    let mut health = DnsHealth { name: name.to_owned(), ..DnsHealth::default() };
    match resolve(name, 443, Instant::now() + patience) {
        Ok(found) => {
            let mut found: Vec<IpAddr> = found.iter().map(std::net::SocketAddr::ip).collect();
            found.sort_unstable();
            found.dedup();
            let foreign = found.iter().filter(|found| !pinned.contains(found));
            health.unexpected = foreign.map(ToString::to_string).collect();
            health.found = found.iter().map(ToString::to_string).collect();
        }
        Err(error) => health.error = Some(told(&error)),
    }
    health
}

fn ask_exchange(document: &Document, exchange: &Exchange, patience: Duration) -> ExchangeHealth {
    let mut health = ExchangeHealth { name: exchange.name.clone(), ..ExchangeHealth::default() };
    if let Err(why) = try_exchange(document, exchange, patience, &mut health) {
        health.error = Some(match why {
            Refused::Failed(why) => why,
            Refused::Dns(found) => format!("its name resolves to {found}, which is not pinned"),
            Refused::Key(found) => format!("its server shows the key {found}, not a pinned one"),
        });
    }
    health
}

fn try_exchange(
    document: &Document,
    exchange: &Exchange,
    patience: Duration,
    health: &mut ExchangeHealth,
) -> Result<(), Refused> {
    let address = Address::parse(&exchange.url).map_err(Refused::Failed)?;
    let path = match (exchange.kind, address.path.as_str()) {
        (ExchangeKind::Http, path) => path.to_owned(),
        (ExchangeKind::Deribit, "/") => "/api/v2/public/test".to_owned(),
        (ExchangeKind::Deribit, path) => format!("{}/public/test", path.trim_end_matches('/')),
    };
    let deadline = Instant::now() + patience;
    let mut line = Line::open(&address, &pins_of(document, &address), deadline)?;
    health.spki_sha256.clone_from(&line.spki_sha256);
    let begun = Instant::now();
    let request = Request { address: &address, path: &path, authorization: None, body: None };
    let answer = request.exchange(&mut line)?;
    health.latency_us = Some(u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX));
    if exchange.kind == ExchangeKind::Http {
        return match answer.status {
            status if status < 500 => Ok(()),
            status => Err(Refused::Failed(format!("it answers with HTTP status {status}"))),
        };
    }
    let value: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let version = value.pointer("/result/version").and_then(Value::as_str).map(plain_words);
    health.version = version;
    match health.version {
        Some(_) => Ok(()),
        None => Err(Refused::Failed(format!(
            "it does not answer public/test (HTTP status {})",
            answer.status
        ))),
    }
}

fn cursor(indexer: &Indexer) -> Cursor {
    let mut cursor =
        Cursor { name: indexer.name.clone(), chain: indexer.chain.clone(), ..Cursor::default() };
    let Some(file) = &indexer.cursor_file else {
        return cursor;
    };
    match read_cursor(file) {
        Ok(block) => cursor.block = Some(block),
        Err(why) => cursor.error = Some(why),
    }
    cursor
}

/// The number in a cursor's file.
fn read_cursor(file: &Path) -> Result<u64, String> {
    let shown = file.display();
    let about = std::fs::metadata(file)
        .map_err(|error| format!("{shown}: {}", crate::report::plain(&error)))?;
    if about.len() > CURSOR_BYTES_MAX {
        return Err(format!("{shown} is no number"));
    }
    let text = std::fs::read_to_string(file).map_err(|_| format!("{shown} is no text"))?;
    text.trim().parse().map_err(|_| format!("{shown} is no number"))
}
