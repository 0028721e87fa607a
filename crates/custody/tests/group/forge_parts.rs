//! A holder's answer to a request for a decryption, as a program of its own would make it.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::agreement::{PrivateKey, UnparsedPublicKey, X25519, agree};
use evenkeel_custody::group::decrypt::TargetKey;
use evenkeel_custody::group::{HolderKey, Message};

use crate::forge::{body, hkdf32, with_body};

fn partial_cipher(secret: &[u8; 32], other: &[u8; 32], ends: [&[u8]; 2], at: &[u8]) -> LessSafeKey {
    let key = PrivateKey::from_private_key(&X25519, secret).unwrap();
    let key = agree(&key, UnparsedPublicKey::new(&X25519, other), (), |shared| {
        Ok(hkdf32(shared, b"evenkeel group packet 1", &[ends[0], ends[1], at]))
    });
    LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &key.unwrap()).unwrap())
}

fn partial_context(message: &Message) -> Vec<u8> {
    let from = message.from.to_be_bytes();
    [b"evenkeel group partial packet 1".as_slice(), &message.session, &from].concat()
}

fn secret_of(target: &TargetKey) -> [u8; 32] {
    let kept = target.to_bytes();
    kept[kept.len() - 32..].try_into().unwrap()
}

/// The parts in a holder's answer, as the target reads them.
pub fn parts(message: &Message, target: &TargetKey) -> Vec<u8> {
    let body = body(message);
    let body = &body[b"partial 1".len()..];
    let from: [u8; 32] = body[..32].try_into().unwrap();
    let (to, at) = (target.public().unwrap(), partial_context(message));
    let cipher = partial_cipher(&secret_of(target), &from, [&from, &to], &at);
    let mut packet = body[36..].to_vec();
    let nonce = Nonce::assume_unique_for_key([0; 12]);
    cipher.open_in_place(nonce, Aad::from(at), &mut packet).unwrap().to_vec()
}

/// The answer with other parts, rightly sealed and signed.
pub fn with_parts(message: &Message, parts: &[u8], target: &TargetKey, key: &HolderKey) -> Message {
    let own = PrivateKey::from_private_key(&X25519, &[7; 32]).unwrap();
    let from = own.compute_public_key().unwrap();
    let (to, at) = (target.public().unwrap(), partial_context(message));
    let cipher = partial_cipher(&[7; 32], &to, [from.as_ref(), &to], &at);
    let mut packet = parts.to_vec();
    let nonce = Nonce::assume_unique_for_key([0; 12]);
    cipher.seal_in_place_append_tag(nonce, Aad::from(at), &mut packet).unwrap();
    let length = u32::try_from(packet.len()).unwrap().to_be_bytes();
    let body = [b"partial 1".as_slice(), from.as_ref(), &length, &packet].concat();
    with_body(message, &body, key)
}
