//! Conditional orders that wait for a price.

use crate::state::State;
use evenkeel_types::conditional::OrderTerms;
use evenkeel_types::{
    AccountId, Event, NewOrder, OrderId, SessionId, UnderlyingId, canonical_struct,
};
use std::collections::BTreeMap;

/// A conditional order.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Armed {
    pub account: AccountId,
    pub session: SessionId,
    pub order: NewOrder,
    pub terms: OrderTerms,
}
canonical_struct!(Armed { account, session, order, terms });

/// All conditional orders, by order id.
pub(crate) type Triggers = BTreeMap<OrderId, Armed>;

impl State {
    /// Releases conditional orders that a changed index or mark of an underlying meets.
    pub(crate) fn release_triggers(&mut self, _underlying: UnderlyingId, _events: &mut Vec<Event>) {
    }
}
