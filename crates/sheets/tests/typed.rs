//! Words typed off sheets: every misreading is found, and said by its place.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a test that cannot go on fails"
)]

use evenkeel_custody::bip39::Mnemonic;
use evenkeel_custody::slip39::{Policy, Share, SplitOptions, split, word};
use evenkeel_custody::{Random, RandomError, Secret};
use evenkeel_sheets::sheet::{
    CHECK_WORDS, Card, CardWords, Label, Scheme, Typed, TypedError, WORDS_PER_LINE, check_words,
};

struct Seeded(u64);

impl Seeded {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() >> 16).unwrap() % bound
    }
}

impl Random for Seeded {
    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), RandomError> {
        bytes.iter_mut().for_each(|byte| *byte = self.next().to_be_bytes()[2]);
        Ok(())
    }
}

fn share(random: &mut Seeded) -> Share {
    let options = SplitOptions { iteration_exponent: 0, extendable: true, identifier: None };
    let policy = Policy::parse("2of3", 1).unwrap();
    split(&policy, &[0x21; 32], b"", options, random).unwrap()[0][0].clone()
}

fn card(random: &mut Seeded) -> Card {
    let words = CardWords::Slip39(share(random));
    Card { words, generation: 3, members: 3, label: Label::default() }
}

fn sheet_of(words: &[String], check: &[String]) -> String {
    let mut text = String::new();
    for (at, line) in words.chunks(WORDS_PER_LINE).enumerate() {
        for (column, word) in line.iter().enumerate() {
            text.push_str(&format!("{} {word}  ", at * WORDS_PER_LINE + column + 1));
        }
        text.push('\n');
    }
    format!("# a sheet\n{text}= {}\n", check.join(" "))
}

fn lists(card: &Card) -> (Vec<String>, Vec<String>) {
    let words = card.text().split(' ').map(str::to_owned).collect();
    (words, card.check_words().iter().map(|word| word.to_string()).collect())
}

/// Wrong words of the list, swapped words, swapped lines; in the card and in the check words.
fn misread(random: &mut Seeded, all: &[String], list: &dyn Fn(usize) -> String) -> Vec<String> {
    let mut read = all.to_vec();
    while read == all {
        match random.below(4) {
            0 => {
                let (one, other) = (random.below(read.len()), random.below(read.len()));
                read.swap(one, other);
            }
            1 => {
                let lines = read.len() / WORDS_PER_LINE;
                let (one, other) = (random.below(lines), random.below(lines));
                for column in 0..WORDS_PER_LINE {
                    read.swap(one * WORDS_PER_LINE + column, other * WORDS_PER_LINE + column);
                }
            }
            _ => {
                let wrong = 1 + random.below(read.len());
                for _ in 0..wrong {
                    let at = random.below(read.len());
                    read[at] = list(random.below(1_024));
                }
            }
        }
    }
    read
}

/// The check words alone, without the help of SLIP-39's own checksum.
#[test]
fn of_a_hundred_thousand_misreadings_none_passes_the_check_words() {
    let mut random = Seeded(0x5eed);
    let english = |at: usize| -> String { word(u16::try_from(at).unwrap()).to_string() };
    let mut undetected = 0;
    for _ in 0..100_000 {
        let length = [20, 33][random.below(2)];
        let words: Vec<String> = (0..length).map(|_| english(random.below(1_024))).collect();
        let of = |words: &[String]| -> Vec<String> {
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            check_words(Scheme::Slip39, 3, &words).iter().map(|word| word.to_string()).collect()
        };
        let mut all = words.clone();
        all.extend(of(&words));
        let read = misread(&mut random, &all, &english);
        let (read_words, read_check) = read.split_at(length);
        undetected += usize::from(of(read_words) == read_check);
    }
    println!(
        "100000 misreadings of 1 to all words, swaps of words and lines: {undetected} undetected"
    );
    assert_eq!(undetected, 0);
}

