//! Tokens, and keys in them.

use serde::{Deserialize, Serialize};

/// `keys hsm list --json`, `keys hsm init --json`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(tag = "message_type", rename = "hsm_tokens")]
pub struct HsmTokensDocument {
    /// The module that shows them.
    pub module: String,
    /// The tokens.
    pub tokens: Vec<HsmTokenDocument>,
}

/// One token.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct HsmTokenDocument {
    /// The slot it is in.
    pub slot: u64,
    /// Its label.
    pub label: String,
    /// Its serial number.
    pub serial: String,
    /// Who made it.
    pub maker: String,
    /// Its model.
    pub model: String,
    /// Whether it was prepared; `keys hsm init` prepares an empty one.
    pub initialized: bool,
    /// What it says about its PIN: `good`, `low`, `final_try`, `locked` or `not_set`.
    pub pin: HsmPinState,
    /// Room for private objects; `null` if it does not tell.
    pub free_bytes: Option<u64>,
    /// Kinds of keys for which it has the mechanisms; a curve may be missing all the same.
    pub kinds: Vec<String>,
    /// Those mechanisms that are used here and that it has.
    pub mechanisms: Vec<String>,
}

/// What a token says about its PIN.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HsmPinState {
    /// Nothing to worry about.
    #[default]
    Good,
    /// A wrong PIN was given since the last right one.
    Low,
    /// The next wrong PIN locks it.
    FinalTry,
    /// It takes no PIN any more.
    Locked,
    /// It has no PIN yet.
    NotSet,
}

/// `keys hsm keys --json`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(tag = "message_type", rename = "hsm_keys")]
pub struct HsmKeysDocument {
    /// The token's label.
    pub token: String,
    /// The token's serial number.
    pub serial: String,
    /// The private and secret keys in it.
    pub keys: Vec<HsmStoredKeyDocument>,
}

/// A key in a token.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct HsmStoredKeyDocument {
    /// Its kind; `null` for what is not used here.
    pub kind: Option<String>,
    /// Its label.
    pub label: String,
    /// Its id.
    pub id_hex: String,
    /// Its public half as the token shows it; `null` without one.
    pub public_hex: Option<String>,
    /// What of it is not as it is with a key that cannot leave; empty if nothing.
    pub faults: Vec<String>,
}

/// `keys hsm generate --json`, `keys hsm check --json`. It holds no secret.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(tag = "message_type", rename = "hsm_key")]
pub struct HsmKeyDocument {
    /// Its kind.
    pub kind: String,
    /// The token's label.
    pub token: String,
    /// The token's serial number.
    pub serial: String,
    /// The key's label.
    pub label: String,
    /// The key's id.
    pub id_hex: String,
    /// Its public half: a compressed point, an Ed25519 key, or a `SubjectPublicKeyInfo` of RSA;
    /// `null` for AES.
    pub public_hex: Option<String>,
    /// Its address on Ethereum, for secp256k1.
    pub ethereum_address: Option<String>,
    /// Its text as a recipient of the vault, for a recipient.
    pub recipient: Option<String>,
    /// Who holds the token.
    pub holder: Option<String>,
    /// Where the token is kept.
    pub place: Option<String>,
    /// When the record was made.
    pub made: String,
    /// When the token last proved to this command that it has the key.
    pub proven: String,
    /// Whether the token says, of each attribute, that the key was born in it and cannot leave.
    pub cannot_leave: bool,
}

/// `keys hsm sign --json`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(tag = "message_type", rename = "hsm_signature")]
pub struct HsmSignatureDocument {
    /// The kind of the key.
    pub kind: String,
    /// Its public half, by which the signature was verified.
    pub public_hex: String,
    /// The digest that ECDSA signed; `null` for Ed25519.
    pub digest_hex: Option<String>,
    /// `r‖s` with a low s, or an Ed25519 signature.
    pub signature_hex: String,
    /// The same as DER; `null` for Ed25519.
    pub signature_der_hex: Option<String>,
    /// Which of the candidates the signer is, on secp256k1: Ethereum's `v` is 27 more.
    pub recovery_id: Option<u8>,
    /// Whether the token's own s was high.
    pub normalised: bool,
}
