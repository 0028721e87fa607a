//! What a capture's folder can bring back: windows of time, and how to reach a moment in one.

use std::fs;
use std::path::{Path, PathBuf};

use super::base::{Base, bases};
use super::error::{Error, Result, io_error};
use super::journal::{self, Happening, Kind};
use super::lsn::{Lsn, Switch, Timeline, history_name, parse_history, segment_name};
use super::records::{Record, Records, Segments, What};
use super::store::{CLUSTER, Cluster, EVENTS, PARTIAL, POSITION, Position, Segment, WAL, segments};

/// A stretch that any moment of can be brought back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    /// Number of the base backup it begins with.
    pub base: u64,
    /// The timeline at its end.
    pub timeline: Timeline,
    /// From here …
    pub from: Lsn,
    /// … that is, from this time on: nanoseconds since 1970 UTC.
    pub from_ns: u64,
    /// Up to here …
    pub until: Lsn,
    /// … that is, up to this time.
    pub until_ns: u64,
}

/// What is to be brought back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// Everything there is.
    Latest,
    /// What was committed at or before this time: nanoseconds since 1970 UTC.
    Time(u64),
    /// What was committed up to this position.
    Lsn(Lsn),
    /// A point of `pg_create_restore_point`; the newest of this name.
    Named(String),
}

/// How to bring something back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Begin with this.
    pub base: Base,
    /// The timeline to follow.
    pub timeline: Timeline,
    /// PostgreSQL's own setting, unless the log's end is the target.
    pub stop: Option<(&'static str, String)>,
    /// The segments that are needed, whole or not.
    pub segments: Vec<Segment>,
    /// The window it lies in.
    pub window: Window,
}

/// A capture's folder, read.
#[derive(Debug)]
pub struct Holdings {
    folder: PathBuf,
    /// Whose log it is.
    pub cluster: Cluster,
    /// Base backups, oldest first.
    pub bases: Vec<Base>,
    /// What happened.
    pub happenings: Vec<Happening>,
    position: Option<Position>,
    segments: Vec<Segment>,
}

impl Holdings {
    /// Reads a folder: the one that is captured into, or one that was brought back.
    ///
    /// # Errors
    /// [`Error::Damaged`], and whatever the system says.
    pub fn read(folder: &Path) -> Result<Self> {
        let text = |name: &str| {
            let path = folder.join(name);
            fs::read_to_string(&path).map_err(io_error("read", &path))
        };
        let cluster = Cluster::parse(&text(CLUSTER)?, &folder.join(CLUSTER))?;
        let events = folder.join(EVENTS);
        let bytes = fs::read(&events).map_err(io_error("read", &events))?;
        let wal = folder.join(WAL);
        let mut names = Vec::new();
        for entry in fs::read_dir(&wal).map_err(io_error("list", &wal))? {
            let name = entry.map_err(io_error("list", &wal))?.file_name();
            names.extend(name.into_string().ok());
        }
        Ok(Self {
            folder: folder.to_path_buf(),
            bases: bases(folder)?,
            happenings: journal::parse(&bytes, &events)?.0,
            position: text(POSITION).ok().as_deref().and_then(Position::parse),
            segments: segments(&names, cluster.segment_bytes),
            cluster,
        })
    }

    /// How far the log was durable when that was last noted.
    #[must_use]
    pub fn position(&self) -> Option<Position> {
        self.position
    }

    /// The timelines before one, oldest first.
    fn history(&self, timeline: Timeline) -> Option<Vec<Switch>> {
        if timeline == 1 {
            return Some(Vec::new());
        }
        let path = self.folder.join(WAL).join(history_name(timeline));
        let text = fs::read_to_string(path).ok();
        match text.as_deref().map(parse_history) {
            Some(parsed) => parsed.ok(),
            // The first timeline that was ever captured may have had others before it.
            None => Some(Vec::new()),
        }
    }

    /// The segments from a base backup on, along the newest timeline that descends from it.
    fn path(&self, base: &Base) -> Option<(Timeline, Vec<Segment>)> {
        let mut timelines: Vec<Timeline> = self.segments.iter().map(|one| one.timeline).collect();
        timelines.dedup();
        timelines.into_iter().rev().find_map(|timeline| {
            let history = self.history(timeline)?;
            let step = history.iter().find(|step| step.timeline == base.timeline);
            let descends = match step {
                Some(step) => step.until >= base.end,
                None => timeline == base.timeline,
            };
            descends.then(|| (timeline, self.along(base, timeline, &history)))
        })
    }

    fn along(&self, base: &Base, timeline: Timeline, history: &[Switch]) -> Vec<Segment> {
        let size = self.cluster.segment_bytes;
        // A segment in which timelines change is read as the later one has it.
        let of = |number: u64| {
            let step = history.iter().find(|step| step.until.segment(size) > number);
            step.map_or(timeline, |step| step.timeline)
        };
        let mut found = Vec::new();
        for number in base.start.segment(size).. {
            let wanted = of(number);
            let held =
                self.segments.iter().find(|one| one.timeline == wanted && one.number == number);
            let Some(held) = held else {
                break;
            };
            found.push(*held);
            if held.partial {
                break;
            }
        }
        found
    }

