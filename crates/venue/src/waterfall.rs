//! The waterfall behind a liquidation that the book could not finish.
//!
//! | stage | what happens | who bears it |
//! |---|---|---|
//! | book | the smallest step that restores maintenance, a round per interval | the account |
//! | takeover | the insurance fund takes every position at the mark | the account |
//! | fund | it pays what the account owes beyond all it has | the fund, up to its equity |
//! | auto-deleverage | positions are closed against the other side by rank | who gained most |
//! | socialised loss | a share of the others' unrealised profit | all who gained |
//! | debt | the fund's balance is negative until it is fed | the venue |
//!
//! A takeover comes when the book offered nothing for `takeover_rounds`, or nothing is left of the
//! equity. What the fund cannot pay goes to auto-deleverage ([`LossRule::AutoDeleverage`], at the
//! bankruptcy price) or is shared ([`LossRule::Socialise`]); a loss without a position behind it is
//! shared under either rule, and what nobody gained the fund owes.
//!
//! A takeover closes the account's positions at the mark, so nothing is lost or won by it. Then the
//! account's currencies are squared: what it owes in one is paid by the fund, which takes what the
//! account has in others for it, at the index, rounded in the fund's favour, numeraire first. With
//! something left the account pays the liquidation fee on what was taken over, no more than it has.
//!
//! The fund's equity, which decides whether it is empty, is what closing its positions at the marks
//! would leave, all currencies together in the numeraire at the index.

use crate::accounting::Fill;
use crate::state::{MAX_POSITION, OPERATOR_SLOT, State};
use evenkeel_types::event::{Booking, WaterfallStep};
use evenkeel_types::money::{mul_div, pow10};
use evenkeel_types::oracle::Price;
use evenkeel_types::terms::LossRule;
use evenkeel_types::{
    AccountId, CurrencyId, Event, InstrumentId, InstrumentKind, Lots, Money, Rounding, Side, Ticks,
};
use std::collections::BTreeMap;

/// Amounts by currency.
type Amounts = BTreeMap<CurrencyId, i128>;
/// Positions by instrument slot: signed lots that were held.
type Taken = Vec<(u32, i64)>;

/// What a step of the waterfall did to which position: signed lots of the account's fill, price.
pub(crate) type Done = Option<(InstrumentId, Lots, Option<Ticks>)>;

impl State {
    /// Takes over everything an account holds, and squares what it owes. False, with nothing
    /// changed, if it has to wait: a mark, an index or room is missing.
    pub(crate) fn take_over(&mut self, slot: u32, round: u32, events: &mut Vec<Event>) -> bool {
        let Some((fund, mut uncovered)) = self.plan_takeover(slot) else {
            return false;
        };
        let rule = self.extension.terms.as_ref().map(|it| it.loss_rule).unwrap_or_default();
        let mut shared = Taken::new();
        let mut taken = Taken::new();
        for (currency, positions) in self.positions_by_currency(slot) {
            let loss = uncovered.get(&currency).copied().unwrap_or_default();
            let mut reliefs = vec![0; positions.len()];
            if loss > 0 && rule == LossRule::AutoDeleverage {
                reliefs = self.reliefs(&positions, loss);
            }
            for ((instrument, lots), relief) in positions.into_iter().zip(reliefs) {
                if relief > 0 && self.deleverage(slot, instrument, (relief, round), events) {
                    *uncovered.entry(currency).or_default() -= relief;
                    continue;
                }
                self.move_to_fund((slot, fund), instrument, round, events);
                taken.push((instrument, lots));
                if loss > 0 {
                    shared.push((instrument, lots));
                }
            }
        }
        let owed = self.square_up(slot, fund, events);
        self.share_losses((slot, fund, round), (&owed, &uncovered, &shared), events);
        self.charge_takeover(slot, fund, &taken, events);
        true
    }

