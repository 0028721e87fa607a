//! The vectors of BIP-32, valid and invalid.

use evenkeel_custody::bip32::{ExtendedPrivate, ExtendedPublic, Path};

use crate::{json, unhex};

#[test]
fn all_chains_of_the_official_vectors_come_out_and_read_back() {
    let Some(all) = json("bip32/bip32_vectors.json") else { return };
    let mut keys = 0;
    for vector in all["valid"].as_array().unwrap() {
        let master = ExtendedPrivate::master(&unhex(vector["seed"].as_str().unwrap())).unwrap();
        for chain in vector["chains"].as_array().unwrap() {
            let field = |name: &str| chain[name].as_str().unwrap();
            let path: Path = field("path").parse().unwrap();
            let key = master.derive(&path).unwrap();
            assert_eq!(key.to_text().as_str(), field("xprv"), "{path}");
            assert_eq!(key.public().unwrap().to_text(), field("xpub"), "{path}");
            let read = ExtendedPrivate::parse(field("xprv")).unwrap();
            assert_eq!(read.to_text().as_str(), field("xprv"));
            assert_eq!(ExtendedPublic::parse(field("xpub")).unwrap(), key.public().unwrap());
            keys += 1;
        }
    }
    assert!(keys >= 15, "{keys}");
}

#[test]
fn every_invalid_key_of_the_official_vectors_is_refused() {
    let Some(all) = json("bip32/bip32_vectors.json") else { return };
    let invalid = all["invalid"].as_array().unwrap();
    assert!(invalid.len() >= 16, "{}", invalid.len());
    for vector in invalid {
        let text = vector.as_str().or_else(|| vector["key"].as_str()).unwrap();
        assert!(ExtendedPrivate::parse(text).is_err(), "{vector}");
        assert!(ExtendedPublic::parse(text).is_err(), "{vector}");
    }
}
