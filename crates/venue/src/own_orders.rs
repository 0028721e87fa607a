//! Of an account's orders, what rules 2 ask for at every order or fill; derived from the orders.

use crate::orders::NIL;
use crate::state::State;
use evenkeel_types::{AccountId, InstrumentId, OrderId, UnderlyingId};
use std::collections::BTreeSet;

/// An account's orders, counted and listed.
#[derive(Debug, Clone, Default)]
pub(crate) struct OwnOrders {
    /// Resting and conditional.
    count: u32,
    /// The same by underlying: an account trades few of them.
    by_underlying: Vec<(UnderlyingId, u32)>,
    /// Resting reduce-only orders.
    pub reducing: BTreeSet<(InstrumentId, OrderId)>,
    /// Conditional orders.
    pub armed: BTreeSet<OrderId>,
}

impl OwnOrders {
    /// Resting and conditional orders.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// Those on an underlying's instruments.
    pub fn count_in(&self, underlying: UnderlyingId) -> u32 {
        let found = self.by_underlying.iter().find(|(id, _)| *id == underlying);
        found.map_or(0, |(_, count)| *count)
    }

    /// One more on an instrument of this underlying. A venue holds at most 2^24 orders.
    pub fn add(&mut self, underlying: Option<UnderlyingId>) {
        self.count += 1;
        let Some(underlying) = underlying else {
            return;
        };
        match self.by_underlying.iter_mut().find(|(id, _)| *id == underlying) {
            Some((_, count)) => *count += 1,
            None => self.by_underlying.push((underlying, 1)),
        }
    }

    /// One less.
    pub fn remove(&mut self, underlying: Option<UnderlyingId>) {
        self.count = self.count.saturating_sub(1);
        let found = self.by_underlying.iter_mut().find(|(id, _)| Some(*id) == underlying);
        if let Some((_, count)) = found {
            *count = count.saturating_sub(1);
        }
    }
}

impl State {
    /// Lists a resting order with its owner.
    pub(crate) fn list_order(&mut self, slot: u32) {
        let order = self.orders.at(slot);
        let (owner, id, flags) = (order.account, order.id, order.flags);
        let known = &self.instruments[order.instrument as usize];
        let own = &mut self.accounts[owner as usize].extra.own;
        own.add(known.extra.underlying);
        if flags.is_reduce_only() {
            own.reducing.insert((known.terms.id, id));
        }
    }

    /// Takes a resting order off its owner's list.
    pub(crate) fn unlist_order(&mut self, slot: u32) {
        let order = self.orders.at(slot);
        let (owner, id, flags) = (order.account, order.id, order.flags);
        let known = &self.instruments[order.instrument as usize];
        let own = &mut self.accounts[owner as usize].extra.own;
        own.remove(known.extra.underlying);
        if flags.is_reduce_only() {
            own.reducing.remove(&(known.terms.id, id));
        }
    }

    /// Lists all orders anew: after an upgrade, a restore, or a new underlying.
    pub(crate) fn list_orders(&mut self) {
        for account in 0..self.accounts.len() {
            self.accounts[account].extra.own = OwnOrders::default();
            let mut slot = self.accounts[account].first_order;
            while slot != NIL {
                self.list_order(slot);
                slot = self.orders.at(slot).in_account.next;
            }
        }
        self.list_armed();
    }

    /// Whose account it is: the main account's id for a sub-account.
    pub(crate) fn owner_id(&self, account: u32) -> AccountId {
        let known = self.account(account);
        known.extra.main.unwrap_or(known.id)
    }
}
