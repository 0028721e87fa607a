//! A ceremony in which a key is made and dealt.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A line of a ceremony's transcript. It holds no secret.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(tag = "message_type", rename = "ceremony_entry")]
pub struct CeremonyEntryDocument {
    /// Which line, from 0.
    pub number: u32,
    /// When.
    pub time: String,
    /// What was done.
    pub step: CeremonyStep,
    /// Particulars of it.
    pub facts: BTreeMap<String, String>,
    /// SHA-256 of the line before, without its line end; zeros in the first.
    pub previous_hex: String,
    /// The ceremony's key.
    pub public_key_hex: String,
    /// Ed25519 over label and line, the line with this field empty.
    pub signature_hex: String,
}

/// What a line of the transcript says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CeremonyStep {
    /// Laid out.
    #[default]
    Begun,
    /// The machine was looked at.
    Machine,
    /// Everybody is there.
    Present,
    /// The secret was drawn and split; every quorum was tried.
    Dealt,
    /// The cards were copied to their sheets.
    Copied,
    /// A card was read back from its sheet.
    ReadBack,
    /// The sheets were shown to bring the key back.
    Proven,
    /// A card was handed out.
    Handed,
    /// Everything secret was wiped from the machine.
    Finished,
    /// Something was refused; the step is still due.
    Refused,
}

/// `keys ceremony begin|next|status|verify --json`. It holds no secret.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(tag = "message_type", rename = "ceremony")]
pub struct CeremonyDocument {
    /// What the key is for.
    pub title: String,
    /// The step that is due; `null` once it is finished.
    pub due: Option<CeremonyStep>,
    /// Whether everything was done.
    pub finished: bool,
    /// Lines of the transcript.
    pub entries: u32,
    /// SHA-256 of its last line: what witnesses write down.
    pub last_hash_hex: String,
    /// The ceremony's key.
    pub public_key_hex: String,
    /// Cards that are still to be read back, as GROUP.MEMBER.
    pub to_read_back: Vec<String>,
    /// Cards that are still to be handed out.
    pub to_hand_out: Vec<String>,
    /// Files that were written.
    pub written: Vec<String>,
    /// What is wrong with the way the cards are spread.
    pub warnings: Vec<String>,
    /// What to do next.
    pub next: Vec<String>,
}
