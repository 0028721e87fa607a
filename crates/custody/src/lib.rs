//! Custody: secrets that are split among people and places, and recovered from them.
//!
//! [`slip39`] splits a secret into mnemonics of words (SLIP-0039), any agreed number of which bring
//! it back, and says of every set of cards what is wrong with it: which word, which card, which
//! group, how many are missing. [`bip39`] reads and writes the sentences of wallets, [`bip32`] and
//! [`address`] give the public keys and addresses that tell one key from another; a
//! [`fingerprint`] keeps them without any secret, and a [`proof`] shows that the key is at hand.
//! [`mod@age`] takes an identity that opens backups for such a secret. By a [`drill`] the holder of
//! one card alone proves that it is still good. A [`group`] signs by a key that nobody holds.
//!
//! **Architecture invariants**
//! - No file, no socket, no terminal, no clock. Randomness comes in through [`Random`].
//! - Nothing is corrected: a word that is not a word is refused with its position.
//! - A secret lives in a type that is overwritten when dropped and that `Debug` does not show.
//! - What depends on a secret takes the same steps and touches the same memory whatever the secret
//!   is, as far as the compiler leaves it so: no table is indexed by a secret. Only messages about
//!   *refused* input may take longer for one input than for another.
//! - A set of shares leaves this crate only after every share of it was shown to lie on one
//!   polynomial that gives the secret back.
//! - No panics: no unwrap, no expect, no indexing.

#![forbid(unsafe_code)]
#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unreachable,
    missing_docs
)]
#![cfg_attr(
    test,
    allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)
)]

pub mod address;
pub mod age;
mod base58;
pub mod bip32;
pub mod bip39;
pub mod drill;
pub mod fingerprint;
mod gf256;
pub mod group;
mod mix;
pub mod proof;
mod random;
mod secret;
pub mod slip39;
mod spelling;
pub mod wallet;
#[cfg(test)]
mod wycheproof;

pub use mix::mix;
pub use random::{Random, RandomError};
pub use secret::{Secret, same_bytes};
