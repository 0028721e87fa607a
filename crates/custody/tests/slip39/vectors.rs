//! The official vectors: valid sets give their secret, all others an error.

use evenkeel_custody::slip39::{RecoverError, Share, ShareError, recover};

use crate::support::vectors;

/// Description, mnemonics, secret in hexadecimal (none if it has to fail).
fn official() -> Option<Vec<(String, Vec<String>, String)>> {
    let text = std::fs::read_to_string(vectors("slip39/vectors.json")?).unwrap();
    let all: Vec<serde_json::Value> = serde_json::from_str(&text).unwrap();
    let string = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let read = |one: &serde_json::Value| {
        let mnemonics = one[1].as_array().unwrap().iter().map(string).collect();
        (string(&one[0]), mnemonics, string(&one[2]))
    };
    Some(all.iter().map(read).collect())
}

fn outcome(mnemonics: &[String]) -> Result<String, String> {
    let cards: Result<Vec<Share>, ShareError> =
        mnemonics.iter().map(|mnemonic| Share::parse(mnemonic)).collect();
    let cards = cards.map_err(|error| error.to_string())?;
    let recovered = recover(&cards, b"TREZOR").map_err(|error| error.to_string())?;
    Ok(recovered.secret.reveal().iter().map(|byte| format!("{byte:02x}")).collect())
}

#[test]
fn all_45_official_vectors_give_their_secret_or_an_error() {
    let Some(official) = official() else { return };
    assert_eq!(official.len(), 45);
    let mut valid = 0;
    for (description, mnemonics, secret) in official {
        match outcome(&mnemonics) {
            Ok(recovered) => {
                assert_eq!(recovered, secret, "{description}");
                valid += 1;
            }
            Err(error) => assert_eq!(secret, "", "{description}: {error}"),
        }
    }
    assert_eq!(valid, 15);
}

#[test]
fn each_kind_of_invalid_vector_is_called_by_its_name() {
    let Some(official) = official() else { return };
    let error = |number: usize| outcome(&official[number - 1].1).unwrap_err();
    let expected = [
        (2, "the checksum does not hold"),
        (3, "the padding is not zero"),
        (5, "group 1 needs 1 more (1 of 2)"),
        (6, "2 different sets"),
        (7, "2 different sets"),
        (8, "2 different sets"),
        (9, "2 different sets"),
        (10, "of 1 groups, which cannot be"),
        (11, "with different words"),
        (12, "different numbers of members"),
        (13, "the digest does not hold"),
        (14, "no card yet of group"),
        (15, "not enough cards"),
        (16, "not enough cards"),
        (39, "19 words"),
        (40, "21 words"),
    ];
    for (number, words) in expected {
        let error = error(number);
        assert!(error.contains(words), "vector {number}: {error}");
    }
}

#[test]
fn the_cards_of_the_vectors_are_written_as_they_were_read() {
    let Some(official) = official() else { return };
    let mut read = 0;
    for mnemonic in official.iter().flat_map(|(_, mnemonics, _)| mnemonics) {
        if let Ok(card) = Share::parse(mnemonic) {
            assert_eq!(card.mnemonic().as_str(), mnemonic);
            read += 1;
        }
    }
    assert!(read > 60, "{read}");
}

#[test]
fn the_word_list_is_the_published_one() {
    let Some(file) = vectors("slip39/wordlist.txt") else { return };
    let words = std::fs::read_to_string(file).unwrap();
    // A card of nothing but one word is refused for its checksum, any other for the word.
    for word in words.split_whitespace() {
        let card = [word; 20].join(" ");
        let error = Share::parse(&card).unwrap_err();
        assert!(matches!(error, ShareError::Checksum { .. }), "{word}: {error}");
    }
    assert_eq!(words.split_whitespace().count(), 1_024);
}

#[test]
fn no_card_is_no_secret() {
    assert_eq!(recover(&[], b"").unwrap_err(), RecoverError::Nothing);
}
