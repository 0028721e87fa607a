//! Grace: what an account gets that a resume finds below maintenance margin.
//!
//! An account that held something when the term began, and that the first look at fresh prices
//! finds below maintenance, is not liquidated for [`GraceTerms::grace_ms`]. Meanwhile it may only
//! reduce and takes nothing out. The time counts only while prices are fresh and the venue takes
//! orders that reduce, so an owner can always use it; it is capped per day, so it is no free
//! option. Thresholds stay as they are; whoever meets maintenance again leaves grace at once.
//!
//! [`GraceTerms::grace_ms`]: evenkeel_types::regime::GraceTerms::grace_ms

use crate::state::State;
use evenkeel_types::regime::{GraceTerms, Scope};
use evenkeel_types::{AccountId, Event, Lots, Mode, canonical_struct};

const MS: u64 = 1_000_000;
const DAY_NS: u64 = 86_400 * 1_000 * MS;

/// An account's grace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Grace {
    /// Milliseconds left; 0: not in grace.
    pub left_ms: u64,
    /// Used within `day`.
    pub used_ms: u64,
    /// Days since 1970.
    pub day: u64,
    /// Held something when the term began, and was not looked at since.
    pub awaits: bool,
}
canonical_struct!(Grace { left_ms, used_ms, day, awaits });

impl State {
    fn grace_terms(&self) -> Option<GraceTerms> {
        Some(self.extension.terms.as_ref()?.grace)
    }

    /// Whether grace or a veto holds an account's liquidation back; an account that is below
    /// maintenance at the first look after a resume gets its grace here.
    pub(crate) fn may_liquidate(&mut self, slot: u32, events: &mut Vec<Event>) -> bool {
        self.decide_grace(slot, true, events);
        self.account(slot).extra.grace.left_ms == 0 && !self.is_account_vetoed(slot)
    }

    /// A look found an account at or above maintenance: it needs no grace in this term.
    pub(crate) fn needs_no_grace(&mut self, slot: u32, events: &mut Vec<Event>) {
        self.decide_grace(slot, false, events);
        if self.account(slot).extra.grace.left_ms > 0 {
            self.end_grace(slot, events);
        }
    }

    /// Once a term and account: grants grace to what is due.
    fn decide_grace(&mut self, slot: u32, is_due: bool, events: &mut Vec<Event>) {
        let Some(terms) = self.grace_terms().filter(|_| self.account(slot).extra.grace.awaits)
        else {
            return;
        };
        let now = self.meta.time;
        let owner = self.account_mut(slot);
        let grace = &mut owner.extra.grace;
        grace.awaits = false;
        let today = now.0 / DAY_NS;
        if grace.day != today {
            (grace.day, grace.used_ms) = (today, 0);
        }
        let left_ms = terms.grace_ms.min(terms.daily_cap_ms.saturating_sub(grace.used_ms));
        if is_due && left_ms > 0 {
            grace.left_ms = left_ms;
            let account = owner.id;
            self.extension.regime.graced.insert(account, now);
            events.push(Event::GraceChanged { account, left_ms });
        }
    }

    /// A term begins: whoever holds something may need grace.
    pub(crate) fn await_graces(&mut self) {
        for account in &mut self.accounts {
            account.extra.grace.awaits = account.holdings.iter().any(|it| it.lots != Lots::ZERO);
        }
    }

    fn end_grace(&mut self, slot: u32, events: &mut Vec<Event>) {
        let owner = self.account_mut(slot);
        owner.extra.grace.left_ms = 0;
        let account = owner.id;
        self.extension.regime.graced.remove(&account);
        events.push(Event::GraceChanged { account, left_ms: 0 });
    }

    /// Counts down the graces that can be used now.
    pub(crate) fn pass_grace(&mut self, events: &mut Vec<Event>) {
        let (now, last) = (self.meta.time, self.extension.last_time);
        let passed_ms = (now.0 / MS).saturating_sub(last.0 / MS);
        let counts = self.is_priced_in(Scope::Venue) && self.meta.mode <= Mode::ReduceOnly;
        if !counts || passed_ms == 0 {
            return;
        }
        let graced: Vec<AccountId> = self.extension.regime.graced.keys().copied().collect();
        for account in graced {
            let Ok(slot) = self.client_slot(account) else {
                continue;
            };
            let grace = &mut self.account_mut(slot).extra.grace;
            let used_ms = passed_ms.min(grace.left_ms);
            grace.left_ms -= used_ms;
            grace.used_ms = grace.used_ms.saturating_add(used_ms);
            if grace.left_ms == 0 {
                self.end_grace(slot, events);
            }
        }
    }

    /// Restored accounts in grace are the ones listed.
    pub(crate) fn graces_fit(&self) -> bool {
        let graced = &self.extension.regime.graced;
        let in_grace = self.clients().filter(|it| it.extra.grace.left_ms > 0);
        let listed = in_grace.filter(|it| graced.contains_key(&it.id)).count();
        let all = self.clients().filter(|it| it.extra.grace.left_ms > 0).count();
        listed == all && graced.len() == all
    }
}
