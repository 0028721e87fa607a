//! A withdrawal's steps, and chains that stall; see `flows.rs`.

use crate::booking::Reason;
use crate::flows::{Flow, MAX_OPEN_FLOWS, finish, flows_of, open_count};
use crate::margin::has_headroom;
use crate::state::State;
use evenkeel_types::event::Booking;
use evenkeel_types::flows::{FlowKey, FlowState, WithdrawalStep};
use evenkeel_types::{AccountId, CurrencyId, Event, Money, OutcomeKind, RejectCode};

type Done = Result<OutcomeKind, RejectCode>;

/// A flow and where it is kept.
type Kept = (AccountId, FlowKey, Flow);

impl State {
    pub(crate) fn request_withdrawal(
        &mut self,
        slot: u32,
        key: FlowKey,
        (currency, amount): (CurrencyId, Money),
        destination: [u8; 32],
        events: &mut Vec<Event>,
    ) -> Done {
        let account = self.account(slot).id;
        self.holder_slot(account)?;
        self.check_amount(currency, amount)?;
        let flows = &self.extension.flows;
        if let Some(known) = flows.withdrawals.get(&(account, key)) {
            let content = (known.currency, known.amount, known.destination, known.instrument);
            let is_same = content == (currency, amount, destination, None);
            return if is_same { Ok(OutcomeKind::Done) } else { Err(RejectCode::FlowConflict) };
        }
        if open_count(&flows.withdrawals, account) >= MAX_OPEN_FLOWS {
            return Err(RejectCode::LimitReached);
        }
        self.check_takeout(slot, currency, amount)?;
        if !self.can_pool(currency) {
            return Err(RejectCode::ValueTooLarge);
        }
        let flow = Flow { destination, ..Flow::new(currency, amount, FlowState::Requested) };
        self.set_aside(slot, key, flow, events);
        Ok(OutcomeKind::Done)
    }

    /// Moves a withdrawal's money from the balance into the pool, and keeps the withdrawal.
    pub(crate) fn set_aside(
        &mut self,
        slot: u32,
        key: FlowKey,
        flow: Flow,
        events: &mut Vec<Event>,
    ) {
        let account = self.account(slot).id;
        let Flow { currency, amount, state, .. } = flow;
        self.extension.flows.withdrawals.insert((account, key), flow);
        self.book(slot, currency, -amount.0, reason(&flow), events);
        self.change_pools(currency, |pools| pools.withdrawals.0 += amount.0, events);
        events.push(Event::WithdrawalChanged { account, key, currency, amount, state });
    }

    pub(crate) fn cancel_withdrawal(
        &mut self,
        slot: u32,
        key: FlowKey,
        events: &mut Vec<Event>,
    ) -> Done {
        let account = self.account(slot).id;
        self.holder_slot(account)?;
        let flow = self.withdrawal(account, key)?;
        match flow.state {
            FlowState::Failed => {}
            FlowState::Requested | FlowState::Approved | FlowState::Queued => {
                self.give_back(slot, key, &flow, events);
            }
            _ => return Err(RejectCode::WrongStep),
        }
        Ok(OutcomeKind::Done)
    }

    pub(crate) fn advance_withdrawal(
        &mut self,
        account: AccountId,
        key: FlowKey,
        step: WithdrawalStep,
        events: &mut Vec<Event>,
    ) -> Done {
        let slot = self.holder_slot(account)?;
        let flow = self.withdrawal(account, key)?;
        match (step, flow.state) {
            (WithdrawalStep::Approve, _) if flow.approved.is_some() => Ok(OutcomeKind::Done),
            (WithdrawalStep::Approve, FlowState::Requested) => {
                // It was free when it was requested; the account may be short since.
                self.check_not_held(slot)?;
                self.approve((account, key, flow), events);
                Ok(OutcomeKind::Done)
            }
            (WithdrawalStep::Send { reference }, state) => match flow.transaction {
                Some(known) if known == reference => Ok(OutcomeKind::Done),
                Some(_) => Err(RejectCode::FlowConflict),
                None => self.send((account, key, flow), (reference, state), events),
            },
            (WithdrawalStep::Final, FlowState::Final)
            | (WithdrawalStep::Fail { .. }, FlowState::Failed) => Ok(OutcomeKind::Done),
            (WithdrawalStep::Final, FlowState::Sent) => {
                self.leave_for_good((account, key, flow), events)
            }
            (WithdrawalStep::Fail { .. }, state) if state != FlowState::Final => {
                self.give_back(slot, key, &flow, events);
                Ok(OutcomeKind::Done)
            }
            _ => Err(RejectCode::WrongStep),
        }
    }

    fn withdrawal(&self, account: AccountId, key: FlowKey) -> Result<Flow, RejectCode> {
        let known = self.extension.flows.withdrawals.get(&(account, key));
        known.copied().ok_or(RejectCode::UnknownFlow)
    }

