//! Conditional orders that wait for a price.

use evenkeel_types::conditional::OrderTerms;
use evenkeel_types::{AccountId, NewOrder, OrderId, SessionId, canonical_struct};
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
