//! The vectors of Project Wycheproof, through the very functions that this crate calls.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use crate::hpke::{mac, open_aead};
use crate::key::{Kind, Public};
use crate::sign::finish;

/// The vectors of one file, each with its group; `None`, with the reason said, where they are not
/// to be had.
fn vectors(name: &str) -> Option<Vec<(Value, Value)>> {
    let Some(folder) = std::env::var_os("EVENKEEL_DATA") else {
        println!("skipped: EVENKEEL_DATA does not name the folder of vectors");
        return None;
    };
    // Relative to the workspace, as `.ci/run` sets it.
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(folder);
    let name = format!("vectors/wycheproof/{name}_test.json");
    let places = [folder.join(&name), folder.join("..").join(&name)];
    let found = places.iter().find(|path| path.exists());
    let path = found.unwrap_or_else(|| panic!("{} is missing", places[0].display()));
    let all: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let groups = all["testGroups"].as_array().unwrap().iter();
    let tests = groups.flat_map(|group| {
        group["tests"].as_array().unwrap().iter().map(|test| (group.clone(), test.clone()))
    });
    let tests: Vec<_> = tests.collect();
    assert_eq!(tests.len() as u64, all["numberOfTests"].as_u64().unwrap());
    Some(tests)
}

fn hex(value: &Value) -> Vec<u8> {
    let text = value.as_str().unwrap();
    let digits = (0..text.len()).step_by(2);
    digits.map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

/// Runs every vector that `run` does not pass over, and says how many that were: `run` gives what
/// came out, whether that is right by the vector's own result, or the reason to pass over it.
fn judge(name: &str, run: impl Fn(&Value, &Value) -> Result<bool, &'static str>) {
    let Some(tests) = vectors(name) else { return };
    let (mut tested, mut skipped) = (0, BTreeMap::<&str, u32>::new());
    for (group, test) in &tests {
        match run(group, test) {
            Ok(right) => {
                assert!(right, "{name} {}: {}", test["tcId"], test["comment"]);
                tested += 1;
            }
            Err(reason) => *skipped.entry(reason).or_default() += 1,
        }
    }
    println!("wycheproof {name}: {tested} of {} tested, skipped {skipped:?}", tests.len());
    assert!(tested > 0, "{name}: nothing was tested");
}

fn valid(test: &Value) -> bool {
    test["result"] == "valid"
}

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
