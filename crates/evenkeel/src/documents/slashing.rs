//! Signing histories of validators.

use serde::{Deserialize, Serialize};

/// `slashing restore --json` and `slashing merge --json`: the history that was written.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(tag = "message_type", rename = "slashing")]
pub struct SlashingDocument {
    /// The interchange file.
    pub to: String,
    /// Which chain, hex.
    pub genesis_validators_root: String,
    /// Public keys in it.
    pub keys: u64,
    /// Histories that were merged: recovery points, or files.
    pub sources: u64,
    /// Whether a file lay at the target, and was merged too.
    pub merged_with_target: bool,
    /// Greatest slot of a block that any key signed.
    pub max_slot: Option<u64>,
    /// Greatest target epoch that any key signed.
    pub max_target_epoch: Option<u64>,
    /// The greatest target epoch of the key that is known least; `null` if one signed nothing, and
    /// of `merge`.
    pub captured_epoch: Option<u64>,
    /// The epoch until which the validator can have signed; `null` of `merge`.
    pub stopped_epoch: Option<u64>,
    /// Epochs to wait before it starts; `null` of `merge`.
    pub wait_epochs: Option<u64>,
    /// When it may start, RFC 3339 UTC; `null` of `merge`.
    pub start_after: Option<String>,
}
