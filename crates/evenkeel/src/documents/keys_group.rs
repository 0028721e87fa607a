//! A key that nobody holds.

use serde::{Deserialize, Serialize};

/// `keys group … --json`. It holds no secret.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(tag = "message_type", rename = "key_group")]
pub struct GroupDocument {
    /// Where the ceremony, signing or check is.
    pub state: GroupState,
    /// `ed25519`, `secp256k1` or `recipient`; `null` before there is a plan.
    pub curve: Option<String>,
    /// The generation that is made, or that signs.
    pub generation: Option<u32>,
    /// How many holders are needed to sign.
    pub threshold: Option<u16>,
    /// The group's public key; `null` before there is one.
    pub group_key_hex: Option<String>,
    /// The `age1…` to encrypt to, if the key is a recipient's.
    pub recipient: Option<String>,
    /// The plan, the request or the record's hash.
    pub id: Option<String>,
    /// Who holds shares.
    pub holders: Vec<GroupHolderDocument>,
    /// What is waited for; `null` if nothing is.
    pub waiting_for: Option<String>,
    /// Numbers of those who are waited for.
    pub missing: Vec<u16>,
    /// Files that were written.
    pub written: Vec<String>,
    /// Files on the table that do not count, each with its reason.
    pub set_aside: Vec<String>,
    /// The signature; `null` if there is none.
    pub signature_hex: Option<String>,
    /// Key and signature as a contract takes them; `null` on Ed25519 and without a signature.
    pub contract: Option<GroupContractDocument>,
    /// What one place reaches alone, and the like.
    pub warnings: Vec<String>,
    /// What to type next.
    pub next: Vec<String>,
}

/// Where it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GroupState {
    /// A holder has a key for messages.
    Enrolled,
    /// A plan lies on its table.
    Planned,
    /// Others have to do something first.
    #[default]
    Waiting,
    /// The test signature is due.
    TestDue,
    /// The new generation is in force here.
    InForce,
    /// Signers are asked for.
    Requested,
    /// There is a signature.
    Signed,
    /// Signature or share is good.
    Good,
}

/// What `contracts/src/GroupSignature.sol` takes; words of 256 bits as `0x…`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct GroupContractDocument {
    /// Abscissa of the group's key.
    pub key_x: String,
    /// 0 if the ordinate of the group's key is even, 1 if it is odd.
    pub key_parity: u8,
    /// Abscissa of R.
    pub r_x: String,
    /// Ordinate of R.
    pub r_y: String,
    /// The scalar z.
    pub z: String,
}

/// One holder.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct GroupHolderDocument {
    /// The holder's number.
    pub number: u16,
    /// The holder's name.
    pub name: String,
    /// Where the share is kept.
    pub place: String,
    /// Public key of the holder's messages.
    pub key_hex: String,
}
