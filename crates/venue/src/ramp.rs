//! A level that moves evenly from one value to another.

use evenkeel_types::{Timestamp, canonical_struct};

/// From one level to another between two times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ramp {
    pub from_level: u32,
    pub to_level: u32,
    pub from: Timestamp,
    pub until: Timestamp,
}
canonical_struct!(Ramp { from_level, to_level, from, until });

impl Ramp {
    /// Always at one level.
    pub fn flat(level: u32) -> Self {
        let now = Timestamp(0);
        Self { from_level: level, to_level: level, from: now, until: now }
    }

    /// The level at a time, rounded toward where it came from.
    pub fn at(&self, time: Timestamp) -> u32 {
        if time >= self.until {
            return self.to_level;
        }
        if time <= self.from {
            return self.from_level;
        }
        let (passed, whole) = (time.0 - self.from.0, self.until.0 - self.from.0);
        let (from, to) = (i128::from(self.from_level), i128::from(self.to_level));
        let level = from + (to - from) * i128::from(passed) / i128::from(whole);
        // Between two levels of 32 bits.
        u32::try_from(level).unwrap_or(self.to_level)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ramp_goes_evenly_and_stays_where_it_arrived() {
        let ramp = Ramp {
            from_level: 10_000,
            to_level: 20_000,
            from: Timestamp(100),
            until: Timestamp(200),
        };
        let levels = [0, 100, 150, 175, 200, 900].map(|time| ramp.at(Timestamp(time)));
        assert_eq!(levels, [10_000, 10_000, 15_000, 17_500, 20_000, 20_000]);
        assert_eq!(Ramp::flat(7).at(Timestamp(0)), 7);
    }
}
