//! The key of the host that a decryption is for.

use std::fmt;

use zeroize::Zeroizing;

use super::super::seal::{self, BoxKey};
use super::super::wire::{Armor, Malformed, Reader, Writer};
use crate::random::{Random, RandomError};

const LABEL: &[u8] = b"evenkeel group target key 1";

/// The X25519 secret of whoever asks, made for one request: the holders' parts are sealed for it.
pub struct TargetKey(pub(super) BoxKey);

impl TargetKey {
    /// Title of its file.
    pub const ARMOR: Armor = Armor("EVENKEEL-GROUP-TARGET-KEY-1");

    /// A new one.
    ///
    /// # Errors
    /// [`RandomError`].
    pub fn generate(random: &mut dyn Random) -> Result<Self, RandomError> {
        let mut key = Zeroizing::new([0; 32]);
        random.fill(key.as_mut_slice())?;
        Ok(Self(key))
    }

    /// Its bytes, to be kept until the parts are there.
    #[must_use]
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(Writer::of(LABEL).fixed(self.0.as_slice()).done())
    }

    /// From the bytes that were kept.
    ///
    /// # Errors
    /// [`Malformed`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::of(bytes, LABEL, "the target's key")?;
        let key = Zeroizing::new(reader.array()?);
        reader.end()?;
        Ok(Self(key))
    }

    /// The public half; `None` if the machine's library fails.
    #[must_use]
    pub fn public(&self) -> Option<[u8; 32]> {
        seal::public(&self.0)
    }
}

impl fmt::Debug for TargetKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TargetKey(withheld)")
    }
}
