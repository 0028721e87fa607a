//! Bringing followed databases back: from a point and the tails behind it, to any moment.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use evenkeel_capture::parcel::{Assembly, Index, Parcel};
use evenkeel_capture::restore::{Restored, Target, restore};
use evenkeel_capture::spool::{Gap, History};
use evenkeel_journal::RealDisk;
use evenkeel_types::Canonical as _;
use evenkeel_vault::{Catalog, Lineage, Opener, PointInfo, TailInfo};

use super::{INDEX_ROOT, INDEX_SOURCE, source_name};
use crate::init::LIVE_LINEAGE;
use crate::report::{Exit, Report, Result};

/// What was captured just before a moment may be seen a little later: a point that is to hold it
/// is at least this much younger.
const SLACK_NS: u64 = 2_000_000_000;

/// What to bring back.
#[derive(Debug)]
pub(crate) struct LiveSelection<'a> {
    /// These databases; empty: all.
    pub(crate) paths: &'a [PathBuf],
    /// As of this moment, nanoseconds since 1970 UTC; none: the last that the sites hold.
    pub(crate) time_ns: Option<u64>,
}

/// A database that came back.
#[derive(Debug)]
pub(crate) struct LiveRestored {
    pub(crate) database: PathBuf,
    pub(crate) point: String,
    /// When what the sites hold of it ended.
    pub(crate) shipped_ns: u64,
    pub(crate) restored: Restored,
    /// Intervals in what the sites hold of it that cannot be brought back.
    pub(crate) gaps: Vec<Gap>,
}

impl LiveSelection<'_> {
    pub(super) fn takes(&self, path: &Path) -> bool {
        self.paths.is_empty() || self.paths.iter().any(|one| path.starts_with(one))
    }

    pub(super) fn target(&self) -> Target {
        self.time_ns.map_or(Target::End, Target::Time)
    }
}

/// A point to begin with, and the tails behind it.
pub(super) struct Way {
    pub(super) point: Option<PointInfo>,
    tails: Vec<TailInfo>,
}

impl Way {
    /// The point's name; empty if there are tails alone.
    pub(super) fn point_name(&self) -> String {
        self.point.as_ref().map_or_else(String::new, |point| point.id.to_string())
    }
}

/// The databases that the newest point of them names, or the tails behind it; none if none was
/// ever followed.
///
/// # Errors
/// What reading it says.
pub(crate) fn databases(opener: &Opener) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    each_newest(opener, &mut |database| {
        found.push(database.to_owned());
        false
    })?;
    found.sort_unstable();
    found.dedup();
    Ok(found)
}

/// Whether all of these are followed: tails are read only for what no point names.
///
/// # Errors
/// What reading it says.
pub(crate) fn are_followed(opener: &Opener, paths: &[PathBuf]) -> Result<bool> {
    let mut unknown: Vec<&PathBuf> = paths.iter().collect();
    each_newest(opener, &mut |database| {
        unknown.retain(|path| *path != database);
        unknown.is_empty()
    })?;
    Ok(unknown.is_empty())
}

/// Names each database that the newest points know, then those of the tails behind them, until
/// `is_enough`.
fn each_newest(opener: &Opener, is_enough: &mut dyn FnMut(&Path) -> bool) -> Result<()> {
    let catalog = opener.catalog();
    let newest = |lineage| ways_of(catalog, lineage, None).into_iter().next();
    let ways: Vec<Way> = lineages(catalog).into_iter().filter_map(newest).collect();
    for point in ways.iter().filter_map(|way| way.point.as_ref()) {
        if index(opener, point)?.spools.iter().any(|one| is_enough(&one.database)) {
            return Ok(());
        }
    }
    // One that was found since is in tails alone.
    for tail in ways.iter().flat_map(|way| &way.tails) {
        if parcel(opener, tail)?.pieces.iter().any(|piece| is_enough(&piece.database)) {
            return Ok(());
        }
    }
    Ok(())
}

/// Brings databases back below `to`, each at its own path there; what lies there is replaced.
///
/// # Errors
/// Whatever prevents one of them; [`Exit::NothingYet`] if there is nothing from before that time.
pub(crate) fn bring_back(
    opener: &Opener,
    selection: &LiveSelection<'_>,
    scratch: &Path,
    to: &Path,
) -> Result<Vec<LiveRestored>> {
    first_way(opener.catalog(), selection, scratch, &mut |way, folder| {
        follow(opener, way, selection, folder, to)
    })
}

