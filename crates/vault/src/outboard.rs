//! Verified ranges: any 8 KiB of an object against its BLAKE3 hash, without the rest.
//!
//! BLAKE3 is a tree over chunks of 1 KiB. A *group* is 8 of them, a *branch* 16 groups. An object's
//! *outboard* holds the chaining values of its branches and of its groups; it needs no trust, since
//! it leads up to the object's hash or not. A range is proven by its branch's groups and all
//! branches: 4.5 KiB at most, for an object of 16 MiB.

use std::ops::Range;

use blake3::hazmat::{
    ChainingValue, HasherExt, Mode, left_subtree_len, merge_subtrees_non_root, merge_subtrees_root,
};

/// Bytes that are proven at once.
pub(crate) const GROUP_BYTES: usize = 8 * 1024;
/// Groups below one branch.
const BRANCH_GROUPS: usize = 16;
const BRANCH_BYTES: usize = GROUP_BYTES * BRANCH_GROUPS;
const MAGIC: &[u8; 8] = b"EVKO\x01\0\0\0";
const HEADER_BYTES: usize = 16;
/// Longest object that has an outboard: a pack's limit, which no shard passes.
const LENGTH_BYTES_MAX: u64 = 16 * 1024 * 1024 + 64;

/// How an object of a certain length is divided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Division {
    length_bytes: u64,
}

impl Division {
    /// `None` for an object that is one group, and is checked by its hash, and for one that is
    /// longer than any of ours.
    pub(crate) fn of(length_bytes: u64) -> Option<Self> {
        let divided = length_bytes > GROUP_BYTES as u64 && length_bytes <= LENGTH_BYTES_MAX;
        divided.then_some(Self { length_bytes })
    }

    fn groups(self) -> usize {
        usize::try_from(self.length_bytes.div_ceil(GROUP_BYTES as u64)).unwrap_or(usize::MAX)
    }

    /// With a single branch, its groups lead to the hash directly.
    fn branches(self) -> usize {
        match self.groups().div_ceil(BRANCH_GROUPS) {
            1 => 0,
            more => more,
        }
    }

    /// The group in which a byte lies, and its range in the object.
    pub(crate) fn group_at(self, offset_bytes: u64) -> (usize, Range<u64>) {
        let group = offset_bytes.min(self.length_bytes - 1) / GROUP_BYTES as u64;
        let from = group * GROUP_BYTES as u64;
        let to = (from + GROUP_BYTES as u64).min(self.length_bytes);
        (usize::try_from(group).unwrap_or(usize::MAX), from..to)
    }

    fn branch_groups(self, group: usize) -> Range<usize> {
        let from = group / BRANCH_GROUPS * BRANCH_GROUPS;
        from..(from + BRANCH_GROUPS).min(self.groups())
    }

    /// Where in the outboard the branches, and the groups beside `group`, lie: one range, if they
    /// lie together.
    pub(crate) fn proof_ranges(self, group: usize) -> Vec<Range<u64>> {
        let bytes = |at: usize| (HEADER_BYTES + at * 32) as u64;
        let branches = self.branches();
        let groups = self.branch_groups(group);
        let groups = bytes(branches + groups.start)..bytes(branches + groups.end);
        let branches = bytes(0)..bytes(branches);
        if branches.end == groups.start || branches.is_empty() {
            return std::iter::once(branches.start.min(groups.start)..groups.end).collect();
        }
        vec![branches, groups]
    }

    /// Bytes of the outboard.
    pub(crate) fn outboard_bytes(self) -> u64 {
        (HEADER_BYTES + 32 * (self.branches() + self.groups())) as u64
    }

    /// Whether a proof, what lies in [`Division::proof_ranges`], leads to this hash.
    pub(crate) fn leads_to(self, hash: &[u8; 32], group: usize, proof: &[u8]) -> bool {
        self.split(hash, group, proof).is_some()
    }

    /// Whether `bytes` are group `group` of the object with this hash, by that proof.
    pub(crate) fn proves(self, hash: &[u8; 32], group: usize, bytes: &[u8], proof: &[u8]) -> bool {
        let (_, range) = self.group_at((group * GROUP_BYTES) as u64);
        bytes.len() as u64 == range.end - range.start
            && self.split(hash, group, proof) == Some(group_value(bytes, group))
    }

    /// The chaining value of `group`, from a proof that leads to the hash.
    fn split(self, hash: &[u8; 32], group: usize, proof: &[u8]) -> Option<ChainingValue> {
        let (values, rest) = proof.as_chunks::<32>();
        let among = self.branch_groups(group);
        if !rest.is_empty() || values.len() != self.branches() + among.len() {
            return None;
        }
        let (branches, groups) = values.split_at(self.branches());
        let own = groups.get(group - among.start).copied();
        if branches.is_empty() {
            let root = root_of(groups, self.length_bytes, GROUP_BYTES)?;
            return own.filter(|_| root == *hash);
        }
        let from = (among.start * GROUP_BYTES) as u64;
        let below = (self.length_bytes - from).min(BRANCH_BYTES as u64);
        let branch = value_of(groups, below, GROUP_BYTES)?;
        let root = root_of(branches, self.length_bytes, BRANCH_BYTES)?;
        let right = branches.get(group / BRANCH_GROUPS) == Some(&branch) && root == *hash;
        own.filter(|_| right)
    }
}

