//! Whether an answer is the expected one.

use std::cmp::Ordering;

use evenkeel_recovery::report::Verdict;

use crate::config::DrillCheckConfig;

/// Of a value, so much is shown.
const SHOWN_CHARS: usize = 200;

/// What a query answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct Answer {
    /// First value of the first row; `None` if there is no row, `Some(None)` if it is NULL.
    pub(in super::super) first: Option<Option<String>>,
}

impl Answer {
    fn shown(&self) -> String {
        match &self.first {
            None => "no rows".to_owned(),
            Some(None) => "NULL".to_owned(),
            Some(Some(value)) => value.chars().take(SHOWN_CHARS).collect(),
        }
    }
}

/// Compares an answer with what the configuration expects.
pub(in super::super) fn judge(check: &DrillCheckConfig, answer: &Answer) -> (Verdict, String) {
    let shown = answer.shown();
    if check.no_rows {
        return match answer.first {
            None => (Verdict::Ok, "no rows, as expected".to_owned()),
            Some(_) => (Verdict::Failed, format!("there are rows, the first begins with {shown}")),
        };
    }
    let Some(Some(value)) = &answer.first else {
        return (Verdict::Failed, format!("answered {shown}"));
    };
    let mut promises = Vec::new();
    if let Some(expected) = &check.expect {
        let is_same = value == expected || compare(value, expected) == Some(Ordering::Equal);
        promises.push((is_same, format!("expected {expected}")));
    }
    if let Some(min) = &check.min {
        let order = compare(value, min);
        promises.push((order.is_some_and(Ordering::is_ge), format!("at least {min}")));
    }
    if let Some(max) = &check.max {
        let order = compare(value, max);
        promises.push((order.is_some_and(Ordering::is_le), format!("at most {max}")));
    }
    if promises.is_empty() {
        let is_true = ["1", "t", "true"].contains(&value.as_str());
        promises.push((is_true, "expected to be true".to_owned()));
    }
    let words: Vec<&str> = promises.iter().map(|(_, words)| words.as_str()).collect();
    let verdict =
        if promises.iter().all(|(kept, _)| *kept) { Verdict::Ok } else { Verdict::Failed };
    (verdict, format!("answered {shown}, {}", words.join(", ")))
}

/// Compares two decimal numbers of any length exactly; `None` if one of them is none.
fn compare(one: &str, other: &str) -> Option<Ordering> {
    let (one, other) = (Decimal::parse(one)?, Decimal::parse(other)?);
    Some(match (one.is_negative, other.is_negative) {
        (false, true) => Ordering::Greater,
        (true, false) => Ordering::Less,
        (false, false) => one.compare_size(&other),
        (true, true) => other.compare_size(&one),
    })
}

/// A decimal number without zeros that say nothing.
struct Decimal<'a> {
    is_negative: bool,
    whole: &'a str,
    fraction: &'a str,
}

impl<'a> Decimal<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let text = text.trim();
        let (is_negative, digits) = match text.strip_prefix('-') {
            Some(digits) => (true, digits),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if (whole.is_empty() && fraction.is_empty()) || !is_number(whole) || !is_number(fraction) {
            return None;
        }
        let (whole, fraction) = (whole.trim_start_matches('0'), fraction.trim_end_matches('0'));
        let is_zero = whole.is_empty() && fraction.is_empty();
        Some(Self { is_negative: is_negative && !is_zero, whole, fraction })
    }

    fn compare_size(&self, other: &Self) -> Ordering {
        let by_length = self.whole.len().cmp(&other.whole.len());
        by_length.then_with(|| self.whole.cmp(other.whole)).then_with(|| {
            // Without trailing zeros a longer fraction with the same beginning is the larger one.
            self.fraction.cmp(other.fraction)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(value: &str) -> Answer {
        Answer { first: Some(Some(value.to_owned())) }
    }

    fn check(change: impl FnOnce(&mut DrillCheckConfig)) -> DrillCheckConfig {
        let mut check = DrillCheckConfig::default();
        change(&mut check);
        check
    }

    #[test]
    fn numbers_are_compared_by_their_digits_not_by_a_float() {
        let cases = [
            ("0.1", "0.10", Ordering::Equal),
            ("-0", "0.0", Ordering::Equal),
            ("9007199254740993", "9007199254740992", Ordering::Greater),
            ("-2", "-10", Ordering::Greater),
            ("0.09", "0.1", Ordering::Less),
            ("+12", "7", Ordering::Greater),
            (".5", "0.5", Ordering::Equal),
        ];
        for (one, other, order) in cases {
            assert_eq!(compare(one, other), Some(order), "{one} {other}");
        }
        for none in ["", ".", "-", "1e3", "NaN", "1.2.3", "ten"] {
            assert_eq!(compare(none, "1"), None, "{none}");
        }
    }

    #[test]
    fn an_expectation_is_met_by_its_value_its_number_or_its_range_and_by_nothing_else() {
        let exactly = check(|one| one.expect = Some("42".to_owned()));
        for (value, verdict) in [
            ("42", Verdict::Ok),
            ("42.0", Verdict::Ok),
            ("43", Verdict::Failed),
            ("x", Verdict::Failed),
        ] {
            assert_eq!(judge(&exactly, &answer(value)).0, verdict, "{value}");
        }
        let between = check(|one| (one.min, one.max) = (Some("1".into()), Some("9.5".into())));
        for (value, verdict) in [
            ("1", Verdict::Ok),
            ("9.5", Verdict::Ok),
            ("9.51", Verdict::Failed),
            ("0", Verdict::Failed),
            ("many", Verdict::Failed),
        ] {
            assert_eq!(judge(&between, &answer(value)).0, verdict, "{value}");
        }
        let truth = check(|_| ());
        for (value, verdict) in
            [("t", Verdict::Ok), ("1", Verdict::Ok), ("true", Verdict::Ok), ("2", Verdict::Failed)]
        {
            assert_eq!(judge(&truth, &answer(value)).0, verdict, "{value}");
        }
    }

    #[test]
    fn no_rows_and_null_are_not_a_value() {
        let (none, null) = (Answer { first: None }, Answer { first: Some(None) });
        let nothing = check(|one| one.no_rows = true);
        assert_eq!(judge(&nothing, &none).0, Verdict::Ok);
        assert_eq!(judge(&nothing, &null).0, Verdict::Failed);
        let truth = check(|_| ());
        for empty in [none, null] {
            let (verdict, words) = judge(&truth, &empty);
            assert_eq!(verdict, Verdict::Failed);
            assert!(words.contains("NULL") || words.contains("no rows"), "{words}");
        }
    }
}
