//! Drills of cards: who passes, and who does not.

use evenkeel_custody::drill::{Error, answer, check, public_key};
use evenkeel_custody::slip39::Share;

use crate::support::cards;

const CHALLENGE: [u8; 32] = [7; 32];

#[test]
fn the_words_that_were_dealt_pass_and_no_other_card_does() {
    let cards = cards("2of3", 1, 1).remove(0);
    let (card, other) = (&cards[0], &cards[1]);
    let key = public_key(card).unwrap();
    let again = Share::parse(&card.mnemonic()).unwrap();
    let proof = answer(&again, &CHALLENGE).unwrap();
    assert_eq!(check(&key, &card.header_bytes(), &CHALLENGE, &proof), Ok(()));
    let wrong = answer(other, &CHALLENGE).unwrap();
    let refused = Err(Error::NotThisCard);
    assert_eq!(check(&key, &card.header_bytes(), &CHALLENGE, &wrong), refused);
    assert_eq!(check(&key, &other.header_bytes(), &CHALLENGE, &proof), refused);
    assert_ne!(public_key(other).unwrap(), key);
}

#[test]
fn an_old_answer_does_not_fit_a_new_challenge() {
    let card = cards("2of3", 1, 1).remove(0).remove(0);
    let key = public_key(&card).unwrap();
    let proof = answer(&card, &CHALLENGE).unwrap();
    let refused = check(&key, &card.header_bytes(), &[8; 32], &proof);
    assert_eq!(refused, Err(Error::NotThisCard));
}

#[test]
fn a_challenge_too_short_to_be_fresh_is_refused() {
    let card = cards("2of3", 1, 1).remove(0).remove(0);
    assert_eq!(answer(&card, &[1; 15]), Err(Error::ChallengeBytes(15)));
    assert_eq!(answer(&card, &[1; 1_025]), Err(Error::ChallengeBytes(1_025)));
}

#[test]
fn cards_of_two_splits_of_one_secret_have_different_drill_keys() {
    let key = |seed| public_key(&cards("2of3", 1, seed)[0][0]).unwrap();
    assert_eq!(key(1), key(1));
    assert_ne!(key(1), key(2));
}
