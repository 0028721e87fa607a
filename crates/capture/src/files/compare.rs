//! What two trees differ in.

use std::cmp::Ordering;

use super::path::order;
use super::tree::{Content, Entry, Kind, Tree};

/// How a path differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It is only in the second.
    Added,
    /// It is only in the first.
    Removed,
    /// It has another content, or is something else.
    Content,
    /// Only its mode, owner or time differ.
    Metadata,
}

impl Change {
    /// Its stable name, snake case.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Removed => "removed",
            Self::Content => "content",
            Self::Metadata => "metadata",
        }
    }
}

/// One path that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference<'a> {
    /// How.
    pub change: Change,
    /// The path.
    pub path: &'a [u8],
    /// What it was.
    pub before: Option<&'a Entry>,
    /// What it is.
    pub after: Option<&'a Entry>,
}

/// Compares two trees, in the order of their paths.
#[must_use]
pub fn compare<'a>(before: &'a Tree, after: &'a Tree) -> Vec<Difference<'a>> {
    let mut differences = Vec::new();
    let (mut olds, mut news) = (before.entries.iter().peekable(), after.entries.iter().peekable());
    loop {
        let turn = match (olds.peek(), news.peek()) {
            (None, None) => return differences,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(old), Some(new)) => {
                order(&old.path, &new.path).then_with(|| old.path.cmp(&new.path))
            }
        };
        let old = if turn.is_le() { olds.next() } else { None };
        let new = if turn.is_ge() { news.next() } else { None };
        let change = match (old, new) {
            (Some(_), None) => Some(Change::Removed),
            (None, Some(_)) => Some(Change::Added),
            (Some(old), Some(new)) => difference(old, new),
            (None, None) => None,
        };
        let path = old.or(new).map(|entry| entry.path.as_slice()).unwrap_or_default();
        differences.extend(change.map(|change| Difference {
            change,
            path,
            before: old,
            after: new,
        }));
    }
}

fn difference(old: &Entry, new: &Entry) -> Option<Change> {
    let same = match (&old.kind, &new.kind) {
        // Where a content is stored is no property of the file.
        (Kind::File(old), Kind::File(new)) => content(old) == content(new),
        (old, new) => old == new,
    };
    let dress = |entry: &Entry| (entry.mode, entry.uid, entry.gid, entry.mtime_ns);
    match (same, dress(old) == dress(new)) {
        (false, _) => Some(Change::Content),
        (true, false) => Some(Change::Metadata),
        (true, true) => None,
    }
}

fn content(content: &Content) -> (u64, [u8; 32]) {
    (content.length_bytes, content.hash)
}

#[cfg(test)]
mod tests {
    use super::super::tree::GroupId;
    use super::*;

    fn file(path: &str, hash: u8, group: u8) -> Entry {
        let content = Content {
            length_bytes: 1,
            hash: [hash; 32],
            group: GroupId([group; 8]),
            offset_bytes: 0,
            database: false,
        };
        let path = path.as_bytes().to_vec();
        Entry { path, kind: Kind::File(content), mode: 0o600, uid: 0, gid: 0, mtime_ns: 0 }
    }

    #[test]
    fn each_kind_of_difference_is_found_once_and_a_new_place_is_none() {
        let tree = |entries| Tree { entries, ..Tree::default() };
        let before = tree(vec![file("a", 1, 1), file("b", 1, 1), file("c", 1, 1), file("d", 1, 1)]);
        let mut other_mode = file("c", 1, 1);
        other_mode.mode = 0o644;
        let after = tree(vec![file("b", 2, 1), other_mode, file("d", 1, 9), file("e", 1, 1)]);
        let found: Vec<_> = compare(&before, &after)
            .iter()
            .map(|one| (one.change, String::from_utf8_lossy(one.path).into_owned()))
            .collect();
        let expected = [
            (Change::Removed, "a"),
            (Change::Content, "b"),
            (Change::Metadata, "c"),
            (Change::Added, "e"),
        ];
        assert_eq!(found, expected.map(|(change, path)| (change, path.to_owned())));
        assert_eq!(compare(&after, &after), []);
    }
}
