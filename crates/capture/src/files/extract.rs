//! Bringing a tree back: folders, files, links, then owners, modes and times.

use std::collections::btree_map::Entry as Slot;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{
    DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _, lchown, symlink,
};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, utimensat};

use super::error::{Error, Result, io_error};
use super::path::{below, is_within, order, parts, shown};
use super::tree::{Content, Entry, GroupId, Kind, Tree};

/// The set-user-id and set-group-id bits: they come back only together with the owner.
const SET_ID: u32 = 0o6000;

/// Where contents come from.
pub trait Contents {
    /// Writes a whole group to `into`.
    ///
    /// # Errors
    /// Why it cannot, for people; an error of `into` is given back as it is.
    fn write(&mut self, group: GroupId, into: &mut dyn Write) -> io::Result<()>;
}

/// In which order groups are read best.
pub type Order<'a> = &'a dyn Fn(GroupId) -> u64;

/// What is to come back: numbers of entries.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selected {
    entries: Vec<usize>,
}

impl Selected {
    /// The groups that have to be read.
    #[must_use]
    pub fn groups(&self, tree: &Tree) -> BTreeSet<GroupId> {
        let contents = self.entries.iter().filter_map(|at| content(tree, tree.entries.get(*at)?));
        contents.filter(|one| one.length_bytes > 0).map(|one| one.group).collect()
    }

    /// The entries, in the order of the tree.
    pub fn entries<'t>(&self, tree: &'t Tree) -> impl Iterator<Item = &'t Entry> {
        self.entries.iter().filter_map(|at| tree.entries.get(*at))
    }

    /// How many paths.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether nothing is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

/// What came back.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Extracted {
    /// Files, each name counted.
    pub files: u64,
    /// Folders.
    pub folders: u64,
    /// Symbolic links.
    pub links: u64,
    /// Bytes of files.
    pub bytes: u64,
    /// Whether owners were set: only the system's administrator may.
    pub owners: bool,
}

/// Chooses everything, or the paths named with what lies below them. A relative name is also tried
/// from the folder `base`.
///
/// # Errors
/// [`Error::NoSuchPath`] with the nearest paths there are.
pub fn select(tree: &Tree, only: &[PathBuf], base: &Path) -> Result<Selected> {
    if only.is_empty() {
        return Ok(Selected { entries: (0..tree.entries.len()).collect() });
    }
    let mut chosen = BTreeSet::new();
    for path in only {
        let given = plain(path);
        let names = [given.clone(), plain(&base.join(path))];
        let within = |entry: &Entry, name: &[u8]| {
            let same_root = entry.path.starts_with(b"/") == name.starts_with(b"/");
            same_root && is_within(&entry.path, name)
        };
        let fitting = names.iter().find_map(|name| {
            let fit = |at: &usize| within(&tree.entries[*at], name);
            let all: Vec<usize> = (0..tree.entries.len()).filter(fit).collect();
            (!name.is_empty() && !all.is_empty()).then_some(all)
        });
        match fitting {
            Some(fitting) => chosen.extend(fitting),
            None => {
                let path = shown(path.as_os_str().as_bytes());
                return Err(Error::NoSuchPath { path, nearest: nearest(tree, &given) });
            }
        }
    }
    Ok(Selected { entries: chosen.into_iter().collect() })
}

/// A path without `.` and doubled slashes.
fn plain(path: &Path) -> Vec<u8> {
    let path = path.as_os_str().as_bytes();
    let named: Vec<&[u8]> = parts(path).filter(|part| *part != b".").collect();
    let mut plain = named.join(&b'/');
    if path.starts_with(b"/") {
        plain.insert(0, b'/');
    }
    plain
}

/// Three paths that look like it.
fn nearest(tree: &Tree, wanted: &[u8]) -> String {
    let name = |path: &[u8]| parts(path).last().unwrap_or_default().to_vec();
    let last = name(wanted);
    let common = |path: &[u8]| parts(path).zip(parts(wanted)).take_while(|(a, b)| a == b).count();
    let mut scored: Vec<(usize, usize, &[u8])> = tree
        .entries
        .iter()
        .map(|entry| (distance(&name(&entry.path), &last), common(&entry.path), &*entry.path))
        .collect();
    scored.sort_by(|one, other| {
        let by_name = one.0.cmp(&other.0);
        by_name.then(other.1.cmp(&one.1)).then_with(|| order(one.2, other.2))
    });
    scored.iter().take(3).map(|(_, _, path)| shown(path)).collect::<Vec<_>>().join(", ")
}

/// Levenshtein's distance, of names cut to 64 bytes.
fn distance(one: &[u8], other: &[u8]) -> usize {
    let (one, other) = (&one[..one.len().min(64)], &other[..other.len().min(64)]);
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (at, byte) in one.iter().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], at + 1);
        for (to, against) in other.iter().enumerate() {
            let cost = diagonal + usize::from(byte != against);
            diagonal = row[to + 1];
            row[to + 1] = cost.min(diagonal + 1).min(row[to] + 1);
        }
    }
    row[other.len()]
}

