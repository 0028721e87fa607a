//! One share: what its words say, and the words.

use std::fmt;

use zeroize::Zeroizing;

use super::error::{ShareError, UnknownWord};
use super::{rs1024, words};
use crate::secret::Secret;

/// Words before the value: identifier, flag and exponent; then group and member.
const HEADER_WORDS: usize = 4;
/// Header and checksum.
const METADATA_WORDS: usize = HEADER_WORDS + rs1024::CHECKSUM_WORDS;
/// The words of a secret of 128 bits, the shortest there may be.
const WORDS_MIN: usize = 20;
/// No longer secret than 512 bits is split here.
const WORDS_MAX: usize = 59;
/// Bits of a word.
const WORD_BITS: usize = 10;

/// What all shares of one split have in common.
///
/// The identifier is drawn anew at each split: it is what people call the number of the set. It is
/// no secret, and two sets have the same one by chance once in 32,768 times.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct SetId {
    /// 15 bits drawn at the split.
    pub identifier: u16,
    /// Whether the passphrase's encryption is independent of the identifier, so that the same
    /// secret and passphrase can be split again later.
    pub extendable: bool,
    /// 10,000 · 2^this rounds of PBKDF2 stand between passphrase and secret.
    pub iteration_exponent: u8,
    /// How many groups are needed, 1 to 16.
    pub group_threshold: u8,
    /// How many groups there are, 1 to 16.
    pub group_count: u8,
}

impl fmt::Display for SetId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:05} ({} of {} groups, exponent {}{})",
            self.identifier,
            self.group_threshold,
            self.group_count,
            self.iteration_exponent,
            if self.extendable { ", extendable" } else { "" }
        )
    }
}

/// One share of a secret: a card with words.
#[derive(Clone, PartialEq, Eq)]
pub struct Share {
    /// The split it comes from.
    pub set: SetId,
    /// Which group, from 0.
    pub group_index: u8,
    /// Which member of the group, from 0.
    pub member_index: u8,
    /// How many members of its group are needed, 1 to 16.
    pub member_threshold: u8,
    pub(crate) value: Secret,
}

impl fmt::Debug for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Share({} of set {:05})", self.name(), self.set.identifier)
    }
}

impl Share {
    /// Reads a mnemonic. Small and capital letters are the same; nothing else is forgiven.
    ///
    /// # Errors
    /// What is wrong, with the positions of words counted from 1.
    pub fn parse(mnemonic: &str) -> Result<Self, ShareError> {
        let numbers = numbers(mnemonic)?;
        let count = numbers.len();
        let padding_bits = (WORD_BITS * count.saturating_sub(METADATA_WORDS)) % 16;
        if !(WORDS_MIN..=WORDS_MAX).contains(&count) || padding_bits > 8 {
            return Err(ShareError::WordCount { words: count });
        }
        let extendable = numbers.get(1).copied().is_some_and(extendable_flag);
        if !rs1024::holds(extendable, numbers.iter().copied()) {
            return Err(ShareError::Checksum { suspect: rs1024::suspect(&numbers) });
        }
        let (header, rest) = numbers.split_at(HEADER_WORDS);
        let (value, _) = rest.split_at(rest.len().saturating_sub(rs1024::CHECKSUM_WORDS));
        let share = Self::assemble(header, unpack(value, padding_bits)?)?;
        if share.set.group_threshold > share.set.group_count {
            return Err(ShareError::GroupThreshold {
                group_threshold: share.set.group_threshold,
                group_count: share.set.group_count,
            });
        }
        if share.group_index >= share.set.group_count {
            return Err(ShareError::GroupIndex {
                group: share.group_index + 1,
                group_count: share.set.group_count,
            });
        }
        Ok(share)
    }

    fn assemble(header: &[u16], value: Secret) -> Result<Self, ShareError> {
        let bits = header.iter().fold(0_u64, |bits, word| bits << WORD_BITS | u64::from(*word));
        let nibble = |shift: u32| -> u8 {
            let [.., low] = (bits >> shift & 0xf).to_be_bytes();
            low
        };
        let [.., high, low] = (bits >> 25).to_be_bytes();
        Ok(Self {
            set: SetId {
                identifier: u16::from_be_bytes([high, low]),
                extendable: bits >> 24 & 1 == 1,
                iteration_exponent: nibble(20),
                group_threshold: nibble(12) + 1,
                group_count: nibble(8) + 1,
            },
            group_index: nibble(16),
            member_index: nibble(4),
            member_threshold: nibble(0) + 1,
            value,
        })
    }

