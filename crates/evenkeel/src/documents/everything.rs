//! Drills of everything.

use serde::{Deserialize, Serialize};

use super::{CheckDocument, Outcome, SourceProofDocument};

/// `drill everything --json`, and `drill verify --json` of such a report.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(tag = "message_type", rename = "drill_everything")]
pub struct DrillEverythingDocument {
    /// The worst of its parts and conditions.
    pub result: Outcome,
    /// Whether one could trade with what came back: the worst of the conditions.
    pub ready_to_trade: Outcome,
    /// Its number in the history.
    pub id: String,
    /// When it began, RFC 3339 UTC.
    pub time: String,
    /// The machine's name.
    pub machine: String,
    /// Version and BLAKE3 hash of the program.
    pub program: String,
    /// Where it was laid out.
    pub scratch: String,
    /// How long all of it took.
    pub elapsed_seconds: f64,
    /// Of that, how long the machine worked.
    pub machine_seconds: f64,
    /// Of that, how long people were waited for.
    pub people_seconds: f64,
    /// Keys, state, network, in this order.
    pub parts: Vec<EverythingPartDocument>,
    /// What trading needs of what came back.
    pub conditions: Vec<CheckDocument>,
    /// Public key that signed the report, hex.
    pub signer_hex: String,
    /// The signature, hex.
    pub signature_hex: String,
}

/// What was found of one domain.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct EverythingPartDocument {
    /// `keys`, `state` or `network`.
    pub name: String,
    /// How it ended; `not_configured` if it was left out on purpose.
    pub result: Outcome,
    /// In words; why it was not drilled, if it was not.
    pub detail: String,
    /// The exit code that this part alone would have ended with.
    pub exit_code: u8,
    /// Which kit it began from; empty without one.
    pub kit: String,
    /// Who opened it; empty if nobody did.
    pub opened_by: String,
    /// The recovery point or version that came back; empty if there was none.
    pub recovery_point: String,
    /// What is known of whether it is the newest.
    pub freshness: String,
    /// Age of the newest moment that came back when the drill began.
    pub rpo_seconds: Option<f64>,
    /// The machine's time until it was back and checked.
    pub rto_seconds: Option<f64>,
    /// Sites that answered.
    pub sites_used: Vec<String>,
    /// Sites that did not.
    pub sites_missing: Vec<String>,
    /// Every key, database, server among it.
    pub sources: Vec<SourceProofDocument>,
    /// Every check.
    pub checks: Vec<CheckDocument>,
}
