//! `evenkeel restore`, where it brings back followed databases: alone, or over the copies among
//! restored files, which are older.

use std::path::{Path, PathBuf};
use std::time::Instant;

use evenkeel_vault::Opener;

use super::super::desk::{LiveRestored, LiveSelection, are_followed, bring_back, databases};
use super::super::points_cmd::freshness;
use super::super::restore_cmd::missing;
use super::remove_all;
use super::restore::print as print_document;
use crate::cli::{RestoreArgs, format_time_ns};
use crate::documents::{GapDocument, PointKind, RestoreDocument, RestoredDatabaseDocument};
use crate::init::LIVE_LINEAGE;
use crate::output;
use crate::report::{Exit, Report, Result};

/// The databases that are asked for, if all that is asked for are followed databases.
///
/// # Errors
/// What reading the names of the followed ones says.
pub(super) fn asked_for(args: &RestoreArgs, opener: &Opener) -> Result<Option<Vec<PathBuf>>> {
    if args.only.is_empty() || args.point.is_some() {
        return Ok(None);
    }
    let whole = |path: &PathBuf| std::path::absolute(path).unwrap_or_else(|_| path.clone());
    let asked: Vec<PathBuf> = args.only.iter().map(whole).collect();
    Ok(are_followed(opener, &asked)?.then_some(asked))
}

/// Brings followed databases back, and nothing else.
///
/// # Errors
/// Whatever prevents it; nothing half restored stays.
pub(super) fn restore_databases(
    args: &RestoreArgs,
    opener: &Opener,
    paths: &[PathBuf],
    begun: Instant,
) -> Result<Exit> {
    let existed = args.to.exists();
    let done = bring(args, opener, paths);
    if done.is_err() {
        discard(&args.to, existed);
    }
    let document = document_of_all(args, opener, &done?, begun);
    if args.json {
        output::document(&document)?;
    } else {
        print_document(&document)?;
    }
    Ok(Exit::Ok)
}

/// Nothing half restored stays behind.
pub(super) fn discard(to: &Path, existed: bool) {
    for entry in to.read_dir().into_iter().flatten().flatten() {
        remove_all(&entry.path());
    }
    if !existed {
        // What stays is an empty folder.
        let _ = std::fs::remove_dir(to);
    }
}

pub(super) fn document_of_all(
    args: &RestoreArgs,
    opener: &Opener,
    done: &[LiveRestored],
    begun: Instant,
) -> RestoreDocument {
    let (catalog, seen) = (opener.catalog(), opener.seen());
    let lineage = catalog.current_lineage_of(Some(LIVE_LINEAGE));
    let shipped_ns = done.iter().map(|one| one.shipped_ns).max();
    RestoreDocument {
        elapsed_seconds: begun.elapsed().as_secs_f64(),
        bytes_read: seen.bytes,
        sites_missing: missing(catalog),
        sites_used: seen.sites_used,
        last_shipped_time: shipped_ns.map(format_time_ns),
        to: args.to.display().to_string(),
        recovery_point: done.first().map(|one| one.point.clone()).unwrap_or_default(),
        lineage: lineage.map(|lineage| lineage.to_string()).unwrap_or_default(),
        freshness: freshness(catalog.freshness()),
        kind: PointKind::Live,
        files: done.len() as u64,
        file_bytes: done.iter().map(|one| length(&args.to, &one.database)).sum(),
        databases: done.iter().map(document_of).collect(),
        ..RestoreDocument::default()
    }
}

fn length(to: &Path, database: &Path) -> u64 {
    let place = to.join(database.strip_prefix("/").unwrap_or(database));
    place.metadata().map_or(0, |meta| meta.len())
}

/// Puts what the sites hold of followed databases over the copies that a point of files had.
pub(super) fn over_files(
    args: &RestoreArgs,
    opener: &Opener,
) -> Result<Vec<RestoredDatabaseDocument>> {
    let is_back = |path: &PathBuf| args.to.join(path.strip_prefix("/").unwrap_or(path)).is_file();
    let paths: Vec<PathBuf> = databases(opener)?.into_iter().filter(is_back).collect();
    if paths.is_empty() {
        return Ok(Vec::new());
    }
    match bring(args, opener, &paths) {
        Ok(done) => Ok(done.iter().map(document_of).collect()),
        // It may be followed only since: the copy of the point of files is what there is.
        Err(report) if report.exit() == Exit::NothingYet => {
            output::note(&format!("databases are as of the point of files: {}", report.message()));
            Ok(Vec::new())
        }
        Err(report) => Err(report),
    }
}

fn bring(args: &RestoreArgs, opener: &Opener, paths: &[PathBuf]) -> Result<Vec<LiveRestored>> {
    let scratch = scratch(&args.to)?;
    let selection = LiveSelection { paths, time_ns: args.at_time };
    let done = bring_back(opener, &selection, &scratch, &args.to);
    remove_all(&scratch);
    done
}

const SCRATCH: &str = ".evenkeel-";

/// Makes the folder in which what is needed meanwhile lies, inside the one that is restored into.
pub(super) fn scratch(to: &Path) -> Result<PathBuf> {
    let scratch = to.join(format!("{SCRATCH}{}", std::process::id()));
    std::fs::create_dir_all(&scratch)
        .map_err(|error| Report::io("make the folder", &scratch, &error))?;
    Ok(scratch)
}

/// Whether a restore left this that runs no more.
pub(crate) fn is_left_over(path: &Path) -> bool {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
    let process = name.as_deref().and_then(|name| name.strip_prefix(SCRATCH));
    let process = process.and_then(|digits| digits.parse::<u32>().ok());
    process.is_some_and(|process| !Path::new(&format!("/proc/{process}")).exists())
}

fn document_of(one: &LiveRestored) -> RestoredDatabaseDocument {
    let commit = one.restored.commit;
    RestoredDatabaseDocument {
        path: one.database.display().to_string(),
        recovery_point: one.point.clone(),
        commit: commit.number,
        after_time: format_time_ns(commit.after_ns),
        time: format_time_ns(commit.time_ns),
        within_gap: one.restored.within_gap.is_some(),
        gaps: one
            .gaps
            .iter()
            .map(|gap| GapDocument {
                from: format_time_ns(gap.begin.from_ns),
                until: gap.until.map(|until| format_time_ns(until.time_ns)),
                why: gap.begin.why.words().to_owned(),
            })
            .collect(),
    }
}

pub(super) fn print(document: &RestoreDocument, results: &mut output::Results) -> Result<()> {
    for one in &document.databases {
        results.line(&format!(
            "  {} as of commit {}, seen at {}; PRAGMA integrity_check ok",
            one.path, one.commit, one.time
        ))?;
        if one.within_gap {
            results.line("    the time asked for lies in an interval that was not protected")?;
        }
        for gap in &one.gaps {
            let until = gap.until.as_deref().unwrap_or("now");
            results
                .line(&format!("    not protected from {} to {until}: {}", gap.from, gap.why))?;
        }
    }
    Ok(())
}
