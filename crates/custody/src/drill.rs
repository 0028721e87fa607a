//! Drills: the holder of one card proves alone that its words are still the ones that were dealt.
//!
//! At the split a key is derived from every card and its public half recorded. A drill signs a
//! fresh challenge with the key that the words give now. It shows that the words are
//! unchanged; that the cards recombine was shown at the split. Nothing that helps to guess a card
//! leaves: the value behind a public key has 128 bits or more.
//!
//! ```text
//! drill key = Ed25519 of HKDF-SHA256(salt: "evenkeel card drill 1", input: header and value)
//! signed    = "evenkeel card drill 1" ‖ header (8) ‖ length (4) ‖ challenge
//! ```

use aws_lc_rs::hkdf;
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use zeroize::Zeroizing;

use crate::slip39::Share;

const LABEL: &[u8] = b"evenkeel card drill 1";
/// Bytes of a public drill key.
pub const PUBLIC_BYTES: usize = 32;
/// Bytes of an answer.
pub const ANSWER_BYTES: usize = 64;
/// A challenge has at least so many bytes, or it may have been asked before.
pub const CHALLENGE_BYTES_MIN: usize = 16;
/// A challenge has at most so many bytes.
pub const CHALLENGE_BYTES_MAX: usize = 1_024;

/// Why a drill could not be held or proves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Too short to be fresh, or too long.
    #[error("a challenge has {CHALLENGE_BYTES_MIN} to {CHALLENGE_BYTES_MAX} bytes, not {0}")]
    ChallengeBytes(usize),
    /// The card is not the one that was recorded, or not this challenge was answered.
    #[error("the answer is not by the card that was recorded: its words have changed")]
    NotThisCard,
    /// The record holds something that is no key.
    #[error("the recorded drill key is damaged")]
    Record,
    /// Key derivation failed, which it does not for these lengths.
    #[error("no key could be derived")]
    Derivation,
}

/// Key material of 32 bytes.
struct KeyBytes;

impl hkdf::KeyType for KeyBytes {
    fn len(&self) -> usize {
        32
    }
}

fn signing_key(card: &Share) -> Result<SigningKey, Error> {
    let material = card.material();
    let extracted = hkdf::Salt::new(hkdf::HKDF_SHA256, LABEL).extract(&material);
    let header = card.header_bytes();
    let mut bytes = Zeroizing::new([0; 32]);
    extracted
        .expand(&[header.as_slice()], KeyBytes)
        .and_then(|key| key.fill(bytes.as_mut_slice()))
        .map_err(|_| Error::Derivation)?;
    Ok(SigningKey::from_bytes(&bytes))
}

fn message(header: &[u8; 8], challenge: &[u8]) -> Result<Vec<u8>, Error> {
    let bytes = challenge.len();
    if !(CHALLENGE_BYTES_MIN..=CHALLENGE_BYTES_MAX).contains(&bytes) {
        return Err(Error::ChallengeBytes(bytes));
    }
    let count = u32::try_from(bytes).map_err(|_| Error::ChallengeBytes(bytes))?;
    Ok([LABEL, header, &count.to_be_bytes(), challenge].concat())
}

/// The public half of a card's drill key, to be recorded when it is dealt.
///
/// # Errors
/// [`Error::Derivation`].
pub fn public_key(card: &Share) -> Result<[u8; PUBLIC_BYTES], Error> {
    Ok(signing_key(card)?.verifying_key().to_bytes())
}

/// A card's answer to a challenge.
///
/// # Errors
/// [`Error::ChallengeBytes`] and [`Error::Derivation`].
pub fn answer(card: &Share, challenge: &[u8]) -> Result<[u8; ANSWER_BYTES], Error> {
    let message = message(&card.header_bytes(), challenge)?;
    Ok(signing_key(card)?.sign(&message).to_bytes())
}

/// Whether an answer is by the card that was recorded. The header says which card that is
/// ([`Share::header_bytes`]).
///
/// # Errors
/// [`Error::NotThisCard`], [`Error::Record`] and [`Error::ChallengeBytes`].
pub fn check(
    public_key: &[u8; PUBLIC_BYTES],
    header: &[u8; 8],
    challenge: &[u8],
    answer: &[u8; ANSWER_BYTES],
) -> Result<(), Error> {
    let key = VerifyingKey::from_bytes(public_key).map_err(|_| Error::Record)?;
    let message = message(header, challenge)?;
    key.verify_strict(&message, &Signature::from_bytes(answer)).map_err(|_| Error::NotThisCard)
}
