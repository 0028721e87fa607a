//! Money that crosses the venue's border, in steps.
//!
//! ```text
//! deposit     seen ──► pending ──► final: credited
//!               ▲         └──────► dropped ─┐
//!               └── seen again ─────────────┘
//!
//! withdrawal  requested ──► approved ──► sent ──► final: it has left
//!                 │         ▲      │      │
//!                 │   chain │      │      │
//!                 │   moves queued │      │
//!                 └───────────┴────┴──────┴─────► failed: given back
//! ```
//!
//! A pending deposit counts for nothing. A withdrawal leaves the balance when it is requested;
//! until it is final or failed it is in its currency's pool of withdrawals. The client may take it
//! back until it is sent. While a chain is stalled, what is approved queues, in order of approval,
//! and nothing is sent; everything else goes on.
//!
//! **Every step is idempotent by the flow's key.** A step that was taken already is done again
//! without effect, whatever came after it; the same key with another content is a `FlowConflict`;
//! a step that does not follow from where the flow stands is a `WrongStep`. A deposit that was
//! dropped and is seen again is pending again: a reorganised transaction may come back.
//!
//! An account has at most [`MAX_OPEN_FLOWS`] open deposits and as many open withdrawals
//! (`LimitReached`; deliveries come on top). Of finished ones the last [`MAX_FINISHED_FLOWS`] of
//! each are remembered, so that a late retry changes nothing; a key that was forgotten is new.

use crate::margin::has_headroom;
use crate::state::State;
use evenkeel_types::flows::{DepositStep, FlowKey, FlowState};
use evenkeel_types::{
    AccountId, CurrencyId, Event, InstrumentId, Money, OutcomeKind, RejectCode, canonical_struct,
};
use std::collections::BTreeMap;

type Done = Result<OutcomeKind, RejectCode>;

/// Most pending deposits, and most withdrawals under way that a client asked for, of an account.
pub const MAX_OPEN_FLOWS: usize = 256;
/// Finished deposits, and finished withdrawals, that are remembered of an account.
pub const MAX_FINISHED_FLOWS: usize = 1024;

/// A deposit or withdrawal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Flow {
    pub currency: CurrencyId,
    pub amount: Money,
    pub state: FlowState,
    /// Hash of where a withdrawal goes; zeros for a deposit or a delivery.
    pub destination: [u8; 32],
    /// The transaction by which it was sent.
    pub transaction: Option<[u8; 32]>,
    /// Order of approval, for the queue.
    pub approved: Option<u64>,
    /// Order of finishing: what finished first is forgotten first. `None` while it is open.
    pub finished: Option<u64>,
    /// The instrument whose physical delivery it carries.
    pub instrument: Option<InstrumentId>,
}
canonical_struct!(Flow {
    currency,
    amount,
    state,
    destination,
    transaction,
    approved,
    finished,
    instrument,
});

impl Flow {
    /// A new one.
    pub fn new(currency: CurrencyId, amount: Money, state: FlowState) -> Self {
        Self {
            currency,
            amount,
            state,
            destination: [0; 32],
            transaction: None,
            approved: None,
            finished: None,
            instrument: None,
        }
    }

    pub fn is_open(&self) -> bool {
        !matches!(self.state, FlowState::Final | FlowState::Failed)
    }
}

/// Flows by account and key.
pub(crate) type FlowMap = BTreeMap<(AccountId, FlowKey), Flow>;

/// All of them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Flows {
    pub deposits: FlowMap,
    pub withdrawals: FlowMap,
    pub next_approval: u64,
    pub next_finish: u64,
}
canonical_struct!(Flows { deposits, withdrawals, next_approval, next_finish });

/// An account's flows in order of their keys.
pub(crate) fn flows_of(
    flows: &FlowMap,
    account: AccountId,
) -> impl Iterator<Item = (FlowKey, &Flow)> {
    let all = (account, FlowKey([0; 16]))..=(account, FlowKey([255; 16]));
    flows.range(all).map(|((_, key), flow)| (*key, flow))
}

/// How many open flows count toward the limit.
pub(crate) fn open_count(flows: &FlowMap, account: AccountId) -> usize {
    let counts = |flow: &Flow| flow.is_open() && flow.instrument.is_none();
    flows_of(flows, account).filter(|(_, flow)| counts(flow)).count()
}

