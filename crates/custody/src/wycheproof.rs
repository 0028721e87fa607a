//! The vectors of Project Wycheproof, through the very functions that this crate calls.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "../tests/wycheproof/reader.rs"]
mod reader;

use reader::{hex, judge, valid};

use serde_json::Value;
use zeroize::Zeroizing;

use crate::{bip32, bip39, group, slip39};

#[test]
fn hmac_sha512_of_bip_32() {
    judge("hmac_sha512", |_, test| {
        let tag = hex(&test["tag"]);
        let (left, right) = bip32::halves(&hex(&test["key"]), &[&hex(&test["msg"])]);
        Ok([&left[..], &right].concat().starts_with(&tag) == valid(test))
    });
}

#[test]
fn hmac_sha256_of_slip_39_in_its_four_bytes() {
    judge("hmac_sha256", |_, test| {
        let tag = hex(&test["tag"]);
        let same = tag.starts_with(&slip39::digest_of(&hex(&test["key"]), &hex(&test["msg"])));
        match (same, valid(test)) {
            (true, false) => Err("wrong behind the four bytes that are used"),
            (same, valid) => Ok(same == valid),
        }
    });
}

#[test]
fn hkdf_sha256_of_group_packets_in_its_32_bytes() {
    judge("hkdf_sha256", |_, test| {
        let wanted = hex(&test["okm"]);
        if !valid(test) {
            return Err("asks for more than HKDF gives; 32 bytes are asked for here");
        }
        let made = group::expand(&hex(&test["ikm"]), &hex(&test["salt"]), &[&hex(&test["info"])]);
        let made = made.unwrap();
        let length = wanted.len().min(made.len());
        Ok(made[..length] == wanted[..length])
    });
}

#[test]
fn x25519_of_group_packets() {
    judge("x25519", |_, test| {
        let key: [u8; 32] = hex(&test["private"]).try_into().unwrap();
        let public: [u8; 32] = hex(&test["public"]).try_into().unwrap();
        let (wanted, made) = (hex(&test["shared"]), group::shared(&Zeroizing::new(key), &public));
        // A shared secret of zeros is that of a point of small order, which is refused.
        if wanted.iter().all(|byte| *byte == 0) {
            return Ok(made.is_none());
        }
        Ok(made.is_some_and(|made| made[..] == wanted[..]))
    });
}

#[test]
fn pbkdf2_hmac_sha256_of_slip_39() {
    judge("pbkdf2_hmacsha256", |_, test| pbkdf2(test, slip39::pbkdf2));
}

#[test]
fn pbkdf2_hmac_sha512_of_bip_39() {
    judge("pbkdf2_hmacsha512", |_, test| pbkdf2(test, bip39::pbkdf2));
}

type Pbkdf2 = fn(&[u8], &[u8], std::num::NonZeroU32, &mut [u8]);

fn pbkdf2(test: &Value, derive: Pbkdf2) -> Result<bool, &'static str> {
    let wanted = hex(&test["dk"]);
    let rounds = u32::try_from(test["iterationCount"].as_u64().unwrap()).unwrap();
    let mut made = vec![0; wanted.len()];
    derive(&hex(&test["password"]), &hex(&test["salt"]), rounds.try_into().unwrap(), &mut made);
    Ok((made == wanted) == valid(test))
}
