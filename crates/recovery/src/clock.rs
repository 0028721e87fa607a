//! Time as the journal sees it: it never goes back and never jumps with the wall clock.

use evenkeel_types::Timestamp;

/// The two clocks of a machine.
pub trait Clock: Send + Sync {
    /// Nanoseconds since 1970-01-01 UTC, as the machine believes; may step either way.
    fn wall_ns(&self) -> u64;

    /// Nanoseconds since some fixed moment; never steps.
    fn monotonic_ns(&self) -> u64;
}

/// Stamps entries. Anchored once at start to the later of wall clock and last entry, it then runs
/// on the monotonic clock alone: setting the wall clock during operation moves no expiry, no
/// funding and no order of events. The difference is reported by [`JournalClock::wall_skew_ns`].
#[derive(Debug, Clone)]
pub struct JournalClock {
    anchor_ns: u64,
    monotonic_anchor_ns: u64,
    last_ns: u64,
}

impl JournalClock {
    /// Anchors the clock at the later of the wall clock and `last_entry`.
    #[must_use]
    pub fn start(clock: &dyn Clock, last_entry: Timestamp) -> Self {
        let anchor_ns = clock.wall_ns().max(last_entry.0);
        Self { anchor_ns, monotonic_anchor_ns: clock.monotonic_ns(), last_ns: anchor_ns }
    }

    /// The present journal time; never before an earlier answer.
    pub fn now(&mut self, clock: &dyn Clock) -> Timestamp {
        let elapsed_ns = clock.monotonic_ns().saturating_sub(self.monotonic_anchor_ns);
        self.last_ns = self.last_ns.max(self.anchor_ns.saturating_add(elapsed_ns));
        Timestamp(self.last_ns)
    }

    /// How far the wall clock is ahead of (positive) or behind journal time, in nanoseconds.
    #[must_use]
    pub fn wall_skew_ns(&self, clock: &dyn Clock) -> i64 {
        let elapsed_ns = clock.monotonic_ns().saturating_sub(self.monotonic_anchor_ns);
        let journal = i128::from(self.anchor_ns) + i128::from(elapsed_ns);
        let skew = i128::from(clock.wall_ns()) - journal;
        i64::try_from(skew).unwrap_or(if skew < 0 { i64::MIN } else { i64::MAX })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    struct Set(Mutex<(u64, u64)>);
    impl Set {
        fn to(&self, wall: u64, monotonic: u64) {
            *self.0.lock().expect("unpoisoned") = (wall, monotonic);
        }
    }
    impl Clock for Set {
        fn wall_ns(&self) -> u64 {
            self.0.lock().expect("unpoisoned").0
        }
        fn monotonic_ns(&self) -> u64 {
            self.0.lock().expect("unpoisoned").1
        }
    }

    #[test]
    fn stepping_the_wall_clock_moves_no_entry() {
        let clock = Set(Mutex::new((1_000, 50)));
        let mut journal = JournalClock::start(&clock, Timestamp(0));
        clock.to(900_000, 60);
        assert_eq!(journal.now(&clock), Timestamp(1_010));
        assert_eq!(journal.wall_skew_ns(&clock), 898_990);
        clock.to(5, 70);
        assert_eq!(journal.now(&clock), Timestamp(1_020));
        assert_eq!(journal.wall_skew_ns(&clock), -1_015);
    }

    #[test]
    fn a_clock_behind_the_last_entry_continues_from_that_entry() {
        let clock = Set(Mutex::new((1_000, 0)));
        let mut journal = JournalClock::start(&clock, Timestamp(7_000));
        assert_eq!(journal.now(&clock), Timestamp(7_000));
        clock.to(1_001, 1);
        assert_eq!(journal.now(&clock), Timestamp(7_001));
    }
}
