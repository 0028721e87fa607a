//! The drill of the newest recovery point of files: everything comes back, every hash and every
//! database is checked.

use std::path::{Path, PathBuf};

use evenkeel_capture::files::{Kind, select};
use evenkeel_capture::restore::check_integrity;
use evenkeel_recovery::report::{Check, Verdict};
use evenkeel_recovery::{BesideDrill, BesideFound};
use evenkeel_vault::{Catalog, Opener, Pin, PointInfo};

use super::super::postgres::drill;
use super::opened::Opened;
use crate::config::PostgresConfig;
use crate::init::FILES_LINEAGE;
use crate::report::Result;

/// What a drill of files found.
pub(crate) struct FilesDrill {
    /// What is known of PostgreSQL clusters among them.
    pub(crate) postgres: Vec<PostgresConfig>,
    /// Where it writes; removed by whoever made it.
    pub(crate) scratch: PathBuf,
    /// The newest record of files that this drill host has seen.
    pub(crate) seen: Option<Pin>,
    /// What to remember instead.
    pub(crate) pin: Option<Pin>,
}

impl BesideDrill for FilesDrill {
    fn run(&mut self, catalog: &Catalog, opener: &Opener) -> Option<BesideFound> {
        let point = catalog.latest_point_of(Some(FILES_LINEAGE))?;
        let mut found = BesideFound {
            point: point.id.to_string(),
            lineage: point.id.lineage,
            position: point.position,
            time_ns: point.time_ns,
            checks: Vec::new(),
        };
        found.checks.push(self.freshness(catalog, &point));
        match self.restore(opener, &point) {
            Ok(checks) => found.checks.extend(checks),
            Err(report) => {
                let detail = format!("recovery point {}: {}", point.id, report.message());
                found.checks.push(Check::new("files", Verdict::Failed, detail));
            }
        }
        Some(found)
    }
}

impl FilesDrill {
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

    fn restore(&self, opener: &Opener, point: &PointInfo) -> Result<Vec<Check>> {
        let opened = Opened::new(opener, point)?;
        let all = select(&opened.tree, &[], Path::new("/"))?;
        let to = self.scratch.join("files");
        let done = opened.extract(&all, &to)?;
        let detail = format!(
            "{} files, {} folders, {} bytes of recovery point {} came back, every hash right",
            done.files, done.folders, done.bytes, point.id
        );
        let mut checks = vec![Check::new("files", Verdict::Ok, detail)];
        checks.extend(self.databases(&opened, &to));
        checks.extend(drill(&self.postgres, &opened.tree, &to, &self.scratch));
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
