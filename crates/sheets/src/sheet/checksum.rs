//! Words that vouch for words.
//!
//! Five more words are made of a hash over all words of the card, their order, what kind of words
//! they are and the generation. They are checked by hand as the others are: typed and compared.
//! SLIP-39's own checksum misses one in 2^30 sets of wrong words and BIP-39's one in 16; of these
//! one in 2^50 passes.
//!
//! They are as secret as the card: whoever has them may test guesses of it.
//!
//! ```text
//! SHA-256( "evenkeel sheet words 1" ‖ scheme (1) ‖ generation (4) ‖ count (1) ‖ (word ‖ 0)* )
//! first 50 bits, ten for each word of SLIP-39's list; or 55 bits, eleven of BIP-39's English one
//! ```

use evenkeel_custody::slip39;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::card::Scheme;

/// How many there are.
pub const CHECK_WORDS: usize = 5;

/// The words that vouch for these.
#[must_use]
pub fn check_words(scheme: Scheme, generation: u32, words: &[&str]) -> Vec<Zeroizing<String>> {
    let mut hash = Sha256::new();
    hash.update(b"evenkeel sheet words 1");
    hash.update([scheme.number()]);
    hash.update(generation.to_be_bytes());
    hash.update([u8::try_from(words.len()).unwrap_or(u8::MAX)]);
    for word in words {
        hash.update(word.as_bytes());
        hash.update([0]);
    }
    let hash: Zeroizing<[u8; 32]> = Zeroizing::new(hash.finalize().into());
    let bits = hash.iter().take(8).fold(0_u64, |bits, byte| bits << 8 | u64::from(*byte));
    let width = scheme.word_bits();
    (1..=CHECK_WORDS)
        .map(|at| {
            let [.., high, low] = (bits >> (64 - width * at)).to_be_bytes();
            let number = u16::from_be_bytes([high, low]) & ((1 << width) - 1);
            match scheme {
                Scheme::Slip39 => slip39::word(number),
                Scheme::Bip39 => {
                    let list = ::bip39::Language::English.word_list();
                    let word = list.get(usize::from(number)).copied().unwrap_or_default();
                    Zeroizing::new(word.to_owned())
                }
            }
        })
        .collect()
}
