//! The Merkle tree of RFC 6962 (Certificate Transparency) over SHA-256.
//!
//! Leaf: `SHA-256(0x00 ‖ data)`; node: `SHA-256(0x01 ‖ left ‖ right)`; the empty tree is
//! `SHA-256("")`. The journal root is such a tree over canonical entries, the state root one over
//! salted leaves. Proofs follow RFC 6962 §2.1.1 (inclusion) and §2.1.2 (consistency); verification
//! follows RFC 9162 §2.1.3.2 and §2.1.4.2.

use crate::codec::{Canonical, DecodeError, Reader, Writer};
use sha2::{Digest, Sha256};

/// A SHA-256 hash.
pub type Hash = [u8; 32];

/// Hash of a leaf. For a journal entry this is its `entry_hash`.
#[must_use]
pub fn leaf_hash(data: &[u8]) -> Hash {
    let mut hasher = Sha256::new();
    hasher.update([0u8]);
    hasher.update(data);
    hasher.finalize().into()
}

/// Hash of an inner node.
#[must_use]
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    let mut hasher = Sha256::new();
    hasher.update([1u8]);
    hasher.update(left);
    hasher.update(right);
    hasher.finalize().into()
}

/// Root of the tree without leaves.
#[must_use]
pub fn empty_root() -> Hash {
    Sha256::digest([]).into()
}

/// The right edge of a growing tree: enough to append leaves and give the root, in O(log n) space.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Frontier {
    leaf_count: u64,
    /// Roots of the perfect subtrees, largest (leftmost) first; one for each set bit of the count.
    peaks: Vec<Hash>,
}

impl Frontier {
    /// The empty tree.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Number of leaves.
    #[must_use]
    pub fn leaf_count(&self) -> u64 {
        self.leaf_count
    }

    /// Appends a leaf by its hash (see [`leaf_hash`]).
    pub fn push(&mut self, leaf: Hash) {
        let mut node = leaf;
        for _ in 0..self.leaf_count.trailing_ones() {
            // A set low bit is a peak of that height: merge it.
            if let Some(left) = self.peaks.pop() {
                node = node_hash(&left, &node);
            }
        }
        self.peaks.push(node);
        self.leaf_count += 1;
    }

    /// Root of the tree.
    #[must_use]
    pub fn root(&self) -> Hash {
        let mut peaks = self.peaks.iter().rev();
        let Some(last) = peaks.next() else {
            return empty_root();
        };
        peaks.fold(*last, |right, left| node_hash(left, &right))
    }
}

impl Canonical for Frontier {
    fn encode(&self, writer: &mut Writer) {
        writer.u64(self.leaf_count);
        for peak in &self.peaks {
            writer.fixed(peak);
        }
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let leaf_count = reader.u64()?;
        let peaks =
            (0..leaf_count.count_ones()).map(|_| reader.array()).collect::<Result<_, _>>()?;
        Ok(Self { leaf_count, peaks })
    }
}

/// Root over leaf hashes held in memory.
#[must_use]
pub fn root(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => empty_root(),
        [leaf] => *leaf,
        _ => {
            let (left, right) = leaves.split_at(split(leaves.len()));
            node_hash(&root(left), &root(right))
        }
    }
}

/// Proof that leaf `index` is in the tree over `leaves`, bottom-up; `None` if out of range.
#[must_use]
pub fn inclusion_proof(leaves: &[Hash], index: usize) -> Option<Vec<Hash>> {
    if index >= leaves.len() {
        return None;
    }
    let mut proof = Vec::new();
    let (mut leaves, mut index) = (leaves, index);
    while leaves.len() > 1 {
        let (left, right) = leaves.split_at(split(leaves.len()));
        if index < left.len() {
            proof.push(root(right));
            leaves = left;
        } else {
            proof.push(root(left));
            index -= left.len();
            leaves = right;
        }
    }
    proof.reverse();
    Some(proof)
}

/// Checks an inclusion proof (RFC 9162 §2.1.3.2).
#[must_use]
pub fn verify_inclusion(
    root: &Hash,
    leaf_count: u64,
    index: u64,
    leaf: &Hash,
    proof: &[Hash],
) -> bool {
    if index >= leaf_count {
        return false;
    }
    let (mut node, mut last) = (index, leaf_count - 1);
    let mut hash = *leaf;
    for sibling in proof {
        if last == 0 {
            return false;
        }
        if node & 1 == 1 || node == last {
            hash = node_hash(sibling, &hash);
            while node & 1 == 0 && node != 0 {
                node >>= 1;
                last >>= 1;
            }
        } else {
            hash = node_hash(&hash, sibling);
        }
        node >>= 1;
        last >>= 1;
    }
    last == 0 && hash == *root
}

