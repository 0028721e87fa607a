//! `[deletion]`: who may allow old copies to be deleted.

use evenkeel_vault::ApprovalRule;
use serde::{Deserialize, Serialize};

use crate::report::Result;

/// `[deletion]`: whose word makes a deletion plan count, for every domain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DeletionConfig {
    /// The approvers: Ed25519 public keys (64 hexadecimal digits) and Ethereum addresses (`0x` and
    /// 40). None: nothing is deleted.
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
    /// [`Exit::Usage`](crate::report::Exit::Usage) for keys that are none, and for more needed than
    /// there are.
    pub fn rule(&self) -> Result<Option<ApprovalRule>> {
        if self.approvers.is_empty() {
            return Ok(None);
        }
        let approvers = super::approvals::approvers(&self.approvers)?;
        let delay_ns = u64::from(self.delay_hours) * 3_600_000_000_000;
        Ok(Some(ApprovalRule::new(&approvers, self.needed, delay_ns)?))
    }
}
