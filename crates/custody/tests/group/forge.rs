//! Messages as a holder with a program of its own would make them: bytes by the description of the
//! format, and the holder's own signature.

use std::collections::BTreeMap;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::agreement::{PrivateKey, UnparsedPublicKey, X25519, agree};
use aws_lc_rs::hkdf;
use ed25519_dalek::{Signer, SigningKey};
use evenkeel_custody::group::{HolderKey, Kind, Message, Seed};
use sha2::{Digest, Sha256};

const LABEL: &[u8] = b"evenkeel group message 1";
const BODY_AT: usize = 24 + 1 + 32 + 4 + 2 + 4;

pub fn body(message: &Message) -> Vec<u8> {
    let bytes = message.to_bytes();
    bytes[BODY_AT..bytes.len() - 64].to_vec()
}

pub fn message(
    kind: Kind,
    session: &[u8; 32],
    generation: u32,
    from: u16,
    body: &[u8],
    key: &HolderKey,
) -> Message {
    let code: u8 = match kind {
        Kind::Opening => 1,
        Kind::Agreement => 2,
        Kind::Deal => 3,
        Kind::Complaint => 4,
        Kind::Acknowledgement => 5,
        Kind::Commitment => 6,
        Kind::SignatureShare => 7,
        Kind::Partial => 8,
    };
    let length = u32::try_from(body.len()).unwrap();
    let mut bytes = [
        LABEL,
        &[code],
        session,
        &generation.to_be_bytes(),
        &from.to_be_bytes(),
        &length.to_be_bytes(),
        body,
    ]
    .concat();
    let kept = key.to_bytes();
    let secret: [u8; 32] = kept[kept.len() - 32..].try_into().unwrap();
    bytes.extend(SigningKey::from_bytes(&secret).sign(&bytes).to_bytes());
    Message::from_bytes(&bytes).unwrap()
}

pub fn with_body(old: &Message, body: &[u8], key: &HolderKey) -> Message {
    message(old.kind, &old.session, old.generation, old.from, body, key)
}

pub fn with_generation(old: &Message, generation: u32, key: &HolderKey) -> Message {
    message(old.kind, &old.session, generation, old.from, &body(old), key)
}

pub fn hkdf32(secret: &[u8], salt: &[u8], info: &[&[u8]]) -> [u8; 32] {
    struct Bytes32;
    impl hkdf::KeyType for Bytes32 {
        fn len(&self) -> usize {
            32
        }
    }
    let mut key = [0; 32];
    let extracted = hkdf::Salt::new(hkdf::HKDF_SHA256, salt).extract(secret);
    extracted.expand(info, Bytes32).unwrap().fill(&mut key).unwrap();
    key
}

/// The hash of the openings that all agreed on.
pub fn transcript(table: &[Message]) -> [u8; 32] {
    let mut openings = BTreeMap::new();
    for message in table.iter().filter(|message| message.kind == Kind::Opening) {
        openings.insert(message.from, Sha256::digest(message.to_bytes()));
    }
    let mut seen = Vec::new();
    for (from, hash) in openings {
        seen.extend(from.to_be_bytes());
        seen.extend(hash);
    }
    Sha256::digest(seen).into()
}

fn context(session: &[u8; 32], transcript: &[u8; 32], dealer: u16, to: u16) -> Vec<u8> {
    let ends = [dealer.to_be_bytes(), to.to_be_bytes()].concat();
    [b"evenkeel group packet 1".as_slice(), session, transcript, &ends].concat()
}

/// A deal in which the packet to `to` holds `share`, rightly sealed.
pub fn deal_with(
    deal: &Message,
    to: u16,
    share: &[u8; 32],
    table: &[Message],
    key: &HolderKey,
) -> Message {
    let opening = table.iter().find(|it| it.kind == Kind::Opening && it.from == to).unwrap();
    let opening = body(opening);
    // The keys for packets are last: number and key of each dealer.
    let keys = opening.rchunks_exact(34).find(|it| it[..2] == deal.from.to_be_bytes()).unwrap();
    let their_key: [u8; 32] = keys[2..].try_into().unwrap();
    let own = PrivateKey::from_private_key(&X25519, &[7; 32]).unwrap();
    let public = own.compute_public_key().unwrap();
    let context = context(&deal.session, &transcript(table), deal.from, to);
    let secret = agree(&own, UnparsedPublicKey::new(&X25519, their_key), (), |secret| {
        Ok(hkdf32(secret, b"evenkeel group packet 1", &[public.as_ref(), &their_key, &context]))
    })
    .unwrap();
    let cipher = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &secret).unwrap());
    let mut sealed = share.to_vec();
    let nonce = Nonce::assume_unique_for_key([0; 12]);
    cipher.seal_in_place_append_tag(nonce, Aad::from(context), &mut sealed).unwrap();

    let mut changed = body(deal);
    let head = b"deal 1".len() + 2;
    let packet = changed[head..].chunks_mut(2 + 32 + 48).find(|it| it[..2] == to.to_be_bytes());
    packet.unwrap()[2..].copy_from_slice(&[public.as_ref(), &sealed].concat());
    with_body(deal, &changed, key)
}

/// A complaint about a packet, with the key that opens it, drawn of the complainer's own seed.
pub fn complaint(deal: &Message, from: u16, seed: &Seed, key: &HolderKey) -> Message {
    let kept = seed.to_bytes();
    let secret = &kept[kept.len() - 32..];
    let info: [&[u8]; 3] = [&deal.session, b"receiver", &deal.from.to_be_bytes()];
    let opens = hkdf32(secret, b"evenkeel group box 1", &info);
    let bytes = deal.to_bytes();
    let length = u32::try_from(bytes.len()).unwrap().to_be_bytes();
    let body = [b"complaint 1".as_slice(), &opens, &length, &bytes].concat();
    message(Kind::Complaint, &deal.session, deal.generation, from, &body, key)
}