/// Goes the likeliest way that brings the moment back.
pub(super) fn first_way<T>(
    catalog: &Catalog,
    selection: &LiveSelection<'_>,
    scratch: &Path,
    go: &mut dyn FnMut(&Way, &Path) -> Result<T>,
) -> Result<T> {
    let mut last = None;
    for (at, way) in ways(catalog, selection.time_ns).iter().enumerate() {
        let folder = scratch.join(format!("way-{at}"));
        match go(way, &folder) {
            // An earlier point may hold what this one does not any more.
            Err(report) if report.exit() == Exit::NothingYet => last = Some(report),
            done => return done,
        }
        let _ = fs::remove_dir_all(&folder);
    }
    Err(last.unwrap_or_else(nothing_yet))
}

pub(super) fn nothing_yet() -> Report {
    Report::new(Exit::NothingYet, "nothing of followed databases is at the sites from that time")
        .safe("nothing was written")
        .next("evenkeel restore without --at-time   (the last that there is)")
}

/// The lineages of followed databases, the newest first: a host that was lost has another.
fn lineages(catalog: &Catalog) -> Vec<Lineage> {
    let all = catalog.lineages();
    let of_kind = all.iter().map(|one| one.lineage).rev();
    of_kind.filter(|lineage| lineage.kind_beside() == Some(LIVE_LINEAGE)).collect()
}

/// What may bring a moment back, likeliest first.
fn ways(catalog: &Catalog, time_ns: Option<u64>) -> Vec<Way> {
    let all = lineages(catalog).into_iter();
    all.flat_map(|lineage| ways_of(catalog, lineage, time_ns)).collect()
}

fn ways_of(catalog: &Catalog, lineage: Lineage, time_ns: Option<u64>) -> Vec<Way> {
    let mut points: Vec<PointInfo> =
        catalog.points().into_iter().filter(|point| point.id.lineage == lineage).collect();
    points.sort_by_key(|point| (point.time_ns, point.position));
    let tails = |point: Option<&PointInfo>, until: Option<&PointInfo>| {
        let mut tails = catalog.tails_after(lineage, point.map(|point| point.position));
        if let Some(until) = until {
            tails.retain(|tail| tail.last <= until.position);
        }
        tails
    };
    let end = match time_ns {
        None => points.len().saturating_sub(1),
        Some(time_ns) => {
            let until = time_ns.saturating_add(SLACK_NS);
            points
                .iter()
                .position(|point| point.time_ns >= until)
                .unwrap_or_else(|| points.len().saturating_sub(1))
        }
    };
    if points.is_empty() {
        return vec![Way { point: None, tails: tails(None, None) }];
    }
    let way = |at: usize| {
        // One that is younger holds all of it, and needs no tail.
        let until = time_ns.map(|time_ns| time_ns.saturating_add(SLACK_NS));
        let is_younger = |point: &PointInfo| until.is_some_and(|until| point.time_ns >= until);
        let tails = match points.get(at) {
            Some(point) if is_younger(point) => Vec::new(),
            point => tails(point, points.get(at + 1)),
        };
        Way { point: points.get(at).cloned(), tails }
    };
    (end.saturating_sub(1)..=end).rev().map(way).collect()
}

fn follow(
    opener: &Opener,
    way: &Way,
    selection: &LiveSelection<'_>,
    folder: &Path,
    to: &Path,
) -> Result<Vec<LiveRestored>> {
    let mut assembly = Assembly::new(folder);
    if let Some(point) = &way.point {
        put_point(opener, point, selection, &mut assembly)?;
    }
    let shipped_ns = put_tails(opener, way, selection, &mut assembly)?;
    let mut done = Vec::new();
    for database in assembly.databases() {
        let spools: Vec<&Path> = assembly.spools_of(database).collect();
        let (restored, gaps) = bring_one(&spools, database, selection.target(), folder, to)?;
        let (database, point) = (database.to_owned(), way.point_name());
        done.push(LiveRestored { database, point, shipped_ns, restored, gaps });
    }
    Ok(done)
}

