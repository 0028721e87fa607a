//! What every symbol begins and ends with, and which kinds there are.
//!
//! ```text
//! "EVS1" ‖ kind (1) ‖ generation (4) ‖ content of the kind ‖ check (8)
//! kind  1 words of SLIP-39, 2 sentence of BIP-39, 3 part of a sealed payload
//! check first 8 bytes of SHA-256( "evenkeel sheet symbol 1" ‖ all before it )
//! ```

use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::card::{Card, Scheme};
use super::codec::Reader;
use super::sealed::Part;

const MAGIC: &[u8; 4] = b"EVS1";
/// Bytes of the check.
pub(super) const CHECK_BYTES: usize = 8;
/// Bytes before the content.
pub(super) const HEAD_BYTES: usize = 4 + 1 + 4;
/// The kind of parts of sealed payloads.
pub(super) const SEALED: u8 = 3;
/// Room for the longest symbol, so that no copy of a secret is left behind by growing.
const ROOM_BYTES: usize = 512;

/// Why bytes are no symbol of a sheet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PayloadError {
    /// Of something else.
    #[error("this symbol is not of a sheet")]
    Foreign,
    /// Cut off or changed.
    #[error("this symbol is damaged: its check does not hold")]
    Check,
    /// By a later version of the format, or by somebody who does not keep to it.
    #[error("this symbol is whole, but not of a kind that is read here")]
    Unknown,
}

/// What a symbol says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Payload {
    /// Words.
    Card(Card),
    /// A part of a sealed payload.
    Part(Part),
}

impl Payload {
    /// Whether bytes are whole, without looking at what they say.
    #[must_use]
    pub fn holds(bytes: &[u8]) -> bool {
        let Some(at) = bytes.len().checked_sub(CHECK_BYTES) else {
            return false;
        };
        let (content, check) = bytes.split_at(at);
        content.starts_with(MAGIC) && evenkeel_custody::same_bytes(check, &of(content))
    }

    /// Reads a symbol's bytes.
    ///
    /// # Errors
    /// [`PayloadError`].
    pub fn read(bytes: &[u8]) -> Result<Self, PayloadError> {
        if !bytes.starts_with(MAGIC) {
            return Err(PayloadError::Foreign);
        }
        if !Self::holds(bytes) {
            return Err(PayloadError::Check);
        }
        let (content, _) = bytes.split_at(bytes.len().saturating_sub(CHECK_BYTES));
        Self::content(content).ok_or(PayloadError::Unknown)
    }

    fn content(content: &[u8]) -> Option<Self> {
        let mut reader = Reader(content);
        reader.take(MAGIC.len())?;
        let (kind, generation) = (reader.byte()?, reader.four()?);
        let read = match kind {
            1 => Self::Card(Card::read(Scheme::Slip39, generation, &mut reader)?),
            2 => Self::Card(Card::read(Scheme::Bip39, generation, &mut reader)?),
            SEALED => Self::Part(Part::read(generation, &mut reader)?),
            _ => return None,
        };
        reader.0.is_empty().then_some(read)
    }
}

fn of(content: &[u8]) -> [u8; CHECK_BYTES] {
    let mut hash = Sha256::new();
    hash.update(b"evenkeel sheet symbol 1");
    hash.update(content);
    let mut check = [0; CHECK_BYTES];
    check.iter_mut().zip(hash.finalize()).for_each(|(own, byte)| *own = byte);
    check
}

pub(super) fn begin(kind: u8, generation: u32) -> Zeroizing<Vec<u8>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(ROOM_BYTES));
    bytes.extend(MAGIC);
    bytes.push(kind);
    bytes.extend(generation.to_be_bytes());
    bytes
}

pub(super) fn end(bytes: &mut Vec<u8>) {
    let check = of(bytes);
    bytes.extend(check);
}
