//! BIP-39: entropy as a sentence, and the seed that wallets make of it.
//!
//! Standard: <https://github.com/bitcoin/bips/blob/master/bip-0039.mediawiki>. Sentences are read
//! in all ten official languages and written in English.
//!
//! Two things are confused at a price. The **entropy** (16 to 32 bytes) is what the words say. The
//! **seed** (64 bytes) is what a wallet derives its keys from: the sentence and a passphrase
//! through PBKDF2, one way. Whoever puts the entropy where the seed belongs gets another wallet.

use std::fmt;
use std::num::NonZeroU32;

use ::bip39::Language as List;
use aws_lc_rs::pbkdf2;
use sha2::{Digest, Sha256};
use unicode_normalization::UnicodeNormalization;
use zeroize::Zeroizing;

use crate::secret::{Secret, equal_mask};
use crate::spelling;

/// Rounds of PBKDF2-HMAC-SHA512 between sentence and seed.
const ITERATIONS: u32 = 2_048;
/// Bits of a word.
const WORD_BITS: usize = 11;
/// No word of any list takes more bytes.
const LETTER_BYTES_MAX: usize = 48;
/// Bytes of a seed.
pub const SEED_BYTES: usize = 64;

/// A language with an official list of words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Language(List);

impl Language {
    /// English, in which sentences are written here.
    pub const ENGLISH: Self = Self(List::English);

    /// Every language that is read.
    pub fn all() -> impl Iterator<Item = Self> {
        List::ALL.iter().map(|list| Self(*list))
    }

    /// The number of a word. The whole list is gone through, in a time that depends on the list
    /// alone.
    fn number_of(self, word: &str) -> Option<u16> {
        let mut letters = Zeroizing::new([0_u8; LETTER_BYTES_MAX + 1]);
        if word.len() > LETTER_BYTES_MAX {
            return None;
        }
        for (letter, typed) in letters.iter_mut().zip(word.bytes()) {
            *letter = typed;
        }
        let (mut number, mut found) = (0_u16, 0_u8);
        for (index, known) in (0_u16..).zip(self.0.word_list()) {
            // The zero behind the list's word must be the end of the typed one.
            let known = known.bytes().chain([0]);
            let differing = known.zip(letters.iter()).fold(0, |all, (a, b)| all | (a ^ b));
            let mask = equal_mask(u16::from(differing), 0);
            number |= index & u16::from_be_bytes([mask, mask]);
            found |= mask;
        }
        (found != 0).then_some(number)
    }
}

impl Language {
    /// Appends the word for a number below 2048. Every byte of the list is read alike: which word
    /// it is leaves no trace in the cache.
    fn append_word(self, number: u16, text: &mut String) {
        let mut letters = Zeroizing::new([0_u8; LETTER_BYTES_MAX]);
        for (index, word) in (0_u16..).zip(self.0.word_list()) {
            let mask = equal_mask(index, number);
            for (letter, of_word) in letters.iter_mut().zip(word.bytes()) {
                *letter |= of_word & mask;
            }
        }
        let used = letters.iter().filter(|letter| **letter != 0).count();
        let word = letters.get(..used).and_then(|word| std::str::from_utf8(word).ok());
        text.push_str(word.unwrap_or_default());
    }
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

/// Why a sentence is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Sentences have 12, 15, 18, 21 or 24 words.
    #[error("{0} words: a sentence has 12, 15, 18, 21 or 24")]
    WordCount(usize),
    /// Words that are in no list, or not in the one that most others are in.
    #[error("{}", unknown(.language, .positions, .nearest))]
    UnknownWords {
        /// The language of most words.
        language: String,
        /// Which words, from 1.
        positions: Vec<usize>,
        /// What the first of them looks like.
        nearest: Vec<&'static str>,
    },
    /// All words are in the list, but the last does not fit the others.
    #[error(
        "the checksum does not hold: a word is wrong, or two are swapped. BIP-39 cannot say which; \
         one wrong sentence in {odds} passes unnoticed, so compare an address as well"
    )]
    Checksum {
        /// One in so many.
        odds: u32,
    },
    /// Entropy of another length.
    #[error("entropy has 16, 20, 24, 28 or 32 bytes, not {0}")]
    EntropyBytes(usize),
}

fn unknown(language: &str, positions: &[usize], nearest: &[&str]) -> String {
    let numbers: Vec<String> = positions.iter().map(ToString::to_string).collect();
    let words = if numbers.len() == 1 { "word" } else { "words" };
    let mut text = format!("{words} {} not in the {language} list", numbers.join(", "));
    if !nearest.is_empty() {
        let position = numbers.first().map(String::as_str).unwrap_or_default();
        text.push_str(&format!("; word {position} looks like: {}", nearest.join(", ")));
    }
    text
}

