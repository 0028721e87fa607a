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
    /// What the secret is.
    pub scheme: KeyScheme,
    /// The first four bytes of the master public key's hash; empty for an identity of age.
    pub master_fingerprint: String,
    /// Accounts with their keys and first addresses: no secret, to be compared.
    pub accounts: Vec<KeyAccountDocument>,
    /// What the identity opens is encrypted to it: `age1…`; `null` unless the scheme is `age`.
    pub recipient: Option<String>,
    /// Length of the secret.
    pub secret_bits: usize,
    /// The secret; `null` unless `--reveal` was given.
    pub secret_hex: Option<String>,
    /// The sentence; `null` unless the scheme is `bip39` and `--reveal` was given.
    pub bip39_sentence: Option<String>,
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

/// What a secret is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyScheme {
    /// A BIP-32 seed, as wallets of SLIP-39 use the secret itself.
    #[default]
    Seed,
    /// The entropy of a BIP-39 sentence; its seed is another.
    Bip39,
    /// An identity of age, which opens what is encrypted to its recipient: no wallet.
    Age,
}

impl KeyScheme {
    /// The word of the JSON documents.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Seed => "seed",
            Self::Bip39 => "bip39",
            Self::Age => "age",
        }
    }
}

/// The fingerprint record of a key: `keys fingerprint --json`, and `fingerprint.json` beside cards.
/// It holds no secret.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(tag = "message_type", rename = "key_fingerprint")]
pub struct KeyFingerprintDocument {
    /// What the secret is.
    pub scheme: KeyScheme,
    /// Which split of this key it is, from 1.
    pub generation: u32,
    /// When the record was made.
    pub made: String,
    /// Length of the secret.
    pub secret_bits: usize,
    /// The first four bytes of the master public key's hash; empty for an identity of age.
    pub master_fingerprint: String,
    /// Accounts with their keys and first addresses.
    pub accounts: Vec<KeyAccountDocument>,
    /// What the identity opens is encrypted to it: `age1…`; `null` unless the scheme is `age`.
    #[serde(default)]
    pub recipient: Option<String>,
    /// The cards; `null` if it was not split.
    pub set: Option<KeySetDocument>,
    /// What is wrong with the way the cards are spread.
    pub warnings: Vec<String>,
}

/// One account of a key.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct KeyAccountDocument {
    /// `ethereum`, `bitcoin-segwit` or `bitcoin-legacy`.
    pub name: String,
    /// Where it is in the tree of BIP-32.
    pub path: String,
    /// Its extended public key: whoever has it sees all addresses and cannot spend.
    pub xpub: String,
    /// Its first addresses.
    pub addresses: Vec<KeyAddressDocument>,
}

/// One address of a key.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct KeyAddressDocument {
    /// Where its key is in the tree.
    pub path: String,
    /// The address.
    pub address: String,
}

/// The cards of a key.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct KeySetDocument {
    /// The number of the set.
    pub set: u16,
    /// Whether the same secret and passphrase can be split again.
    pub extendable: bool,
    /// 10,000 · 2^this rounds per guess of the passphrase.
    pub iteration_exponent: u8,
    /// Groups needed.
    pub group_threshold: u8,
    /// Groups there are.
    pub group_count: u8,
    /// The groups, in order; empty if the record was made from cards, which do not say.
    pub groups: Vec<KeyGroupDocument>,
    /// The cards.
    pub cards: Vec<KeyCardDocument>,
}

/// One group.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct KeyGroupDocument {
    /// Members needed.
    pub member_threshold: u8,
    /// Members there are.
    pub member_count: u8,
}

/// One card: who has it where, and the key by which it proves itself.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct KeyCardDocument {
    /// Its group, from 1.
    pub group: u8,
    /// Its member, from 1.
    pub member: u8,
    /// Members of its group that are needed.
    pub member_threshold: u8,
    /// Who holds it; `null` if nobody was named.
    pub holder: Option<String>,
    /// Where it lies; `null` if no place was named.
    pub place: Option<String>,
    /// Public half of its drill key.
    pub drill_public_key: String,
}

