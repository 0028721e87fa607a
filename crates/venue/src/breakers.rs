//! The volatility index and the breakers.

use evenkeel_types::oracle::Volatility;
use evenkeel_types::{Timestamp, canonical_struct};
use std::collections::VecDeque;

/// An underlying's volatility index and its recent past.
#[derive(Debug, Clone, Default)]
pub(crate) struct BreakerState {
    pub index: Option<Volatility>,
    /// Values within the breaker's window, oldest first.
    pub recent: VecDeque<(Timestamp, Volatility)>,
}
canonical_struct!(BreakerState { index, recent });
