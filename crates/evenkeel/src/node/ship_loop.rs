//! The shipper's thread: the journal's tail to the sites, twice a second.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use evenkeel_recovery::{Clock as _, TailShipper};
use evenkeel_types::{Command, Mode};
use evenkeel_vault::Shipped;

use super::clock::SystemClock;
use super::gateway::Operator;
use super::observed::{Observed, lock};
use super::stop::Stop;
use super::vault_writer::{JournalView, VaultWriter};
use crate::documents::Severity;
use crate::report::{Exit, Report, Result};

/// Cause journaled when the sites lag too far behind.
pub(crate) const CAUSE_SPOOL_FULL: u32 = 1;
/// Cause journaled when they have caught up.
pub(crate) const CAUSE_SPOOL_CLEARED: u32 = 2;
/// Cause journaled when the sites turn out to hold another history.
pub(crate) const CAUSE_FORK: u32 = 3;
/// Entries of one tail object, before compression.
const TAIL_BYTES_MAX: u64 = 1 << 20;
/// With nothing to ship, the writer signs this often that it lives.
const HEARTBEAT: Duration = Duration::from_secs(10);
/// For figures and bounds: an entry's size, give or take.
const ENTRY_BYTES: u64 = 64;

pub(crate) struct ShipLoop {
    /// From where the sites have to be told; known once they have answered.
    pub(crate) shipper: Option<TailShipper>,
    pub(crate) vault: Arc<VaultWriter>,
    pub(crate) journal: JournalView,
    pub(crate) clock: SystemClock,
    pub(crate) observed: Arc<Observed>,
    pub(crate) operator: Operator,
    pub(crate) interval: Duration,
    pub(crate) spool_limit_bytes: u64,
}

impl ShipLoop {
    /// Runs until asked to stop; then ships once more what is durable.
    pub(crate) fn run(mut self, stop: &Stop) -> Result<()> {
        let mut last_record = Instant::now();
        let mut shut = false;
        loop {
            let stopping = stop.sleep(self.interval);
            let cut = Instant::now();
            match self.tick(&mut last_record) {
                Ok(()) => self.succeeded(cut),
                Err(report) if report.exit() == Exit::Integrity => {
                    lock(&self.observed.tail).stopped = Some(report.to_string());
                    self.operator.send(Command::SetMode { mode: Mode::Halted, cause: CAUSE_FORK });
                    return Err(report);
                }
                Err(report) => self.failed(&report),
            }
            if stopping {
                return Ok(());
            }
            shut = self.bound_spool(shut);
        }
    }

    /// Ships everything durable, or a heartbeat if there has been nothing for a while.
    fn tick(&mut self, last_record: &mut Instant) -> Result<()> {
        loop {
            let (shipped, caught_up, time_ns) = self.ship_once(last_record.elapsed())?;
            if let Some(shipped) = shipped {
                *last_record = Instant::now();
                self.note(&shipped, time_ns);
            }
            if caught_up {
                return Ok(());
            }
        }
    }

    fn ship_once(&mut self, quiet: Duration) -> Result<(Option<Shipped>, bool, u64)> {
        let (journal, clock, slot) = (&self.journal, &self.clock, &mut self.shipper);
        self.vault.with(|writer| {
            let shipper = match slot {
                Some(shipper) => shipper,
                None => {
                    let from = writer.next_position().unwrap_or(journal.base).max(journal.base);
                    slot.insert(TailShipper::new(journal.frames_from(from)?))
                }
            };
            let time_ns = clock.wall_ns();
            let (mut shipped, caught_up) = shipper.ship(writer, time_ns, TAIL_BYTES_MAX)?;
            if shipped.is_none() && quiet >= HEARTBEAT {
                let position = shipper.shipped_next().checked_sub(1);
                shipped = Some(writer.append_heartbeat(position, &[], time_ns)?);
            }
            Ok((shipped, caught_up, time_ns))
        })
    }

    fn shipped_next(&self) -> u64 {
        self.shipper.as_ref().map_or(0, TailShipper::shipped_next)
    }

    fn note(&self, shipped: &Shipped, time_ns: u64) {
        let mut tail = lock(&self.observed.tail);
        tail.shipped_position = self.shipped_next();
        tail.shipped_wall_ns = Some(time_ns);
        drop(tail);
        for (name, error) in &shipped.sites_failed {
            self.note_failure(name, &error.detail);
        }
        let mut sites = lock(&self.observed.sites);
        for name in &shipped.sites_ok {
            if sites.entry(name.clone()).or_default().failure.take().is_some() {
                self.observed.site_returned.store(true, Ordering::Relaxed);
            }
        }
    }

    fn note_failure(&self, site: &str, why: &str) {
        let mut sites = lock(&self.observed.sites);
        sites.entry(site.to_owned()).or_default().failure = Some(why.to_owned());
    }

    fn succeeded(&self, cut: Instant) {
        let mut tail = lock(&self.observed.tail);
        tail.complete_to = Some(cut);
        tail.pending_bytes = 0;
        tail.shipped_position = self.shipped_next();
        drop(tail);
        for site in lock(&self.observed.sites).values_mut() {
            if site.failure.is_none() {
                site.complete_to = Some(cut);
            }
        }
        self.observed.conditions.clear("not_shipping");
    }

    fn failed(&self, report: &Report) {
        lock(&self.observed.tail).pending_bytes = self.spool_bytes();
        // The message names each site that failed, with its reason.
        let text = report.to_string();
        let mut failing: Vec<String> = lock(&self.observed.sites).keys().cloned().collect();
        failing.retain(|name| match text.split_once(&format!("{name} (")) {
            Some((_, reason)) => {
                self.note_failure(name, reason.split(')').next().unwrap_or_default());
                true
            }
            None => false,
        });
        let why = match failing.as_slice() {
            [] => report.message().to_owned(),
            names => format!("{} did not take it", names.join(", ")),
        };
        self.observed.conditions.raise(
            "not_shipping",
            Severity::Critical,
            format!("the tail does not reach enough sites: {why}"),
            "everything acknowledged is durable on this host; shipping goes on when sites return",
            "evenkeel sites list",
        );
    }

    /// Bytes of the journal that wait for the sites, roughly.
    fn spool_bytes(&self) -> u64 {
        let waiting = self.journal.watermark.durable_next().saturating_sub(self.shipped_next());
        waiting.saturating_mul(ENTRY_BYTES)
    }

    /// Beyond its bound the spool closes the venue to new orders, warned ahead; it reopens when the
    /// sites have caught up. Returns whether it is closed.
    fn bound_spool(&self, shut: bool) -> bool {
        let (spool, limit) = (self.spool_bytes(), self.spool_limit_bytes);
        let conditions = &self.observed.conditions;
        if spool > limit / 2 {
            conditions.raise(
                "spool_filling",
                Severity::Critical,
                format!(
                    "{spool} bytes wait for the sites; at {limit} the venue takes only cancels"
                ),
                "everything acknowledged is durable on this host",
                "bring sites back: evenkeel sites list",
            );
        } else {
            conditions.clear("spool_filling");
        }
        let (mode, cause) = match shut {
            false if spool > limit => (Mode::CancelOnly, CAUSE_SPOOL_FULL),
            true if spool < limit / 4 => (Mode::Normal, CAUSE_SPOOL_CLEARED),
            _ => return shut,
        };
        let sent = self.operator.send(Command::SetMode { mode, cause });
        if sent { mode == Mode::CancelOnly } else { shut }
    }
}
