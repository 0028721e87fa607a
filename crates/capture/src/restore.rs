//! Bringing a database back from a spool.

use std::fs::File;
use std::path::{Path, PathBuf};

use evenkeel_journal::Disk;
use rusqlite::{Connection, OpenFlags};

use crate::error::{Error, Result, io_error};
use crate::spool::{Body, Commit, Gap, History, Image, Kind, Run, replay};

/// Which state to bring back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// The last that was captured.
    End,
    /// A commit by its number.
    Commit(u64),
    /// The last seen at or before this time, nanoseconds since 1970 UTC.
    Time(u64),
}

impl Target {
    /// Whether a commit is not behind it.
    pub(crate) fn fits(self, commit: &Commit) -> bool {
        match self {
            Self::End => true,
            Self::Commit(number) => commit.number <= number,
            Self::Time(time_ns) => commit.time_ns <= time_ns,
        }
    }

    pub(crate) fn words(self) -> String {
        match self {
            Self::End => "commit at all".to_owned(),
            Self::Commit(number) => format!("commit {number}"),
            Self::Time(time_ns) => format!("commit at or before {time_ns} ns since 1970"),
        }
    }
}

/// What was brought back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Restored {
    /// The state. It was made after `commit.after_ns` and seen at `commit.time_ns`.
    pub commit: Commit,
    /// The unprotected interval that holds the time asked for: then what was written between the
    /// commit and that time is not in it.
    pub within_gap: Option<Gap>,
}

/// Finds the commit that `target` names, and the run that restores it.
///
/// # Errors
/// [`Error::NoSuchPoint`], [`Error::Damaged`], and whatever the system says.
pub fn find(disk: &dyn Disk, history: &History, target: Target) -> Result<(Run, Commit)> {
    let runs = history.runs();
    let fits = |commit: &Commit| target.fits(commit);
    let missing = || no_such_point(history, &runs, target);
    let run = runs.iter().rev().find(|run| fits(&run.first)).ok_or_else(missing)?;
    let batch = history.records[run.records.clone()].iter().rev().find(|at| match at.kind {
        Kind::Batch { commits: Some((first, _)), .. } => fits(&first),
        _ => false,
    });
    let at = batch.ok_or_else(missing)?;
    let Body::Batch(batch) = history.read(disk, at)? else { return Err(missing()) };
    let commit = *batch.commits().rfind(|commit| fits(commit)).ok_or_else(missing)?;
    match target {
        Target::Commit(number) if number != commit.number => Err(missing()),
        _ => Ok((run.clone(), commit)),
    }
}

fn no_such_point(history: &History, runs: &[Run], target: Target) -> Error {
    let what = target.words();
    let held: Vec<String> = runs
        .iter()
        .map(|run| {
            let (first, last) = (run.first, run.last);
            let times = format!("{} to {} ns", first.time_ns, last.time_ns);
            format!("commits {} to {}, seen {times}", first.number, last.number)
        })
        .collect();
    let held = if held.is_empty() { "it is empty".to_owned() } else { held.join("; ") };
    Error::NoSuchPoint { path: history.folder.clone(), what, held: format!("it holds: {held}") }
}

/// The unprotected interval that holds a time, if there is one.
#[must_use]
pub fn gap_at(history: &History, time_ns: u64) -> Option<Gap> {
    history.gaps().into_iter().find(|gap| {
        gap.begin.from_ns < time_ns && gap.until.is_none_or(|until| time_ns < until.time_ns)
    })
}

/// Writes the database as it was to the new file `to`.
///
/// The chain of everything it is made of is checked first, the pages against the sum taken when
/// they were captured, and then the whole by `PRAGMA integrity_check`; only then does the file
/// get its name.
///
/// # Errors
/// [`Error::NoSuchPoint`], [`Error::Damaged`], [`Error::NotRestored`], and whatever the system
/// says.
pub fn restore(disk: &dyn Disk, folder: &Path, target: Target, to: &Path) -> Result<Restored> {
    let history = History::load(disk, folder)?;
    let (run, commit) = find(disk, &history, target)?;
    refuse_existing(to)?;
    let partial = with_suffix(to, ".partial");
    let result = write(disk, &history, &run, &commit, &partial);
    if let Err(error) = result {
        let _ = std::fs::remove_file(&partial);
        return Err(error);
    }
    std::fs::rename(&partial, to).map_err(io_error("rename", &partial))?;
    let parent = to.parent().filter(|parent| !parent.as_os_str().is_empty());
    let parent = parent.unwrap_or(Path::new("."));
    File::open(parent).and_then(|dir| dir.sync_all()).map_err(io_error("sync", parent))?;
    let within_gap = match target {
        Target::Time(time_ns) => gap_at(&history, time_ns),
        Target::End | Target::Commit(_) => None,
    };
    Ok(Restored { commit, within_gap })
}

/// A log of another database beside the new file would be played into it.
fn refuse_existing(to: &Path) -> Result<()> {
    for path in [to.to_path_buf(), with_suffix(to, "-wal"), with_suffix(to, "-shm")] {
        if std::fs::symlink_metadata(&path).is_ok() {
            let detail = format!("{} is there already", path.display());
            return Err(Error::NotRestored { path: to.to_path_buf(), detail });
        }
    }
    Ok(())
}

fn write(
    disk: &dyn Disk,
    history: &History,
    run: &Run,
    commit: &Commit,
    path: &Path,
) -> Result<()> {
    let mut image = Image::create(path, run.page_bytes).map_err(io_error("create", path))?;
    replay(disk, history, run, commit.number, &mut image)?;
    image.sync().map_err(io_error("sync", path))?;
    let digest = image.recompute_digest().map_err(io_error("read", path))?;
    if digest.to_bytes() != commit.digest {
        let detail = "its pages read back otherwise than they were written".to_owned();
        return Err(Error::NotRestored { path: path.to_path_buf(), detail });
    }
    check_integrity(path)
}

/// Asks SQLite itself. The file is opened as one that nobody changes, so nothing is put beside it.
///
/// # Errors
/// [`Error::NotRestored`] with what it found.
pub fn check_integrity(path: &Path) -> Result<()> {
    let failed = |detail: String| Error::NotRestored { path: path.to_path_buf(), detail };
    let found = open_immutable(path).and_then(|connection| {
        connection.query_row("PRAGMA integrity_check(1)", [], |row| row.get::<_, String>(0))
    });
    match found {
        Ok(found) if found == "ok" => Ok(()),
        Ok(found) => Err(failed(format!("integrity_check says: {found}"))),
        Err(error) => Err(failed(error.to_string())),
    }
}

/// Opens a database that nobody changes: nothing is put beside it, and nothing in it is written.
///
/// # Errors
/// What SQLite says.
pub fn open_immutable(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
    Connection::open_with_flags(format!("file:{}?immutable=1", escaped(path)), flags)
}

fn escaped(path: &Path) -> String {
    let mut text = String::new();
    for byte in path.as_os_str().as_encoded_bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'-' | b'_' => {
                text.push(char::from(*byte));
            }
            other => text.push_str(&format!("%{other:02X}")),
        }
    }
    text
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}
