//! `evenkeel restore`, where it brings back files.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use evenkeel_capture::files::select;
use evenkeel_vault::{Catalog, Opener, PointInfo};

use super::super::points_cmd::freshness;
use super::super::restore_cmd::missing;
use super::opened::{Opened, nothing_yet, point_of_files};
use super::progress::size;
use super::{kind_of, lazy, live};
use crate::cli::{RestoreArgs, format_time_ns};
use crate::documents::{PointKind, RestoreDocument};
use crate::output;
use crate::report::{Exit, Report, Result};

/// The point of files that is asked for; `None` if it is the venue that is to come back.
///
/// # Errors
/// Arguments that contradict each other; a point that is not there.
fn choose(args: &RestoreArgs, catalog: &Catalog) -> Result<Option<PointInfo>> {
    let points = catalog.points();
    let of = |kind| points.iter().filter(move |point| kind_of(point.id.lineage) == kind);
    let of_lineage = |point: &&PointInfo| {
        let lineage = point.id.lineage.to_string();
        args.lineage.as_ref().is_none_or(|named| lineage.starts_with(named))
    };
    if let Some(named) = &args.point {
        let point = catalog.point(named)?;
        if kind_of(point.id.lineage) == PointKind::Files || !args.only.is_empty() {
            refuse_venue_options(args)?;
            return point_of_files(catalog, Some(named)).map(Some);
        }
        return Ok(None);
    }
    let venue = of(PointKind::Venue).filter(of_lineage).count();
    let mut files: Vec<&PointInfo> = of(PointKind::Files).filter(of_lineage).collect();
    if args.only.is_empty() && (venue > 0 || files.is_empty()) {
        if !files.is_empty() {
            output::note(
                "there are recovery points of files too: evenkeel restore --point ID \
                 (`evenkeel points` names them)",
            );
        }
        return Ok(None);
    }
    refuse_venue_options(args)?;
    if venue > 0 && args.only.is_empty() {
        output::note("there are recovery points of the venue too: evenkeel restore --point ID");
    }
    let Some(time_ns) = args.at_time else {
        let newest = match args.lineage {
            Some(_) => files.last().map(|point| (*point).clone()),
            None => catalog.latest_point_of(Some(crate::init::FILES_LINEAGE)),
        };
        return newest.map(Some).ok_or_else(nothing_yet);
    };
    files.sort_by_key(|point| point.time_ns);
    // Times are shown in milliseconds: the one that `points` prints of a point is that point's.
    let millis = |time_ns: u64| time_ns / 1_000_000;
    let found = files.iter().rfind(|point| millis(point.time_ns) <= millis(time_ns));
    let first = files.first().map(|point| format_time_ns(point.time_ns));
    found.map(|point| Some((*point).clone())).ok_or_else(|| {
        Report::new(Exit::NothingYet, "there is no recovery point of files from before that time")
            .detail(format!("the first is of {}", first.unwrap_or_default()))
            .safe("nothing was written")
    })
}

fn refuse_venue_options(args: &RestoreArgs) -> Result<()> {
    let given = [
        ("--at-position", args.at_position.is_some()),
        ("--without-history", args.without_history),
        ("--promote", args.promote),
    ];
    match given.into_iter().find(|(_, given)| *given) {
        None => Ok(()),
        Some((option, _)) => {
            Err(Report::new(Exit::Usage, format!("{option} is not for recovery points of files"))
                .safe("nothing was written")
                .next("leave it out; --at-time and --only choose what comes back"))
        }
    }
}

/// What is to come back that is not the venue.
pub(crate) struct Wanted {
    /// The point of files, or why there is none.
    point: Result<Option<PointInfo>>,
    /// What is named may be databases that are followed.
    may_be_followed: bool,
}

/// Looks at what is asked for.
///
/// # Errors
/// As [`choose`], unless followed databases may be meant.
pub(crate) fn wanted(args: &RestoreArgs, catalog: &Catalog) -> Result<Wanted> {
    let may_be_followed = !args.only.is_empty() && args.point.is_none();
    match choose(args, catalog) {
        Err(report) if !may_be_followed => Err(report),
        point => Ok(Wanted { point, may_be_followed }),
    }
}

