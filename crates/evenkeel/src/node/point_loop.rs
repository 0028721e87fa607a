//! The recovery point thread: a checkpoint from the follower, kept on this host and sealed at the
//! sites; then what is no longer needed may go.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use evenkeel_recovery::{
    Checkpoint, Clock as _, Frames, PointMaker, Promise, finish_point, seal_point,
};
use evenkeel_vault::{
    Catalog, Janitor, Lineage, Plan, Point, Policy, Reason, RootPublicKey, SealedPoint, Site,
    Writer, plan_retention, prune_demo,
};

use super::clock::SystemClock;
use super::domain::STATE;
use super::follow_loop::Checkpoints;
use super::observed::{Observed, lock};
use super::snapshots::Snapshots;
use super::start::refuse_superseded;
use super::stop::Stop;
use super::vault_writer::{JournalView, VaultWriter};
use crate::config::RecoveryConfig;
use crate::documents::Severity;
use crate::report::Result;

/// How often it looks whether a point is due.
const BEAT: Duration = Duration::from_millis(200);
/// The first point does not wait for its rhythm: until it exists nothing can be restored.
const FIRST_POINT: Duration = Duration::from_secs(2);
/// How long the follower may take to agree with the primary.
const PATIENCE: Duration = Duration::from_secs(20);
/// The same when the daemon ends: the tail has everything, a last point only saves time.
const PATIENCE_AT_END: Duration = Duration::from_secs(10);
/// Between two attempts to send a point.
const RETRY: Duration = Duration::from_secs(1);
/// When the daemon ends, the last point is tried this often, this far apart.
const TRIES_AT_END: u32 = 5;
const RETRY_AT_END: Duration = Duration::from_millis(200);
/// The sites are looked over after a point, but no more than this share of the time.
const LOOK_SHARE: u32 = 20;
/// How long an object that is no longer needed stays.
const DELETION_DELAY: Duration = Duration::from_secs(600);
/// Share of the home's disk limit that the sites may use, and the journal, in percent.
const SITES_PERCENT: u64 = 70;
const JOURNAL_PERCENT: u64 = 25;

pub(crate) struct PointLoop {
    /// From where the next point's journal part begins; known once the sites have answered.
    pub(crate) maker: Option<PointMaker>,
    pub(crate) checkpoints: Checkpoints,
    pub(crate) snapshots: Snapshots,
    pub(crate) vault: Arc<VaultWriter>,
    pub(crate) lineage: Lineage,
    pub(crate) sites: Vec<Arc<dyn Site>>,
    pub(crate) trust: RootPublicKey,
    pub(crate) janitors: Vec<Arc<dyn Janitor>>,
    pub(crate) journal: JournalView,
    pub(crate) clock: SystemClock,
    pub(crate) observed: Arc<Observed>,
    pub(crate) config: RecoveryConfig,
    /// Objects that may go, and since when.
    pub(crate) planned: BTreeMap<String, Instant>,
}

/// A point that was begun: kept until the sites have taken it.
struct Draft {
    checkpoint: Checkpoint,
    promise: Promise,
    frames: Frames,
}

impl PointLoop {
    /// Runs until asked to stop; then makes a last point, so that a clean end is restored whole.
    pub(crate) fn run(mut self, stop: &Stop) -> Result<()> {
        let started = Instant::now();
        let mut last: Option<Instant> = None;
        let mut next_look = Instant::now();
        self.look()?;
        loop {
            let stopping = stop.sleep(BEAT);
            let waited = last.unwrap_or(started).elapsed();
            let every = Duration::from_secs(self.config.point_every_seconds);
            let due = if last.is_none() { FIRST_POINT.min(every) } else { every };
            let entries = self.uncovered();
            lock(&self.observed.points).next_in = due.saturating_sub(waited);
            let is_due = waited >= due || entries >= self.config.point_every_entries;
            if !stopping && !is_due {
                continue;
            }
            if entries > 0 || last.is_none() {
                self.make(stopping, stop)?;
            }
            // A follower that was behind gave a point short of the end; it catches up now.
            let mut more = if stopping { TRIES_AT_END } else { 0 };
            while more > 0 && self.uncovered() > 0 {
                self.make(stopping, stop)?;
                more -= 1;
            }
            last = Some(Instant::now());
            if stopping {
                return Ok(());
            }
            if Instant::now() >= next_look {
                let begun = Instant::now();
                self.look()?;
                next_look = Instant::now() + begun.elapsed() * LOOK_SHARE;
            }
        }
    }

