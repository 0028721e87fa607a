//! The checksum of SLIP-0039: a Reed–Solomon code over GF(1024) with three words of check.
//!
//! It finds every change of up to three words, and misses another with a chance below 1 in 10⁹. It
//! could also correct; nothing here does, because a corrected card is one that nobody has looked
//! at. It is only said which word looks wrong.

const GENERATOR: [u32; 10] = [
    0x00e0_e040,
    0x01c1_c080,
    0x0383_8100,
    0x0707_0200,
    0x0e0e_0009,
    0x1c0c_2412,
    0x3808_6c24,
    0x3090_fc48,
    0x21b1_f890,
    0x03f3_f120,
];

/// Words of checksum at the end of a mnemonic.
pub(crate) const CHECKSUM_WORDS: usize = 3;

fn customization(extendable: bool) -> &'static [u8] {
    if extendable { b"shamir_extendable" } else { b"shamir" }
}

/// One more word into the remainder.
fn step(remainder: u32, word: u16) -> u32 {
    let top = remainder >> 20;
    let mut next = ((remainder & 0xf_ffff) << 10) ^ u32::from(word);
    for (bit, term) in GENERATOR.iter().enumerate() {
        let mask = std::hint::black_box((top >> bit) & 1).wrapping_neg();
        next ^= term & mask;
    }
    next
}

fn begin(extendable: bool) -> u32 {
    customization(extendable)
        .iter()
        .fold(1, |remainder, letter| step(remainder, u16::from(*letter)))
}

/// Whether words with their checksum at the end are a code word.
pub(crate) fn holds(extendable: bool, words: impl IntoIterator<Item = u16>) -> bool {
    words.into_iter().fold(begin(extendable), step) == 1
}

/// The three words to append.
pub(crate) fn checksum(extendable: bool, words: &[u16]) -> [u16; CHECKSUM_WORDS] {
    let remainder = words.iter().copied().fold(begin(extendable), step);
    let remainder = [0; CHECKSUM_WORDS].into_iter().fold(remainder, step) ^ 1;
    [20, 10, 0].map(|shift| ten_bits(remainder >> shift))
}

fn ten_bits(number: u32) -> u16 {
    let [_, _, high, low] = (number & 0x3ff).to_be_bytes();
    u16::from_be_bytes([high, low])
}

/// What the checksum suspects where it does not hold. A guess for people, never a correction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Suspect {
    /// One word alone is wrong: its position, from 1.
    Word(usize),
    /// Two neighbours were swapped: the position of the first, from 1.
    Swapped(usize),
}

/// Looks for the one word, or the two neighbours, whose change would make the checksum hold.
///
/// At most one word can: code words differ in at least four. Takes time that depends on the words,
/// which were refused.
pub(crate) fn suspect(words: &[u16]) -> Option<Suspect> {
    let with = |change: &dyn Fn(usize, u16) -> u16| {
        let changed = || words.iter().enumerate().map(|(at, word)| change(at, *word));
        // The flag is in the second word, which may be the wrong one.
        let extendable = changed().nth(1).is_some_and(super::share::extendable_flag);
        holds(extendable, changed())
    };
    for position in 0..words.len() {
        if (0..super::words::WORD_COUNT)
            .any(|other| with(&|at, word| if at == position { other } else { word }))
        {
            return Some(Suspect::Word(position + 1));
        }
    }
    words.windows(2).enumerate().find_map(|(position, pair)| {
        let [first, second] = pair else { return None };
        with(&|at, word| {
            if at == position {
                *second
            } else if at == position + 1 {
                *first
            } else {
                word
            }
        })
        .then_some(Suspect::Swapped(position + 1))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(extendable: bool) -> Vec<u16> {
        let mut words: Vec<u16> = (0..17).map(|index| (index * 37 + 5) % 1024).collect();
        words[1] = 0x2a0 | u16::from(extendable) << 4;
        let check = checksum(extendable, &words);
        words.extend(check);
        words
    }

    #[test]
    fn what_was_summed_holds_and_not_under_the_other_flag() {
        for extendable in [false, true] {
            assert!(holds(extendable, sample(extendable)));
            assert!(!holds(!extendable, sample(extendable)));
        }
    }

    #[test]
    fn any_one_wrong_word_is_found_at_its_position() {
        for position in 0..20 {
            let mut words = sample(true);
            words[position] = (words[position] + 511) % 1024;
            assert!(!holds(true, words.iter().copied()));
            assert_eq!(suspect(&words), Some(Suspect::Word(position + 1)));
        }
    }

    #[test]
    fn two_swapped_neighbours_are_found_and_three_wrong_words_are_only_refused() {
        let mut words = sample(false);
        words.swap(6, 7);
        assert_eq!(suspect(&words), Some(Suspect::Swapped(7)));
        let mut words = sample(false);
        for position in [1, 8, 15] {
            words[position] ^= 0x155;
        }
        assert!(!holds(false, words.iter().copied()));
        assert_eq!(suspect(&words), None);
    }
}
