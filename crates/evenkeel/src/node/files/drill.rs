//! The drill of the newest recovery point of files: everything comes back, every hash and every
//! database is checked.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use evenkeel_capture::files::{Kind, select};
use evenkeel_capture::restore::check_integrity;
use evenkeel_recovery::report::{Check, Verdict};
use evenkeel_recovery::{BesideDrill, BesideFound, Clock as _};
use evenkeel_vault::{Catalog, Opener, Pin, PointInfo};

use super::super::clock::SystemClock;
use super::super::desk::{LiveRestored, LiveSelection, bring_back, check_of};
use super::super::postgres::drill;
use super::opened::Opened;
use crate::cli::format_time_ns;
use crate::config::Config;
use crate::documents::SourceKind;
use crate::init::{FILES_LINEAGE, LIVE_LINEAGE};
use crate::report::{Exit, Result};

/// What a drill of files found.
pub(crate) struct FilesDrill<'a> {
    /// What is promised of each source.
    pub(crate) config: &'a Config,
    /// Where it writes; removed by whoever made it.
    pub(crate) scratch: PathBuf,
    /// The newest record of files that this drill host has seen.
    pub(crate) seen: Option<Pin>,
    /// What to remember instead.
    pub(crate) pin: Option<Pin>,
}

impl BesideDrill for FilesDrill<'_> {
    fn run(&mut self, catalog: &Catalog, opener: &Opener) -> Option<BesideFound> {
        let files = catalog.latest_point_of(Some(FILES_LINEAGE));
        let live = catalog.latest_point_of(Some(LIVE_LINEAGE));
        let point = files.as_ref().or(live.as_ref())?;
        let mut found = BesideFound {
            point: point.id.to_string(),
            lineage: point.id.lineage,
            position: point.position,
            time_ns: point.time_ns,
            checks: Vec::new(),
        };
        if let Some(point) = &files {
            found.checks.push(self.freshness(catalog, point));
            match self.restore(opener, point) {
                Ok(checks) => found.checks.extend(checks),
                Err(report) => {
                    let detail = format!("recovery point {}: {}", point.id, report.message());
                    found.checks.push(Check::new("files", Verdict::Failed, detail));
                }
            }
        }
        if live.is_some() {
            found.checks.extend(self.followed(opener));
        }
        found.checks.extend(super::super::network::drill(self.config, &self.scratch));
        Some(found)
    }
}

