//! Walking what was named: names, kinds and times, without reading any content.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs::{self, File, Metadata};
use std::io::{self, Read as _};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use super::error::{Error, Result, io_error};
use super::glob::Globs;
use super::note::{Note, NoteKind};
use super::path::{Root, child, distinct, order};

/// How an SQLite database begins (sqlite.org/fileformat2.html).
pub(super) const SQLITE: &[u8; 16] = b"SQLite format 3\0";
/// What SQLite keeps beside a database; all of it is in a consistent copy, and would harm one.
pub(super) const BESIDE_SQLITE: [&str; 3] = ["-wal", "-shm", "-journal"];

/// What to take.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// What was named.
    pub roots: Vec<Root>,
    /// What is left out.
    pub excludes: Globs,
    /// Folders and files of the installation that makes the point; they are left out with a note.
    pub own: Vec<PathBuf>,
}

/// What tells whether a file was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stat {
    pub(super) size_bytes: u64,
    pub(super) mtime_ns: i64,
    pub(super) ctime_ns: i64,
    pub(super) device: u64,
    pub(super) inode: u64,
}

impl Stat {
    pub(super) fn of(meta: &Metadata) -> Self {
        Self {
            size_bytes: meta.size(),
            mtime_ns: nanoseconds(meta.mtime(), meta.mtime_nsec()),
            ctime_ns: nanoseconds(meta.ctime(), meta.ctime_nsec()),
            device: meta.dev(),
            inode: meta.ino(),
        }
    }
}

fn nanoseconds(seconds: i64, nanoseconds: i64) -> i64 {
    seconds.saturating_mul(1_000_000_000).saturating_add(nanoseconds)
}

/// One path that was found.
#[derive(Debug, Clone)]
pub(super) struct Found {
    /// As the tree stores it.
    pub(super) path: Vec<u8>,
    /// Where it is.
    pub(super) disk: PathBuf,
    pub(super) kind: FoundKind,
    pub(super) mode: u32,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) stat: Stat,
}

#[derive(Debug, Clone)]
pub(super) enum FoundKind {
    Folder,
    File,
    Link(Vec<u8>),
    SameAs(Vec<u8>),
}

/// What was found.
#[derive(Debug, Default)]
pub struct Listing {
    pub(super) found: Vec<Found>,
    pub(super) roots: Vec<Root>,
    /// What will not be in the tree.
    pub notes: Vec<Note>,
    /// How many paths the patterns left out; what is below them is not counted.
    pub excluded: u64,
}

impl Listing {
    /// Files and bytes, as far as the listing knows.
    #[must_use]
    pub fn sizes(&self) -> (u64, u64) {
        let files = self.found.iter().filter(|one| matches!(one.kind, FoundKind::File));
        let sum = |(count, bytes), one: &Found| (count + 1, bytes + one.stat.size_bytes);
        files.fold((0, 0), sum)
    }
}

/// Walks a selection, in the order of a tree.
///
/// # Errors
/// [`Error::NothingThere`] if none of the roots can be looked at; [`Error::SamePlace`] and
/// [`Error::ThroughLink`] for roots that contradict each other. Everything else is a note.
pub fn list(selection: Selection) -> Result<Listing> {
    let roots = distinct(selection.roots)?;
    let own = selection.own.iter().filter_map(|path| fs::metadata(path).ok());
    let mut walk = Walk {
        excludes: &selection.excludes,
        own: own.map(|meta| (meta.dev(), meta.ino())).collect(),
        several_names: BTreeSet::new(),
        listing: Listing { roots: roots.clone(), ..Listing::default() },
    };
    let mut missing = Vec::new();
    for root in &roots {
        if let Err(error) = walk.root(root) {
            let note = Note::new(&root.stored, NoteKind::Unreadable, error.to_string());
            walk.listing.notes.push(note);
            missing.push(root.disk.clone());
        }
    }
    let Walk { several_names, mut listing, .. } = walk;
    listing.found.sort_by(|one, other| order(&one.path, &other.path));
    name_once(&mut listing.found, &several_names);
    match missing.into_iter().next() {
        Some(path) if listing.found.is_empty() => Err(Error::NothingThere { path }),
        _ => Ok(listing),
    }
}

/// Of a file with several names, all but the first refer to that one.
fn name_once(found: &mut [Found], several_names: &BTreeSet<(u64, u64)>) {
    let mut first_names: BTreeMap<(u64, u64), Vec<u8>> = BTreeMap::new();
    for one in found.iter_mut().filter(|one| matches!(one.kind, FoundKind::File)) {
        let identity = (one.stat.device, one.stat.inode);
        if !several_names.contains(&identity) {
            continue;
        }
        match first_names.get(&identity) {
            Some(first) => one.kind = FoundKind::SameAs(first.clone()),
            None => {
                first_names.insert(identity, one.path.clone());
            }
        }
    }
}

