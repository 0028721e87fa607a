//! Currencies and instruments, and what a fill is worth.

use crate::codec::{Canonical, DecodeError, Reader, Writer};
use crate::ids::{CurrencyId, InstrumentId, Timestamp};
use crate::money::{self, ArithmeticError, Lots, Money, Rounding, Ticks};
use crate::{Decimal, canonical_enum, canonical_struct};
use core::fmt;
use thiserror::Error;

/// A short name in printable ASCII without spaces, e.g. `BTC-27NOV26-60000-C`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Symbol(String);

impl Symbol {
    /// Longest symbol.
    pub const MAX_BYTES: usize = 32;

    /// Checks and takes a name: 1 to 32 printable ASCII characters.
    ///
    /// # Errors
    /// [`InstrumentError::BadSymbol`].
    pub fn new(name: &str) -> Result<Self, InstrumentError> {
        let printable = name.bytes().all(|byte| byte.is_ascii_graphic());
        if name.is_empty() || name.len() > Self::MAX_BYTES || !printable {
            return Err(InstrumentError::BadSymbol);
        }
        Ok(Self(name.to_owned()))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Symbol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Canonical for Symbol {
    fn encode(&self, writer: &mut Writer) {
        writer.bytes(self.0.as_bytes());
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let bytes = reader.bytes(Self::MAX_BYTES)?;
        let text = core::str::from_utf8(bytes).ok().and_then(|text| Self::new(text).ok());
        text.ok_or_else(|| reader.not_canonical("symbol"))
    }
}

/// A currency and the number of decimals its [`Money`] carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Currency {
    /// Its id.
    pub id: CurrencyId,
    /// Its code, e.g. `BTC`.
    pub code: Symbol,
    /// Decimals: one unit of [`Money`] is `10^-scale`; at most [`crate::decimal::MAX_SCALE`].
    pub scale: u8,
}
canonical_struct!(Currency { id, code, scale });

/// Which currency pays, and with which formula.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// Value grows with price: `price · size · contract_size`.
    Linear,
    /// A future or perpetual sized in quote currency and paid in base: `size · contract_size /
    /// price`. An option of this style is quoted and paid in its base coin, so its premium is
    /// again `price · size · contract_size`.
    Inverse,
}
canonical_enum!(Style { 1 => Linear, 2 => Inverse });

/// Call or put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OptionRight {
    /// The right to buy.
    Call,
    /// The right to sell.
    Put,
}
canonical_enum!(OptionRight { 1 => Call, 2 => Put });

/// What is traded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InstrumentKind {
    /// Base against quote, delivered at once.
    Spot,
    /// A future without expiry.
    Perpetual,
    /// A dated future.
    Future {
        /// When it settles; no order is taken from then on.
        expiry: Timestamp,
    },
    /// A European option.
    Option {
        /// When it settles; no order is taken from then on.
        expiry: Timestamp,
        /// Strike, in quote currency.
        strike: Decimal,
        /// Call or put.
        right: OptionRight,
    },
}
canonical_enum!(InstrumentKind {
    1 => Spot,
    2 => Perpetual,
    3 => Future { expiry },
    4 => Option { expiry, strike, right },
});

/// Terms of an instrument.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instrument {
    /// Its id.
    pub id: InstrumentId,
    /// Its name.
    pub symbol: Symbol,
    /// What is traded.
    pub kind: InstrumentKind,
    /// Linear or inverse; spot is linear.
    pub style: Style,
    /// The coin: what spot delivers, what an option is on.
    pub base: CurrencyId,
    /// The currency of the index and of strikes.
    pub quote: CurrencyId,
    /// The currency profits and premiums are paid in (spot: the quote).
    pub settlement: CurrencyId,
    /// Price of one tick (inverse options: in base coin; else in quote currency).
    pub tick: Decimal,
    /// Size of one lot.
    pub lot: Decimal,
    /// Multiplier from size to value.
    pub contract_size: Decimal,
}
canonical_struct!(Instrument {
    id,
    symbol,
    kind,
    style,
    base,
    quote,
    settlement,
    tick,
    lot,
    contract_size,
});

/// Why an instrument's terms are refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum InstrumentError {
    /// A symbol that is empty, too long or not printable ASCII.
    #[error("a symbol is 1 to 32 printable ASCII characters without spaces")]
    BadSymbol,
    /// Tick, lot or contract size not positive.
    #[error("tick, lot and contract size must be positive")]
    NotPositive,
    /// Spot must be linear and settle in its quote currency.
    #[error("spot is linear and settles in its quote currency")]
    BadSpot,
    /// The terms' scales do not fit into the arithmetic.
    #[error("tick, lot, contract size and currency scale do not fit together")]
    Unrepresentable,
}

impl Instrument {
    /// Largest price of an order.
    pub const MAX_TICKS: Ticks = Ticks(1 << 46);
    /// Largest size of an order.
    pub const MAX_LOTS: Lots = Lots(1 << 46);
    /// Largest value of an order, in the settlement currency's smallest unit. With it, no sum
    /// that the engine forms over fewer than 2^36 fills leaves 128 bits.
    pub const MAX_VALUE: Money = Money(1 << 90);

