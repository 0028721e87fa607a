//! Verification and repair.

use serde::{Deserialize, Serialize};

use super::Outcome;

/// `verify --json`: what the sites hold against what they should hold.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(tag = "message_type", rename = "verify")]
pub struct VerifyDocument {
    /// Ok when there is no problem; failed when there is one; unproven when a site did not answer
    /// or a configured check could not be made.
    pub result: Outcome,
    /// Every problem, by site and object.
    pub problems: Vec<ProblemDocument>,
    /// Objects looked at, all sites together.
    pub objects_checked: u64,
    /// Bytes looked at, all sites together.
    pub bytes_checked: u64,
    /// Recovery points looked at.
    pub points_checked: u64,
    /// Smallest margin among them; `null` when there is none.
    pub margin_min: Option<i64>,
    /// How long it took.
    pub elapsed_seconds: f64,
}

/// One thing wrong at one site.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ProblemDocument {
    /// The site's name.
    pub site: String,
    /// The object's name at the site.
    pub object: String,
    /// `missing`, `corrupt`, `truncated`, `foreign`, `stale`, `unexpected`, `unreadable`.
    pub kind: String,
    /// What was expected and what was found.
    pub detail: String,
}

/// `repair --json`: what was wrong and what of it was mended.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(tag = "message_type", rename = "repair")]
pub struct RepairDocument {
    /// Ok when nothing is left to mend; failed otherwise.
    pub result: Outcome,
    /// Every problem found, mended or not.
    pub problems: Vec<RepairProblemDocument>,
    /// Those that were mended.
    pub repaired: Vec<ProblemDocument>,
    /// Bytes written to the sites.
    pub bytes_written: u64,
    /// How long it took.
    pub elapsed_seconds: f64,
}

/// One thing that was wrong, and whether it still is.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RepairProblemDocument {
    /// The problem.
    #[serde(flatten)]
    pub problem: ProblemDocument,
    /// Whether it was mended.
    pub repaired: bool,
}

impl RepairDocument {
    /// The document of `problems`, its result and `repaired` list following from them.
    pub fn of(
        problems: Vec<RepairProblemDocument>,
        bytes_written: u64,
        elapsed_seconds: f64,
    ) -> Self {
        let repaired: Vec<_> =
            problems.iter().filter(|p| p.repaired).map(|p| p.problem.clone()).collect();
        let result = if repaired.len() == problems.len() { Outcome::Ok } else { Outcome::Failed };
        Self { result, problems, repaired, bytes_written, elapsed_seconds }
    }
}