fn content(tree: &Tree, entry: &Entry) -> Option<Content> {
    match &entry.kind {
        Kind::File(content) => Some(*content),
        Kind::SameAs(first) => match tree.find(first)?.kind {
            Kind::File(content) => Some(content),
            _ => None,
        },
        Kind::Folder | Kind::Link(_) => None,
    }
}

/// Refuses a folder that holds something.
///
/// # Errors
/// [`Error::NotEmpty`], [`Error::Io`].
pub fn refuse_occupied(to: &Path) -> Result<()> {
    match fs::read_dir(to) {
        Ok(mut entries) => match entries.next() {
            None => Ok(()),
            Some(_) => Err(Error::NotEmpty { path: to.to_path_buf() }),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(io_error("look into", to)(error)),
    }
}

/// Brings back what was selected into `to`, which is new or empty. Each content is compared with
/// its hash while it is written. Links are made last, so that nothing is ever written through one.
///
/// # Errors
/// [`Error::NotEmpty`]; [`Error::Mismatch`], [`Error::Content`] and [`Error::Io`], after which what
/// was written has to be thrown away.
pub fn extract(
    tree: &Tree,
    selected: &Selected,
    to: &Path,
    order: Order<'_>,
    contents: &mut dyn Contents,
) -> Result<Extracted> {
    refuse_occupied(to)?;
    make_folder(to)?;
    let chosen: Vec<&Entry> =
        selected.entries.iter().filter_map(|at| tree.entries.get(*at)).collect();
    let mut run =
        Run { to, owners: rustix::process::geteuid().is_root(), done: Extracted::default() };
    run.done.owners = run.owners;
    for entry in &chosen {
        if entry.kind == Kind::Folder {
            make_folder(&below(to, &entry.path))?;
            run.done.folders += 1;
        }
    }
    run.files(tree, &chosen, order, contents)?;
    run.links(&chosen)?;
    // From the inside out: writing into a folder changes its time.
    for entry in chosen.iter().rev().filter(|entry| entry.kind == Kind::Folder) {
        run.dress(entry)?;
    }
    File::open(to)
        .and_then(|open| rustix::fs::syncfs(&open).map_err(io::Error::from))
        .map_err(io_error("make durable", to))?;
    Ok(run.done)
}

struct Run<'a> {
    to: &'a Path,
    owners: bool,
    done: Extracted,
}

/// A file that is to be cut out of a group.
struct Piece<'a> {
    entry: &'a Entry,
    content: Content,
}

impl Run<'_> {
    fn files(
        &mut self,
        tree: &Tree,
        chosen: &[&Entry],
        order: Order<'_>,
        contents: &mut dyn Contents,
    ) -> Result<()> {
        // The name under which each content comes back; its other names are linked to that.
        let mut leaders: BTreeMap<&[u8], &[u8]> = BTreeMap::new();
        let mut pieces: Vec<Piece<'_>> = Vec::new();
        let mut same: Vec<(&Entry, &[u8])> = Vec::new();
        for entry in chosen {
            let first = match &entry.kind {
                Kind::SameAs(first) => first.as_slice(),
                _ => entry.path.as_slice(),
            };
            let Some(content) = content(tree, entry) else {
                continue;
            };
            match leaders.entry(first) {
                Slot::Occupied(leader) => same.push((entry, leader.get())),
                Slot::Vacant(slot) => {
                    slot.insert(&entry.path);
                    pieces.push(Piece { entry, content });
                }
            }
        }
        pieces.sort_by_key(|piece| {
            let Content { group, offset_bytes, length_bytes, .. } = piece.content;
            (length_bytes > 0, order(group), group, offset_bytes)
        });
        let empty = pieces.iter().filter(|piece| piece.content.length_bytes == 0).count();
        for piece in &pieces[..empty] {
            self.create(piece.entry)?;
            self.dress(piece.entry)?;
        }
        for group in pieces[empty..].chunk_by(|one, other| one.content.group == other.content.group)
        {
            self.group(group, contents)?;
        }
        for (entry, first) in same {
            let (from, path) = (below(self.to, first), below(self.to, &entry.path));
            self.parent(&path)?;
            fs::hard_link(&from, &path).map_err(io_error("link", &path))?;
            self.done.files += 1;
        }
        Ok(())
    }

    /// Reads one group and cuts its files out of it.
    fn group(&mut self, pieces: &[Piece<'_>], contents: &mut dyn Contents) -> Result<()> {
        let Some(first) = pieces.first() else {
            return Ok(());
        };
        let mut cutter =
            Cutter { run: self, pieces: pieces.iter(), open: None, at: 0, error: None };
        let written = contents.write(first.content.group, &mut cutter);
        if let Some(error) = cutter.error.take() {
            return Err(error);
        }
        let path = shown(&first.entry.path);
        written.map_err(|error| Error::Content { path, detail: error.to_string() })?;
        cutter.finish()
    }

    fn create(&mut self, entry: &Entry) -> Result<File> {
        let path = below(self.to, &entry.path);
        self.parent(&path)?;
        self.done.files += 1;
        let mut open = OpenOptions::new();
        open.write(true).create_new(true).mode(0o600);
        open.open(&path).map_err(io_error("create", &path))
    }

    /// Folders above what was named are not in the tree.
    fn parent(&self, path: &Path) -> Result<()> {
        match path.parent() {
            Some(parent) if !parent.is_dir() => make_folder(parent),
            _ => Ok(()),
        }
    }

    fn links(&mut self, chosen: &[&Entry]) -> Result<()> {
        for entry in chosen {
            let Kind::Link(to) = &entry.kind else {
                continue;
            };
            let path = below(self.to, &entry.path);
            self.parent(&path)?;
            symlink(OsStr::from_bytes(to), &path).map_err(io_error("link", &path))?;
            self.done.links += 1;
            self.dress(entry)?;
        }
        Ok(())
    }

    /// Owner, mode and time, in this order: changing the owner clears bits of the mode.
    fn dress(&self, entry: &Entry) -> Result<()> {
        let path = below(self.to, &entry.path);
        let failed = io_error("set owner, mode or time of", &path);
        let mut mode = entry.mode;
        if self.owners {
            lchown(&path, Some(entry.uid), Some(entry.gid)).map_err(&failed)?;
        } else {
            mode &= !SET_ID;
        }
        if !matches!(entry.kind, Kind::Link(_)) {
            fs::set_permissions(&path, Permissions::from_mode(mode)).map_err(&failed)?;
        }
        let time = Timespec {
            tv_sec: entry.mtime_ns.div_euclid(1_000_000_000),
            tv_nsec: entry.mtime_ns.rem_euclid(1_000_000_000),
        };
        let times = Timestamps { last_access: time, last_modification: time };
        utimensat(CWD, &path, &times, AtFlags::SYMLINK_NOFOLLOW)
            .map_err(|error| failed(error.into()))
    }
}

