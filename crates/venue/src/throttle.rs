//! A bound on the orders that an account may send.
//!
//! New orders and amendments count, refused ones too, within each second of entry time. The bound
//! moves evenly from the present one to the new one. Where there was none, the way begins at
//! [`START_PER_SECOND`] (or at the new bound, if that is higher); lifting the bound takes effect at
//! once.

use crate::ramp::Ramp;
use crate::restore::ensure;
use crate::schedule::nanoseconds;
use crate::snapshot::SnapshotError;
use crate::state::State;
use evenkeel_types::{Event, OutcomeKind, Reader, RejectCode, Timestamp, canonical_struct};

/// Where the way to a first bound begins.
pub(crate) const START_PER_SECOND: u32 = 10_000;
/// Longest way to a bound.
const RAMP_MAX_MS: u64 = 7 * 86_400_000;
const SECOND_NS: u64 = 1_000_000_000;

/// The bound in orders per second, if there is one.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Throttle {
    pub orders_per_second: Option<Ramp>,
}
canonical_struct!(Throttle { orders_per_second });

/// What an account sent in the present second.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct SentOrders {
    /// When the second began.
    pub second: Timestamp,
    pub count: u32,
}
canonical_struct!(SentOrders { second, count });

impl State {
    /// Counts an order that an account sends, or refuses it.
    pub(crate) fn count_sent(&mut self, account: u32) -> Result<(), RejectCode> {
        let Some(ramp) = self.extension.throttle.orders_per_second else {
            return Ok(());
        };
        let now = self.meta.time;
        let second = Timestamp(now.0 - now.0 % SECOND_NS);
        let sent = &mut self.account_mut(account).extra.sent;
        if sent.second != second {
            *sent = SentOrders { second, count: 0 };
        }
        if sent.count >= ramp.at(now) {
            return Err(RejectCode::Throttled);
        }
        sent.count += 1;
        Ok(())
    }

    pub(crate) fn set_throttle(
        &mut self,
        orders_per_second: Option<u32>,
        ramp_ms: u64,
        events: &mut Vec<Event>,
    ) -> Result<OutcomeKind, RejectCode> {
        if orders_per_second == Some(0) || ramp_ms > RAMP_MAX_MS {
            return Err(RejectCode::OutOfBounds);
        }
        let from = self.meta.time;
        let present = self.extension.throttle.orders_per_second.map(|ramp| ramp.at(from));
        let ramp = orders_per_second.map(|to_level| Ramp {
            from_level: present.unwrap_or(START_PER_SECOND.max(to_level)),
            to_level,
            from,
            until: Timestamp(from.0.saturating_add(nanoseconds(ramp_ms))),
        });
        self.extension.throttle.orders_per_second = ramp;
        let until = ramp.map_or(from, |ramp| ramp.until);
        events.push(Event::ThrottleSet { orders_per_second, from, until });
        Ok(OutcomeKind::Done)
    }
}

/// Refuses a bound that no operator could have set.
pub(crate) fn check_throttle(reader: &Reader<'_>, state: &State) -> Result<(), SnapshotError> {
    let sound = state
        .extension
        .throttle
        .orders_per_second
        .is_none_or(|ramp| ramp.from_level > 0 && ramp.to_level > 0 && ramp.from <= ramp.until);
    ensure(reader, sound, "a throttle is out of bounds")
}
