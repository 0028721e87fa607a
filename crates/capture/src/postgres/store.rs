//! The folder of a capture: the log as it was received, base backups, and what happened.
//!
//! ```text
//!  lock                  held by whoever captures
//!  cluster               whose log it is
//!  events                what happened, see `journal`
//!  position              how far the log is durable, at least, and at what time of the server
//!  wal/SEGMENT           a whole segment
//!  wal/SEGMENT.partial   the beginning of one
//!  wal/TIMELINE.history
//!  base/NUMBER/          a whole base backup
//!  base/NUMBER.part/     one that was begun
//! ```
//!
//! Bytes of the log are only ever overwritten with themselves: after a crash the last segment is
//! asked for again from its beginning, and what a sync had covered has to come again the same.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use evenkeel_journal::{Access, Disk, DiskFile, DiskLock, LockRefused};

use super::error::{Error, Result, io_error};
use super::journal::{Happening, Journal, Kind};
use super::lsn::{Lsn, Timeline, history_name, parse_segment_name, segment_name};
use super::replication::System;

pub(super) const EVENTS: &str = "events";
pub(super) const CLUSTER: &str = "cluster";
pub(super) const POSITION: &str = "position";
pub(super) const WAL: &str = "wal";
pub(super) const BASE: &str = "base";
pub(super) const PARTIAL: &str = ".partial";
const LOCK: &str = "lock";

/// Whose log it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cluster {
    /// Its system identifier.
    pub identifier: u64,
    /// Size of a segment file.
    pub segment_bytes: u64,
    /// The version it was last seen with.
    pub version: String,
}

impl Cluster {
    fn to_text(&self) -> String {
        let Self { identifier, segment_bytes, version } = self;
        format!(
            "system_identifier {identifier}\nsegment_bytes {segment_bytes}\nversion {version}\n"
        )
    }

    /// Reads the file `cluster`.
    ///
    /// # Errors
    /// [`Error::Damaged`].
    pub fn parse(text: &str, path: &Path) -> Result<Self> {
        let fields = fields(text);
        let number = |name: &str| fields.get(name)?.parse().ok();
        let found = || {
            Some(Self {
                identifier: number("system_identifier")?,
                segment_bytes: number("segment_bytes").filter(|size| {
                    u64::is_power_of_two(*size) && (1 << 20..=1 << 30).contains(size)
                })?,
                version: (*fields.get("version")?).to_owned(),
            })
        };
        found().ok_or_else(|| Error::Damaged {
            path: path.to_path_buf(),
            detail: "it does not name a cluster".to_owned(),
        })
    }

    /// The number before the dot in the version.
    #[must_use]
    pub fn major_version(&self) -> u32 {
        let digits = self.version.split(|c: char| !c.is_ascii_digit()).next();
        digits.and_then(|digits| digits.parse().ok()).unwrap_or(0)
    }
}

/// How far the log is durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Position {
    /// The timeline.
    pub timeline: Timeline,
    /// Up to here.
    pub lsn: Lsn,
    /// The newest time that the server had told when that was so: nanoseconds since 1970 UTC.
    pub time_ns: u64,
}

impl Position {
    /// Reads the file `position`; none if it is not one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let fields = fields(text);
        Some(Self {
            timeline: fields.get("timeline")?.parse().ok()?,
            lsn: fields.get("lsn")?.parse().ok()?,
            time_ns: fields.get("time_ns")?.parse().ok()?,
        })
    }
}

/// `name value` in every line.
pub(super) fn fields(text: &str) -> BTreeMap<&str, &str> {
    text.lines().filter_map(|line| line.split_once(' ')).collect()
}

/// A segment in the folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Segment {
    /// Its timeline.
    pub timeline: Timeline,
    /// Its number.
    pub number: u64,
    /// Whether it is only the beginning of one.
    pub partial: bool,
}

impl Segment {
    /// What its file is called.
    #[must_use]
    pub fn file_name(&self, segment_bytes: u64) -> String {
        let name = segment_name(self.timeline, self.number, segment_bytes);
        if self.partial { name + PARTIAL } else { name }
    }
}

