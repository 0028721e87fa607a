//! What a writer is given, and what it gives back.

use std::io::Read;
use std::ops::RangeInclusive;
use std::path::PathBuf;

use crate::approval::ApprovalRule;
use crate::keys::Recipient;
use crate::layout::Layout;
use crate::record::{PointId, Root};
use crate::seal::ZSTD_LEVEL;
use crate::site::SiteError;

/// Default and largest key period.
pub(crate) const PERIOD_SECONDS_MAX: u64 = 24 * 60 * 60;
pub(crate) const NS_PER_SECOND: u64 = 1_000_000_000;
/// How a writer works.
#[derive(Debug, Clone)]
pub struct WriterOptions {
    /// k of n; n is the number of sites.
    pub layout: Layout,
    /// For whom key periods are wrapped.
    pub recipients: Vec<Recipient>,
    /// A key period ends after this many seconds, at most 86,400.
    pub period_seconds: u64,
    /// Every how many points one refers to no earlier pack; 1 for all of them.
    pub self_contained_every: u64,
    /// File of the deduplication index; without one, the first point after a start is written
    /// whole.
    pub index_path: Option<PathBuf>,
    /// File of the writer's own memory. Without one, what the sites show is believed.
    pub state_path: Option<PathBuf>,
    /// Other hosts sign for this lineage with the same key, one at a time, and something outside
    /// the vault decides which one. Then what they signed behind this writer's last record is
    /// continued; otherwise it is a fork.
    pub takes_turns: bool,
    /// Threads that compress beside the one that reads a source: 0 where something else on this
    /// machine must not be held up, else one per processor.
    pub workers: usize,
    /// Levels of zstd, of 1 to 19: the lowest while sites wait for packs, higher ones, which store
    /// somewhat less, while packs wait for sites.
    pub zstd_levels: RangeInclusive<i32>,
    /// Whose word makes a deletion plan count. With it, points refer to nothing that a plan in
    /// force names; without, no plan can be executed as long as this writer is the lineage's.
    pub deletion: Option<ApprovalRule>,
}

impl WriterOptions {
    /// The defaults for these recipients: 3 of 5, a day, every 24th point whole, no local files.
    #[must_use]
    pub fn new(recipients: Vec<Recipient>) -> Self {
        Self {
            layout: Layout::default(),
            recipients,
            period_seconds: PERIOD_SECONDS_MAX,
            self_contained_every: 24,
            index_path: None,
            state_path: None,
            takes_turns: false,
            workers: 0,
            zstd_levels: ZSTD_LEVEL..=ZSTD_LEVEL,
            deletion: None,
        }
    }
}

/// A record that is at enough sites.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shipped {
    /// Its counter.
    pub counter: u64,
    /// Sites at which every object of it was read back right.
    pub sites_ok: Vec<String>,
    /// The others, with their first error; `repair` mends what they miss.
    pub sites_failed: Vec<(String, SiteError)>,
    /// Bytes sent to sites for it, all sites together.
    pub bytes: u64,
}

/// What a recovery point is made of.
pub struct PointInput<'a> {
    /// The position it brings back.
    pub position: u64,
    /// Now, nanoseconds since 1970 UTC.
    pub time_ns: u64,
    /// Roots to sign with it.
    pub roots: Vec<Root>,
    /// Its content, as named streams.
    pub sources: Vec<(String, &'a mut dyn Read)>,
    /// Refer to no earlier pack, whatever the rhythm says.
    pub self_contained: bool,
}

/// What a recovery point's record says, beside what was sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PointHead {
    /// The position it brings back.
    pub position: u64,
    /// Now, nanoseconds since 1970 UTC.
    pub time_ns: u64,
    /// Roots to sign with it.
    pub roots: Vec<Root>,
}

/// A recovery point that is at enough sites.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Point {
    /// Its id.
    pub id: PointId,
    /// The record.
    pub shipped: Shipped,
    /// Sites that may still be lost.
    pub margin: i64,
    /// Packs it needs.
    pub objects: usize,
    /// Plaintext bytes that had to be written.
    pub bytes_new: u64,
    /// Plaintext bytes that were known already.
    pub bytes_dedup: u64,
    /// Whether it refers to no earlier pack.
    pub self_contained: bool,
}
