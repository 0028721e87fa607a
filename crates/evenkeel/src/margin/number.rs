//! Decimals of a JSON file as integers, without a float in between that could change a digit.

use serde_json::Value;

/// Most digits and exponent of a number that is read: more is a mistake in the file.
const MAX_DIGITS: usize = 64;
const MAX_EXPONENT: i32 = 60;

/// A decimal number, or a string holding one, in parts of `10^decimals`, rounded half to even.
pub(super) fn parse(value: &Value, decimals: u32) -> Option<i128> {
    match value {
        Value::Number(number) => parse_text(&number.to_string(), decimals),
        Value::String(text) => parse_text(text, decimals),
        _ => None,
    }
}

/// The same for text such as `-12.5` or `4e-6`.
pub(super) fn parse_text(text: &str, decimals: u32) -> Option<i128> {
    let (negative, rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (mantissa, exponent) = match rest.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (rest, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits: Vec<u8> = whole.bytes().chain(fraction.bytes()).collect();
    let plain = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    if !plain || digits.len() > MAX_DIGITS || exponent.abs() > MAX_EXPONENT {
        return None;
    }
    // How many of the digits stay before the point of the result.
    let point = i64::try_from(whole.len()).ok()? + i64::from(exponent) + i64::from(decimals);
    let size = rounded(&digits, point)?;
    Some(if negative { -size } else { size })
}

/// The number that `digits` make with the decimal point after the first `point` of them.
fn rounded(digits: &[u8], point: i64) -> Option<i128> {
    let Ok(kept) = usize::try_from(point) else { return Some(0) };
    let mut size = 0i128;
    for at in 0..kept {
        let digit = digits.get(at).map_or(0, |digit| i128::from(digit - b'0'));
        size = size.checked_mul(10)?.checked_add(digit)?;
    }
    let dropped = digits.get(kept..).unwrap_or(&[]);
    let Some((first, tail)) = dropped.split_first() else { return Some(size) };
    let is_tie = *first == b'5' && tail.iter().all(|digit| *digit == b'0');
    let up = if is_tie { size & 1 == 1 } else { *first >= b'5' };
    size.checked_add(i128::from(up))
}

/// Parts of 10^18 as a decimal string without needless zeros.
pub(crate) fn decimal(atto: i128) -> String {
    const ONE: u128 = 1_000_000_000_000_000_000;
    let (size, sign) = (atto.unsigned_abs(), if atto < 0 { "-" } else { "" });
    let (whole, rest) = (size / ONE, size % ONE);
    if rest == 0 {
        return format!("{sign}{whole}");
    }
    let digits = format!("{rest:018}");
    format!("{sign}{whole}.{}", digits.trim_end_matches('0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_their_digits_and_exponents_and_round_half_to_even() {
        let nano = |text: &str| parse_text(text, 9);
        assert_eq!(nano("0.16"), Some(160_000_000));
        assert_eq!(nano("4e-6"), Some(4_000));
        assert_eq!(nano("-2.5E3"), Some(-2_500_000_000_000));
        assert_eq!(nano("0.0000000005"), Some(0));
        assert_eq!(nano("0.0000000015"), Some(2));
        assert_eq!(nano("0.00000000151"), Some(2));
        assert_eq!(nano("0.00000000251"), Some(3));
        assert_eq!(nano("1e-30"), Some(0));
        assert_eq!(nano("+7"), Some(7_000_000_000));
        assert_eq!(parse_text("0.314538364", 18), Some(314_538_364_000_000_000));
    }

    #[test]
    fn what_is_no_number_is_none() {
        for text in ["", "-", "x", "1.2.3", "1e", "1e99", "0x10", "1 000", "1e40", "."] {
            assert_eq!(parse_text(text, 18), None, "{text}");
        }
        assert_eq!(parse(&Value::Bool(true), 9), None);
        assert_eq!(parse(&Value::from("0.5"), 1), Some(5));
        assert_eq!(parse(&Value::from(0.1), 18), Some(100_000_000_000_000_000));
    }

    #[test]
    fn a_decimal_string_has_no_needless_zeros() {
        assert_eq!(decimal(0), "0");
        assert_eq!(decimal(-1), "-0.000000000000000001");
        assert_eq!(decimal(62_843_130_980_000_000), "0.06284313098");
        assert_eq!(decimal(-2_000_000_000_000_000_000), "-2");
    }
}
