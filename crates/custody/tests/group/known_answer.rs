//! `recipient.json`: a recipient with all its shares, a file of stock `age` for it, and each
//! holder's part. Made once; `recipient.py`, which shares no code with this crate, reads it too.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use curve25519_dalek::edwards::CompressedEdwardsY;
use evenkeel_custody::group::decrypt::{Request, TargetKey};
use evenkeel_custody::group::{HolderKey, KeyShare, Message, Sealed};
use serde_json::{Value, json};

use crate::age_files;
use crate::decrypt::{answers, ask, opened, recipient, text};
use crate::forge_parts;
use crate::support::Seeded;

const PLAIN: &[u8] = b"read by anybody who has two of the three shares";

fn file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/group/recipient.json")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(value: &Value) -> Vec<u8> {
    let text = value.as_str().unwrap();
    let digits = (0..text.len()).step_by(2);
    digits.map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

/// The last 32 bytes of what a holder keeps are the secret itself.
fn last(bytes: &[u8]) -> String {
    hex(&bytes[bytes.len() - 32..])
}

/// Makes the vectors anew; a random file of age is in them.
fn make() {
    let random = &mut Seeded::new(2026);
    let (all, sealed) = recipient(2, 3, random);
    let age_file = age_files::encrypt(&[&text(&sealed)], PLAIN);
    let stanza = age_files::stanzas(&age_file)[0];
    let target = TargetKey::generate(random).unwrap();
    let request = ask(&sealed, &[stanza], &target, random).unwrap();
    let messages = answers(&request, &sealed, &all.iter().collect::<Vec<_>>(), random);
    let (_, keys) = opened(&request, &sealed, &target, &messages).unwrap();
    let holders: Vec<Value> = all
        .iter()
        .zip(&messages)
        .map(|(person, message)| {
            let share = person.share.as_ref().unwrap();
            let public = sealed.record().verifying_share(share.number).unwrap();
            json!({
                "number": share.number,
                "share": last(&share.to_bytes()),
                "public_share": hex(public),
                "part": hex(&forge_parts::parts(message, &target)[..32]),
                "kept_key": hex(&person.key.to_bytes()),
                "kept_share": hex(&share.to_bytes()),
                "message": hex(&message.to_bytes()),
            })
        })
        .collect();
    let vectors = json!({
        "recipient": text(&sealed),
        "group_key": hex(&sealed.record().group_key),
        "record": hex(&sealed.to_bytes()),
        "threshold": 2,
        "holders": holders,
        "age_file": hex(&age_file),
        "ephemeral_share": hex(&stanza.share),
        "wrapped_file_key": hex(&stanza.body),
        "file_key": hex(keys.unwrap().keys[&stanza].as_slice()),
        "plain": hex(PLAIN),
        "request": hex(&request.to_bytes()),
        "kept_target_key": hex(&target.to_bytes()),
    });
    std::fs::write(file(), format!("{vectors:#}\n")).unwrap();
}

#[test]
fn the_known_answers_are_still_given() {
    if !file().exists() {
        make();
    }
    let vectors: Value = serde_json::from_str(&std::fs::read_to_string(file()).unwrap()).unwrap();
    let sealed = Sealed::from_bytes(&unhex(&vectors["record"])).unwrap();
    assert_eq!(text(&sealed), vectors["recipient"]);
    let request = Request::from_bytes(&unhex(&vectors["request"])).unwrap();
    let target = TargetKey::from_bytes(&unhex(&vectors["kept_target_key"])).unwrap();
    let age_file = unhex(&vectors["age_file"]);
    assert_eq!(age_files::stanzas(&age_file), request.stanzas);
    let mut messages = Vec::new();
    for holder in vectors["holders"].as_array().unwrap() {
        let share = KeyShare::from_bytes(&unhex(&holder["kept_share"])).unwrap();
        let key = HolderKey::from_bytes(&unhex(&holder["kept_key"])).unwrap();
        share.check(sealed.record()).unwrap();
        let message = Message::from_bytes(&unhex(&holder["message"])).unwrap();
        // The proof draws fresh randomness, the part does not.
        let vouched = request.stanzas.iter().copied().collect();
        let now_s = crate::decrypt::NOW_S;
        let random = &mut Seeded::new(7);
        let again = evenkeel_custody::group::decrypt::answer(
            &request,
            &sealed,
            (&share, &key),
            &vouched,
            now_s,
            random,
        )
        .unwrap();
        let part = unhex(&holder["part"]);
        CompressedEdwardsY::from_slice(&part).unwrap().decompress().unwrap();
        assert_eq!(forge_parts::parts(&again, &target)[..32], part);
        assert_eq!(forge_parts::parts(&message, &target)[..32], part);
        messages.push(message);
    }
    let mut quorums = BTreeMap::new();
    for absent in 0..3 {
        let mut two = messages.clone();
        two.remove(absent);
        let (_, keys) = opened(&request, &sealed, &target, &two).unwrap();
        let keys = keys.unwrap();
        assert_eq!(age_files::decrypt(&age_file, &keys.keys), unhex(&vectors["plain"]));
        let key = hex(keys.keys.values().next().unwrap().as_slice());
        assert_eq!(vectors["file_key"], key);
        quorums.insert(keys.quorum, key);
    }
    assert_eq!(quorums.len(), 3);
}

#[test]
fn a_reader_in_another_language_agrees_with_the_known_answers() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let output = Command::new("python3")
        .arg(file().with_extension("py"))
        .arg(file())
        .env("PYTHONPATH", root.join("target/python"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(said, "3 quorums agree; 3 parts; the file opens\n");
}
