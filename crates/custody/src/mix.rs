//! Several sources of randomness as one: as good as the best of them.

use aws_lc_rs::hkdf;
use zeroize::Zeroizing;

use crate::secret::Secret;

/// As many bytes as are wanted.
struct Wanted(usize);

impl hkdf::KeyType for Wanted {
    fn len(&self) -> usize {
        self.0
    }
}

/// HKDF-SHA256 over all parts, each behind its length; at most 8,160 bytes.
#[must_use]
pub fn mix(parts: &[&[u8]], bytes: usize) -> Option<Secret> {
    let total: usize = parts.iter().map(|part| part.len() + 8).sum();
    let mut input = Zeroizing::new(Vec::with_capacity(total));
    for part in parts {
        input.extend(u64::try_from(part.len()).ok()?.to_be_bytes());
        input.extend(*part);
    }
    let extracted = hkdf::Salt::new(hkdf::HKDF_SHA256, b"evenkeel entropy 1").extract(&input);
    let mut output = Zeroizing::new(vec![0; bytes]);
    extracted.expand(&[b"entropy".as_slice()], Wanted(bytes)).ok()?.fill(&mut output).ok()?;
    Some(Secret::from(output))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_and_where_it_ends_counts() {
        let of = |parts: &[&[u8]]| mix(parts, 32).unwrap();
        assert_eq!(of(&[b"ab", b"c"]), of(&[b"ab", b"c"]));
        assert_ne!(of(&[b"ab", b"c"]), of(&[b"a", b"bc"]));
        assert_ne!(of(&[b"ab", b""]), of(&[b"ab"]));
        assert_eq!(mix(&[b"x"], 16).unwrap().len(), 16);
    }
}