/// The segments among names.
#[must_use]
pub fn segments(names: &[String], segment_bytes: u64) -> Vec<Segment> {
    let segment = |name: &String| {
        let (name, partial) = match name.strip_suffix(PARTIAL) {
            Some(name) => (name, true),
            None => (name.as_str(), false),
        };
        let (timeline, number) = parse_segment_name(name, segment_bytes)?;
        Some(Segment { timeline, number, partial })
    };
    let mut found: Vec<Segment> = names.iter().filter_map(segment).collect();
    found.sort_unstable();
    found
}

/// The folder, for whoever captures. Shared by the thread that receives the log and the one that
/// takes base backups.
#[derive(Debug)]
pub struct Store {
    pub(super) disk: Arc<dyn Disk>,
    folder: PathBuf,
    journal: Mutex<Journal>,
    _lock: Box<dyn DiskLock>,
}

impl Store {
    /// Opens the folder, or begins one.
    ///
    /// # Errors
    /// [`Error::Locked`], [`Error::Damaged`], and whatever the system says.
    pub fn open(disk: Arc<dyn Disk>, folder: &Path) -> Result<Self> {
        for one in [folder, &folder.join(WAL), &folder.join(BASE)] {
            disk.create_dir_all(one).map_err(io_error("create", one))?;
        }
        let lock = disk.lock(&folder.join(LOCK)).map_err(|refused| match refused {
            LockRefused::Held(holder) => Error::Locked { path: folder.to_path_buf(), holder },
            LockRefused::Io(source) => io_error("lock", folder)(source),
        })?;
        let journal = Mutex::new(Journal::open(&disk, folder)?);
        Ok(Self { disk, folder: folder.to_path_buf(), journal, _lock: lock })
    }

