//! Numbers of recorded files, kept as they were written and never taken through binary floats.

use evenkeel_types::{Decimal, Rounding, money};
use std::io::Write as _;

/// Decimals of the unit that recorded prices and amounts are kept in.
pub const UNIT_DECIMALS: u8 = 8;
/// Most digits of a number in a file, so that it fits an `i64`.
const DIGITS_MAX: u8 = 18;
/// Most digits of a JSON number, so that it fits an `i128`.
const JSON_DIGITS_MAX: u32 = 36;

/// A positive decimal with the decimals it was written with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scaled {
    /// The number without its point.
    pub mantissa: i64,
    /// Decimals written.
    pub scale: u8,
}

impl Scaled {
    /// Reads digits with at most one point: no sign, no exponent, at most 18 digits in all.
    ///
    /// # Errors
    /// What is wrong, to be put behind the field's name.
    pub fn parse(text: &[u8]) -> Result<Self, &'static str> {
        let mut mantissa: i64 = 0;
        let (mut digits, mut point) = (0, None);
        for byte in text {
            match byte {
                b'0'..=b'9' if digits == DIGITS_MAX => return Err("has more than 18 digits"),
                b'0'..=b'9' => {
                    mantissa = mantissa * 10 + i64::from(byte - b'0');
                    digits += 1;
                }
                b'.' if point.is_none() && digits > 0 => point = Some(digits),
                b'-' if digits == 0 => return Err("must not be negative"),
                _ => return Err("is not a decimal number like 12.345"),
            }
        }
        let decimals = digits - point.unwrap_or(digits);
        if digits == 0 || (point.is_some() && decimals == 0) {
            return Err("is not a decimal number like 12.345");
        }
        Ok(Self { mantissa, scale: decimals })
    }

    /// The number in units of `10^-scale`, if it is a whole number of them and fits.
    #[must_use]
    pub fn in_units(self, scale: u8) -> Option<i64> {
        if scale >= self.scale {
            return self.mantissa.checked_mul(10i64.checked_pow((scale - self.scale).into())?);
        }
        let surplus = 10i64.checked_pow((self.scale - scale).into())?;
        (self.mantissa % surplus == 0).then(|| self.mantissa / surplus)
    }
}

/// A JSON number (RFC 8259) or the same in quotes, in units of 10⁻⁸.
///
/// With `rounded`, further decimals are rounded half to even: for feeds that print binary doubles
/// with 17 digits, where `0.21144331` arrives as `0.21144331000000001`.
///
/// # Errors
/// What is wrong, to be put behind the field's name.
pub fn in_units(text: &str, rounded: bool) -> Result<i64, &'static str> {
    let (unsigned, sign) = text.strip_prefix('-').map_or((text, 1), |rest| (rest, -1));
    let (plain, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((plain, exponent)) => (plain, exponent.parse::<i8>().map_err(|_| NOT_A_NUMBER)?),
        None => (unsigned, 0),
    };
    let (whole, decimals) = plain.split_once('.').unwrap_or((plain, ""));
    let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !all_digits(whole) || !all_digits(decimals) {
        return Err(NOT_A_NUMBER);
    }
    let digits = [whole, decimals].concat();
    let digits = digits.trim_start_matches('0');
    if digits.is_empty() {
        return Ok(0);
    }
    let (Ok(decimals), Ok(length)) = (i32::try_from(decimals.len()), u32::try_from(digits.len()))
    else {
        return Err(TOO_LONG);
    };
    let shift = i32::from(exponent) + i32::from(UNIT_DECIMALS) - decimals;
    let steps = shift.unsigned_abs();
    if length + if shift > 0 { steps } else { 0 } > JSON_DIGITS_MAX || steps > JSON_DIGITS_MAX {
        return Err(TOO_LONG);
    }
    let mantissa: i128 = digits.parse().map_err(|_| TOO_LARGE)?;
    let power = money::pow10(steps).map_err(|_| TOO_LARGE)?;
    let units = if shift >= 0 {
        mantissa.checked_mul(power).ok_or(TOO_LARGE)?
    } else if rounded || mantissa % power == 0 {
        money::div(mantissa, power, Rounding::HalfEven).map_err(|_| TOO_LARGE)?
    } else {
        return Err("has more than 8 decimals");
    };
    i64::try_from(units).map(|units| sign * units).map_err(|_| TOO_LARGE)
}

const NOT_A_NUMBER: &str = "is not a number";
const TOO_LARGE: &str = "is too large";
const TOO_LONG: &str = "has too many digits";

