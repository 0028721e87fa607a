//! `[deletion]`: who may allow old copies to be deleted.

use evenkeel_vault::DeletionRule;
use serde::{Deserialize, Serialize};

use crate::keyfile;
use crate::report::{Exit, Report, Result};

/// `[deletion]`: whose word makes a deletion plan count, for every domain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DeletionConfig {
    /// Ed25519 public keys of the approvers, 64 hexadecimal digits each. None: nothing is deleted.
    pub approvers: Vec<String>,
    /// How many of them have to agree.
    pub needed: usize,
    /// How many hours everybody has to object, after the last approval that was needed.
    pub delay_hours: u32,
}

impl Default for DeletionConfig {
    fn default() -> Self {
        Self { approvers: Vec::new(), needed: 2, delay_hours: 72 }
    }
}

impl DeletionConfig {
    /// The rule, if there are approvers.
    ///
    /// # Errors
    /// [`Exit::Usage`] for keys that are none, and for more needed than there are.
    pub fn rule(&self) -> Result<Option<DeletionRule>> {
        if self.approvers.is_empty() {
            return Ok(None);
        }
        let key = |text: &String| {
            keyfile::unhex(text).and_then(|bytes| bytes.try_into().ok()).ok_or_else(|| {
                Report::new(Exit::Usage, format!("`{text}` is no approver's public key"))
                    .safe("nothing was started")
                    .next("64 hexadecimal digits, as `evenkeel prune key` prints them")
            })
        };
        let keys = self.approvers.iter().map(key).collect::<Result<Vec<[u8; 32]>>>()?;
        let delay_ns = u64::from(self.delay_hours) * 3_600_000_000_000;
        Ok(Some(DeletionRule::new(&keys, self.needed, delay_ns)?))
    }
}