    /// Durable entries that no point covers yet.
    fn uncovered(&self) -> u64 {
        let made = self.maker.as_ref().map_or(0, PointMaker::last_position);
        self.journal.watermark.durable_next().saturating_sub(made)
    }

    fn make(&mut self, stopping: bool, stop: &Stop) -> Result<()> {
        if self.maker.is_none() {
            self.maker = self.begin()?;
        }
        let Some(maker) = &mut self.maker else {
            return Ok(());
        };
        let patience = if stopping { PATIENCE_AT_END } else { PATIENCE };
        let Some((checkpoint, promise)) = self.checkpoints.take(patience) else {
            let why = "the follower gave no checkpoint: it does not agree with the primary yet";
            trouble(&self.observed, why);
            return Ok(());
        };
        let mut frames = Frames::default();
        maker.frames_up_to(&checkpoint, &mut frames)?;
        if let Err(error) = self.snapshots.save(&checkpoint) {
            let why = format!("the snapshot cannot be kept on this host: {error}");
            trouble(&self.observed, &why);
        } else {
            lock(&self.observed.follower).snapshot_position = checkpoint.position();
        }
        self.ship(&Draft { checkpoint, promise, frames }, stop)
    }

    /// Where the last point of this lineage ended; `None` while the sites do not say.
    fn begin(&self) -> Result<Option<PointMaker>> {
        let from = match Catalog::load(&self.sites, STATE, &self.trust, None) {
            Ok(catalog) => catalog
                .points()
                .iter()
                .filter(|point| point.id.lineage == self.lineage)
                .map(|point| point.position)
                .max(),
            Err(evenkeel_vault::Error::NothingYet { .. }) => None,
            Err(error) => {
                trouble(&self.observed, &error.to_string());
                return Ok(None);
            }
        };
        let from = from.unwrap_or(self.journal.base).max(self.journal.base);
        Ok(Some(PointMaker::new(self.journal.frames_from(from)?)))
    }

    /// Sends a point, again and again until enough sites took it.
    fn ship(&self, draft: &Draft, stop: &Stop) -> Result<()> {
        let mut sealed = None;
        let mut tries_at_end = TRIES_AT_END;
        loop {
            match self.attempt(draft, &mut sealed) {
                Ok((point, time_ns)) => {
                    let mut points = lock(&self.observed.points);
                    points.note(&point, draft.checkpoint.position(), time_ns, &draft.promise);
                    self.observed.conditions.clear("no_point");
                    return Ok(());
                }
                Err(report) => trouble(&self.observed, report.message()),
            }
            if stop.sleep(RETRY) {
                tries_at_end -= 1;
                if tries_at_end == 0 {
                    return Ok(());
                }
                std::thread::sleep(RETRY_AT_END);
            }
        }
    }

    /// The writer is held to begin and to finish only: the tail goes out while a point is sealed.
    fn attempt(&self, draft: &Draft, sealed: &mut Option<SealedPoint>) -> Result<(Point, u64)> {
        let Draft { checkpoint, promise, frames } = draft;
        if sealed.as_ref().is_some_and(SealedPoint::is_lost) {
            *sealed = None;
        }
        let sealed = match sealed {
            Some(sealed) => sealed,
            None => {
                let time_ns = self.clock.wall_ns();
                let begin = |writer: &mut Writer| Ok(writer.begin_point(time_ns, false)?);
                let sealer = self.vault.with(begin)?;
                sealed.insert(seal_point(sealer, checkpoint, frames)?)
            }
        };
        let time_ns = self.clock.wall_ns();
        let point = self
            .vault
            .with(|writer| Ok(finish_point(writer, checkpoint, promise, sealed, time_ns)?))?;
        Ok((point, time_ns))
    }

