//! Market-maker protection.
//!
//! Fills of an account's protected orders in an underlying are counted from the first one on; a
//! fill after the interval begins a new count. When the sum of sizes exceeds `quantity_limit`, or
//! the net delta exceeds `delta_limit` in either direction (0: no such limit), the protection hits:
//! all protected orders of the account in the underlying are cancelled, conditional ones too, and
//! new ones are refused (`Frozen`) until the freeze ends. The fill that hits stands. It may be one
//! of many in the middle of an incoming order's way through the book, which goes on with what is
//! left there; if the incoming order itself is protected, its rest is cancelled.
//!
//! Sizes are in millionths of a base coin, of inverse futures in millionths of a quote unit; delta
//! is in millionths of a base coin, at the prices of the moment: 1 a coin for futures and spot,
//! that of Black-76 on forward and smile for options (1 or −1 while there is no smile).

use crate::oracle::UnderlyingState;
use crate::orders::NIL;
use crate::restore::ensure;
use crate::schedule::nanoseconds;
use crate::snapshot::SnapshotError;
use crate::state::{Account, InstrumentState, State};
use crate::surface::OptionValue;
use crate::underlyings::lot_size;
use evenkeel_quant::black76::ATTO;
use evenkeel_types::conditional::Protection;
use evenkeel_types::money::mul_div;
use evenkeel_types::{
    CloseReason, Event, InstrumentKind, Lots, OptionRight, OrderId, OutcomeKind, Reader,
    RejectCode, Rounding, Side, Style, Timestamp, UnderlyingId, canonical_struct,
};
use std::collections::BTreeMap;

/// Longest interval and freeze.
const LONGEST_MS: u64 = 86_400_000;
/// Parts of 10^18 in a millionth.
const ATTO_PER_MICRO: i128 = 1_000_000_000_000;

/// Protection of an account in one underlying, and what counts toward it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ProtectionState {
    pub terms: Protection,
    pub window_from: Timestamp,
    pub quantity: u64,
    pub delta: i64,
    pub is_frozen: bool,
    /// `None` while frozen: until reset.
    pub frozen_until: Option<Timestamp>,
}
canonical_struct!(ProtectionState { terms, window_from, quantity, delta, is_frozen, frozen_until });

/// An account's protections.
pub(crate) type Protections = BTreeMap<UnderlyingId, ProtectionState>;

/// What a fill counts toward protection.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Exposure {
    pub quantity: u64,
    pub delta: i64,
}

impl ProtectionState {
    fn new(terms: Protection) -> Self {
        let window_from = Timestamp(0);
        Self { terms, window_from, quantity: 0, delta: 0, is_frozen: false, frozen_until: None }
    }

    /// Whether protected orders are refused now.
    pub fn is_frozen_at(&self, now: Timestamp) -> bool {
        self.is_frozen && self.frozen_until.is_none_or(|until| now < until)
    }

    /// Counts a fill; true if it exceeds a limit.
    pub fn count(&mut self, fill: Exposure, now: Timestamp) -> bool {
        let ends = self.window_from.0.saturating_add(nanoseconds(self.terms.interval_ms));
        if now.0 >= ends {
            (self.window_from, self.quantity, self.delta) = (now, 0, 0);
        }
        self.quantity = self.quantity.saturating_add(fill.quantity);
        self.delta = self.delta.saturating_add(fill.delta);
        let Protection { quantity_limit, delta_limit, .. } = self.terms;
        (quantity_limit > 0 && self.quantity > quantity_limit)
            || (delta_limit > 0 && self.delta.unsigned_abs() > delta_limit)
    }

    fn freeze(&mut self, now: Timestamp) {
        self.is_frozen = true;
        let frozen_ms = self.terms.frozen_ms;
        self.frozen_until =
            (frozen_ms > 0).then(|| Timestamp(now.0.saturating_add(nanoseconds(frozen_ms))));
        // Whatever comes after the freeze counts anew.
        (self.window_from, self.quantity, self.delta) = (Timestamp(0), 0, 0);
    }
}

/// An account's protection in an underlying.
pub(crate) fn protection_in(
    owner: &Account,
    underlying: Option<UnderlyingId>,
) -> Option<&ProtectionState> {
    owner.extra.protections.get(&underlying?)
}

impl State {
    pub(crate) fn set_protection(
        &mut self,
        account: u32,
        underlying: UnderlyingId,
        protection: Protection,
        events: &mut Vec<Event>,
    ) -> Result<OutcomeKind, RejectCode> {
        if !self.extension.underlyings.contains_key(&underlying) {
            return Err(RejectCode::UnknownUnderlying);
        }
        if !is_in_bounds(&protection) {
            return Err(RejectCode::OutOfBounds);
        }
        let owner = self.account_mut(account);
        let account = owner.id;
        if protection.interval_ms == 0 {
            owner.extra.protections.remove(&underlying);
        } else {
            owner.extra.protections.insert(underlying, ProtectionState::new(protection));
        }
        events.push(Event::ProtectionSet { account, underlying, protection });
        Ok(OutcomeKind::Done)
    }

