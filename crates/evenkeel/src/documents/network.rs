//! Network metadata: what was measured, versions and what differs between them.

use evenkeel_capture::network::{Change, Health, fail_over};
use serde::{Deserialize, Serialize};

use super::Outcome;

/// `network check --json`: everything that the document names, measured now.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(tag = "message_type", rename = "network_check")]
pub struct NetworkCheckDocument {
    /// When, RFC 3339 UTC.
    pub time: String,
    /// The document's file.
    pub document: String,
    /// BLAKE3 of its canonical form, hex.
    pub document_hash: String,
    /// `ok` if everything is as it should be, `failed` if something must not be used, else
    /// `unproven`.
    pub result: Outcome,
    /// Each chain with its fail-over order.
    pub chains: Vec<NetworkChainDocument>,
    /// Each endpoint.
    pub endpoints: Vec<NetworkEndpointDocument>,
    /// Each pinned name.
    pub dns: Vec<NetworkDnsDocument>,
    /// Each exchange.
    pub exchanges: Vec<NetworkExchangeDocument>,
    /// Each indexer.
    pub cursors: Vec<NetworkCursorDocument>,
    /// Each key whose record is kept with the versions.
    #[serde(default)]
    pub keys: Vec<NetworkKeyDocument>,
}

/// A key whose public record is kept.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct NetworkKeyDocument {
    /// Its name.
    pub name: String,
    /// The record's file.
    pub record: String,
    /// `fingerprint` or `group`; empty if it could not be read.
    pub kind: String,
    /// Which split of the key, or which generation of the group.
    pub generation: Option<u32>,
    /// Each card, with its last drill; none of a group.
    pub cards: Vec<NetworkShareDrillDocument>,
    /// Cards whose last drill is too long ago.
    pub cards_due: u64,
    /// Older drills are stale.
    pub stale_days: u64,
    /// Why the record is not taken; `null` if it is.
    pub error: Option<String>,
    /// Whether that is because it holds something secret.
    pub secret: bool,
}

/// A card and its last drill.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct NetworkShareDrillDocument {
    /// GROUP.MEMBER.
    pub card: String,
    /// Who holds it.
    pub holder: Option<String>,
    /// Where it lies.
    pub place: Option<String>,
    /// When it was last proven, RFC 3339 UTC; `null` if never.
    pub last_drill: Option<String>,
    /// How long ago that is; of a card that was never drilled, since the record was made.
    pub age_seconds: f64,
    /// Whether it was never drilled.
    pub never: bool,
    /// Whether that is too long ago.
    pub due: bool,
}

/// A chain.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct NetworkChainDocument {
    /// Its name.
    pub name: String,
    /// Its number, as the document says.
    pub chain_id: u64,
    /// The best head that can be believed.
    pub head: Option<u64>,
    /// Whether endpoints differ at a height that both have.
    pub disagreement: bool,
    /// Names of its endpoints in the order they are to be used; none that is quarantined.
    pub order: Vec<String>,
}

/// An endpoint.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct NetworkEndpointDocument {
    /// Its name.
    pub name: String,
    /// Its chain's name.
    pub chain: String,
    /// As in the document; lower is used first.
    pub priority: u32,
    /// `usable`, `stale`, `down` or `quarantined`.
    pub verdict: String,
    /// What is wrong, for people.
    pub faults: Vec<String>,
    /// How long an answer takes.
    pub latency_seconds: Option<f64>,
    /// Its newest block.
    pub head: Option<u64>,
    /// Blocks behind the best head that can be believed.
    pub lag_blocks: Option<u64>,
    /// The chain it says it is of.
    pub chain_id: Option<u64>,
    /// What it runs.
    pub client: Option<String>,
    /// `archive`, `logs`, `trace`, `subscriptions`.
    pub capabilities: Vec<String>,
    /// SHA-256 of its server's public key, base64; `null` without TLS.
    pub spki_sha256: Option<String>,
}

