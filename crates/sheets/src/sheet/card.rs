//! A card: words, and what is printed beside them.

use evenkeel_custody::Secret;
use evenkeel_custody::bip39::{Language, Mnemonic};
use evenkeel_custody::slip39::Share;
use zeroize::Zeroizing;

use super::checksum::check_words;
use super::codec::{Reader, pack, unpack};
use super::label::{Label, LabelError};
use super::{SYMBOL_VERSIONS, payload};
use crate::qr::{Grid, Level, WriteError, write};

/// Which list the words are from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// SLIP-39: one share of a secret.
    Slip39,
    /// BIP-39: a wallet's whole sentence.
    Bip39,
}

impl Scheme {
    pub(super) fn number(self) -> u8 {
        match self {
            Self::Slip39 => 1,
            Self::Bip39 => 2,
        }
    }

    pub(super) fn word_bits(self) -> usize {
        match self {
            Self::Slip39 => 10,
            Self::Bip39 => 11,
        }
    }
}

/// The words of a card.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CardWords {
    /// A share.
    Slip39(Share),
    /// A sentence.
    Bip39(Mnemonic),
}

/// Why something is no card.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CardError {
    /// Its label cannot be printed.
    #[error(transparent)]
    Label(#[from] LabelError),
    /// Words and label together are more than a symbol holds.
    #[error(transparent)]
    Symbol(#[from] WriteError),
}

/// One holder's words, to be printed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Card {
    /// The words.
    pub words: CardWords,
    /// Which split of the key it is, from 1.
    pub generation: u32,
    /// How many cards its group has; 0 if that is not known.
    pub members: u8,
    /// Who, where, when.
    pub label: Label,
}

impl CardWords {
    /// Which list they are from.
    #[must_use]
    pub fn scheme(&self) -> Scheme {
        match self {
            Self::Slip39(_) => Scheme::Slip39,
            Self::Bip39(_) => Scheme::Bip39,
        }
    }

    /// They, one after the other.
    #[must_use]
    pub fn text(&self) -> Zeroizing<String> {
        match self {
            Self::Slip39(share) => share.mnemonic(),
            Self::Bip39(sentence) => sentence.sentence(),
        }
    }
}

impl Card {
    /// Which list its words are from.
    #[must_use]
    pub fn scheme(&self) -> Scheme {
        self.words.scheme()
    }

    /// The words, one after the other.
    #[must_use]
    pub fn text(&self) -> Zeroizing<String> {
        self.words.text()
    }

    /// The words that vouch for them.
    #[must_use]
    pub fn check_words(&self) -> Vec<Zeroizing<String>> {
        let text = self.text();
        let words: Vec<&str> = text.split_whitespace().collect();
        check_words(self.scheme(), self.generation, &words)
    }

    /// What people call it, without anything secret.
    #[must_use]
    pub fn name(&self) -> String {
        match &self.words {
            CardWords::Slip39(share) => format!(
                "card of set {:05}, generation {}: {}",
                share.set.identifier,
                self.generation,
                share.name()
            ),
            CardWords::Bip39(_) => format!("sentence, generation {}", self.generation),
        }
    }

    /// What its symbol says.
    ///
    /// # Errors
    /// [`CardError::Label`].
    pub fn payload(&self) -> Result<Zeroizing<Vec<u8>>, CardError> {
        self.label.check()?;
        let mut bytes = payload::begin(self.scheme().number(), self.generation);
        match &self.words {
            CardWords::Slip39(share) => {
                let numbers = share.numbers();
                bytes.extend([self.members, u8::try_from(numbers.len()).unwrap_or(u8::MAX)]);
                pack(&numbers, Scheme::Slip39.word_bits(), &mut bytes);
            }
            CardWords::Bip39(sentence) => {
                let language = sentence.language();
                let at = Language::all().position(|other| other == language).unwrap_or_default();
                let entropy = sentence.entropy().reveal();
                bytes.push(u8::try_from(at).unwrap_or(u8::MAX));
                bytes.push(u8::try_from(entropy.len()).unwrap_or(u8::MAX));
                bytes.extend(entropy);
            }
        }
        self.label.write(&mut bytes);
        payload::end(&mut bytes);
        Ok(bytes)
    }

    /// The smallest symbol of sheets that holds it.
    ///
    /// # Errors
    /// [`CardError`].
    pub fn symbol(&self) -> Result<Grid, CardError> {
        let payload = self.payload()?;
        let mut refused = WriteError::Encoder;
        for version in SYMBOL_VERSIONS {
            match write(version, Level::High, &payload) {
                Ok(grid) => return Ok(grid),
                Err(error) => refused = error,
            }
        }
        Err(refused.into())
    }

    /// The reverse of [`Card::payload`], behind what all symbols begin with.
    pub(super) fn read(scheme: Scheme, generation: u32, reader: &mut Reader<'_>) -> Option<Self> {
        let (words, members) = match scheme {
            Scheme::Slip39 => {
                let (members, count) = (reader.byte()?, usize::from(reader.byte()?));
                let bits = scheme.word_bits();
                let packed = reader.take((count * bits).div_ceil(8))?;
                let share = Share::from_numbers(&unpack(packed, bits, count)?).ok()?;
                (CardWords::Slip39(share), members)
            }
            Scheme::Bip39 => {
                let language = Language::all().nth(usize::from(reader.byte()?))?;
                let count = usize::from(reader.byte()?);
                let entropy = Secret::new(reader.take(count)?.to_vec());
                (CardWords::Bip39(Mnemonic::in_language(entropy, language).ok()?), 0)
            }
        };
        Some(Self { words, generation, members, label: Label::read(reader)? })
    }
}
