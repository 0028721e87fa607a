//! What a change of the primary cost.

use serde::{Deserialize, Serialize};

/// How the primary before came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailoverKind {
    /// It was handed over in good order.
    Planned,
    /// It ended, by itself or by somebody.
    #[default]
    Unplanned,
    /// It was killed to see what comes of it.
    Killed,
}

impl FailoverKind {
    /// The word of the JSON documents.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Planned => "planned",
            Self::Unplanned => "unplanned",
            Self::Killed => "killed",
        }
    }
}

/// `demo kill-primary --json`, and the last one in `status --json`: measured by the clients, and
/// compared with the journal as the new primary continues it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(tag = "message_type", rename = "failover")]
pub struct FailoverDocument {
    /// How the primary before came to its end.
    pub kind: FailoverKind,
    /// When the clients were served again, RFC 3339 UTC.
    pub time: String,
    /// Term of the new primary.
    pub term: u64,
    /// Longest time any one client waited for an acknowledgement.
    pub seconds: f64,
    /// Longest time in which no client at all was given one, while one waited.
    pub silence_seconds: f64,
    /// Acknowledgements compared with the journal: the last ones before, and all since.
    pub acknowledged: u64,
    /// Those among them that the journal does not hold, or holds otherwise.
    pub acknowledged_lost: u64,
    /// Commands that the journal holds more than once, because a client had no answer.
    pub repeated: u64,
    /// Those among them that took effect more than once.
    pub applied_twice: u64,
}

/// `failover --dry-run --json`: whether a failover would work now.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(tag = "message_type", rename = "failover_check")]
pub struct FailoverCheckDocument {
    /// Whether it would.
    pub would_work: bool,
    /// Term of the present primary; 0 if none answers.
    pub term: u64,
    /// First position that is not durable there yet.
    pub position: u64,
    /// What decides it, in the order in which it was looked at.
    pub checks: Vec<FailoverCheck>,
}

/// One of the things that decide it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct FailoverCheck {
    /// `primary`, `standby`, `caught_up`, `agreed`, `not_barred`, `no_damage`.
    pub name: String,
    /// Whether it is as it should be.
    pub ok: bool,
    /// What was found.
    pub detail: String,
}
