//! How hard to compress: as hard as the time that the sites take anyway allows.

use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

/// The level of zstd that is in use, between two that were asked for.
///
/// While packs wait for the sites, processors are idle: each pack then raises the level by one, so
/// that less has to be sent. As soon as the sites wait for packs, it falls again.
pub(crate) struct Effort {
    levels: RangeInclusive<i32>,
    level: AtomicI32,
}

impl Effort {
    /// Begins with the lowest of these levels.
    pub(crate) fn new(levels: RangeInclusive<i32>) -> Self {
        Self { level: AtomicI32::new(*levels.start()), levels }
    }

    /// The level for what is compressed next.
    pub(crate) fn level(&self) -> i32 {
        self.level.load(Ordering::Relaxed)
    }

    /// A pack took `making` and then waited for so long until the sites had the one before.
    pub(crate) fn adjust(&self, making: Duration, waiting: Duration) {
        let step = if waiting > making {
            1
        } else if waiting < making / 4 {
            -1
        } else {
            0
        };
        let level = (self.level() + step).clamp(*self.levels.start(), *self.levels.end());
        // One thread adjusts; the others only read.
        self.level.store(level, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Duration = Duration::from_millis(10);
    const LONG: Duration = Duration::from_millis(200);

    #[test]
    fn the_level_rises_while_sites_are_slow_and_falls_when_they_wait() {
        let effort = Effort::new(1..=4);
        let seen: Vec<i32> = (0..6)
            .map(|_| {
                effort.adjust(SHORT, LONG);
                effort.level()
            })
            .collect();
        assert_eq!(seen, [2, 3, 4, 4, 4, 4]);
        effort.adjust(LONG, LONG);
        assert_eq!(effort.level(), 4, "in balance it stays");
        let seen: Vec<i32> = (0..5)
            .map(|_| {
                effort.adjust(LONG, SHORT);
                effort.level()
            })
            .collect();
        assert_eq!(seen, [3, 2, 1, 1, 1]);
    }

    #[test]
    fn one_level_alone_is_kept() {
        let effort = Effort::new(3..=3);
        effort.adjust(SHORT, LONG);
        assert_eq!(effort.level(), 3);
        effort.adjust(LONG, SHORT);
        assert_eq!(effort.level(), 3);
    }
}