fn group_value(bytes: &[u8], group: usize) -> ChainingValue {
    let mut hasher = blake3::Hasher::new();
    hasher.set_input_offset((group * GROUP_BYTES) as u64);
    hasher.update(bytes).finalize_non_root()
}

/// The chaining values of the groups of an object; none if it is a single one.
pub(crate) fn groups_of(bytes: &[u8]) -> Vec<ChainingValue> {
    let mut groups = Groups::new(bytes.len());
    groups.add(bytes);
    groups.values
}

/// The groups of an object that comes in pieces, each of whole groups but the last.
pub(crate) struct Groups {
    length_bytes: u64,
    /// None for an object that is a single group.
    values: Vec<ChainingValue>,
}

impl Groups {
    pub(crate) fn new(length_bytes: usize) -> Self {
        Self { length_bytes: length_bytes as u64, values: Vec::new() }
    }

    pub(crate) fn add(&mut self, piece: &[u8]) {
        if self.length_bytes > GROUP_BYTES as u64 {
            for group in piece.chunks(GROUP_BYTES) {
                self.values.push(group_value(group, self.values.len()));
            }
        }
    }

    /// The object's hash; `None` if it is a single group.
    pub(crate) fn root(&self) -> Option<[u8; 32]> {
        root_of(&self.values, self.length_bytes, GROUP_BYTES)
    }

    /// The object's outboard; `None` if it needs none.
    pub(crate) fn outboard(&self) -> Option<Vec<u8>> {
        let division = Division::of(self.length_bytes)?;
        let mut outboard = MAGIC.to_vec();
        outboard.extend_from_slice(&division.length_bytes.to_le_bytes());
        if division.branches() > 0 {
            for (branch, groups) in self.values.chunks(BRANCH_GROUPS).enumerate() {
                let from = (branch * BRANCH_BYTES) as u64;
                let below = (self.length_bytes - from).min(BRANCH_BYTES as u64);
                outboard.extend_from_slice(&value_of(groups, below, GROUP_BYTES)?);
            }
        }
        outboard.extend_from_slice(self.values.as_flattened());
        Some(outboard)
    }
}

/// Whether `bytes` are group `group` of an object that has these groups.
pub(crate) fn is_group(groups: &[ChainingValue], group: usize, bytes: &[u8]) -> bool {
    bytes.len() <= GROUP_BYTES && groups.get(group) == Some(&group_value(bytes, group))
}

/// Chaining value of the subtree over `values`, each of `each_bytes` but the last.
fn value_of(
    values: &[ChainingValue],
    length_bytes: u64,
    each_bytes: usize,
) -> Option<ChainingValue> {
    if let [value] = values {
        return Some(*value);
    }
    let (left, right) = halves(values, length_bytes, each_bytes)?;
    Some(merge_subtrees_non_root(&left, &right, Mode::Hash))
}

/// Hash of the object over `values`, of which there are two at least.
fn root_of(values: &[ChainingValue], length_bytes: u64, each_bytes: usize) -> Option<[u8; 32]> {
    let (left, right) = halves(values, length_bytes, each_bytes)?;
    Some(*merge_subtrees_root(&left, &right, Mode::Hash).as_bytes())
}

fn halves(
    values: &[ChainingValue],
    length_bytes: u64,
    each_bytes: usize,
) -> Option<(ChainingValue, ChainingValue)> {
    if values.len() < 2 || length_bytes <= each_bytes as u64 {
        return None;
    }
    let left_bytes = left_subtree_len(length_bytes);
    let middle = usize::try_from(left_bytes / each_bytes as u64).ok()?;
    let (left, right) = values.split_at_checked(middle)?;
    let left = value_of(left, left_bytes, each_bytes)?;
    Some((left, value_of(right, length_bytes - left_bytes, each_bytes)?))
}

/// The outboard of an object; `None` if it needs none.
pub(crate) fn outboard_of(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut groups = Groups::new(bytes.len());
    groups.add(bytes);
    groups.outboard()
}

/// An object's outboard, read strictly: whatever decodes is the outboard of an object of that
/// length and hash, byte for byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outboard {
    /// Length of the object.
    pub length_bytes: u64,
    /// Hash of the object.
    pub hash: [u8; 32],
}

impl Outboard {
    /// The outboard of an object; `None` for one that is a single group, or longer than any of
    /// ours.
    #[must_use]
    pub fn make(object: &[u8]) -> Option<Vec<u8>> {
        outboard_of(object)
    }

