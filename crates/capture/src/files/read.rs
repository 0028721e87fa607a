//! Reading a group: its files one behind the other, each watched for changes meanwhile.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::Path;

use rustix::fs::OFlags;

use super::copy::Consistent;
use super::known::beside;
use super::list::{Found, SQLITE, Stat};
use super::note::NoteKind;

/// A database is never shorter than its header.
const DATABASE_BYTES_MIN: u64 = 100;

/// What became of one file.
#[derive(Debug)]
pub(super) struct WasRead {
    /// Its number in the listing.
    pub(super) at: usize,
    pub(super) offset_bytes: u64,
    pub(super) length_bytes: u64,
    pub(super) hash: [u8; 32],
    pub(super) database: bool,
    /// What it was when it was opened.
    pub(super) stat: Stat,
    /// What stood beside it then, if it is a database.
    pub(super) beside: Vec<Option<Stat>>,
    pub(super) trouble: Option<(NoteKind, String)>,
}

/// Reads the files of a group as one stream. It never fails: a file that cannot be read, or not to
/// its end, is named in what [`GroupReader::finish`] gives.
pub(super) struct GroupReader<'a> {
    found: &'a [Found],
    left: std::slice::Iter<'a, usize>,
    scratch: &'a Path,
    open: Option<Open>,
    offset_bytes: u64,
    /// A file that is alone has the hash of the stream, and need not be hashed again.
    is_alone: bool,
    done: Vec<WasRead>,
    each: &'a mut dyn FnMut(u64),
}

struct Open {
    at: usize,
    /// The file itself, to be looked at again.
    file: File,
    before: Stat,
    source: io::Take<Box<dyn Read>>,
    /// How long it should be.
    expected_bytes: u64,
    begin_bytes: u64,
    read_bytes: u64,
    hasher: blake3::Hasher,
    database: bool,
    beside: Vec<Option<Stat>>,
}

impl<'a> GroupReader<'a> {
    pub(super) fn new(
        found: &'a [Found],
        members: &'a [usize],
        scratch: &'a Path,
        each: &'a mut dyn FnMut(u64),
    ) -> Self {
        let (open, done) = (None, Vec::with_capacity(members.len()));
        let (left, is_alone) = (members.iter(), members.len() == 1);
        Self { found, left, scratch, open, offset_bytes: 0, is_alone, done, each }
    }

    /// What was read, as a stream with this hash. Files that nobody asked for any more count as
    /// unreadable.
    pub(super) fn finish(mut self, hash: [u8; 32]) -> Vec<WasRead> {
        if let Some(open) = self.open.take() {
            self.close(open, Some((NoteKind::Unreadable, "it was not read to its end".to_owned())));
        }
        for at in self.left.clone() {
            self.fail(*at, NoteKind::Unreadable, "it was not read".to_owned());
        }
        if self.is_alone {
            self.done.iter_mut().for_each(|one| one.hash = hash);
        }
        self.done
    }

    fn fail(&mut self, at: usize, kind: NoteKind, why: String) {
        self.done.push(WasRead {
            at,
            offset_bytes: self.offset_bytes,
            length_bytes: 0,
            hash: [0; 32],
            database: false,
            stat: self.found[at].stat,
            beside: Vec::new(),
            trouble: Some((kind, why)),
        });
    }

    fn begin(&mut self, at: usize) -> Option<Open> {
        match open(at, &self.found[at].disk, self.scratch) {
            Ok(open) => Some(Open { begin_bytes: self.offset_bytes, ..open }),
            Err(error) => {
                let kind = match error.kind() {
                    io::ErrorKind::NotFound => NoteKind::Vanished,
                    _ => NoteKind::Unreadable,
                };
                self.fail(at, kind, error.to_string());
                None
            }
        }
    }

    fn close(&mut self, open: Open, trouble: Option<(NoteKind, String)>) {
        let changed = || {
            let after = open.file.metadata().map(|meta| Stat::of(&meta)).ok()?;
            let same = after.size_bytes == open.before.size_bytes
                && after.mtime_ns == open.before.mtime_ns;
            let short = open.read_bytes != open.expected_bytes;
            ((!same && !open.database) || short).then(|| {
                let detail = format!(
                    "{} bytes were read; it had {} before and {} after",
                    open.read_bytes, open.before.size_bytes, after.size_bytes
                );
                (NoteKind::ChangedWhileRead, detail)
            })
        };
        let trouble = trouble.or_else(changed);
        self.done.push(WasRead {
            at: open.at,
            offset_bytes: open.begin_bytes,
            length_bytes: open.read_bytes,
            hash: *open.hasher.finalize().as_bytes(),
            database: open.database,
            stat: open.before,
            beside: open.beside,
            trouble,
        });
    }
}

impl Read for GroupReader<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            let mut open = match self.open.take() {
                Some(open) => open,
                None => {
                    let Some(at) = self.left.next() else {
                        return Ok(0);
                    };
                    match self.begin(*at) {
                        Some(open) => open,
                        None => continue,
                    }
                }
            };
            match open.source.read(into) {
                Ok(0) => self.close(open, None),
                Ok(count) => {
                    if !self.is_alone {
                        open.hasher.update(&into[..count]);
                    }
                    open.read_bytes += count as u64;
                    self.offset_bytes += count as u64;
                    (self.each)(count as u64);
                    self.open = Some(open);
                    return Ok(count);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => self.open = Some(open),
                Err(error) => {
                    self.close(open, Some((NoteKind::Unreadable, error.to_string())));
                }
            }
        }
    }
}

/// Opens a file without following a link or waiting for a pipe that has taken its place; a database
/// by way of a consistent copy.
fn open(at: usize, path: &Path, scratch: &Path) -> io::Result<Open> {
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits();
    let file = OpenOptions::new().read(true).custom_flags(flags.cast_signed()).open(path)?;
    let meta = file.metadata()?;
    if !meta.is_file() {
        return Err(io::Error::other("it is no file any more"));
    }
    let before = Stat::of(&meta);
    let mut begin = [0; SQLITE.len()];
    let database = before.size_bytes >= DATABASE_BYTES_MIN
        && file.read_exact_at(&mut begin, 0).is_ok_and(|()| begin == *SQLITE);
    // Looked at before the copy is made: what is written later must not count as copied.
    let beside = if database { beside(path) } else { Vec::new() };
    let (source, expected_bytes): (Box<dyn Read>, u64) = if database {
        let consistent = Consistent::of(path, scratch)?;
        let length_bytes = consistent.length_bytes()?;
        (Box::new(consistent), length_bytes)
    } else {
        (Box::new(file.try_clone()?), before.size_bytes)
    };
    Ok(Open {
        at,
        file,
        before,
        // What is appended meanwhile belongs to the next point.
        source: source.take(expected_bytes),
        expected_bytes,
        begin_bytes: 0,
        read_bytes: 0,
        hasher: blake3::Hasher::new(),
        database,
        beside,
    })
}
