//! Words typed off a sheet, and checked by their place on it.
//!
//! Each line of the sheet is a line of the file; the numbers before the words may be typed or left
//! out. The line of check words begins with `=`. Every word may be its first four letters, as on
//! metal. Nothing is corrected: what is wrong is named by word and line.

use evenkeel_custody::bip39::Mnemonic;
use evenkeel_custody::slip39::{Share, ShareError, Suspect, from_four_letters};
use zeroize::Zeroizing;

use super::card::{Card, CardWords, Scheme};
use super::checksum::{CHECK_WORDS, check_words};

/// Words on a line of a sheet.
pub const WORDS_PER_LINE: usize = 4;
/// No card has more.
const WORDS_MAX: usize = 64;

/// Where a word stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Which word of the card, from 1.
    pub word: usize,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let line = self.word.saturating_sub(1) / WORDS_PER_LINE + 1;
        write!(f, "word {} on line {line}", self.word)
    }
}

/// What is wrong with typed words. Nothing was corrected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TypedError {
    /// Words that are in no list.
    #[error("{}", unknown(.0))]
    Unknown(Vec<(Place, Vec<&'static str>)>),
    /// The card's own checksum speaks.
    #[error("{0}; nothing was corrected")]
    Card(String),
    /// The line of check words is not five words of the list.
    #[error("the line of check words holds {words} words of the list, not {CHECK_WORDS}")]
    CheckLine {
        /// How many are words.
        words: usize,
    },
    /// The check words are those of other words.
    #[error(
        "the check words do not hold: a word, a check word, the order or the generation \
         ({generation}) was misread; compare every line with the sheet. Nothing was corrected"
    )]
    Check {
        /// The generation that was taken.
        generation: u32,
    },
    /// The symbol says something else.
    #[error("{}", differing(.0))]
    Differ(Vec<Place>),
}

fn unknown(words: &[(Place, Vec<&'static str>)]) -> String {
    let told = words.iter().map(|(place, nearest)| match nearest.as_slice() {
        [] => format!("{place}: not in the list, and nothing there looks like it"),
        near => format!("{place}: not in the list, looks like {}", near.join(" or ")),
    });
    format!("{}; nothing was corrected", told.collect::<Vec<_>>().join("; "))
}

fn differing(places: &[Place]) -> String {
    let told: Vec<String> = places.iter().map(ToString::to_string).collect();
    format!(
        "typed and scanned words differ: {}; look at the sheet. Nothing was corrected",
        told.join(", ")
    )
}

/// Words as they were typed.
#[derive(Clone, PartialEq, Eq)]
pub struct Typed {
    words: Vec<Zeroizing<String>>,
    check: Option<Vec<Zeroizing<String>>>,
}

impl std::fmt::Debug for Typed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Typed({} words)", self.words.len())
    }
}

impl Typed {
    /// Takes words from text; lines that begin with # do not count.
    #[must_use]
    pub fn of(text: &str, scheme: Scheme) -> Self {
        let (mut words, mut check) = (Vec::new(), None);
        for line in text.lines().map(str::trim).filter(|line| !line.starts_with('#')) {
            let (line, is_check) = match line.strip_prefix('=') {
                Some(rest) => (rest, true),
                None => (line, false),
            };
            let read = line.split_whitespace().filter_map(|typed| {
                let small = Zeroizing::new(typed.to_lowercase());
                let letters = small.trim_matches(|c: char| c.is_ascii_digit() || ".):".contains(c));
                (!letters.is_empty()).then(|| full_word(letters, scheme))
            });
            if is_check {
                check.get_or_insert_with(Vec::new).extend(read);
            } else {
                words.extend(read.take(WORDS_MAX));
            }
        }
        Self { words, check }
    }

    /// Whether check words were typed.
    #[must_use]
    pub fn has_check(&self) -> bool {
        self.check.is_some()
    }

    /// The card they are of, if its own checksum and the check words hold.
    ///
    /// # Errors
    /// What is wrong, and where on the sheet.
    pub fn words(&self, scheme: Scheme, generation: u32) -> Result<CardWords, TypedError> {
        let mut text = Zeroizing::new(String::with_capacity(WORDS_MAX * 12));
        for word in &self.words {
            text.push_str(word);
            text.push(' ');
        }
        let words = match scheme {
            Scheme::Slip39 => Share::parse(&text).map(CardWords::Slip39).map_err(of_share)?,
            Scheme::Bip39 => Mnemonic::parse(&text)
                .map(CardWords::Bip39)
                .map_err(|error| TypedError::Card(error.to_string()))?,
        };
        self.hold(&words, generation)?;
        Ok(words)
    }

    /// Whether the check words, if there are any, are those of the words.
    fn hold(&self, words: &CardWords, generation: u32) -> Result<(), TypedError> {
        let Some(check) = &self.check else {
            return Ok(());
        };
        if check.len() != CHECK_WORDS {
            return Err(TypedError::CheckLine { words: check.len() });
        }
        let text = words.text();
        let words_of_card: Vec<&str> = text.split_whitespace().collect();
        let right = check_words(words.scheme(), generation, &words_of_card);
        let same = right
            .iter()
            .zip(check)
            .all(|(right, typed)| evenkeel_custody::same_bytes(right.as_bytes(), typed.as_bytes()));
        if same { Ok(()) } else { Err(TypedError::Check { generation }) }
    }

    /// Compares with what a symbol said, word by word.
    ///
    /// # Errors
    /// [`TypedError::Differ`], with every place.
    pub fn compare(&self, card: &Card) -> Result<(), TypedError> {
        let text = card.text();
        let scanned: Vec<&str> = text.split_whitespace().collect();
        let longer = scanned.len().max(self.words.len());
        let places: Vec<Place> = (0..longer)
            .filter(|at| scanned.get(*at).copied() != self.words.get(*at).map(|it| it.as_str()))
            .map(|at| Place { word: at + 1 })
            .collect();
        if !places.is_empty() {
            return Err(TypedError::Differ(places));
        }
        self.hold(&card.words, card.generation)
    }
}

fn full_word(typed: &str, scheme: Scheme) -> Zeroizing<String> {
    match scheme {
        Scheme::Slip39 => from_four_letters(typed),
        Scheme::Bip39 => {
            let list = ::bip39::Language::English.word_list();
            let full = list.iter().find(|word| typed.len() == 4 && word.starts_with(typed));
            Zeroizing::new(full.map_or_else(|| typed.to_owned(), |word| (*word).to_owned()))
        }
    }
}

fn of_share(error: ShareError) -> TypedError {
    let place = |word: usize| Place { word };
    match error {
        ShareError::UnknownWords(words) => TypedError::Unknown(
            words.into_iter().map(|word| (place(word.position), word.nearest)).collect(),
        ),
        ShareError::Checksum { suspect: Some(Suspect::Word(word)) } => TypedError::Card(format!(
            "the card's checksum does not hold: if a single word is wrong, it is {}",
            place(word)
        )),
        ShareError::Checksum { suspect: Some(Suspect::Swapped(word)) } => {
            TypedError::Card(format!("{} and {} look swapped", place(word), place(word + 1)))
        }
        other => TypedError::Card(other.to_string()),
    }
}
