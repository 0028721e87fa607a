//! The vectors of Project Wycheproof, through the very functions that this crate calls.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "../../../custody/tests/wycheproof/reader.rs"]
mod reader;

use reader::{hex, judge, valid};

use super::{SealingKey, expand};
use crate::certificate::RootPublicKey;
use aws_lc_rs::aead::Nonce;

#[test]
fn aes_256_gcm_of_packs_and_bodies() {
    judge("aes_gcm", |group, test| {
        if group["keySize"] != 256 {
            return Err("another key size than 256 bits");
        }
        let Ok(nonce) = Nonce::try_assume_unique_for_key(&hex(&test["iv"])) else {
            return Err("another nonce than one of 96 bits");
        };
        let key: [u8; 32] = hex(&test["key"]).try_into().unwrap();
        let sealed = [hex(&test["ct"]), hex(&test["tag"])].concat();
        let opened = SealingKey::new(&key).open_at(nonce, &hex(&test["aad"]), &sealed);
        Ok(opened.is_some_and(|plain| plain == hex(&test["msg"])) == valid(test))
    });
}

#[test]
fn hkdf_sha256_of_sealing_keys_in_its_32_bytes() {
    judge("hkdf_sha256", |_, test| {
        if !valid(test) {
            return Err("asks for more than HKDF gives; 32 bytes are asked for here");
        }
        let wanted = hex(&test["okm"]);
        let made = expand(&hex(&test["ikm"]), &hex(&test["salt"]), &hex(&test["info"]));
        let length = wanted.len().min(made.len());
        Ok(made[..length] == wanted[..length])
    });
}

#[test]
fn ed25519_of_everything_that_a_root_signs() {
    judge("ed25519", |group, test| {
        let key: [u8; 32] = hex(&group["publicKey"]["pk"]).try_into().unwrap();
        let Ok(signature) = hex(&test["sig"]).try_into() else {
            // The length is fixed where signatures are decoded.
            return Ok(!valid(test));
        };
        let key = RootPublicKey::from_bytes(&key);
        let good = key.is_ok_and(|key| key.has_signed(&hex(&test["msg"]), &signature));
        Ok(good == valid(test))
    });
}
