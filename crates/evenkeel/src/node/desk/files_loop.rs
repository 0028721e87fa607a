//! Recovery points of files and folders, now and then: `evenkeel backup` in a process of its own,
//! with its lock.

use std::ffi::OsStr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::super::domain::Domain;
use super::super::observed::{Observed, all_point_documents, lock};
use super::super::postgres::note_sources;
use super::super::stop::Stop;
use super::changes::Changes;
use super::child;
use super::sources::FILES;
use crate::cli::parse_time_ns;
use crate::config::Config;
use crate::documents::{BackupDocument, PointKind, Severity, SourceKind};
use crate::report::{Exit, Result};

/// After a point that could not be made.
const RETRY: Duration = Duration::from_secs(10);
/// Between the end of a point and the next, however long it took.
const REST: Duration = Duration::from_secs(1);
/// Changes make a point no sooner than this part of the interval after the one before.
const SOONER: u32 = 6;
/// How often it looks at the clock.
const BEAT: Duration = Duration::from_millis(250);
/// How long a point that is being made may take when the daemon ends.
const GRACE: Duration = Duration::from_secs(5);
/// The sites are looked over after a point, but no more than this share of the time.
const LOOK_SHARE: u32 = 20;

pub(crate) struct FilesLoop {
    pub(crate) config: Config,
    pub(crate) observed: Arc<Observed>,
    /// Whether the home's points are these: it has no venue.
    pub(crate) alone: bool,
}

impl FilesLoop {
    /// Whether there is anything to do.
    pub(crate) fn is_wanted(config: &Config) -> bool {
        let some = !config.files.paths.is_empty()
            || !config.postgres.is_empty()
            || !config.slashing.is_empty();
        some && config.files.every_seconds > 0
    }

    /// Runs until asked to stop. Points that were missed are made up for by one.
    pub(crate) fn run(self, stop: &Stop) -> Result<()> {
        let every = Duration::from_secs(self.config.files.every_seconds);
        let target = Duration::from_secs(self.config.files.rpo_seconds);
        self.observed.sources.note(FILES, |source| {
            (source.kind, source.target) = (SourceKind::Files, target);
        });
        self.note_postgres(None);
        let mut changes = Changes::begin(&self.config);
        let mut next_look = Instant::now();
        self.look();
        loop {
            let begun = Instant::now();
            changes.clear();
            let Some(is_made) = self.make(stop) else {
                return Ok(());
            };
            if is_made && Instant::now() >= next_look {
                let look = Instant::now();
                self.look();
                next_look = Instant::now() + look.elapsed() * LOOK_SHARE;
            }
            self.note_watching(&changes);
            let wait = if is_made { every } else { RETRY.min(every) };
            let next_at = (begun + wait).max(Instant::now() + REST);
            // Points cost something at the sites: changes that never end make not more of them.
            let soonest_at = (begun + every / SOONER).max(Instant::now() + REST);
            while let Some(left) = next_at.checked_duration_since(Instant::now()) {
                if self.alone {
                    lock(&self.observed.points).next_in = left;
                }
                if stop.sleep(BEAT.min(left)) {
                    return Ok(());
                }
                let is_followed = |path: &Path| self.observed.sources.is_followed(path);
                if is_made && changes.are_due(&is_followed) && Instant::now() >= soonest_at {
                    break;
                }
            }
        }
    }

    /// Says what is only looked at in intervals.
    fn note_watching(&self, changes: &Changes) {
        let Some(why) = changes.lost() else { return };
        let every = self.config.files.every_seconds;
        self.observed.sources.note(FILES, |source| {
            let words =
                format!("not every change is watched, so points come every {every} s: {why}");
            source.detail = Some(match source.detail.take() {
                Some(other) if other.contains(&words) => other,
                Some(other) => format!("{other}; {words}"),
                None => words,
            });
        });
    }

    /// Makes one point; whether it counts. `None` if the daemon ends.
    fn make(&self, stop: &Stop) -> Option<bool> {
        let file = self.config.file.as_os_str();
        let words = ["backup", "--json", "--config"].map(OsStr::new);
        let words: Vec<&OsStr> = words.into_iter().chain([file]).collect();
        let ended = match child::run(&words, stop, GRACE)? {
            Ok(ended) => ended,
            Err(why) => {
                self.trouble(&why);
                return Some(false);
            }
        };
        if let Ok(document) = serde_json::from_slice::<BackupDocument>(&ended.out) {
            self.note(&document);
            return Some(true);
        }
        // Somebody makes one by hand: it will do, and the next follows.
        if ended.status.code() != Some(i32::from(Exit::Locked.code())) {
            self.trouble(&ended.why());
        }
        Some(false)
    }

