//! Modes in scopes, the way back, grace, vetoes.

use crate::state::State;
use evenkeel_types::regime::{Cause, Scope};
use evenkeel_types::{
    Command, Event, Mode, OutcomeKind, RejectCode, SessionId, Timestamp, canonical_struct,
};
use std::collections::BTreeMap;

/// A mode that holds somewhere.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ModeState {
    pub mode: Mode,
    pub cause: Cause,
    pub since: Timestamp,
    /// Not left before.
    pub cooldown_until: Timestamp,
}
canonical_struct!(ModeState { mode, cause, since, cooldown_until });

/// Approvals of a veto in a scope.
#[derive(Debug, Clone, Default)]
pub(crate) struct Veto {
    /// Approvers and when they spoke.
    pub approvals: BTreeMap<u32, Timestamp>,
    /// `None` while there are too few.
    pub until: Option<Timestamp>,
}
canonical_struct!(Veto { approvals, until });

/// Modes and vetoes; a scope that is not here is normal.
#[derive(Debug, Clone, Default)]
pub(crate) struct Regime {
    pub modes: BTreeMap<Scope, ModeState>,
    pub vetoes: BTreeMap<Scope, Veto>,
}
canonical_struct!(Regime { modes, vetoes });

/// An account's grace.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Grace {
    /// Milliseconds left; 0: not in grace.
    pub left_ms: u64,
    /// Used within the present day.
    pub used_ms: u64,
    pub day: u64,
}
canonical_struct!(Grace { left_ms, used_ms, day });

impl State {
    /// The strictest mode that applies to an account in an instrument.
    pub(crate) fn mode_of(&self, instrument: u32, account: u32) -> Mode {
        let modes = &self.extension.regime.modes;
        if modes.is_empty() {
            return self.meta.mode;
        }
        let known = self.instrument(instrument);
        let scopes = [
            Some(Scope::Venue),
            known.extra.underlying.map(|underlying| Scope::Underlying { underlying }),
            Some(Scope::Instrument { instrument: known.terms.id }),
            Some(Scope::Account { account: self.account(account).id }),
        ];
        let set = scopes.into_iter().flatten().filter_map(|scope| modes.get(&scope));
        set.map(|state| state.mode).fold(self.meta.mode, Mode::max)
    }

    /// Whether the modes that apply admit a client's command.
    pub(crate) fn check_regime(&self, _account: u32, _command: &Command) -> Result<(), RejectCode> {
        Ok(())
    }

    pub(crate) fn set_mode_in(
        &mut self,
        _scope: Scope,
        _mode: Mode,
        _code: u32,
        _events: &mut Vec<Event>,
    ) -> Result<OutcomeKind, RejectCode> {
        Err(RejectCode::NeedsUpgrade)
    }

    pub(crate) fn veto(
        &mut self,
        _approver: u32,
        _scope: Scope,
        _delay_ms: u64,
        _events: &mut Vec<Event>,
    ) -> Result<OutcomeKind, RejectCode> {
        Err(RejectCode::NeedsUpgrade)
    }

    /// What the passing of time does to modes, grace and vetoes.
    pub(crate) fn pass_regime(&mut self, _session: SessionId, _events: &mut Vec<Event>) {}
}