    fn held_until(&self, path: &[Segment]) -> Lsn {
        let size = self.cluster.segment_bytes;
        let Some(last) = path.last() else {
            return Lsn::default();
        };
        if !last.partial {
            return Lsn((last.number + 1) * size);
        }
        let file = self.folder.join(WAL).join(last.file_name(size));
        let length = fs::metadata(file).map_or(0, |meta| meta.len());
        Lsn(last.number * size + length.min(size))
    }

    /// What can be brought back, oldest first; base backups of one unbroken stretch are one.
    #[must_use]
    pub fn windows(&self) -> Vec<Window> {
        let mut windows: Vec<Window> = Vec::new();
        for base in &self.bases {
            let Some(window) = self.window(base) else {
                continue;
            };
            match windows.last_mut() {
                Some(last) if last.until == window.until && last.timeline == window.timeline => {}
                _ => windows.push(window),
            }
        }
        windows
    }

    fn window(&self, base: &Base) -> Option<Window> {
        let (timeline, path) = self.path(base)?;
        let until = self.held_until(&path);
        if until < base.end {
            return None;
        }
        let newest = self.newest_end(&path).unwrap_or_default();
        Some(Window {
            base: base.number,
            timeline,
            from: base.end,
            from_ns: base.ended_ns,
            until,
            until_ns: self.time_of(until, timeline).max(newest).max(base.ended_ns),
        })
    }

    /// When the log went that far: as noted, or as its last commits say.
    fn time_of(&self, until: Lsn, timeline: Timeline) -> u64 {
        let noted = self.position.filter(|position| position.timeline == timeline);
        let size = self.cluster.segment_bytes;
        let noted = noted.filter(|noted| noted.lsn.segment(size) + 1 >= until.segment(size));
        let gap = self.happenings.iter().rev().find(|one| {
            one.kind == Kind::Gap
                && one.timeline == timeline
                && one.lsn.segment(size) == until.segment(size)
        });
        match (gap, noted) {
            (Some(gap), _) => gap.time_ns,
            (None, Some(noted)) => noted.time_ns,
            (None, None) => 0,
        }
    }

    /// For people.
    #[must_use]
    pub fn shown(&self, time: &dyn Fn(u64) -> String) -> String {
        let windows = self.windows();
        if windows.is_empty() {
            return "nothing yet: no base backup is whole".to_owned();
        }
        let one = |window: &Window| {
            let Window { from_ns, until_ns, from, until, .. } = window;
            format!("{} to {} ({from} to {until})", time(*from_ns), time(*until_ns))
        };
        windows.iter().map(one).collect::<Vec<_>>().join("; ")
    }

    /// How to bring `target` back.
    ///
    /// # Errors
    /// [`Error::NotCovered`] with what is.
    pub fn plan(&self, target: &Target, time: &dyn Fn(u64) -> String) -> Result<Plan> {
        let not_covered = |what: String| Error::NotCovered { what, windows: self.shown(time) };
        let mut why = "there is no base backup yet".to_owned();
        for base in self.bases.iter().rev() {
            let (Some(window), Some((timeline, path))) = (self.window(base), self.path(base))
            else {
                continue;
            };
            let plan = |stop| Plan {
                base: base.clone(),
                timeline,
                stop,
                segments: path.clone(),
                window: window.clone(),
            };
            match self.stop(target, base, &path, &window, time) {
                Ok(stop) => return Ok(plan(stop)),
                Err(reason) => why = reason,
            }
        }
        Err(not_covered(why))
    }

    /// The setting that stops recovery at the target; none for the log's end.
    fn stop(
        &self,
        target: &Target,
        base: &Base,
        path: &[Segment],
        window: &Window,
        time: &dyn Fn(u64) -> String,
    ) -> Result<Option<(&'static str, String)>, String> {
        match target {
            Target::Latest => Ok(None),
            Target::Time(at_ns) => {
                if *at_ns < base.ended_ns || *at_ns > window.until_ns {
                    return Err(format!("{} is in no window", time(*at_ns)));
                }
                // PostgreSQL wants to see a later commit, else it calls the target missed.
                let later = self.newest_end(path).is_some_and(|newest| newest > *at_ns);
                Ok(later.then(|| ("recovery_target_time", shown_time(*at_ns))))
            }
            Target::Lsn(lsn) => {
                if *lsn < base.end || *lsn > window.until {
                    return Err(format!("{lsn} is in no window"));
                }
                let behind = self.any_record_at(path, *lsn);
                Ok(behind.then(|| ("recovery_target_lsn", lsn.to_string())))
            }
            Target::Named(name) => {
                let points = self.named_of(base, path);
                let found = points.iter().any(|(lsn, _, known)| known == name && *lsn >= base.end);
                let stop = found.then(|| ("recovery_target_name", name.clone()));
                stop.map(Some).ok_or_else(|| format!("there is no point named `{name}`"))
            }
        }
    }