/// Marks a flow as finished and forgets the account's oldest finished one if there are too many.
pub(crate) fn finish(
    flows: &mut FlowMap,
    next_finish: &mut u64,
    (account, key): (AccountId, FlowKey),
    state: FlowState,
) {
    let Some(flow) = flows.get_mut(&(account, key)) else {
        return;
    };
    flow.state = state;
    flow.finished = Some(*next_finish);
    *next_finish = next_finish.saturating_add(1);
    let mut count = 0usize;
    let mut oldest: Option<(u64, FlowKey)> = None;
    for (key, flow) in flows_of(flows, account) {
        if let Some(finished) = flow.finished {
            count += 1;
            oldest = Some(oldest.map_or((finished, key), |it| it.min((finished, key))));
        }
    }
    if let Some((_, oldest)) = oldest.filter(|_| count > MAX_FINISHED_FLOWS) {
        flows.remove(&(account, oldest));
    }
}

impl State {
    pub(crate) fn report_deposit(
        &mut self,
        account: AccountId,
        key: FlowKey,
        step: DepositStep,
        events: &mut Vec<Event>,
    ) -> Done {
        let slot = self.holder_slot(account)?;
        let known = self.extension.flows.deposits.get(&(account, key)).copied();
        match step {
            DepositStep::Seen { currency, amount } => {
                self.see_deposit((account, key), known, (currency, amount), events)
            }
            DepositStep::Final => {
                let flow = known.ok_or(RejectCode::UnknownFlow)?;
                match flow.state {
                    FlowState::Final => Ok(OutcomeKind::Done),
                    FlowState::Pending => self.credit_deposit(slot, key, &flow, events),
                    _ => Err(RejectCode::WrongStep),
                }
            }
            DepositStep::Dropped => {
                let flow = known.ok_or(RejectCode::UnknownFlow)?;
                match flow.state {
                    FlowState::Failed => {}
                    FlowState::Pending => {
                        self.finish_deposit((account, key), &flow, FlowState::Failed, events);
                    }
                    _ => return Err(RejectCode::WrongStep),
                }
                Ok(OutcomeKind::Done)
            }
        }
    }

    fn see_deposit(
        &mut self,
        (account, key): (AccountId, FlowKey),
        known: Option<Flow>,
        (currency, amount): (CurrencyId, Money),
        events: &mut Vec<Event>,
    ) -> Done {
        self.check_amount(currency, amount)?;
        if let Some(flow) = known {
            if (flow.currency, flow.amount) != (currency, amount) {
                return Err(RejectCode::FlowConflict);
            }
            if flow.state != FlowState::Failed {
                return Ok(OutcomeKind::Done);
            }
        }
        let flows = &mut self.extension.flows;
        if open_count(&flows.deposits, account) >= MAX_OPEN_FLOWS {
            return Err(RejectCode::LimitReached);
        }
        let state = FlowState::Pending;
        flows.deposits.insert((account, key), Flow::new(currency, amount, state));
        events.push(Event::DepositChanged { account, key, currency, amount, state });
        Ok(OutcomeKind::Done)
    }

    fn credit_deposit(
        &mut self,
        slot: u32,
        key: FlowKey,
        flow: &Flow,
        events: &mut Vec<Event>,
    ) -> Done {
        let account = self.account(slot).id;
        let Flow { currency, amount, .. } = *flow;
        self.credit_from_outside(slot, currency, amount, events)?;
        self.finish_deposit((account, key), flow, FlowState::Final, events);
        Ok(OutcomeKind::Done)
    }

    fn finish_deposit(
        &mut self,
        (account, key): (AccountId, FlowKey),
        flow: &Flow,
        state: FlowState,
        events: &mut Vec<Event>,
    ) {
        let flows = &mut self.extension.flows;
        finish(&mut flows.deposits, &mut flows.next_finish, (account, key), state);
        let Flow { currency, amount, .. } = *flow;
        events.push(Event::DepositChanged { account, key, currency, amount, state });
    }

    /// Credits what came from outside.
    pub(crate) fn credit_from_outside(
        &mut self,
        slot: u32,
        currency: CurrencyId,
        amount: Money,
        events: &mut Vec<Event>,
    ) -> Result<(), RejectCode> {
        let balance = self.account(slot).balance(currency).balance;
        let net_deposits = self.net_deposits(currency);
        // Neither sum can overflow: an amount is at most 2^90, both others at most 2^126.
        let sums = [balance.0 + amount.0, net_deposits.0 + amount.0];
        if !sums.into_iter().all(|sum| has_headroom(Money(sum))) {
            return Err(RejectCode::ValueTooLarge);
        }
        let account = self.account(slot).id;
        events.push(Event::Deposited { account, currency, amount });
        self.move_across_border(slot, currency, amount.0, events);
        Ok(())
    }
}
