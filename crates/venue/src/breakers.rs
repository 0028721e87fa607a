//! The volatility index and the breakers.

use crate::state::State;
use evenkeel_types::oracle::Volatility;
use evenkeel_types::{Event, Timestamp, UnderlyingId, canonical_struct};
use std::collections::VecDeque;

/// An underlying's volatility index and its recent past.
#[derive(Debug, Clone, Default)]
pub(crate) struct BreakerState {
    pub index: Option<Volatility>,
    /// Values within the breaker's window, oldest first.
    pub recent: VecDeque<(Timestamp, Volatility)>,
}
canonical_struct!(BreakerState { index, recent });

impl State {
    /// Looks at an underlying whose prices, or whose prices' times, changed.
    pub(crate) fn breakers_look(&mut self, _underlying: UnderlyingId, _events: &mut Vec<Event>) {}
}