    /// Reads an outboard, and whose it is; `None` if it is nobody's.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (header, values) = bytes.split_at_checked(HEADER_BYTES)?;
        let (magic, length) = header.split_at_checked(MAGIC.len())?;
        let length_bytes = u64::from_le_bytes(length.try_into().ok()?);
        let division = Division::of(length_bytes)?;
        if magic != MAGIC || bytes.len() as u64 != division.outboard_bytes() {
            return None;
        }
        let (values, _) = values.as_chunks::<32>();
        let (branches, groups) = values.split_at_checked(division.branches())?;
        if branches.is_empty() {
            let hash = root_of(groups, length_bytes, GROUP_BYTES)?;
            return Some(Self { length_bytes, hash });
        }
        for (branch, groups) in groups.chunks(BRANCH_GROUPS).enumerate() {
            let from = (branch * BRANCH_BYTES) as u64;
            let below = (length_bytes - from).min(BRANCH_BYTES as u64);
            if value_of(groups, below, GROUP_BYTES).as_ref() != branches.get(branch) {
                return None;
            }
        }
        Some(Self { length_bytes, hash: root_of(branches, length_bytes, BRANCH_BYTES)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        blake3::Hasher::new_derive_key("outboards").finalize_xof().fill(&mut bytes);
        bytes
    }

    fn proof(outboard: &[u8], division: Division, group: usize) -> Vec<u8> {
        let at = |range: Range<u64>| {
            usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap()
        };
        division
            .proof_ranges(group)
            .into_iter()
            .flat_map(|range| &outboard[at(range)])
            .copied()
            .collect()
    }

    const LENGTHS: [usize; 12] = [
        8_193, 9_216, 16_384, 24_641, 65_536, 131_072, 131_136, 139_264, 262_144, 300_032,
        1_048_640, 5_592_448,
    ];

    #[test]
    fn every_group_of_an_object_of_any_length_is_proven_against_its_hash() {
        for length in LENGTHS {
            let bytes = noise(length);
            let hash = *blake3::hash(&bytes).as_bytes();
            let division = Division::of(length as u64).unwrap();
            let outboard = outboard_of(&bytes).unwrap();
            assert_eq!(outboard.len() as u64, division.outboard_bytes());
            let length_bytes = length as u64;
            assert_eq!(Outboard::decode(&outboard), Some(Outboard { length_bytes, hash }));
            for (group, part) in bytes.chunks(GROUP_BYTES).enumerate() {
                let proof = proof(&outboard, division, group);
                assert!(proof.len() <= 4608, "{length}");
                assert!(division.proves(&hash, group, part, &proof), "{group} of {length}");
            }
        }
    }

    #[test]
    fn one_changed_bit_in_a_group_or_its_proof_is_noticed() {
        for length in [8_193, 65_536, 300_032] {
            let bytes = noise(length);
            let hash = *blake3::hash(&bytes).as_bytes();
            let division = Division::of(length as u64).unwrap();
            let outboard = outboard_of(&bytes).unwrap();
            let (group, range) = division.group_at(length as u64 - 1);
            let part = &bytes[usize::try_from(range.start).unwrap()..];
            let proof = proof(&outboard, division, group);
            for at in (0..part.len()).step_by(61) {
                let mut changed = part.to_vec();
                changed[at] ^= 4;
                assert!(!division.proves(&hash, group, &changed, &proof));
            }
            for at in 0..proof.len() {
                let mut changed = proof.clone();
                changed[at] ^= 4;
                assert!(!division.proves(&hash, group, part, &changed), "{at}");
            }
            assert!(!division.proves(&hash, group, &part[1..], &proof));
            assert!(!division.proves(&hash, 0, part, &proof));
            assert!(!division.proves(&hash, group, part, &proof[32..]));
        }
    }

    #[test]
    fn an_outboard_with_any_changed_byte_is_of_another_object_or_of_none() {
        for length in [8_193, 140_000] {
            let bytes = noise(length);
            let outboard = outboard_of(&bytes).unwrap();
            let right = Outboard::decode(&outboard);
            for at in 0..outboard.len() {
                let mut changed = outboard.clone();
                changed[at] ^= 1;
                assert_ne!(Outboard::decode(&changed), right, "byte {at}");
            }
            assert_eq!(Outboard::decode(&outboard[..outboard.len() - 1]), None);
        }
        assert_eq!(outboard_of(&noise(GROUP_BYTES)), None);
    }

    #[test]
    fn the_groups_of_a_record_are_told_apart() {
        let bytes = noise(20_000);
        let groups = groups_of(&bytes);
        for (at, part) in bytes.chunks(GROUP_BYTES).enumerate() {
            assert!(is_group(&groups, at, part));
            assert!(!is_group(&groups, at + 1, part));
        }
        assert!(!is_group(&groups, 0, &bytes));
        assert!(groups_of(&bytes[..GROUP_BYTES]).is_empty());
    }
}
