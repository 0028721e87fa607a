//! What a catalog tells: points, tails, lineages, forks, freshness.

use crate::certificate::Parent;
use crate::layout::Lineage;
use crate::record::{PointId, Root};

/// How sure it is that nothing newer than this was ever written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Freshness {
    /// The sites show at least what the pin says was seen before.
    Proven {
        /// Counter of the pin.
        pinned: u64,
    },
    /// Nothing says how far the chain should reach.
    Unproven {
        /// Why, for people.
        why: String,
    },
    /// The sites show less than was seen before.
    RolledBack {
        /// Lineage of the pin.
        lineage: Lineage,
        /// Counter of the pin.
        pinned: u64,
        /// Highest counter at the sites.
        found: u64,
    },
    /// The sites show another record than the one that was seen before.
    Contradicted {
        /// Lineage of the pin.
        lineage: Lineage,
        /// Counter of the pin.
        counter: u64,
    },
}

/// Two histories where there may be one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fork {
    /// The lineages concerned (one, if it split in itself).
    pub lineages: Vec<Lineage>,
    /// First counter at which one lineage split in itself.
    pub counter: Option<u64>,
    /// What was found, for people.
    pub detail: String,
}

/// A recovery point.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PointInfo {
    /// Its id.
    pub id: PointId,
    /// The position it brings back.
    pub position: u64,
    /// When it was made: nanoseconds since 1970 UTC, by the writer's clock.
    pub time_ns: u64,
    /// Its roots.
    pub roots: Vec<Root>,
    /// Whether it refers to no earlier pack.
    pub self_contained: bool,
    /// Sites that may still be lost: by names and sizes listed; `verify` proves it. Negative
    /// means that the point cannot be restored from the sites that answered.
    pub margin: i64,
    /// Packs it needs.
    pub objects: usize,
    /// Length of these packs together.
    pub length_bytes: u64,
}

/// A shipped tail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TailInfo {
    /// Its lineage.
    pub lineage: Lineage,
    /// Counter of its record.
    pub counter: u64,
    /// First position covered.
    pub first: u64,
    /// Last position covered.
    pub last: u64,
    /// When it was made: nanoseconds since 1970 UTC, by the writer's clock.
    pub time_ns: u64,
    /// Its roots.
    pub roots: Vec<Root>,
}

/// One lineage of the catalog.
#[derive(Debug, Clone)]
pub struct LineageInfo {
    /// The lineage.
    pub lineage: Lineage,
    /// Where it branched off.
    pub parent: Option<Parent>,
    /// When it was certified, nanoseconds since 1970 UTC.
    pub issued_time_ns: u64,
    /// Its newest record: counter, hash and time.
    pub head: Option<(u64, [u8; 32], u64)>,
    /// Last position its tails cover.
    pub tail_last: Option<u64>,
    /// The last record that is believed, if the root revoked its writer (0: none is).
    pub revoked_after: Option<u64>,
}