struct Walk<'a> {
    excludes: &'a Globs,
    /// Device and inode of what is the installation's own.
    own: BTreeSet<(u64, u64)>,
    /// Files that have several names.
    several_names: BTreeSet<(u64, u64)>,
    listing: Listing,
}

impl Walk<'_> {
    /// A root is followed if it is a link: that is what was meant by naming it.
    fn root(&mut self, root: &Root) -> Result<()> {
        let failed = io_error("look at", &root.disk);
        let mut disk = root.disk.clone();
        if fs::symlink_metadata(&disk).map_err(&failed)?.is_symlink() {
            disk = disk.canonicalize().map_err(&failed)?;
        }
        let meta = fs::symlink_metadata(&disk).map_err(&failed)?;
        let mut open: Vec<(Vec<u8>, PathBuf)> = Vec::new();
        if let Some(folder) = self.add(root.stored.clone(), disk, &meta) {
            open.push(folder);
        }
        while let Some((path, disk)) = open.pop() {
            let names = match names(&disk) {
                Ok(names) => names,
                Err(error) => {
                    self.unreadable(&path, &error);
                    continue;
                }
            };
            for name in &names {
                let inner = child(&path, name);
                let at = disk.join(OsStr::from_bytes(name));
                match fs::symlink_metadata(&at) {
                    Ok(meta) => {
                        if self.is_left_out(&inner, &at, name, &meta) {
                            continue;
                        }
                        open.extend(self.add(inner, at, &meta));
                    }
                    Err(error) => self.unreadable(&inner, &error),
                }
            }
        }
        Ok(())
    }

    fn unreadable(&mut self, path: &[u8], error: &io::Error) {
        let kind = match error.kind() {
            io::ErrorKind::NotFound => NoteKind::Vanished,
            _ => NoteKind::Unreadable,
        };
        self.listing.notes.push(Note::new(path, kind, error.to_string()));
    }

    /// What patterns, and what goes with a database, leave out.
    fn is_left_out(&mut self, path: &[u8], disk: &Path, name: &[u8], meta: &Metadata) -> bool {
        if self.excludes.fits(path, meta.is_dir()) {
            self.listing.excluded += 1;
            return true;
        }
        if meta.is_file() && is_beside_database(disk, name) {
            let detail = "what is committed is in the copy of the database beside it";
            self.listing.notes.push(Note::new(path, NoteKind::InDatabase, detail));
            return true;
        }
        false
    }

    /// Adds one path; a folder is given back, to be looked into.
    fn add(&mut self, path: Vec<u8>, disk: PathBuf, meta: &Metadata) -> Option<(Vec<u8>, PathBuf)> {
        let identity = (meta.dev(), meta.ino());
        if self.own.contains(&identity) {
            let detail = "it belongs to this installation itself";
            self.listing.notes.push(Note::new(&path, NoteKind::Own, detail));
            return None;
        }
        let kind = if meta.is_dir() {
            FoundKind::Folder
        } else if meta.is_symlink() {
            match fs::read_link(&disk) {
                Ok(to) => FoundKind::Link(to.into_os_string().into_vec()),
                Err(error) => {
                    self.unreadable(&path, &error);
                    return None;
                }
            }
        } else if !meta.is_file() {
            let detail = format!("{} is not stored", special(meta));
            self.listing.notes.push(Note::new(&path, NoteKind::Special, detail));
            return None;
        } else {
            if meta.nlink() > 1 {
                self.several_names.insert(identity);
            }
            FoundKind::File
        };
        let inside = meta.is_dir().then(|| (path.clone(), disk.clone()));
        let (mode, uid, gid) = (meta.mode() & 0o7777, meta.uid(), meta.gid());
        self.listing.found.push(Found { path, disk, kind, mode, uid, gid, stat: Stat::of(meta) });
        inside
    }
}

fn names(folder: &Path) -> io::Result<Vec<Vec<u8>>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder)? {
        names.push(entry?.file_name().into_vec());
    }
    names.sort();
    Ok(names)
}

fn is_beside_database(disk: &Path, name: &[u8]) -> bool {
    let base = BESIDE_SQLITE.iter().find_map(|ending| name.strip_suffix(ending.as_bytes()));
    base.filter(|base| !base.is_empty()).is_some_and(|base| {
        let file = disk.with_file_name(OsStr::from_bytes(base));
        let plain = fs::symlink_metadata(&file).is_ok_and(|meta| meta.is_file());
        plain && begins_as_database(&file)
    })
}

fn begins_as_database(file: &Path) -> bool {
    let mut begin = [0; SQLITE.len()];
    let read = File::open(file).and_then(|mut open| open.read_exact(&mut begin));
    read.is_ok() && begin == *SQLITE
}

fn special(meta: &Metadata) -> &'static str {
    let kind = meta.file_type();
    if kind.is_fifo() {
        "a pipe"
    } else if kind.is_socket() {
        "a socket"
    } else if kind.is_block_device() || kind.is_char_device() {
        "a device"
    } else {
        "what is no file"
    }
}
