//! A holder's key for signing messages, and its public half with a name and a place.

use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use zeroize::Zeroizing;

use super::wire::{Armor, Malformed, Reader, Writer};
use crate::random::{Random, RandomError};

const KEY: &[u8] = b"evenkeel group holder key 1";
const ENROLMENT: &[u8] = b"evenkeel group enrolment 1";
const WHAT: &str = "the enrolment";

/// A holder's secret: it signs every message of the holder.
pub struct HolderKey(Box<SigningKey>);

impl HolderKey {
    /// Title of its file.
    pub const ARMOR: Armor = Armor("EVENKEEL-GROUP-HOLDER-KEY-1");

    /// A new one.
    ///
    /// # Errors
    /// [`RandomError`].
    pub fn generate(random: &mut dyn Random) -> Result<Self, RandomError> {
        let mut seed = Zeroizing::new([0; 32]);
        random.fill(seed.as_mut_slice())?;
        Ok(Self(Box::new(SigningKey::from_bytes(&seed))))
    }

    /// Its bytes, to be kept.
    #[must_use]
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(Writer::of(KEY).fixed(&self.0.to_bytes()).done())
    }

    /// From the bytes that were kept.
    ///
    /// # Errors
    /// [`Malformed`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::of(bytes, KEY, "the holder's key")?;
        let seed = Zeroizing::new(reader.array()?);
        reader.end()?;
        Ok(Self(Box::new(SigningKey::from_bytes(&seed))))
    }

    /// The public half.
    #[must_use]
    pub fn public(&self) -> [u8; 32] {
        self.0.verifying_key().to_bytes()
    }

    pub(super) fn sign(&self, bytes: &[u8]) -> [u8; 64] {
        self.0.sign(bytes).to_bytes()
    }

    /// What others need to know of this holder, signed by it.
    #[must_use]
    pub fn enrol(&self, name: &str, place: &str) -> Enrolment {
        let (name, place) = (name.to_owned(), place.to_owned());
        let mut enrolment = Enrolment { name, place, key: self.public(), signature: [0; 64] };
        enrolment.signature = self.sign(&enrolment.signed());
        enrolment
    }
}

pub(super) fn verify(key: &[u8; 32], bytes: &[u8], signature: &[u8; 64]) -> bool {
    VerifyingKey::from_bytes(key)
        .is_ok_and(|key| key.verify_strict(bytes, &Signature::from_bytes(signature)).is_ok())
}

/// Who a holder is: no secret, to be given to whoever makes the plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enrolment {
    /// The holder's name.
    pub name: String,
    /// Where the share will be kept.
    pub place: String,
    /// Public key of its messages.
    pub key: [u8; 32],
    signature: [u8; 64],
}

impl Enrolment {
    /// Title of its file.
    pub const ARMOR: Armor = Armor("EVENKEEL-GROUP-ENROLMENT-1");

    fn signed(&self) -> Vec<u8> {
        let mut writer = Writer::of(ENROLMENT);
        writer.bytes(self.name.as_bytes()).bytes(self.place.as_bytes()).fixed(&self.key);
        writer.done()
    }

    /// Its canonical bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = self.signed();
        bytes.extend_from_slice(&self.signature);
        bytes
    }

    /// From bytes; the signature is checked.
    ///
    /// # Errors
    /// [`Malformed`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::of(bytes, ENROLMENT, WHAT)?;
        let (name, place) = (reader.text()?, reader.text()?);
        let (key, signature) = (reader.array()?, reader.array()?);
        reader.end()?;
        let enrolment = Self { name, place, key, signature };
        let genuine = verify(&key, &enrolment.signed(), &signature);
        if genuine { Ok(enrolment) } else { Err(Malformed(WHAT)) }
    }
}