    /// What so many lots traded on a side count.
    pub(crate) fn exposure(&self, instrument: u32, side: Side, lots: Lots) -> Exposure {
        let known = self.instrument(instrument);
        let underlying = known.extra.underlying;
        let underlying = underlying.and_then(|id| self.extension.underlyings.get(&id));
        let micros = lot_size(&known.terms)
            .and_then(|size| mul_div(lots.0.into(), size, ATTO_PER_MICRO, Rounding::Ceiling).ok());
        let micros = micros.unwrap_or(i128::from(i64::MAX));
        let delta = lot_delta(known, underlying).and_then(|delta| {
            mul_div(lots.0.into(), delta, ATTO_PER_MICRO, Rounding::AwayFromZero).ok()
        });
        let delta = delta.unwrap_or(micros).clamp(-i128::from(i64::MAX), i64::MAX.into());
        Exposure {
            quantity: u64::try_from(micros).unwrap_or(u64::MAX),
            // Clamped to 63 bits just before.
            delta: i64::try_from(delta).unwrap_or(i64::MAX).saturating_mul(side.sign()),
        }
    }

    /// Counts a fill of a protected order; true if the protection hit.
    pub(crate) fn count_protected(
        &mut self,
        account: u32,
        (instrument, side, lots): (u32, Side, Lots),
        events: &mut Vec<Event>,
    ) -> bool {
        let Some(underlying) = self.instrument(instrument).extra.underlying else {
            return false;
        };
        if protection_in(self.account(account), Some(underlying)).is_none() {
            return false;
        }
        let (fill, now) = (self.exposure(instrument, side, lots), self.meta.time);
        let owner = self.account_mut(account);
        let id = owner.id;
        let Some(known) = owner.extra.protections.get_mut(&underlying) else {
            return false;
        };
        if !known.count(fill, now) {
            return false;
        }
        known.freeze(now);
        let until = known.frozen_until;
        events.push(Event::ProtectionHit { account: id, underlying, until });
        self.close_protected(account, underlying, events);
        true
    }

    /// Closes an account's protected orders in an underlying by ascending order id.
    fn close_protected(&mut self, account: u32, underlying: UnderlyingId, events: &mut Vec<Event>) {
        let mut slot = self.account(account).first_order;
        while slot != NIL {
            let order = self.orders.at(slot);
            let next = order.in_account.next;
            let is_here = self.instrument(order.instrument).extra.underlying == Some(underlying);
            if order.flags.is_protected() && is_here && order.is_resting() {
                self.close(slot, CloseReason::Protection, events);
            }
            slot = next;
        }
        let armed: Vec<OrderId> = self.account(account).extra.own.armed.iter().copied().collect();
        for order in armed {
            let known = self.extension.triggers.armed(order);
            let is_protected = known.is_some_and(|it| it.terms.protected);
            if is_protected && self.underlying_of_armed(order) == Some(underlying) {
                self.close_armed(order, CloseReason::Protection, events);
            }
        }
    }
}

/// Delta of one lot in parts of 10^18 of a coin; `None` without a price.
fn lot_delta(known: &InstrumentState, underlying: Option<&UnderlyingState>) -> Option<i128> {
    let terms = &known.terms;
    let size = lot_size(terms)?;
    match (terms.kind, terms.style) {
        (InstrumentKind::Option { right, .. }, _) => {
            let value = underlying.and_then(|it| OptionValue::of(it, terms.kind));
            let whole = match right {
                OptionRight::Call => ATTO,
                OptionRight::Put => -ATTO,
            };
            let delta = value.map_or(whole, |it| it.delta());
            mul_div(size, delta, ATTO, Rounding::AwayFromZero).ok()
        }
        (_, Style::Linear) => Some(size),
        (_, Style::Inverse) => {
            let index = underlying?.index?.price;
            let one = evenkeel_types::oracle::Price::ONE;
            mul_div(size, one.into(), index.0.into(), Rounding::Ceiling).ok()
        }
    }
}

fn is_in_bounds(it: &Protection) -> bool {
    it.interval_ms <= LONGEST_MS && it.frozen_ms <= LONGEST_MS
}

/// Refuses protections that no account could have set.
pub(crate) fn check_protections(
    reader: &Reader<'_>,
    state: &State,
    protections: &Protections,
) -> Result<(), SnapshotError> {
    let sound = protections.iter().all(|(underlying, it)| {
        state.extension.underlyings.contains_key(underlying)
            && is_in_bounds(&it.terms)
            && it.terms.interval_ms > 0
            && (it.is_frozen || it.frozen_until.is_none())
    });
    ensure(reader, sound, "a market maker's protection is out of bounds")
}
