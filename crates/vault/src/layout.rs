//! How many sites, how many are needed, and what objects are called.

use std::fmt;

use crate::erasure::PARITY_MAX;
use crate::error::{Error, Result};

/// An unbroken history; a restore that goes live starts a new one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lineage(pub [u8; 16]);

impl fmt::Display for Lineage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

impl fmt::Debug for Lineage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Lineage({self})")
    }
}

/// How the id of a lineage ends that stands beside the domain's main line, before its kind.
const BESIDE: &[u8; 4] = b"side";

impl Lineage {
    /// The id of a lineage that stands beside the domain's main line: histories of another kind,
    /// written by another writer, that neither continue nor replace the main one. The id is
    /// signed in the certificate, so nobody but the root can say what kind a lineage is.
    #[must_use]
    pub fn beside(kind: [u8; 4], random: [u8; 8]) -> Self {
        let mut id = [0; 16];
        id[..8].copy_from_slice(&random);
        id[8..12].copy_from_slice(BESIDE);
        id[12..].copy_from_slice(&kind);
        Self(id)
    }

    /// What stands beside the main line; `None` for a lineage of the main line itself.
    #[must_use]
    pub fn kind_beside(&self) -> Option<[u8; 4]> {
        let kind = self.0[8..].strip_prefix(BESIDE.as_slice())?;
        kind.try_into().ok()
    }

    /// Reads 32 hexadecimal digits.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        unhex(text).map(Self)
    }
}

/// Any `k` of `n` sites bring everything back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    k: usize,
    n: usize,
}

impl Layout {
    /// A layout of `k` of `n`.
    ///
    /// # Errors
    /// [`Error::Invalid`] unless 1 ≤ k ≤ 64 and k ≤ n ≤ k + [`PARITY_MAX`].
    pub fn new(k: usize, n: usize) -> Result<Self> {
        if k == 0 || k > 64 || n < k || n > k + PARITY_MAX {
            return Err(Error::Invalid {
                what: "layout",
                detail: format!(
                    "{k} of {n} is not possible: 1 to 64 sites are needed, and up to \
                     {PARITY_MAX} more may be spare"
                ),
            });
        }
        Ok(Self { k, n })
    }

    /// How many sites are needed.
    #[must_use]
    pub fn k(&self) -> usize {
        self.k
    }

    /// How many sites there are.
    #[must_use]
    pub fn n(&self) -> usize {
        self.n
    }
}

impl Default for Layout {
    fn default() -> Self {
        Self { k: 3, n: 5 }
    }
}

impl fmt::Display for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.k, self.n)
    }
}

/// Checks a domain's name: it is the first part of every object's name.
pub(crate) fn check_domain(domain: &str) -> Result<()> {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if domain.is_empty() || domain.len() > 32 || !domain.bytes().all(plain) {
        return Err(Error::Invalid {
            what: "domain",
            detail: format!("{domain:?}: use 1 to 32 of a-z, 0-9 and -"),
        });
    }
    Ok(())
}

/// What an object is, read from its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum ObjectName {
    Certificate(Lineage),
    Period(Lineage, u64),
    /// A period's key wrapped anew, named by its own hash.
    Wrap(Lineage, u64, [u8; 32]),
    Record(Lineage, u64),
    Shard(Lineage, [u8; 32], usize),
    /// What proves parts of that shard.
    Proof(Lineage, [u8; 32], usize),
    /// That its writer is not believed any more, named by its own hash.
    Revocation(Lineage, [u8; 32]),
}

impl ObjectName {
    pub(crate) fn key(&self, domain: &str) -> String {
        match self {
            Self::Certificate(lineage) => format!("{domain}/{lineage}/certificate"),
            Self::Revocation(lineage, hash) => format!("{domain}/{lineage}/revoked/{}", hex(hash)),
            Self::Period(lineage, period) => format!("{domain}/{lineage}/keys/{period:016x}.age"),
            Self::Wrap(lineage, period, hash) => {
                format!("{domain}/{lineage}/keys/{period:016x}.{}.wrap", hex(hash))
            }
            Self::Record(lineage, counter) => {
                format!("{domain}/{lineage}/records/{counter:016x}")
            }
            Self::Shard(lineage, pack, shard) => {
                format!("{domain}/{lineage}/shards/{}.{shard:02}", hex(pack))
            }
            Self::Proof(lineage, pack, shard) => {
                format!("{domain}/{lineage}/proofs/{}.{shard:02}", hex(pack))
            }
        }
    }

    /// The object that `key` names, only if it is the one spelling of that name.
    pub(crate) fn parse(domain: &str, key: &str) -> Option<Self> {
        let rest = key.strip_prefix(domain)?.strip_prefix('/')?;
        let (lineage, rest) = rest.split_once('/')?;
        let lineage = Lineage::parse(lineage)?;
        let name = match rest.split_once('/') {
            None => Self::Certificate(lineage),
            Some(("keys", name)) => {
                let (period, kind) = name.split_once('.')?;
                let period = u64::from_str_radix(period, 16).ok()?;
                match kind {
                    "age" => Self::Period(lineage, period),
                    _ => Self::Wrap(lineage, period, unhex(kind.strip_suffix(".wrap")?)?),
                }
            }
            Some(("records", name)) => Self::Record(lineage, u64::from_str_radix(name, 16).ok()?),
            Some(("revoked", name)) => Self::Revocation(lineage, unhex(name)?),
            Some((kind @ ("shards" | "proofs"), name)) => {
                let (pack, shard) = name.split_once('.')?;
                let (pack, shard) = (unhex(pack)?, shard.parse().ok()?);
                match kind {
                    "shards" => Self::Shard(lineage, pack, shard),
                    _ => Self::Proof(lineage, pack, shard),
                }
            }
            Some(_) => return None,
        };
        (name.key(domain) == key).then_some(name)
    }
}

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Reads exactly `N` bytes of lower-case hexadecimal.
pub(crate) fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let text = text.as_bytes();
    if text.len() != N * 2 {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_object_name_reads_back_as_itself_and_other_spellings_do_not() {
        let lineage = Lineage([0xab; 16]);
        for name in [
            ObjectName::Certificate(lineage),
            ObjectName::Period(lineage, 7),
            ObjectName::Wrap(lineage, 7, [0xcd; 32]),
            ObjectName::Revocation(lineage, [0xce; 32]),
            ObjectName::Record(lineage, u64::MAX),
            ObjectName::Shard(lineage, [9; 32], 4),
            ObjectName::Proof(lineage, [9; 32], 4),
        ] {
            assert_eq!(ObjectName::parse("state", &name.key("state")), Some(name));
        }
        let id = lineage.to_string();
        for key in [
            format!("state/{id}/records/1"),
            format!("state/{id}/records/+00000000000000a"),
            format!("state/{id}/other"),
            format!("state/{}/certificate", id.to_uppercase()),
            format!("network/{id}/certificate"),
        ] {
            assert_eq!(ObjectName::parse("state", &key), None, "{key}");
        }
    }

    #[test]
    fn a_layout_needs_at_least_one_site_and_at_most_the_fixed_parity() {
        assert!(Layout::new(3, 5).is_ok() && Layout::new(1, 1).is_ok());
        for (k, n) in [(0, 1), (3, 2), (3, 3 + PARITY_MAX + 1), (65, 66)] {
            assert!(Layout::new(k, n).is_err(), "{k} of {n}");
        }
    }
}
