//! Bytes that are overwritten when dropped and never printed.

use std::fmt;

use zeroize::Zeroizing;

/// Secret bytes. `Debug` says how many there are and nothing else.
#[derive(Clone)]
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// Takes the bytes over.
    #[must_use]
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The bytes, for whoever has a reason to see them.
    #[must_use]
    pub fn reveal(&self) -> &[u8] {
        &self.0
    }

    /// How many bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<Zeroizing<Vec<u8>>> for Secret {
    fn from(bytes: Zeroizing<Vec<u8>>) -> Self {
        Self(bytes)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({} bytes)", self.0.len())
    }
}

/// Takes as long for equal bytes as for different ones; only lengths are compared openly.
impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        same_bytes(&self.0, &other.0)
    }
}

impl Eq for Secret {}

/// Whether two byte strings are equal, in a time that depends on their lengths alone.
#[must_use]
pub fn same_bytes(left: &[u8], right: &[u8]) -> bool {
    let differing =
        left.iter().zip(right).fold(0, |differing, (left, right)| differing | (left ^ right));
    left.len() == right.len() && std::hint::black_box(differing) == 0
}

/// All ones where the numbers are equal, else zero.
pub(crate) fn equal_mask(left: u16, right: u16) -> u8 {
    let differing = u32::from(left ^ right);
    let equal = differing.wrapping_sub(1).to_be_bytes()[0] >> 7;
    std::hint::black_box(equal).wrapping_neg()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_prints_its_length_and_nothing_else() {
        assert_eq!(format!("{:?}", Secret::new(vec![0x5a; 16])), "Secret(16 bytes)");
    }

    #[test]
    fn equal_means_every_byte_and_the_length() {
        assert!(same_bytes(b"abc", b"abc"));
        assert!(!same_bytes(b"abc", b"abd"));
        assert!(!same_bytes(b"abc", b"ab"));
        assert!(!same_bytes(b"", b"a"));
        assert_eq!(Secret::new(vec![1, 2]), Secret::new(vec![1, 2]));
        assert_ne!(Secret::new(vec![1, 2]), Secret::new(vec![2, 2]));
    }
}
