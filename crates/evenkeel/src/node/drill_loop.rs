//! The drill thread: starts a drill in a process of its own, now and then, and keeps its result.
//! The process stands for the drill host: it has its own identity and reads the sites only.

use std::ffi::OsStr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::alerts::deadman;
use super::desk::run_child;
use super::domain::Domain;
use super::observed::{Observed, lock};
use super::stop::Stop;
use crate::config::{Config, VenueSource};
use crate::documents::{DrillDocument, Outcome, Severity};
use crate::report::{Exit, Result};

/// How often it looks whether a drill is due.
const BEAT: Duration = Duration::from_millis(250);

pub(crate) struct DrillLoop {
    pub(crate) config: Config,
    pub(crate) observed: Arc<Observed>,
}

impl DrillLoop {
    pub(crate) fn run(self, stop: &Stop) -> Result<()> {
        lock(&self.observed.drills).drills = super::drill_cmd::history(&self.config);
        let every = Duration::from_secs(self.config.drill.every_seconds);
        if every.is_zero() {
            return Ok(());
        }
        // The first drill follows the first recovery point.
        while !self.has_point() {
            if stop.sleep(BEAT) {
                return Ok(());
            }
        }
        loop {
            let next_at = Instant::now() + every;
            self.drill(stop);
            lock(&self.observed.drills).next_at = Some(next_at);
            while Instant::now() < next_at {
                if stop.sleep(BEAT) {
                    return Ok(());
                }
            }
        }
    }

    fn has_point(&self) -> bool {
        let venue = !lock(&self.observed.points).points.is_empty();
        venue
            || self.config.venue.source == VenueSource::None
                && self.observed.sources.can_be_drilled(self.config.protects_network_alone())
    }

    /// Whether nothing was ever protected here but the network: not by hand either.
    fn state_is_empty(&self) -> bool {
        let catalog = Domain::of(&self.config).and_then(|domain| domain.catalog(None));
        catalog.is_err_and(|error| error.exit() == Exit::NothingYet)
    }

    fn drill(&self, stop: &Stop) {
        match self.spawn(stop) {
            Some(Ok(document)) => self.note(document),
            Some(Err(why)) => self.trouble(&why),
            None => {}
        }
    }

    /// `None` if the daemon ends meanwhile.
    fn spawn(&self, stop: &Stop) -> Option<Result<DrillDocument, String>> {
        let words = ["drill", "--json", "--no-ping", "--config"].map(OsStr::new);
        let mut words: Vec<&OsStr> =
            words.into_iter().chain([self.config.file.as_os_str()]).collect();
        if self.config.protects_network_alone() && self.state_is_empty() {
            words.extend(["--domain", "network"].map(OsStr::new));
        }
        let ended = match run_child(&words, stop, Duration::ZERO)? {
            Ok(ended) => ended,
            Err(why) => return Some(Err(why)),
        };
        Some(serde_json::from_slice(&ended.out).map_err(|_| ended.why()))
    }

    fn note(&self, document: DrillDocument) {
        self.ping(&document);
        let passed = document.result == Outcome::Ok;
        if passed {
            self.observed.conditions.clear("drill_failed");
            let mut points = lock(&self.observed.points);
            let proven = points.points.iter_mut().find(|one| one.id == document.recovery_point);
            if let Some(point) = proven.filter(|_| document.level.proves_restore()) {
                point.proven_time = Some(document.time.clone());
            }
        } else {
            let first = document
                .checks
                .iter()
                .find(|check| matches!(check.result, Outcome::Failed | Outcome::Unproven));
            let why = first.map_or_else(String::new, |check| {
                format!("{} {}: {}", check.name, check.result.word(), check.detail)
            });
            self.trouble(&why);
        }
        lock(&self.observed.drills).keep(document);
    }

    fn ping(&self, document: &DrillDocument) {
        let conditions = &self.observed.conditions;
        match deadman::ping_if_proven(&self.config.alerts, document) {
            Ok(true) => conditions.clear("deadman_not_told"),
            Ok(false) => {}
            Err(why) => conditions.raise(
                "deadman_not_told",
                Severity::Warning,
                why,
                "protection and drills go on",
                "look at alerts.deadman_url, and whether this machine reaches it",
            ),
        }
    }

    fn trouble(&self, why: &str) {
        self.observed.conditions.raise(
            "drill_failed",
            Severity::Critical,
            format!("the last drill did not pass: {why}"),
            "protection goes on; what is at the sites was not changed by the drill",
            "evenkeel drill --level D3",
        );
    }
}
