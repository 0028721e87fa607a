//! What is on paper is read for decades: bytes of every kind, as they were first printed.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a test that cannot go on fails"
)]

use evenkeel_custody::Secret;
use evenkeel_custody::bip39::Mnemonic;
use evenkeel_custody::slip39::Share;
use evenkeel_sheets::sheet::{Card, CardWords, Label, Payload, Sealed};

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u32> = text.chars().filter_map(|digit| digit.to_digit(16)).collect();
    digits.chunks(2).map(|pair| u8::try_from(pair[0] * 16 + pair[1]).unwrap()).collect()
}

fn label() -> Label {
    Label { holder: "Ada".into(), place: "bank".into(), date: "2026-11-22".into() }
}

/// The first valid vector of SLIP-0039.
const WORDS: &str = "duckling enlarge academic academic agency result length solution fridge \
                     kidney coal piece deal husband erode duke ajar critical decision keyboard";

#[test]
fn a_card_of_slip39_is_as_it_was() {
    let share = Share::parse(WORDS).unwrap();
    let card = Card { words: CardWords::Slip39(share), generation: 3, members: 1, label: label() };
    let payload = card.payload().unwrap();
    assert_eq!(hex(&payload), SLIP39);
    assert_eq!(Payload::read(&unhex(SLIP39)), Ok(Payload::Card(card.clone())));
    let check: Vec<String> = card.check_words().iter().map(|word| word.to_string()).collect();
    assert_eq!(check.join(" "), SLIP39_CHECK);
}

#[test]
fn a_sentence_of_bip39_is_as_it_was() {
    let words = CardWords::Bip39(Mnemonic::from_entropy(Secret::new(vec![0; 16])).unwrap());
    let card = Card { words, generation: 1, members: 0, label: label() };
    assert_eq!(hex(&card.payload().unwrap()), BIP39);
    assert_eq!(Payload::read(&unhex(BIP39)), Ok(Payload::Card(card.clone())));
    let check: Vec<String> = card.check_words().iter().map(|word| word.to_string()).collect();
    assert_eq!(check.join(" "), BIP39_CHECK);
}

#[test]
fn a_part_of_a_sealed_payload_is_as_it_was() {
    let bytes = zeroize::Zeroizing::new((0..40).collect());
    let sealed = Sealed { generation: 2, label: label(), bytes };
    let sheets = sealed.sheets(Some(2)).unwrap();
    let parity = &sheets[2].parts[1];
    assert!(parity.is_parity());
    assert_eq!(hex(&parity.payload()), PART);
    assert_eq!(Payload::read(&unhex(PART)), Ok(Payload::Part(parity.clone())));
}

#[test]
fn a_changed_byte_is_found_wherever_it_is() {
    for whole in [SLIP39, BIP39, PART] {
        let whole = unhex(whole);
        for at in 0..whole.len() {
            let mut changed = whole.clone();
            changed[at] ^= 1;
            assert!(Payload::read(&changed).is_err(), "byte {at}");
            assert!(Payload::read(&whole[..at]).is_err(), "{at} bytes");
        }
    }
}

const SLIP39: &str = "\
    45565331010000000301143e12000000046f1827485d1f126e9e301c04a4f905cad311f003416461\
    0462616e6b0a323032362d31312d3232fc9eb71b0a4a326d";
const SLIP39_CHECK: &str = "\
    zero keyboard gesture episode leader";
const BIP39: &str = "\
    455653310200000001001000000000000000000000000000000000034164610462616e6b0a323032\
    362d31312d32326103521f17fe30ba";
const BIP39_CHECK: &str = "\
    lava enlist observe about orbit";
const PART: &str = "\
    45565331030000000287e3547e15ae87a50000003c0202017f1f24272a2f372a1e85030df2ed6105";
