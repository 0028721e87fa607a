//! Expiry dates as Deribit sets them: Fridays at 08:00 UTC.

use evenkeel_types::Timestamp;

/// Nanoseconds in a day.
pub const DAY_NS: u64 = 86_400 * 1_000_000_000;
const EXPIRY_HOUR_NS: u64 = 8 * 3_600 * 1_000_000_000;
/// 1970-01-02 was a Friday.
const FIRST_FRIDAY: u64 = 1;
const MONTHS: [&str; 12] =
    ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];

/// A day of the Gregorian calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Date {
    /// Year.
    pub year: u64,
    /// Month, 1 to 12.
    pub month: u64,
    /// Day of the month, from 1.
    pub day: u64,
}

impl Date {
    /// The day `days` after 1970-01-01 (Hinnant, "chrono-compatible low-level date algorithms").
    #[must_use]
    pub fn from_days(days: u64) -> Self {
        let shifted = days + 719_468;
        let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
        let year_of_era =
            (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let march_month = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * march_month + 2) / 5 + 1;
        let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
        Self { year: year_of_era + era * 400 + u64::from(month <= 2), month, day }
    }

    /// As instrument names write it, e.g. `4DEC26`.
    #[must_use]
    pub fn code(&self) -> String {
        let month = usize::try_from(self.month - 1).map_or("", |index| MONTHS[index % 12]);
        format!("{}{month}{:02}", self.day, self.year % 100)
    }
}

/// The day an instant falls on, UTC.
#[must_use]
pub fn date(time: Timestamp) -> Date {
    Date::from_days(time.0 / DAY_NS)
}

/// The four expiries listed at `start`: the first two Fridays at least seven days away, then the
/// next last Friday of a month, then the next last Friday of March, June, September or December.
#[must_use]
pub fn expiries(start: Timestamp) -> [Timestamp; 4] {
    let earliest = start.0.saturating_add(7 * DAY_NS);
    let mut day = earliest / DAY_NS;
    while day % 7 != FIRST_FRIDAY || at_expiry_hour(day).0 < earliest {
        day += 1;
    }
    let week = day + 7;
    let month = next_friday(week, is_last_of_month);
    let quarter = next_friday(month, |friday| {
        is_last_of_month(friday) && Date::from_days(friday).month.is_multiple_of(3)
    });
    [day, week, month, quarter].map(at_expiry_hour)
}

fn at_expiry_hour(day: u64) -> Timestamp {
    Timestamp(day.saturating_mul(DAY_NS).saturating_add(EXPIRY_HOUR_NS))
}

/// The first Friday after `friday` that is wanted.
fn next_friday(friday: u64, is_wanted: impl Fn(u64) -> bool) -> u64 {
    let mut next = friday + 7;
    while !is_wanted(next) {
        next += 7;
    }
    next
}

fn is_last_of_month(friday: u64) -> bool {
    Date::from_days(friday).month != Date::from_days(friday + 7).month
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-21T01:37:54Z.
    const SATURDAY: Timestamp = Timestamp(1_795_225_074_000_000_000);

    #[test]
    fn days_become_dates() {
        for (days, expected) in [(0, "1JAN70"), (11_016, "29FEB00"), (20_513, "1MAR26")] {
            assert_eq!(Date::from_days(days).code(), expected);
        }
        assert_eq!(date(SATURDAY).code(), "21NOV26");
    }

    #[test]
    fn expiries_are_fridays_at_eight_at_least_a_week_away() {
        let listed = expiries(SATURDAY).map(|expiry| date(expiry).code());
        assert_eq!(listed, ["4DEC26", "11DEC26", "25DEC26", "26MAR27"]);
        for hours in 0..24 * 400 {
            let start = Timestamp(SATURDAY.0 + hours * 3_600_000_000_000);
            let listed = expiries(start);
            assert!(listed.windows(2).all(|pair| pair[0] < pair[1]));
            let wait = listed[0].0 - start.0;
            assert!((7 * DAY_NS..14 * DAY_NS).contains(&wait));
            for expiry in listed {
                assert_eq!(expiry.0 % DAY_NS, EXPIRY_HOUR_NS);
                assert_eq!(expiry.0 / DAY_NS % 7, FIRST_FRIDAY);
            }
        }
    }
}