    /// Reads the catalog: margins as they are now, bytes at the sites; then lets go of what is no
    /// longer needed.
    ///
    /// # Errors
    /// Another lineage has continued this one: this primary was replaced and has to end.
    fn look(&mut self) -> Result<()> {
        let Ok(catalog) = Catalog::load(&self.sites, STATE, &self.trust, None) else {
            return Ok(());
        };
        refuse_superseded(&catalog, self.lineage)?;
        lock(&self.observed.points).replace(&catalog);
        self.notice_loss(&catalog);
        self.observe_sites();
        let limit = self.config.disk_limit_bytes;
        let sites_max = if limit == 0 { u64::MAX } else { limit / 100 * SITES_PERCENT };
        // Tails that a self-contained point covers go at once; points only beyond the limit.
        let mut plan = plan_retention(&catalog, Policy { bytes_max: 0 });
        let over = plan_retention(&catalog, Policy { bytes_max: sites_max });
        let over: BTreeSet<&str> = over.deletions.iter().map(|one| one.object.as_str()).collect();
        plan.deletions
            .retain(|one| one.reason == Reason::Covered || over.contains(one.object.as_str()));
        // A site that is away would keep what the others forgot.
        let plan = self.ripe(plan);
        if limit > 0 && catalog.unreachable().is_empty() {
            for error in prune_demo(&self.janitors, &plan) {
                self.observed.conditions.raise(
                    "not_pruned",
                    Severity::Notice,
                    format!("what later points cover could not be removed: {error}"),
                    "nothing is lost; more disk is used than needed",
                    "evenkeel verify",
                );
            }
        }
        let journal_max = limit / 100 * JOURNAL_PERCENT;
        let points = catalog.points();
        let full = points.iter().filter(|point| point.id.lineage == self.lineage).rfind(|point| {
            point.self_contained && usize::try_from(point.margin).is_ok_and(|margin| margin > 0)
        });
        if let (true, Some(point)) = (limit > 0, full) {
            // Nobody may still need what goes: neither the tail's shipper nor the next start.
            let shipped = lock(&self.observed.tail).shipped_position;
            let snapshot = lock(&self.observed.follower).snapshot_position;
            let safe = point.position.min(shipped).min(snapshot);
            *lock(&self.observed.trim) = Some((journal_max, safe));
        }
        Ok(())
    }

    /// A site that answers but lost what it held (a folder emptied, a disk replaced) is mended like
    /// one that was away.
    fn notice_loss(&self, catalog: &Catalog) {
        let answering = self.sites.len().saturating_sub(catalog.unreachable().len());
        let Some(layout) = catalog.layout() else { return };
        let spare = i64::try_from(answering).unwrap_or(0) - i64::try_from(layout.k()).unwrap_or(0);
        if catalog.points().iter().any(|point| point.margin < spare) {
            self.observed.site_returned.store(true, Ordering::Relaxed);
        }
    }

    /// The part of a plan that has stood for a while: whoever restores from what is about to go
    /// has had the time to finish.
    fn ripe(&mut self, mut plan: Plan) -> Plan {
        let before = std::mem::take(&mut self.planned);
        for deletion in &plan.deletions {
            let since = before.get(&deletion.object).copied().unwrap_or_else(Instant::now);
            self.planned.insert(deletion.object.clone(), since);
        }
        plan.deletions.retain(|one| {
            self.planned.get(&one.object).is_some_and(|since| since.elapsed() >= DELETION_DELAY)
        });
        plan
    }

    fn observe_sites(&self) {
        for site in &self.sites {
            let used = site.used_bytes();
            let mut sites = lock(&self.observed.sites);
            let figures = sites.entry(site.name().to_owned()).or_default();
            match used {
                Ok(bytes) => figures.bytes = Some(bytes),
                Err(error) => {
                    figures.bytes = None;
                    figures.failure = Some(error.detail);
                }
            }
        }
    }
}

fn trouble(observed: &Observed, why: &str) {
    observed.conditions.raise(
        "no_point",
        Severity::Warning,
        format!("no recovery point could be made: {why}"),
        "earlier points and the tail shipped since can be restored",
        "evenkeel sites list",
    );
}
