//! Physical delivery: what changes hands when a linear dated instrument settles in the coin itself.
//!
//! Everybody is first settled in cash at the delivery price S. Then coins change hands at S: who is
//! long a future or a call in the money (or short a put in the money) pays S per coin and gets the
//! coin, the other side the reverse. Together that is the contract: a call's holder is paid S − K
//! and pays S, so he paid K for his coin.
//!
//! Only what is there changes hands: a deliverer gives no more than his free coins, a receiver
//! takes no more than his free cash pays for. If one side has more than the other, each on it takes
//! part in proportion (rounded down, the rest by the smallest unit in order of account ids). What
//! does not change hands remains settled in cash, which is worth the same at S.
//!
//! A receiver's coins leave through the withdrawal path: the venue approves a withdrawal of them at
//! once, it waits like every other while the chain stalls, and counts as set aside until it is
//! final. The insurance fund keeps coins that it gets.

use crate::flows::Flow;
use crate::settlement::Sizing;
use crate::state::State;
use evenkeel_types::event::Booking;
use evenkeel_types::flows::{FlowKey, FlowState};
use evenkeel_types::money::{mul_div, pow10};
use evenkeel_types::oracle::Price;
use evenkeel_types::terms::Delivery;
use evenkeel_types::{
    AccountId, CurrencyId, Event, Instrument, InstrumentId, InstrumentKind, Money, OptionRight,
    Rounding, Style, UnderlyingId,
};

/// Somebody who could take part, and how many of the coin's smallest units.
struct Part {
    slot: u32,
    coins: i128,
}

/// Cash per coin, both in their smallest units, as a fraction.
struct Rate {
    cash: i128,
    coins: i128,
}

/// Both sides of a delivery.
struct Sides {
    receivers: Vec<Part>,
    deliverers: Vec<Part>,
}

impl State {
    /// Lets coins change hands among holders that were settled in cash; `held` is who held how many
    /// lots.
    pub(crate) fn deliver_coins(
        &mut self,
        underlying: UnderlyingId,
        instrument: u32,
        (price, held): (Price, &[(u32, i64)]),
        events: &mut Vec<Event>,
    ) {
        let terms = self.instrument(instrument).terms.clone();
        let known = self.extension.underlyings.get(&underlying);
        let is_physical =
            known.is_some_and(|it| it.terms.settlement.delivery == Delivery::Physical);
        let direction = direction(&terms, price);
        if !is_physical || terms.style != Style::Linear || direction == 0 {
            return;
        }
        let prepared = self.delivery_rate(&terms, price).and_then(|rate| {
            let sides = self.delivery_sides(&terms, &rate, held, direction)?;
            Some((rate, sides))
        });
        let Some((rate, mut sides)) = prepared else {
            return;
        };
        let total = |parts: &[Part]| parts.iter().map(|part| part.coins).sum::<i128>();
        let matched = total(&sides.receivers).min(total(&sides.deliverers));
        share_out(&mut sides.receivers, matched);
        share_out(&mut sides.deliverers, matched);
        if self.can_deliver(&terms, &rate, &sides) {
            self.exchange(&terms, &rate, &sides, events);
        }
    }

    fn delivery_rate(&self, terms: &Instrument, price: Price) -> Option<Rate> {
        let scale = |id: CurrencyId| Some(u32::from(self.currencies.get(&id)?.terms.scale));
        let cash = i128::from(price.0).checked_mul(pow10(scale(terms.settlement)?).ok()?)?;
        let decimals = scale(terms.base)? + u32::from(Price::SCALE);
        Some(Rate { cash, coins: pow10(decimals).ok()? })
    }

    /// Who could give and take how much; `None` if it is beyond what is ever delivered.
    fn delivery_sides(
        &self,
        terms: &Instrument,
        rate: &Rate,
        held: &[(u32, i64)],
        direction: i64,
    ) -> Option<Sides> {
        let scale = self.currencies.get(&terms.base)?.terms.scale;
        let sizing = Sizing::new(terms, scale)?;
        let mut sides = Sides { receivers: Vec::new(), deliverers: Vec::new() };
        for (slot, lots) in held.iter().copied() {
            let coins = sizing.amount(lots.checked_abs()?, (1, 1), Rounding::Floor)?;
            let owner = self.account(slot);
            if (lots > 0) == (direction > 0) {
                let cash = owner.free(terms.settlement).max(0);
                let most = mul_div(cash, rate.coins, rate.cash, Rounding::Floor).ok()?;
                sides.receivers.push(Part { slot, coins: coins.min(most) });
            } else {
                let most = owner.free(terms.base).max(0);
                sides.deliverers.push(Part { slot, coins: coins.min(most) });
            }
        }
        Some(sides)
    }

