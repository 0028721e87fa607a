//! What flows, keys and owners can be in any state an engine can be in.

use crate::booking::MAX_BOOKED;
use crate::flows::{Flow, FlowMap, MAX_FINISHED_FLOWS, MAX_OPEN_FLOWS};
use crate::keys::MAX_KEYS;
use crate::restore::ensure;
use crate::snapshot::SnapshotError;
use crate::state::{Account, State};
use evenkeel_types::flows::FlowState;
use evenkeel_types::{AccountId, CurrencyId, Reader};
use std::collections::BTreeMap;

/// Far beyond any history; counting on from it never overflows.
const MAX_COUNT: u64 = 1 << 62;

/// Checks deposits, withdrawals, keys and owners.
pub(crate) fn check_flows(reader: &Reader<'_>, state: &State) -> Result<(), SnapshotError> {
    let flows = &state.extension.flows;
    let in_range = flows.next_approval <= MAX_COUNT && flows.next_finish <= MAX_COUNT;
    ensure(reader, in_range, "a counter of flows is out of range")?;
    for flow in flows.deposits.values() {
        let fits = is_deposit(flow) && is_counted(state, flow);
        ensure(reader, fits, "a deposit is inconsistent")?;
    }
    let mut set_aside: BTreeMap<CurrencyId, i128> = BTreeMap::new();
    for flow in flows.withdrawals.values() {
        let fits = is_withdrawal(state, flow) && is_counted(state, flow);
        ensure(reader, fits, "a withdrawal is inconsistent")?;
        if flow.is_open() {
            let sum = set_aside.entry(flow.currency).or_default();
            *sum = sum.saturating_add(flow.amount.0);
        }
    }
    let adds_up = state.currencies.iter().all(|(id, known)| {
        known.extra.pools.withdrawals.0 == set_aside.get(id).copied().unwrap_or_default()
    });
    ensure(reader, adds_up, "the withdrawals do not add up to their pool")?;
    for all in [&flows.deposits, &flows.withdrawals] {
        ensure(reader, are_held(state, all), "too many flows, or flows of nobody")?;
    }
    for account in state.clients() {
        ensure(reader, is_owned(state, account), "a sub-account without a main account")?;
        ensure(reader, has_keys(account), "keys are inconsistent")?;
    }
    Ok(())
}

/// Amount, currency and numbers.
fn is_counted(state: &State, flow: &Flow) -> bool {
    let flows = &state.extension.flows;
    let most = if flow.instrument.is_some() { MAX_BOOKED } else { 1 << 90 };
    let is_amount = flow.amount.0 > 0 && flow.amount.0 <= most;
    let is_past = flow.approved.is_none_or(|it| it < flows.next_approval)
        && flow.finished.is_none_or(|it| it < flows.next_finish);
    is_amount
        && is_past
        && state.currencies.contains_key(&flow.currency)
        && flow.finished.is_some() != flow.is_open()
}

fn is_deposit(flow: &Flow) -> bool {
    matches!(flow.state, FlowState::Pending | FlowState::Final | FlowState::Failed)
        && flow.destination == [0; 32]
        && flow.transaction.is_none()
        && flow.approved.is_none()
        && flow.instrument.is_none()
}

fn is_withdrawal(state: &State, flow: &Flow) -> bool {
    let is_stalled =
        state.currencies.get(&flow.currency).is_some_and(|known| known.extra.is_stalled);
    let (is_approved, is_sent) = (flow.approved.is_some(), flow.transaction.is_some());
    let stands = match flow.state {
        FlowState::Pending => false,
        FlowState::Requested => !is_approved && !is_sent && flow.instrument.is_none(),
        FlowState::Approved => is_approved && !is_sent && !is_stalled,
        FlowState::Queued => is_approved && !is_sent && is_stalled,
        FlowState::Sent | FlowState::Final => is_approved && is_sent,
        FlowState::Failed => is_approved || !is_sent,
    };
    stands && flow.instrument.is_none_or(|it| state.instrument_slots.contains_key(&it))
}

/// Whether every flow is somebody's and nobody has too many.
fn are_held(state: &State, flows: &FlowMap) -> bool {
    let mut counts: BTreeMap<AccountId, (usize, usize)> = BTreeMap::new();
    for ((account, _), flow) in flows {
        let (open, finished) = counts.entry(*account).or_default();
        if !flow.is_open() {
            *finished += 1;
        } else if flow.instrument.is_none() {
            *open += 1;
        }
    }
    counts.into_iter().all(|(account, (open, finished))| {
        state.holder_slot(account).is_ok()
            && open <= MAX_OPEN_FLOWS
            && finished <= MAX_FINISHED_FLOWS
    })
}

/// Whether a sub-account has a main account, which has none.
fn is_owned(state: &State, account: &Account) -> bool {
    account.extra.main.is_none_or(|main| {
        let slot = state.holder_slot(main).ok();
        let is_main = slot.is_some_and(|slot| state.account(slot).extra.main.is_none());
        is_main && account.id != AccountId::FUND
    })
}

fn has_keys(account: &Account) -> bool {
    let keys = &account.extra.keys;
    let grants =
        keys.permissions.values().all(|it| it.trade || it.cancel || it.transfer || it.withdraw);
    let are_open = keys.sessions.keys().all(|session| account.sessions.by_id.contains_key(session));
    grants && are_open && keys.permissions.len() <= MAX_KEYS
}
