//! Creating a log, and opening one after whatever happened to it.

use super::trim::Trimmer;
use super::{Active, FileLog, LOCK, Options, Preparation};
use crate::disk::{Access, Disk, DiskLock, LockRefused, read_full};
use crate::error::{Holder, IoContext as _, JournalError, Problem, ProblemKind, Result};
use crate::meta::{META, Meta};
use crate::preparer::Preparer;
use crate::scan::{Cursor, Expect};
use crate::sector;
use crate::segment::{self, FRAMES_AT, SegmentHeader};
use crate::tail::{self, Progress, Tail, TornTail};
use crate::watermark::Watermark;
use crate::{Base, Chain, Identity, Position};
use evenkeel_types::codec::Writer;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

/// What was found when a log was opened. Its `Display` is an account for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    /// First position that the log holds.
    pub first: Position,
    /// First position that it does not hold: where writing goes on.
    pub next: Position,
    /// Highest term in it; 0 before the first.
    pub term: u64,
    /// Chain before `next`.
    pub chain: Chain,
    /// Number of segments.
    pub segments: usize,
    /// The last writer closed it, or sealed its end before it died.
    pub sealed: bool,
    /// It writes to the reserve: the disk was full.
    pub on_reserve: bool,
    /// An unacknowledged frame that a crash cut off. It is zeroed before the next append.
    pub torn_tail: Option<TornTail>,
    /// Harmless damage: bytes that changed where no entry lies.
    pub stray: Vec<Problem>,
    /// Segments that a trim had already given up and now are removed.
    pub leftovers_removed: Vec<String>,
}

impl fmt::Display for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { first, next, term, segments, .. } = self;
        write!(f, "journal: positions {first} to below {next}, term {term}, {segments} segments")?;
        f.write_str(if self.sealed { ", sealed" } else { ", not sealed (it was not closed)" })?;
        if self.on_reserve {
            f.write_str("\nthe disk was full: it goes on in the reserve")?;
        }
        if let Some(torn) = &self.torn_tail {
            let TornTail { file, offset, bytes, positions } = torn;
            write!(
                f,
                "\ntorn tail: {bytes} bytes in {file} at byte {offset} were being written from \
                 position {} on and were never acknowledged; nothing acknowledged is lost",
                positions.start
            )?;
        }
        for problem in &self.stray {
            write!(f, "\nharmless: {problem}")?;
        }
        for name in &self.leftovers_removed {
            write!(f, "\nremoved {name}, which an earlier trim had given up")?;
        }
        Ok(())
    }
}

/// What walking the segments gave.
struct Found {
    cursor: Cursor,
    opened: Opened,
    dirty: Vec<std::ops::Range<u64>>,
    /// Where the last frame lies, if the last segment has one.
    last_frame: Option<std::ops::Range<u64>>,
}

impl FileLog {
    /// Creates a log in a folder that holds none.
    ///
    /// # Errors
    /// [`JournalError::AlreadyExists`] if there is one, or segments with entries;
    /// [`JournalError::Locked`], [`JournalError::BadOptions`], system errors. After any of them the
    /// folder can be given to `create` again.
    pub fn create(
        disk: Arc<dyn Disk>,
        dir: &Path,
        identity: Identity,
        base: Base,
        options: Options,
    ) -> Result<Self> {
        options.check()?;
        disk.create_dir_all(dir).during("create", dir)?;
        let lock = lock(disk.as_ref(), dir)?;
        clear_unfinished_creation(disk.as_ref(), dir)?;
        let header = SegmentHeader {
            reserve: false,
            length_bytes: options.segment_bytes,
            first: base.position,
            previous_first: None,
            term: 0,
            identity,
            chain: base.chain,
        };
        let spare = dir.join(segment::SPARE);
        let file = segment::create_zeroed(disk.as_ref(), &spare, header.length_bytes)
            .during("create", &spare)?;
        file.write_all_at(&header.to_sector(), 0).during("write", &spare)?;
        file.sync_all().during("sync", &spare)?;
        let path = dir.join(segment::file_name(header.first));
        disk.rename(&spare, &path).during("rename", &spare)?;
        disk.sync_dir(dir).during("sync", dir)?;
        let expect = Expect { position: base.position, term: 0, chain: base.chain };
        let segment = Active { file, path, header, offset: FRAMES_AT };
        let meta = Meta { identity, base };
        let mut log = Self::assemble(disk, dir, options, meta.clone(), segment, &expect, lock)?;
        log.ensure_reserve()?;
        // Last: only with this file is it a journal.
        meta.write(log.disk.as_ref(), dir)?;
        log.keep_pace();
        Ok(log)
    }

