//! How many of whom, and how long everybody has to object.

use std::collections::{BTreeMap, BTreeSet};

use super::approver::Approver;
use super::statement::{Matter, Statement, Word};
use crate::error::{Error, Result};

/// Who may allow something, how many of them it takes, and how long everybody has to object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApprovalRule {
    approvers: BTreeSet<Approver>,
    needed: usize,
    delay_ns: u64,
}

impl ApprovalRule {
    /// A rule: `needed` of these approvers, and a delay.
    ///
    /// # Errors
    /// [`Error::Invalid`] for keys that are none or stand twice, and if fewer than one or more
    /// than all are needed.
    pub fn new(approvers: &[Approver], needed: usize, delay_ns: u64) -> Result<Self> {
        let fail = |detail: String| Err(Error::Invalid { what: "rule of approvers", detail });
        if let Some(unsound) = approvers.iter().find(|one| !one.is_sound()) {
            return fail(format!("nobody can sign as {unsound}"));
        }
        let distinct: BTreeSet<Approver> = approvers.iter().copied().collect();
        if distinct.len() != approvers.len() {
            return fail("an approver stands there twice".to_owned());
        }
        if needed == 0 || needed > distinct.len() {
            return fail(format!("{needed} of {} approvers cannot be needed", distinct.len()));
        }
        Ok(Self { approvers: distinct, needed, delay_ns })
    }

    /// The approvers.
    pub fn approvers(&self) -> impl Iterator<Item = &Approver> {
        self.approvers.iter()
    }

    /// How many approvers have to agree.
    #[must_use]
    pub fn needed(&self) -> usize {
        self.needed
    }

    /// How long after the last approval that was needed.
    #[must_use]
    pub fn delay_ns(&self) -> u64 {
        self.delay_ns
    }

    /// Whether this is an approver.
    #[must_use]
    pub fn has(&self, approver: &Approver) -> bool {
        self.approvers.contains(approver)
    }

    /// How a matter stands at `now_ns`. Each statement comes with the time at which it was
    /// received, where somebody knows it (0 elsewhere): an approval counts from the latest of the
    /// time it states, that one, and the proposal, so that nobody shortens the delay by dating it
    /// back.
    #[must_use]
    pub fn judge(&self, matter: &Matter, said: &[(Statement, u64)], now_ns: u64) -> Standing {
        let valid = said
            .iter()
            .filter(|(statement, _)| self.has(&statement.approver) && statement.is_genuine(matter));
        let mut approved: BTreeMap<Approver, u64> = BTreeMap::new();
        let mut cancelled: BTreeSet<Approver> = BTreeSet::new();
        for (statement, received_ns) in valid {
            if statement.word == Word::Cancel {
                cancelled.insert(statement.approver);
                continue;
            }
            let from = statement.time_ns.max(*received_ns).max(matter.proposed_ns);
            let earliest = approved.entry(statement.approver).or_insert(from);
            *earliest = from.min(*earliest);
        }
        if let Some(by) = cancelled.first() {
            return Standing::Cancelled { by: *by };
        }
        let mut times: Vec<u64> = approved.into_values().collect();
        times.sort_unstable();
        let Some(last) = times.get(self.needed - 1) else {
            return Standing::Waiting { approvals: times.len(), needed: self.needed };
        };
        let from_ns = last.saturating_add(self.delay_ns);
        match now_ns < from_ns {
            true => Standing::Delayed { from_ns },
            false => Standing::Valid { from_ns },
        }
    }
}

/// How a matter stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Too few have approved it.
    Waiting {
        /// How many have.
        approvals: usize,
        /// How many are needed.
        needed: usize,
    },
    /// In force; it may be carried out later.
    Delayed {
        /// From when on, nanoseconds since 1970 UTC.
        from_ns: u64,
    },
    /// In force; it may be carried out.
    Valid {
        /// Since when, nanoseconds since 1970 UTC.
        from_ns: u64,
    },
    /// Somebody objected.
    Cancelled {
        /// Who.
        by: Approver,
    },
    /// It may no longer be carried out, or could not before its end. No deletion lapses.
    Lapsed {
        /// Since when, or when it will have: nanoseconds since 1970 UTC.
        at_ns: u64,
    },
}

impl Standing {
    /// Whether enough have approved and nobody has objected: writers refer to none of its packs.
    #[must_use]
    pub fn is_in_force(&self) -> bool {
        matches!(self, Self::Delayed { .. } | Self::Valid { .. })
    }

    /// Whether it still waits, for approvers or for its delay.
    #[must_use]
    pub fn is_pending(&self) -> bool {
        matches!(self, Self::Waiting { .. } | Self::Delayed { .. })
    }
}
