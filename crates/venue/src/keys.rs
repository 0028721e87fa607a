//! API keys: what a session may do.
//!
//! A session without a key is the owner's own and may do everything. A session that was opened
//! with `ConnectKey` has that key's permissions, for good: a plain `Connect` or another key is
//! refused in it, so nobody widens what he was given by connecting again. The binding ends with the
//! session's place in the session table, below whose floor its id is never taken again. A key that
//! was taken away leaves its sessions bound and able to disconnect only.
//!
//! | command | needs |
//! |---|---|
//! | `Place`, `PlaceWith`, `Amend`, `SetProtection` | `trade`, until `valid_until` |
//! | `Cancel`, `MassCancel` | `cancel` |
//! | `Transfer` | `transfer`, until `valid_until` |
//! | `RequestWithdrawal`, `CancelWithdrawal` | `withdraw`, until `valid_until` |
//! | `ConnectKey` | the session's own key, until `valid_until` |
//! | `Disconnect` | nothing |
//! | `Connect`, `SetKey` | a session without a key |

use crate::sessions::MAX_SESSIONS;
use crate::state::{OPERATOR_SLOT, State};
use evenkeel_types::flows::Permissions;
use evenkeel_types::{
    ApiKeyId, Command, Event, OutcomeKind, RejectCode, SessionId, Timestamp, canonical_struct,
};
use std::collections::BTreeMap;

type Done = Result<OutcomeKind, RejectCode>;

/// Most keys of an account.
pub const MAX_KEYS: usize = 64;

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
        account: u32,
        session: SessionId,
        command: &Command,
    ) -> Result<(), RejectCode> {
        let keys = &self.account(account).extra.keys;
        if keys.sessions.is_empty() {
            return Ok(());
        }
        let Some(bound) = keys.sessions.get(&session) else {
            return Ok(());
        };
        if matches!(command, Command::Disconnect) {
            return Ok(());
        }
        let granted = keys.permissions.get(bound).ok_or(RejectCode::UnknownKey)?;
        if allows(granted, *bound, self.meta.time, command) {
            Ok(())
        } else {
            Err(RejectCode::NoPermission)
        }
    }

    pub(crate) fn set_key(
        &mut self,
        account: u32,
        key: ApiKeyId,
        permissions: Permissions,
        events: &mut Vec<Event>,
    ) -> Done {
        if account == OPERATOR_SLOT {
            return Err(RejectCode::UnknownAccount);
        }
        let id = self.account(account).id;
        let known = &mut self.account_mut(account).extra.keys.permissions;
        let Permissions { trade, cancel, transfer, withdraw, valid_until: _ } = permissions;
        if trade || cancel || transfer || withdraw {
            if known.len() >= MAX_KEYS && !known.contains_key(&key) {
                return Err(RejectCode::LimitReached);
            }
            known.insert(key, permissions);
        } else if known.remove(&key).is_none() {
            return Err(RejectCode::UnknownKey);
        }
        events.push(Event::KeySet { account: id, key, permissions });
        Ok(OutcomeKind::Done)
    }

    /// Opens the session for a key. A session that has a key comes here with that one only, see
    /// [`allows`].
    pub(crate) fn connect_key(
        &mut self,
        account: u32,
        session: SessionId,
        key: ApiKeyId,
        cancel_on_disconnect: bool,
        events: &mut Vec<Event>,
    ) -> Done {
        if account == OPERATOR_SLOT {
            return Err(RejectCode::UnknownAccount);
        }
        let id = self.account(account).id;
        let now = self.meta.time;
        let keys = &mut self.account_mut(account).extra.keys;
        let granted = keys.permissions.get(&key).ok_or(RejectCode::UnknownKey)?;
        if granted.valid_until.is_some_and(|until| until < now) {
            return Err(RejectCode::NoPermission);
        }
        keys.sessions.insert(session, key);
        debug_assert!(keys.sessions.len() <= MAX_SESSIONS);
        events.push(Event::SessionKeyed { account: id, session, key });
        Ok(self.connect(account, session, cancel_on_disconnect, events))
    }

    /// A session left the table of sessions.
    pub(crate) fn forget_session(&mut self, account: u32, session: SessionId) {
        let keys = &mut self.account_mut(account).extra.keys;
        if !keys.sessions.is_empty() {
            keys.sessions.remove(&session);
        }
    }
}

/// Whether a key's permissions cover a command. What is not named here is for the owner alone.
fn allows(granted: &Permissions, bound: ApiKeyId, now: Timestamp, command: &Command) -> bool {
    let is_valid = granted.valid_until.is_none_or(|until| now <= until);
    match command {
        Command::Place { .. }
        | Command::PlaceWith { .. }
        | Command::Amend { .. }
        | Command::SetProtection { .. } => granted.trade && is_valid,
        Command::Cancel { .. } | Command::MassCancel { .. } => granted.cancel,
        Command::Transfer { .. } => granted.transfer && is_valid,
        Command::RequestWithdrawal { .. } | Command::CancelWithdrawal { .. } => {
            granted.withdraw && is_valid
        }
        Command::ConnectKey { key, .. } => *key == bound && is_valid,
        Command::Disconnect => true,
        _ => false,
    }
}
