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
    counts: BTreeMap<(Fault, Path), u64>,
}

/// Every fault, in the order of the table.
pub fn faults() -> impl Iterator<Item = Fault> {
    let shared = [Fault::StoreUnknown, Fault::StoreCut, Fault::StoreDown, Fault::StoreFull];
    Fault::ALL.into_iter().chain(shared)
}

/// Why a path never follows a fault; `None` if it can.
#[must_use]
pub fn cannot(fault: Fault, path: Path) -> Option<&'static str> {
    use Path::{Barred, FetchMirror, FetchSites, HandOver, Refuse, Salvage, Unharmed};
    match path {
        Unharmed if fault.ends_a_process() => Some("a process ends: something has to be done"),
        Unharmed if fault == Fault::SyncError => {
            Some("clients go on, so the next sync fails and its process ends")
        }
        Unharmed if fault == Fault::LostWrite => Some("shipping reads what was written at once"),
        Unharmed if fault == Fault::MemoryFlip => Some("the next digest tells"),
        Path::Refetch if fault.is_of_store() => {
            Some("the store is written first: no host's journal is ahead of it")
        }
        HandOver | FetchSites | FetchMirror | Salvage | Refuse | Barred if fault.is_of_store() => {
            Some("three hosts over one store: what a host lacks comes from the store")
        }
        _ => None,
    }
}

impl Coverage {
    /// One more.
    pub fn hit(&mut self, fault: Fault, path: Path) {
        *self.counts.entry((fault, path)).or_default() += 1;
    }

    /// A fault was followed by nothing, if that can be.
    pub fn unharmed(&mut self, fault: Fault) {
        if cannot(fault, Path::Unharmed).is_none() {
            self.hit(fault, Path::Unharmed);
        }
    }

    /// Adds another table.
    pub fn add(&mut self, other: &Self) {
        for (cell, count) in &other.counts {
            *self.counts.entry(*cell).or_default() += count;
        }
    }

    /// How often a path followed a fault.
    #[must_use]
    pub fn count(&self, fault: Fault, path: Path) -> u64 {
        self.counts.get(&(fault, path)).copied().unwrap_or(0)
    }

    /// The cells that can be met, rarest first.
    #[must_use]
    pub fn rarest(&self) -> Vec<(u64, Fault, Path)> {
        let all = faults().flat_map(|fault| Path::ALL.map(|path| (fault, path)));
        let met = all.filter(|(fault, path)| cannot(*fault, *path).is_none());
        let mut cells: Vec<_> =
            met.map(|(fault, path)| (self.count(fault, path), fault, path)).collect();
        cells.sort_unstable();
        cells
    }
}

impl fmt::Display for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<14}", "")?;
        for path in Path::ALL {
            write!(f, "{:>12}", format!("{path:?}"))?;
        }
        for fault in faults() {
            write!(f, "\n{:<14}", format!("{fault:?}"))?;
            for path in Path::ALL {
                let count = self.count(fault, path);
                match cannot(fault, path) {
                    Some(_) if count == 0 => write!(f, "{:>12}", "-")?,
                    _ => write!(f, "{count:>12}")?,
                }
            }
        }
        Ok(())
    }
}
