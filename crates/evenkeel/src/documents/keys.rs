//! Custody of keys.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// `keys slip39 recover --json`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(tag = "message_type", rename = "slip39_recovery")]
pub struct Slip39RecoveryDocument {
    /// The number of the set of cards.
    pub set: u16,
    /// Whether the same secret and passphrase can be split again.
    pub extendable: bool,
    /// 10,000 · 2^this rounds per guess of the passphrase.
    pub iteration_exponent: u8,
    /// Groups needed.
    pub group_threshold: u8,
    /// Groups there are.
    pub group_count: u8,
    /// The groups of which there were cards.
    pub groups: Vec<Slip39GroupUseDocument>,
    /// Cards that were given.
    pub shares: usize,
    /// Cards beyond those needed that agreed with the others.
    pub extra_shares_checked: usize,
    /// Cards of which nothing could be said, because too few of their group were given.
    pub shares_unchecked: usize,
    /// Cards that repeat another.
    pub shares_repeated: usize,
    /// Whether a digest vouches for the shares; false for a single card that is the whole secret.
    pub has_digest: bool,
    /// Whether the secret was compared with a recorded fingerprint.
    pub verified: bool,
    /// Length of the secret.
    pub secret_bits: usize,
    /// The secret; `null` unless `--reveal` was given.
    pub secret_hex: Option<String>,
}

/// One group's part in a recovery.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Slip39GroupUseDocument {
    /// Its number, from 1.
    pub group: u8,
    /// Members needed.
    pub member_threshold: u8,
    /// Members that were given, from 1.
    pub members: Vec<u8>,
    /// Whether that is enough of them.
    pub complete: bool,
}

/// `keys slip39 split --json`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(tag = "message_type", rename = "slip39_split")]
pub struct Slip39SplitDocument {
    /// The number of the set of cards.
    pub set: u16,
    /// Whether the same secret and passphrase can be split again.
    pub extendable: bool,
    /// 10,000 · 2^this rounds per guess of the passphrase.
    pub iteration_exponent: u8,
    /// Groups needed.
    pub group_threshold: u8,
    /// The groups, in order.
    pub groups: Vec<Slip39GroupDocument>,
    /// Length of the secret.
    pub secret_bits: usize,
    /// The cards.
    pub cards: Vec<Slip39CardDocument>,
}

/// One group of a split.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Slip39GroupDocument {
    /// Members needed.
    pub member_threshold: u8,
    /// Members there are.
    pub member_count: u8,
}

/// One card of a split.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Slip39CardDocument {
    /// Its group, from 1.
    pub group: u8,
    /// Its member, from 1.
    pub member: u8,
    /// The file it was written to; `null` without `--out`.
    pub file: Option<PathBuf>,
    /// Its words; `null` unless `--reveal` was given.
    pub mnemonic: Option<String>,
}
