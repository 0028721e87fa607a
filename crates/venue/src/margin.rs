//! What an order must be covered by: the one place where risk is priced.
//!
//! This is the pre-trade check of a venue without a margin engine. Each order reserves, in one
//! currency of its owner:
//!
//! | order | currency | reserve |
//! |---|---|---|
//! | spot buy | quote | its value |
//! | spot sell | base | the coins it delivers |
//! | option buy | settlement | the premium |
//! | option sell | settlement | [`OPTION_SELL_RATE_BP`] of the premium |
//! | future, perpetual, either side | settlement | [`FUTURE_RATE_BP`] of the value |
//!
//! The reserve is that of the open size at the limit price, rounded up; it shrinks with fills and
//! ends with the order. Held positions reserve nothing yet. A market order must be covered at the
//! worst price it would reach in the book, for what it would fill. Accounts with
//! [`Collateral::Unlimited`] reserve nothing. Without margin there is no netting either: an order
//! that would reduce a position must be covered like any other.
//!
//! Each fill rounds its own value half to even, so an order filled in n parts may cost up to n/2
//! smallest units more than it reserved; a checked spot balance can fall below zero by that dust.

use crate::orders::OrderFlags;
use crate::state::{HEADROOM, InstrumentState, proven};
use evenkeel_types::money::mul_div;
use evenkeel_types::{
    Collateral, CurrencyId, Instrument, InstrumentKind, Lots, Money, RejectCode, Rounding, Side,
    Ticks,
};

/// Initial rate of futures and perpetuals, in basis points of the value.
pub const FUTURE_RATE_BP: i128 = 1_000;
/// Initial rate of options sold, in basis points of the premium.
pub const OPTION_SELL_RATE_BP: i128 = 10_000;

const BASIS_POINTS: i128 = 10_000;

/// Value of an order, checked once, at acceptance. What fills of it are worth stays below:
/// their price is the maker's, for which the same check was made, and value grows with size.
pub(crate) fn checked_value(
    instrument: &InstrumentState,
    price: Ticks,
    lots: Lots,
) -> Result<Money, RejectCode> {
    let value = instrument.valuation.value(price, lots);
    let value = value.map_err(|_| RejectCode::ValueTooLarge)?;
    let base = i128::from(lots.0).checked_mul(instrument.base_per_lot);
    let limit = Instrument::MAX_VALUE;
    if value > limit || base.is_none_or(|base| base > limit.0) {
        return Err(RejectCode::ValueTooLarge);
    }
    Ok(value)
}

/// What an order of this value reserves.
pub(crate) fn order_reserve(
    collateral: Collateral,
    instrument: &InstrumentState,
    side: Side,
    lots: Lots,
    value: Money,
) -> Money {
    if collateral == Collateral::Unlimited {
        return Money::ZERO;
    }
    // The value is at most 2^90, so its product with a rate fits.
    let share = |rate| Money(proven(mul_div(value.0, rate, BASIS_POINTS, Rounding::Ceiling)));
    match (instrument.terms.kind, side) {
        (InstrumentKind::Spot, Side::Sell) => Money(i128::from(lots.0) * instrument.base_per_lot),
        (InstrumentKind::Spot | InstrumentKind::Option { .. }, Side::Buy) => value,
        (InstrumentKind::Option { .. }, Side::Sell) => share(OPTION_SELL_RATE_BP),
        (InstrumentKind::Perpetual | InstrumentKind::Future { .. }, _) => share(FUTURE_RATE_BP),
    }
}

/// What a resting order reserves under rules with margin: spot as ever, and the premium of options
/// to buy; all else is covered by initial margin. What can only reduce a position reserves nothing.
pub(crate) fn margin_reserve(
    collateral: Collateral,
    instrument: &InstrumentState,
    (side, price, open): (Side, Ticks, Lots),
    flags: OrderFlags,
) -> Money {
    let reserves = match instrument.terms.kind {
        InstrumentKind::Spot => true,
        InstrumentKind::Option { .. } => side == Side::Buy && !flags.is_reduce_only(),
        InstrumentKind::Perpetual | InstrumentKind::Future { .. } => false,
    };
    if !reserves {
        return Money::ZERO;
    }
    resting_reserve(collateral, instrument, side, price, open)
}

/// What a resting order reserves under the rules in force.
pub(crate) fn reserve(
    has_margin: bool,
    collateral: Collateral,
    instrument: &InstrumentState,
    resting: (Side, Ticks, Lots),
    flags: OrderFlags,
) -> Money {
    if has_margin {
        return margin_reserve(collateral, instrument, resting, flags);
    }
    let (side, price, open) = resting;
    resting_reserve(collateral, instrument, side, price, open)
}

/// What a resting order reserves with `open` lots left, at a price that was accepted.
pub(crate) fn resting_reserve(
    collateral: Collateral,
    instrument: &InstrumentState,
    side: Side,
    price: Ticks,
    open: Lots,
) -> Money {
    if collateral == Collateral::Unlimited || open == Lots::ZERO {
        return Money::ZERO;
    }
    let value = proven(instrument.valuation.value(price, open));
    order_reserve(collateral, instrument, side, open, value)
}

/// The currency in which an order on this side reserves.
pub(crate) fn reserve_currency(terms: &Instrument, side: Side) -> CurrencyId {
    match (terms.kind, side) {
        (InstrumentKind::Spot, Side::Sell) => terms.base,
        _ => terms.settlement,
    }
}

/// True while money this large leaves room for everything that open orders can move.
pub(crate) fn has_headroom(money: Money) -> bool {
    money.0.unsigned_abs() <= HEADROOM.unsigned_abs()
}
