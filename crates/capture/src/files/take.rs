//! From a listing to a tree: what changed is read into a store, what did not is referred to.

use std::collections::BTreeSet;
use std::io::Read;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use super::group::{Group, groups};
use super::known::{Known, KnownFile, KnownGroup};
use super::list::{Found, FoundKind, Listing};
use super::note::{Note, NoteKind};
use super::path::is_within;
use super::read::{GroupReader, WasRead};
use super::tree::{Content, Entry, GroupId, Kind, Tree};

/// A file counts as untouched if its times are the same and lay this far back when it was read: on
/// a file system with coarse times a later change may show none.
const SETTLED_AFTER_NS: i64 = 2_000_000_000;

/// Where contents go.
pub trait Store {
    /// What it fails with.
    type Error;

    /// Refers again to what an earlier point stored; false if that cannot be, and nothing was done.
    ///
    /// # Errors
    /// Whatever ends the whole point.
    fn again(&mut self, name: &str, sealed: &[u8]) -> Result<bool, Self::Error>;

    /// Stores a stream to its end.
    ///
    /// # Errors
    /// Whatever ends the whole point.
    fn read(&mut self, name: &str, source: &mut dyn Read) -> Result<Stored, Self::Error>;
}

/// A stream in a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// What [`Store::again`] needs.
    pub sealed: Vec<u8>,
    /// BLAKE3 of the stream.
    pub hash: [u8; 32],
}

/// How far it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// Files done.
    pub files: u64,
    /// Bytes of these files, read or not.
    pub bytes: u64,
    /// Bytes read.
    pub bytes_read: u64,
}

/// What was new.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Files with the content they had before.
    pub unchanged: u64,
    /// Files with another content than before.
    pub changed: u64,
    /// Files that were not there before, or of which nothing is known.
    pub new: u64,
    /// Bytes read from files.
    pub bytes_read: u64,
}

/// A tree that was taken.
#[derive(Debug)]
pub struct Taken {
    /// The tree.
    pub tree: Tree,
    /// For the next time.
    pub known: Known,
    /// What was new.
    pub counts: Counts,
}

/// When, and how it is called.
#[derive(Debug, Clone, Default)]
pub struct Moment {
    /// When listing began: nanoseconds since 1970 UTC.
    pub time_ns: u64,
    /// What the point is called; at most 256 bytes are kept.
    pub tag: String,
}

/// Reads what a listing found into a store. `scratch` is a private folder for copies of databases;
/// `each` hears how far it is.
///
/// # Errors
/// What the store says; files that cannot be read are notes of the tree.
pub fn take<S: Store>(
    listing: Listing,
    known: &Known,
    moment: Moment,
    scratch: &Path,
    store: &mut S,
    each: &mut dyn FnMut(Progress),
) -> Result<Taken, S::Error> {
    let groups = groups(&listing);
    let Listing { found, roots, notes, .. } = listing;
    let mut run = Run {
        contents: vec![None; found.len()],
        found: &found,
        known,
        moment: &moment,
        next: Known::default(),
        counts: Counts::default(),
        progress: Progress::default(),
        notes,
    };
    for group in &groups {
        if !run.again(group, store)? {
            run.read(group, scratch, store, each)?;
        }
        each(run.progress);
    }
    let Run { contents, mut next, counts, mut notes, .. } = run;
    let entries = entries(&found, &contents, &mut notes);
    keep_others(
        known,
        &roots.iter().map(|root| root.disk.as_path()).collect::<Vec<_>>(),
        &mut next,
    );
    let mut tag = moment.tag;
    while tag.len() > 256 {
        tag.pop();
    }
    notes.sort();
    let roots = roots.into_iter().map(|root| root.stored).collect();
    let tree = Tree { time_ns: moment.time_ns, tag, roots, entries, notes };
    Ok(Taken { tree, known: next, counts })
}

struct Run<'a> {
    found: &'a [Found],
    known: &'a Known,
    moment: &'a Moment,
    /// By number in the listing.
    contents: Vec<Option<Content>>,
    next: Known,
    counts: Counts,
    progress: Progress,
    notes: Vec<Note>,
}