    /// Opens a log, and gives an account of what was found.
    ///
    /// The last segment is read whole, of the others the headers; [`crate::verify`] and readers
    /// check the rest. The last frame is written and synced again: after a failed sync, or the
    /// death of the process before its sync, memory may show what the disk does not have.
    ///
    /// # Errors
    /// [`JournalError::NotAJournal`], [`JournalError::Locked`], [`JournalError::Corrupt`] and
    /// [`JournalError::Gap`] (nothing was changed then), system errors.
    pub fn open(disk: Arc<dyn Disk>, dir: &Path, options: Options) -> Result<(Self, Opened)> {
        options.check()?;
        let not_there = |error: &std::io::Error| error.kind() == std::io::ErrorKind::NotFound;
        if disk.list(dir).is_err_and(|error| not_there(&error)) {
            return Err(JournalError::NotAJournal { dir: dir.to_owned() });
        }
        let lock = lock(disk.as_ref(), dir)?;
        let (meta, stray) = Meta::read(disk.as_ref(), dir)?;
        let Found { cursor, mut opened, dirty, last_frame } =
            find_end(disk.as_ref(), dir, &meta, stray)?;
        let segment = Active {
            path: dir.join(&cursor.name),
            file: cursor.file,
            header: cursor.header,
            offset: cursor.offset,
        };
        if let Some(range) = last_frame {
            let mut bytes = vec![0; usize::try_from(range.end - range.start).unwrap_or(0)];
            read_full(segment.file.as_ref(), &mut bytes, range.start)
                .during("read", &segment.path)?;
            segment.file.write_all_at(&bytes, range.start).during("write", &segment.path)?;
        }
        segment.file.sync_data().during("sync", &segment.path)?;
        disk.sync_dir(dir).during("sync", dir)?;
        opened.leftovers_removed = remove_leftovers(disk.as_ref(), dir, &meta.base)?;
        let mut log = Self::assemble(disk, dir, options, meta, segment, &cursor.expect, lock)?;
        log.sealed = opened.sealed;
        log.dirty = dirty;
        log.ensure_reserve()?;
        log.keep_pace();
        Ok((log, opened))
    }

    fn assemble(
        disk: Arc<dyn Disk>,
        dir: &Path,
        options: Options,
        meta: Meta,
        segment: Active,
        expect: &Expect,
        lock: Box<dyn DiskLock>,
    ) -> Result<Self> {
        let inline = options.preparation == Preparation::Inline;
        let preparer = Preparer::new(disk.clone(), dir, options.segment_bytes, inline)
            .during("start a thread for", dir)?;
        Ok(Self {
            preparer,
            trimmer: Trimmer::default(),
            segment,
            disk,
            dir: dir.to_owned(),
            options,
            identity: meta.identity,
            base: meta.base,
            next: expect.position,
            chain: expect.chain,
            term: expect.term,
            durable_term: expect.term,
            term_begun: false,
            end: None,
            sealed: true,
            reserve_ready: false,
            full: false,
            dirty: Vec::new(),
            poisoned: None,
            watermark: Watermark::new(expect.position),
            body: Writer::new(),
            physical: Vec::new(),
            _lock: lock,
        })
    }
}

/// Who writes the journal in a folder, or nobody: then its last writer has ended, however it did.
/// Asking takes the lock for a moment.
///
/// # Errors
/// [`JournalError::NotAJournal`], system errors.
pub fn lock_holder(disk: &dyn Disk, dir: &Path) -> Result<Option<Holder>> {
    let path = dir.join(META);
    match disk.open(&path, Access::Read) {
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(JournalError::NotAJournal { dir: dir.to_owned() });
        }
        Err(error) => return Err(JournalError::Io { action: "open", path, error }),
    }
    match disk.lock(&dir.join(LOCK)) {
        Ok(_) => Ok(None),
        Err(LockRefused::Held(holder)) => Ok(Some(holder)),
        Err(LockRefused::Io(error)) => {
            Err(JournalError::Io { action: "lock", path: dir.join(LOCK), error })
        }
    }
}

/// Takes the journal's lock, or says who has it.
pub(crate) fn lock(disk: &dyn Disk, dir: &Path) -> Result<Box<dyn DiskLock>> {
    let path = dir.join(LOCK);
    disk.lock(&path).map_err(|refused| match refused {
        LockRefused::Held(holder) => JournalError::Locked {
            dir: dir.to_owned(),
            holder_pid: holder.pid,
            since_unix_seconds: holder.since_unix_seconds,
            command: holder.command,
        },
        LockRefused::Io(error) => JournalError::Io { action: "lock", path, error },
    })
}

/// Makes room for a new log, unless something of value is there.
fn clear_unfinished_creation(disk: &dyn Disk, dir: &Path) -> Result<()> {
    let names = disk.list(dir).during("list", dir)?;
    let exists =
        |found: &str| JournalError::AlreadyExists { dir: dir.to_owned(), found: found.to_owned() };
    if names.iter().any(|name| name == META) {
        return Err(exists(META));
    }
    for name in names.iter().filter(|name| segment::first_of(name).is_some()) {
        let path = dir.join(name);
        let file = disk.open(&path, Access::Read).during("open", &path)?;
        let length = file.length_bytes().during("measure", &path)?;
        let mut empty = true;
        sector::for_each_nonzero(file.as_ref(), FRAMES_AT, length, |_, _| empty = false)
            .during("read", &path)?;
        if !empty {
            return Err(exists(name));
        }
        disk.remove(&path).during("remove", &path)?;
    }
    Ok(())
}