    fn note(&self, document: &BackupDocument) {
        let left_out = document.problems.iter().filter(|one| one.kind == "unreadable").count();
        let detail = match (document.sites_missing.as_slice(), left_out) {
            ([], 0) => None,
            ([], count) => Some(format!("{count} paths could not be read")),
            (names, 0) => Some(format!("not at {}", names.join(", "))),
            (names, count) => {
                Some(format!("not at {}; {count} paths could not be read", names.join(", ")))
            }
        };
        self.observed.sources.note(FILES, |source| {
            source.complete_ns = parse_time_ns(&document.time).ok();
            source.recovery_point = Some(document.recovery_point.clone());
            source.margin = Some(document.margin);
            (source.detail, source.unprotected) = (detail, false);
        });
        self.note_postgres(Some((&document.recovery_point, document.margin)));
        let conditions = &self.observed.conditions;
        conditions.clear("files_not_protected");
        self.note_sites(document);
        if left_out == 0 {
            conditions.clear("files_unreadable");
            return;
        }
        let first = document.problems.iter().find(|one| one.kind == "unreadable");
        let path = first.map_or("", |one| one.path.as_str());
        conditions.raise(
            "files_unreadable",
            Severity::Warning,
            format!("{left_out} of the protected paths could not be read, the first is {path}"),
            "everything else is in the recovery point",
            "let this account read them, or name them in files.exclude",
        );
    }

    fn note_sites(&self, document: &BackupDocument) {
        let conditions = &self.observed.conditions;
        let mut sites = lock(&self.observed.sites);
        for (name, figures) in sites.iter_mut() {
            if document.sites_missing.contains(name) {
                figures.failure = Some("it did not take the last recovery point".to_owned());
            } else {
                if figures.failure.take().is_some() {
                    self.observed.site_returned.store(true, Ordering::Relaxed);
                }
                figures.complete_to = Some(Instant::now());
            }
        }
        drop(sites);
        if document.sites_missing.is_empty() {
            conditions.clear("files_sites_missing");
            return;
        }
        conditions.raise(
            "files_sites_missing",
            Severity::Warning,
            format!("the last point of files is not at {}", document.sites_missing.join(", ")),
            "it counts: enough sites hold it",
            "nothing: what they miss is rebuilt when they are back",
        );
    }

    /// Clusters have no recovery points of their own: those of files take what was captured.
    fn note_postgres(&self, point: Option<(&str, i64)>) {
        note_sources(&self.config, &self.observed.sources, point);
    }

    fn trouble(&self, why: &str) {
        self.observed.sources.note(FILES, |source| source.detail = Some(why.to_owned()));
        self.observed.conditions.raise(
            "files_not_protected",
            Severity::Critical,
            format!("no recovery point of files could be made: {why}"),
            "earlier points can be restored; it is tried again every few seconds",
            "evenkeel backup   (says it in full), evenkeel sites list",
        );
    }

    /// Reads which points there are, and how much lies at the sites.
    fn look(&self) {
        let Ok(domain) = Domain::of(&self.config) else { return };
        if !self.alone {
            return;
        }
        if let Ok(catalog) = domain.catalog(None) {
            let mut points = all_point_documents(&catalog);
            points.retain(|point| point.kind == PointKind::Files);
            if let Some(newest) = points.last() {
                self.observed.sources.note(FILES, |source| {
                    source.recovery_point = Some(newest.id.clone());
                    source.complete_ns = parse_time_ns(&newest.time).ok();
                    source.margin = Some(newest.margin);
                });
            }
            self.note_postgres(points.last().map(|newest| (newest.id.as_str(), newest.margin)));
            lock(&self.observed.points).points = points;
        }
        for site in domain.sites() {
            let used = site.used_bytes();
            let mut sites = lock(&self.observed.sites);
            let figures = sites.entry(site.name().to_owned()).or_default();
            figures.bytes = used.as_ref().ok().copied();
            if let Err(error) = used {
                figures.failure = Some(error.detail);
            }
        }
    }
}
