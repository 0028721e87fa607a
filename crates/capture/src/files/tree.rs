//! The tree: every path of a recovery point with what it was.

use std::collections::BTreeMap;

use evenkeel_types::{Canonical, DecodeError, Reader, Writer};

use super::note::Note;
use super::path::{PATH_BYTES_MAX, below, fault, is_within, order};

const MAGIC: &[u8; 4] = b"EVKF";
const VERSION: u8 = 1;
const TAG_BYTES_MAX: usize = 256;
const MODE_MAX: u32 = 0o7777;

/// Names a group of files whose contents are stored one behind the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct GroupId(pub [u8; 8]);

impl std::fmt::Display for GroupId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// What is in a file, and where that is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Content {
    /// Its length.
    pub length_bytes: u64,
    /// BLAKE3 of it.
    pub hash: [u8; 32],
    /// The group that holds it; meaningless if it is empty.
    pub group: GroupId,
    /// Where it begins in the group.
    pub offset_bytes: u64,
    /// Whether it is a consistent copy of an SQLite database rather than the file's own bytes.
    pub database: bool,
}

/// What a path is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A folder.
    Folder,
    /// A file.
    File(Content),
    /// A symbolic link, with the bytes it points to.
    Link(Vec<u8>),
    /// Another name of a file that stands earlier in the tree.
    SameAs(Vec<u8>),
}

/// One path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// As it was given, or found below what was given.
    pub path: Vec<u8>,
    /// What it is.
    pub kind: Kind,
    /// Permissions and the set-id and sticky bits.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group of the owner.
    pub gid: u32,
    /// Last change of its content: nanoseconds since 1970 UTC.
    pub mtime_ns: i64,
}

impl Entry {
    /// Where it comes back below a folder.
    #[must_use]
    pub fn below(&self, folder: &std::path::Path) -> std::path::PathBuf {
        below(folder, &self.path)
    }

    /// Length of its content; 0 for what has none of its own.
    #[must_use]
    pub fn length_bytes(&self) -> u64 {
        match &self.kind {
            Kind::File(content) => content.length_bytes,
            _ => 0,
        }
    }
}

/// A tree. Its entries are in the order of their components, a folder before what is in it; none
/// lies below something that is no folder, so that nothing brought back can leave its folder.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tree {
    /// When it was begun: nanoseconds since 1970 UTC.
    pub time_ns: u64,
    /// What its maker called it.
    pub tag: String,
    /// What was named.
    pub roots: Vec<Vec<u8>>,
    /// The paths.
    pub entries: Vec<Entry>,
    /// What is not in it, or not as it was.
    pub notes: Vec<Note>,
}

impl Tree {
    /// The entry of a path.
    #[must_use]
    pub fn find(&self, path: &[u8]) -> Option<&Entry> {
        let at = self.entries.binary_search_by(|entry| order(&entry.path, path)).ok()?;
        self.entries.get(at)
    }

    /// Bytes of all contents.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.entries.iter().map(Entry::length_bytes).sum()
    }

    /// Files (each name counted) and folders.
    #[must_use]
    pub fn counts(&self) -> (u64, u64) {
        let folders = self.entries.iter().filter(|entry| entry.kind == Kind::Folder).count();
        let links = self.entries.iter().filter(|one| matches!(one.kind, Kind::Link(_))).count();
        ((self.entries.len() - folders - links) as u64, folders as u64)
    }

    /// Files by the group that holds their content, each group's by offset.
    #[must_use]
    pub fn by_group(&self) -> BTreeMap<GroupId, Vec<(&Entry, Content)>> {
        let mut groups: BTreeMap<GroupId, Vec<(&Entry, Content)>> = BTreeMap::new();
        for entry in &self.entries {
            if let Kind::File(content) = entry.kind
                && content.length_bytes > 0
            {
                groups.entry(content.group).or_default().push((entry, content));
            }
        }
        for files in groups.values_mut() {
            files.sort_by_key(|(_, content)| content.offset_bytes);
        }
        groups
    }

    /// What no honest maker writes.
    fn fault(&self) -> Option<&'static str> {
        let mut above: Vec<&Entry> = Vec::new();
        let mut last: Option<&Entry> = None;
        for entry in &self.entries {
            if last.is_some_and(|last| order(&last.path, &entry.path).is_ge()) {
                return Some("paths out of order");
            }
            while above.last().is_some_and(|one| !is_within(&entry.path, &one.path)) {
                above.pop();
            }
            if above.last().is_some_and(|one| one.kind != Kind::Folder) {
                return Some("a path below something that is no folder");
            }
            if let Kind::SameAs(first) = &entry.kind {
                let is_file = |one: &Entry| matches!(one.kind, Kind::File(_));
                let earlier = order(first, &entry.path).is_lt();
                if !earlier || !self.find(first).is_some_and(is_file) {
                    return Some("another name of something that is no earlier file");
                }
            }
            above.push(entry);
            last = Some(entry);
        }
        None
    }
}

