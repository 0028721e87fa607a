//! The smallest step: which position to trade away, and how much of it.
//!
//! A candidate is a position whose book offers something within `liquidation_band_bp` of the mark.
//! Each is tried on paper: everything that the book offers is closed at the mark, less the
//! liquidation fee, and the account's margin is computed again as a whole, so that a hedge is seen
//! as one: closing it would not help. Of those that help, the one with the most relief per value
//! traded is taken (ties: the lower instrument id), and of it the fewest lots that bring the
//! account to maintenance, found by bisection; all that the book offers, if that is not enough.

use crate::state::{Holding, State};
use evenkeel_types::money::mul_div;
use evenkeel_types::{InstrumentKind, Lots, Rounding, Side, Ticks};

const BASIS_POINTS: i128 = 10_000;
/// Relief per value is compared in parts of this.
const PARTS: i128 = 1_000_000_000;

/// A step to take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reduction {
    pub instrument: u32,
    /// Side of the order that reduces.
    pub side: Side,
    pub lots: i64,
    /// No worse price is taken.
    pub limit: Ticks,
}

impl State {
    /// The step that helps an account most; `None` if no book offers anything that helps.
    pub(crate) fn smallest_step(&mut self, slot: u32) -> Option<Reduction> {
        let before = self.margin_of(slot).figures.above_maintenance.0;
        let mut best: Option<(i128, Reduction)> = None;
        for reduction in self.candidates(slot) {
            let after = self.margin_after(slot, &reduction, reduction.lots);
            let relief = after.saturating_sub(before);
            let signed = self.account(slot).holding(self.instrument(reduction.instrument).terms.id);
            let lots = reduction.lots * signed.lots.0.signum();
            let value = self.value_at_mark(reduction.instrument, lots).unwrap_or_default();
            let per_value = mul_div(relief, PARTS, value.abs().max(1), Rounding::Floor);
            let per_value = per_value.unwrap_or(i128::MAX);
            if relief > 0 && best.is_none_or(|(most, _)| per_value > most) {
                best = Some((per_value, reduction));
            }
        }
        let (_, mut reduction) = best?;
        reduction.lots = self.fewest_lots(slot, &reduction);
        Some(reduction)
    }

    /// The fewest lots with which maintenance is met; all of the reduction's if none do.
    fn fewest_lots(&mut self, slot: u32, reduction: &Reduction) -> i64 {
        let (mut too_few, mut enough) = (0, reduction.lots);
        if self.margin_after(slot, reduction, enough) < 0 {
            return enough;
        }
        while enough - too_few > 1 {
            let middle = too_few + (enough - too_few) / 2;
            if self.margin_after(slot, reduction, middle) < 0 {
                too_few = middle;
            } else {
                enough = middle;
            }
        }
        enough
    }

    /// Positions that a book would take something of.
    fn candidates(&self, slot: u32) -> Vec<Reduction> {
        let owner = self.account(slot);
        let held = owner.holdings.iter().filter(|it| it.lots != Lots::ZERO);
        held.filter_map(|holding| self.candidate(holding)).collect()
    }

    fn candidate(&self, holding: &Holding) -> Option<Reduction> {
        let instrument = self.instrument_slots.get(&holding.instrument).copied()?;
        let side = if holding.lots.0 > 0 { Side::Sell } else { Side::Buy };
        let limit = self.liquidation_limit(instrument, side)?;
        let lots = self.offered(instrument, side, limit, holding.lots.0.checked_abs()?);
        (lots > 0).then_some(Reduction { instrument, side, lots, limit })
    }

    /// How much of `lots` a book would take at a limit; 0 where nothing trades now.
    pub(crate) fn offered(&self, instrument: u32, side: Side, limit: Ticks, lots: i64) -> i64 {
        let known = self.instrument(instrument);
        let is_over = known.terms.expiry().is_some_and(|expiry| expiry <= self.meta.time);
        if is_over || !self.can_match(instrument) {
            return 0;
        }
        let opposite = known.book.side(side.opposite());
        opposite.fillable(Some(limit), Lots(lots)).0.0
    }

    /// The worst price at which a liquidation trades: the mark and a band, which for options is of
    /// the underlying's price, as in the limits on orders.
    fn liquidation_limit(&self, instrument: u32, side: Side) -> Option<Ticks> {
        let known = self.instrument(instrument);
        let mark = known.mark?;
        let band_bp = i128::from(self.extension.terms.as_ref()?.liquidation_band_bp);
        let base = match known.terms.kind {
            InstrumentKind::Option { .. } => self.index_in_ticks(instrument)?,
            _ => mark.0.into(),
        };
        let band = mul_div(base, band_bp, BASIS_POINTS, Rounding::Floor).ok()?;
        let limit = match side {
            Side::Buy => i128::from(mark.0).checked_add(band)?,
            Side::Sell => i128::from(mark.0).checked_sub(band)?,
        };
        let highest = i128::from(evenkeel_types::Instrument::MAX_TICKS.0);
        i64::try_from(limit.clamp(1, highest)).ok().map(Ticks)
    }

    /// One coin in ticks of an option: the index, or one for an option in coin.
    fn index_in_ticks(&self, instrument: u32) -> Option<i128> {
        use evenkeel_types::oracle::Price;
        let terms = &self.instrument(instrument).terms;
        let power = evenkeel_types::money::pow10(terms.tick.scale().into()).ok()?;
        let (top, bottom) = match terms.style {
            evenkeel_types::Style::Inverse => (1, 1),
            evenkeel_types::Style::Linear => {
                let underlying = self.underlying_of(terms)?;
                let index = self.extension.underlyings.get(&underlying)?.index?;
                (i128::from(index.price.0), i128::from(Price::ONE))
            }
        };
        let bottom = terms.tick.mantissa().checked_mul(bottom)?;
        mul_div(top, power, bottom, Rounding::Floor).ok()
    }

    /// What an account would be above maintenance if lots of a reduction were closed at the mark,
    /// less the liquidation fee; computed on the account itself, which is then put back.
    fn margin_after(&mut self, slot: u32, reduction: &Reduction, lots: i64) -> i128 {
        let known = self.instrument(reduction.instrument);
        let (id, currency, kind) = (known.terms.id, known.terms.settlement, known.terms.kind);
        let signed = Lots(lots * reduction.side.sign());
        let Some(basis) = self.value_at_mark(reduction.instrument, signed.0) else {
            return i128::MIN;
        };
        let fee = self.liquidation_fee(reduction.instrument, lots, basis);
        let owner = self.account_mut(slot);
        let (holding, money) = (owner.holding(id), owner.balance(currency));
        let realised = owner.holding_mut(id).fill(signed, evenkeel_types::Money(basis));
        let paid = match kind {
            InstrumentKind::Option { .. } => -basis,
            _ => realised.0,
        };
        // Within the headroom: each is at most 2^125.
        owner.balance_mut(currency).balance.0 += paid - fee;
        let figures = self.margin_of(slot).figures;
        let owner = self.account_mut(slot);
        *owner.holding_mut(id) = holding;
        *owner.balance_mut(currency) = money;
        figures.above_maintenance.0
    }
}
