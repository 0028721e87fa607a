//! Auto-deleverage: a position that nobody takes over is closed against those who gained from it.
//!
//! **Ranking.** Holders of the other side are ranked by *profit ratio × leverage*, highest first:
//!
//! ```text
//! ratio    = unrealised profit / |basis|                        in millionths, rounded down
//! leverage = |value at the mark| / equity in the settlement currency   in millionths, rounded down
//! score    = ratio · leverage           for a profit
//!          = ratio · 10^12 / leverage   for a loss: less leverage loses more rank
//! ```
//!
//! Ratio and leverage are bounded at 10^12; equity is that of closing everything at the marks, and
//! not positive means the highest leverage. All integers, so every machine ranks alike; ties go to
//! the lower account id. The insurance fund comes last, whatever its score.
//!
//! **Price.** The position is closed at its bankruptcy price: at the mark, less what its owner
//! lacks after the insurance fund. The loss is spread over the owner's positions in a currency in
//! proportion to their values at the mark; each counterparty bears the part of its lots, exactly:
//! parts are differences of a running share, so they add up to the last unit.

use crate::accounting::{Fill, settle};
use crate::booking::MAX_BOOKED;
use crate::engine::Engine;
use crate::state::{OPERATOR_SLOT, State};
use evenkeel_types::event::WaterfallStep;
use evenkeel_types::money::mul_div;
use evenkeel_types::{
    AccountId, CurrencyId, Event, InstrumentId, InstrumentKind, Lots, Money, Rounding, Side, Ticks,
};

const MILLION: i128 = 1_000_000;
const MOST: i128 = 1_000_000_000_000;

/// A holder's place in the ranking of one side of an instrument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeleverageRank {
    /// Who.
    pub account: AccountId,
    /// What is held, signed.
    pub lots: Lots,
    /// The ranking's score, see the crate's documentation; higher is closed first.
    pub score: i128,
}

impl Engine {
    /// Who would be closed against, first to last, if a position on the other side went bankrupt
    /// now; `side` is that of the holders ([`Side::Buy`]: longs). Empty without a mark.
    #[must_use]
    pub fn deleverage_ranking(&self, instrument: InstrumentId, side: Side) -> Vec<DeleverageRank> {
        let Ok(slot) = self.state.instrument_slot(instrument) else {
            return Vec::new();
        };
        let ranked = self.state.ranked(slot, side, OPERATOR_SLOT);
        ranked.into_iter().map(|(_, rank)| rank).collect()
    }
}

impl State {
    /// Holders of a side by rank, with their slots, without one of them.
    pub(crate) fn ranked(
        &self,
        instrument: u32,
        side: Side,
        without: u32,
    ) -> Vec<(u32, DeleverageRank)> {
        let id = self.instrument(instrument).terms.id;
        let mut all = Vec::new();
        for slot in self.account_slots.values().copied() {
            let owner = self.account(slot);
            let lots = owner.holding(id).lots;
            let is_other_side = lots.0.signum() == side.sign();
            if slot == without || slot == OPERATOR_SLOT || !is_other_side {
                continue;
            }
            if let Some(score) = self.score(slot, instrument) {
                all.push((slot, DeleverageRank { account: owner.id, lots, score }));
            }
        }
        all.sort_by_key(|(_, rank)| (rank.account == AccountId::FUND, -rank.score, rank.account));
        all
    }

    fn score(&self, slot: u32, instrument: u32) -> Option<i128> {
        let known = self.instrument(instrument);
        let holding = self.account(slot).holding(known.terms.id);
        let value = known.valuation.basis(known.mark?, holding.lots).ok()?.0;
        let bounded = |top: i128, bottom: i128| {
            let share = mul_div(top, MILLION, bottom.max(1), Rounding::Floor);
            share.unwrap_or(if top < 0 { -MOST } else { MOST }).clamp(-MOST, MOST)
        };
        let profit = value.checked_sub(holding.basis.0)?;
        let ratio = bounded(profit, holding.basis.0.checked_abs()?);
        let equity = self.closing_equity(slot)?;
        let equity = equity.get(&known.terms.settlement).copied().unwrap_or_default();
        let leverage = if equity <= 0 { MOST } else { bounded(value.checked_abs()?, equity) };
        Some(if ratio > 0 { ratio * leverage } else { ratio * MOST / leverage.max(1) })
    }

