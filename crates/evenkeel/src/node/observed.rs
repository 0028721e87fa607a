//! What each thread of the daemon last knew, for whoever asks: status, dashboard, metrics.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::AtomicBool;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use evenkeel_recovery::Promise;
use evenkeel_types::Mode;
use evenkeel_vault::{Catalog, Point};

use super::desk::Sources;
use super::files::kind_in;
use super::link_board::LinkBoard;
use super::market::OpenMarket;
use super::scrub_loop::ScrubFigures;
use crate::cli::format_time_ns;
use crate::documents::{
    ConditionDocument, DrillDocument, NetworkCheckDocument, PendingApprovalsDocument,
    PointDocument, PointKind, Severity, SiteDocument,
};
use crate::keyfile::hex;

/// Locks even if a thread died holding it: figures are replaced whole, never half.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The primary's figures, set after every batch.
#[derive(Debug, Clone, Default)]
pub(crate) struct PrimaryFigures {
    pub(crate) running: bool,
    pub(crate) mode: Mode,
    pub(crate) position: u64,
    pub(crate) term: u64,
    pub(crate) output_digest: [u8; 32],
    pub(crate) open_orders: u64,
    pub(crate) accounts: u64,
    pub(crate) instruments: u64,
    pub(crate) trades: u64,
    pub(crate) liquidations: u64,
    pub(crate) in_liquidation: u64,
    pub(crate) rules: u32,
    pub(crate) volatility_index: Option<String>,
    pub(crate) insurance_fund: Option<String>,
    pub(crate) on_reserve: bool,
    pub(crate) wall_skew_ns: i64,
}

/// The follower's figures.
#[derive(Debug, Clone, Default)]
pub(crate) struct FollowerFigures {
    pub(crate) position: u64,
    pub(crate) journal_root: Option<[u8; 32]>,
    pub(crate) snapshot_position: u64,
}

/// One site as the shipper last saw it.
#[derive(Debug, Clone, Default)]
pub(crate) struct SiteFigures {
    /// Everything durable at this moment has reached the site.
    pub(crate) complete_to: Option<Instant>,
    /// Why the last write to it failed, if it did.
    pub(crate) failure: Option<String>,
    pub(crate) bytes: Option<u64>,
    pub(crate) objects: Option<u64>,
}

/// The shipper's figures.
#[derive(Debug, Clone, Default)]
pub(crate) struct TailFigures {
    pub(crate) shipped_position: u64,
    pub(crate) shipped_wall_ns: Option<u64>,
    /// Everything durable at this moment is on enough sites.
    pub(crate) complete_to: Option<Instant>,
    pub(crate) pending_bytes: u64,
    pub(crate) stopped: Option<String>,
}

/// Recovery points, oldest first.
#[derive(Debug, Default)]
pub(crate) struct PointFigures {
    pub(crate) points: Vec<PointDocument>,
    pub(crate) next_in: Duration,
}

impl PointFigures {
    /// Adds a point just made.
    pub(crate) fn note(&mut self, point: &Point, position: u64, time_ns: u64, promise: &Promise) {
        self.points.push(PointDocument {
            id: point.id.to_string(),
            kind: PointKind::Venue,
            domain: super::domain::STATE.to_owned(),
            lineage: point.id.lineage.to_string(),
            position,
            time: format_time_ns(time_ns),
            age_seconds: 0.0,
            state_root: hex(&promise.state_root),
            journal_root: hex(&promise.journal_root),
            output_digest: hex(&promise.output_digest),
            bytes: point.shipped.bytes,
            margin: point.margin,
            full: point.shipped.sites_failed.is_empty(),
            sites: point.shipped.sites_ok.clone(),
            self_contained: point.self_contained,
            signed: true,
            proven_time: None,
        });
    }

    /// Takes the margins, and which points there still are, from the catalog.
    pub(crate) fn replace(&mut self, catalog: &Catalog) {
        let mut points = point_documents(catalog);
        for point in &mut points {
            let known = self.points.iter().find(|known| known.id == point.id);
            point.proven_time = known.and_then(|known| known.proven_time.clone());
        }
        // A point made while the catalog was being read is newer than it.
        let newest = points.last().map_or(0, |point| point.position);
        let later = self.points.iter().filter(|known| known.position > newest);
        points.extend(later.cloned());
        self.points = points;
    }
}

/// The venue's points of the catalog; see [`all_point_documents`].
pub(crate) fn point_documents(catalog: &Catalog) -> Vec<PointDocument> {
    let mut points = all_point_documents(catalog);
    points.retain(|point| point.kind == PointKind::Venue);
    points
}

/// The catalog's points, oldest first, as documents; the age is filled in when they are shown.
pub(crate) fn all_point_documents(catalog: &Catalog) -> Vec<PointDocument> {
    let names: Vec<String> = catalog.sites().iter().map(|site| site.name().to_owned()).collect();
    let mut points = catalog.points();
    points.sort_by_key(|point| (point.time_ns, point.position));
    let spare = catalog.layout().map_or(0, |layout| layout.n() - layout.k());
    points
        .iter()
        .map(|point| {
            let promise = Promise::from_roots(&point.roots);
            let root = |pick: fn(&Promise) -> [u8; 32]| {
                promise.as_ref().map_or_else(String::new, |promise| hex(&pick(promise)))
            };
            let full = usize::try_from(point.margin).is_ok_and(|margin| margin >= spare);
            PointDocument {
                id: point.id.to_string(),
                kind: kind_in(catalog, point.id.lineage),
                domain: catalog.domain().to_owned(),
                lineage: point.id.lineage.to_string(),
                position: point.position,
                time: format_time_ns(point.time_ns),
                age_seconds: 0.0,
                state_root: root(|promise| promise.state_root),
                journal_root: root(|promise| promise.journal_root),
                output_digest: root(|promise| promise.output_digest),
                bytes: point.length_bytes,
                margin: point.margin,
                full,
                sites: if full { names.clone() } else { Vec::new() },
                self_contained: point.self_contained,
                signed: true,
                proven_time: None,
            }
        })
        .collect()
}