    /// The words, with single spaces between them.
    #[must_use]
    pub fn mnemonic(&self) -> Zeroizing<String> {
        // Room for the longest, so that no copy of a part is left behind by growing.
        let mut text = Zeroizing::new(String::with_capacity(WORDS_MAX * 9));
        for number in self.numbers().iter() {
            if !text.is_empty() {
                text.push(' ');
            }
            words::append_word(*number, &mut text);
        }
        text
    }

    /// Reads words that were kept as numbers.
    ///
    /// # Errors
    /// As [`Share::parse`]; a number that is none of a word's is a word left out.
    pub fn from_numbers(numbers: &[u16]) -> Result<Self, ShareError> {
        let mut text = Zeroizing::new(String::with_capacity(numbers.len() * 9));
        for number in numbers {
            words::append_word(*number, &mut text);
            text.push(' ');
        }
        Self::parse(&text)
    }

    /// How many words the mnemonic has.
    #[must_use]
    pub fn word_count(&self) -> usize {
        METADATA_WORDS + (self.value.len() * 8).div_ceil(WORD_BITS)
    }

    /// What people call it: group and member, counted from 1.
    #[must_use]
    pub fn name(&self) -> String {
        format!("group {} member {}", self.group_index + 1, self.member_index + 1)
    }

    /// What the first four words say (set, group, member, thresholds), as 40 bits behind 24 zeros.
    /// No secret.
    #[must_use]
    pub fn header_bytes(&self) -> [u8; 8] {
        self.header().to_be_bytes()
    }

    /// Header and value: all that the words say.
    pub(crate) fn material(&self) -> Zeroizing<Vec<u8>> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(8 + self.value.len()));
        bytes.extend(self.header_bytes());
        bytes.extend(self.value.reveal());
        bytes
    }

    /// The words as numbers below 1024, for forms that people do not read. As secret as they are.
    #[must_use]
    pub fn numbers(&self) -> Zeroizing<Vec<u16>> {
        let mut numbers = Zeroizing::new(Vec::with_capacity(WORDS_MAX));
        let bits = self.header();
        numbers.extend([30, 20, 10, 0].map(|shift| low_ten(bits >> shift)));
        pack(self.value.reveal(), &mut numbers);
        let check = rs1024::checksum(self.set.extendable, &numbers);
        numbers.extend(check);
        numbers
    }

    fn header(&self) -> u64 {
        let set = &self.set;
        let fields = [
            (u64::from(set.identifier & 0x7fff), 15),
            (u64::from(set.extendable), 1),
            (u64::from(set.iteration_exponent & 0xf), 4),
            (u64::from(self.group_index & 0xf), 4),
            (u64::from(set.group_threshold.wrapping_sub(1) & 0xf), 4),
            (u64::from(set.group_count.wrapping_sub(1) & 0xf), 4),
            (u64::from(self.member_index & 0xf), 4),
            (u64::from(self.member_threshold.wrapping_sub(1) & 0xf), 4),
        ];
        fields.into_iter().fold(0, |bits, (field, width)| bits << width | field)
    }
}

/// The extendable flag in the second word of a mnemonic.
pub(crate) fn extendable_flag(second: u16) -> bool {
    second >> 4 & 1 == 1
}

/// The numbers of the words, or every word that is none.
fn numbers(mnemonic: &str) -> Result<Zeroizing<Vec<u16>>, ShareError> {
    let mut numbers = Zeroizing::new(Vec::with_capacity(WORDS_MAX));
    let mut unknown = Vec::new();
    let mut count = 0;
    let small = Zeroizing::new(mnemonic.to_ascii_lowercase());
    for (at, word) in small.split_whitespace().enumerate() {
        count = at + 1;
        match words::number_of(word) {
            Some(number) if numbers.len() < WORDS_MAX => numbers.push(number),
            Some(_) => {}
            None if unknown.len() < WORDS_MAX => {
                unknown.push(UnknownWord { position: at + 1, nearest: words::nearest(word) });
            }
            None => {}
        }
    }
    if !unknown.is_empty() {
        return Err(ShareError::UnknownWords(unknown));
    }
    if count > WORDS_MAX {
        return Err(ShareError::WordCount { words: count });
    }
    Ok(numbers)
}

