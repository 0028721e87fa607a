//! What can be wrong with cards, in words for the people who hold them.

use super::rs1024::Suspect;
use super::share::SetId;
use crate::random::RandomError;

/// A word that is not in the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownWord {
    /// Which word of the card, from 1.
    pub position: usize,
    /// Up to three words that look alike; never taken by themselves.
    pub nearest: Vec<&'static str>,
}

/// What is wrong with one card by itself.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ShareError {
    /// Words that are none.
    #[error("{}", unknown_words(.0))]
    UnknownWords(Vec<UnknownWord>),
    /// A mnemonic has 20 words for 128 bits, 33 for 256, and few other lengths.
    #[error("{words} words: a card has 20 (128 bits) or 33 (256 bits); one was left out or added")]
    WordCount {
        /// How many there are.
        words: usize,
    },
    /// All words are words, but not those of one card.
    #[error("the checksum does not hold: {}", suspicion(*.suspect))]
    Checksum {
        /// What it suspects, if one change would mend it.
        suspect: Option<Suspect>,
    },
    /// Bits that every splitter leaves zero are not.
    #[error("the padding is not zero: whatever wrote these words did not follow SLIP-0039")]
    Padding,
    /// It asks for more groups than there are.
    #[error("it needs {group_threshold} of {group_count} groups, which cannot be")]
    GroupThreshold {
        /// Groups needed.
        group_threshold: u8,
        /// Groups there are.
        group_count: u8,
    },
    /// It is of a group that its set does not have.
    #[error("it is of group {group}, but says that there are {group_count} groups")]
    GroupIndex {
        /// The group, from 1.
        group: u8,
        /// Groups there are.
        group_count: u8,
    },
}

fn unknown_words(words: &[UnknownWord]) -> String {
    let told: Vec<String> = words
        .iter()
        .map(|word| {
            let position = word.position;
            match word.nearest.as_slice() {
                [] => {
                    format!("word {position} is not in the list, and nothing there looks like it")
                }
                near => format!(
                    "word {position} is not in the list (looks like: {}; look at the card)",
                    near.join(", ")
                ),
            }
        })
        .collect();
    told.join("; ")
}

fn suspicion(suspect: Option<Suspect>) -> String {
    match suspect {
        Some(Suspect::Word(position)) => {
            format!("if a single word is wrong, it is word {position}; look at the card")
        }
        Some(Suspect::Swapped(position)) => {
            format!("words {position} and {} look swapped; look at the card", position + 1)
        }
        None => "more than one word is wrong; compare all of them with the card".to_owned(),
    }
}

/// Cards of one set among others: which ones (indices into what was given, from 0).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetCards {
    /// The set.
    pub set: SetId,
    /// Its cards.
    pub cards: Vec<usize>,
}

/// How far one group has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GroupState {
    /// Which group, from 0.
    pub group_index: u8,
    /// Members needed; none of its cards is here if it is unknown.
    pub member_threshold: Option<u8>,
    /// Different members that are here.
    pub present: usize,
}

impl GroupState {
    /// How many members are still needed, if that is known.
    #[must_use]
    pub fn missing(&self) -> Option<usize> {
        Some(usize::from(self.member_threshold?).saturating_sub(self.present))
    }

    /// Whether enough members are here.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.missing() == Some(0)
    }
}

