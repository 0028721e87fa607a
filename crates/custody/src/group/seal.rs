//! Packets for one receiver: X25519 (RFC 7748), HKDF-SHA256 (RFC 5869), AES-256-GCM.
//!
//! Each receiver makes a key pair for every dealer of a ceremony, and each dealer one for every
//! receiver. So to open one packet to everybody is to open that one and no other.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::agreement::{PrivateKey, UnparsedPublicKey, X25519, agree};
use aws_lc_rs::hkdf;
use zeroize::Zeroizing;

/// The secret half of a packet's key.
pub(crate) type BoxKey = Zeroizing<[u8; 32]>;

struct Bytes32;

impl hkdf::KeyType for Bytes32 {
    fn len(&self) -> usize {
        32
    }
}

pub(crate) fn expand(secret: &[u8], salt: &[u8], info: &[&[u8]]) -> Option<BoxKey> {
    let mut key = Zeroizing::new([0; 32]);
    let extracted = hkdf::Salt::new(hkdf::HKDF_SHA256, salt).extract(secret);
    extracted.expand(info, Bytes32).ok()?.fill(key.as_mut_slice()).ok()?;
    Some(key)
}

/// The key pair of one packet, drawn of a seed.
pub(super) fn drawn(
    seed: &[u8; 32],
    session: &[u8; 32],
    role: &[u8],
    other: u16,
) -> Option<BoxKey> {
    expand(seed, b"evenkeel group box 1", &[session, role, &other.to_be_bytes()])
}

/// The public half.
pub(super) fn public(key: &BoxKey) -> Option<[u8; 32]> {
    let key = PrivateKey::from_private_key(&X25519, key.as_slice()).ok()?;
    key.compute_public_key().ok()?.as_ref().try_into().ok()
}

/// Whether anything can be sent to a public key: points of small order are refused.
pub(super) fn usable(public: &[u8; 32]) -> bool {
    shared(&Zeroizing::new([9; 32]), public).is_some()
}

pub(crate) fn shared(key: &BoxKey, other: &[u8; 32]) -> Option<BoxKey> {
    let key = PrivateKey::from_private_key(&X25519, key.as_slice()).ok()?;
    agree(&key, UnparsedPublicKey::new(&X25519, other), (), |secret| {
        let mut bytes = Zeroizing::new([0; 32]);
        for (to, from) in bytes.iter_mut().zip(secret) {
            *to = *from;
        }
        Ok(bytes)
    })
    .ok()
}

/// One key for one packet in one context, hence the nonce of zeros.
fn cipher(
    key: &BoxKey,
    other: &[u8; 32],
    (from, to): (&[u8; 32], &[u8; 32]),
    context: &[u8],
) -> Option<LessSafeKey> {
    let shared = shared(key, other)?;
    let key = expand(shared.as_slice(), b"evenkeel group packet 1", &[from, to, context])?;
    UnboundKey::new(&AES_256_GCM, key.as_slice()).ok().map(LessSafeKey::new)
}

fn nonce() -> Nonce {
    Nonce::assume_unique_for_key([0; NONCE_LEN])
}

/// Seals `secret` for the holder of `to`'s secret half.
pub(super) fn seal(key: &BoxKey, to: &[u8; 32], context: &[u8], secret: &[u8]) -> Option<Vec<u8>> {
    let from = public(key)?;
    let mut packet = Vec::with_capacity(secret.len() + 16);
    packet.extend_from_slice(secret);
    let cipher = cipher(key, to, (&from, to), context)?;
    cipher.seal_in_place_append_tag(nonce(), Aad::from(context), &mut packet).ok()?;
    Some(packet)
}

/// Opens what [`seal`] sealed; `None` if it is not that.
pub(super) fn open(
    key: &BoxKey,
    from: &[u8; 32],
    context: &[u8],
    packet: &[u8],
) -> Option<Zeroizing<Vec<u8>>> {
    let to = public(key)?;
    let mut packet = Zeroizing::new(packet.to_vec());
    let cipher = cipher(key, from, (from, &to), context)?;
    let bytes = cipher.open_in_place(nonce(), Aad::from(context), &mut packet).ok()?.len();
    packet.truncate(bytes);
    Some(packet)
}