/// Puts what the tails hold in its place, behind what the point held; gives when that ended.
///
/// # Errors
/// [`Exit::NothingYet`] if there is nothing of what is wanted; what reading the tails says.
pub(super) fn put_tails(
    opener: &Opener,
    way: &Way,
    selection: &LiveSelection<'_>,
    assembly: &mut Assembly,
) -> Result<u64> {
    let mut shipped_ns = way.point.as_ref().map_or(0, |point| point.time_ns);
    for tail in &way.tails {
        let pieces = parcel(opener, tail)?.pieces;
        for piece in pieces.iter().filter(|one| selection.takes(&one.database)) {
            assembly.put(piece)?;
        }
        shipped_ns = shipped_ns.max(tail.time_ns);
    }
    if assembly.databases().is_empty() {
        return Err(nothing_yet());
    }
    Ok(shipped_ns)
}

pub(super) fn index(opener: &Opener, point: &PointInfo) -> Result<Index> {
    let mut bytes = Vec::new();
    opener.read_source(point.id, INDEX_SOURCE, &mut bytes)?;
    let promised = point.roots.iter().find(|root| root.name == INDEX_ROOT);
    let hash = *blake3::hash(&bytes).as_bytes();
    let integrity = |what: &str| {
        Report::new(Exit::Integrity, format!("the index of recovery point {}: {what}", point.id))
            .safe("nothing of it was used")
    };
    if promised.map(|root| root.hash) != Some(hash) {
        return Err(integrity("it is not the one whose hash was signed"));
    }
    Index::from_bytes(&bytes).map_err(|error| integrity(&error.to_string()))
}

fn parcel(opener: &Opener, tail: &TailInfo) -> Result<Parcel> {
    let bytes = opener.read_tail(tail)?;
    Parcel::from_bytes(&bytes).map_err(|error| {
        Report::new(Exit::Integrity, format!("tail {} cannot be read: {error}", tail.first))
            .safe("nothing of it was used")
    })
}

fn put_point(
    opener: &Opener,
    point: &PointInfo,
    selection: &LiveSelection<'_>,
    assembly: &mut Assembly,
) -> Result<()> {
    let index = index(opener, point)?;
    let content = opener.content(point.id)?;
    for spool in index.spools.iter().filter(|spool| selection.takes(&spool.database)) {
        for (segment, _) in &spool.segments {
            let mut file = assembly.segment(&spool.database, spool.spool, *segment)?;
            let name = source_name(&spool.database, &spool.spool, *segment);
            opener.read_content(&content, &name, &mut file)?;
            file.flush().map_err(|error| Report::io("write", Path::new(&name), &error))?;
        }
    }
    Ok(())
}

/// Restores one from whichever of its spools reaches the furthest, and puts it in its place.
pub(super) fn bring_one(
    spools: &[&Path],
    database: &Path,
    target: Target,
    folder: &Path,
    to: &Path,
) -> Result<(Restored, Vec<Gap>)> {
    let mut best: Option<(Restored, PathBuf, PathBuf)> = None;
    let mut why = None;
    for (at, spool) in spools.iter().enumerate() {
        let file = folder.join(format!("{at}-restored.sqlite"));
        // Of the database before.
        let _ = fs::remove_file(&file);
        match restore(&RealDisk, spool, target, &file) {
            Ok(found)
                if best
                    .as_ref()
                    .is_none_or(|(old, ..)| old.commit.time_ns < found.commit.time_ns) =>
            {
                best = Some((found, file, spool.to_path_buf()));
            }
            Ok(_) => {}
            Err(error) => why = Some(Report::from(error)),
        }
    }
    let Some((restored, file, spool)) = best else {
        return Err(why.unwrap_or_else(nothing_yet));
    };
    let gaps = History::load(&RealDisk, &spool)?.gaps();
    put(&file, &below(to, database))?;
    Ok((restored, gaps))
}

/// Where an absolute path goes below a folder.
pub(super) fn below(to: &Path, path: &Path) -> PathBuf {
    match path.strip_prefix("/") {
        Ok(rest) => to.join(rest),
        Err(_) => to.join(path),
    }
}

/// Puts a file in its place; one that lies there gives it its mode.
fn put(file: &Path, place: &Path) -> Result<()> {
    let failed = |error: std::io::Error| Report::io("write", place, &error);
    if let Some(folder) = place.parent() {
        fs::create_dir_all(folder).map_err(failed)?;
    }
    let part = place.with_extension("evenkeel-part");
    fs::copy(file, &part).map_err(failed)?;
    if let Ok(meta) = fs::metadata(place) {
        fs::set_permissions(&part, meta.permissions()).map_err(failed)?;
    }
    fs::File::open(&part).and_then(|file| file.sync_all()).map_err(failed)?;
    fs::rename(&part, place).map_err(failed)
}
