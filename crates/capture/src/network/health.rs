//! What was measured, and what it means.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What an endpoint can be asked beyond the head.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Capability {
    /// The state of old blocks: a balance at block 1.
    Archive,
    /// `eth_getLogs`.
    Logs,
    /// `debug_traceTransaction` and its kin, or `trace_block`.
    Trace,
    /// New heads are told over the WebSocket.
    Subscriptions,
}

impl Capability {
    /// The word of the documents.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Archive => "archive",
            Self::Logs => "logs",
            Self::Trace => "trace",
            Self::Subscriptions => "subscriptions",
        }
    }
}

/// What one endpoint said, before anybody judged it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Measured {
    /// Why it did not answer; `None` if it did.
    pub error: Option<String>,
    /// Median of how long an answer took, in microseconds.
    pub latency_us: Option<u64>,
    /// Its newest block.
    pub head: Option<u64>,
    /// The chain it says it is of.
    pub chain_id: Option<u64>,
    /// What it runs.
    pub client: Option<String>,
    /// What it can be asked.
    pub capabilities: Vec<Capability>,
    /// Hashes of its blocks at the heights that all were asked for; `None` if it has no such block.
    pub blocks: BTreeMap<u64, Option<String>>,
    /// SHA-256 of the public key that its server showed, base64.
    pub spki_sha256: Option<String>,
    /// Its server showed a key that is not pinned, and was asked nothing.
    pub tls_mismatch: bool,
    /// Its host resolves to addresses that are not pinned, and was asked nothing.
    pub dns_mismatch: bool,
}

/// What is wrong with an endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "fault", rename_all = "snake_case")]
pub enum Fault {
    /// No answer.
    Down {
        /// Why.
        why: String,
    },
    /// It is of another chain than the document says.
    WrongChain {
        /// What the document says.
        expected: u64,
        /// What it says.
        found: u64,
    },
    /// Its block differs from that of the others.
    OtherHistory {
        /// Where.
        height: u64,
        /// Its hash.
        found: String,
        /// The others'.
        expected: String,
    },
    /// Endpoints differ, and there is neither a majority nor a trusted one.
    Undecided {
        /// Where.
        height: u64,
    },
    /// It says it is further, but has no block there.
    NoBlock {
        /// Where.
        height: u64,
    },
    /// Its head is too far behind the best.
    Behind {
        /// By how much.
        blocks: u64,
    },
    /// Its head is too far ahead of what anybody else bears out.
    Ahead {
        /// By how much.
        blocks: u64,
    },
    /// Its server's key is not pinned.
    TlsPin {
        /// What it showed.
        found: String,
    },
    /// Its host's name resolves elsewhere.
    DnsPin,
}

impl Fault {
    /// Whether what it says must not be believed.
    #[must_use]
    pub fn is_untrue(&self) -> bool {
        match self {
            Self::Down { .. } | Self::Behind { .. } | Self::Ahead { .. } | Self::NoBlock { .. } => {
                false
            }
            Self::WrongChain { .. }
            | Self::OtherHistory { .. }
            | Self::Undecided { .. }
            | Self::TlsPin { .. }
            | Self::DnsPin => true,
        }
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Down { why } => write!(f, "no answer: {why}"),
            Self::WrongChain { expected, found } => {
                write!(f, "it is of chain {found}, and should be of {expected}")
            }
            Self::OtherHistory { height, found, expected } => {
                write!(f, "its block {height} is {found}, that of the others {expected}")
            }
            Self::Undecided { height } => {
                write!(f, "endpoints differ at block {height}, and no majority says who is right")
            }
            Self::NoBlock { height } => write!(f, "it has no block {height}, below its own head"),
            Self::Behind { blocks } => write!(f, "it is {blocks} blocks behind the best head"),
            Self::Ahead { blocks } => {
                write!(f, "it claims {blocks} blocks more than anybody bears out")
            }
            Self::TlsPin { found } => {
                write!(f, "its server shows the key {found}, not a pinned one")
            }
            Self::DnsPin => f.write_str("its host resolves to addresses that are not pinned"),
        }
    }
}

/// What is to be done with an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// In sync.
    Usable,
    /// It answers, and is behind or incomplete.
    Stale,
    /// It does not answer.
    #[default]
    Down,
    /// It must not be used: what it says is not true, or it is not who it should be.
    Quarantined,
}

impl Verdict {
    /// The word of the documents.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Usable => "usable",
            Self::Stale => "stale",
            Self::Down => "down",
            Self::Quarantined => "quarantined",
        }
    }
}

/// An endpoint, measured and judged.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct EndpointHealth {
    /// Its name in the document.
    pub name: String,
    /// Its chain's name.
    pub chain: String,
    /// As in the document.
    pub priority: u32,
    /// What is to be done with it.
    pub verdict: Verdict,
    /// What is wrong.
    pub faults: Vec<Fault>,
    /// Blocks behind the best head that can be believed.
    pub lag_blocks: Option<u64>,
    /// What was measured.
    pub measured: Measured,
}

/// A chain, over all its endpoints.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ChainHealth {
    /// Its name.
    pub name: String,
    /// Its number, as the document says.
    pub chain_id: u64,
    /// The best head of those that can be believed.
    pub head: Option<u64>,
    /// Whether endpoints differ at a height that both have.
    pub disagreement: bool,
    /// What was agreed on, lowest first.
    pub agreed: Vec<SharedBlock>,
}

/// A block that those who can be believed share.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct SharedBlock {
    /// Its number.
    pub height: u64,
    /// Its hash.
    pub hash: String,
    /// How many endpoints said so.
    pub said_by: usize,
}

/// A name's answers against its pins.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct DnsHealth {
    /// The name.
    pub name: String,
    /// What it resolves to now.
    pub found: Vec<String>,
    /// Addresses that are not pinned.
    pub unexpected: Vec<String>,
    /// Why there is no answer.
    pub error: Option<String>,
}

/// An exchange's server.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ExchangeHealth {
    /// Its name in the document.
    pub name: String,
    /// Why it does not serve; `None` if it does.
    pub error: Option<String>,
    /// How long the answer took, in microseconds.
    pub latency_us: Option<u64>,
    /// What it runs, if it says.
    pub version: Option<String>,
    /// SHA-256 of the public key that its server showed, base64.
    pub spki_sha256: Option<String>,
}

/// How far an indexer is.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Cursor {
    /// The indexer's name.
    pub name: String,
    /// Its chain's name.
    pub chain: String,
    /// The last block that is done; `None` if it cannot be read.
    pub block: Option<u64>,
    /// Why not.
    pub error: Option<String>,
}

/// Everything that was measured at one time.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Health {
    /// When, RFC 3339 UTC.
    pub time: String,
    /// Each endpoint, in order of the names.
    pub endpoints: Vec<EndpointHealth>,
    /// Each chain.
    pub chains: Vec<ChainHealth>,
    /// Each pinned name.
    pub dns: Vec<DnsHealth>,
    /// Each exchange.
    pub exchanges: Vec<ExchangeHealth>,
    /// Each indexer.
    pub cursors: Vec<Cursor>,
}

impl Health {
    /// An endpoint by its name.
    #[must_use]
    pub fn endpoint(&self, name: &str) -> Option<&EndpointHealth> {
        self.endpoints.iter().find(|it| it.name == name)
    }
}