    /// Closes a position against those of the other side by rank; its owner gets `relief` more than
    /// at the mark, which they bear. False, with nothing changed, if it is not possible.
    pub(crate) fn deleverage(
        &mut self,
        slot: u32,
        instrument: u32,
        (relief, round): (i128, u32),
        events: &mut Vec<Event>,
    ) -> bool {
        let known = self.instrument(instrument);
        let id = known.terms.id;
        let held = self.account(slot).holding(id).lots.0;
        let Some(value) = self.value_at_mark(instrument, held) else {
            return false;
        };
        let side = if held > 0 { Side::Sell } else { Side::Buy };
        let ranked = self.ranked(instrument, side, slot);
        let found: i128 = ranked.iter().map(|(_, rank)| i128::from(rank.lots.0).abs()).sum();
        let is_booked = relief.unsigned_abs() <= MAX_BOOKED.unsigned_abs();
        if found < i128::from(held).abs() || !is_booked {
            return false;
        }
        // What the owner's closing fill costs: minus its value, minus the relief.
        let basis = -value - relief;
        let (mut closed, mut booked) = (0, 0);
        for (counterparty, rank) in ranked {
            let lots = rank.lots.0.abs().min(held.abs() - closed);
            if lots == 0 {
                break;
            }
            closed += lots;
            let share = mul_div(basis, closed.into(), held.abs().into(), Rounding::HalfEven);
            // A share of an amount is no larger than it.
            let upto = share.unwrap_or(basis);
            let part =
                Fill { side, lots: Lots(lots), basis: Money(upto - booked), reserve_change: 0 };
            booked = upto;
            self.close_against(slot, counterparty, instrument, &part, events);
            let signed = Lots(lots * side.sign());
            let price = self.price_of(instrument, signed, part.basis);
            let step = WaterfallStep::Deleveraged;
            self.tell_step(slot, (round, step), Some((id, signed, price)), events);
        }
        true
    }

    /// Both sides of an exchange of positions without an order: `fill` is the first one's.
    pub(crate) fn close_against(
        &mut self,
        slot: u32,
        counterparty: u32,
        instrument: u32,
        fill: &Fill,
        events: &mut Vec<Event>,
    ) {
        let known = &self.instruments[instrument as usize];
        let other = Fill {
            side: fill.side.opposite(),
            lots: fill.lots,
            basis: Money(-fill.basis.0),
            reserve_change: 0,
        };
        events.push(Event::PositionMoved {
            account: self.accounts[slot as usize].id,
            counterparty: self.accounts[counterparty as usize].id,
            instrument: known.terms.id,
            lots: Lots(fill.lots.0 * fill.side.sign()),
            basis: fill.basis,
        });
        settle(&mut self.accounts[slot as usize], known, fill, events);
        settle(&mut self.accounts[counterparty as usize], known, &other, events);
        self.trim_reducing(slot, instrument, events);
        self.trim_reducing(counterparty, instrument, events);
    }

    /// Basis at the mark of signed lots; `None` without a mark or beyond what is ever booked.
    pub(crate) fn value_at_mark(&self, instrument: u32, lots: i64) -> Option<i128> {
        let known = self.instrument(instrument);
        let value = known.valuation.basis(known.mark?, Lots(lots)).ok()?.0;
        (value.unsigned_abs() <= MAX_BOOKED.unsigned_abs()).then_some(value)
    }

    /// The price at which lots have a basis, in ticks, rounded half to even; `None` if it is not
    /// positive.
    pub(crate) fn price_of(&self, instrument: u32, lots: Lots, basis: Money) -> Option<Ticks> {
        let price = self.instrument(instrument).valuation.average_price(lots, basis, 0).ok()?;
        i64::try_from(price).ok().filter(|price| *price > 0).map(Ticks)
    }

    /// What an account would hold in each currency if everything were closed at the marks; `None`
    /// without a mark of something held.
    pub(crate) fn closing_equity(
        &self,
        slot: u32,
    ) -> Option<std::collections::BTreeMap<CurrencyId, i128>> {
        let owner = self.account(slot);
        let mut equity: std::collections::BTreeMap<CurrencyId, i128> =
            owner.balances.iter().map(|money| (money.currency, money.balance.0)).collect();
        for holding in owner.holdings.iter().filter(|it| it.lots != Lots::ZERO) {
            let instrument = self.instrument_slots.get(&holding.instrument).copied()?;
            let known = self.instrument(instrument);
            let value = self.value_at_mark(instrument, holding.lots.0)?;
            let worth = match known.terms.kind {
                InstrumentKind::Option { .. } => value,
                _ => value.checked_sub(holding.basis.0)?,
            };
            let sum = equity.entry(known.terms.settlement).or_default();
            *sum = sum.checked_add(worth)?;
        }
        Some(equity)
    }
}
