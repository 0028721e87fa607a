//! Delivery prices, expiry, funding.

use crate::state::State;
use evenkeel_types::oracle::Price;
use evenkeel_types::{Event, Timestamp, UnderlyingId, canonical_struct};
use std::collections::BTreeMap;

/// Samples toward the delivery price of an expiry.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Samples {
    pub count: u32,
    pub sum: i128,
    pub last: Timestamp,
}
canonical_struct!(Samples { count, sum, last });

/// Expiries of an underlying that are being sampled.
#[derive(Debug, Clone, Default)]
pub(crate) struct Deliveries {
    pub open: BTreeMap<Timestamp, Samples>,
}
canonical_struct!(Deliveries { open });

/// Whether an instrument is settled, and at which price.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Delivered {
    pub price: Option<Price>,
}
canonical_struct!(Delivered { price });

/// Funding of a perpetual in the present interval.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Funding {
    pub interval_end: Timestamp,
    /// Sum of premium (`10^-12`) times milliseconds, and the milliseconds.
    pub premium_ms: i128,
    pub measured_ms: u64,
    pub last: Timestamp,
    pub last_premium: i64,
}
canonical_struct!(Funding { interval_end, premium_ms, measured_ms, last, last_premium });

impl State {
    /// Takes samples of an index that changed, or whose time did.
    pub(crate) fn sample_deliveries(
        &mut self,
        _underlying: UnderlyingId,
        _events: &mut Vec<Event>,
    ) {
    }

    /// Samples, expiries and funding that are due.
    pub(crate) fn settle_due(&mut self, _events: &mut Vec<Event>) {}
}