/// Walks the segments: headers of all, frames of the last.
fn find_end(disk: &dyn Disk, dir: &Path, meta: &Meta, stray: Vec<Problem>) -> Result<Found> {
    let firsts = held_segments(disk, dir, meta)?;
    let mut opened = Opened {
        first: meta.base.position,
        next: meta.base.position,
        term: 0,
        chain: meta.base.chain,
        segments: firsts.len(),
        sealed: true,
        on_reserve: false,
        torn_tail: None,
        stray,
        leftovers_removed: Vec::new(),
    };
    let mut last: Option<Cursor> = None;
    for first in firsts {
        let (cursor, stray) = Cursor::open(disk, dir, first, &meta.identity, Access::ReadWrite)?;
        opened.stray.extend(stray);
        check_link(disk, last.as_mut(), &cursor, &meta.base)?;
        last = Some(cursor);
    }
    let Some(mut cursor) = last else {
        return Err(no_segments(dir, meta));
    };
    let mut last_frame = None;
    let tail = loop {
        let start = cursor.offset;
        match tail::advance(disk, &mut cursor, 1)? {
            Progress::Frame(frame) => {
                opened.sealed = frame.header.seal;
                last_frame = Some(start..cursor.offset);
                opened.stray.extend(frame.stray(&cursor.name));
            }
            Progress::Rest(tail) => break *tail,
        }
    };
    let Tail { torn, stray, dirty, corrupt, .. } = tail;
    if let Some(problem) = corrupt {
        return Err(cursor.corrupt(problem));
    }
    opened.stray.extend(stray);
    // A segment without frames follows one that is sealed by its very existence.
    opened.sealed &= torn.is_none();
    opened.torn_tail = torn;
    opened.next = cursor.expect.position;
    opened.term = cursor.expect.term;
    opened.chain = cursor.expect.chain;
    opened.on_reserve = cursor.header.reserve;
    Ok(Found { cursor, opened, dirty, last_frame })
}

/// First positions of the segments that the log still holds.
pub(crate) fn held_segments(disk: &dyn Disk, dir: &Path, meta: &Meta) -> Result<Vec<Position>> {
    let mut firsts = segment::list(disk, dir).during("list", dir)?;
    let trimmed = firsts.iter().filter(|first| **first < meta.base.position).count();
    firsts.drain(..trimmed);
    Ok(firsts)
}

/// Removes segments that lie before the base: a crash interrupted their removal.
fn remove_leftovers(disk: &dyn Disk, dir: &Path, base: &Base) -> Result<Vec<String>> {
    let mut removed = Vec::new();
    for first in segment::list(disk, dir).during("list", dir)? {
        if first < base.position {
            let name = segment::file_name(first);
            let path = dir.join(&name);
            disk.remove(&path).during("remove", &path)?;
            removed.push(name);
        }
    }
    Ok(removed)
}

/// Checks that a segment follows the one before it, or the base.
fn check_link(
    disk: &dyn Disk,
    previous: Option<&mut Cursor>,
    cursor: &Cursor,
    base: &Base,
) -> Result<()> {
    let missing_to = cursor.header.first;
    let gap =
        |missing_from| Err(JournalError::Gap { dir: cursor.dir.clone(), missing_from, missing_to });
    let Some(previous) = previous else {
        if missing_to != base.position {
            return gap(base.position);
        }
        if cursor.header.chain != base.chain {
            return Err(cursor.corrupt(broken_link(cursor)));
        }
        return Ok(());
    };
    if cursor.header.previous_first == Some(previous.header.first) {
        return Ok(());
    }
    // Only now the one before is read, to tell the range exactly.
    let tail = loop {
        match tail::advance(disk, previous, 1)? {
            Progress::Frame(_) => {}
            Progress::Rest(tail) => break *tail,
        }
    };
    match tail.corrupt {
        Some(problem) => Err(previous.corrupt(problem)),
        None if previous.expect.position < missing_to => gap(previous.expect.position),
        None => Err(cursor.corrupt(broken_link(cursor))),
    }
}

/// The segment does not continue what comes before it.
pub(crate) fn broken_link(cursor: &Cursor) -> Problem {
    Problem {
        file: cursor.name.clone(),
        offset: 0,
        positions: cursor.header.first..Position::MAX,
        kind: ProblemKind::BrokenChain,
        detail: "the segment does not continue the one before it".to_owned(),
        harmless: false,
    }
}

fn no_segments(dir: &Path, meta: &Meta) -> JournalError {
    let position = meta.base.position;
    let problem = Box::new(Problem {
        file: segment::file_name(position),
        offset: 0,
        positions: position..Position::MAX,
        kind: ProblemKind::Gap,
        detail: "no segment is there at all".to_owned(),
        harmless: false,
    });
    JournalError::Corrupt { dir: dir.to_owned(), problem, safe_next: position }
}
