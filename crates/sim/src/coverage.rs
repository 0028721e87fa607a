//! Which faults were followed by which ways of recovery, and how often.

use std::collections::BTreeMap;
use std::fmt;

use crate::plan::Fault;

/// A way back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Path {
    /// A process started again on its journal.
    Restart,
    /// An unacknowledged frame was cut off.
    TornTail,
    /// A standby took over.
    TakeOver,
    /// A take-over was refused: the other one still had the authority.
    Fence,
    /// The duty was handed over.
    HandOver,
    /// A vanished tail was fetched from the sites.
    FetchSites,
    /// A vanished tail was fetched from the other host.
    FetchMirror,
    /// A damaged journal was replaced.
    Mend,
    /// Intact entries behind damage were salvaged.
    Salvage,
    /// What every copy had lost was said to be lost.
    Refuse,
    /// A standby connected anew and fetched what it lacked.
    Refetch,
    /// A standby's output was found wrong.
    Barred,
    /// A client was refused for want of space.
    Full,
    /// Nothing had to be done.
    Unharmed,
}

impl Path {
    /// All of them.
    pub const ALL: [Self; 14] = [
        Self::Restart,
        Self::TornTail,
        Self::TakeOver,
        Self::Fence,
        Self::HandOver,
        Self::FetchSites,
        Self::FetchMirror,
        Self::Mend,
        Self::Salvage,
        Self::Refuse,
        Self::Refetch,
        Self::Barred,
        Self::Full,
        Self::Unharmed,
    ];
}

/// Counts of fault × path.
#[derive(Debug, Clone, Default)]
pub struct Coverage {
    counts: BTreeMap<(String, Path), u64>,
}

impl Coverage {
    /// One more.
    pub fn hit(&mut self, fault: Fault, path: Path) {
        *self.counts.entry((format!("{fault:?}"), path)).or_default() += 1;
    }

    /// Adds another table.
    pub fn add(&mut self, other: &Self) {
        for (cell, count) in &other.counts {
            *self.counts.entry(cell.clone()).or_default() += count;
        }
    }

    /// How often a path followed a fault.
    #[must_use]
    pub fn count(&self, fault: Fault, path: Path) -> u64 {
        self.counts.get(&(format!("{fault:?}"), path)).copied().unwrap_or(0)
    }
}

impl fmt::Display for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<14}", "")?;
        for path in Path::ALL {
            write!(f, "{:>12}", format!("{path:?}"))?;
        }
        let shared = [Fault::StoreUnknown, Fault::StoreCut, Fault::StoreDown, Fault::StoreFull];
        for fault in Fault::ALL.into_iter().chain(shared) {
            write!(f, "\n{:<14}", format!("{fault:?}"))?;
            for path in Path::ALL {
                write!(f, "{:>12}", self.count(fault, path))?;
            }
        }
        Ok(())
    }
}
