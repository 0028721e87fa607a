//! The drill of the newest recovery point of files: everything comes back, every hash and every
//! database is checked.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use evenkeel_capture::files::{Kind, select};
use evenkeel_capture::restore::check_integrity;
use evenkeel_recovery::report::{Check, Verdict};
use evenkeel_recovery::{BesideDrill, BesideFound, Clock as _, SourceProof};
use evenkeel_vault::{Catalog, Opener, Pin, PointInfo};

use super::super::clock::SystemClock;
use super::super::desk::{FILES, LiveSelection, bring_back, check_of};
use super::super::drill_checks::{self, Kind as ScratchKind, Neighbours, Restored};
use super::super::postgres::PostgresDrill;
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
    /// What that lies on.
    pub(crate) scratch_kind: ScratchKind,
    /// The newest record of files that this drill host has seen.
    pub(crate) seen: Option<Pin>,
    /// What to remember instead.
    pub(crate) pin: Option<Pin>,
    /// What else came back.
    pub(crate) neighbours: Neighbours,
}

impl BesideDrill for FilesDrill<'_> {
    fn run(&mut self, catalog: &Catalog, opener: &Opener) -> BesideFound {
        let files = catalog.latest_point_of(Some(FILES_LINEAGE));
        let live = catalog.latest_point_of(Some(LIVE_LINEAGE));
        let mut found = BesideFound {
            point: files.clone().or_else(|| live.clone()),
            checks: Vec::new(),
            sources: Vec::new(),
        };
        let mut restored = Restored {
            scratch: &self.scratch.clone(),
            files: None,
            files_time_ns: files.as_ref().map_or(0, |point| point.time_ns),
            databases: None,
            neighbours: self.neighbours.clone(),
        };
        // First what servers are asked about as well: they need what is below `databases`.
        if live.is_some() {
            self.followed(opener, &mut found, &mut restored);
        }
        if let Some(point) = &files {
            found.checks.push(self.freshness(catalog, point));
            if let Err(report) = self.restore(opener, point, &mut found, &mut restored) {
                let detail = format!("recovery point {}: {}", point.id, report.message());
                found.checks.push(Check::new(FILES, Verdict::Failed, detail));
                let source = SourceProof::unproven(FILES, SourceKind::Files.word());
                found.sources.push(SourceProof { verdict: Verdict::Failed, ..source });
            }
        }
        self.absent(&mut found);
        self.ask(&mut found, &restored);
        if found.point.is_some() || catalog.current_lineage().is_some() {
            let detail = self.scratch_kind.words();
            found.checks.push(Check::new("scratch", Verdict::NotConfigured, detail));
        }
        if let Some((check, source)) = super::super::network::drill(self.config, &self.scratch) {
            found.checks.push(check);
            found.sources.push(source);
        }
        found
    }
}