    fn reader<'a>(&'a self, path: &'a [Segment]) -> PathReader<'a> {
        let (folder, size) = (self.folder.join(WAL), self.cluster.segment_bytes);
        PathReader { folder, path, segment_bytes: size }
    }

    /// The newest end of a transaction in the log.
    fn newest_end(&self, path: &[Segment]) -> Option<u64> {
        let size = self.cluster.segment_bytes;
        path.iter().rev().find_map(|segment| {
            let mut reader = self.reader(path);
            let records = Records::of_segment(&mut reader, size, segment.number)?;
            let ends = records.filter_map(|record| match record.what {
                What::Ended { time_ns, .. } => Some(time_ns),
                _ => None,
            });
            ends.max()
        })
    }

    /// Whether a record begins at or behind a position.
    fn any_record_at(&self, path: &[Segment], lsn: Lsn) -> bool {
        let size = self.cluster.segment_bytes;
        let mut reader = self.reader(path);
        let records = Records::of_segment(&mut reader, size, lsn.segment(size));
        records.is_some_and(|mut records| records.any(|record| record.start >= lsn))
    }

    fn named_of(&self, base: &Base, path: &[Segment]) -> Vec<(Lsn, u64, String)> {
        let mut reader = self.reader(path);
        let records = Records::at(&mut reader, self.cluster.segment_bytes, base.start);
        let named = |record: Record| match record.what {
            What::Named { time_ns, name } => Some((record.end, time_ns, name)),
            _ => None,
        };
        records.filter_map(named).collect()
    }

    /// The points made with `pg_create_restore_point` that can be reached: position, time, name.
    #[must_use]
    pub fn named_points(&self) -> Vec<(Lsn, u64, String)> {
        let mut found: Vec<(Lsn, u64, String)> = Vec::new();
        for base in &self.bases {
            let Some((_, path)) = self.path(base) else {
                continue;
            };
            let reachable = self.named_of(base, &path).into_iter();
            found.extend(reachable.filter(|(lsn, _, _)| *lsn >= base.end));
        }
        found.sort();
        found.dedup();
        found
    }

    /// Where the log along a plan ends, by its own checksums.
    #[must_use]
    pub fn valid_until(&self, plan: &Plan) -> Lsn {
        let mut reader = self.reader(&plan.segments);
        let mut records = Records::at(&mut reader, self.cluster.segment_bytes, plan.base.start);
        let last = records.by_ref().last();
        last.map_or(plan.base.start, |record| record.end)
    }

    /// The file of a segment.
    #[must_use]
    pub fn segment_file(&self, segment: &Segment) -> PathBuf {
        self.folder.join(WAL).join(segment.file_name(self.cluster.segment_bytes))
    }

    /// The history files held.
    ///
    /// # Errors
    /// Whatever the system says.
    pub fn history_files(&self) -> Result<Vec<PathBuf>> {
        let wal = self.folder.join(WAL);
        let mut found = Vec::new();
        for entry in fs::read_dir(&wal).map_err(io_error("list", &wal))? {
            let path = entry.map_err(io_error("list", &wal))?.path();
            if path.extension().is_some_and(|extension| extension == "history") {
                found.push(path);
            }
        }
        Ok(found)
    }
}

/// As `recovery_target_time` reads it: with all of its microseconds and its zone.
fn shown_time(ns: u64) -> String {
    let (seconds, microseconds) = (ns / 1_000_000_000, ns / 1000 % 1_000_000);
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = date(days);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}.{microseconds:06}+00")
}

/// Gregorian date of a day since 1970 (H. Hinnant, "chrono-compatible low-level date algorithms").
fn date(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (year + era * 400 + u64::from(month <= 2), month, day)
}

struct PathReader<'a> {
    folder: PathBuf,
    path: &'a [Segment],
    segment_bytes: u64,
}

impl Segments for PathReader<'_> {
    fn segment(&mut self, number: u64) -> Option<(Timeline, Vec<u8>)> {
        let segment = self.path.iter().find(|one| one.number == number)?;
        let name = segment_name(segment.timeline, number, self.segment_bytes);
        let name = if segment.partial { name + PARTIAL } else { name };
        Some((segment.timeline, fs::read(self.folder.join(name)).ok()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_written_as_recovery_reads_it() {
        assert_eq!(shown_time(0), "1970-01-01 00:00:00.000000+00");
        assert_eq!(shown_time(1_709_251_199_999_999_999), "2024-02-29 23:59:59.999999+00");
        assert_eq!(shown_time(1_764_000_000_000_001_000), "2025-11-24 16:00:00.000001+00");
    }
}
