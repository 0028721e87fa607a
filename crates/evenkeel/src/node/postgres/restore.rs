//! `evenkeel restore --only postgres:NAME`: a data folder that recovers to a time, a position or a
//! named point.

use std::path::{Path, PathBuf};
use std::time::Instant;

use evenkeel_capture::files::select;
use evenkeel_capture::postgres::{Holdings, LaidOut, Plan, Target, lay_out};
use evenkeel_vault::{Catalog, Opener, PointInfo};

use super::super::files::{Opened, nothing_yet, remove_all};
use super::captures;
use crate::cli::{RestoreArgs, format_time_ns};
use crate::documents::RestorePostgresDocument;
use crate::init::FILES_LINEAGE;
use crate::output;
use crate::report::{Exit, Report, Result};

const PREFIX: &str = "postgres:";

/// The capture that is asked for.
///
/// # Errors
/// More than that was asked for.
pub(in super::super) fn wanted(args: &RestoreArgs) -> Result<Option<String>> {
    let names: Vec<&str> = args
        .only
        .iter()
        .filter_map(|path| path.to_str().and_then(|text| text.strip_prefix(PREFIX)))
        .collect();
    let usage = |what: &str, next: &str| {
        Err(Report::new(Exit::Usage, what).safe("nothing was written").next(next))
    };
    match names.as_slice() {
        [] if args.at_lsn.is_some() || args.at_point.is_some() => {
            usage("--at-lsn and --at-point are for PostgreSQL", "add --only postgres:NAME")
        }
        [] => Ok(None),
        [name] if args.only.len() == 1 => Ok(Some((*name).to_owned())),
        _ => usage("one capture is brought back at a time", "--only postgres:NAME alone"),
    }
}

fn target(args: &RestoreArgs) -> Result<Target> {
    if let Some(lsn) = &args.at_lsn {
        let lsn = lsn.parse().map_err(|why: String| {
            Report::new(Exit::Usage, why).safe("nothing was written").next("as --at-lsn 0/3000148")
        })?;
        return Ok(Target::Lsn(lsn));
    }
    if let Some(name) = &args.at_point {
        return Ok(Target::Named(name.clone()));
    }
    Ok(args.at_time.map_or(Target::Latest, Target::Time))
}

/// The point to begin with: of a time, the first that was made behind it, which holds the log up
/// to it and the base backup before it, if any does.
fn choose(args: &RestoreArgs, catalog: &Catalog) -> Result<PointInfo> {
    if let Some(named) = &args.point {
        return catalog.point(named).map_err(Report::from);
    }
    let newest = catalog.latest_point_of(Some(FILES_LINEAGE)).ok_or_else(nothing_yet)?;
    let Some(time_ns) = args.at_time else {
        return Ok(newest);
    };
    let points = catalog.points();
    let behind = points.iter().filter(|point| {
        // The log of a moment comes a little behind it.
        point.id.lineage == newest.id.lineage && point.time_ns >= time_ns.saturating_add(SETTLED_NS)
    });
    Ok(behind.min_by_key(|point| point.time_ns).cloned().unwrap_or(newest))
}

const SETTLED_NS: u64 = 5_000_000_000;

/// Brings it back.
///
/// # Errors
/// Whatever prevents it; nothing half restored stays.
pub(in super::super) fn restore(
    args: &RestoreArgs,
    opener: &Opener,
    name: &str,
    begun: Instant,
) -> Result<Exit> {
    let target = target(args)?;
    let point = choose(args, opener.catalog())?;
    let (brought, laid) = match bring(args, opener, name, &point, &target) {
        Err(report) if report.exit() == Exit::Usage && args.point.is_none() => {
            // An older base backup may have been let go of since, or the log come later.
            let newest = opener.catalog().latest_point_of(Some(FILES_LINEAGE));
            match newest.filter(|newest| newest.id != point.id) {
                Some(newest) => bring(args, opener, name, &newest, &target)?,
                None => return Err(report),
            }
        }
        brought => brought?,
    };
    show(args, name, &point, &brought, &laid, begun)?;
    Ok(Exit::Ok)
}