/// What a recovery leaves behind: `keys recover --evidence FILE`, `keys evidence --json`. It holds
/// no secret.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(tag = "message_type", rename = "key_recovery")]
pub struct KeyRecoveryDocument {
    /// The number of the set.
    pub set: u16,
    /// Which split of the key it is; 0 without a record.
    pub generation: u32,
    /// The cards that brought it back, as GROUP.MEMBER with the holder.
    pub cards: Vec<String>,
    /// Cards that were not taken.
    pub cards_refused: usize,
    /// Passphrases that did not fit the record.
    pub passphrases_refused: usize,
    /// Whether it is the recorded key.
    pub verified: bool,
    /// The first four bytes of the master public key's hash; empty for an identity of age.
    pub master_fingerprint: String,
    /// The identity's `age1…`; absent for a wallet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recipient: Option<String>,
    /// When the first card was asked for.
    pub begun: String,
    /// When the key was back.
    pub ended: String,
    /// Seconds between the two, with what people took to type.
    pub elapsed_seconds: String,
    /// The key that signed.
    pub signer_hex: String,
    /// Ed25519 over label and document, the document with this field empty.
    pub signature_hex: String,
}

/// `keys kit --json`, `keys kit check --json`. It holds no secret.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(tag = "message_type", rename = "keys_kit")]
pub struct KeysKitDocument {
    /// `make` or `check`.
    pub action: String,
    /// Files that were made, or the one that was compared.
    pub files: Vec<String>,
    /// When, RFC 3339 UTC.
    pub made: String,
    /// The first digits of the hash of what it says: names it.
    pub kit: String,
    /// What the keys in it are for.
    pub keys: Vec<String>,
    /// What the kit cannot say, and what is wrong with the way cards are spread.
    pub warnings: Vec<String>,
    /// Whole days since it was made.
    pub age_days: u64,
    /// Whether it is word for word what was made.
    pub intact: bool,
    /// What differs from the records of today.
    pub changes: Vec<String>,
}

/// `keys depart --json`: what a holder who leaves could still do. It holds no secret.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(tag = "message_type", rename = "key_departure")]
pub struct KeyDepartureDocument {
    /// Who leaves.
    pub holder: String,
    /// The number of the set.
    pub set: u16,
    /// Which split of the key it is.
    pub generation: u32,
    /// The cards that leave, as GROUP.MEMBER.
    pub cards: Vec<String>,
    /// Whether these cards alone bring the key back.
    pub alone_a_quorum: bool,
    /// The smallest sets of others with whom they do; empty if they do alone.
    pub others_needed: Vec<String>,
    /// Whether the cards that stay bring the key back.
    pub rest_is_a_quorum: bool,
    /// What to do, in this order.
    pub next: Vec<String>,
}

/// A card's answer to a challenge: `keys drill prove --json`, `keys drill check --json`, and a line
/// of the log. It holds no secret.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(tag = "message_type", rename = "share_drill")]
pub struct ShareDrillDocument {
    /// What the card's first four words say, 8 bytes.
    pub header: String,
    /// The number of the set.
    pub set: u16,
    /// Its group, from 1.
    pub group: u8,
    /// Its member, from 1.
    pub member: u8,
    /// When it was answered, or checked.
    pub time: String,
    /// What was to be signed.
    pub challenge_hex: String,
    /// The signature.
    pub answer_hex: String,
    /// The key that signed.
    pub public_key_hex: String,
    /// Whether it was compared with a record and is the card that was dealt.
    pub verified: bool,
}

/// How fresh a card's last drill is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ShareDrillState {
    /// Recent enough.
    Fresh,
    /// Too long ago.
    Stale,
    /// There was none.
    #[default]
    Never,
}

/// `keys drill status --json`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(tag = "message_type", rename = "share_drills")]
pub struct ShareDrillsDocument {
    /// The number of the set.
    pub set: u16,
    /// Older drills are stale.
    pub stale_days: u64,
    /// Cards that are stale or were never drilled.
    pub cards_due: usize,
    /// Lines of the log that prove nothing.
    pub lines_ignored: usize,
    /// The cards.
    pub cards: Vec<ShareDrillStatusDocument>,
}

/// One card's last drill.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct ShareDrillStatusDocument {
    /// Its group, from 1.
    pub group: u8,
    /// Its member, from 1.
    pub member: u8,
    /// Who holds it.
    pub holder: Option<String>,
    /// Where it lies.
    pub place: Option<String>,
    /// When it was last proven; `null` if never.
    pub last_drill: Option<String>,
    /// How many whole days ago.
    pub age_days: Option<u64>,
    /// What that means.
    pub state: ShareDrillState,
}
