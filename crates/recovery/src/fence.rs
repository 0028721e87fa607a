//! Side effects that leave the venue stay fenced after every new term until each was reconciled.
//!
//! A withdrawal that was approved when the last primary ended may have been sent, or not: between
//! the sending and its journal entry a process can die. So whatever was on its way out when a term
//! begins is *held*: nobody sends it. What ends that is an entry of the operator in the new term:
//!
//! | what the operator found on the chain | entry | then |
//! |---|---|---|
//! | it was not sent | `AdvanceWithdrawal` approve, again | it may be sent, once |
//! | it was sent | `AdvanceWithdrawal` send, with its transaction | it waits to be final |
//! | it was sent, as the journal says | the same send, again | it waits to be final |
//! | it arrived | `AdvanceWithdrawal` final | nothing is left to do |
//! | it cannot be sent | `AdvanceWithdrawal` fail, or the client cancels | the money is back |
//!
//! All of them are commands that the venue has anyway; steps that were taken before change nothing
//! there and are journaled. The next term holds everything again that is still on its way: nobody
//! has to know what an earlier primary's operator had found.

use std::collections::BTreeMap;
use std::fmt;

use evenkeel_types::flows::{FlowKey, FlowState, WithdrawalStep};
use evenkeel_types::{
    AccountId, Command, CurrencyId, Event, InstrumentId, Money, Outcome, OutcomeKind,
};
use evenkeel_venue::Engine;

/// Which withdrawal: its idempotence key, unique within the account.
pub type WithdrawalId = (AccountId, FlowKey);

/// A withdrawal that was on its way out when the term began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeldEffect {
    /// Whose.
    pub account: AccountId,
    /// Its idempotence key.
    pub key: FlowKey,
    /// In which currency.
    pub currency: CurrencyId,
    /// How much, in the currency's smallest unit.
    pub amount: Money,
    /// Where it stood when the term began: approved, queued or sent.
    pub state: FlowState,
    /// The instrument whose physical delivery it carries.
    pub delivery_of: Option<InstrumentId>,
}

impl fmt::Display for HeldEffect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { account, currency, amount, state, .. } = self;
        write!(f, "withdrawal ")?;
        for byte in self.key.0 {
            write!(f, "{byte:02x}")?;
        }
        write!(f, " of account {account}, {} of currency {currency}: ", amount.0)?;
        f.write_str(match state {
            FlowState::Sent => {
                "sent before this term; look for its transaction, and do not send it again"
            }
            _ => {
                "approved before this term; it may have been sent: look on the chain, then journal \
                 that it was (send) or that it may be (approve)"
            }
        })
    }
}

/// What is held since the term began.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SideEffects {
    held: BTreeMap<WithdrawalId, HeldEffect>,
}

impl SideEffects {
    /// Holds everything that is on its way out in this state: where a term begins.
    #[must_use]
    pub fn hold_all(engine: &Engine) -> Self {
        let held = engine.withdrawals().filter_map(|(account, flow)| {
            let is_under_way =
                matches!(flow.state, FlowState::Approved | FlowState::Queued | FlowState::Sent);
            let held = HeldEffect {
                account,
                key: flow.key,
                currency: flow.currency,
                amount: flow.amount,
                state: flow.state,
                delivery_of: flow.delivery_of,
            };
            is_under_way.then_some(((account, flow.key), held))
        });
        Self { held: held.collect() }
    }

    /// Takes note of an entry of this term and of what it changed.
    pub fn observe(&mut self, command: &Command, events: &[Event]) {
        if self.held.is_empty() {
            return;
        }
        for event in events {
            if let Event::WithdrawalChanged { account, key, state, .. } = event
                && matches!(state, FlowState::Sent | FlowState::Final | FlowState::Failed)
            {
                self.held.remove(&(*account, *key));
            }
        }
        let Some(Event::Completed { outcome: Outcome { kind: OutcomeKind::Done, .. } }) =
            events.last()
        else {
            return;
        };
        if let Command::AdvanceWithdrawal { account, key, step } = command {
            let id = (*account, *key);
            let state = self.held.get(&id).map(|held| held.state);
            let is_reconciled = match step {
                WithdrawalStep::Approve => {
                    matches!(state, Some(FlowState::Approved | FlowState::Queued))
                }
                WithdrawalStep::Send { .. } => state == Some(FlowState::Sent),
                WithdrawalStep::Final | WithdrawalStep::Fail { .. } => false,
            };
            if is_reconciled {
                self.held.remove(&id);
            }
        }
    }

    /// Whether a withdrawal may be sent to its chain now: approved, and not held.
    #[must_use]
    pub fn may_send(&self, engine: &Engine, id: WithdrawalId) -> bool {
        let known = engine.withdrawals().find(|(account, flow)| (*account, flow.key) == id);
        let is_approved = known.is_some_and(|(_, flow)| flow.state == FlowState::Approved);
        is_approved && !self.held.contains_key(&id)
    }

    /// What waits to be reconciled, by account and key.
    pub fn held(&self) -> impl ExactSizeIterator<Item = &HeldEffect> {
        self.held.values()
    }
}