impl FilesDrill<'_> {
    fn freshness(&mut self, catalog: &Catalog, point: &PointInfo) -> Check {
        let name = "files_freshness";
        let lineage = point.id.lineage;
        let newest = catalog.pin(lineage);
        let seen = self.seen.filter(|seen| seen.lineage == lineage);
        let shown = seen.map(|seen| catalog.record(lineage, seen.counter).map(|one| one.hash));
        match (seen, shown) {
            (Some(seen), Some(shown)) if shown == Some(seen.hash) => {
                self.pin = newest;
                let detail = format!("the sites show record {}, seen before", seen.counter);
                Check::new(name, Verdict::Ok, detail)
            }
            (Some(seen), _) => {
                let detail = format!("record {} was seen, and is not shown now", seen.counter);
                Check::new(name, Verdict::Failed, detail)
            }
            (None, _) => {
                self.pin = newest;
                Check::new(name, Verdict::NotConfigured, "the first drill of this lineage")
            }
        }
    }

    /// Brings every followed database back to the last that the sites hold of it.
    fn followed(&self, opener: &Opener) -> Vec<Check> {
        let (begun, now_ns) = (Instant::now(), SystemClock::new().wall_ns());
        let (scratch, to) = (self.scratch.join("live"), self.scratch.join("databases"));
        let selection = LiveSelection { paths: &[], time_ns: None };
        let done = match bring_back(opener, &selection, &scratch, &to) {
            Ok(done) => done,
            // A point in which nothing was followed yet.
            Err(report) if report.exit() == Exit::NothingYet => return Vec::new(),
            Err(report) => {
                let detail = report.message().to_owned();
                return vec![Check::new("databases", Verdict::Failed, detail)];
            }
        };
        let rto = begun.elapsed();
        let check = |one: &LiveRestored| {
            let name = one.database.display().to_string();
            let settings = self.config.databases.iter().find(|set| set.path == one.database);
            let settings = settings.cloned().unwrap_or_default();
            let promised = (settings.rpo_seconds, settings.rto_seconds);
            let age = Duration::from_nanos(now_ns.saturating_sub(one.shipped_ns));
            let (verdict, words) = objectives((age, rto), promised);
            let commit = one.restored.commit;
            let gaps = match one.gaps.len() {
                0 => String::new(),
                count => format!("; {count} intervals in it were not protected"),
            };
            let detail = format!(
                "commit {} of {} came back, PRAGMA integrity_check ok{gaps}; {words}",
                commit.number,
                format_time_ns(commit.time_ns)
            );
            Check::new(&check_of(&name, SourceKind::Sqlite), verdict, detail)
        };
        done.iter().map(check).collect()
    }

    fn restore(&self, opener: &Opener, point: &PointInfo) -> Result<Vec<Check>> {
        let (begun, now_ns) = (Instant::now(), SystemClock::new().wall_ns());
        let opened = Opened::new(opener, point)?;
        let all = select(&opened.tree, &[], Path::new("/"))?;
        let to = self.scratch.join("files");
        let done = opened.extract(&all, &to)?;
        let files = &self.config.files;
        let age = Duration::from_nanos(now_ns.saturating_sub(point.time_ns));
        let promised = (files.rpo_seconds, files.rto_seconds);
        let (verdict, words) = objectives((age, begun.elapsed()), promised);
        let detail = format!(
            "{} files, {} folders, {} bytes of recovery point {} came back, every hash right; \
             {words}",
            done.files, done.folders, done.bytes, point.id
        );
        let mut checks = vec![Check::new("files", verdict, detail)];
        checks.extend(self.databases(&opened, &to));
        checks.extend(drill(&self.config.postgres, &opened.tree, &to, &self.scratch));
        Ok(checks)
    }

    /// Asks SQLite about every database; nothing if there is none.
    fn databases(&self, opened: &Opened<'_>, to: &Path) -> Option<Check> {
        let is_database = |kind: &Kind| matches!(kind, Kind::File(content) if content.database);
        let databases = opened.tree.entries.iter().filter(|entry| is_database(&entry.kind));
        let (mut count, mut wrong) = (0_u64, None);
        for entry in databases {
            count += 1;
            if let Err(error) = check_integrity(&entry.below(to)) {
                wrong.get_or_insert_with(|| error.to_string());
            }
        }
        let name = "files_databases";
        match wrong {
            Some(detail) => Some(Check::new(name, Verdict::Failed, detail)),
            None if count == 0 => None,
            None => {
                let detail = format!("{count} pass PRAGMA integrity_check");
                Some(Check::new(name, Verdict::Ok, detail))
            }
        }
    }
}

/// RPO and RTO beside what was promised. A restore that takes longer than promised is no proof; an
/// old point is told, because a desk that is switched off makes none.
fn objectives((age, rto): (Duration, Duration), promised: (u64, u64)) -> (Verdict, String) {
    let (rpo_max, rto_max) = promised;
    let late = if age > Duration::from_secs(rpo_max) { ", older than promised" } else { "" };
    let slow = rto > Duration::from_secs(rto_max);
    let words = format!(
        "RPO {:.1} s of {rpo_max} s{late}, RTO {:.1} s of {rto_max} s{}",
        age.as_secs_f64(),
        rto.as_secs_f64(),
        if slow { ", longer than promised" } else { "" }
    );
    (if slow { Verdict::Failed } else { Verdict::Ok }, words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_restore_that_takes_longer_than_promised_fails_and_an_old_point_is_told() {
        let seconds = Duration::from_secs;
        let (verdict, words) = objectives((seconds(3), seconds(4)), (3, 4));
        assert_eq!(verdict, Verdict::Ok);
        assert_eq!(words, "RPO 3.0 s of 3 s, RTO 4.0 s of 4 s");
        let (verdict, words) = objectives((seconds(4), seconds(5)), (3, 4));
        assert_eq!(verdict, Verdict::Failed);
        assert!(words.contains("older than promised") && words.contains("longer than"), "{words}");
    }
}