    /// The fund's slot, and what of the account's loss in each currency the fund cannot bear.
    fn plan_takeover(&self, slot: u32) -> Option<(u32, Amounts)> {
        let fund = self.fund()?;
        let equity = self.closing_equity(slot)?;
        let owner = self.account(slot);
        for holding in owner.holdings.iter().filter(|it| it.lots != Lots::ZERO) {
            let instrument = self.instrument_slots.get(&holding.instrument).copied()?;
            let settlement = self.instrument(instrument).terms.settlement;
            let there = self.account(fund).holding(holding.instrument).lots.0;
            let has_room = there.checked_add(holding.lots.0)?.checked_abs()? <= MAX_POSITION;
            let can_book = [slot, fund].into_iter().all(|it| self.can_book(it, settlement, 0));
            if !has_room || !can_book {
                return None;
            }
        }
        let loss = -self.worth_of_all(&equity)?.min(0);
        let means = self.worth_of_all(&self.closing_equity(fund)?)?.max(0);
        let mut uncovered = (loss - means).max(0);
        let mut by_currency = Amounts::new();
        for (currency, amount) in equity.into_iter().filter(|(_, amount)| *amount < 0) {
            if uncovered == 0 {
                break;
            }
            let here = self.worth(currency, -amount, Rounding::Ceiling)?.min(uncovered);
            let part = self.amount_worth(currency, here, Rounding::Ceiling)?.min(-amount);
            uncovered -= here;
            by_currency.insert(currency, part);
        }
        Some((fund, by_currency))
    }

    /// Positions by the currency that they settle in, then by instrument.
    fn positions_by_currency(&self, slot: u32) -> BTreeMap<CurrencyId, Taken> {
        let mut all: BTreeMap<CurrencyId, Taken> = BTreeMap::new();
        for holding in self.account(slot).holdings.iter().filter(|it| it.lots != Lots::ZERO) {
            if let Some(instrument) = self.instrument_slots.get(&holding.instrument) {
                let currency = self.instrument(*instrument).terms.settlement;
                all.entry(currency).or_default().push((*instrument, holding.lots.0));
            }
        }
        all
    }

    /// A loss spread over positions by their values at the mark; the last one takes the residue.
    fn reliefs(&self, positions: &Taken, loss: i128) -> Vec<i128> {
        let value = |(instrument, lots): &(u32, i64)| {
            self.value_at_mark(*instrument, *lots).unwrap_or_default().abs()
        };
        let values: Vec<i128> = positions.iter().map(value).collect();
        // At most 2^20 values of at most 2^100.
        let total: i128 = values.iter().sum();
        let mut left = loss;
        let last = values.iter().rposition(|value| *value > 0);
        let share = |(at, value): (usize, &i128)| {
            let share = mul_div(loss, *value, total, Rounding::Floor).unwrap_or_default();
            let part = if Some(at) == last { left } else { share };
            left -= part;
            part
        };
        values.iter().enumerate().map(share).collect()
    }

    fn move_to_fund(
        &mut self,
        (slot, fund): (u32, u32),
        instrument: u32,
        round: u32,
        events: &mut Vec<Event>,
    ) {
        let known = self.instrument(instrument);
        let (id, mark) = (known.terms.id, known.mark);
        let held = self.account(slot).holding(id).lots.0;
        let Some(value) = self.value_at_mark(instrument, held) else {
            return;
        };
        let side = if held > 0 { Side::Sell } else { Side::Buy };
        let lots = Lots(held.abs());
        let fill = Fill { side, lots, basis: Money(-value), reserve_change: 0 };
        self.close_against(slot, fund, instrument, &fill, events);
        let done = Some((id, Lots(-held), mark));
        self.tell_step(slot, (round, WaterfallStep::TakenOver), done, events);
    }

    /// Brings every negative balance to zero; returns what the fund paid for nothing.
    fn square_up(&mut self, slot: u32, fund: u32, events: &mut Vec<Event>) -> Amounts {
        let mut paid = Amounts::new();
        let reason = (Booking::Insurance, None);
        let currencies: Vec<CurrencyId> =
            self.account(slot).balances.iter().map(|it| it.currency).collect();
        for owed in currencies.iter().copied() {
            let debt = -self.account(slot).balance(owed).balance.0;
            if debt <= 0 {
                continue;
            }
            let mut left = debt;
            for source in self.sources(&currencies) {
                left -= self.sell_to_fund((slot, fund), source, (owed, left), events);
            }
            self.book(fund, owed, -debt, reason, events);
            self.book(slot, owed, debt, reason, events);
            if left > 0 {
                paid.insert(owed, left);
            }
        }
        paid
    }

    /// Currencies in the order in which they pay for others: the numeraire first.
    fn sources(&self, currencies: &[CurrencyId]) -> Vec<CurrencyId> {
        let numeraire = self.extension.terms.as_ref().map(|it| it.numeraire);
        let mut all = currencies.to_vec();
        all.sort_by_key(|it| (Some(*it) != numeraire, *it));
        all
    }

