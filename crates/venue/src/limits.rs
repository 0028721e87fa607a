//! Bounds on prices and sizes of orders, and how far a market order goes.
//!
//! | bound | measured | refused with |
//! |---|---|---|
//! | `fat_finger_bp` | distance from the mark, in either direction | `FatFinger` |
//! | `price_band_bp` | distance from the mark on the aggressive side | `PriceBand` |
//! | `protection_bp` | the same, chosen by the order | `PriceBand` if it would rest there |
//! | `order_micros` | coins of the order | `SizeLimit` |
//! | `position_micros` | coins of the position if all open orders of a side fill | `SizeLimit` |
//! | `open_orders` | of the account, in the venue and in the underlying | `LimitReached` |
//!
//! Basis points are of the mark, of options of the underlying (in coin: of one coin). Distances are
//! rounded down to ticks, sizes up to millionths. A market order goes as far as its
//! `protection_bp`, else as the price band; without a mark it is refused (`NoMark`), and so is
//! every order on an instrument with a band. Spot without a mark of its own is measured against the
//! index; spot without an underlying has no bounds. Zero means no bound.

use crate::matching::Incoming;
use crate::settlement::fine;
use crate::state::{InstrumentState, State};
use crate::underlyings::lot_size;
use evenkeel_types::money::{mul_div, pow10};
use evenkeel_types::oracle::Price;
use evenkeel_types::terms::LimitTerms;
use evenkeel_types::{
    Instrument, InstrumentKind, RejectCode, Rounding, Side, Style, Ticks, Timestamp,
};

const BASIS_POINTS: i128 = 10_000;
/// Parts of 10^18 in a millionth.
const ATTO_PER_MICRO: i128 = 1_000_000_000_000;

/// What prices are measured against, in ticks.
#[derive(Debug, Clone, Copy)]
struct Measure {
    mark: i128,
    /// What 100 % are.
    whole: i128,
}

impl Measure {
    /// Basis points in ticks, rounded down.
    fn ticks(&self, basis_points: u32) -> i128 {
        // Of a tick price of at most 2^64 or a coin of at most 10^18 ticks.
        self.whole * i128::from(basis_points) / BASIS_POINTS
    }

    /// The furthest price at which an order on a side may trade.
    fn furthest(&self, side: Side, basis_points: u32) -> Ticks {
        let furthest = self.mark + i128::from(side.sign()) * self.ticks(basis_points);
        let furthest = furthest.clamp(1, Instrument::MAX_TICKS.0.into());
        Ticks(i64::try_from(furthest).unwrap_or(1))
    }
}

impl State {
    /// The limits on an instrument, if its underlying has any.
    fn limits_of(&self, instrument: &InstrumentState) -> Option<LimitTerms> {
        let underlying = instrument.extra.underlying?;
        Some(self.extension.underlyings.get(&underlying)?.terms.limits)
    }

    /// `None` without a mark.
    fn measure(&self, instrument: &InstrumentState) -> Option<Measure> {
        let terms = &instrument.terms;
        let index = || {
            let index = self.index_price(instrument.extra.underlying?)?;
            price_in_ticks(terms, index.price)
        };
        let own = instrument.mark.map(|mark| i128::from(mark.0));
        let mark = if terms.kind == InstrumentKind::Spot { own.or_else(index) } else { own }?;
        let whole = match (terms.kind, terms.style) {
            (InstrumentKind::Option { .. }, Style::Inverse) => {
                pow10(terms.tick.scale().into()).ok()? / terms.tick.mantissa()
            }
            (InstrumentKind::Option { .. }, Style::Linear) => index()?,
            _ => mark,
        };
        Some(Measure { mark, whole })
    }

    /// How far an order may trade: its limit, or what protects it, whichever is closer. Refuses
    /// prices beyond the bounds.
    pub(crate) fn check_price(
        &mut self,
        order: &Incoming,
        protection_bp: Option<u32>,
        may_rest: bool,
    ) -> Result<Option<Ticks>, RejectCode> {
        let instrument = self.instrument(order.instrument);
        let Some(limits) = self.limits_of(instrument) else {
            return Ok(order.limit);
        };
        let LimitTerms { price_band_bp, fat_finger_bp, .. } = limits;
        let protection_bp = protection_bp.or((price_band_bp > 0).then_some(price_band_bp));
        if protection_bp.is_none() && fat_finger_bp == 0 {
            return Ok(order.limit);
        }
        let measure = self.measure(instrument).ok_or(RejectCode::NoMark)?;
        let Some(price) = order.limit else {
            return Ok(protection_bp.map(|bp| measure.furthest(order.side, bp)));
        };
        let distance = i128::from(price.0) - measure.mark;
        if fat_finger_bp > 0 && distance.abs() > measure.ticks(fat_finger_bp) {
            return Err(RejectCode::FatFinger);
        }
        let aggressive = distance * i128::from(order.side.sign());
        if price_band_bp > 0 && aggressive > measure.ticks(price_band_bp) {
            self.note_band_hit(order.instrument);
            let instrument = self.instrument(order.instrument).terms.id;
            self.extension.regime.band_hit = Some(instrument);
            return Err(RejectCode::PriceBand);
        }
        let Some(furthest) = protection_bp.map(|bp| measure.furthest(order.side, bp)) else {
            return Ok(Some(price));
        };
        let is_beyond = (price.0 - furthest.0) * order.side.sign() > 0;
        if is_beyond && may_rest {
            return Err(RejectCode::PriceBand);
        }
        Ok(Some(if is_beyond { furthest } else { price }))
    }

