//! The vectors of Project Wycheproof, through the very functions that this crate calls.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;
use zeroize::Zeroizing;

use crate::{bip32, bip39, group, slip39};

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
