//! The machine's clocks.

use std::sync::LazyLock;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use evenkeel_recovery::Clock;

/// Where the monotonic clock of this process begins: one moment for all, so that a clock that was
/// anchored with one handle goes on with another.
static ORIGIN: LazyLock<Instant> = LazyLock::new(Instant::now);

/// Wall clock and monotonic clock of this machine.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SystemClock;

impl SystemClock {
    pub(crate) fn new() -> Self {
        LazyLock::force(&ORIGIN);
        Self
    }
}

impl Clock for SystemClock {
    fn wall_ns(&self) -> u64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
    }

    fn monotonic_ns(&self) -> u64 {
        u64::try_from(ORIGIN.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_made_later_goes_on_where_an_earlier_one_is() {
        let early = SystemClock::new();
        while early.monotonic_ns() < 5_000_000 {
            std::thread::yield_now();
        }
        let before_ns = early.monotonic_ns();
        assert!(SystemClock::new().monotonic_ns() >= before_ns);
    }
}
