//! Marks: what positions are valued at, made of the underlying's prices.
//!
//! | instrument | mark |
//! |---|---|
//! | perpetual | the index |
//! | future | its expiry's forward; the index while there is none |
//! | option | Black-76 on the same forward, with the smile's volatility at ln(K/F)/√T |
//!
//! An inverse option's mark is in coin: its value in quote currency divided by the forward. Marks
//! are rounded to ticks, half to even; only an option's can be zero. Between the smile's points the
//! volatility is linear, outside it is that of the nearest point. Time to expiry counts (Act/365)
//! from the entry at which a price behind the mark last changed. An option without a smile has no
//! mark, unless its expiry has passed.
//!
//! Instruments without an underlying, and spot, keep the marks that the operator sets.

use crate::oracle::{Change, Subject};
use crate::risk::leg::risk_model;
use crate::state::State;
use crate::surface::OptionValue;
use evenkeel_quant::portfolio::{ATTO, PRICE_ONE};
use evenkeel_quant::risk::RiskModel;
use evenkeel_types::money::{mul_div, pow10};
use evenkeel_types::oracle::Price;
use evenkeel_types::{
    Event, Instrument, InstrumentId, InstrumentKind, Rounding, Style, Ticks, Timestamp,
    UnderlyingId,
};
use std::collections::{BTreeMap, BTreeSet};

/// What is derived from prices and instruments.
#[derive(Debug, Clone, Default)]
pub(crate) struct PriceCache {
    /// No price ceases to be fresh before; it may be earlier than necessary.
    pub next_lapse: Timestamp,
    /// Instruments of each underlying and expiry (`None`: perpetuals), ascending.
    pub members: BTreeMap<UnderlyingId, BTreeMap<Option<Timestamp>, BTreeSet<InstrumentId>>>,
    /// What portfolio margin computes of each underlying's parameters once.
    pub models: BTreeMap<UnderlyingId, RiskModel>,
    /// Grows with each change of a price or parameter of an underlying.
    pub epochs: BTreeMap<UnderlyingId, u64>,
}

impl State {
    /// Tells every instrument its underlying and lists it there.
    pub(crate) fn link_instruments(&mut self) {
        let all: Vec<u32> = self.instrument_slots.values().copied().collect();
        for slot in all {
            self.link_instrument(slot);
        }
    }

    /// Tells an instrument its underlying and lists it there.
    pub(crate) fn link_instrument(&mut self, slot: u32) {
        if !self.has_margin() {
            return;
        }
        let terms = &self.instrument(slot).terms;
        let underlying = self.underlying_of(terms);
        let (id, kind) = (terms.id, terms.kind);
        let expiry = terms.expiry();
        self.instruments[slot as usize].extra.underlying = underlying;
        if let Some(underlying) = underlying
            && kind != InstrumentKind::Spot
            && self.instrument(slot).extra.delivered.price.is_none()
        {
            let expiries = self.extension.prices.members.entry(underlying).or_default();
            expiries.entry(expiry).or_default().insert(id);
        }
    }

    /// Margin of the underlying is to be summed up anew.
    pub(crate) fn forget_sums(&mut self, underlying: UnderlyingId) {
        *self.extension.prices.epochs.entry(underlying).or_default() += 1;
    }

    /// All that rests on an underlying's prices and parameters is to be computed anew.
    pub(crate) fn forget_values(&mut self, underlying: UnderlyingId) {
        self.forget_sums(underlying);
        if let Some(known) = self.extension.underlyings.get(&underlying)
            && let Some(model) = risk_model(&known.terms)
        {
            self.extension.prices.models.insert(underlying, model);
        }
        let members = self.extension.prices.members.get(&underlying);
        let all: Vec<InstrumentId> =
            members.into_iter().flat_map(|it| it.values().flatten().copied()).collect();
        for instrument in all {
            if let Some(slot) = self.instrument_slots.get(&instrument).copied() {
                self.instruments[slot as usize].extra.leg = None;
            }
        }
    }

    /// Carries changed prices on: to marks, then to all that looks at prices, in the order that
    /// the venue's rules name.
    pub(crate) fn prices_changed(
        &mut self,
        underlying: UnderlyingId,
        changes: &[(Subject, Change)],
        events: &mut Vec<Event>,
    ) {
        if changes.iter().all(|(_, change)| *change == Change::None) {
            return;
        }
        let is_price = changes.iter().any(|(_, change)| *change == Change::Price);
        if is_price {
            self.forget_sums(underlying);
            self.forget_settled(underlying);
            let now = self.meta.time;
            if let Some(known) = self.extension.underlyings.get_mut(&underlying) {
                known.revised = now;
            }
            for expiry in self.revalued(underlying, changes) {
                self.revalue(underlying, expiry, events);
            }
        }
        self.breakers_look(underlying, events);
        if is_price {
            self.release_triggers(underlying, events);
            self.sweep_again();
        }
    }

    /// Marks an instrument that was just defined, if its underlying has prices.
    pub(crate) fn mark_new(&mut self, slot: u32, events: &mut Vec<Event>) {
        let known = self.instrument(slot);
        if let Some(underlying) = known.extra.underlying
            && known.terms.kind != InstrumentKind::Spot
            && self.index_price(underlying).is_some()
        {
            let expiry = known.terms.expiry();
            self.forget_sums(underlying);
            self.revalue(underlying, expiry, events);
        }
    }

