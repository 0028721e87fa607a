//! `[[drill.checks]]`: what has to be true of what a drill brought back. Whatever cannot be asked
//! is unproven, whatever is answered otherwise has failed; nothing of it ends the drill.

mod command;
pub(super) mod encrypted;
mod expect;
mod file;
mod scratch;
mod sqlite;

pub(super) use command::{Surroundings, run as run_command};
pub(super) use expect::{Answer, judge};
pub(super) use scratch::{Kind, Scratch, below, remove_stale};
pub(super) use sqlite::broken_references;

use std::path::{Path, PathBuf};

use evenkeel_recovery::report::{Check, Verdict};

use crate::config::DrillCheckConfig;

/// What else came back, in a drill of everything.
#[derive(Debug, Clone, Default)]
pub(super) struct Neighbours {
    /// Configuration files of the network.
    pub(super) network: Option<PathBuf>,
    /// What is public of the keys.
    pub(super) keys: Option<PathBuf>,
}

/// Where things are after a restore.
#[derive(Debug)]
pub(super) struct Restored<'a> {
    /// The drill's folder.
    pub(super) scratch: &'a Path,
    /// The point's files, each at its own path below; none if none came back.
    pub(super) files: Option<PathBuf>,
    /// When that point was made: nanoseconds since 1970 UTC.
    pub(super) files_time_ns: u64,
    /// Databases that were followed, each at its own path below; none if none came back.
    pub(super) databases: Option<PathBuf>,
    /// What stands beside them.
    pub(super) neighbours: Neighbours,
}

impl Restored<'_> {
    /// Where a protected path lies now; a followed database is newer than its copy among files.
    fn place(&self, path: &Path) -> Option<PathBuf> {
        let below = |root: &PathBuf| root.join(path.strip_prefix("/").unwrap_or(path));
        let database = self.databases.as_ref().map(below).filter(|place| place.is_file());
        database.or_else(|| self.files.as_ref().map(below))
    }
}

/// The name that a check has in a report.
pub(super) fn name_of(check: &DrillCheckConfig) -> String {
    format!("check:{}", check.name)
}

/// One that could not be made.
pub(super) fn unproven(check: &DrillCheckConfig, why: &str) -> Check {
    Check::new(&name_of(check), Verdict::Unproven, why)
}

/// Makes one check that needs no server.
pub(super) fn make(check: &DrillCheckConfig, restored: &Restored<'_>) -> Check {
    if !check.command.is_empty() {
        let surroundings = Surroundings { scratch: restored.scratch, restored, server: None };
        return run_command(check, &surroundings);
    }
    let path = match check.sql.is_empty() {
        true => check.path.clone(),
        false => PathBuf::from(&check.source),
    };
    let Some(place) = restored.place(&path) else {
        return unproven(check, "no files came back in which it could be looked for");
    };
    let (verdict, detail) = match check.sql.is_empty() {
        true => file::look(check, &place, restored.files_time_ns),
        false => match sqlite::ask(&place, check) {
            Ok(answer) => judge(check, &answer),
            Err(why) => (Verdict::Failed, why),
        },
    };
    Check::new(&name_of(check), verdict, detail)
}