impl FilesDrill<'_> {
    /// What is configured, and of which nothing came back.
    fn absent(&self, found: &mut BesideFound) {
        let postgres = self.config.postgres.iter();
        let postgres = postgres.map(|one| (format!("postgres:{}", one.name), SourceKind::Postgres));
        let databases = self.config.databases.iter();
        let databases = databases.map(|one| (one.path.display().to_string(), SourceKind::Sqlite));
        for (name, kind) in postgres.chain(databases) {
            if found.sources.iter().any(|source| source.name.0 == name) {
                continue;
            }
            let detail = "nothing of it is at the sites yet";
            found.checks.push(Check::new(&check_of(&name, kind), Verdict::Unproven, detail));
            found.sources.push(SourceProof::unproven(&name, kind.word()));
        }
    }

    /// Makes the configured checks that no server was needed for; each counts for its source.
    fn ask(&self, found: &mut BesideFound, restored: &Restored<'_>) {
        for one in &self.config.drill.checks {
            let name = drill_checks::name_of(one);
            let check = match one.postgres() {
                None => drill_checks::make(one, restored),
                Some(_) if found.checks.iter().any(|made| made.name.0 == name) => continue,
                Some(_) => drill_checks::unproven(one, "no server of it was started"),
            };
            found.checks.push(check);
        }
        for one in &self.config.drill.checks {
            let name = drill_checks::name_of(one);
            let verdict = found.checks.iter().find(|made| made.name.0 == name);
            let verdict = verdict.map_or(Verdict::Unproven, |made| made.verdict);
            let of = match one.source.as_str() {
                source if found.sources.iter().any(|known| known.name.0 == source) => source,
                _ if one.command.is_empty() => FILES,
                _ => continue,
            };
            if let Some(source) = found.sources.iter_mut().find(|known| known.name.0 == of) {
                source.verdict = worse(source.verdict, verdict);
            }
        }
    }

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
    fn followed(&self, opener: &Opener, found: &mut BesideFound, restored: &mut Restored<'_>) {
        let (begun, now_ns) = (Instant::now(), SystemClock::new().wall_ns());
        let (scratch, to) = (self.scratch.join("live"), self.scratch.join("databases"));
        let selection = LiveSelection { paths: &[], time_ns: None };
        let done = match bring_back(opener, &selection, &scratch, &to) {
            Ok(done) => done,
            // A point in which nothing was followed yet.
            Err(report) if report.exit() == Exit::NothingYet => return,
            Err(report) => {
                let detail = report.message().to_owned();
                found.checks.push(Check::new("databases", Verdict::Failed, detail));
                return;
            }
        };
        let rto = begun.elapsed();
        for one in &done {
            let name = one.database.display().to_string();
            let settings = self.config.databases.iter().find(|set| set.path == one.database);
            let settings = settings.cloned().unwrap_or_default();
            let times = Times {
                until_ns: one.shipped_ns,
                now_ns,
                rto,
                promised: (Some(settings.rpo_seconds), settings.rto_seconds),
            };
            let (mut verdict, words) = times.judge();
            let commit = one.restored.commit;
            let gaps = match one.gaps.len() {
                0 => String::new(),
                count => format!("; {count} intervals in it were not protected"),
            };
            let place = to.join(one.database.strip_prefix("/").unwrap_or(&one.database));
            let (of_keys, keys) = self.references(&place);
            verdict = worse(verdict, of_keys);
            let detail = format!(
                "commit {} of {} came back, PRAGMA integrity_check ok{keys}{gaps}; {words}",
                commit.number,
                format_time_ns(commit.time_ns)
            );
            let check = check_of(&name, SourceKind::Sqlite);
            found.checks.push(Check::new(&check, verdict, detail));
            found.sources.push(times.source(&name, SourceKind::Sqlite, verdict, &one.point));
        }
        restored.databases = Some(to);
    }

    /// Whether rows break foreign keys, in words that go behind others.
    fn references(&self, place: &Path) -> (Verdict, String) {
        if !self.config.drill.foreign_keys {
            return (Verdict::Ok, String::new());
        }
        match drill_checks::broken_references(place) {
            Ok(None) => (Verdict::Ok, ", foreign_key_check ok".to_owned()),
            Ok(Some(words)) => {
                let next = "if they do so in the original too: drill.foreign_keys = false";
                (Verdict::Failed, format!(", but {words} ({next})"))
            }
            Err(why) => (Verdict::Unproven, format!(", foreign keys not checked: {why}")),
        }
    }

    fn restore(
        &self,
        opener: &Opener,
        point: &PointInfo,
        found: &mut BesideFound,
        restored: &mut Restored<'_>,
    ) -> Result<()> {
        let (begun, now_ns) = (Instant::now(), SystemClock::new().wall_ns());
        let opened = Opened::new(opener, point)?;
        let all = select(&opened.tree, &[], Path::new("/"))?;
        let to = self.scratch.join("files");
        let done = opened.extract(&all, &to)?;
        let files = &self.config.files;
        let times = Times {
            until_ns: point.time_ns,
            now_ns,
            rto: begun.elapsed(),
            promised: (Some(files.rpo_seconds), files.rto_seconds),
        };
        let (mut verdict, words) = times.judge();
        let detail = format!(
            "{} files, {} folders, {} bytes of recovery point {} came back, every hash right; \
             {words}",
            done.files, done.folders, done.bytes, point.id
        );
        found.checks.push(Check::new(FILES, verdict, detail));
        if let Some(databases) = self.databases(&opened, &to) {
            verdict = worse(verdict, databases.verdict);
            found.checks.push(databases);
        }
        let id = point.id.to_string();
        found.sources.push(times.source(FILES, SourceKind::Files, verdict, &id));
        restored.files = Some(to.clone());
        let drill = PostgresDrill {
            config: self.config,
            scratch: &self.scratch,
            restored,
            point: &id,
            begun,
        };
        let (checks, sources) = drill.run(&opened.tree, &to);
        found.checks.extend(checks);
        found.sources.extend(sources);
        Ok(())
    }

    /// Asks SQLite about every database; nothing if there is none.
    fn databases(&self, opened: &Opened<'_>, to: &Path) -> Option<Check> {
        let is_database = |kind: &Kind| matches!(kind, Kind::File(content) if content.database);
        let databases = opened.tree.entries.iter().filter(|entry| is_database(&entry.kind));
        let (mut count, mut wrong) = (0_u64, None);
        for entry in databases {
            count += 1;
            let place = entry.below(to);
            if let Err(error) = check_integrity(&place) {
                wrong.get_or_insert((Verdict::Failed, error.to_string()));
                continue;
            }
            let (verdict, words) = self.references(&place);
            if verdict != Verdict::Ok {
                let path = place.strip_prefix(to).unwrap_or(&place).display();
                wrong.get_or_insert((verdict, format!("/{path}{words}")));
            }
        }
        let name = "files_databases";
        match wrong {
            Some((verdict, detail)) => Some(Check::new(name, verdict, detail)),
            None if count == 0 => None,
            None => {
                let keys = match self.config.drill.foreign_keys {
                    true => " and foreign_key_check",
                    false => "",
                };
                let detail = format!("{count} pass PRAGMA integrity_check{keys}");
                Some(Check::new(name, Verdict::Ok, detail))
            }
        }
    }
}