impl Run<'_> {
    /// Refers to a group none of whose files was touched.
    fn again<S: Store>(&mut self, group: &Group, store: &mut S) -> Result<bool, S::Error> {
        let members = members(self.found, group);
        let before = self.known.groups.get(&group.id).filter(|one| one.members == members);
        let Some(before) = before else {
            return Ok(false);
        };
        let known: Option<Vec<&KnownFile>> =
            group.members.iter().map(|at| self.known.untouched(&self.found[*at])).collect();
        let Some(known) = known else {
            return Ok(false);
        };
        // Nothing is stored of files that are all empty.
        let bytes: u64 = known.iter().map(|one| one.length_bytes).sum();
        if bytes > 0 && !store.again(&group.id.to_string(), &before.sealed)? {
            return Ok(false);
        }
        for (at, known) in group.members.iter().zip(known) {
            self.contents[*at] = Some(content(group.id, known));
            self.next.files.insert(key(&self.found[*at]), known.clone());
            self.counts.unchanged += 1;
        }
        self.next.groups.insert(group.id, before.clone());
        self.progress.files += group.members.len() as u64;
        self.progress.bytes += bytes;
        Ok(true)
    }

    /// Where the first file of a group is.
    fn first(&self, group: &Group) -> Vec<u8> {
        group.members.first().map(|at| key(&self.found[*at])).unwrap_or_default()
    }

    fn read<S: Store>(
        &mut self,
        group: &Group,
        scratch: &Path,
        store: &mut S,
        each: &mut dyn FnMut(Progress),
    ) -> Result<(), S::Error> {
        let mut progress = self.progress;
        let mut note = |bytes: u64| {
            progress.bytes += bytes;
            progress.bytes_read += bytes;
            each(progress);
        };
        let mut reader = GroupReader::new(self.found, &group.members, scratch, &mut note);
        let stored = store.read(&group.id.to_string(), &mut reader)?;
        let read = reader.finish(stored.hash);
        self.progress = Progress { files: progress.files + read.len() as u64, ..progress };
        self.counts.bytes_read = self.progress.bytes_read;
        let whole = read.iter().all(|one| one.trouble.is_none());
        for one in read {
            self.keep(group.id, one);
        }
        if whole {
            let members = members(self.found, group);
            self.next.groups.insert(
                group.id,
                KnownGroup { first: self.first(group), members, sealed: stored.sealed },
            );
        }
        Ok(())
    }

    fn keep(&mut self, group: GroupId, read: WasRead) {
        let found = &self.found[read.at];
        let lost = read
            .trouble
            .as_ref()
            .is_some_and(|(kind, _)| matches!(kind, NoteKind::Unreadable | NoteKind::Vanished));
        let changed = read.trouble.is_some();
        if let Some((kind, detail)) = read.trouble {
            self.notes.push(Note::new(&found.path, kind, detail));
        }
        if lost {
            return;
        }
        let newest = read.stat.mtime_ns.max(read.stat.ctime_ns);
        let now = i64::try_from(self.moment.time_ns).unwrap_or(i64::MAX);
        let beside_newest =
            read.beside.iter().flatten().map(|stat| stat.mtime_ns.max(stat.ctime_ns));
        let newest = beside_newest.max().map_or(newest, |one| one.max(newest));
        let known = KnownFile {
            stat: read.stat,
            beside: read.beside,
            settled: !changed && newest.saturating_add(SETTLED_AFTER_NS) < now,
            length_bytes: read.length_bytes,
            hash: read.hash,
            offset_bytes: read.offset_bytes,
            database: read.database,
        };
        match self.known.files.get(&key(found)) {
            Some(before) if before.hash == known.hash => self.counts.unchanged += 1,
            Some(_) => self.counts.changed += 1,
            None => self.counts.new += 1,
        }
        self.contents[read.at] = Some(content(group, &known));
        self.next.files.insert(key(found), known);
    }
}

fn content(group: GroupId, known: &KnownFile) -> Content {
    if known.length_bytes == 0 {
        return Content::EMPTY;
    }
    Content {
        length_bytes: known.length_bytes,
        hash: known.hash,
        group,
        offset_bytes: known.offset_bytes,
        database: known.database,
    }
}

fn key(found: &Found) -> Vec<u8> {
    found.disk.as_os_str().as_bytes().to_vec()
}

/// Which files a group holds, in order.
fn members(found: &[Found], group: &Group) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    for at in &group.members {
        let path = found[*at].disk.as_os_str().as_bytes();
        hasher.update(&(path.len() as u64).to_le_bytes()).update(path);
    }
    *hasher.finalize().as_bytes()
}

fn entries(found: &[Found], contents: &[Option<Content>], notes: &mut Vec<Note>) -> Vec<Entry> {
    let mut entries = Vec::with_capacity(found.len());
    let mut files: BTreeSet<&[u8]> = BTreeSet::new();
    for (found, content) in found.iter().zip(contents) {
        let kind = match (&found.kind, content) {
            (FoundKind::Folder, _) => Kind::Folder,
            (FoundKind::Link(to), _) => Kind::Link(to.clone()),
            (FoundKind::File, Some(content)) => {
                files.insert(&found.path);
                Kind::File(*content)
            }
            // Its note says why.
            (FoundKind::File, None) => continue,
            (FoundKind::SameAs(first), _) if files.contains(first.as_slice()) => {
                Kind::SameAs(first.clone())
            }
            (FoundKind::SameAs(_), _) => {
                let detail = "another name of a file that could not be read";
                notes.push(Note::new(&found.path, NoteKind::Unreadable, detail));
                continue;
            }
        };
        entries.push(Entry {
            path: found.path.clone(),
            kind,
            mode: found.mode,
            uid: found.uid,
            gid: found.gid,
            mtime_ns: found.stat.mtime_ns,
        });
    }
    entries
}

/// What is known of files that this point is not about stays known.
fn keep_others(before: &Known, roots: &[&Path], next: &mut Known) {
    let inside =
        |path: &[u8]| roots.iter().any(|root| is_within(path, root.as_os_str().as_bytes()));
    for (path, file) in before.files.iter().filter(|(path, _)| !inside(path)) {
        next.files.entry(path.clone()).or_insert_with(|| file.clone());
    }
    for (id, group) in before.groups.iter().filter(|(_, group)| !inside(&group.first)) {
        next.groups.entry(*id).or_insert_with(|| group.clone());
    }
}