impl Wanted {
    /// Whether it is files or databases.
    pub(crate) fn is_beside(&self) -> bool {
        self.may_be_followed || matches!(self.point, Ok(Some(_)))
    }

    /// Brings it back.
    ///
    /// # Errors
    /// Whatever prevents it; nothing half restored stays.
    pub(crate) fn restore(
        self,
        args: &RestoreArgs,
        opener: &Arc<Opener>,
        begun: Instant,
    ) -> Result<Exit> {
        let databases = live::asked_for(args, opener)?;
        if let Some(folder) = &args.lazy {
            let paths = databases.ok_or_else(|| lazy::not_followed(&args.only))?;
            return lazy::restore(args, (opener, folder), &paths, begun);
        }
        if let Some(paths) = databases {
            return live::restore_databases(args, opener, &paths, begun);
        }
        let point = self.point?.ok_or_else(nothing_yet)?;
        restore(args, opener, &point, begun)
    }
}

/// Brings the point back.
///
/// # Errors
/// Whatever prevents it; nothing half restored stays.
pub(crate) fn restore(
    args: &RestoreArgs,
    opener: &Opener,
    point: &PointInfo,
    begun: Instant,
) -> Result<Exit> {
    let opened = Opened::new(opener, point)?;
    let base = std::env::current_dir()
        .map_err(|error| Report::io("find the working folder", Path::new("."), &error))?;
    let selected = select(&opened.tree, &args.only, &base)?;
    let done = opened.extract(&selected, &args.to)?;
    let databases = match args.point {
        Some(_) => Vec::new(),
        None => live::over_files(args, opener)?,
    };
    let seen = opener.seen();
    let catalog = opener.catalog();
    let document = RestoreDocument {
        position: point.position,
        elapsed_seconds: begun.elapsed().as_secs_f64(),
        bytes_read: seen.bytes,
        sites_missing: missing(catalog),
        sites_used: seen.sites_used,
        last_shipped_time: Some(format_time_ns(point.time_ns)),
        to: args.to.display().to_string(),
        recovery_point: point.id.to_string(),
        lineage: point.id.lineage.to_string(),
        freshness: freshness(catalog.freshness()),
        kind: PointKind::Files,
        files: done.files,
        folders: done.folders,
        links: done.links,
        file_bytes: done.bytes,
        tree_hash: opened.tree_hash.clone(),
        databases,
        ..RestoreDocument::default()
    };
    let answered = |site: &String| !document.sites_missing.contains(site);
    for problem in seen.problems.iter().filter(|problem| answered(&problem.site)) {
        output::note(&format!("passed over: {problem}"));
    }
    for note in opened.tree.notes.iter().filter(|note| note.kind.is_partial()) {
        output::note(&format!("not in this recovery point: {note}"));
    }
    if !done.owners {
        output::note("owners were not set: only the system's administrator may");
    }
    if args.json {
        output::document(&document)?;
    } else {
        print(&document)?;
    }
    Ok(Exit::Ok)
}

pub(super) fn print(document: &RestoreDocument) -> Result<()> {
    let mut results = output::Results::new();
    results.line(&format!(
        "restored {} files, {} folders and {} links into {} in {:.2} s",
        document.files, document.folders, document.links, document.to, document.elapsed_seconds
    ))?;
    results
        .line(&format!("  {}, every file compared with its BLAKE3", size(document.file_bytes)))?;
    results.line(&format!(
        "  from {} of {}; {} read from {}",
        document.recovery_point,
        document.last_shipped_time.as_deref().unwrap_or_default(),
        size(document.bytes_read),
        document.sites_used.join(", ")
    ))?;
    live::print(document, &mut results)?;
    if let Some(lazy) = &document.lazy {
        results.line(&format!(
            "  queries were answered from {:.2} s on, after {} read",
            lazy.first_answer_seconds,
            size(lazy.first_answer_bytes)
        ))?;
    }
    if !document.sites_missing.is_empty() {
        results.line(&format!("  sites missing {}", document.sites_missing.join(", ")))?;
    }
    results.finish()
}
