//! What an object is called by its content: computed here, so that no node is believed.
//!
//! The same layout as every implementation's `add` with `cid-version=1&raw-leaves=true&
//! chunker=size-262144`: leaves of 256 KiB as raw blocks; where there are several, `dag-pb` nodes
//! of at most 174 links above them, level by level, with UnixFS sizes (IPLD `dag-pb` and UnixFS
//! specifications; CID version 1; SHA2-256).

use aws_lc_rs::digest;

/// Bytes of a leaf.
pub(crate) const LEAF_BYTES: usize = 256 * 1024;
/// As `add` takes it.
pub(crate) const CHUNKER: &str = "size-262144";
/// Children of a node, as every implementation lays them out unless told otherwise.
const LINKS_MAX: usize = 174;
const RAW: u8 = 0x55;
const DAG_PB: u8 = 0x70;

/// A version 1 identifier with a SHA2-256 of 32 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cid([u8; 36]);

/// A node of the tree: what its parent says of it.
#[derive(Clone, Copy)]
struct Child {
    cid: Cid,
    /// Bytes of the file below it.
    file_bytes: u64,
    /// Bytes of all blocks below it, itself included.
    tree_bytes: u64,
}

impl Cid {
    fn of_block(codec: u8, block: &[u8]) -> Self {
        let mut bytes = [0; 36];
        bytes[..4].copy_from_slice(&[1, codec, 0x12, 32]);
        bytes[4..].copy_from_slice(digest::digest(&digest::SHA256, block).as_ref());
        Self(bytes)
    }

    /// Of a whole object.
    pub(crate) fn of(content: &[u8]) -> Self {
        let leaf = |bytes: &[u8]| Child {
            cid: Self::of_block(RAW, bytes),
            file_bytes: bytes.len() as u64,
            tree_bytes: bytes.len() as u64,
        };
        if content.len() <= LEAF_BYTES {
            return leaf(content).cid;
        }
        let mut level: Vec<Child> = content.chunks(LEAF_BYTES).map(leaf).collect();
        while level.len() > 1 {
            level = level.chunks(LINKS_MAX).map(parent).collect();
        }
        level[0].cid
    }

    /// Reads base32 (`b…`) and base58 (`z…`), which nodes print.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (base, digits) = (text.get(..1)?, text.get(1..)?);
        let bytes = match base {
            "b" => unbase32(digits)?,
            "z" => unbase58(digits)?,
            _ => return None,
        };
        let bytes: [u8; 36] = bytes.try_into().ok()?;
        (bytes[0] == 1 && bytes[2..4] == [0x12, 32]).then_some(Self(bytes))
    }
}

impl std::fmt::Display for Cid {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "b{}", base32(&self.0))
    }
}

fn parent(children: &[Child]) -> Child {
    let file_bytes = children.iter().map(|child| child.file_bytes).sum();
    // UnixFS: Type = File, filesize, one blocksize for each link.
    let mut data = vec![0x08, 2, 0x18];
    varint(&mut data, file_bytes);
    let mut node = Vec::new();
    for child in children {
        data.push(0x20);
        varint(&mut data, child.file_bytes);
        // PBLink: Hash, an empty Name, Tsize.
        let mut link = vec![0x0a, 36];
        link.extend_from_slice(&child.cid.0);
        link.extend_from_slice(&[0x12, 0, 0x18]);
        varint(&mut link, child.tree_bytes);
        node.push(0x12);
        varint(&mut node, link.len() as u64);
        node.extend_from_slice(&link);
    }
    // Canonical: the links come before the data.
    node.push(0x0a);
    varint(&mut node, data.len() as u64);
    node.extend_from_slice(&data);
    let below: u64 = children.iter().map(|child| child.tree_bytes).sum();
    let cid = Cid::of_block(DAG_PB, &node);
    Child { cid, file_bytes, tree_bytes: below + node.len() as u64 }
}

fn varint(into: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        into.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    into.push(number.to_le_bytes()[0]);
}

const BASE32: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
const BASE58: &[u8; 58] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";

/// RFC 4648, section 6, in small letters, without padding.
fn base32(bytes: &[u8]) -> String {
    let (mut text, mut bits, mut count) = (String::new(), 0_u32, 0);
    for byte in bytes {
        bits = bits << 8 | u32::from(*byte);
        count += 8;
        while count >= 5 {
            count -= 5;
            text.push(char::from(BASE32[(bits >> count & 31) as usize]));
        }
        bits &= (1 << count) - 1;
    }
    if count > 0 {
        text.push(char::from(BASE32[(bits << (5 - count) & 31) as usize]));
    }
    text
}

fn unbase32(text: &str) -> Option<Vec<u8>> {
    let (mut bytes, mut bits, mut count) = (Vec::new(), 0_u32, 0);
    for letter in text.bytes() {
        let digit = BASE32.iter().position(|known| *known == letter)?;
        bits = bits << 5 | u32::try_from(digit).ok()?;
        count += 5;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count).to_le_bytes()[0]);
            bits &= (1 << count) - 1;
        }
    }
    (bits == 0).then_some(bytes)
}

/// As Bitcoin writes it; long enough for an identifier and no longer.
fn unbase58(text: &str) -> Option<Vec<u8>> {
    let mut number = vec![0_u8; 40];
    if text.len() > 52 {
        return None;
    }
    for letter in text.bytes() {
        let digit = BASE58.iter().position(|known| *known == letter)?;
        let mut carry = u32::try_from(digit).ok()?;
        for byte in number.iter_mut().rev() {
            carry += u32::from(*byte) * 58;
            *byte = carry.to_le_bytes()[0];
            carry >>= 8;
        }
    }
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    Some(number.split_off(zeros))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(count: usize) -> Vec<u8> {
        (0..count).map(|at| (at as u64).wrapping_mul(0x9e37_79b9).to_le_bytes()[1]).collect()
    }

    #[test]
    fn identifiers_are_those_that_nodes_give() {
        // By Kubo's layout, as another implementation of it prints them.
        for (content, text) in [
            (&b""[..], "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku"),
            (b"hello", "bafkreibm6jg3ux5qumhcn2b3flc3tyu6dmlb4xa7u5bf44yegnrjhc4yeq"),
        ] {
            assert_eq!(Cid::of(content).to_string(), text);
        }
    }

    #[test]
    fn an_identifier_is_read_in_both_bases_and_nothing_else_is_one() {
        let cid = Cid::of(b"hello");
        assert_eq!(Cid::parse(&cid.to_string()), Some(cid));
        assert_eq!(Cid::parse("zb2rhZfjRh2FHHB2RkHVEvL2vJnCTcu7kwRqgVsf9gpkLgteo"), Some(cid));
        for text in ["", "b", "z", "QmfKyudxJZZCdBFkDVjeMRB6Knc6P3shjWxriB32HYLfWq", "bafk!", "é"]
        {
            assert_eq!(Cid::parse(text), None, "{text}");
        }
        assert_eq!(Cid::parse(&format!("z{}", "1".repeat(10_000))), None);
    }

    #[test]
    fn a_change_of_any_leaf_changes_the_root_at_every_depth() {
        for count in [1, LEAF_BYTES, LEAF_BYTES + 1, LEAF_BYTES * 3, LEAF_BYTES * 175 + 9] {
            let mut content = pattern(count);
            let before = Cid::of(&content);
            assert_eq!(before, Cid::of(&content));
            *content.last_mut().unwrap() ^= 1;
            assert_ne!(before, Cid::of(&content), "{count}");
        }
    }
}