    /// Stores what became of a withdrawal that goes on, and tells it.
    fn put_withdrawal(&mut self, (account, key, flow): Kept, events: &mut Vec<Event>) {
        let Flow { currency, amount, state, .. } = flow;
        self.extension.flows.withdrawals.insert((account, key), flow);
        events.push(Event::WithdrawalChanged { account, key, currency, amount, state });
    }

    fn approve(&mut self, (account, key, flow): Kept, events: &mut Vec<Event>) {
        let flow = self.approved(flow);
        self.put_withdrawal((account, key, flow), events);
    }

    /// A flow as approved now: it queues if its chain is stalled.
    pub(crate) fn approved(&mut self, flow: Flow) -> Flow {
        let state =
            if self.is_stalled(flow.currency) { FlowState::Queued } else { FlowState::Approved };
        let flows = &mut self.extension.flows;
        let approved = Some(flows.next_approval);
        flows.next_approval = flows.next_approval.saturating_add(1);
        Flow { state, approved, ..flow }
    }

    fn send(
        &mut self,
        (account, key, flow): Kept,
        (reference, state): ([u8; 32], FlowState),
        events: &mut Vec<Event>,
    ) -> Done {
        match state {
            FlowState::Approved => {
                let sent = Flow { state: FlowState::Sent, transaction: Some(reference), ..flow };
                self.put_withdrawal((account, key, sent), events);
                Ok(OutcomeKind::Done)
            }
            FlowState::Queued => Err(RejectCode::ChainStalled),
            _ => Err(RejectCode::WrongStep),
        }
    }

    /// The money has left: what was set aside is gone, and so are as many deposits.
    fn leave_for_good(&mut self, (account, key, flow): Kept, events: &mut Vec<Event>) -> Done {
        let Flow { currency, amount, .. } = flow;
        let left = Money(self.net_deposits(currency).0 - amount.0);
        if !has_headroom(left) {
            return Err(RejectCode::ValueTooLarge);
        }
        self.finish_withdrawal((account, key, flow), FlowState::Final, events);
        self.change_pools(currency, |pools| pools.withdrawals.0 -= amount.0, events);
        self.set_net_deposits(currency, left, events);
        Ok(OutcomeKind::Done)
    }

    fn give_back(&mut self, slot: u32, key: FlowKey, flow: &Flow, events: &mut Vec<Event>) {
        let account = self.account(slot).id;
        let Flow { currency, amount, .. } = *flow;
        self.book(slot, currency, amount.0, reason(flow), events);
        self.change_pools(currency, |pools| pools.withdrawals.0 -= amount.0, events);
        self.finish_withdrawal((account, key, *flow), FlowState::Failed, events);
    }

    fn finish_withdrawal(
        &mut self,
        (account, key, flow): Kept,
        state: FlowState,
        events: &mut Vec<Event>,
    ) {
        let flows = &mut self.extension.flows;
        finish(&mut flows.withdrawals, &mut flows.next_finish, (account, key), state);
        let Flow { currency, amount, .. } = flow;
        events.push(Event::WithdrawalChanged { account, key, currency, amount, state });
    }

    fn is_stalled(&self, currency: CurrencyId) -> bool {
        self.currencies.get(&currency).is_some_and(|known| known.extra.is_stalled)
    }

    pub(crate) fn set_chain(
        &mut self,
        currency: CurrencyId,
        stalled: bool,
        events: &mut Vec<Event>,
    ) -> Done {
        let known = self.currencies.get_mut(&currency).ok_or(RejectCode::UnknownCurrency)?;
        if known.extra.is_stalled == stalled {
            return Ok(OutcomeKind::Done);
        }
        known.extra.is_stalled = stalled;
        events.push(Event::ChainChanged { currency, stalled });
        let (from, to) = match stalled {
            true => (FlowState::Approved, FlowState::Queued),
            false => (FlowState::Queued, FlowState::Approved),
        };
        let all = self.extension.flows.withdrawals.iter();
        let waits = |flow: &Flow| flow.currency == currency && flow.state == from;
        let mut waiting: Vec<Kept> = all
            .filter(|(_, flow)| waits(flow))
            .map(|((account, key), flow)| (*account, *key, *flow))
            .collect();
        waiting.sort_unstable_by_key(|(_, _, flow)| flow.approved);
        for (account, key, flow) in waiting {
            self.put_withdrawal((account, key, Flow { state: to, ..flow }), events);
        }
        Ok(OutcomeKind::Done)
    }

    /// A key that no withdrawal of the account has; `name` makes it from a number.
    pub(crate) fn free_key(&self, account: AccountId, name: impl Fn(u32) -> FlowKey) -> FlowKey {
        let taken = &self.extension.flows.withdrawals;
        // One more number than there are withdrawals: one of them is free.
        let count = flows_of(taken, account).count();
        let tries = 0..=u32::try_from(count).unwrap_or(u32::MAX);
        let free = tries.map(&name).find(|key| !taken.contains_key(&(account, *key)));
        free.unwrap_or_else(|| name(0))
    }
}

fn reason(flow: &Flow) -> Reason {
    (Booking::Withdrawal, flow.instrument)
}
