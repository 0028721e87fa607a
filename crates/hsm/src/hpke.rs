//! The receiving half of HPKE's base mode (RFC 9180) with DHKEM(P-256, HKDF-SHA256), HKDF-SHA256
//! and ChaCha20-Poly1305, where the Diffie-Hellman value comes from a token.

use aws_lc_rs::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::hmac;
use zeroize::Zeroizing;

/// `"KEM" ‖ I2OSP(0x0010, 2)`
const KEM_SUITE: &[u8] = b"KEM\x00\x10";
/// `"HPKE" ‖ kem 0x0010 ‖ kdf 0x0001 ‖ aead 0x0003`
const HPKE_SUITE: &[u8] = b"HPKE\x00\x10\x00\x01\x00\x03";

type Block = Zeroizing<[u8; 32]>;

pub(crate) fn mac(key: &[u8], parts: &[&[u8]]) -> Block {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    let mut context = hmac::Context::with_key(&key);
    parts.iter().for_each(|part| context.update(part));
    let mut block = Zeroizing::new([0; 32]);
    block.iter_mut().zip(context.sign().as_ref()).for_each(|(to, from)| *to = *from);
    block
}

/// `LabeledExtract`
fn extract(suite: &[u8], salt: &[u8], label: &str, input: &[u8]) -> Block {
    mac(salt, &[b"HPKE-v1", suite, label.as_bytes(), input])
}

/// `LabeledExpand`, for at most the 32 bytes of one block.
fn expand(suite: &[u8], key: &[u8], label: &str, info: &[u8], length_bytes: u8) -> Block {
    mac(key, &[&[0, length_bytes], b"HPKE-v1", suite, label.as_bytes(), info, &[1]])
}

/// Opens what was sealed to a public key, of which the token made `shared` (the x coordinate) with
/// `encapsulated`. Both points are uncompressed.
pub(crate) fn open(
    shared: &[u8; 32],
    encapsulated: &[u8; 65],
    recipient: &[u8; 65],
    info: &[u8],
    sealed: &[u8],
) -> Option<Zeroizing<Vec<u8>>> {
    let context = [&encapsulated[..], &recipient[..]].concat();
    let extracted = extract(KEM_SUITE, b"", "eae_prk", shared);
    let kem = expand(KEM_SUITE, &extracted[..], "shared_secret", &context, 32);
    let no_psk = extract(HPKE_SUITE, b"", "psk_id_hash", b"");
    let info = extract(HPKE_SUITE, b"", "info_hash", info);
    let schedule = [&[0][..], &no_psk[..], &info[..]].concat();
    let secret = extract(HPKE_SUITE, &kem[..], "secret", b"");
    let key = expand(HPKE_SUITE, &secret[..], "key", &schedule, 32);
    let nonce = expand(HPKE_SUITE, &secret[..], "base_nonce", &schedule, 12);
    let nonce: [u8; 12] = nonce.get(..12)?.try_into().ok()?;
    open_aead(&key, nonce, b"", sealed)
}

/// ChaCha20-Poly1305 (RFC 8439).
pub(crate) fn open_aead(
    key: &[u8; 32],
    nonce: [u8; 12],
    aad: &[u8],
    sealed: &[u8],
) -> Option<Zeroizing<Vec<u8>>> {
    let key = LessSafeKey::new(UnboundKey::new(&CHACHA20_POLY1305, key).ok()?);
    let mut plain = Zeroizing::new(sealed.to_vec());
    let nonce = Nonce::assume_unique_for_key(nonce);
    let length = key.open_in_place(nonce, Aad::from(aad), &mut plain).ok()?.len();
    plain.truncate(length);
    Some(plain)
}
