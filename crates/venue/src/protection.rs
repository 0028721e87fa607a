//! Market-maker protection.

use crate::state::State;
use evenkeel_types::conditional::Protection;
use evenkeel_types::{Event, OutcomeKind, RejectCode, Timestamp, UnderlyingId, canonical_struct};
use std::collections::BTreeMap;

/// Protection of an account in one underlying, and what counts toward it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ProtectionState {
    pub terms: Protection,
    pub window_from: Timestamp,
    pub quantity: u64,
    pub delta: i64,
    pub is_frozen: bool,
    /// `None` while frozen: until reset.
    pub frozen_until: Option<Timestamp>,
}
canonical_struct!(ProtectionState { terms, window_from, quantity, delta, is_frozen, frozen_until });

/// An account's protections.
pub(crate) type Protections = BTreeMap<UnderlyingId, ProtectionState>;

impl State {
    pub(crate) fn set_protection(
        &mut self,
        _account: u32,
        _underlying: UnderlyingId,
        _protection: Protection,
        _events: &mut Vec<Event>,
    ) -> Result<OutcomeKind, RejectCode> {
        Err(RejectCode::NeedsUpgrade)
    }
}