    /// Gives the fund what a debt is worth in another currency; returns how much of the debt that
    /// covers.
    fn sell_to_fund(
        &mut self,
        (slot, fund): (u32, u32),
        source: CurrencyId,
        (owed, debt): (CurrencyId, i128),
        events: &mut Vec<Event>,
    ) -> i128 {
        let there = self.account(slot).balance(source).balance.0;
        if source == owed || there <= 0 || debt <= 0 {
            return 0;
        }
        let needed = self
            .worth(owed, debt, Rounding::Ceiling)
            .and_then(|worth| self.amount_worth(source, worth, Rounding::Ceiling));
        let (given, covered) = match needed {
            Some(needed) if needed <= there => (needed, debt),
            Some(_) => {
                let worth = self.worth(source, there, Rounding::Floor);
                let covers = worth.and_then(|it| self.amount_worth(owed, it, Rounding::Floor));
                (there, covers.unwrap_or_default().clamp(0, debt))
            }
            None => return 0,
        };
        let reason = (Booking::Insurance, None);
        self.book(slot, source, -given, reason, events);
        self.book(fund, source, given, reason, events);
        covered
    }

    /// Refunds the fund what it could not bear: from those who gained.
    fn share_losses(
        &mut self,
        (slot, fund, round): (u32, u32, u32),
        (owed, uncovered, shared): (&Amounts, &Amounts, &Taken),
        events: &mut Vec<Event>,
    ) {
        for (currency, paid) in owed {
            let left = uncovered.get(currency).copied().unwrap_or_default();
            let mut loss = (*paid).min(left);
            if loss <= 0 {
                continue;
            }
            let narrow: Taken = shared
                .iter()
                .copied()
                .filter(|(it, _)| self.instrument(*it).terms.settlement == *currency)
                .collect();
            let all: Taken = self
                .instrument_slots
                .values()
                .filter(|it| self.instrument(**it).terms.settlement == *currency)
                .map(|it| (*it, 0))
                .collect();
            let before = loss;
            for scope in [narrow, all] {
                loss -= self.socialise((slot, fund), (*currency, loss), &scope, events);
            }
            if loss < before {
                self.tell_step(slot, (round, WaterfallStep::Socialised), None, events);
            }
        }
    }

    /// Takes a loss from unrealised profits on the other side of positions (lots of 0: on either
    /// side) in proportion, each share rounded up until the loss is met. Returns what was taken.
    fn socialise(
        &mut self,
        (slot, fund): (u32, u32),
        (currency, loss): (CurrencyId, i128),
        scope: &Taken,
        events: &mut Vec<Event>,
    ) -> i128 {
        let without = [slot, fund, OPERATOR_SLOT];
        let holders = self.account_slots.values().copied().filter(|it| !without.contains(it));
        let profits: Vec<(u32, i128)> = holders
            .map(|it| (it, self.profit_in(it, scope)))
            .filter(|(_, profit)| *profit > 0)
            .collect();
        // At most 2^24 accounts; each profit is bounded by what is ever booked.
        let total: i128 = profits.iter().map(|(_, profit)| *profit).sum();
        let taken = loss.min(total);
        let mut left = taken;
        for (holder, profit) in profits {
            let share = mul_div(taken, profit, total, Rounding::Ceiling).unwrap_or_default();
            let share = share.min(left);
            left -= share;
            let reason = (Booking::SocialisedLoss, None);
            self.book(holder, currency, -share, reason, events);
            self.book(fund, currency, share, reason, events);
        }
        taken - left
    }

    fn profit_in(&self, slot: u32, scope: &Taken) -> i128 {
        let owner = self.account(slot);
        let profit = |(instrument, lots): &(u32, i64)| {
            let holding = owner.holding(self.instrument(*instrument).terms.id);
            let is_other_side = holding.lots.0 != 0 && holding.lots.0.signum() != lots.signum();
            let value = self.value_at_mark(*instrument, holding.lots.0).filter(|_| is_other_side);
            value.map_or(0, |value| value.saturating_sub(holding.basis.0).clamp(0, 1 << 100))
        };
        scope.iter().map(profit).sum()
    }