/// A sentence that was read, or made.
#[derive(Clone, PartialEq, Eq)]
pub struct Mnemonic {
    entropy: Secret,
    language: Language,
}

impl fmt::Debug for Mnemonic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Mnemonic({} bytes, {})", self.entropy.len(), self.language)
    }
}

impl Mnemonic {
    /// The English sentence of 16, 20, 24, 28 or 32 bytes of entropy.
    ///
    /// # Errors
    /// [`Error::EntropyBytes`].
    pub fn from_entropy(entropy: Secret) -> Result<Self, Error> {
        Self::in_language(entropy, Language::ENGLISH)
    }

    /// The same in another language.
    ///
    /// # Errors
    /// [`Error::EntropyBytes`].
    pub fn in_language(entropy: Secret, language: Language) -> Result<Self, Error> {
        if !matches!(entropy.len(), 16 | 20 | 24 | 28 | 32) {
            return Err(Error::EntropyBytes(entropy.len()));
        }
        Ok(Self { entropy, language })
    }

    /// Reads a sentence in any official language; spaces and capitals do not matter.
    ///
    /// # Errors
    /// What is wrong, with the positions of words counted from 1.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let normal = normalized(text);
        let words: Vec<&str> = normal.split_whitespace().collect();
        if !matches!(words.len(), 12 | 15 | 18 | 21 | 24) {
            return Err(Error::WordCount(words.len()));
        }
        let mut best: Option<(usize, Error)> = None;
        for language in Language::all() {
            match Self::parse_in(language, &words) {
                Ok(mnemonic) => return Ok(mnemonic),
                Err(error) => {
                    let unknown = match &error {
                        Error::UnknownWords { positions, .. } => positions.len(),
                        _ => 0,
                    };
                    if best.as_ref().is_none_or(|(fewest, _)| unknown < *fewest) {
                        best = Some((unknown, error));
                    }
                }
            }
        }
        Err(best.map_or(Error::WordCount(words.len()), |(_, error)| error))
    }

    fn parse_in(language: Language, words: &[&str]) -> Result<Self, Error> {
        let numbers: Vec<Option<u16>> = words.iter().map(|word| language.number_of(word)).collect();
        let numbers: Zeroizing<Vec<Option<u16>>> = Zeroizing::new(numbers);
        let unknown = numbers.iter().enumerate().filter(|(_, number)| number.is_none());
        let positions: Vec<usize> = unknown.map(|(at, _)| at + 1).collect();
        if let Some(first) = positions.first() {
            let typed = words.get(first.saturating_sub(1)).copied().unwrap_or_default();
            let nearest = spelling::nearest(typed, language.0.word_list().iter().copied());
            return Err(Error::UnknownWords { language: language.to_string(), positions, nearest });
        }
        let mut bits = Zeroizing::new(Vec::with_capacity(words.len() * WORD_BITS));
        for number in numbers.iter().flatten() {
            bits.extend((0..WORD_BITS).rev().map(|bit| number >> bit & 1 == 1));
        }
        let entropy_bits = bits.len() * 32 / 33;
        let (entropy, checksum) = bits.split_at(entropy_bits);
        let bytes = entropy.chunks(8).map(|byte| byte.iter().fold(0, fold_bit)).collect();
        let entropy = Secret::new(bytes);
        let expected = checksum_bits(entropy.reveal());
        if expected.iter().zip(checksum).any(|(expected, bit)| expected != bit) {
            return Err(Error::Checksum { odds: 1 << checksum.len() });
        }
        Ok(Self { entropy, language })
    }

    /// What the words say.
    #[must_use]
    pub fn entropy(&self) -> &Secret {
        &self.entropy
    }

    /// The language it was read or made in.
    #[must_use]
    pub fn language(&self) -> Language {
        self.language
    }

    /// The sentence.
    #[must_use]
    pub fn sentence(&self) -> Zeroizing<String> {
        let entropy = self.entropy.reveal();
        let mut bits = Zeroizing::new(Vec::with_capacity(entropy.len() * 9));
        for byte in entropy {
            bits.extend((0..8).rev().map(|bit| byte >> bit & 1 == 1));
        }
        bits.extend(checksum_bits(entropy));
        let mut text = Zeroizing::new(String::with_capacity(1_024));
        for chunk in bits.chunks(WORD_BITS) {
            let number = chunk.iter().fold(0_u16, |number, bit| number << 1 | u16::from(*bit));
            if !text.is_empty() {
                text.push(' ');
            }
            self.language.append_word(number, &mut text);
        }
        text
    }

    /// The seed that wallets use, under a passphrase (of theirs; not SLIP-39's).
    #[must_use]
    pub fn seed(&self, passphrase: &str) -> Secret {
        let sentence = normalized(&self.sentence());
        let mut salt = Zeroizing::new(String::with_capacity(8 + passphrase.len() * 4));
        salt.push_str("mnemonic");
        salt.extend(passphrase.nfkd());
        let iterations = NonZeroU32::MIN.saturating_add(ITERATIONS - 1);
        let mut seed = Zeroizing::new(vec![0; SEED_BYTES]);
        pbkdf2(sentence.as_bytes(), salt.as_bytes(), iterations, &mut seed);
        Secret::from(seed)
    }
}

