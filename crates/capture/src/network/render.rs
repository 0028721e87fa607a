//! Working configuration of other programs, from a document and what was measured.

use std::fmt::Write as _;

use serde_json::json;

use super::document::{Document, Endpoint};
use super::health::{EndpointHealth, Health, Verdict};
use super::order::fail_over;

/// One file of a restored configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RenderedFile {
    /// Its name inside the folder.
    pub name: String,
    /// Its content.
    pub content: String,
}

/// `endpoints.env`, `endpoints.json` and `providers.json`. Quarantined endpoints are named in the
/// first two, behind all others and apart from them, and are in no list that a program reads as
/// endpoints to use. Credentials stay references.
#[must_use]
pub fn render(document: &Document, health: &Health) -> Vec<RenderedFile> {
    let file = |name: &str, content: String| RenderedFile { name: name.to_owned(), content };
    vec![
        file("endpoints.env", environment(document, health)),
        file("endpoints.json", ordered(document, health)),
        file("providers.json", providers(document, health)),
    ]
}

/// The order of a chain with what the document says of each.
fn in_order<'a>(
    document: &'a Document,
    health: &'a Health,
    chain: &'a str,
) -> impl Iterator<Item = (&'a Endpoint, &'a EndpointHealth)> {
    fail_over(health, chain).into_iter().filter_map(|measured| {
        let endpoint = document.endpoints.iter().find(|it| it.name == measured.name)?;
        Some((endpoint, measured))
    })
}

fn variable(name: &str) -> String {
    let letter = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
    name.chars().map(letter).collect()
}

/// For shells and `EnvironmentFile=`: no value holds a quote or a line's end, as no URL does.
fn environment(document: &Document, health: &Health) -> String {
    let mut text = format!("# In order of health as measured at {}.\n", health.time);
    for chain in &document.chains {
        let name = variable(&chain.name);
        let _ = writeln!(text, "{name}_CHAIN_ID={}", chain.chain_id);
        let usable: Vec<_> = in_order(document, health, &chain.name)
            .filter(|(_, measured)| measured.verdict != Verdict::Quarantined)
            .collect();
        let urls: Vec<&str> = usable.iter().map(|(endpoint, _)| endpoint.url.as_str()).collect();
        let _ = writeln!(text, "{name}_RPC_URLS='{}'", urls.join(","));
        for (at, (endpoint, measured)) in usable.iter().enumerate() {
            let at = at + 1;
            let word = measured.verdict.word();
            let _ =
                writeln!(text, "# {}: {word}\n{name}_RPC_{at}='{}'", endpoint.name, endpoint.url);
            if let Some(credential) = &endpoint.credential {
                let _ =
                    writeln!(text, "{name}_RPC_{at}_CREDENTIAL='{}'", credential.replace('\'', ""));
            }
        }
        for (endpoint, measured) in in_order(document, health, &chain.name) {
            if measured.verdict == Verdict::Quarantined {
                let _ = writeln!(
                    text,
                    "# {}: quarantined, not in the list: {}",
                    endpoint.name,
                    why(measured)
                );
            }
        }
    }
    text
}

fn why(measured: &EndpointHealth) -> String {
    let words: Vec<String> = measured.faults.iter().map(ToString::to_string).collect();
    words.join("; ").replace(['\n', '\r'], " ")
}

fn pretty(value: &serde_json::Value) -> String {
    // A value that was just made can be written.
    serde_json::to_string_pretty(value).unwrap_or_default() + "\n"
}

fn ordered(document: &Document, health: &Health) -> String {
    let chains: Vec<_> = document
        .chains
        .iter()
        .map(|chain| {
            let endpoints: Vec<_> = in_order(document, health, &chain.name)
                .map(|(endpoint, measured)| {
                    json!({
                        "name": endpoint.name,
                        "url": endpoint.url,
                        "transport": endpoint.transport,
                        "credential": endpoint.credential,
                        "verdict": measured.verdict,
                        "head": measured.measured.head,
                        "lag_blocks": measured.lag_blocks,
                        "latency_us": measured.measured.latency_us,
                        "capabilities": measured.measured.capabilities,
                        "why": measured.faults.iter().map(ToString::to_string).collect::<Vec<_>>(),
                    })
                })
                .collect();
            json!({"chain": chain.name, "chain_id": chain.chain_id, "endpoints": endpoints})
        })
        .collect();
    pretty(&json!({"measured_at": health.time, "chains": chains}))
}

/// As libraries with a fall-back provider take it (ethers' `FallbackProvider`, viem's `fallback`):
/// by chain id, each with priority and the network it has to be of.
fn providers(document: &Document, health: &Health) -> String {
    let mut chains = serde_json::Map::new();
    for chain in &document.chains {
        let usable: Vec<_> = in_order(document, health, &chain.name)
            .filter(|(_, measured)| measured.verdict != Verdict::Quarantined)
            .enumerate()
            .map(|(at, (endpoint, _))| {
                json!({
                    "url": endpoint.url,
                    "priority": at + 1,
                    "weight": 1,
                    "credential": endpoint.credential,
                })
            })
            .collect();
        let value = json!({
            "name": chain.name,
            "chainId": chain.chain_id,
            "staticNetwork": true,
            "providers": usable,
        });
        chains.insert(chain.chain_id.to_string(), value);
    }
    pretty(&serde_json::Value::Object(chains))
}
