//! The interchange format, version 5: strings of decimal numbers and of hexadecimal bytes.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// What EIP-3076 calls `interchange_format_version`.
pub const FORMAT_VERSION: &str = "5";

/// A text that is no interchange file, or one that must not be merged with another.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct InterchangeError(pub(super) String);

/// Bytes that are written as `0x` and hexadecimal digits.
macro_rules! hex_bytes {
    ($(#[$doc:meta])* $name:ident, $bytes:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub struct $name(pub [u8; $bytes]);

        impl $name {
            fn parse(text: &str, what: &str) -> Result<Self, InterchangeError> {
                let bad = || InterchangeError(format!(
                    "{what}: not 0x and {} hexadecimal digits", 2 * $bytes));
                let digits = text.strip_prefix("0x").ok_or_else(bad)?.as_bytes();
                if digits.len() != 2 * $bytes {
                    return Err(bad());
                }
                let mut bytes = [0; $bytes];
                for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
                    let digit = |at: usize| char::from(pair[at]).to_digit(16);
                    let (high, low) = digit(0).zip(digit(1)).ok_or_else(bad)?;
                    *byte = u8::try_from(high << 4 | low).map_err(|_| bad())?;
                }
                Ok(Self(bytes))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("0x")?;
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }
    };
}

hex_bytes!(
    /// A validator's public key (BLS12-381, 48 bytes).
    PublicKey,
    48
);
hex_bytes!(
    /// A root of 32 bytes: of what was signed, or of a chain's first validators.
    Root,
    32
);

/// A block that was signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Block {
    /// Its slot.
    pub slot: u64,
    /// What exactly was signed, if it is known.
    pub signing_root: Option<Root>,
}

/// An attestation that was signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Attestation {
    /// Its source epoch.
    pub source: u64,
    /// Its target epoch.
    pub target: u64,
    /// What exactly was signed, if it is known.
    pub signing_root: Option<Root>,
}

/// What one key signed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct History {
    /// Blocks.
    pub blocks: BTreeSet<Block>,
    /// Attestations.
    pub attestations: BTreeSet<Attestation>,
}

/// What the keys of one chain signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interchange {
    /// Which chain.
    pub genesis_validators_root: Root,
    /// By key; a key that stands twice in a file is one here.
    pub keys: BTreeMap<PublicKey, History>,
}

#[derive(Serialize, Deserialize)]
struct FileForm {
    metadata: Metadata,
    data: Vec<KeyForm>,
}

#[derive(Serialize, Deserialize)]
struct Metadata {
    interchange_format_version: String,
    genesis_validators_root: String,
}

#[derive(Serialize, Deserialize)]
struct KeyForm {
    pubkey: String,
    signed_blocks: Vec<BlockForm>,
    signed_attestations: Vec<AttestationForm>,
}

#[derive(Serialize, Deserialize)]
struct BlockForm {
    slot: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    signing_root: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct AttestationForm {
    source_epoch: String,
    target_epoch: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    signing_root: Option<String>,
}

fn number(text: &str, what: &str) -> Result<u64, InterchangeError> {
    let is_plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let value = is_plain.then(|| text.parse().ok()).flatten();
    value.ok_or_else(|| InterchangeError(format!("{what}: not a decimal number of 64 bits")))
}

fn root(text: Option<&String>, what: &str) -> Result<Option<Root>, InterchangeError> {
    text.map(|text| Root::parse(text, what)).transpose()
}

impl Interchange {
    /// A history of nothing.
    #[must_use]
    pub fn empty(genesis_validators_root: Root) -> Self {
        Self { genesis_validators_root, keys: BTreeMap::new() }
    }

    /// Reads an interchange file.
    ///
    /// # Errors
    /// What in it is not as EIP-3076 has it. A file is taken whole or not at all.
    pub fn parse(text: &str) -> Result<Self, InterchangeError> {
        let file: FileForm = serde_json::from_str(text)
            .map_err(|error| InterchangeError(format!("this is no interchange file: {error}")))?;
        let version = &file.metadata.interchange_format_version;
        if version != FORMAT_VERSION {
            let version: String = version.chars().take(20).collect();
            return Err(InterchangeError(format!(
                "its format version is `{version}`; only {FORMAT_VERSION} is final and read"
            )));
        }
        let genesis = &file.metadata.genesis_validators_root;
        let mut read = Self::empty(Root::parse(genesis, "genesis_validators_root")?);
        for (at, key) in file.data.iter().enumerate() {
            let public = PublicKey::parse(&key.pubkey, &format!("data[{at}].pubkey"))?;
            let history = read.keys.entry(public).or_default();
            for (block_at, block) in key.signed_blocks.iter().enumerate() {
                let what = format!("data[{at}].signed_blocks[{block_at}]");
                history.blocks.insert(Block {
                    slot: number(&block.slot, &format!("{what}.slot"))?,
                    signing_root: root(block.signing_root.as_ref(), &what)?,
                });
            }
            for (vote_at, vote) in key.signed_attestations.iter().enumerate() {
                let what = format!("data[{at}].signed_attestations[{vote_at}]");
                history.attestations.insert(Attestation {
                    source: number(&vote.source_epoch, &format!("{what}.source_epoch"))?,
                    target: number(&vote.target_epoch, &format!("{what}.target_epoch"))?,
                    signing_root: root(vote.signing_root.as_ref(), &what)?,
                });
            }
        }
        Ok(read)
    }

    /// Writes it as an interchange file, in order of keys, slots and epochs.
    #[must_use]
    pub fn to_json(&self) -> String {
        let root = |root: Option<Root>| root.map(|root| root.to_string());
        let key = |(public, history): (&PublicKey, &History)| KeyForm {
            pubkey: public.to_string(),
            signed_blocks: history
                .blocks
                .iter()
                .map(|it| BlockForm {
                    slot: it.slot.to_string(),
                    signing_root: root(it.signing_root),
                })
                .collect(),
            signed_attestations: history
                .attestations
                .iter()
                .map(|it| AttestationForm {
                    source_epoch: it.source.to_string(),
                    target_epoch: it.target.to_string(),
                    signing_root: root(it.signing_root),
                })
                .collect(),
        };
        let form = FileForm {
            metadata: Metadata {
                interchange_format_version: FORMAT_VERSION.to_owned(),
                genesis_validators_root: self.genesis_validators_root.to_string(),
            },
            data: self.keys.iter().map(key).collect(),
        };
        // Texts and lists can always be written.
        serde_json::to_string_pretty(&form).unwrap_or_default() + "\n"
    }
}
