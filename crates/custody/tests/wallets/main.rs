//! BIP-39 and BIP-32 against their official vectors, and drills of cards.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that cannot go on fails"
)]

mod bip32;
mod bip39;
mod drills;
#[allow(dead_code, reason = "shared with tests that use more of it")]
#[path = "../slip39/support.rs"]
mod support;

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len() / 2)
        .map(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).unwrap())
        .collect()
}

fn json(name: &str) -> Option<serde_json::Value> {
    let text = std::fs::read_to_string(support::vectors(name)?).unwrap();
    Some(serde_json::from_str(&text).unwrap())
}