impl Canonical for Content {
    fn encode(&self, writer: &mut Writer) {
        writer.u64(self.length_bytes);
        if self.length_bytes > 0 {
            writer.fixed(&self.hash);
            writer.fixed(&self.group.0);
            writer.u64(self.offset_bytes);
            writer.u8(u8::from(self.database));
        }
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let length_bytes = reader.u64()?;
        if length_bytes == 0 {
            return Ok(Self::EMPTY);
        }
        let (hash, group) = (reader.array()?, GroupId(reader.array()?));
        let offset_bytes = reader.u64()?;
        let database = match reader.u8()? {
            0 => false,
            1 => true,
            _ => return Err(reader.not_canonical("neither a database nor none")),
        };
        if offset_bytes.checked_add(length_bytes).is_none() {
            return Err(reader.not_canonical("a content beyond every end"));
        }
        Ok(Self { length_bytes, hash, group, offset_bytes, database })
    }
}

impl Content {
    /// Nothing.
    pub(super) const EMPTY: Self = Self {
        length_bytes: 0,
        // BLAKE3 of nothing.
        hash: [
            0xaf, 0x13, 0x49, 0xb9, 0xf5, 0xf9, 0xa1, 0xa6, 0xa0, 0x40, 0x4d, 0xea, 0x36, 0xdc,
            0xc9, 0x49, 0x9b, 0xcb, 0x25, 0xc9, 0xad, 0xc1, 0x12, 0xb7, 0xcc, 0x9a, 0x93, 0xca,
            0xe4, 0x1f, 0x32, 0x62,
        ],
        group: GroupId([0; 8]),
        offset_bytes: 0,
        database: false,
    };
}

impl Canonical for Entry {
    fn encode(&self, writer: &mut Writer) {
        writer.bytes(&self.path);
        match &self.kind {
            Kind::Folder => writer.u8(0),
            Kind::File(content) => {
                writer.u8(1);
                content.encode(writer);
            }
            Kind::Link(to) => {
                writer.u8(2);
                writer.bytes(to);
            }
            Kind::SameAs(path) => {
                writer.u8(3);
                writer.bytes(path);
            }
        }
        writer.u64(self.mode.into());
        writer.u64(self.uid.into());
        writer.u64(self.gid.into());
        writer.i64(self.mtime_ns);
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let path = stored_path(reader)?;
        let kind = match reader.u8()? {
            0 => Kind::Folder,
            1 => Kind::File(Content::decode(reader)?),
            2 => {
                let to = reader.bytes(PATH_BYTES_MAX)?.to_vec();
                if to.is_empty() || to.contains(&0) {
                    return Err(reader.not_canonical("a link to nothing"));
                }
                Kind::Link(to)
            }
            3 => Kind::SameAs(stored_path(reader)?),
            tag => return Err(reader.unknown_tag("kind of path", tag.into())),
        };
        let mode = u32::decode(reader)?;
        if mode > MODE_MAX {
            return Err(reader.not_canonical("more than permissions"));
        }
        let (uid, gid) = (u32::decode(reader)?, u32::decode(reader)?);
        Ok(Self { path, kind, mode, uid, gid, mtime_ns: reader.i64()? })
    }
}

fn stored_path(reader: &mut Reader<'_>) -> Result<Vec<u8>, DecodeError> {
    let path = reader.bytes(PATH_BYTES_MAX)?.to_vec();
    match fault(&path) {
        Some(fault) => Err(reader.not_canonical(fault)),
        None => Ok(path),
    }
}

