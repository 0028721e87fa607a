//! Money is neither made nor lost: per currency and at every entry
//!
//! ```text
//! Σ balances (the fund's too) − Σ basis of futures + fees + rounding + withdrawals = net deposits
//! ```
//!
//! *Basis of futures* stands for unrealised profit: at any common mark the positions of an
//! instrument cancel out, so the sum of *basis at the mark − basis* is minus the sum of the bases,
//! whatever the mark. Options' premiums have moved through the balances.
//!
//! The left side is kept as a running sum ([`crate::state::CurrencyState::held`]): after each entry
//! the accounts and positions that its events name are counted again, so the check costs what the
//! entry touched. It holds by construction; it is checked so that a defect halts the venue instead
//! of spreading.

use crate::engine::Engine;
use crate::state::{Account, CurrencyState, State};
use evenkeel_types::event::Pools;
use evenkeel_types::regime::{Cause, Scope};
use evenkeel_types::{
    AccountId, CurrencyId, Event, InstrumentId, InstrumentKind, Lots, Mode, Money,
};
use std::collections::BTreeMap;

/// One currency's money, term by term; see [`Conservation::difference`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conservation {
    /// The currency; all amounts in its smallest unit.
    pub currency: CurrencyId,
    /// Sum of the clients' balances.
    pub clients: Money,
    /// The insurance fund's balance.
    pub fund: Money,
    /// Sum of unrealised profit of futures and perpetuals at the marks, the fund's included.
    /// Positions without a mark stand at minus their basis, which is the same sum.
    pub unrealised: Money,
    /// What rounding each position's value at the mark leaves over: longs and shorts of an
    /// instrument are worth nothing together but for this.
    pub mark_rounding: Money,
    /// Fees, rounding, and what is set aside for withdrawals.
    pub pools: Pools,
    /// Deposits less final withdrawals.
    pub net_deposits: Money,
}

impl Conservation {
    /// What there is, less what came in: zero.
    ///
    /// *clients + fund + unrealised − mark rounding + fees + rounding + withdrawals − net
    /// deposits*.
    #[must_use]
    pub fn difference(&self) -> i128 {
        let plus = [
            self.clients.0,
            self.fund.0,
            self.unrealised.0,
            self.pools.fees.0,
            self.pools.rounding.0,
            self.pools.withdrawals.0,
        ];
        let sum = plus.into_iter().fold(0i128, i128::wrapping_add);
        sum.wrapping_sub(self.mark_rounding.0).wrapping_sub(self.net_deposits.0)
    }
}

impl Engine {
    /// Every currency's money, added up from every account and position.
    #[must_use]
    pub fn conservation(&self) -> Vec<Conservation> {
        let state = &self.state;
        let mut all: BTreeMap<CurrencyId, Conservation> = BTreeMap::new();
        for (id, known) in &state.currencies {
            all.insert(*id, Conservation::of(*id, known));
        }
        for account in state.clients() {
            add_account(state, account, &mut all);
        }
        all.into_values().collect()
    }

    /// Whether the running sums of every currency are those of a full count.
    #[must_use]
    pub fn running_sums_hold(&self) -> bool {
        let mut counted = self.state.clone();
        counted.count_money();
        self.state.currencies.iter().all(|(id, known)| {
            counted.currencies.get(id).is_some_and(|again| again.held == known.held)
        })
    }
}

impl Conservation {
    fn of(currency: CurrencyId, known: &CurrencyState) -> Self {
        Self {
            currency,
            clients: Money::ZERO,
            fund: Money::ZERO,
            unrealised: Money::ZERO,
            mark_rounding: Money::ZERO,
            pools: known.extra.pools,
            net_deposits: known.net_deposits,
        }
    }
}

fn add_account(state: &State, account: &Account, all: &mut BTreeMap<CurrencyId, Conservation>) {
    for money in &account.balances {
        let Some(terms) = all.get_mut(&money.currency) else {
            continue;
        };
        let sum = if account.id == AccountId::FUND { &mut terms.fund } else { &mut terms.clients };
        sum.0 = sum.0.wrapping_add(money.balance.0);
    }
    for holding in account.holdings.iter().filter(|it| it.lots != Lots::ZERO) {
        let Some(slot) = state.instrument_slots.get(&holding.instrument) else {
            continue;
        };
        let known = state.instrument(*slot);
        if matches!(known.terms.kind, InstrumentKind::Option { .. }) {
            continue;
        }
        let Some(terms) = all.get_mut(&known.terms.settlement) else {
            continue;
        };
        let at_mark = known.mark.and_then(|mark| known.valuation.basis(mark, holding.lots).ok());
        let at_mark = at_mark.unwrap_or_default().0;
        let unrealised = at_mark.wrapping_sub(holding.basis.0);
        terms.unrealised.0 = terms.unrealised.0.wrapping_add(unrealised);
        terms.mark_rounding.0 = terms.mark_rounding.0.wrapping_add(at_mark);
    }
}

