//! In which order accounts are looked at when prices move.
//!
//! Accounts with positions or open orders in derivatives are *members*. Each change of a price
//! makes every member due. An entry looks at up to `sweep_accounts` of those that are due, in turn
//! the riskiest (least cushion at its last look) and the one that was not looked at for the longest
//! time. So the accounts that a move endangers come first, and none waits forever. Beyond that
//! number an entry looks at every member that is due and whose last look is half a liquidation
//! interval old, so at any entry no due member's look is older than that: with what liquidation
//! itself may wait for a forward, nobody is late by more than an interval.
//!
//! A look that finds maintenance met ends there; else the account is handed to liquidation.
//!
//! What orders the looks is in the accounts' leaves; the ordered sets here are derived from it.

use crate::risk::{AccountMargin, RiskRecord};
use crate::state::State;
use evenkeel_types::{AccountId, Collateral, Timestamp, canonical_struct};
use std::collections::BTreeSet;

const BASIS_POINTS: i128 = 10_000;
const NANOS_PER_MS: u64 = 1_000_000;

/// How often prices changed, from 1: a member that was never looked at has seen 0.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SweepState {
    pub changes: u64,
}
canonical_struct!(SweepState { changes });

impl Default for SweepState {
    fn default() -> Self {
        Self { changes: 1 }
    }
}

/// Members that are due, in both orders; derived.
#[derive(Debug, Clone, Default)]
pub(crate) struct SweepOrder {
    by_cushion: BTreeSet<(i64, AccountId)>,
    by_age: BTreeSet<(Timestamp, AccountId)>,
    /// Members that were looked at since the last change.
    done: Vec<AccountId>,
    /// Looks of the present entry.
    position: u64,
    looks: u32,
}

impl SweepOrder {
    fn insert(&mut self, account: AccountId, record: &RiskRecord) {
        self.by_cushion.insert((record.cushion_bp, account));
        self.by_age.insert((record.checked, account));
    }

    fn remove(&mut self, account: AccountId, record: &RiskRecord) {
        self.by_cushion.remove(&(record.cushion_bp, account));
        self.by_age.remove(&(record.checked, account));
    }
}

impl State {
    /// A price changed, or something else that moves many accounts' margin (funding, settlement,
    /// parameters): every member is due.
    pub(crate) fn sweep_again(&mut self) {
        self.extension.sweep.changes = self.extension.sweep.changes.saturating_add(1);
        for account in std::mem::take(&mut self.extension.sweep_order.done) {
            self.list(account);
        }
    }

    /// Lists a member as due.
    fn list(&mut self, account: AccountId) {
        if let Ok(slot) = self.client_slot(account) {
            let record = self.account(slot).extra.record;
            self.extension.sweep_order.insert(account, &record);
        }
    }

    /// An account takes on risk: it is looked at from now on.
    pub(crate) fn join_sweep(&mut self, slot: u32) {
        let owner = self.account(slot);
        let account = owner.id;
        let is_exempt = owner.collateral == Collateral::Unlimited || account == AccountId::FUND;
        if owner.extra.record.is_member || is_exempt {
            return;
        }
        self.account_mut(slot).extra.record =
            RiskRecord { is_member: true, ..RiskRecord::default() };
        self.list(account);
    }

    /// Rebuilds the order of looks from the accounts' records.
    pub(crate) fn relist_all(&mut self) {
        let changes = self.extension.sweep.changes;
        let mut order = SweepOrder::default();
        for account in self.clients() {
            let record = &account.extra.record;
            if record.is_member && record.changes < changes {
                order.insert(account.id, record);
            } else if record.is_member {
                order.done.push(account.id);
            }
        }
        self.extension.sweep_order = order;
    }

    /// The next account that needs liquidation's attention: looks at members that are due until
    /// one is below maintenance, or nothing more is to be looked at in this entry.
    pub(crate) fn next_to_look_at(&mut self) -> Option<u32> {
        loop {
            let account = self.next_due()?;
            let Ok(slot) = self.client_slot(account) else {
                return None;
            };
            let margin = self.margin_of(slot);
            self.looked_at(slot, &margin);
            if margin.figures.above_maintenance.0 < 0 {
                return Some(slot);
            }
        }
    }

    /// The next member to look at, if the entry still has looks, or one is overdue.
    fn next_due(&mut self) -> Option<AccountId> {
        let position = self.meta.next_position.0;
        let terms = self.extension.terms.as_ref()?;
        let (most, now) = (terms.sweep_accounts, self.meta.time);
        let half_interval = terms.liquidation_interval_ms.saturating_mul(NANOS_PER_MS) / 2;
        let order = &mut self.extension.sweep_order;
        if order.position != position {
            (order.position, order.looks) = (position, 0);
        }
        let (checked, oldest) = *order.by_age.first()?;
        if now.0.saturating_sub(checked.0) >= half_interval {
            return Some(oldest);
        }
        if order.looks >= most {
            return None;
        }
        order.looks += 1;
        if order.looks % 2 == 1 {
            return order.by_cushion.first().map(|(_, account)| *account);
        }
        Some(oldest)
    }

    /// Records a look at an account; one that holds nothing any more is no member, unless it owes
    /// in one currency what only another covers.
    pub(crate) fn looked_at(&mut self, slot: u32, margin: &AccountMargin) {
        let account = self.account(slot).id;
        let before = self.account(slot).extra.record;
        if !before.is_member {
            return;
        }
        self.extension.sweep_order.remove(account, &before);
        let owner = self.account(slot);
        let owes = owner.balances.iter().any(|money| money.balance.0 < 0);
        if owner.extra.cache.counted.is_empty() && !owes {
            self.account_mut(slot).extra.record = RiskRecord::default();
            return;
        }
        self.account_mut(slot).extra.record = RiskRecord {
            is_member: true,
            checked: self.meta.time,
            changes: self.extension.sweep.changes,
            cushion_bp: self.cushion_of(margin),
            figures: margin.figures,
        };
        self.extension.sweep_order.done.push(account);
    }

    /// What is left above maintenance, in basis points of what maintenance takes.
    fn cushion_of(&self, margin: &AccountMargin) -> i64 {
        let Some(terms) = &self.extension.terms else {
            return 0;
        };
        let needs = margin.currencies.iter().filter_map(|it| {
            let need = self.in_numeraire(terms, it.currency, -it.maintenance.0)?;
            Some(need.saturating_neg())
        });
        let need = needs.fold(0i128, i128::saturating_add);
        if need <= 0 {
            return i64::MAX;
        }
        let above = margin.figures.above_maintenance.0.saturating_mul(BASIS_POINTS) / need;
        let extreme = if above > 0 { i64::MAX } else { i64::MIN };
        i64::try_from(above).unwrap_or(extreme)
    }
}
