//! `evenkeel network check`: everything that the document names, asked now.

use std::time::Duration;

use evenkeel_capture::network::{EndpointHealth, Health, Verdict, fail_over};

use super::records::{self, Records};
use super::source::Source;
use crate::cli::NetworkCheckArgs;
use crate::config::NetworkConfig;
use crate::documents::{NetworkCheckDocument, NetworkKeyDocument, Outcome};
use crate::output::{self, Results};
use crate::report::{Exit, Result};

/// Runs the command.
pub(super) fn run(args: &NetworkCheckArgs) -> Result<Exit> {
    let (source, patience) = match &args.document {
        Some(file) => (Source::read(file)?, NetworkConfig::default().timeout_seconds),
        None => {
            let config = args.place.load()?;
            (Source::configured(&config)?, config.network.timeout_seconds)
        }
    };
    let patience = Duration::from_secs(args.timeout_seconds.unwrap_or(patience));
    let health = source.measure(patience);
    let file = source.file.display().to_string();
    let keys = Records::read(&source.document).told;
    let outcome = records::outcome(&keys);
    let document =
        NetworkCheckDocument::of(&health, file, source.hash_hex()?).with_keys(keys, outcome);
    if args.json {
        output::document(&document)?;
    } else {
        print(&health, &document.keys)?;
    }
    Ok(exit_of(document.result))
}

/// Something that must not be used is an integrity violated; something away is partial.
pub(super) fn exit_of(result: Outcome) -> Exit {
    match result {
        Outcome::Ok => Exit::Ok,
        Outcome::Failed => Exit::Integrity,
        Outcome::Unproven | Outcome::NotConfigured => Exit::Partial,
    }
}

/// For people: chain by chain in fail-over order, then the rest.
fn print(health: &Health, keys: &[NetworkKeyDocument]) -> Result<()> {
    let mut results = Results::new();
    for chain in &health.chains {
        let head = chain.head.map_or_else(|| "no head known".to_owned(), |it| format!("head {it}"));
        let differ = if chain.disagreement { ", ENDPOINTS DIFFER" } else { "" };
        results.line(&format!("{} (chain {}): {head}{differ}", chain.name, chain.chain_id))?;
        let mut place = 0;
        for endpoint in fail_over(health, &chain.name) {
            let at = match endpoint.verdict {
                Verdict::Quarantined => "-".to_owned(),
                _ => {
                    place += 1;
                    place.to_string()
                }
            };
            results.line(&format!("  {at:>2} {}", line(endpoint)))?;
            for fault in &endpoint.faults {
                results.line(&format!("       {fault}"))?;
            }
        }
    }
    for dns in &health.dns {
        let said = match (&dns.error, dns.unexpected.as_slice()) {
            (Some(why), _) => format!("no answer: {why}"),
            (None, []) => "as pinned".to_owned(),
            (None, other) => format!("NOT PINNED: {}", other.join(", ")),
        };
        results.line(&format!("name {}: {said}", dns.name))?;
    }
    for exchange in &health.exchanges {
        let said = exchange.error.clone().unwrap_or_else(|| {
            let version =
                exchange.version.as_ref().map_or_else(String::new, |it| format!(" ({it})"));
            format!("answers{version} in {}", took(exchange.latency_us))
        });
        results.line(&format!("exchange {}: {said}", exchange.name))?;
    }
    for cursor in &health.cursors {
        let said = match (&cursor.error, cursor.block) {
            (Some(why), _) => why.clone(),
            (None, Some(block)) => format!("at block {block}"),
            (None, None) => "no cursor is configured".to_owned(),
        };
        results.line(&format!("indexer {}: {said}", cursor.name))?;
    }
    for key in keys {
        for line in key_lines(key) {
            results.line(&line)?;
        }
    }
    results.finish()
}

/// A key, and the cards of which nobody knows lately whether they are still good.
fn key_lines(key: &NetworkKeyDocument) -> Vec<String> {
    let cards = match (key.cards.len(), key.cards_due) {
        (0, _) => String::new(),
        (all, 0) => format!(", {all} cards, none due for a drill"),
        (all, due) => format!(", {due} of {all} cards are DUE for a drill"),
    };
    let said = match (&key.error, key.generation) {
        (Some(why), _) if key.secret => format!("REFUSED: {why}"),
        (Some(why), _) => why.clone(),
        (None, generation) => {
            format!("{}, generation {}{cards}", key.kind, generation.unwrap_or_default())
        }
    };
    let mut lines = vec![format!("key {}: {said}", key.name)];
    for card in key.cards.iter().filter(|card| card.due) {
        lines.push(format!("       {}", records::due_words(card)));
    }
    lines
}

fn line(endpoint: &EndpointHealth) -> String {
    let measured = &endpoint.measured;
    let mut words = vec![format!("{} {}", endpoint.name, endpoint.verdict.word())];
    if measured.error.is_none() {
        words.push(took(measured.latency_us));
        words.extend(measured.head.map(|head| format!("head {head}")));
        words.extend(endpoint.lag_blocks.filter(|lag| *lag > 0).map(|lag| format!("{lag} behind")));
        words.extend(measured.client.clone());
        words.extend(measured.capabilities.iter().map(|it| it.word().to_owned()));
    }
    words.join(", ")
}

fn took(micros: Option<u64>) -> String {
    micros.map_or_else(
        || "an unknown time".to_owned(),
        |micros| format!("{}.{} ms", micros / 1_000, micros % 1_000 / 100),
    )
}