/// The worse of two.
fn worse(one: Verdict, other: Verdict) -> Verdict {
    let rank = |verdict: &Verdict| match verdict {
        Verdict::Failed => 0,
        Verdict::Unproven => 1,
        Verdict::NotConfigured => 2,
        Verdict::Ok => 3,
    };
    if rank(&other) < rank(&one) { other } else { one }
}

/// RPO and RTO of a source, beside what was promised of them in seconds.
pub(in super::super) struct Times {
    pub(in super::super) until_ns: u64,
    pub(in super::super) now_ns: u64,
    pub(in super::super) rto: Duration,
    /// Of the age, which need not be promised, and of the restore.
    pub(in super::super) promised: (Option<u64>, u64),
}

impl Times {
    fn rpo(&self) -> Duration {
        Duration::from_nanos(self.now_ns.saturating_sub(self.until_ns))
    }

    /// A restore that takes longer than promised is no proof; an old point is told, because a desk
    /// that is switched off makes none.
    pub(in super::super) fn judge(&self) -> (Verdict, String) {
        let (rpo_max, rto_max) = self.promised;
        let (age, rto) = (self.rpo(), self.rto);
        let of = match rpo_max {
            None => String::new(),
            Some(max) if age > Duration::from_secs(max) => {
                format!(" of {max} s, older than promised")
            }
            Some(max) => format!(" of {max} s"),
        };
        let slow = rto > Duration::from_secs(rto_max);
        let words = format!(
            "RPO {:.1} s{of}, RTO {:.1} s of {rto_max} s{}",
            age.as_secs_f64(),
            rto.as_secs_f64(),
            if slow { ", longer than promised" } else { "" }
        );
        (if slow { Verdict::Failed } else { Verdict::Ok }, words)
    }

    pub(in super::super) fn source(
        &self,
        name: &str,
        kind: SourceKind,
        verdict: Verdict,
        point: &str,
    ) -> SourceProof {
        let ns = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let (rpo_max, rto_max) = self.promised;
        SourceProof {
            verdict,
            point: point.into(),
            until_ns: Some(self.until_ns),
            rpo_ns: Some(ns(self.rpo())),
            rpo_target_ns: rpo_max.map(|max| ns(Duration::from_secs(max))),
            rto_ns: Some(ns(self.rto)),
            rto_target_ns: Some(ns(Duration::from_secs(rto_max))),
            ..SourceProof::unproven(name, kind.word())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn times(age_seconds: u64, rto_seconds: u64) -> Times {
        let (until_ns, now_ns) = (9 * SECOND, (9 + age_seconds) * SECOND);
        Times { until_ns, now_ns, rto: Duration::from_secs(rto_seconds), promised: (Some(3), 4) }
    }

    #[test]
    fn a_restore_that_takes_longer_than_promised_fails_and_an_old_point_is_told() {
        let (verdict, words) = times(3, 4).judge();
        assert_eq!(verdict, Verdict::Ok);
        assert_eq!(words, "RPO 3.0 s of 3 s, RTO 4.0 s of 4 s");
        let (verdict, words) = times(4, 5).judge();
        assert_eq!(verdict, Verdict::Failed);
        assert!(words.contains("older than promised") && words.contains("longer than"), "{words}");
    }

    #[test]
    fn a_source_is_within_its_objectives_as_long_as_both_times_are() {
        let source = |times: Times| times.source("files", SourceKind::Files, Verdict::Ok, "p-1");
        assert!(source(times(3, 4)).is_within_objectives());
        assert!(!source(times(4, 4)).is_within_objectives());
        assert!(!source(times(3, 5)).is_within_objectives());
    }

    #[test]
    fn the_worse_verdict_counts() {
        assert_eq!(worse(Verdict::Ok, Verdict::Unproven), Verdict::Unproven);
        assert_eq!(worse(Verdict::Failed, Verdict::Unproven), Verdict::Failed);
        assert_eq!(worse(Verdict::Unproven, Verdict::NotConfigured), Verdict::Unproven);
    }
}