/// A pinned name.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct NetworkDnsDocument {
    /// The name.
    pub name: String,
    /// What it resolves to.
    pub found: Vec<String>,
    /// Addresses that are not pinned.
    pub unexpected: Vec<String>,
    /// Why there is no answer.
    pub error: Option<String>,
}

/// An exchange's server.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct NetworkExchangeDocument {
    /// Its name.
    pub name: String,
    /// Why it does not serve; `null` if it does.
    pub error: Option<String>,
    /// How long the answer took.
    pub latency_seconds: Option<f64>,
    /// What it runs, if it says.
    pub version: Option<String>,
    /// SHA-256 of its server's public key, base64.
    pub spki_sha256: Option<String>,
}

/// An indexer.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct NetworkCursorDocument {
    /// Its name.
    pub name: String,
    /// Its chain's name.
    pub chain: String,
    /// The last block that is done.
    pub block: Option<u64>,
    /// Why it is not known; `null` if it is, or none is configured.
    pub error: Option<String>,
}

fn seconds(micros: Option<u64>) -> Option<f64> {
    micros.map(|micros| std::time::Duration::from_micros(micros).as_secs_f64())
}

impl NetworkCheckDocument {
    /// The same with what is said of keys; `outcome` is what follows of it.
    #[must_use]
    pub fn with_keys(mut self, keys: Vec<NetworkKeyDocument>, outcome: Outcome) -> Self {
        self.result = match (self.result, outcome) {
            (Outcome::Failed, _) | (_, Outcome::Failed) => Outcome::Failed,
            (Outcome::Unproven, _) | (_, Outcome::Unproven) => Outcome::Unproven,
            (result, _) => result,
        };
        self.keys = keys;
        self
    }

    /// Of what was measured.
    #[must_use]
    pub fn of(health: &Health, document: String, document_hash: String) -> Self {
        use evenkeel_capture::network::Verdict;
        let untrue = health.endpoints.iter().any(|it| it.verdict == Verdict::Quarantined)
            || health.dns.iter().any(|it| !it.unexpected.is_empty());
        let missing = health.endpoints.iter().any(|it| it.verdict != Verdict::Usable)
            || health.dns.iter().any(|it| it.error.is_some())
            || health.exchanges.iter().any(|it| it.error.is_some())
            || health.cursors.iter().any(|it| it.error.is_some());
        let order = |chain: &str| {
            fail_over(health, chain)
                .into_iter()
                .filter(|it| it.verdict != Verdict::Quarantined)
                .map(|it| it.name.clone())
                .collect()
        };
        Self {
            time: health.time.clone(),
            document,
            document_hash,
            result: match (untrue, missing) {
                (true, _) => Outcome::Failed,
                (false, true) => Outcome::Unproven,
                (false, false) => Outcome::Ok,
            },
            chains: health
                .chains
                .iter()
                .map(|it| NetworkChainDocument {
                    name: it.name.clone(),
                    chain_id: it.chain_id,
                    head: it.head,
                    disagreement: it.disagreement,
                    order: order(&it.name),
                })
                .collect(),
            endpoints: health.endpoints.iter().map(endpoint).collect(),
            dns: health.dns.iter().map(dns).collect(),
            exchanges: health.exchanges.iter().map(exchange).collect(),
            cursors: health.cursors.iter().map(cursor).collect(),
            keys: Vec::new(),
        }
    }
}

fn endpoint(it: &evenkeel_capture::network::EndpointHealth) -> NetworkEndpointDocument {
    let measured = &it.measured;
    NetworkEndpointDocument {
        name: it.name.clone(),
        chain: it.chain.clone(),
        priority: it.priority,
        verdict: it.verdict.word().to_owned(),
        faults: it.faults.iter().map(ToString::to_string).collect(),
        latency_seconds: seconds(measured.latency_us),
        head: measured.head,
        lag_blocks: it.lag_blocks,
        chain_id: measured.chain_id,
        client: measured.client.clone(),
        capabilities: measured.capabilities.iter().map(|it| it.word().to_owned()).collect(),
        spki_sha256: measured.spki_sha256.clone(),
    }
}