/// Fewest decimals with which `units` of 10⁻⁸ can be written.
#[must_use]
pub fn decimals_needed(units: i64) -> u8 {
    let (mut units, mut decimals) = (units, UNIT_DECIMALS);
    while decimals > 0 && units % 10 == 0 {
        units /= 10;
        decimals -= 1;
    }
    decimals
}

/// `units` of 10⁻⁸ as text, with as few decimals as it takes.
#[must_use]
pub fn units_text(units: i64) -> String {
    Decimal::new(units.into(), UNIT_DECIMALS).unwrap_or_default().to_string()
}

/// How multiples of a step (a tick or a lot) are written: always with the step's decimals.
#[derive(Debug, Clone, Copy)]
pub struct StepFormat {
    mantissa: i128,
    scale: u8,
}

impl StepFormat {
    /// For multiples of `step`.
    #[must_use]
    pub fn of(step: Decimal) -> Self {
        Self { mantissa: step.mantissa(), scale: step.scale() }
    }

    /// Appends `count` steps as a decimal text.
    pub fn write(self, out: &mut Vec<u8>, count: i64) {
        // A step has at most 18 digits here, so the product of both fits 128 bits.
        let digits = (self.mantissa * i128::from(count)).unsigned_abs();
        if count < 0 {
            out.push(b'-');
        }
        // Writing to memory cannot fail. 64 bits are enough nearly always, and much faster.
        let _ = match (u64::try_from(digits), self.scale) {
            (Ok(digits), 0) => write!(out, "{digits}"),
            (Ok(digits), scale) => {
                let (unit, width) = (10u64.pow(scale.into()), usize::from(scale));
                write!(out, "{}.{:0width$}", digits / unit, digits % unit)
            }
            (Err(_), 0) => write!(out, "{digits}"),
            (Err(_), scale) => {
                let (unit, width) = (10u128.pow(scale.into()), usize::from(scale));
                write!(out, "{}.{:0width$}", digits / unit, digits % unit)
            }
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn csv_decimals_keep_the_decimals_they_were_written_with() {
        for (text, mantissa, scale) in
            [("0", 0, 0), ("12", 12, 0), ("12.50", 1250, 2), ("0.00000001", 1, 8), ("007.0", 70, 1)]
        {
            assert_eq!(Scaled::parse(text.as_bytes()), Ok(Scaled { mantissa, scale }), "{text}");
        }
    }

    #[test]
    fn what_is_not_a_plain_decimal_is_refused() {
        for text in ["", ".", ".5", "5.", "1.2.3", "+1", "-1", "1e3", "1,000", " 1", "NaN", "0x1"] {
            assert!(Scaled::parse(text.as_bytes()).is_err(), "{text}");
        }
        assert!(Scaled::parse(b"1234567890.123456789").is_err());
    }

    #[test]
    fn doubles_printed_with_17_digits_become_what_was_meant() {
        for (text, units) in [
            ("0.21144331", 21_144_331),
            ("1.7885566900000001", 178_855_669),
            ("236.61000000000001", 23_661_000_000),
            ("9.9999999999999995e-07", 100),
            ("2.0", 200_000_000),
            ("0.0", 0),
            ("1E2", 10_000_000_000),
        ] {
            assert_eq!(in_units(text, true), Ok(units), "{text}");
        }
    }

    #[test]
    fn exact_numbers_are_not_rounded() {
        assert_eq!(in_units("0.000000015", false), Err("has more than 8 decimals"));
        assert_eq!(in_units("0.0000000150", true), Ok(2));
        assert_eq!(in_units("-0.5", false), Ok(-50_000_000));
        for text in ["", "-", "1e", "1e999", "abc", "1..2", "99999999999999999999", "1e30"] {
            assert!(in_units(text, false).is_err(), "{text}");
        }
    }

    #[test]
    fn steps_are_written_with_their_own_decimals() {
        let text = |step: &str, count: i64| {
            let mut out = Vec::new();
            StepFormat::of(step.parse().expect("decimal")).write(&mut out, count);
            String::from_utf8(out).expect("digits")
        };
        assert_eq!(text("0.01", 23_647), "236.47");
        assert_eq!(text("0.5", 200), "100.0");
        assert_eq!(text("5", 3), "15");
        assert_eq!(text("0.00000001", -1), "-0.00000001");
        assert_eq!(text("0.000000000000000001", i64::MAX), "9.223372036854775807");
        assert_eq!(text("1000000000000000", i64::MAX), "9223372036854775807000000000000000");
        assert_eq!(units_text(23_650_000_000), "236.5");
        assert_eq!(units_text(-100), "-0.000001");
    }
}
