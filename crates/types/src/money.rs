//! Ticks, lots and money: integers with checked arithmetic and named rounding.

use crate::wide::mul_div_rem;
use crate::{canonical_enum, canonical_newtype};
use thiserror::Error;

/// The result does not fit, or a division by zero was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("arithmetic overflow or division by zero")]
pub struct ArithmeticError;

/// How a quotient that is not whole becomes whole. There is no default: each use names one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rounding {
    /// Toward negative infinity.
    Floor,
    /// Toward positive infinity.
    Ceiling,
    /// Toward zero.
    TowardZero,
    /// Away from zero.
    AwayFromZero,
    /// To the nearest, ties to even (IEEE 754 roundTiesToEven).
    HalfEven,
}

/// A price in ticks of its instrument.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Ticks(pub i64);
canonical_newtype!(Ticks);

/// A size in lots of its instrument; negative for a short position.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Lots(pub i64);
canonical_newtype!(Lots);

/// An amount in the smallest unit of its currency (`10^-scale`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Money(pub i128);
canonical_newtype!(Money);

/// Buy or sell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Side {
    /// Bids.
    Buy,
    /// Asks.
    Sell,
}
canonical_enum!(Side { 1 => Buy, 2 => Sell });

impl Side {
    /// The other side.
    #[must_use]
    pub fn opposite(self) -> Self {
        match self {
            Self::Buy => Self::Sell,
            Self::Sell => Self::Buy,
        }
    }

    /// +1 for a buy, −1 for a sell.
    #[must_use]
    pub fn sign(self) -> i64 {
        match self {
            Self::Buy => 1,
            Self::Sell => -1,
        }
    }
}

macro_rules! checked_operations {
    ($name:ident, $inner:ty) => {
        #[expect(clippy::should_implement_trait, reason = "the operators cannot return errors")]
        impl $name {
            /// Nothing.
            pub const ZERO: Self = Self(0);

            /// Sum.
            ///
            /// # Errors
            /// [`ArithmeticError`] on overflow.
            pub fn add(self, other: Self) -> Result<Self, ArithmeticError> {
                self.0.checked_add(other.0).map(Self).ok_or(ArithmeticError)
            }

            /// Difference.
            ///
            /// # Errors
            /// [`ArithmeticError`] on overflow.
            pub fn sub(self, other: Self) -> Result<Self, ArithmeticError> {
                self.0.checked_sub(other.0).map(Self).ok_or(ArithmeticError)
            }

            /// Sign changed.
            ///
            /// # Errors
            /// [`ArithmeticError`] for the most negative value.
            pub fn neg(self) -> Result<Self, ArithmeticError> {
                self.0.checked_neg().map(Self).ok_or(ArithmeticError)
            }

            /// Magnitude.
            ///
            /// # Errors
            /// [`ArithmeticError`] for the most negative value.
            pub fn abs(self) -> Result<Self, ArithmeticError> {
                self.0.checked_abs().map(Self).ok_or(ArithmeticError)
            }
        }
    };
}
checked_operations!(Ticks, i64);
checked_operations!(Lots, i64);
checked_operations!(Money, i128);

/// `a · b / c`, exact until the one rounding at the end (the product may exceed 128 bits).
///
/// # Errors
/// [`ArithmeticError`] if `c` is 0 or the result exceeds 127 bits.
pub fn mul_div(a: i128, b: i128, c: i128, rounding: Rounding) -> Result<i128, ArithmeticError> {
    let negative = (a < 0) ^ (b < 0) ^ (c < 0);
    let divisor = c.unsigned_abs();
    let (quotient, rest) =
        mul_div_rem(a.unsigned_abs(), b.unsigned_abs(), divisor).ok_or(ArithmeticError)?;
    let up = rest != 0
        && match rounding {
            Rounding::TowardZero => false,
            Rounding::AwayFromZero => true,
            Rounding::Floor => negative,
            Rounding::Ceiling => !negative,
            // `rest > divisor − rest` is `2·rest > divisor` without the overflow.
            Rounding::HalfEven => match rest.cmp(&(divisor - rest)) {
                core::cmp::Ordering::Less => false,
                core::cmp::Ordering::Greater => true,
                core::cmp::Ordering::Equal => quotient & 1 == 1,
            },
        };
    let magnitude = quotient.checked_add(u128::from(up)).ok_or(ArithmeticError)?;
    let value = i128::try_from(magnitude).map_err(|_| ArithmeticError)?;
    Ok(if negative { -value } else { value })
}

/// `a / b` with the rounding named.
///
/// # Errors
/// [`ArithmeticError`] if `b` is 0 or the result does not fit.
pub fn div(a: i128, b: i128, rounding: Rounding) -> Result<i128, ArithmeticError> {
    mul_div(a, 1, b, rounding)
}

/// `10^exponent`.
///
/// # Errors
/// [`ArithmeticError`] above `10^38`.
pub fn pow10(exponent: u32) -> Result<i128, ArithmeticError> {
    10i128.checked_pow(exponent).ok_or(ArithmeticError)
}