/// Proof that the tree over the first `old_count` leaves is a prefix of the tree over all of them;
/// `None` unless `0 < old_count <= leaves.len()`.
#[must_use]
pub fn consistency_proof(leaves: &[Hash], old_count: usize) -> Option<Vec<Hash>> {
    if old_count == 0 || old_count > leaves.len() {
        return None;
    }
    let mut proof = Vec::new();
    subproof(leaves, old_count, true, &mut proof);
    Some(proof)
}

fn subproof(leaves: &[Hash], old_count: usize, is_old_root: bool, proof: &mut Vec<Hash>) {
    if old_count == leaves.len() {
        if !is_old_root {
            proof.push(root(leaves));
        }
        return;
    }
    let (left, right) = leaves.split_at(split(leaves.len()));
    if old_count <= left.len() {
        subproof(left, old_count, is_old_root, proof);
        proof.push(root(right));
    } else {
        subproof(right, old_count - left.len(), false, proof);
        proof.push(root(left));
    }
}

/// Checks a consistency proof (RFC 9162 §2.1.4.2).
#[must_use]
pub fn verify_consistency(
    old_count: u64,
    old_root: &Hash,
    new_count: u64,
    new_root: &Hash,
    proof: &[Hash],
) -> bool {
    if old_count == new_count {
        return proof.is_empty() && old_root == new_root;
    }
    if old_count == 0 || old_count > new_count {
        return false;
    }
    let mut siblings = proof.iter();
    let first = if old_count.is_power_of_two() { Some(old_root) } else { siblings.next() };
    let Some(first) = first else { return false };
    let (mut node, mut last) = (old_count - 1, new_count - 1);
    while node & 1 == 1 {
        node >>= 1;
        last >>= 1;
    }
    let (mut old_hash, mut new_hash) = (*first, *first);
    for sibling in siblings {
        if last == 0 {
            return false;
        }
        if node & 1 == 1 || node == last {
            old_hash = node_hash(sibling, &old_hash);
            new_hash = node_hash(sibling, &new_hash);
            while node & 1 == 0 && node != 0 {
                node >>= 1;
                last >>= 1;
            }
        } else {
            new_hash = node_hash(&new_hash, sibling);
        }
        node >>= 1;
        last >>= 1;
    }
    last == 0 && old_hash == *old_root && new_hash == *new_root
}

/// Largest power of two below `count` (RFC 6962's split point); `count` is at least 2.
fn split(count: usize) -> usize {
    1 << (usize::BITS - 1 - (count - 1).leading_zeros())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaves(count: usize) -> Vec<Hash> {
        (0..count).map(|index| leaf_hash(&index.to_le_bytes())).collect()
    }

    #[test]
    fn frontier_and_tree_agree_at_every_size() {
        let all = leaves(130);
        let mut frontier = Frontier::new();
        for count in 0..=all.len() {
            assert_eq!(frontier.root(), root(&all[..count]));
            assert_eq!(Frontier::from_bytes(&frontier.to_bytes()), Ok(frontier.clone()));
            if let Some(leaf) = all.get(count) {
                frontier.push(*leaf);
            }
        }
    }

    #[test]
    fn every_inclusion_proof_verifies_and_no_other_leaf_does() {
        for count in 1..40 {
            let all = leaves(count);
            let top = root(&all);
            for index in 0..count {
                let proof = inclusion_proof(&all, index).expect("in range");
                let check = |at: usize, leaf: &Hash| {
                    verify_inclusion(&top, count as u64, at as u64, leaf, &proof)
                };
                assert!(check(index, &all[index]));
                assert!(!check(index, &leaf_hash(b"other")));
                assert!(!check(index + 1, &all[index]));
            }
        }
    }

    #[test]
    fn every_consistency_proof_verifies_and_a_changed_prefix_does_not() {
        let all = leaves(40);
        for new in 1..=all.len() {
            for old in 1..=new {
                let proof = consistency_proof(&all[..new], old).expect("in range");
                let (old_root, new_root) = (root(&all[..old]), root(&all[..new]));
                let check = |old_root: &Hash| {
                    verify_consistency(old as u64, old_root, new as u64, &new_root, &proof)
                };
                assert!(check(&old_root));
                assert!(!check(&leaf_hash(b"forged")));
            }
        }
    }

    /// Vectors published with the Certificate Transparency reference implementation.
    #[test]
    fn roots_equal_the_published_vectors() {
        let inputs: [&[u8]; 8] = [
            b"",
            b"\x00",
            b"\x10",
            b"\x20\x21",
            b"\x30\x31",
            b"\x40\x41\x42\x43",
            b"\x50\x51\x52\x53\x54\x55\x56\x57",
            b"\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f",
        ];
        let roots = [
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
            "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
            "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
            "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
            "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
            "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
            "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
        ];
        let mut frontier = Frontier::new();
        for (input, expected) in inputs.iter().zip(roots) {
            frontier.push(leaf_hash(input));
            let hex: String = frontier.root().iter().map(|b| format!("{b:02x}")).collect();
            assert_eq!(hex, expected);
        }
    }
}
