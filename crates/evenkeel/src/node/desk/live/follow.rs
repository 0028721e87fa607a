//! One database that is followed: its capture, in a thread of its own.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use evenkeel_capture::parcel::name_of;
use evenkeel_capture::spool::GapBegin;
use evenkeel_capture::sqlite::{Capture, Clock, Options, Step};
use evenkeel_capture::{Error, Result};
use evenkeel_journal::RealDisk;
use evenkeel_recovery::Clock as _;

use super::super::super::clock::SystemClock;
use super::super::super::observed::lock;
use super::super::super::stop::Stop;
use crate::cli::format_time_ns;
use crate::config::DatabaseConfig;
use crate::documents::SourceGapDocument;

const PAUSE_MIN: Duration = Duration::from_millis(2);
const PAUSE_IDLE: Duration = Duration::from_millis(10);
const PAUSE_FAILED: Duration = Duration::from_secs(1);
/// Intervals that are remembered, per database.
const GAPS_MAX: usize = 100;

/// The wall clock, as capture wants it.
struct WallClock(SystemClock);

impl Clock for WallClock {
    fn now_ns(&self) -> u64 {
        self.0.wall_ns()
    }
}

/// How far its capture is.
#[derive(Debug, Clone, Default)]
pub(super) struct Seen {
    /// Every commit that returned before this moment is in the spool: nanoseconds since 1970 UTC.
    pub(super) captured_ns: Option<u64>,
    /// Intervals that were found not to be protected.
    pub(super) gaps: Vec<SourceGapDocument>,
    /// What keeps it from being followed.
    pub(super) trouble: Option<String>,
}

impl Seen {
    fn begin_gap(&mut self, path: &Path, begin: &GapBegin) {
        self.end_gap(begin.noticed_ns);
        self.gaps.push(SourceGapDocument {
            source: path.display().to_string(),
            from: format_time_ns(begin.from_ns),
            until: None,
            why: begin.why.words().to_owned(),
        });
        // The spool has them all; here are the last.
        let excess = self.gaps.len().saturating_sub(GAPS_MAX);
        self.gaps.drain(..excess);
    }

    fn end_gap(&mut self, time_ns: u64) {
        if let Some(last) = self.gaps.last_mut().filter(|last| last.until.is_none()) {
            last.until = Some(format_time_ns(time_ns));
        }
    }
}

/// A database that is followed.
#[derive(Debug)]
pub(super) struct Followed {
    pub(super) settings: DatabaseConfig,
    /// Of its spool.
    pub(super) folder: PathBuf,
    seen: Mutex<Seen>,
}

impl Followed {
    pub(super) fn new(settings: DatabaseConfig, live_dir: &Path) -> Self {
        let folder = live_dir.join(name_of(&settings.path));
        Self { settings, folder, seen: Mutex::default() }
    }

    pub(super) fn path(&self) -> &Path {
        &self.settings.path
    }

    pub(super) fn seen(&self) -> Seen {
        lock(&self.seen).clone()
    }

    /// Follows it until asked to stop.
    pub(super) fn run(&self, stop: &Stop) {
        let clock = SystemClock::new();
        let Some(mut capture) = self.open(clock, stop) else { return };
        let mut pause = PAUSE_MIN;
        loop {
            // Whoever stops the daemon wants what was committed before: one more look.
            let stopping = stop.sleep(pause);
            let begun_ns = clock.wall_ns();
            let result = capture.step();
            pause = match &result {
                Ok(step) if *step != Step::default() => PAUSE_MIN,
                Ok(_) if capture.is_attached() => (pause * 2).min(PAUSE_IDLE),
                Ok(_) | Err(_) => (pause * 2).min(PAUSE_FAILED),
            };
            self.note(&capture, &result, begun_ns);
            if stopping {
                return;
            }
        }
    }

    fn open(&self, clock: SystemClock, stop: &Stop) -> Option<Capture> {
        loop {
            let (disk, clock) = (Arc::new(RealDisk), Arc::new(WallClock(clock)));
            let options = Options::default();
            match Capture::open(self.path(), disk, &self.folder, clock, options) {
                Ok(capture) => return Some(capture),
                Err(error) => lock(&self.seen).trouble = Some(error.to_string()),
            }
            if stop.sleep(PAUSE_FAILED) {
                return None;
            }
        }
    }

    fn note(&self, capture: &Capture, result: &Result<Step>, begun_ns: u64) {
        let mut seen = lock(&self.seen);
        match result {
            Ok(step) => {
                if let Some(begin) = step.gap {
                    seen.begin_gap(self.path(), &begin);
                }
                if capture.is_attached() && capture.gap().is_none() {
                    seen.end_gap(begun_ns);
                }
                if capture.is_attached() {
                    (seen.captured_ns, seen.trouble) = (Some(begun_ns), None);
                } else if let Some(gap) = capture.gap() {
                    seen.trouble = Some(gap.why.words().to_owned());
                }
            }
            // Another program holds it: nothing is lost.
            Err(Error::Busy { .. }) => {}
            Err(error) => seen.trouble = Some(error.to_string()),
        }
    }
}