    /// The liquidation fee on what was taken over, as far as the account has something left.
    fn charge_takeover(&mut self, slot: u32, fund: u32, taken: &Taken, events: &mut Vec<Event>) {
        for (instrument, lots) in taken {
            let terms = &self.instrument(*instrument).terms;
            let (currency, id) = (terms.settlement, terms.id);
            let Some(value) = self.value_at_mark(*instrument, *lots) else {
                continue;
            };
            let left = self.account(slot).balance(currency).balance.0;
            let fee = self.liquidation_fee(*instrument, *lots, value).min(left).max(0);
            let reason = (Booking::LiquidationFee, Some(id));
            self.book(slot, currency, -fee, reason, events);
            self.book(fund, currency, fee, reason, events);
        }
    }

    /// The fee on liquidating lots worth `value`: a share of the value; for options of the
    /// underlying's value, at most `option_cap` of the premium. Rounded up.
    pub(crate) fn liquidation_fee(&self, instrument: u32, lots: i64, value: i128) -> i128 {
        let terms = &self.instrument(instrument).terms;
        let underlying = self.underlying_of(terms);
        let Some(known) = underlying.and_then(|it| self.extension.underlyings.get(&it)) else {
            return 0;
        };
        let fees = &known.terms.fees;
        let share = |amount: i128, rate: u32| {
            mul_div(amount, rate.into(), 1_000_000, Rounding::Ceiling).unwrap_or_default()
        };
        if !matches!(terms.kind, InstrumentKind::Option { .. }) {
            return share(value.saturating_abs(), fees.liquidation);
        }
        let scale = self.currencies.get(&terms.settlement).map(|it| it.terms.scale);
        let base = known.index.zip(scale).and_then(|(index, scale)| {
            crate::settlement::underlying_value(terms, scale, lots, index.price)
        });
        let cap = share(value.saturating_abs(), fees.option_cap);
        base.map_or(cap, |base| share(base, fees.liquidation).min(cap))
    }

    /// What amounts in several currencies are worth together in the numeraire, each rounded down;
    /// `None` if one of them has no index.
    pub(crate) fn worth_of_all(&self, amounts: &Amounts) -> Option<i128> {
        let mut sum = 0i128;
        for (currency, amount) in amounts.iter().filter(|(_, amount)| **amount != 0) {
            sum = sum.checked_add(self.worth(*currency, *amount, Rounding::Floor)?)?;
        }
        Some(sum)
    }

    /// What an amount is worth in the numeraire at the index, without haircut.
    fn worth(&self, currency: CurrencyId, amount: i128, rounding: Rounding) -> Option<i128> {
        let (top, bottom) = self.fraction_of(currency)?;
        mul_div(amount, top, bottom, rounding).ok()
    }

    /// How much of a currency is worth an amount of the numeraire.
    fn amount_worth(&self, currency: CurrencyId, worth: i128, rounding: Rounding) -> Option<i128> {
        let (top, bottom) = self.fraction_of(currency)?;
        mul_div(worth, bottom, top, rounding).ok()
    }

    /// Smallest units of the numeraire per smallest unit of a currency, as a fraction.
    fn fraction_of(&self, currency: CurrencyId) -> Option<(i128, i128)> {
        let numeraire = self.extension.terms.as_ref()?.numeraire;
        if currency == numeraire {
            return Some((1, 1));
        }
        let mut all = self.extension.underlyings.values();
        let known = all.find(|it| it.terms.base == currency && it.terms.quote == numeraire)?;
        let scale = |id: CurrencyId| Some(u32::from(self.currencies.get(&id)?.terms.scale));
        let top = i128::from(known.index?.price.0).checked_mul(pow10(scale(numeraire)?).ok()?)?;
        Some((top, pow10(scale(currency)? + u32::from(Price::SCALE)).ok()?))
    }

    /// Tells a step of the waterfall with the account's figures after it.
    pub(crate) fn tell_step(
        &mut self,
        slot: u32,
        (round, step): (u32, WaterfallStep),
        done: Done,
        events: &mut Vec<Event>,
    ) {
        let figures = self.margin_of(slot).figures;
        let account: AccountId = self.account(slot).id;
        let (instrument, lots, price) = match done {
            Some((instrument, lots, price)) => (Some(instrument), lots, price),
            None => (None, Lots::ZERO, None),
        };
        events.push(Event::Liquidation { account, round, step, instrument, lots, price, figures });
    }
}
