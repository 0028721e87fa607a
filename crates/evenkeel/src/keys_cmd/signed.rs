//! Documents that carry their own Ed25519 signature: key and signature are two of their fields.

use ed25519_dalek::{Signature, VerifyingKey};

use crate::keyfile::unhex;

/// Whether the fields of a document, in hexadecimal digits, sign these bytes of it.
pub(super) fn holds(public_key_hex: &str, signature_hex: &str, bytes: &[u8]) -> bool {
    let key = unhex(public_key_hex).and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
    let key = key.and_then(|bytes| VerifyingKey::from_bytes(&bytes).ok());
    let signature = unhex(signature_hex).and_then(|bytes| Signature::from_slice(&bytes).ok());
    key.zip(signature).is_some_and(|(key, it)| key.verify_strict(bytes, &it).is_ok())
}
