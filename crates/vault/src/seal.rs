//! AES-256-GCM under keys derived for one salt each (HKDF-SHA-256), and zstd around it.
//!
//! A key is derived from the period key and a fresh 32-byte salt per sealing (a pack, or a
//! record's body), so a nonce only has to be unique within one of them: it is the slot number.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Salt};
use zeroize::Zeroizing;

use crate::error::{Error, Result};

/// Bytes that sealing adds: the authentication tag.
pub(crate) const TAG_BYTES: usize = 16;
/// Bytes of a salt.
pub(crate) const SALT_BYTES: usize = 32;
/// Default compression level: level 3 costs half the speed for a few per cent.
pub(crate) const ZSTD_LEVEL: i32 = 1;

/// What a sealing key is for; part of its derivation, so that one cannot stand for another.
#[derive(Clone, Copy)]
pub(crate) enum Use {
    Pack,
    Body,
}

impl Use {
    fn info(self) -> &'static [u8] {
        match self {
            Self::Pack => b"evenkeel vault pack v1",
            Self::Body => b"evenkeel vault body v1",
        }
    }
}

/// Which of a key's nonces: chunks count up from 0; the pack's index has its own space.
#[derive(Clone, Copy)]
pub(crate) enum Slot {
    Chunk(u32),
    Index,
    Body,
}

impl Slot {
    fn nonce(self) -> Nonce {
        let (space, number) = match self {
            Self::Chunk(number) => (0, number),
            Self::Index => (1, 0),
            Self::Body => (2, 0),
        };
        let mut bytes = [0; 12];
        bytes[0] = space;
        bytes[8..].copy_from_slice(&number.to_be_bytes());
        Nonce::assume_unique_for_key(bytes)
    }
}

/// Key of one sealing.
pub(crate) struct SealingKey(LessSafeKey);

struct KeyBytes;

impl KeyType for KeyBytes {
    fn len(&self) -> usize {
        32
    }
}

/// HKDF-SHA-256 (RFC 5869), of which 32 bytes are wanted.
fn expand(secret: &[u8], salt: &[u8], info: &[u8]) -> Zeroizing<[u8; 32]> {
    let mut key = Zeroizing::new([0_u8; 32]);
    let prk = Salt::new(HKDF_SHA256, salt).extract(secret);
    match prk.expand(&[info], KeyBytes).and_then(|okm| okm.fill(key.as_mut_slice())) {
        Ok(()) => key,
        Err(_) => unreachable!("32 bytes are within HKDF's limit"),
    }
}

impl SealingKey {
    pub(crate) fn derive(period_key: &[u8; 32], salt: &[u8; SALT_BYTES], usage: Use) -> Self {
        Self::new(&expand(period_key, salt, usage.info()))
    }

    fn new(key: &[u8; 32]) -> Self {
        match UnboundKey::new(&AES_256_GCM, key) {
            Ok(key) => Self(LessSafeKey::new(key)),
            Err(_) => unreachable!("AES-256 has keys of 32 bytes"),
        }
    }

    pub(crate) fn seal(&self, slot: Slot, aad: &[u8], mut bytes: Vec<u8>) -> Result<Vec<u8>> {
        self.0.seal_in_place_append_tag(slot.nonce(), Aad::from(aad), &mut bytes).map_err(
            |_| Error::EncodeCheck { stage: "encryption", detail: "AES-256-GCM failed".to_owned() },
        )?;
        Ok(bytes)
    }

    /// `None` if the bytes are not what was sealed with this key, slot and `aad`.
    pub(crate) fn open(&self, slot: Slot, aad: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
        self.open_at(slot.nonce(), aad, sealed)
    }

    fn open_at(&self, nonce: Nonce, aad: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
        let (cipher, tag) = sealed.split_at_checked(sealed.len().checked_sub(TAG_BYTES)?)?;
        let mut plain = vec![0; cipher.len()];
        self.0.open_separate_gather(nonce, Aad::from(aad), cipher, tag, &mut plain).ok()?;
        Some(plain)
    }
}

/// Compresses with one level of zstd.
pub(crate) struct Compressor(zstd::bulk::Compressor<'static>);

impl Compressor {
    pub(crate) fn new(level: i32) -> Result<Self> {
        zstd::bulk::Compressor::new(level).map(Self).map_err(codec)
    }

    /// Goes on with another level.
    pub(crate) fn set_level(&mut self, level: i32) -> Result<()> {
        self.0.set_compression_level(level).map_err(codec)
    }

    pub(crate) fn compress(&mut self, bytes: &[u8]) -> Result<Vec<u8>> {
        self.0.compress(bytes).map_err(codec)
    }
}

/// Decompresses into exactly the length that was promised.
pub(crate) struct Decompressor(zstd::bulk::Decompressor<'static>);

impl Decompressor {
    pub(crate) fn new() -> Result<Self> {
        zstd::bulk::Decompressor::new().map(Self).map_err(codec)
    }

    /// `None` if the bytes are no frame, or one of another length.
    pub(crate) fn decompress(&mut self, bytes: &[u8], length_bytes: usize) -> Option<Vec<u8>> {
        let plain = self.0.decompress(bytes, length_bytes).ok()?;
        (plain.len() == length_bytes).then_some(plain)
    }
}

#[expect(clippy::needless_pass_by_value, reason = "shape of map_err")]
fn codec(error: std::io::Error) -> Error {
    Error::EncodeCheck { stage: "compression", detail: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sealed_bytes_open_only_with_their_own_key_slot_and_context() {
        let key = SealingKey::derive(&[1; 32], &[2; 32], Use::Pack);
        let sealed = key.seal(Slot::Chunk(5), b"context", b"bytes".to_vec()).unwrap();
        assert_eq!(key.open(Slot::Chunk(5), b"context", &sealed).unwrap(), b"bytes");
        assert!(key.open(Slot::Chunk(6), b"context", &sealed).is_none());
        assert!(key.open(Slot::Index, b"context", &sealed).is_none());
        assert!(key.open(Slot::Chunk(5), b"other", &sealed).is_none());
        for other in [
            SealingKey::derive(&[1; 32], &[3; 32], Use::Pack),
            SealingKey::derive(&[9; 32], &[2; 32], Use::Pack),
            SealingKey::derive(&[1; 32], &[2; 32], Use::Body),
        ] {
            assert!(other.open(Slot::Chunk(5), b"context", &sealed).is_none());
        }
        assert!(key.open(Slot::Chunk(5), b"context", &sealed[..15]).is_none());
    }

    #[test]
    fn a_frame_of_another_length_is_refused() {
        let frame = Compressor::new(ZSTD_LEVEL).unwrap().compress(&[7; 1000]).unwrap();
        let mut decompressor = Decompressor::new().unwrap();
        assert_eq!(decompressor.decompress(&frame, 1000).unwrap(), vec![7; 1000]);
        assert!(decompressor.decompress(&frame, 999).is_none());
        assert!(decompressor.decompress(&frame, 1001).is_none());
        assert!(decompressor.decompress(b"garbage", 10).is_none());
    }
}

#[cfg(test)]
mod wycheproof;
