//! The vectors of BIP-39's authors: entropy, sentence, seed, master key.

use evenkeel_custody::Secret;
use evenkeel_custody::bip32::ExtendedPrivate;
use evenkeel_custody::bip39::{Language, Mnemonic};

use crate::{json, support, unhex};

/// The names of languages in the vectors; two there have no official list.
fn language(name: &str) -> Option<Language> {
    let wanted = match name {
        "chinese_simplified" => "SimplifiedChinese".to_owned(),
        "chinese_traditional" => "TraditionalChinese".to_owned(),
        plain => plain[..1].to_uppercase() + &plain[1..],
    };
    Language::all().find(|language| language.to_string() == wanted)
}

#[test]
fn the_vectors_of_every_official_language_come_out() {
    let Some(all) = json("bip39/vectors.json") else { return };
    let mut languages = 0;
    for (name, vectors) in all.as_object().unwrap() {
        let Some(language) = language(name) else { continue };
        languages += 1;
        let vectors = vectors.as_array().unwrap();
        assert_eq!(vectors.len(), 24, "{name}");
        for vector in vectors {
            let field = |at: usize| vector[at].as_str().unwrap();
            let entropy = unhex(field(0));
            let read = Mnemonic::parse(field(1)).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(read.entropy().reveal(), entropy, "{name}");
            let made = Mnemonic::in_language(Secret::new(entropy), language).unwrap();
            let seed = made.seed("TREZOR");
            assert_eq!(seed.reveal(), unhex(field(2)), "{name}");
            let master = ExtendedPrivate::master(seed.reveal()).unwrap();
            assert_eq!(master.to_text().as_str(), field(3), "{name}");
        }
    }
    assert_eq!(languages, 10);
}

#[test]
fn the_english_and_japanese_lists_are_the_published_ones() {
    for (file, name) in [("bip39/english.txt", "english"), ("bip39/japanese.txt", "japanese")] {
        let Some(file) = support::vectors(file) else { return };
        let text = std::fs::read_to_string(file).unwrap();
        let words: Vec<&str> = text.split_whitespace().collect();
        assert_eq!(words.len(), 2_048);
        // Twelve words of entropy 0…0, i: the eleventh word walks through the list.
        for number in 0_u16..2_048 {
            let mut entropy = vec![0; 16];
            let bits = u32::from(number) << 7;
            entropy[13..].copy_from_slice(&bits.to_be_bytes()[1..]);
            let language = language(name).unwrap();
            let made = Mnemonic::in_language(Secret::new(entropy), language).unwrap();
            let sentence = made.sentence();
            let word = sentence.split(' ').nth(10).unwrap().to_owned();
            let published = words[usize::from(number)];
            let same = Mnemonic::parse(&sentence.replace(&word, published)).unwrap();
            assert_eq!(same.entropy(), made.entropy(), "{published}");
        }
    }
}