fn make_folder(path: &Path) -> Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true).mode(0o700).create(path).map_err(io_error("make the folder", path))
}

/// Takes a group's bytes and writes each to the file that it belongs to.
struct Cutter<'r, 'a, 'p> {
    run: &'r mut Run<'a>,
    pieces: std::slice::Iter<'p, Piece<'p>>,
    open: Option<(&'p Piece<'p>, File, blake3::Hasher, u64)>,
    /// Offset in the group.
    at: u64,
    error: Option<Error>,
}

impl Cutter<'_, '_, '_> {
    fn take(&mut self, bytes: &[u8]) -> Result<()> {
        let mut rest = bytes;
        loop {
            if self.open.is_none() {
                let Some(piece) = self.pieces.as_slice().first() else {
                    break;
                };
                let begin = piece.content.offset_bytes;
                let skip = begin.saturating_sub(self.at).min(rest.len() as u64);
                self.at += skip;
                rest = &rest[usize::try_from(skip).unwrap_or(rest.len())..];
                if self.at != begin || rest.is_empty() {
                    break;
                }
                self.pieces.next();
                let file = self.run.create(piece.entry)?;
                self.open = Some((piece, file, blake3::Hasher::new(), 0));
            }
            let Some((piece, file, hasher, written)) = &mut self.open else {
                break;
            };
            let missing = piece.content.length_bytes - *written;
            let count = usize::try_from(missing).unwrap_or(usize::MAX).min(rest.len());
            let path = below(self.run.to, &piece.entry.path);
            file.write_all(&rest[..count]).map_err(io_error("write", &path))?;
            hasher.update(&rest[..count]);
            *written += count as u64;
            self.at += count as u64;
            rest = &rest[count..];
            if *written == piece.content.length_bytes {
                self.close()?;
            } else if rest.is_empty() {
                break;
            }
        }
        self.at += rest.len() as u64;
        Ok(())
    }

    fn close(&mut self) -> Result<()> {
        let Some((piece, _, hasher, written)) = self.open.take() else {
            return Ok(());
        };
        let right = *hasher.finalize().as_bytes() == piece.content.hash;
        if !right || written != piece.content.length_bytes {
            return Err(Error::Mismatch { path: shown(&piece.entry.path) });
        }
        self.run.done.bytes += written;
        self.run.dress(piece.entry)
    }

    /// Every piece has to have been there whole.
    fn finish(mut self) -> Result<()> {
        self.close()?;
        match self.pieces.next() {
            Some(piece) => Err(Error::Mismatch { path: shown(&piece.entry.path) }),
            None => Ok(()),
        }
    }
}

impl Write for Cutter<'_, '_, '_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.take(bytes) {
            Ok(()) => Ok(bytes.len()),
            Err(error) => {
                let shown = io::Error::other(error.to_string());
                self.error = Some(error);
                Err(shown)
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