impl State {
    /// Sums up every currency from scratch.
    pub(crate) fn count_money(&mut self) {
        for known in self.currencies.values_mut() {
            known.held = 0;
        }
        let Self { accounts, currencies, instruments, instrument_slots, .. } = self;
        for account in accounts {
            for money in &mut account.balances {
                money.counted = money.balance;
                add_held(currencies, money.currency, money.balance.0);
            }
            for holding in &mut account.holdings {
                let slot = instrument_slots.get(&holding.instrument);
                let terms = slot.map(|slot| &instruments[*slot as usize].terms);
                holding.counted = holding.basis;
                match terms {
                    Some(terms) if !matches!(terms.kind, InstrumentKind::Option { .. }) => {
                        add_held(currencies, terms.settlement, holding.basis.0.wrapping_neg());
                    }
                    _ => {}
                }
            }
        }
    }

    /// Counts what the events of an entry name, and tells the first currency whose money does not
    /// add up any more.
    pub(crate) fn check_conservation(&mut self, events: &[Event]) -> Option<CurrencyId> {
        let mut last = None;
        for event in events {
            match *event {
                Event::BalanceChanged { account, currency, .. } => {
                    self.recount_balance(account, currency, &mut last);
                }
                Event::PositionChanged { account, instrument, .. } => {
                    self.recount_position(account, instrument, &mut last);
                }
                _ => {}
            }
        }
        let touched = |event: &Event| match *event {
            Event::BalanceChanged { currency, .. }
            | Event::PoolsChanged { currency, .. }
            | Event::NetDepositsChanged { currency, .. }
            | Event::Deposited { currency, .. }
            | Event::Withdrawn { currency, .. } => Some(currency),
            Event::PositionChanged { instrument, .. } => {
                let slot = self.instrument_slots.get(&instrument)?;
                Some(self.instrument(*slot).terms.settlement)
            }
            _ => None,
        };
        events.iter().filter_map(touched).find(|currency| !self.conservation_holds(*currency))
    }

    /// Whether a currency's money adds up to its net deposits.
    pub(crate) fn conservation_holds(&self, currency: CurrencyId) -> bool {
        self.currencies.get(&currency).is_none_or(|known| {
            let Pools { fees, rounding, withdrawals } = known.extra.pools;
            let pools = [fees, rounding, withdrawals];
            let sum = pools.iter().fold(known.held, |sum, pool| sum.wrapping_add(pool.0));
            sum == known.net_deposits.0
        })
    }

    /// Shuts the venue: a defect must not spread.
    pub(crate) fn halt_unconserved(&mut self, _currency: CurrencyId, events: &mut Vec<Event>) {
        self.trip(Scope::Venue, (Mode::Halted, Cause::ConservationBroken), 0, events);
    }

    fn recount_balance(
        &mut self,
        account: AccountId,
        currency: CurrencyId,
        last: &mut Option<(AccountId, u32)>,
    ) {
        let Some(slot) = self.slot_after(account, last) else {
            return;
        };
        let money = self.account_mut(slot).balance_mut(currency);
        let change = money.balance.0.wrapping_sub(money.counted.0);
        money.counted = money.balance;
        add_held(&mut self.currencies, currency, change);
    }

    fn recount_position(
        &mut self,
        account: AccountId,
        instrument: InstrumentId,
        last: &mut Option<(AccountId, u32)>,
    ) {
        let known = self.instrument_slots.get(&instrument).copied();
        let (Some(slot), Some(known)) = (self.slot_after(account, last), known) else {
            return;
        };
        let terms = &self.instrument(known).terms;
        let settlement = terms.settlement;
        let is_option = matches!(terms.kind, InstrumentKind::Option { .. });
        let holding = self.account_mut(slot).holding_mut(instrument);
        let change = holding.counted.0.wrapping_sub(holding.basis.0);
        holding.counted = holding.basis;
        if !is_option {
            add_held(&mut self.currencies, settlement, change);
        }
    }

    /// Slot of an account; the events of an entry often name the same one in a row.
    fn slot_after(&self, id: AccountId, last: &mut Option<(AccountId, u32)>) -> Option<u32> {
        match *last {
            Some((known, slot)) if known == id => Some(slot),
            _ => {
                let slot = self.account_slots.get(&id).copied()?;
                *last = Some((id, slot));
                Some(slot)
            }
        }
    }
}

fn add_held(
    currencies: &mut BTreeMap<CurrencyId, CurrencyState>,
    currency: CurrencyId,
    change: i128,
) {
    if let Some(known) = currencies.get_mut(&currency) {
        known.held = known.held.wrapping_add(change);
    }
}
