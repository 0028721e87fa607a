//! Lines that come before or instead of a result.

use serde::{Deserialize, Serialize};

/// One JSON line of progress of long work.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(tag = "message_type", rename = "progress")]
pub struct ProgressDocument {
    /// Stable name of what is going on, snake case.
    pub phase: String,
    /// How much is done, in `unit`.
    pub done: u64,
    /// How much there is; `null` when not known.
    pub total: Option<u64>,
    /// `entries`, `bytes`, `objects`, ….
    pub unit: String,
    /// Time since the work began.
    pub elapsed_seconds: f64,
    /// Time left at the present rate; `null` when not known.
    pub eta_seconds: Option<f64>,
}

/// What replaces the result when there is none.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(tag = "message_type", rename = "error")]
pub struct ErrorDocument {
    /// The process's exit code.
    pub exit_code: i32,
    /// What happened, and where.
    pub message: String,
    /// What is safe, and what is lost (nothing, if so).
    pub safe: String,
    /// The next command to type.
    pub next: String,
}