    /// When trading ends, if it does.
    #[must_use]
    pub fn expiry(&self) -> Option<Timestamp> {
        match self.kind {
            InstrumentKind::Spot | InstrumentKind::Perpetual => None,
            InstrumentKind::Future { expiry } | InstrumentKind::Option { expiry, .. } => {
                Some(expiry)
            }
        }
    }

    /// Checks the terms and prepares the value formula for a settlement currency of
    /// `settlement_scale` decimals.
    ///
    /// # Errors
    /// [`InstrumentError`] names the rule broken.
    pub fn valuation(&self, settlement_scale: u8) -> Result<Valuation, InstrumentError> {
        let parts = [self.tick, self.lot, self.contract_size];
        if parts.iter().any(|part| part.mantissa() <= 0) {
            return Err(InstrumentError::NotPositive);
        }
        let is_spot = self.kind == InstrumentKind::Spot;
        if is_spot && (self.style != Style::Linear || self.settlement != self.quote) {
            return Err(InstrumentError::BadSpot);
        }
        let is_option = matches!(self.kind, InstrumentKind::Option { .. });
        let inverse = self.style == Style::Inverse && !is_option;
        Valuation::new(self, settlement_scale, inverse)
            .map_err(|ArithmeticError| InstrumentError::Unrepresentable)
    }
}

/// The value formula of an instrument, in its settlement currency's smallest unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Valuation {
    inverse: bool,
    /// Value of one tick times one lot (linear) or of one lot at one tick (inverse), as a fraction.
    numerator: i128,
    denominator: i128,
}

impl Valuation {
    fn new(
        terms: &Instrument,
        settlement_scale: u8,
        inverse: bool,
    ) -> Result<Self, ArithmeticError> {
        let (tick, lot, size) = (terms.tick, terms.lot, terms.contract_size);
        let product = |a: i128, b: i128| a.checked_mul(b).ok_or(ArithmeticError);
        let size_numerator = product(lot.mantissa(), size.mantissa())?;
        let size_scale = i32::from(lot.scale()) + i32::from(size.scale());
        let (mut numerator, mut denominator, exponent) = if inverse {
            let exponent = i32::from(settlement_scale) + i32::from(tick.scale()) - size_scale;
            (size_numerator, tick.mantissa(), exponent)
        } else {
            let exponent = i32::from(settlement_scale) - i32::from(tick.scale()) - size_scale;
            (product(size_numerator, tick.mantissa())?, 1, exponent)
        };
        let power = money::pow10(exponent.unsigned_abs())?;
        if exponent >= 0 {
            numerator = product(numerator, power)?;
        } else {
            denominator = product(denominator, power)?;
        }
        let common = gcd(numerator, denominator);
        Ok(Self { inverse, numerator: numerator / common, denominator: denominator / common })
    }

    /// True if value falls as price rises: a buyer's basis is then negative.
    #[must_use]
    pub fn is_inverse(&self) -> bool {
        self.inverse
    }

    /// Value of `lots` at `price`, rounded half to even: the same for both sides of a trade, so
    /// rounding moves nothing between accounts and the venue. Has the sign of `lots`.
    ///
    /// # Errors
    /// [`ArithmeticError`] if it does not fit, or for an inverse instrument at price 0.
    pub fn value(&self, price: Ticks, lots: Lots) -> Result<Money, ArithmeticError> {
        let (price, lots) = (i128::from(price.0), i128::from(lots.0));
        let value = if self.inverse {
            let divisor = self.denominator.checked_mul(price).ok_or(ArithmeticError)?;
            money::mul_div(lots, self.numerator, divisor, Rounding::HalfEven)?
        } else {
            // i64 · i64 cannot leave i128.
            money::mul_div(price * lots, self.numerator, self.denominator, Rounding::HalfEven)?
        };
        Ok(Money(value))
    }

    /// What a signed fill adds to a position's basis: `+value` for a linear buy, `−value` for an
    /// inverse buy, so that profit is always *basis at the mark − basis*.
    ///
    /// # Errors
    /// As [`Valuation::value`].
    pub fn basis(&self, price: Ticks, signed_lots: Lots) -> Result<Money, ArithmeticError> {
        let value = self.value(price, signed_lots)?;
        if self.inverse { value.neg() } else { Ok(value) }
    }

    /// Average price, in ticks times `10^decimals`, at which `lots` have the basis `basis`.
    ///
    /// # Errors
    /// [`ArithmeticError`] for an empty position or a result that does not fit.
    pub fn average_price(
        &self,
        lots: Lots,
        basis: Money,
        decimals: u32,
    ) -> Result<i128, ArithmeticError> {
        let (lots, scale) = (i128::from(lots.0), money::pow10(decimals)?);
        let product = |a: i128, b: i128| a.checked_mul(b).ok_or(ArithmeticError);
        if self.inverse {
            let top = product(lots.checked_neg().ok_or(ArithmeticError)?, self.numerator)?;
            let bottom = product(basis.0, self.denominator)?;
            money::mul_div(top, scale, bottom, Rounding::HalfEven)
        } else {
            let bottom = product(lots, self.numerator)?;
            let top = product(basis.0, self.denominator)?;
            money::mul_div(top, scale, bottom, Rounding::HalfEven)
        }
    }
}

fn gcd(a: i128, b: i128) -> i128 {
    if b == 0 { a } else { gcd(b, a % b) }
}
