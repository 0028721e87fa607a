//! Decimal numbers as people write them: an integer and a number of decimals, exactly.

use crate::codec::{Canonical, DecodeError, Reader, Writer};
use core::cmp::Ordering;
use core::fmt;
use core::str::FromStr;
use thiserror::Error;

/// Most decimals a [`Decimal`] carries.
pub const MAX_SCALE: u8 = 18;

/// Why a text is not a decimal number that can be held exactly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum DecimalError {
    /// Something else than digits with at most one point and a leading minus sign.
    #[error("not a decimal number; write it like -12.345, without exponent or separators")]
    NotANumber,
    /// More decimals than [`MAX_SCALE`].
    #[error("more than {MAX_SCALE} decimals")]
    TooManyDecimals,
    /// More digits than fit.
    #[error("too many digits")]
    TooLarge,
}

/// `mantissa · 10^-scale`, kept with the fewest decimals, so that equal numbers are equal values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Decimal {
    mantissa: i128,
    scale: u8,
}

impl Decimal {
    /// `mantissa · 10^-scale`, normalised.
    ///
    /// # Errors
    /// [`DecimalError::TooManyDecimals`] if more than [`MAX_SCALE`] decimals remain.
    pub fn new(mantissa: i128, scale: u8) -> Result<Self, DecimalError> {
        let (mut mantissa, mut scale) = (mantissa, scale);
        while scale > 0 && mantissa % 10 == 0 {
            mantissa /= 10;
            scale -= 1;
        }
        if scale > MAX_SCALE {
            return Err(DecimalError::TooManyDecimals);
        }
        Ok(Self { mantissa, scale })
    }

    /// A whole number.
    #[must_use]
    pub fn whole(value: i64) -> Self {
        Self { mantissa: value.into(), scale: 0 }
    }

    /// The integer without its point.
    #[must_use]
    pub fn mantissa(self) -> i128 {
        self.mantissa
    }

    /// Number of decimals, 0 to [`MAX_SCALE`].
    #[must_use]
    pub fn scale(self) -> u8 {
        self.scale
    }

    /// The number in units of `10^-scale`, if it is a whole number of them and fits.
    #[must_use]
    pub fn in_units(self, scale: u8) -> Option<i128> {
        let shift = scale.checked_sub(self.scale)?;
        self.mantissa.checked_mul(10i128.checked_pow(shift.into())?)
    }

    /// How many times `step` goes into this number, if exactly.
    #[must_use]
    pub fn whole_multiples_of(self, step: Self) -> Option<i128> {
        let scale = self.scale.max(step.scale);
        let (value, unit) = (self.in_units(scale)?, step.in_units(scale)?);
        (unit != 0 && value % unit == 0).then(|| value / unit)
    }

    /// `count · self`.
    #[must_use]
    pub fn times(self, count: i128) -> Option<Self> {
        Self::new(self.mantissa.checked_mul(count)?, self.scale).ok()
    }
}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Decimal {
    fn cmp(&self, other: &Self) -> Ordering {
        let scale = self.scale.max(other.scale);
        match (self.in_units(scale), other.in_units(scale)) {
            (Some(a), Some(b)) => a.cmp(&b),
            // The one that overflows at the common scale has the larger magnitude.
            (None, _) => self.mantissa.cmp(&0),
            (_, None) => 0.cmp(&other.mantissa),
        }
    }
}

impl FromStr for Decimal {
    type Err = DecimalError;

    fn from_str(text: &str) -> Result<Self, DecimalError> {
        let (negative, digits) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (whole, decimals) = digits.split_once('.').unwrap_or((digits, "0"));
        let is_number = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        if !is_number(whole) || !is_number(decimals) {
            return Err(DecimalError::NotANumber);
        }
        let decimals = decimals.trim_end_matches('0');
        let scale = u8::try_from(decimals.len()).map_err(|_| DecimalError::TooManyDecimals)?;
        if scale > MAX_SCALE {
            return Err(DecimalError::TooManyDecimals);
        }
        // Negative digits are added up as such: the most negative mantissa has no counterpart.
        let sign = if negative { -1 } else { 1 };
        let mut mantissa: i128 = 0;
        for digit in whole.bytes().chain(decimals.bytes()) {
            mantissa = mantissa
                .checked_mul(10)
                .and_then(|shifted| shifted.checked_add(sign * i128::from(digit - b'0')))
                .ok_or(DecimalError::TooLarge)?;
        }
        Self::new(mantissa, scale)
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.mantissa < 0 { "-" } else { "" };
        let digits = self.mantissa.unsigned_abs();
        if self.scale == 0 {
            return write!(f, "{sign}{digits}");
        }
        let unit = 10u128.pow(self.scale.into());
        let width = usize::from(self.scale);
        write!(f, "{sign}{}.{:0width$}", digits / unit, digits % unit)
    }
}

impl Canonical for Decimal {
    fn encode(&self, writer: &mut Writer) {
        writer.i128(self.mantissa);
        writer.u8(self.scale);
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (mantissa, scale) = (reader.i128()?, reader.u8()?);
        let value = Self { mantissa, scale };
        match Self::new(mantissa, scale) {
            Ok(normal) if normal == value => Ok(value),
            _ => Err(reader.not_canonical("decimal with superfluous or too many decimals")),
        }
    }
}
