//! A bound on the orders that an account may send.

use crate::ramp::Ramp;
use crate::state::State;
use evenkeel_types::{Event, OutcomeKind, RejectCode, Timestamp, canonical_struct};

/// The bound in orders per second, if there is one.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Throttle {
    pub orders_per_second: Option<Ramp>,
}
canonical_struct!(Throttle { orders_per_second });

/// What an account sent in the present second.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct SentOrders {
    pub second: Timestamp,
    pub count: u32,
}
canonical_struct!(SentOrders { second, count });

impl State {
    pub(crate) fn set_throttle(
        &mut self,
        _orders_per_second: Option<u32>,
        _ramp_ms: u64,
        _events: &mut Vec<Event>,
    ) -> Result<OutcomeKind, RejectCode> {
        Err(RejectCode::NeedsUpgrade)
    }
}
