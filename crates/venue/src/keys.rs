//! API keys: what a session may do.

use crate::state::State;
use evenkeel_types::flows::Permissions;
use evenkeel_types::{
    ApiKeyId, Command, Event, OutcomeKind, RejectCode, SessionId, canonical_struct,
};
use std::collections::BTreeMap;

type Done = Result<OutcomeKind, RejectCode>;

/// An account's keys, and the sessions that were opened with them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Keys {
    pub permissions: BTreeMap<ApiKeyId, Permissions>,
    pub sessions: BTreeMap<SessionId, ApiKeyId>,
}
canonical_struct!(Keys { permissions, sessions });

impl State {
    /// Whether the session's key lets it send the command.
    pub(crate) fn check_permission(
        &self,
        _account: u32,
        _session: SessionId,
        _command: &Command,
    ) -> Result<(), RejectCode> {
        Ok(())
    }

    pub(crate) fn set_key(
        &mut self,
        _account: u32,
        _session: SessionId,
        _key: ApiKeyId,
        _permissions: Permissions,
        _events: &mut Vec<Event>,
    ) -> Done {
        Err(RejectCode::NeedsUpgrade)
    }

    pub(crate) fn connect_key(
        &mut self,
        _account: u32,
        _session: SessionId,
        _key: ApiKeyId,
        _cancel_on_disconnect: bool,
        _events: &mut Vec<Event>,
    ) -> Done {
        Err(RejectCode::NeedsUpgrade)
    }
}
