//! Journal time never goes back.

use std::sync::Mutex;

use evenkeel_recovery::{Clock, JournalClock};
use evenkeel_types::Timestamp;
use proptest::prelude::*;

struct Played(Mutex<(u64, u64)>);

impl Clock for Played {
    fn wall_ns(&self) -> u64 {
        self.0.lock().unwrap().0
    }

    fn monotonic_ns(&self) -> u64 {
        self.0.lock().unwrap().1
    }
}

proptest! {
    #[test]
    fn whatever_the_wall_clock_does_journal_time_only_runs_with_the_monotonic_one(
        start in any::<(u64, u64)>(),
        last_entry in any::<u64>(),
        steps in prop::collection::vec((any::<u64>(), 0..u64::MAX / 8), 0..40),
    ) {
        let clock = Played(Mutex::new(start));
        let mut journal = JournalClock::start(&clock, Timestamp(last_entry));
        let anchor = start.0.max(last_entry);
        let (mut before, mut monotonic) = (journal.now(&clock), start.1);
        prop_assert_eq!(before, Timestamp(anchor));
        for (wall, step) in steps {
            monotonic = monotonic.saturating_add(step);
            *clock.0.lock().unwrap() = (wall, monotonic);
            let now = journal.now(&clock);
            prop_assert!(now >= before);
            prop_assert_eq!(now.0, anchor.saturating_add(monotonic - start.1));
            let skew = i128::from(wall) - i128::from(anchor) - i128::from(monotonic - start.1);
            let clamped = skew.clamp(i64::MIN.into(), i64::MAX.into());
            prop_assert_eq!(i128::from(journal.wall_skew_ns(&clock)), clamped);
            before = now;
        }
    }

    #[test]
    fn even_a_monotonic_clock_that_lies_does_not_turn_it_back(
        steps in prop::collection::vec(any::<(u64, u64)>(), 1..40),
    ) {
        let clock = Played(Mutex::new(steps[0]));
        let mut journal = JournalClock::start(&clock, Timestamp(0));
        let mut before = Timestamp(0);
        for step in steps {
            *clock.0.lock().unwrap() = step;
            let now = journal.now(&clock);
            prop_assert!(now >= before);
            before = now;
        }
    }
}
