//! Groups: files whose contents are stored one behind the other.
//!
//! A large file is a group of its own. Small ones are put together in the order of the tree; where
//! a group ends depends on the names alone as far as possible, so that a file that comes or goes
//! changes its own group and no other.

use super::list::{Found, FoundKind, Listing};
use super::tree::GroupId;

/// Larger files stand alone.
const SMALL_BYTES_MAX: u64 = 32 * 1024;
/// A group of small files is closed at this size at the latest.
const GROUP_BYTES_MAX: u64 = 512 * 1024;
/// One in so many names ends its group.
const NAMES_PER_GROUP: u8 = 64;

/// Files that are read together.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) id: GroupId,
    /// Their numbers in the listing.
    pub(super) members: Vec<usize>,
}

/// Puts a listing's files into groups.
pub(super) fn groups(listing: &Listing) -> Vec<Group> {
    let mut ids = std::collections::BTreeSet::new();
    let mut done: Vec<Group> = Vec::new();
    let mut open: Option<(Group, u64)> = None;
    for (at, found) in listing.found.iter().enumerate() {
        if !matches!(found.kind, FoundKind::File) {
            continue;
        }
        if found.stat.size_bytes > SMALL_BYTES_MAX {
            done.push(Group { id: new_id(found, &mut ids), members: vec![at] });
            continue;
        }
        let (group, bytes) = open
            .get_or_insert_with(|| (Group { id: new_id(found, &mut ids), members: Vec::new() }, 0));
        group.members.push(at);
        *bytes += found.stat.size_bytes;
        if *bytes >= GROUP_BYTES_MAX || ends(found) {
            done.extend(open.take().map(|(group, _)| group));
        }
    }
    done.extend(open.map(|(group, _)| group));
    done
}

fn ends(found: &Found) -> bool {
    blake3::hash(&found.path).as_bytes()[0].is_multiple_of(NAMES_PER_GROUP)
}

/// Of the first file's path; of that and a number, should two paths have the same.
fn new_id(found: &Found, ids: &mut std::collections::BTreeSet<GroupId>) -> GroupId {
    let mut salt: u64 = 0;
    loop {
        let mut hasher = blake3::Hasher::new_derive_key("evenkeel 2026 group of files");
        hasher.update(&salt.to_le_bytes()).update(&found.path);
        let mut id = GroupId([0; 8]);
        id.0.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
        if ids.insert(id) {
            return id;
        }
        salt += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::super::list::Stat;
    use super::*;

    fn listing(names: impl Iterator<Item = (String, u64)>) -> Listing {
        let found = names.map(|(name, size_bytes)| Found {
            disk: name.clone().into(),
            path: name.into_bytes(),
            kind: FoundKind::File,
            mode: 0,
            uid: 0,
            gid: 0,
            stat: Stat { size_bytes, mtime_ns: 0, ctime_ns: 0, device: 0, inode: 0 },
        });
        Listing { found: found.collect(), ..Listing::default() }
    }

    fn names(listing: &Listing) -> Vec<Vec<&[u8]>> {
        let path = |at: &usize| listing.found[*at].path.as_slice();
        groups(listing).iter().map(|group| group.members.iter().map(path).collect()).collect()
    }

    #[test]
    fn every_file_is_in_one_group_and_large_ones_are_alone() {
        let sizes = (0..2_000).map(|at| (format!("{at:05}"), if at % 7 == 0 { 40_000 } else { 9 }));
        let listing = listing(sizes);
        let groups = groups(&listing);
        let mut members: Vec<usize> = groups.iter().flat_map(|one| one.members.clone()).collect();
        members.sort_unstable();
        assert_eq!(members, (0..2_000).collect::<Vec<_>>());
        let large = |at: usize| listing.found[at].stat.size_bytes > SMALL_BYTES_MAX;
        assert!(
            groups
                .iter()
                .all(|one| one.members.len() == 1 || !one.members.iter().any(|at| large(*at)))
        );
        let ids: std::collections::BTreeSet<_> = groups.iter().map(|group| group.id).collect();
        assert_eq!(ids.len(), groups.len());
        assert!(groups.len() < 400, "{}", groups.len());
    }

    #[test]
    fn a_new_file_changes_few_groups() {
        let before: Vec<(String, u64)> = (0..3_000).map(|at| (format!("{at:05}"), 100)).collect();
        let mut after = before.clone();
        after.insert(1_500, ("01499-new".to_owned(), 100));
        let (before, after) = (listing(before.into_iter()), listing(after.into_iter()));
        let (before, after) = (names(&before), names(&after));
        let changed = after.iter().filter(|group| !before.contains(group)).count();
        assert!((1..=2).contains(&changed), "{changed}");
    }
}