/// Why cards together do not give the secret. Cards are counted from 0 in the order given.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecoverError {
    /// No card at all.
    #[error("there are no words to recover from")]
    Nothing,
    /// Cards of different splits.
    #[error("these cards come from {} different sets: {}", .0.len(), sets(.0))]
    Mixed(Vec<SetCards>),
    /// The same member twice, with different words.
    #[error(
        "cards {} and {} are both group {} member {}, with different words: \
         one of them is forged or of another split", .cards.0 + 1, .cards.1 + 1, .group_index + 1,
        .member_index + 1
    )]
    Conflict {
        /// The two cards.
        cards: (usize, usize),
        /// The group, from 0.
        group_index: u8,
        /// The member, from 0.
        member_index: u8,
    },
    /// Members of one group disagree on how many are needed.
    #[error(
        "the cards {} of group {} ask for different numbers of members: one of them is forged or \
         of another split", numbered(.cards), .group_index + 1
    )]
    MemberThresholds {
        /// The group, from 0.
        group_index: u8,
        /// The group's cards.
        cards: Vec<usize>,
    },
    /// Cards hold secrets of different lengths.
    #[error("the cards are of different lengths: {}", numbered(.0))]
    Lengths(Vec<usize>),
    /// One of many members suffices, so nothing tells a forged card from a good one.
    #[error(
        "card {} is one of several of group {} that each suffice alone: no digest protects such a \
         group, and whoever can write a card can replace the secret unnoticed; it is refused",
        .card + 1, .group_index + 1
    )]
    OneOfMany {
        /// The card.
        card: usize,
        /// The group, from 0.
        group_index: u8,
    },
    /// Too few cards.
    #[error("{}", not_enough(*.group_threshold, .groups))]
    NotEnough {
        /// Groups needed.
        group_threshold: u8,
        /// Every group of the set.
        groups: Vec<GroupState>,
    },
    /// These cards do not belong to the others.
    #[error(
        "forged or damaged: {}; the other cards agree among themselves and pass the digest",
        numbered(.0)
    )]
    Forged(Vec<usize>),
    /// At least one of these cards is wrong, and nothing says which.
    #[error(
        "the digest does not hold: at least one of {} is forged or damaged, and without one more \
         card of {} nobody can tell which", numbered(.cards), place(*.group_index)
    )]
    Damaged {
        /// The cards.
        cards: Vec<usize>,
        /// The group, from 0; none if whole groups do not fit together.
        group_index: Option<u8>,
    },
    /// More than one choice of cards passes the digest: somebody forged a quorum.
    #[error(
        "{} choices among {} give different secrets that each pass the digest: at least a quorum \
         of {} was forged", .choices, numbered(.cards), place(*.group_index)
    )]
    Ambiguous {
        /// How many.
        choices: usize,
        /// All cards concerned.
        cards: Vec<usize>,
        /// The group, from 0; none if it is about whole groups.
        group_index: Option<u8>,
    },
    /// The passphrase's encryption could not be undone: the secret cannot be this long.
    #[error("the cards hold {bytes} bytes, which is no secret of SLIP-0039")]
    SecretBytes {
        /// How many.
        bytes: usize,
    },
}

/// "cards 1 and 3", for people: counted from 1.
fn numbered(cards: &[usize]) -> String {
    let numbers: Vec<String> = cards.iter().map(|card| (card + 1).to_string()).collect();
    match numbers.as_slice() {
        [one] => format!("card {one}"),
        [front @ .., last] => format!("cards {} and {last}", front.join(", ")),
        [] => "no card".to_owned(),
    }
}

fn place(group_index: Option<u8>) -> String {
    group_index.map_or_else(|| "another group".to_owned(), |group| format!("group {}", group + 1))
}

fn sets(sets: &[SetCards]) -> String {
    let told: Vec<String> =
        sets.iter().map(|one| format!("{} of set {}", numbered(&one.cards), one.set)).collect();
    told.join("; ")
}

fn not_enough(group_threshold: u8, groups: &[GroupState]) -> String {
    let complete = groups.iter().filter(|group| group.is_complete()).count();
    let begun: Vec<String> = groups
        .iter()
        .filter(|group| group.present > 0)
        .map(|group| {
            let number = group.group_index + 1;
            let (have, need) = (group.present, group.member_threshold.unwrap_or_default());
            match group.missing() {
                Some(0) | None => format!("group {number} is complete ({have} of {need})"),
                Some(missing) => format!("group {number} needs {missing} more ({have} of {need})"),
            }
        })
        .collect();
    let none: Vec<String> = groups
        .iter()
        .filter(|group| group.present == 0)
        .map(|group| (group.group_index + 1).to_string())
        .collect();
    let mut text = format!(
        "not enough cards: {complete} of the {group_threshold} groups needed are complete; {}",
        begun.join(", ")
    );
    if !none.is_empty() {
        text.push_str(&format!("; no card yet of group {}", none.join(", ")));
    }
    text
}

/// Why a secret is not split.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SplitError {
    /// The policy cannot be, with the reason.
    #[error("{0}")]
    Policy(String),
    /// The secret has a length that cannot be.
    #[error("a secret has 16 to 64 bytes, an even number of them; this has {bytes}")]
    SecretBytes {
        /// How many.
        bytes: usize,
    },
    /// The passphrase could not be typed on every wallet.
    #[error(
        "character {position} of the passphrase is not printable ASCII: other wallets could not \
         be told it"
    )]
    Passphrase {
        /// Which character, from 1.
        position: usize,
    },
    /// Larger than four bits.
    #[error("the iteration exponent is 0 to 15, not {0}")]
    IterationExponent(u8),
    /// No randomness.
    #[error(transparent)]
    Random(#[from] RandomError),
    /// The finished shares do not give the secret back: a mistake here or in the machine's memory.
    #[error("the finished shares did not give the secret back; nothing was handed out")]
    Unproven,
}
