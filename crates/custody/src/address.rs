//! Addresses of Ethereum and Bitcoin: what people compare to know that a key is the right one.

use sha3::{Digest, Keccak256};

use crate::base58;
use crate::bip32::ExtendedPublic;

/// The Ethereum address, in mixed case as EIP-55 has it.
#[must_use]
pub fn ethereum(key: &ExtendedPublic) -> String {
    of_point(&key.point_uncompressed())
}

/// The Ethereum address of a public key as an uncompressed point (SEC 1, 65 bytes); `None` for
/// anything of another form. Whether the point is one of the curve is for the caller to know.
#[must_use]
pub fn ethereum_of_point(point: &[u8]) -> Option<String> {
    (point.len() == 65 && point.first() == Some(&4)).then(|| of_point(point))
}

/// Keccak-256, as Ethereum hashes.
#[must_use]
pub fn keccak256(bytes: &[u8]) -> [u8; 32] {
    Keccak256::digest(bytes).into()
}

fn of_point(point: &[u8]) -> String {
    let hash = keccak256(point.get(1..).unwrap_or_default());
    let small: String = hash.iter().skip(12).map(|byte| format!("{byte:02x}")).collect();
    mixed_case(&small)
}

/// EIP-55: a letter is a capital where the hash of the text has a high digit.
pub(crate) fn mixed_case(small: &str) -> String {
    let hash = Keccak256::digest(small.as_bytes());
    let digits = hash.iter().flat_map(|byte| [byte >> 4, byte & 0xf]);
    let letters = small
        .chars()
        .zip(digits)
        .map(|(letter, digit)| if digit >= 8 { letter.to_ascii_uppercase() } else { letter });
    std::iter::once('0').chain(std::iter::once('x')).chain(letters).collect()
}

/// Bitcoin's native segregated-witness address (P2WPKH, BIP-173).
#[must_use]
pub fn bitcoin_segwit(key: &ExtendedPublic) -> String {
    // A program of 20 bytes is one that can be encoded.
    bech32::segwit::encode_v0(bech32::hrp::BC, &key.hash()).unwrap_or_default()
}

/// Bitcoin's oldest kind of address (P2PKH).
#[must_use]
pub fn bitcoin_legacy(key: &ExtendedPublic) -> String {
    base58::encode(&[&[0][..], &key.hash()].concat()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bip32::ExtendedPrivate;

    /// `abandon … about`, the mnemonic of all examples, without passphrase.
    const SEED: &str = "5eb00bbddcf069084889a8ab9155568165f5c453ccb85e70811aaed6f6da5fc1\
                        9a5ac40b389cd370d086206dec8aa6c43daea6690f20ad3d8d48b2d2ce9e38e4";

    fn key(path: &str) -> ExtendedPublic {
        let seed: Vec<u8> = (0..SEED.len() / 2)
            .map(|at| u8::from_str_radix(&SEED[2 * at..2 * at + 2], 16).unwrap())
            .collect();
        let master = ExtendedPrivate::master(&seed).unwrap();
        master.derive(&path.parse().unwrap()).unwrap().public().unwrap()
    }

    #[test]
    fn the_segwit_addresses_of_bip_84_come_out() {
        let first = bitcoin_segwit(&key("m/84'/0'/0'/0/0"));
        assert_eq!(first, "bc1qcr8te4kr609gcawutmrza0j4xv80jy8z306fyu");
        let second = bitcoin_segwit(&key("m/84'/0'/0'/0/1"));
        assert_eq!(second, "bc1qnjg0jd8228aq7egyzacy8cys3knf9xvrerkf9g");
    }

    #[test]
    fn the_known_addresses_of_the_example_mnemonic_come_out() {
        assert_eq!(
            ethereum(&key("m/44'/60'/0'/0/0")),
            "0x9858EfFD232B4033E47d90003D41EC34EcaEda94"
        );
        let legacy = bitcoin_legacy(&key("m/44'/0'/0'/0/0"));
        assert_eq!(legacy, "1LqBGSKuX5yYUonjxT5qGfpUsXKYYWeabA");
    }

    #[test]
    fn the_examples_of_eip_55_keep_their_capitals() {
        for address in [
            "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
            "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359",
            "0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB",
            "0xD1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDb",
        ] {
            assert_eq!(mixed_case(&address[2..].to_lowercase()), address);
        }
    }
}