fn low_ten(number: u64) -> u16 {
    let [.., high, low] = (number & 0x3ff).to_be_bytes();
    u16::from_be_bytes([high, low])
}

/// Bytes as words of ten bits, filled up with zero bits at the front.
fn pack(bytes: &[u8], words: &mut Vec<u16>) {
    let bits = bytes.len() * 8;
    let mut waiting_bits = bits.div_ceil(WORD_BITS) * WORD_BITS - bits;
    let mut waiting = Zeroizing::new(0_u64);
    for byte in bytes {
        *waiting = (*waiting & 0x3ff) << 8 | u64::from(*byte);
        waiting_bits += 8;
        while waiting_bits >= WORD_BITS {
            waiting_bits -= WORD_BITS;
            words.push(low_ten(*waiting >> waiting_bits));
        }
    }
}

/// The bytes behind the zero bits at the front, which have to be zero.
fn unpack(words: &[u16], padding_bits: usize) -> Result<Secret, ShareError> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(words.len() * WORD_BITS / 8));
    let mut waiting = Zeroizing::new(0_u64);
    let mut waiting_bits = 0;
    for (at, word) in words.iter().enumerate() {
        *waiting = (*waiting & 0xff) << WORD_BITS | u64::from(*word);
        waiting_bits += WORD_BITS;
        if at == 0 {
            waiting_bits -= padding_bits;
            if *waiting >> waiting_bits != 0 {
                return Err(ShareError::Padding);
            }
        }
        while waiting_bits >= 8 {
            waiting_bits -= 8;
            let [.., low] = (*waiting >> waiting_bits).to_be_bytes();
            bytes.push(low);
        }
    }
    Ok(Secret::from(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn share(bytes: usize) -> Share {
        Share {
            set: SetId {
                identifier: 0x7abc,
                extendable: true,
                iteration_exponent: 5,
                group_threshold: 3,
                group_count: 16,
            },
            group_index: 11,
            member_index: 15,
            member_threshold: 16,
            value: Secret::new((0..bytes).map(|at| u8::try_from(at * 7 % 256).unwrap()).collect()),
        }
    }

    #[test]
    fn every_length_comes_back_from_its_words() {
        for bytes in (16..=64).step_by(2) {
            let share = share(bytes);
            let mnemonic = share.mnemonic();
            assert_eq!(mnemonic.split(' ').count(), share.word_count(), "{bytes} bytes");
            assert_eq!(Share::parse(&mnemonic), Ok(share));
        }
        assert_eq!(share(16).word_count(), 20);
        assert_eq!(share(32).word_count(), 33);
    }

    #[test]
    fn spaces_and_capitals_do_not_matter() {
        let text = share(16).mnemonic().to_uppercase().replace(' ', " \t ");
        assert_eq!(Share::parse(&text), Ok(share(16)));
    }

    #[test]
    fn every_unknown_word_is_named_with_its_position() {
        let text = share(16).mnemonic();
        let mut words: Vec<&str> = text.split(' ').collect();
        words[3] = "acadmic";
        words[9] = "qqqq";
        let Err(ShareError::UnknownWords(unknown)) = Share::parse(&words.join(" ")) else {
            panic!("accepted");
        };
        assert_eq!(unknown.iter().map(|word| word.position).collect::<Vec<_>>(), [4, 10]);
        assert_eq!(unknown[0].nearest[0], "academic");
        assert!(unknown[1].nearest.is_empty());
    }

    #[test]
    fn a_word_too_many_or_too_few_is_a_wrong_count() {
        let text = share(16).mnemonic();
        let short = text.rsplit_once(' ').unwrap().0;
        assert_eq!(Share::parse(short), Err(ShareError::WordCount { words: 19 }));
        let long = ["academic"; 2_000].join(" ");
        assert_eq!(Share::parse(&long), Err(ShareError::WordCount { words: 2_000 }));
        assert_eq!(Share::parse(""), Err(ShareError::WordCount { words: 0 }));
    }

    #[test]
    fn debug_shows_no_word_and_no_byte() {
        let shown = format!("{:?}", share(16));
        assert_eq!(shown, "Share(group 12 member 16 of set 31420)");
    }
}
