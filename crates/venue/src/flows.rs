//! Deposits and withdrawals in steps, transfers, chains that stall.

use crate::state::State;
use evenkeel_types::flows::{DepositStep, FlowKey, FlowState, WithdrawalStep};
use evenkeel_types::{
    AccountId, Collateral, CurrencyId, Event, Money, OutcomeKind, RejectCode, canonical_struct,
};
use std::collections::BTreeMap;

type Done = Result<OutcomeKind, RejectCode>;

/// A deposit or withdrawal on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Flow {
    pub currency: CurrencyId,
    pub amount: Money,
    pub state: FlowState,
    /// A withdrawal's destination, then its transaction.
    pub reference: [u8; 32],
    /// Order of approval, for the queue.
    pub approved: u64,
}
canonical_struct!(Flow { currency, amount, state, reference, approved });

/// All of them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Flows {
    pub deposits: BTreeMap<(AccountId, FlowKey), Flow>,
    pub withdrawals: BTreeMap<(AccountId, FlowKey), Flow>,
    pub next_approval: u64,
}
canonical_struct!(Flows { deposits, withdrawals, next_approval });

impl State {
    pub(crate) fn open_sub_account(
        &mut self,
        _account: AccountId,
        _main: AccountId,
        _collateral: Collateral,
        _events: &mut Vec<Event>,
    ) -> Done {
        Err(RejectCode::NeedsUpgrade)
    }

    pub(crate) fn transfer_between(
        &mut self,
        _from: u32,
        _to: AccountId,
        _currency: CurrencyId,
        _amount: Money,
        _events: &mut Vec<Event>,
    ) -> Done {
        Err(RejectCode::NeedsUpgrade)
    }

    pub(crate) fn request_withdrawal(
        &mut self,
        _account: u32,
        _key: FlowKey,
        _currency: CurrencyId,
        _amount: Money,
        _destination: [u8; 32],
        _events: &mut Vec<Event>,
    ) -> Done {
        Err(RejectCode::NeedsUpgrade)
    }

    pub(crate) fn cancel_withdrawal(
        &mut self,
        _account: u32,
        _key: FlowKey,
        _events: &mut Vec<Event>,
    ) -> Done {
        Err(RejectCode::NeedsUpgrade)
    }

    pub(crate) fn report_deposit(
        &mut self,
        _account: AccountId,
        _key: FlowKey,
        _step: DepositStep,
        _events: &mut Vec<Event>,
    ) -> Done {
        Err(RejectCode::NeedsUpgrade)
    }

    pub(crate) fn advance_withdrawal(
        &mut self,
        _account: AccountId,
        _key: FlowKey,
        _step: WithdrawalStep,
        _events: &mut Vec<Event>,
    ) -> Done {
        Err(RejectCode::NeedsUpgrade)
    }

    pub(crate) fn set_chain(
        &mut self,
        _currency: CurrencyId,
        _stalled: bool,
        _events: &mut Vec<Event>,
    ) -> Done {
        Err(RejectCode::NeedsUpgrade)
    }

    pub(crate) fn fund_insurance(
        &mut self,
        _currency: CurrencyId,
        _amount: Money,
        _events: &mut Vec<Event>,
    ) -> Done {
        Err(RejectCode::NeedsUpgrade)
    }

    pub(crate) fn pay_fees(
        &mut self,
        _currency: CurrencyId,
        _amount: Money,
        _events: &mut Vec<Event>,
    ) -> Done {
        Err(RejectCode::NeedsUpgrade)
    }
}
