//! Figures as people read them.

/// A number and its unit, kept apart so that a page can set them in different sizes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Part {
    pub value: String,
    pub unit: &'static str,
}

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// An age in at most two units: `42 s`, `3 min 12 s`, `2 h 5 min`, `4 d 3 h`.
pub(super) fn age_parts(seconds: f64) -> Vec<Part> {
    let whole = whole_seconds(seconds);
    let part = |value: u64, unit| Part { value: value.to_string(), unit };
    let two = |large: Part, small: Part| {
        if small.value == "0" { vec![large] } else { vec![large, small] }
    };
    match whole {
        0..MINUTE => vec![part(whole, "s")],
        MINUTE..HOUR => two(part(whole / MINUTE, "min"), part(whole % MINUTE, "s")),
        HOUR..DAY => two(part(whole / HOUR, "h"), part(whole % HOUR / MINUTE, "min")),
        _ => two(part(whole / DAY, "d"), part(whole % DAY / HOUR, "h")),
    }
}

/// [`age_parts`] as one text.
pub(super) fn age(seconds: f64) -> String {
    let texts: Vec<String> =
        age_parts(seconds).iter().map(|part| format!("{} {}", part.value, part.unit)).collect();
    texts.join(" ")
}

/// A measured duration, with the digits that mean something: `4 ms`, `0.42 s`, `2 min 5 s`.
pub(super) fn duration(seconds: f64) -> String {
    if !seconds.is_finite() || seconds < 0.0 {
        return "–".to_owned();
    }
    match seconds {
        s if s < 0.000_5 => "0 s".to_owned(),
        s if s < 0.1 => format!("{:.0} ms", s * 1000.0),
        s if s < 10.0 => format!("{s:.2} s"),
        s if s < 60.0 => format!("{s:.1} s"),
        s => age(s),
    }
}

/// A promised duration: `1 s`, not `1.00 s`.
pub(super) fn round_duration(seconds: f64) -> String {
    if seconds >= 1.0 && seconds.fract() == 0.0 { age(seconds) } else { duration(seconds) }
}

/// A moment ahead, rounded up so that it never promises too early: `in 12 s`, `now`.
pub(super) fn ahead(seconds: f64) -> String {
    if seconds <= 0.0 { "now".to_owned() } else { format!("in {}", age(seconds.ceil())) }
}

/// An integer with its thousands apart.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A rate without false precision.
pub(super) fn rate(per_second: f64) -> String {
    if !per_second.is_finite() || per_second < 0.0 {
        "–".to_owned()
    } else if per_second < 10.0 {
        format!("{per_second:.1}")
    } else {
        grouped(whole_seconds(per_second.round()))
    }
}

/// Bytes in binary units.
pub(super) fn bytes(count: u64) -> String {
    const UNITS: [&str; 6] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
    let mut unit = 0;
    let mut tenths = u128::from(count) * 10;
    while tenths >= 10_240 && unit + 1 < UNITS.len() {
        tenths /= 1024;
        unit += 1;
    }
    if unit == 0 || tenths >= 1000 {
        format!("{} {}", tenths / 10, UNITS[unit])
    } else {
        format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit])
    }
}

/// Enough of a hash to compare by eye.
pub(super) fn short_hash(hash: &str) -> String {
    match (hash.get(..8), hash.len()) {
        (Some(head), 13..) => format!("{head}…"),
        _ => hash.to_owned(),
    }
}

/// The end of a long path: where folders differ.
pub(super) fn short_path(path: &str) -> String {
    const SHOWN_MAX: usize = 24;
    if path.chars().count() <= SHOWN_MAX {
        return path.to_owned();
    }
    let tail: Vec<&str> = path.rsplit('/').filter(|part| !part.is_empty()).take(2).collect();
    match tail[..] {
        [last, before] => format!("…/{before}/{last}"),
        _ => path.to_owned(),
    }
}

/// With a capital first letter.
pub(super) fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// The clock time within an RFC 3339 time: `01:43:12`.
pub(super) fn clock(time: &str) -> String {
    time.get(11..19).unwrap_or(time).to_owned()
}

/// `1 site`, `2 sites`.
pub(super) fn count(number: u64, one: &str, many: &str) -> String {
    if number == 1 { format!("1 {one}") } else { format!("{} {many}", grouped(number)) }
}

/// `A`, `A and B`, `A, B and C`.
pub(super) fn list(names: &[&str]) -> String {
    match names {
        [] => String::new(),
        [only] => (*only).to_owned(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

/// Saturating: a negative or not finite figure counts as 0.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped before")]
fn whole_seconds(seconds: f64) -> u64 {
    if seconds.is_finite() { seconds.clamp(0.0, 1e15) as u64 } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_use_at_most_two_units_and_never_a_zero_second_one() {
        for (seconds, text) in [
            (0.4, "0 s"),
            (59.9, "59 s"),
            (60.0, "1 min"),
            (192.0, "3 min 12 s"),
            (7500.0, "2 h 5 min"),
            (356_400.0, "4 d 3 h"),
            (-3.0, "0 s"),
            (f64::NAN, "0 s"),
        ] {
            assert_eq!(age(seconds), text);
        }
    }

    #[test]
    fn durations_keep_the_digits_that_mean_something() {
        for (seconds, text) in [
            (0.0, "0 s"),
            (0.004, "4 ms"),
            (0.42, "0.42 s"),
            (12.34, "12.3 s"),
            (125.0, "2 min 5 s"),
        ] {
            assert_eq!(duration(seconds), text);
        }
        assert_eq!(duration(f64::NAN), "–");
    }

    #[test]
    fn numbers_bytes_and_rates_read_at_a_glance() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(1_204_311), "1,204,311");
        assert_eq!(grouped(u64::MAX), "18,446,744,073,709,551,615");
        assert_eq!(bytes(0), "0 B");
        assert_eq!(bytes(1536), "1.5 KiB");
        assert_eq!(bytes(1_288_490_188), "1.1 GiB");
        assert_eq!(bytes(u64::MAX), "16383 PiB");
        assert_eq!(rate(2013.4), "2,013");
        assert_eq!(rate(0.5), "0.5");
    }

    #[test]
    fn hashes_shorten_and_never_split_a_character() {
        assert_eq!(short_hash("0123456789abcdef"), "01234567…");
        assert_eq!(short_hash("äöüäöüäöü"), "äöüä…");
        assert_eq!(short_hash("short"), "short");
    }

    #[test]
    fn long_paths_keep_their_end() {
        assert_eq!(short_path("sites/amber"), "sites/amber");
        assert_eq!(short_path("/srv/evenkeel/demo/sites/amber/"), "…/sites/amber");
        assert_eq!(short_path("s3.eu.example.invalid.bucket"), "s3.eu.example.invalid.bucket");
    }

    #[test]
    fn names_are_listed_as_in_a_sentence() {
        assert_eq!(list(&[]), "");
        assert_eq!(list(&["a"]), "a");
        assert_eq!(list(&["a", "b", "c"]), "a, b and c");
    }
}