/// PBKDF2-HMAC-SHA512 (RFC 8018).
pub(crate) fn pbkdf2(password: &[u8], salt: &[u8], rounds: NonZeroU32, output: &mut [u8]) {
    pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA512, rounds, salt, password, output);
}

/// Small letters in the normal form of the standard (NFKD).
fn normalized(text: &str) -> Zeroizing<String> {
    let mut normal = Zeroizing::new(String::with_capacity(text.len() * 4));
    normal.extend(text.nfkd().flat_map(char::to_lowercase));
    normal
}

fn fold_bit(byte: u8, bit: &bool) -> u8 {
    byte << 1 | u8::from(*bit)
}

/// The first bits of SHA-256, one for each 32 of the entropy.
fn checksum_bits(entropy: &[u8]) -> Vec<bool> {
    let hash = Sha256::digest(entropy);
    let first = hash.first().copied().unwrap_or_default();
    (0..entropy.len() / 4).map(|bit| first << bit & 0x80 != 0).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWELVE: &str = "abandon abandon abandon abandon abandon abandon abandon abandon abandon \
                          abandon abandon about";

    #[test]
    fn every_number_has_its_word_in_every_language() {
        for language in Language::all() {
            for (number, word) in (0_u16..).zip(language.0.word_list()) {
                let mut text = String::new();
                language.append_word(number, &mut text);
                assert_eq!(text, *word);
            }
        }
    }

    #[test]
    fn a_sentence_is_read_whatever_its_spaces_and_capitals() {
        let read = Mnemonic::parse(&TWELVE.to_uppercase().replace(' ', " \n")).unwrap();
        assert_eq!(read.entropy().reveal(), [0; 16]);
        assert_eq!(read.sentence().as_str(), TWELVE);
        assert_eq!(format!("{read:?}"), "Mnemonic(16 bytes, English)");
    }

    #[test]
    fn a_word_that_is_none_is_named_with_what_it_looks_like() {
        let error = Mnemonic::parse(&TWELVE.replace("about", "abuot")).unwrap_err();
        let text = error.to_string();
        assert!(text.starts_with("word 12 not in the English list"), "{text}");
        assert!(text.contains("about"), "{text}");
    }

    #[test]
    fn a_wrong_last_word_is_found_and_the_odds_are_said() {
        let error = Mnemonic::parse(&TWELVE.replace("about", "zoo")).unwrap_err();
        assert_eq!(error, Error::Checksum { odds: 16 });
        assert_eq!(Mnemonic::parse("abandon about"), Err(Error::WordCount(2)));
    }

    #[test]
    fn every_language_comes_back_from_its_own_words() {
        let entropy: Vec<u8> = (0..32).map(|at| at * 7 + 3).collect();
        for language in Language::all() {
            let made = Mnemonic::in_language(Secret::new(entropy.clone()), language).unwrap();
            let read = Mnemonic::parse(&made.sentence()).unwrap();
            assert_eq!(read.entropy().reveal(), entropy, "{language}");
        }
        assert_eq!(Language::all().count(), 10);
    }

    #[test]
    fn the_seed_is_not_the_entropy_and_the_passphrase_matters() {
        let read = Mnemonic::parse(TWELVE).unwrap();
        assert_eq!(read.seed("").reveal()[..4], [0x5e, 0xb0, 0x0b, 0xbd]);
        assert_ne!(read.seed("TREZOR"), read.seed(""));
        let refused = Mnemonic::from_entropy(Secret::new(vec![0; 17]));
        assert_eq!(refused.unwrap_err(), Error::EntropyBytes(17));
    }
}
