//! What holders decrypt for somebody.

use serde::{Deserialize, Serialize};

use super::GroupHolderDocument;

/// `keys group ask|answer|open|trust --json`. It holds no secret.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(tag = "message_type", rename = "key_decryption")]
pub struct DecryptionDocument {
    /// Where it is.
    pub state: DecryptionState,
    /// The request's id, to be compared by voice; `null` while a holder has not typed it.
    pub id: Option<String>,
    /// The `age1…` that the periods are wrapped for; `null` of `trust`.
    pub recipient: Option<String>,
    /// Generation of the record.
    pub generation: Option<u32>,
    /// How many holders are needed.
    pub threshold: Option<u16>,
    /// `restore` or `drill`.
    pub purpose: Option<String>,
    /// Who asks, in words.
    pub requester: Option<String>,
    /// The key that answers are sealed for.
    pub target_hex: Option<String>,
    /// When it is over.
    pub expires: Option<String>,
    /// The domain.
    pub domain: String,
    /// Its public root key.
    pub root_public_key: Option<String>,
    /// What would be opened.
    pub lineages: Vec<DecryptionLineageDocument>,
    /// Who holds shares.
    pub holders: Vec<GroupHolderDocument>,
    /// Numbers of those whose parts open it.
    pub quorum: Vec<u16>,
    /// Numbers of those who gave good parts.
    pub good: Vec<u16>,
    /// Who gave wrong ones.
    pub wrong: Vec<DecryptionFaultDocument>,
    /// Numbers of those who have not answered.
    pub missing: Vec<u16>,
    /// Files that were written.
    pub written: Vec<String>,
    /// What to type next.
    pub next: Vec<String>,
}

/// Where a decryption is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DecryptionState {
    /// Holders are asked.
    #[default]
    Asked,
    /// A holder has read it and not answered.
    Shown,
    /// A holder has answered.
    Answered,
    /// A quorum has answered; it opens.
    Opens,
    /// A holder answers for this domain.
    Trusted,
}

/// The key periods of one lineage.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct DecryptionLineageDocument {
    /// The lineage.
    pub lineage: String,
    /// How many periods.
    pub periods: u64,
    /// Number of the first.
    pub first: u64,
    /// Number of the last.
    pub last: u64,
    /// When the first was signed for, by the signer's clock.
    pub first_signed: String,
    /// When the last was.
    pub last_signed: String,
}

/// Somebody who answered wrongly.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct DecryptionFaultDocument {
    /// The holder's number.
    pub number: u16,
    /// What was wrong.
    pub why: String,
}