impl Canonical for Tree {
    fn encode(&self, writer: &mut Writer) {
        writer.fixed(MAGIC);
        writer.u8(VERSION);
        writer.u64(self.time_ns);
        writer.bytes(self.tag.as_bytes());
        writer.u64(self.roots.len() as u64);
        for root in &self.roots {
            writer.bytes(root);
        }
        writer.sequence(self.entries.iter());
        writer.sequence(self.notes.iter());
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        if reader.fixed(MAGIC.len())? != MAGIC {
            return Err(reader.not_canonical("not a tree of files"));
        }
        match reader.u8()? {
            VERSION => {}
            other => return Err(reader.unknown_tag("version of the tree", other.into())),
        }
        let time_ns = reader.u64()?;
        let tag = reader.bytes(TAG_BYTES_MAX)?.to_vec();
        let tag = String::from_utf8(tag).map_err(|_| reader.not_canonical("not UTF-8"))?;
        let count = reader.count()?;
        let mut roots = Vec::with_capacity(count.min(4096));
        for _ in 0..count {
            roots.push(stored_path(reader)?);
        }
        let (entries, notes) = (reader.sequence()?, reader.sequence()?);
        let tree = Self { time_ns, tag, roots, entries, notes };
        match tree.fault() {
            Some(fault) => Err(reader.not_canonical(fault)),
            None => Ok(tree),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::note::NoteKind;
    use super::*;
    use proptest::prelude::*;

    fn entry(path: &str, kind: Kind) -> Entry {
        let path = path.as_bytes().to_vec();
        Entry { path, kind, mode: 0o644, uid: 1, gid: 2, mtime_ns: -7 }
    }

    fn file(length_bytes: u64) -> Kind {
        let (hash, group) = ([3; 32], GroupId([4; 8]));
        Kind::File(Content { length_bytes, hash, group, offset_bytes: 9, database: true })
    }

    fn tree(entries: Vec<Entry>) -> Tree {
        Tree {
            time_ns: 5,
            tag: "before the upgrade".to_owned(),
            roots: vec![b"/d".to_vec()],
            entries,
            notes: vec![Note::new(b"/d/pipe", NoteKind::Special, "a pipe")],
        }
    }

    #[test]
    fn a_tree_reads_back_byte_for_byte() {
        let tree = tree(vec![
            entry("/d", Kind::Folder),
            entry("/d/a", file(7)),
            entry("/d/b", Kind::SameAs(b"/d/a".to_vec())),
            entry("/d/c", Kind::Link(b"../../x".to_vec())),
            entry("/d/e", Kind::File(Content::EMPTY)),
        ]);
        let bytes = tree.to_bytes();
        assert_eq!(Tree::from_bytes(&bytes), Ok(tree.clone()));
        assert_eq!(tree.find(b"/d/b").unwrap().kind, Kind::SameAs(b"/d/a".to_vec()));
        assert_eq!((tree.bytes(), tree.counts()), (7, (3, 1)));
        assert_eq!(Content::EMPTY.hash, *blake3::hash(b"").as_bytes());
    }

    #[test]
    fn the_bytes_of_version_1_stay_as_they_are() {
        let tree = tree(vec![entry("/d", Kind::Folder), entry("/d/a", file(7))]);
        let hash = blake3::hash(&tree.to_bytes()).to_hex();
        assert_eq!(tree.to_bytes().len(), 110);
        assert_eq!(&hash[..16], "c13a987c76571191");
    }

    #[test]
    fn a_hostile_tree_is_refused_whatever_it_tries() {
        let link = || Kind::Link(b"/etc".to_vec());
        let same = |path: &str| Kind::SameAs(path.as_bytes().to_vec());
        for (why, entries) in [
            ("below a link", vec![entry("d", link()), entry("d/x", file(1))]),
            ("below a link, seen from the root", vec![entry("d", link()), entry("/d/x", file(1))]),
            ("below a file", vec![entry("d", file(1)), entry("d/x/y", file(1))]),
            ("twice", vec![entry("d", Kind::Folder), entry("d", link())]),
            ("twice in one place", vec![entry("d", Kind::Folder), entry("/d", link())]),
            ("out of order", vec![entry("b", file(1)), entry("a", file(1))]),
            ("up", vec![entry("../x", file(1))]),
            ("up in the middle", vec![entry("a/../../x", file(1))]),
            ("nothing", vec![entry("", file(1))]),
            ("a zero byte", vec![entry("a\0b", file(1))]),
            ("same as nothing", vec![entry("a", same("b"))]),
            ("same as a link", vec![entry("a", link()), entry("b", same("a"))]),
            ("same as a later file", vec![entry("a", same("b")), entry("b", file(1))]),
            ("same as what is outside", vec![entry("a", same("/etc/passwd"))]),
        ] {
            assert!(Tree::from_bytes(&tree(entries).to_bytes()).is_err(), "{why}");
        }
    }

    proptest! {
        #[test]
        fn garbage_is_an_error_and_never_a_panic(
            bytes in proptest::collection::vec(any::<u8>(), 0..300),
        ) {
            let mut framed = b"EVKF\x01".to_vec();
            framed.extend(&bytes);
            if let Ok(tree) = Tree::from_bytes(&framed) {
                prop_assert_eq!(tree.to_bytes(), framed);
            }
        }
    }
}