    /// Drops what is settled from an underlying's lists.
    fn forget_settled(&mut self, underlying: UnderlyingId) {
        let now = self.meta.time;
        let Some(expiries) = self.extension.prices.members.get_mut(&underlying) else {
            return;
        };
        let (slots, instruments) = (&self.instrument_slots, &self.instruments);
        let is_open = |id: &InstrumentId| {
            let known = slots.get(id).map(|slot| &instruments[*slot as usize]);
            known.is_some_and(|known| known.extra.delivered.price.is_none())
        };
        expiries.retain(|expiry, members| {
            if expiry.is_some_and(|at| at <= now) {
                members.retain(is_open);
            }
            !members.is_empty()
        });
        if let Some(known) = self.extension.underlyings.get_mut(&underlying) {
            known.valued.retain(|expiry, _| *expiry > now || expiries.contains_key(&Some(*expiry)));
        }
    }

    /// Expiries whose marks rest on what changed, `None` being the perpetuals'.
    fn revalued(
        &self,
        underlying: UnderlyingId,
        changes: &[(Subject, Change)],
    ) -> BTreeSet<Option<Timestamp>> {
        let known = self.extension.underlyings.get(&underlying);
        let members = self.extension.prices.members.get(&underlying);
        let (Some(known), Some(members)) = (known, members) else {
            return BTreeSet::new();
        };
        let changed = |subject| changes.contains(&(subject, Change::Price));
        let is_revalued = |expiry: &Option<Timestamp>| match *expiry {
            None => changed(Subject::Index),
            Some(at) => {
                let on_index = changed(Subject::Index) && !known.forwards.contains_key(&at);
                on_index || changed(Subject::Forward(at)) || changed(Subject::Smile(at))
            }
        };
        members.keys().copied().filter(is_revalued).collect()
    }

    /// Marks an expiry's instruments again.
    fn revalue(
        &mut self,
        underlying: UnderlyingId,
        expiry: Option<Timestamp>,
        events: &mut Vec<Event>,
    ) {
        let now = self.meta.time;
        if let (Some(expiry), Some(known)) =
            (expiry, self.extension.underlyings.get_mut(&underlying))
        {
            known.valued.insert(expiry, now);
        }
        let members = self.extension.prices.members.get(&underlying);
        let members = members.and_then(|it| it.get(&expiry)).cloned().unwrap_or_default();
        for instrument in members {
            let Some(slot) = self.instrument_slots.get(&instrument).copied() else {
                continue;
            };
            self.instruments[slot as usize].extra.leg = None;
            let known = self.instrument(slot);
            if known.extra.delivered.price.is_some() {
                continue;
            }
            let mark = self.made_mark(underlying, &known.terms);
            if let Some(mark) = mark.filter(|mark| known.mark != Some(*mark)) {
                self.instruments[slot as usize].mark = Some(mark);
                events.push(Event::MarkChanged { instrument, mark });
            }
        }
    }

    /// The mark that follows from the underlying's prices.
    fn made_mark(&self, underlying: UnderlyingId, terms: &Instrument) -> Option<Ticks> {
        let known = self.extension.underlyings.get(&underlying)?;
        match terms.kind {
            InstrumentKind::Spot => None,
            InstrumentKind::Perpetual => in_ticks(terms, known.index?.price),
            InstrumentKind::Future { expiry } => in_ticks(terms, known.forward_of(expiry)?.price),
            InstrumentKind::Option { .. } => {
                let value = OptionValue::of(known, terms.kind)?;
                let price = match terms.style {
                    Style::Inverse => value.unit_price(),
                    Style::Linear => {
                        let forward = i128::from(value.forward.0);
                        mul_div(value.unit_price(), forward, PRICE_ONE, Rounding::HalfEven).ok()?
                    }
                };
                option_ticks(terms, price)
            }
        }
    }
}

/// An option's price, in parts of 10^18 of its settlement currency, as ticks, half to even.
fn option_ticks(terms: &Instrument, price: i128) -> Option<Ticks> {
    let power = pow10(terms.tick.scale().into()).ok()?;
    let divisor = terms.tick.mantissa().checked_mul(ATTO)?;
    let ticks = mul_div(price, power, divisor, Rounding::HalfEven).ok()?;
    let ticks = ticks.clamp(0, Instrument::MAX_TICKS.0.into());
    i64::try_from(ticks).ok().map(Ticks)
}

/// A price as ticks of an instrument, half to even, at least one.
fn in_ticks(terms: &Instrument, price: Price) -> Option<Ticks> {
    let power = pow10(terms.tick.scale().into()).ok()?;
    let divisor = terms.tick.mantissa().checked_mul(Price::ONE.into())?;
    let ticks = mul_div(price.0.into(), power, divisor, Rounding::HalfEven).ok()?;
    let ticks = ticks.clamp(1, Instrument::MAX_TICKS.0.into());
    i64::try_from(ticks).ok().map(Ticks)
}
