//! Times on the command line and in results: RFC 3339, UTC, nanoseconds since 1970 inside.

/// Nanoseconds in a second.
const SECOND_NS: u64 = 1_000_000_000;

/// Reads `2026-02-03T07:00:00Z`, with a fraction or an offset such as `+01:00` if wanted, as
/// nanoseconds since 1970 UTC.
///
/// # Errors
/// A sentence that says what is expected.
pub fn parse_time_ns(text: &str) -> Result<u64, String> {
    parse(text.trim()).ok_or_else(|| {
        format!("`{text}` is no time such as 2026-02-03T07:00:00Z or 2026-02-03T07:00:00.5+01:00")
    })
}

fn parse(text: &str) -> Option<u64> {
    let (date, rest) = text.split_once(['T', 't', ' '])?;
    let mut date = date.splitn(3, '-').map(digits);
    let (year, month, day) = (date.next()??, date.next()??, date.next()??);
    let zone_at = rest.find(['Z', 'z', '+', '-'])?;
    let (clock, zone) = rest.split_at(zone_at);
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, "0"));
    let mut clock = clock.splitn(3, ':').map(digits);
    let (hour, minute, second) = (clock.next()??, clock.next()??, clock.next()??);
    let in_range = (1..=12).contains(&month)
        && (1..=month_days(year, month)).contains(&day)
        && hour < 24
        && minute < 60
        && second < 60;
    if !in_range || !(1970..=2500).contains(&year) {
        return None;
    }
    let days = days_from_1970(year, month, day)?;
    let seconds = days * 86_400 + hour * 3_600 + minute * 60 + second;
    let seconds = i64::try_from(seconds).ok()? - zone_seconds(zone)?;
    let ns = u64::try_from(seconds).ok()?.checked_mul(SECOND_NS)?;
    ns.checked_add(fraction_ns(fraction)?)
}

fn digits(text: &str) -> Option<u64> {
    let plain = !text.is_empty() && text.len() <= 4 && text.bytes().all(|b| b.is_ascii_digit());
    plain.then(|| text.parse().ok())?
}

fn fraction_ns(text: &str) -> Option<u64> {
    let plain = (1..=9).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    plain.then(|| format!("{text:0<9}").parse().ok())?
}

fn zone_seconds(zone: &str) -> Option<i64> {
    if zone.eq_ignore_ascii_case("z") {
        return Some(0);
    }
    let sign = if zone.starts_with('-') { -1 } else { 1 };
    let (hours, minutes) = zone[1..].split_once(':')?;
    let (hours, minutes) = (digits(hours)?, digits(minutes)?);
    let seconds = i64::try_from(hours * 3_600 + minutes * 60).ok()?;
    (hours < 24 && minutes < 60).then_some(sign * seconds)
}

fn is_leap(year: u64) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

fn month_days(year: u64, month: u64) -> u64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if is_leap(year) => 29,
        2 => 28,
        _ => 31,
    }
}

fn days_from_1970(year: u64, month: u64, day: u64) -> Option<u64> {
    let leaps = |year: u64| year / 4 - year / 100 + year / 400;
    let years = (year - 1970) * 365 + leaps(year - 1) - leaps(1969);
    let months: u64 = (1..month).map(|month| month_days(year, month)).sum();
    (years + months).checked_add(day - 1)
}

/// Writes nanoseconds since 1970 UTC as `2026-02-03T07:00:00Z`, with milliseconds if there are any.
#[must_use]
pub fn format_time_ns(time_ns: u64) -> String {
    let (seconds, milliseconds) = (time_ns / SECOND_NS, time_ns % SECOND_NS / 1_000_000);
    let (mut days, clock) = (seconds / 86_400, seconds % 86_400);
    let mut year = 1970;
    loop {
        let length_days = if is_leap(year) { 366 } else { 365 };
        if days < length_days {
            break;
        }
        days -= length_days;
        year += 1;
    }
    let mut month = 1;
    while days >= month_days(year, month) {
        days -= month_days(year, month);
        month += 1;
    }
    let (hour, minute, second) = (clock / 3_600, clock / 60 % 60, clock % 60);
    let fraction = if milliseconds == 0 { String::new() } else { format!(".{milliseconds:03}") };
    format!("{year:04}-{month:02}-{:02}T{hour:02}:{minute:02}:{second:02}{fraction}Z", days + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_times_are_read_and_written() {
        for (text, seconds) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2000-02-29T12:34:56Z", 951_827_696),
            ("2026-02-03T07:00:00Z", 1_770_102_000),
            ("2038-01-19T03:14:08Z", 2_147_483_648),
            ("2100-03-01T00:00:00Z", 4_107_542_400),
        ] {
            assert_eq!(parse_time_ns(text).unwrap(), seconds * SECOND_NS, "{text}");
            assert_eq!(format_time_ns(seconds * SECOND_NS), text);
        }
    }

    #[test]
    fn offsets_and_fractions_are_understood() {
        let utc = parse_time_ns("2026-02-03T07:00:00Z").unwrap();
        assert_eq!(parse_time_ns("2026-02-03T08:00:00+01:00").unwrap(), utc);
        assert_eq!(parse_time_ns("2026-02-03 01:30:00-05:30").unwrap(), utc);
        assert_eq!(parse_time_ns("2026-02-03T07:00:00.25Z").unwrap(), utc + SECOND_NS / 4);
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "yesterday",
            "2026-02-03",
            "2026-02-03T07:00:00",
            "2026-02-30T07:00:00Z",
            "2025-02-29T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-02-03T24:00:00Z",
            "2026-02-03T07:00:60Z",
            "2026-02-03T07:00:00.Z",
            "2026-02-03T07:00:00+1",
            "1969-12-31T23:59:59Z",
            "2026-02-03T07:00:00Zulu",
            "+026-02-03T07:00:00Z",
        ] {
            assert!(parse_time_ns(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn every_millisecond_reads_back(time_ms in 0_u64..15_000_000_000_000) {
            let time_ns = time_ms * 1_000_000;
            prop_assert_eq!(parse_time_ns(&format_time_ns(time_ns)).unwrap(), time_ns);
        }

        #[test]
        fn no_text_makes_the_reader_panic(text in ".{0,40}") {
            let _ = parse_time_ns(&text);
        }
    }
}