    /// Sizes and counts that the operator bounds.
    pub(crate) fn check_own_limits(
        &self,
        order: &Incoming,
        may_rest: bool,
    ) -> Result<(), RejectCode> {
        if may_rest && order.replaces.is_none() {
            self.check_open_orders(order.account, order.instrument)?;
        }
        let instrument = self.instrument(order.instrument);
        let Some(limits) = self.limits_of(instrument) else {
            return Ok(());
        };
        self.check_size(instrument, order.lots.0, limits.order_micros)?;
        if order.reduce_only || instrument.terms.kind == InstrumentKind::Spot {
            return Ok(());
        }
        let replaced = order.replaces.map_or(0, |slot| self.orders.at(slot).open.0);
        let holding = self.account(order.account).holding(instrument.terms.id);
        // Bounded by MAX_POSITION, which was checked before.
        let worst = holding.worst(order.side) - replaced + order.lots.0;
        self.check_size(instrument, worst, limits.position_micros)
    }

    /// Whether an account may have one more open order on an instrument.
    pub(crate) fn check_open_orders(
        &self,
        account: u32,
        instrument: u32,
    ) -> Result<(), RejectCode> {
        let own = &self.account(account).extra.own;
        let venue = self.extension.terms.as_ref().map_or(0, |terms| terms.open_orders);
        let instrument = self.instrument(instrument);
        let limits = self.limits_of(instrument).map_or(0, |limits| limits.open_orders);
        let here = instrument.extra.underlying.map_or(0, |underlying| own.count_in(underlying));
        let is_full = |count: u32, most: u32| most > 0 && count >= most;
        if is_full(own.count(), venue) || is_full(here, limits) {
            return Err(RejectCode::LimitReached);
        }
        Ok(())
    }

    fn check_size(
        &self,
        instrument: &InstrumentState,
        lots: i64,
        most: u64,
    ) -> Result<(), RejectCode> {
        if most == 0 || lots <= 0 {
            return Ok(());
        }
        let coins = self.coins(instrument, lots).ok_or(RejectCode::NoMark)?;
        if coins > i128::from(most) { Err(RejectCode::SizeLimit) } else { Ok(()) }
    }

    /// Lots in millionths of a coin, rounded up; `None` for an inverse future without a mark, or
    /// for terms beyond the arithmetic.
    fn coins(&self, instrument: &InstrumentState, lots: i64) -> Option<i128> {
        let terms = &instrument.terms;
        let size = mul_div(lots.into(), lot_size(terms)?, ATTO_PER_MICRO, Rounding::Ceiling);
        let size = size.ok()?;
        let is_option = matches!(terms.kind, InstrumentKind::Option { .. });
        if is_option || terms.style == Style::Linear {
            return Some(size);
        }
        let mark = i128::from(instrument.mark?.0).checked_mul(terms.tick.mantissa())?;
        let power = pow10(terms.tick.scale().into()).ok()?;
        mul_div(size, power, mark, Rounding::Ceiling).ok()
    }

    /// Counts an order that a price band refused, for the breaker.
    pub(crate) fn note_band_hit(&mut self, instrument: u32) {
        let now = self.meta.time;
        let underlying = self.instrument(instrument).extra.underlying;
        let known = underlying.and_then(|id| self.extension.underlyings.get(&id));
        let window_ms = known.map_or(0, |it| it.terms.breakers.band_window_ms);
        let extra = &mut self.instruments[instrument as usize].extra;
        let ends = extra.band_window_from.0.saturating_add(crate::schedule::nanoseconds(window_ms));
        if extra.band_window_from == Timestamp(0) || now.0 >= ends {
            (extra.band_window_from, extra.band_hits) = (now, 0);
        }
        extra.band_hits = extra.band_hits.saturating_add(1);
    }
}

/// A price in ticks of an instrument, rounded half to even.
fn price_in_ticks(terms: &Instrument, price: Price) -> Option<i128> {
    let power = pow10(terms.tick.scale().into()).ok()?;
    let divisor = terms.tick.mantissa().checked_mul(fine(Price(Price::ONE)))?;
    let ticks = mul_div(fine(price), power, divisor, Rounding::HalfEven).ok()?;
    (ticks <= Instrument::MAX_TICKS.0.into()).then_some(ticks)
}