fn dns(it: &evenkeel_capture::network::DnsHealth) -> NetworkDnsDocument {
    NetworkDnsDocument {
        name: it.name.clone(),
        found: it.found.clone(),
        unexpected: it.unexpected.clone(),
        error: it.error.clone(),
    }
}

fn exchange(it: &evenkeel_capture::network::ExchangeHealth) -> NetworkExchangeDocument {
    NetworkExchangeDocument {
        name: it.name.clone(),
        error: it.error.clone(),
        latency_seconds: seconds(it.latency_us),
        version: it.version.clone(),
        spki_sha256: it.spki_sha256.clone(),
    }
}

fn cursor(it: &evenkeel_capture::network::Cursor) -> NetworkCursorDocument {
    NetworkCursorDocument {
        name: it.name.clone(),
        chain: it.chain.clone(),
        block: it.block,
        error: it.error.clone(),
    }
}

/// `network diff --json`: what differs between two versions.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(tag = "message_type", rename = "network_diff")]
pub struct NetworkDiffDocument {
    /// The earlier version's recovery point.
    pub before: String,
    /// The later one's, or the file that was compared with it.
    pub after: String,
    /// Every difference.
    pub changes: Vec<Change>,
}

/// `network backup --json`: the version that was made.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(tag = "message_type", rename = "network_backup")]
pub struct NetworkBackupDocument {
    /// Its recovery point.
    pub recovery_point: String,
    /// Its number.
    pub version: u64,
    /// When, RFC 3339 UTC.
    pub time: String,
    /// BLAKE3 of the document's canonical form, hex.
    pub document_hash: String,
    /// Whether the document, or a record of a key, is another than that of the version before.
    pub changed: bool,
    /// Endpoints that are usable now.
    pub endpoints_usable: u64,
    /// Endpoints in all.
    pub endpoints: u64,
    /// Logs of indexers in it.
    pub logs: u64,
    /// Records of keys in it.
    #[serde(default)]
    pub records: u64,
    /// Bytes sent to the sites, all together.
    pub bytes_added: u64,
    /// Sites that may still be lost.
    pub margin: i64,
    /// Sites that do not hold all their share of it.
    pub sites_missing: Vec<String>,
    /// What could not be taken, for people.
    pub problems: Vec<String>,
}

/// `network versions --json`: the versions at the sites.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(tag = "message_type", rename = "network_versions")]
pub struct NetworkVersionsDocument {
    /// Oldest first.
    pub versions: Vec<NetworkVersionDocument>,
}

/// One version.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct NetworkVersionDocument {
    /// Its number.
    pub version: u64,
    /// Its recovery point.
    pub recovery_point: String,
    /// When, RFC 3339 UTC.
    pub time: String,
    /// BLAKE3 of the document's canonical form, hex.
    pub document_hash: String,
    /// Sites that may still be lost.
    pub margin: i64,
}

/// `network restore --json`: what was written.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(tag = "message_type", rename = "network_restore")]
pub struct NetworkRestoreDocument {
    /// The version's recovery point.
    pub recovery_point: String,
    /// Its number.
    pub version: u64,
    /// When it was made, RFC 3339 UTC.
    pub time: String,
    /// Where it was written.
    pub to: String,
    /// Names of the files in it.
    pub files: Vec<String>,
    /// Whether the order of the endpoints was measured now; else it is the version's.
    pub measured_now: bool,
    /// Endpoints that must not be used, with the reason.
    pub quarantined: Vec<String>,
    /// Each indexer's cursor.
    pub cursors: Vec<RestoredCursorDocument>,
    /// How long it took.
    pub elapsed_seconds: f64,
    /// Sites that gave data.
    pub sites_used: Vec<String>,
}

/// A cursor that was brought back, or not.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RestoredCursorDocument {
    /// The indexer's name.
    pub name: String,
    /// What was captured.
    pub captured: Option<u64>,
    /// What was written; `null` if nothing.
    pub restored: Option<u64>,
    /// The chain's measured head.
    pub head: Option<u64>,
    /// What became of it, for people.
    pub detail: String,
}