fn bring(
    args: &RestoreArgs,
    opener: &Opener,
    name: &str,
    point: &PointInfo,
    target: &Target,
) -> Result<(Plan, LaidOut)> {
    let opened = Opened::new(opener, point)?;
    let all = captures(&opened.tree);
    let Some((_, path)) = all.iter().find(|(known, _)| known == name) else {
        let known: Vec<&str> = all.iter().map(|(known, _)| known.as_str()).collect();
        return Err(Report::new(
            Exit::Failed,
            format!("point {} holds no postgres:{name}", point.id),
        )
        .detail(format!("it holds: {}", known.join(", ")))
        .safe("nothing was written"));
    };
    let scratch = beside(&args.to);
    remove_all(&scratch);
    let selected = select(&opened.tree, std::slice::from_ref(path), Path::new("/"))?;
    let done = opened.extract(&selected, &scratch).and_then(|_| {
        let folder = opened.tree.entries.iter().find(|entry| {
            use std::os::unix::ffi::OsStrExt as _;
            entry.path == path.as_os_str().as_bytes()
        });
        let folder = folder.map_or_else(|| scratch.clone(), |entry| entry.below(&scratch));
        let holdings = Holdings::read(&folder)?;
        let plan = holdings.plan(target, &|ns| format_time_ns(ns))?;
        let existed = args.to.exists();
        let laid = lay_out(&holdings, &plan, &args.to).map_err(|error| {
            let occupied = matches!(error, evenkeel_capture::postgres::Error::Occupied { .. });
            if !occupied && !existed {
                remove_all(&args.to);
            }
            Report::from(error)
        })?;
        Ok((plan, laid))
    });
    remove_all(&scratch);
    done
}

/// On the same file system as what is laid out, and not in it.
fn beside(to: &Path) -> PathBuf {
    let name = to.file_name().map(|name| name.to_string_lossy().into_owned());
    let name = format!(".{}.captured-{}", name.unwrap_or_default(), std::process::id());
    to.with_file_name(name)
}

fn show(
    args: &RestoreArgs,
    name: &str,
    point: &PointInfo,
    plan: &Plan,
    laid: &LaidOut,
    begun: Instant,
) -> Result<()> {
    let major = plan.base.version.split('.').next().unwrap_or_default();
    let stop = plan.stop.as_ref().map(|(setting, value)| format!("{setting} = {value}"));
    if args.json {
        return output::document(&RestorePostgresDocument {
            name: name.to_owned(),
            to: args.to.display().to_string(),
            data: laid.data.display().to_string(),
            recovery_point: point.id.to_string(),
            base_backup: plan.base.number,
            timeline: plan.timeline,
            from_lsn: plan.base.start.to_string(),
            until_lsn: plan.window.until.to_string(),
            until_time: format_time_ns(plan.window.until_ns),
            stop,
            files: laid.files,
            bytes: laid.bytes,
            segments: laid.segments,
            version: plan.base.version.clone(),
            elapsed_seconds: begun.elapsed().as_secs_f64(),
        });
    }
    output::result(&format!(
        "laid out {} files and {} segments of the log in {} in {:.2} s; recovery ends at {}",
        laid.files,
        laid.segments,
        args.to.display(),
        begun.elapsed().as_secs_f64(),
        stop.unwrap_or_else(|| format!("the log's end, {}", plan.window.until))
    ))?;
    output::note(&format!(
        "next, as the user who is to own it (chown -R postgres: {}):\n  \
         /usr/lib/postgresql/{major}/bin/pg_ctl start -w -D {}   (recovers, then goes live)\n\
         {}keep {}/wal until `SELECT pg_is_in_recovery()` says f",
        args.to.display(),
        laid.data.display(),
        match laid.own_configuration {
            true =>
                "its own configuration was not in its data folder: bring postgresql.conf and \
                     pg_hba.conf from /etc/postgresql too\n",
            false => "",
        },
        args.to.display()
    ));
    Ok(())
}
