//! The vectors of Project Wycheproof, through the very functions that this crate calls.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "../../custody/tests/wycheproof/reader.rs"]
mod reader;

use reader::{hex, judge, valid};

use crate::hpke::{mac, open_aead};
use crate::key::{Kind, Public};
use crate::sign::finish;

#[test]
fn chacha20_poly1305_of_key_objects() {
    judge("chacha20_poly1305", |_, test| {
        let Ok(nonce) = hex(&test["iv"]).try_into() else {
            return Err("another nonce than one of 96 bits");
        };
        let key: [u8; 32] = hex(&test["key"]).try_into().unwrap();
        let sealed = [hex(&test["ct"]), hex(&test["tag"])].concat();
        let opened = open_aead(&key, nonce, &hex(&test["aad"]), &sealed);
        Ok(opened.is_some_and(|plain| plain[..] == hex(&test["msg"])[..]) == valid(test))
    });
}

#[test]
fn hmac_sha256_of_hpke() {
    judge("hmac_sha256", |_, test| {
        let made = mac(&hex(&test["key"]), &[&hex(&test["msg"])]);
        Ok(made.starts_with(&hex(&test["tag"])) == valid(test))
    });
}

#[test]
fn ecdsa_on_secp256k1_of_what_a_token_signed() {
    judge("ecdsa_secp256k1_sha256_p1363", |group, test| {
        use sha2::Digest as _;
        let point = hex(&group["publicKey"]["uncompressed"]);
        let public = Public::read(Kind::Secp256k1, &point).unwrap();
        let digest = sha2::Sha256::digest(hex(&test["msg"]));
        let done = finish("vectors", &public, &digest, &hex(&test["sig"]));
        Ok(done.is_ok() == valid(test))
    });
}

#[test]
fn ed25519_of_what_a_token_signed() {
    judge("ed25519", |group, test| {
        let Some(public) = Public::read(Kind::Ed25519, &hex(&group["publicKey"]["pk"])) else {
            return Ok(!valid(test));
        };
        let done = finish("vectors", &public, &hex(&test["msg"]), &hex(&test["sig"]));
        Ok(done.is_ok() == valid(test))
    });
}