/// Drills kept for the dashboard.
const DRILLS_MAX: usize = 500;

/// Drills, newest last.
#[derive(Debug, Default)]
pub(crate) struct DrillFigures {
    pub(crate) drills: Vec<DrillDocument>,
    pub(crate) next_at: Option<Instant>,
}

impl DrillFigures {
    /// Adds a drill, once, and lets the oldest go.
    pub(crate) fn keep(&mut self, document: DrillDocument) {
        self.drills.retain(|known| known.id != document.id);
        self.drills.push(document);
        let excess = self.drills.len().saturating_sub(DRILLS_MAX);
        self.drills.drain(..excess);
    }
}

/// Rates over the last few seconds.
#[derive(Debug, Default)]
pub(crate) struct Rates {
    batches: VecDeque<(Instant, u64, Duration)>,
}

const RATE_WINDOW: Duration = Duration::from_secs(5);
const RATE_BATCHES_MAX: usize = 20_000;

impl Rates {
    pub(crate) fn note(&mut self, entries: u64, latency: Duration) {
        let now = Instant::now();
        self.batches.push_back((now, entries, latency));
        while self.batches.len() > RATE_BATCHES_MAX
            || self.batches.front().is_some_and(|(at, ..)| now - *at > RATE_WINDOW)
        {
            self.batches.pop_front();
        }
    }

    pub(crate) fn entries_per_second(&self) -> f64 {
        let now = Instant::now();
        let recent = self.batches.iter().filter(|(at, ..)| now - *at <= RATE_WINDOW);
        let (mut count, mut oldest) = (0u64, now);
        for (at, entries, _) in recent {
            count += entries;
            oldest = oldest.min(*at);
        }
        let span = (now - oldest).max(Duration::from_secs(1));
        #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
        let count = count as f64;
        count / span.as_secs_f64()
    }

    pub(crate) fn latency_p99(&self) -> Option<Duration> {
        let mut latencies: Vec<Duration> = self.batches.iter().map(|batch| batch.2).collect();
        if latencies.is_empty() {
            return None;
        }
        let at = (latencies.len() - 1) * 99 / 100;
        Some(*latencies.select_nth_unstable(at).1)
    }
}

/// What a person should know until it is over.
#[derive(Debug, Default)]
pub(crate) struct Conditions(Mutex<BTreeMap<String, ConditionDocument>>);

impl Conditions {
    pub(crate) fn raise(
        &self,
        kind: &str,
        severity: Severity,
        message: impl Into<String>,
        safe: &str,
        next: &str,
    ) {
        let condition = ConditionDocument {
            kind: kind.to_owned(),
            severity,
            message: message.into(),
            safe: safe.to_owned(),
            next: next.to_owned(),
        };
        lock(&self.0).insert(kind.to_owned(), condition);
    }

    pub(crate) fn clear(&self, kind: &str) {
        lock(&self.0).remove(kind);
    }

    /// All that hold now, worst first.
    pub(crate) fn all(&self) -> Vec<ConditionDocument> {
        let mut all: Vec<_> = lock(&self.0).values().cloned().collect();
        all.sort_by(|a, b| (a.severity, &a.kind).cmp(&(b.severity, &b.kind)));
        all
    }
}

/// Everything observed.
#[derive(Debug, Default)]
pub(crate) struct Observed {
    pub(crate) primary: Mutex<PrimaryFigures>,
    pub(crate) follower: Mutex<FollowerFigures>,
    pub(crate) tail: Mutex<TailFigures>,
    pub(crate) sites: Mutex<BTreeMap<String, SiteFigures>>,
    /// A site that had failed took something again: it may lack what came meanwhile.
    pub(crate) site_returned: AtomicBool,
    pub(crate) points: Mutex<PointFigures>,
    pub(crate) drills: Mutex<DrillFigures>,
    /// Bytes the journal may use, and the position below which it may be trimmed beyond that.
    pub(crate) trim: Mutex<Option<(u64, u64)>>,
    pub(crate) rates: Mutex<Rates>,
    /// The last time that everything in the journal was read again.
    pub(crate) scrub: Mutex<ScrubFigures>,
    /// The market as it was when this primary began, for clients in other processes.
    pub(crate) market: Mutex<Option<OpenMarket>>,
    pub(crate) conditions: Conditions,
    pub(crate) link: LinkBoard,
    /// Files and databases.
    pub(crate) sources: Sources,
    /// What was last measured of the network.
    pub(crate) network: Mutex<Option<NetworkCheckDocument>>,
    /// What waited for approvers when the sites were last asked.
    pub(crate) approvals: Mutex<Option<PendingApprovalsDocument>>,
    /// The sites of its versions, as they were last found.
    pub(crate) network_sites: Mutex<Vec<SiteDocument>>,
}