    /// The folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    pub(super) fn wal(&self) -> PathBuf {
        self.folder.join(WAL)
    }

    fn journal(&self) -> MutexGuard<'_, Journal> {
        self.journal.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes what happened, durably.
    ///
    /// # Errors
    /// Whatever the system says.
    pub fn note(&self, happening: Happening) -> Result<()> {
        self.journal().append(happening)
    }

    /// What happened so far.
    #[must_use]
    pub fn happenings(&self) -> Vec<Happening> {
        self.journal().happenings.clone()
    }

    /// Whether a gap was noted that no base backup has closed yet.
    #[must_use]
    pub fn gap_is_open(&self) -> bool {
        let journal = self.journal();
        let last = |kind| journal.happenings.iter().rposition(|one| one.kind == kind);
        last(Kind::Gap).is_some_and(|gap| last(Kind::Base).is_none_or(|base| base < gap))
    }

    /// Whose log it is; none before the first connection.
    ///
    /// # Errors
    /// [`Error::Damaged`], and whatever the system says.
    pub fn cluster(&self) -> Result<Option<Cluster>> {
        let path = self.folder.join(CLUSTER);
        let text = self.read_text(CLUSTER)?;
        text.map(|text| Cluster::parse(&text, &path)).transpose()
    }

    /// Binds the folder to a cluster, once and for all.
    ///
    /// # Errors
    /// [`Error::OtherCluster`] if it is bound to another.
    pub fn bind(&self, system: &System, server: &str) -> Result<Cluster> {
        let found = Cluster {
            identifier: system.identifier,
            segment_bytes: system.segment_bytes,
            version: system.version.clone(),
        };
        match self.cluster()? {
            Some(known) if known.identifier != found.identifier => Err(Error::OtherCluster {
                server: server.to_owned(),
                expected: known.identifier,
                found: found.identifier,
            }),
            Some(known) if known == found => Ok(known),
            // A new version, after pg_upgrade has kept the identifier? It makes a new one; so this
            // is a minor version, or the first time.
            _ => {
                self.write_text(CLUSTER, &found.to_text())?;
                Ok(found)
            }
        }
    }

    /// How far the log was durable when that was last noted.
    ///
    /// # Errors
    /// Whatever the system says.
    pub fn position(&self) -> Result<Option<Position>> {
        Ok(self.read_text(POSITION)?.as_deref().and_then(Position::parse))
    }

    /// Notes how far the log is durable.
    ///
    /// # Errors
    /// Whatever the system says.
    pub fn set_position(&self, position: &Position) -> Result<()> {
        let Position { timeline, lsn, time_ns } = position;
        let text = format!("timeline {timeline}\nlsn {lsn}\ntime_ns {time_ns}\n");
        self.write_text(POSITION, &text)
    }

    fn read_text(&self, name: &str) -> Result<Option<String>> {
        let path = self.folder.join(name);
        match self.disk.open(&path, Access::Read) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            opened => {
                let file = opened.map_err(io_error("open", &path))?;
                let bytes = read_all(file.as_ref(), &path)?;
                Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
            }
        }
    }

    /// Replaces a small file in one step.
    fn write_text(&self, name: &str, text: &str) -> Result<()> {
        self.replace(&self.folder, name, text.as_bytes())
    }

    fn replace(&self, folder: &Path, name: &str, bytes: &[u8]) -> Result<()> {
        let (path, part) = (folder.join(name), folder.join(format!("{name}.new")));
        let failed = io_error("write", &path);
        match self.disk.remove(&part) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(failed(error));
            }
            _ => {}
        }
        let file = self.disk.create(&part).map_err(&failed)?;
        let written = file.write_all_at(bytes, 0).and_then(|()| file.sync_all());
        written.and_then(|()| self.disk.rename(&part, &path)).map_err(&failed)?;
        self.disk.sync_dir(folder).map_err(&failed)
    }

    /// Keeps a timeline's history file.
    ///
    /// # Errors
    /// Whatever the system says.
    pub fn keep_history(&self, timeline: Timeline, bytes: &[u8]) -> Result<()> {
        self.replace(&self.wal(), &history_name(timeline), bytes)
    }

    /// Makes a segment the one that capture goes on with, also after a crash.
    ///
    /// # Errors
    /// Whatever the system says.
    pub fn begin_at(&self, timeline: Timeline, from: Lsn, segment_bytes: u64) -> Result<()> {
        let (number, partial) = (from.segment(segment_bytes), true);
        let segment = Segment { timeline, number, partial };
        let path = self.wal().join(segment.file_name(segment_bytes));
        match self.disk.create(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            made => drop(made.map_err(io_error("create", &path))?),
        }
        self.disk.sync_dir(&self.wal()).map_err(io_error("sync", &self.wal()))
    }

    /// The segments held, by timeline and number.
    ///
    /// # Errors
    /// Whatever the system says.
    pub fn segments(&self, segment_bytes: u64) -> Result<Vec<Segment>> {
        let wal = self.wal();
        let names = self.disk.list(&wal).map_err(io_error("list", &wal))?;
        Ok(segments(&names, segment_bytes))
    }

    /// Bytes of the log held.
    ///
    /// # Errors
    /// Whatever the system says.
    pub fn wal_bytes(&self, segment_bytes: u64) -> Result<u64> {
        Ok(self.segments(segment_bytes)?.len() as u64 * segment_bytes)
    }

    /// Removes what no kept base backup needs: log before `segment`, whatever its timeline.
    ///
    /// # Errors
    /// Whatever the system says.
    pub fn remove_wal_before(&self, segment: u64, segment_bytes: u64) -> Result<u64> {
        let wal = self.wal();
        let mut removed = 0;
        for one in self.segments(segment_bytes)?.iter().filter(|one| one.number < segment) {
            let path = wal.join(one.file_name(segment_bytes));
            self.disk.remove(&path).map_err(io_error("remove", &path))?;
            removed += 1;
        }
        Ok(removed)
    }
}

pub(super) fn read_all(file: &dyn DiskFile, path: &Path) -> Result<Vec<u8>> {
    let length = file.length_bytes().map_err(io_error("read", path))?;
    let mut bytes = vec![0; usize::try_from(length).unwrap_or(usize::MAX)];
    let done = read_at(file, &mut bytes, 0).map_err(io_error("read", path))?;
    bytes.truncate(done);
    Ok(bytes)
}

/// Reads as much as there is.
pub(super) fn read_at(file: &dyn DiskFile, bytes: &mut [u8], at: u64) -> std::io::Result<usize> {
    let mut done = 0;
    while done < bytes.len() {
        match file.read_at(&mut bytes[done..], at + done as u64) {
            Ok(0) => break,
            Ok(count) => done += count,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}
