//! Base58 with the checksum that Bitcoin uses for extended keys and old addresses.

use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

const ALPHABET: &[u8; 58] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
const CHECKSUM_BYTES: usize = 4;
/// Longer texts are neither keys nor addresses; the conversion is quadratic.
const TEXT_CHARS_MAX: usize = 200;

fn checksum(bytes: &[u8]) -> [u8; CHECKSUM_BYTES] {
    let twice = Sha256::digest(Sha256::digest(bytes));
    let mut checksum = [0; CHECKSUM_BYTES];
    for (byte, of_hash) in checksum.iter_mut().zip(twice.iter()) {
        *byte = *of_hash;
    }
    checksum
}

/// Encodes bytes and their checksum. Not in constant time: it is for what is going to be shown.
pub(crate) fn encode(bytes: &[u8]) -> Zeroizing<String> {
    let mut whole = Zeroizing::new(bytes.to_vec());
    whole.extend(checksum(bytes));
    let mut digits: Zeroizing<Vec<u8>> = Zeroizing::new(Vec::with_capacity(whole.len() * 2));
    for byte in whole.iter() {
        let mut carry = u32::from(*byte);
        for digit in digits.iter_mut() {
            carry += u32::from(*digit) << 8;
            *digit = low_byte(carry % 58);
            carry /= 58;
        }
        while carry > 0 {
            digits.push(low_byte(carry % 58));
            carry /= 58;
        }
    }
    let zeros = whole.iter().take_while(|byte| **byte == 0).count();
    let mut text = Zeroizing::new(String::with_capacity(digits.len() + zeros));
    text.extend(std::iter::repeat_n('1', zeros));
    let letters = digits.iter().rev().filter_map(|digit| ALPHABET.get(usize::from(*digit)));
    text.extend(letters.map(|letter| char::from(*letter)));
    text
}

/// The bytes before the checksum, if the text is one with a checksum that holds.
pub(crate) fn decode(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    if text.len() > TEXT_CHARS_MAX {
        return None;
    }
    // Least significant byte first.
    let mut bytes: Zeroizing<Vec<u8>> = Zeroizing::new(Vec::with_capacity(text.len()));
    for letter in text.bytes() {
        let digit = ALPHABET.iter().position(|known| *known == letter)?;
        let mut carry = u32::try_from(digit).ok()?;
        for byte in bytes.iter_mut() {
            carry += u32::from(*byte) * 58;
            *byte = low_byte(carry & 0xff);
            carry >>= 8;
        }
        if carry > 0 {
            bytes.push(low_byte(carry));
        }
    }
    let zeros = text.bytes().take_while(|letter| *letter == b'1').count();
    bytes.extend(std::iter::repeat_n(0, zeros));
    bytes.reverse();
    let (content, sum) = bytes.split_at_checked(bytes.len().checked_sub(CHECKSUM_BYTES)?)?;
    (checksum(content) == sum).then(|| Zeroizing::new(content.to_vec()))
}

fn low_byte(number: u32) -> u8 {
    let [.., low] = number.to_be_bytes();
    low
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_encoded_comes_back_with_its_zeros() {
        for bytes in [vec![], vec![0], vec![0, 0, 1], vec![255; 78], (0..=77).collect()] {
            assert_eq!(decode(&encode(&bytes)).map(|it| it.to_vec()), Some(bytes));
        }
    }

    #[test]
    fn a_known_address_is_its_text() {
        // The first address of Bitcoin: version 0, HASH160 of its key.
        let hash = [
            0x62, 0xe9, 0x07, 0xb1, 0x5c, 0xbf, 0x27, 0xd5, 0x42, 0x53, 0x99, 0xeb, 0xf6, 0xf0,
            0xfb, 0x50, 0xeb, 0xb8, 0x8f, 0x18,
        ];
        let bytes = [&[0][..], &hash].concat();
        assert_eq!(encode(&bytes).as_str(), "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa");
    }

    #[test]
    fn a_wrong_letter_and_a_letter_that_is_none_are_refused() {
        assert!(decode("1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNb").is_none());
        assert!(decode("1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfN0").is_none());
        assert!(decode("").is_none());
        assert!(decode(&"1".repeat(201)).is_none());
    }
}
