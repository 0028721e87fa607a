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

/// A point to begin with, and the tails behind it.
struct Way {
    point: Option<PointInfo>,
    tails: Vec<TailInfo>,
}

/// The databases that the newest point of them names; none if none was ever followed.
///
/// # Errors
/// What reading it says.
pub(crate) fn databases(opener: &Opener) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for lineage in lineages(opener.catalog()) {
        let Some(way) = ways_of(opener.catalog(), lineage, None).into_iter().next() else {
            continue;
        };
        if let Some(point) = &way.point {
            found.extend(index(opener, point)?.spools.into_iter().map(|one| one.database));
        }
        // One that was found since is in tails alone.
        for tail in &way.tails {
            let pieces = parcel(opener, tail)?.pieces;
            found.extend(pieces.into_iter().map(|piece| piece.database));
        }
    }
    found.sort_unstable();
    found.dedup();
    Ok(found)
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
    let mut last = None;
    for (at, way) in ways(opener.catalog(), selection.time_ns).iter().enumerate() {
        let folder = scratch.join(format!("way-{at}"));
        match follow(opener, way, selection, &folder, to) {
            // An earlier point may hold what this one does not any more.
            Err(report) if report.exit() == Exit::NothingYet => last = Some(report),
            done => return done,
        }
        let _ = fs::remove_dir_all(&folder);
    }
    Err(last.unwrap_or_else(nothing_yet))
}

fn nothing_yet() -> Report {
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
    let wanted = |path: &Path| {
        selection.paths.is_empty() || selection.paths.iter().any(|one| path.starts_with(one))
    };
    let mut assembly = Assembly::new(folder);
    let mut shipped_ns = way.point.as_ref().map_or(0, |point| point.time_ns);
    if let Some(point) = &way.point {
        put_point(opener, point, &wanted, &mut assembly)?;
    }
    for tail in &way.tails {
        for piece in parcel(opener, tail)?.pieces.iter().filter(|one| wanted(&one.database)) {
            assembly.put(piece)?;
        }
        shipped_ns = shipped_ns.max(tail.time_ns);
    }
    let databases: Vec<PathBuf> = assembly.databases().into_iter().map(Path::to_owned).collect();
    if databases.is_empty() {
        return Err(nothing_yet());
    }
    let target = selection.time_ns.map_or(Target::End, Target::Time);
    let point = way.point.as_ref().map_or_else(String::new, |point| point.id.to_string());
    let mut done = Vec::new();
    for database in databases {
        let (restored, gaps) = bring_one(&assembly, &database, target, folder, to)?;
        let point = point.clone();
        done.push(LiveRestored { database, point, shipped_ns, restored, gaps });
    }
    Ok(done)
}

fn index(opener: &Opener, point: &PointInfo) -> Result<Index> {
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
    wanted: &dyn Fn(&Path) -> bool,
    assembly: &mut Assembly,
) -> Result<()> {
    let index = index(opener, point)?;
    let content = opener.content(point.id)?;
    for spool in index.spools.iter().filter(|spool| wanted(&spool.database)) {
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
fn bring_one(
    assembly: &Assembly,
    database: &Path,
    target: Target,
    folder: &Path,
    to: &Path,
) -> Result<(Restored, Vec<Gap>)> {
    let mut best: Option<(Restored, PathBuf, PathBuf)> = None;
    let mut why = None;
    for (at, spool) in assembly.spools_of(database).enumerate() {
        let file = folder.join(format!("{at}-restored.sqlite"));
        // Of the database before.
        let _ = fs::remove_file(&file);
        match restore(&RealDisk, spool, target, &file) {
            Ok(found)
                if best
                    .as_ref()
                    .is_none_or(|(old, ..)| old.commit.time_ns < found.commit.time_ns) =>
            {
                best = Some((found, file, spool.to_owned()));
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
fn below(to: &Path, path: &Path) -> PathBuf {
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