    fn can_deliver(&self, terms: &Instrument, rate: &Rate, sides: &Sides) -> bool {
        let all = sides.receivers.iter().chain(&sides.deliverers);
        self.can_pool(terms.settlement)
            && self.can_pool(terms.base)
            && all.map(|part| (part, rate.cash_for(part.coins, Rounding::Ceiling))).all(
                |(part, cash)| {
                    cash.is_some_and(|cash| self.can_book(part.slot, terms.settlement, cash))
                        && self.can_book(part.slot, terms.base, part.coins)
                },
            )
    }

    fn exchange(
        &mut self,
        terms: &Instrument,
        rate: &Rate,
        sides: &Sides,
        events: &mut Vec<Event>,
    ) {
        let reason = (Booking::Delivery, Some(terms.id));
        let mut left_over = 0;
        for part in &sides.deliverers {
            let cash = rate.cash_for(part.coins, Rounding::Floor).unwrap_or_default();
            self.book(part.slot, terms.base, -part.coins, reason, events);
            self.book(part.slot, terms.settlement, cash, reason, events);
            left_over -= cash;
        }
        for part in &sides.receivers {
            let cash = rate.cash_for(part.coins, Rounding::Ceiling).unwrap_or_default();
            self.book(part.slot, terms.settlement, -cash, reason, events);
            self.book(part.slot, terms.base, part.coins, reason, events);
            left_over += cash;
            if self.account(part.slot).id != AccountId::FUND && part.coins > 0 {
                self.queue_delivery(part.slot, terms.base, part.coins, terms.id, events);
            }
        }
        self.round_into_pool(terms.settlement, left_over, events);
    }

    /// Sets delivered coins aside as a withdrawal that is approved already.
    pub(crate) fn queue_delivery(
        &mut self,
        slot: u32,
        currency: CurrencyId,
        coins: i128,
        instrument: InstrumentId,
        events: &mut Vec<Event>,
    ) {
        let account = self.account(slot).id;
        let key = self.free_key(account, |tries| delivery_key(instrument, tries));
        let flow = Flow::new(currency, Money(coins), FlowState::Requested);
        let flow = self.approved(Flow { instrument: Some(instrument), ..flow });
        self.set_aside(slot, key, flow, events);
    }
}

impl Rate {
    fn cash_for(&self, coins: i128, rounding: Rounding) -> Option<i128> {
        mul_div(coins, self.cash, self.coins, rounding).ok()
    }
}

/// +1 if longs get coins, −1 if they give them, 0 if nothing is exercised.
pub(crate) fn direction(terms: &Instrument, price: Price) -> i64 {
    match terms.kind {
        InstrumentKind::Future { .. } => 1,
        InstrumentKind::Option { strike, right, .. } => {
            // Strikes with more decimals than a price belong to no underlying.
            let strike = strike.in_units(Price::SCALE).unwrap_or(i128::from(price.0));
            match right {
                OptionRight::Call if i128::from(price.0) > strike => 1,
                OptionRight::Put if i128::from(price.0) < strike => -1,
                _ => 0,
            }
        }
        InstrumentKind::Spot | InstrumentKind::Perpetual => 0,
    }
}

/// Lowers everybody's part in proportion, so that together they are `matched`, at most what they
/// were together.
fn share_out(parts: &mut [Part], matched: i128) {
    let total: i128 = parts.iter().map(|part| part.coins).sum();
    if total == matched {
        return;
    }
    let mut left = matched;
    let before: Vec<i128> = parts.iter().map(|part| part.coins).collect();
    for part in parts.iter_mut() {
        let share = mul_div(part.coins, matched, total, Rounding::Floor);
        part.coins = share.unwrap_or_default();
        left -= part.coins;
    }
    // Less than one unit for each of them is left.
    for (part, before) in parts.iter_mut().zip(before) {
        let more = left.min(before - part.coins).min(1);
        part.coins += more;
        left -= more;
    }
}

/// A key that no other delivery of the account has.
fn delivery_key(instrument: InstrumentId, tries: u32) -> FlowKey {
    let mut key = *b"delivery00000000";
    key[8..12].copy_from_slice(&tries.to_be_bytes());
    key[12..].copy_from_slice(&instrument.0.to_be_bytes());
    FlowKey(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scarce_side_is_shared_in_proportion_to_the_last_unit() {
        let part = |coins| Part { slot: 1, coins };
        let mut parts = vec![part(10), part(20), part(0), part(3)];
        share_out(&mut parts, 17);
        let coins: Vec<i128> = parts.iter().map(|it| it.coins).collect();
        // 5.15, 10.3, 0 and 1.54; the first one gets the unit that is left.
        assert_eq!(coins, [6, 10, 0, 1]);
    }
}