#[test]
fn of_misread_sheets_none_passes_as_it_is_typed() {
    let mut random = Seeded(0xcafe);
    let english = |at: usize| -> String { word(u16::try_from(at).unwrap()).to_string() };
    let card = card(&mut random);
    let (words, check) = lists(&card);
    let right = Typed::of(&sheet_of(&words, &check), Scheme::Slip39);
    assert_eq!(right.words(Scheme::Slip39, 3).unwrap(), card.words);
    let all: Vec<String> = words.iter().chain(&check).cloned().collect();
    for _ in 0..100 {
        let read = misread(&mut random, &all, &english);
        let (words, check) = read.split_at(words.len());
        let typed = Typed::of(&sheet_of(words, check), Scheme::Slip39);
        let refused = typed.words(Scheme::Slip39, 3).unwrap_err();
        assert!(typed.compare(&card).is_err(), "{refused}");
    }
}

#[test]
fn a_misread_word_is_named_by_word_and_line_and_nothing_is_corrected() {
    let mut random = Seeded(9);
    let card = card(&mut random);
    let (mut words, check) = lists(&card);
    let right = words[6].clone();
    words[6] = format!("{}x{}", &right[..2], &right[2..]);
    let typed = Typed::of(&sheet_of(&words, &check), Scheme::Slip39);
    let text = typed.words(Scheme::Slip39, 3).unwrap_err().to_string();
    assert!(text.starts_with("word 7 on line 2: not in the list"), "{text}");
    assert!(text.contains(&right) && text.ends_with("nothing was corrected"), "{text}");
    words[6] = if right == "academic" { "acid".into() } else { "academic".into() };
    let typed = Typed::of(&sheet_of(&words, &check), Scheme::Slip39);
    let text = typed.words(Scheme::Slip39, 3).unwrap_err().to_string();
    assert!(text.contains("if a single word is wrong, it is word 7 on line 2"), "{text}");
    let text = typed.compare(&card).unwrap_err().to_string();
    assert!(text.starts_with("typed and scanned words differ: word 7 on line 2"), "{text}");
}

#[test]
fn the_wrong_generation_and_a_short_check_line_are_found() {
    let mut random = Seeded(10);
    let card = card(&mut random);
    let (words, mut check) = lists(&card);
    let typed = Typed::of(&sheet_of(&words, &check), Scheme::Slip39);
    let refused = typed.words(Scheme::Slip39, 4).unwrap_err();
    assert_eq!(refused, TypedError::Check { generation: 4 });
    check.pop();
    let typed = Typed::of(&sheet_of(&words, &check), Scheme::Slip39);
    let refused = typed.words(Scheme::Slip39, 3).unwrap_err();
    assert_eq!(refused, TypedError::CheckLine { words: CHECK_WORDS - 1 });
}

#[test]
fn what_is_on_metal_is_read_as_it_is_typed() {
    let mut random = Seeded(11);
    let card = card(&mut random);
    let typed = Typed::of(&card.metal_text(), Scheme::Slip39);
    assert!(typed.has_check());
    assert_eq!(typed.words(Scheme::Slip39, 3).unwrap(), card.words);
    assert_eq!(typed.compare(&card), Ok(()));
    for entropy in [vec![0x5a; 32], vec![7; 16], (0..32).collect()] {
        let words = CardWords::Bip39(Mnemonic::from_entropy(Secret::new(entropy)).unwrap());
        let card = Card { words, generation: 1, members: 0, label: Label::default() };
        let typed = Typed::of(&card.metal_text(), Scheme::Bip39);
        assert_eq!(typed.words(Scheme::Bip39, 1).unwrap(), card.words);
        let text = card.text();
        let mut swapped: Vec<&str> = text.split(' ').collect();
        swapped.swap(0, 11);
        if swapped[0] != swapped[11] {
            let (_, check) = lists(&card);
            let words: Vec<String> = swapped.iter().map(|word| (*word).to_owned()).collect();
            let typed = Typed::of(&sheet_of(&words, &check), Scheme::Bip39);
            assert!(typed.words(Scheme::Bip39, 1).is_err());
        }
    }
}

#[test]
fn nothing_shows_words_when_it_is_debugged() {
    let mut random = Seeded(12);
    let card = card(&mut random);
    let text = card.text();
    let first = text.split(' ').nth(5).unwrap();
    let shown = format!("{card:?} {:?}", Typed::of(&text, Scheme::Slip39));
    assert!(!shown.contains(first), "{shown}");
}
