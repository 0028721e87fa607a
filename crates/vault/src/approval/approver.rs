//! Who approves: a key of Ed25519, or a wallet.

use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use evenkeel_custody::wallet::{
    WALLET_SIGNATURE_BYTES, WalletAddress, personal_hash, signer as wallet_signer,
};
use evenkeel_types::{Canonical, DecodeError, Reader, Writer as Encoder};

use super::statement::{Matter, Statement, Word};
use crate::certificate::SIGNATURE_BYTES;
use crate::error::{Error, Result};
use crate::layout::{hex, unhex};
use crate::random::{self, Random};

/// Who may approve.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Approver {
    /// A public key of Ed25519 (RFC 8032): a person's, a token's, or a group's that signs by a
    /// threshold (RFC 9591).
    Key([u8; 32]),
    /// A wallet of Ethereum, by its address (EIP-191).
    Wallet([u8; 20]),
}

impl Approver {
    /// Reads 64 hexadecimal digits, or `0x` and 40 (EIP-55 where the case is mixed).
    ///
    /// # Errors
    /// [`Error::Invalid`] for anything else, and for a key that is weak or none.
    pub fn parse(text: &str) -> Result<Self> {
        let text = text.trim();
        if let Some(WalletAddress(address)) = WalletAddress::parse(text) {
            return Ok(Self::Wallet(address));
        }
        let fail = || Error::Invalid {
            what: "approver",
            detail: format!(
                "`{text}` is neither an Ed25519 public key (64 hexadecimal digits) nor an \
                 Ethereum address (0x and 40, with the capitals of EIP-55 or none)"
            ),
        };
        unhex(text).map(Self::Key).filter(Self::is_sound).ok_or_else(fail)
    }

    /// Whether anybody could sign as it.
    pub(super) fn is_sound(&self) -> bool {
        match self {
            Self::Key(key) => VerifyingKey::from_bytes(key).is_ok_and(|key| !key.is_weak()),
            Self::Wallet(address) => *address != [0; 20],
        }
    }

    /// Its name in objects' names at sites: digits alone.
    #[must_use]
    pub fn digits(&self) -> String {
        match self {
            Self::Key(key) => hex(key),
            Self::Wallet(address) => address.iter().map(|byte| format!("{byte:02x}")).collect(),
        }
    }

    /// Bytes of its signatures.
    #[must_use]
    pub fn signature_bytes(&self) -> usize {
        match self {
            Self::Key(_) => SIGNATURE_BYTES,
            Self::Wallet(_) => WALLET_SIGNATURE_BYTES,
        }
    }

    pub(super) fn has_signed(&self, message: &[u8], signature: &[u8]) -> bool {
        match self {
            Self::Key(key) => {
                let key = VerifyingKey::from_bytes(key).ok().filter(|key| !key.is_weak());
                let signature = Signature::from_slice(signature).ok();
                key.zip(signature).is_some_and(|(key, it)| key.verify_strict(message, &it).is_ok())
            }
            Self::Wallet(address) => {
                let signature = <&[u8; WALLET_SIGNATURE_BYTES]>::try_from(signature).ok();
                let found = signature.and_then(|it| wallet_signer(&personal_hash(message), it));
                found.is_some_and(|found| found.0 == *address)
            }
        }
    }
}

impl std::fmt::Display for Approver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Key(key) => f.write_str(&hex(key)),
            Self::Wallet(address) => WalletAddress(*address).fmt(f),
        }
    }
}

impl Canonical for Approver {
    fn encode(&self, encoder: &mut Encoder) {
        match self {
            Self::Key(key) => {
                encoder.u8(0);
                encoder.fixed(key);
            }
            Self::Wallet(address) => {
                encoder.u8(1);
                encoder.fixed(address);
            }
        }
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match reader.u8()? {
            0 => reader.array().map(Self::Key),
            1 => reader.array().map(Self::Wallet),
            other => Err(reader.unknown_tag("approver", other.into())),
        }
    }
}

/// An approver's signing key. It never belongs on a host that carries out what it approves.
pub struct ApproverKey(SigningKey);

impl ApproverKey {
    /// A new key.
    ///
    /// # Errors
    /// [`Error::Random`].
    pub fn generate(random: &mut dyn Random) -> Result<Self> {
        Ok(Self(SigningKey::from_bytes(&random::array(random)?)))
    }

    /// From its 32 secret bytes.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; 32]) -> Self {
        Self(SigningKey::from_bytes(bytes))
    }

    /// Its 32 secret bytes; m of n such keys can have old copies deleted.
    #[must_use]
    pub fn to_bytes(&self) -> zeroize::Zeroizing<[u8; 32]> {
        zeroize::Zeroizing::new(self.0.to_bytes())
    }

    /// The public half.
    #[must_use]
    pub fn public(&self) -> [u8; 32] {
        self.0.verifying_key().to_bytes()
    }

    /// The approver whose key it is.
    #[must_use]
    pub fn approver(&self) -> Approver {
        Approver::Key(self.public())
    }

    /// Signs a word. Of a deletion in the form that readers of all versions know.
    #[must_use]
    pub fn say(&self, word: Word, matter: &Matter, time_ns: u64) -> Statement {
        Statement::sign(word, matter, time_ns, self.public(), |message| {
            self.0.sign(message).to_bytes()
        })
    }
}

impl std::fmt::Debug for ApproverKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ApproverKey(public {}, secret withheld)", hex(&self.public()))
    }
}
