//! The passphrase's part of SLIP-0039: four rounds of a Feistel network over PBKDF2-HMAC-SHA256.
//!
//! A wrong passphrase gives another secret and no error; only a fingerprint tells them apart.

use std::num::NonZeroU32;

use aws_lc_rs::pbkdf2;
use zeroize::Zeroizing;

use super::share::SetId;

/// Rounds of PBKDF2 in each of the four of the network, at exponent 0.
const ITERATIONS: u32 = 2_500;

/// What is split: the secret, encrypted.
pub(crate) fn encrypt(secret: &[u8], passphrase: &[u8], set: &SetId) -> Zeroizing<Vec<u8>> {
    network(secret, passphrase, set, [0, 1, 2, 3])
}

/// The secret again.
pub(crate) fn decrypt(encrypted: &[u8], passphrase: &[u8], set: &SetId) -> Zeroizing<Vec<u8>> {
    network(encrypted, passphrase, set, [3, 2, 1, 0])
}

/// Both directions are the same but for the order of the rounds. The length is even.
fn network(input: &[u8], passphrase: &[u8], set: &SetId, rounds: [u8; 4]) -> Zeroizing<Vec<u8>> {
    let (left, right) = input.split_at(input.len() / 2);
    let mut left = Zeroizing::new(left.to_vec());
    let mut right = Zeroizing::new(right.to_vec());
    for round in rounds {
        let stream = stream(round, passphrase, set, &right);
        for (byte, of_stream) in left.iter_mut().zip(stream.iter()) {
            *byte ^= of_stream;
        }
        std::mem::swap(&mut left, &mut right);
    }
    let mut output = Zeroizing::new(Vec::with_capacity(input.len()));
    output.extend_from_slice(&right);
    output.extend_from_slice(&left);
    output
}

fn stream(round: u8, passphrase: &[u8], set: &SetId, right: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut password = Zeroizing::new(Vec::with_capacity(passphrase.len() + 1));
    password.push(round);
    password.extend_from_slice(passphrase);
    let mut salt = Zeroizing::new(Vec::with_capacity(right.len() + 8));
    if !set.extendable {
        salt.extend_from_slice(b"shamir");
        salt.extend_from_slice(&set.identifier.to_be_bytes());
    }
    salt.extend_from_slice(right);
    let iterations = NonZeroU32::MIN
        .saturating_add(ITERATIONS.saturating_mul(1 << (set.iteration_exponent & 0xf)) - 1);
    let mut output = Zeroizing::new(vec![0; right.len()]);
    pbkdf2(&password, &salt, iterations, &mut output);
    output
}

/// PBKDF2-HMAC-SHA256 (RFC 8018).
pub(crate) fn pbkdf2(password: &[u8], salt: &[u8], rounds: NonZeroU32, output: &mut [u8]) {
    pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, rounds, salt, password, output);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(extendable: bool, identifier: u16) -> SetId {
        SetId { identifier, extendable, iteration_exponent: 0, group_threshold: 1, group_count: 1 }
    }

    #[test]
    fn the_right_passphrase_brings_the_secret_back_and_another_one_something_else() {
        let secret: Vec<u8> = (0..32).collect();
        for extendable in [false, true] {
            let set = set(extendable, 7);
            let encrypted = encrypt(&secret, b"TREZOR", &set);
            assert_ne!(encrypted.as_slice(), secret);
            assert_eq!(decrypt(&encrypted, b"TREZOR", &set).as_slice(), secret);
            assert_ne!(decrypt(&encrypted, b"trezor", &set).as_slice(), secret);
        }
    }

    #[test]
    fn only_extendable_sets_encrypt_alike_under_different_identifiers() {
        let secret = [9; 16];
        let encrypted = |extendable, id| encrypt(&secret, b"x", &set(extendable, id));
        assert_eq!(encrypted(true, 1), encrypted(true, 2));
        assert_ne!(encrypted(false, 1), encrypted(false, 2));
    }
}
