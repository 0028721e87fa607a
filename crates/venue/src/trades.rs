//! What follows a trade under rules 2, and recent trades, so that one can be taken back.
//!
//! The last [`RECENT_TRADES_MAX`] trades can be taken back, each once: price and size are undone
//! between the two accounts by an opposite fill at the original price, and both fees are given back
//! from where they went, the insurance fund's part as far as its balance reaches and the rest from
//! the collected fees. Longs and shorts still cancel out, and money is conserved like in any trade.
//! The fee of a liquidation is not given back. A trade is kept as it was if its instrument has been
//! settled (`Expired`), if a position could leave its bounds (`PositionTooLarge`, `ValueTooLarge`),
//! or if a side no longer has the coins of a spot trade (`InsufficientBalance`). Margin is not
//! asked for: what a bust leaves below maintenance is liquidated like any other account.

use crate::accounting::{Fill, settle};
use crate::engine::Engine;
use crate::fees::Charged;
use crate::margin::{checked_value, has_headroom};
use crate::matching::Taker;
use crate::orders::OrderFlags;
use crate::restore::ensure;
use crate::snapshot::SnapshotError;
use crate::state::{MAX_POSITION, State, proven};
use evenkeel_types::event::Booking;
use evenkeel_types::{
    AccountId, CloseReason, Event, Instrument, InstrumentId, InstrumentKind, Lots, Money,
    OutcomeKind, Reader, RejectCode, Side, Ticks, TradeId, canonical_struct,
};
use std::collections::VecDeque;

/// Trades that can be taken back.
pub const RECENT_TRADES_MAX: usize = 4096;

/// A trade.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RecentTrade {
    pub trade: TradeId,
    pub instrument: InstrumentId,
    pub price: Ticks,
    pub lots: Lots,
    pub taker_side: Side,
    pub maker: AccountId,
    pub taker: AccountId,
    pub maker_fee: Money,
    pub taker_fee: Money,
    /// The insurance fund's part of both fees.
    pub fund_part: Money,
}
canonical_struct!(RecentTrade {
    trade,
    instrument,
    price,
    lots,
    taker_side,
    maker,
    taker,
    maker_fee,
    taker_fee,
    fund_part,
});

/// A trade that can be taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TradeView {
    /// Its number.
    pub trade: TradeId,
    /// Where.
    pub instrument: InstrumentId,
    /// At which price.
    pub price: Ticks,
    /// How much, positive.
    pub lots: Lots,
    /// Whether the taker bought or sold.
    pub taker_side: Side,
    /// Whose order rested.
    pub maker: AccountId,
    /// Whose order came in.
    pub taker: AccountId,
}

impl Engine {
    /// The trades that can be taken back, oldest first; none under the first rules.
    pub fn recent_trades(&self) -> impl Iterator<Item = TradeView> + '_ {
        self.state.extension.trades.iter().map(|it| TradeView {
            trade: it.trade,
            instrument: it.instrument,
            price: it.price,
            lots: it.lots,
            taker_side: it.taker_side,
            maker: it.maker,
            taker: it.taker,
        })
    }
}

/// Ascending by trade id.
pub(crate) type RecentTrades = VecDeque<RecentTrade>;

/// A trade that just happened, by slots.
pub(crate) struct Deal {
    pub trade: TradeId,
    pub instrument: u32,
    pub price: Ticks,
    pub lots: Lots,
    pub taker_side: Side,
    pub maker: u32,
    pub taker: u32,
    pub maker_flags: OrderFlags,
    /// The taker is an order of a liquidation.
    pub is_liquidation: bool,
}

impl State {
    /// Fees, protection, reduce-only orders: what follows a trade.
    pub(crate) fn after_trade(&mut self, deal: &Deal, taker: &mut Taker, events: &mut Vec<Event>) {
        let charged = self.charge_fees(deal, events);
        self.remember_trade(deal, &charged);
        self.trim_reducing(deal.maker, deal.instrument, events);
        if deal.taker != deal.maker {
            self.trim_reducing(deal.taker, deal.instrument, events);
        }
        let (side, opposite) = (deal.taker_side, deal.taker_side.opposite());
        let (instrument, lots) = (deal.instrument, deal.lots);
        let is_makers = deal.maker_flags.is_protected()
            && self.count_protected(deal.maker, (instrument, opposite, lots), events);
        if taker.flags.is_protected() {
            let is_hit = (is_makers && deal.maker == deal.taker)
                || self.count_protected(deal.taker, (instrument, side, lots), events);
            if is_hit {
                taker.stopped = Some(CloseReason::Protection);
            }
        }
    }

    fn remember_trade(&mut self, deal: &Deal, charged: &Charged) {
        let trade = RecentTrade {
            trade: deal.trade,
            instrument: self.instrument(deal.instrument).terms.id,
            price: deal.price,
            lots: deal.lots,
            taker_side: deal.taker_side,
            maker: self.account(deal.maker).id,
            taker: self.account(deal.taker).id,
            maker_fee: charged.maker,
            taker_fee: charged.taker,
            fund_part: charged.fund,
        };
        let trades = &mut self.extension.trades;
        if trades.len() >= RECENT_TRADES_MAX {
            trades.pop_front();
        }
        trades.push_back(trade);
    }

    /// Takes a trade back.
    pub(crate) fn bust_trade(
        &mut self,
        trade: TradeId,
        code: u32,
        events: &mut Vec<Event>,
    ) -> Result<OutcomeKind, RejectCode> {
        let found = self.extension.trades.binary_search_by_key(&trade, |it| it.trade);
        let at = found.map_err(|_| RejectCode::UnknownTrade)?;
        let busted = self.extension.trades[at];
        let instrument = self.instrument_slot(busted.instrument)?;
        if self.instrument(instrument).extra.delivered.price.is_some() {
            return Err(RejectCode::Expired);
        }
        let (maker, taker) = (self.client_slot(busted.maker)?, self.client_slot(busted.taker)?);
        self.check_undo(maker, instrument, busted.taker_side, &busted)?;
        self.check_undo(taker, instrument, busted.taker_side.opposite(), &busted)?;
        self.extension.trades.remove(at);
        events.push(Event::TradeBusted { trade, code });
        self.join_sweep(maker);
        self.join_sweep(taker);
        self.sweep_again();
        let signed_lots = Lots(busted.lots.0 * busted.taker_side.sign());
        let known = &self.instruments[instrument as usize];
        let basis: Money = proven(known.valuation.basis(busted.price, signed_lots));
        let (lots, reserve_change) = (busted.lots, 0);
        let undo = Fill { side: busted.taker_side, lots, basis, reserve_change };
        settle(&mut self.accounts[maker as usize], known, &undo, events);
        let (side, basis) = (busted.taker_side.opposite(), Money(-basis.0));
        let undo = Fill { side, lots, basis, reserve_change };
        settle(&mut self.accounts[taker as usize], known, &undo, events);
        self.give_fees_back((maker, taker), &busted, events);
        self.trim_reducing(maker, instrument, events);
        self.trim_reducing(taker, instrument, events);
        Ok(OutcomeKind::Done)
    }

    /// Whether an account can take an opposite fill on a side.
    fn check_undo(
        &self,
        account: u32,
        instrument: u32,
        side: Side,
        busted: &RecentTrade,
    ) -> Result<(), RejectCode> {
        let (owner, known) = (self.account(account), self.instrument(instrument));
        let terms = &known.terms;
        let holding = owner.holding(terms.id);
        if holding.worst(side) + busted.lots.0 > MAX_POSITION {
            return Err(RejectCode::PositionTooLarge);
        }
        let money = [owner.balance(terms.settlement), owner.balance(terms.base)];
        let money = [money[0].balance, money[1].balance, holding.basis, holding.realised];
        if !money.into_iter().all(has_headroom) {
            return Err(RejectCode::ValueTooLarge);
        }
        if terms.kind == InstrumentKind::Spot {
            let value = known.valuation.value(busted.price, busted.lots);
            let value = value.map_err(|_| RejectCode::ValueTooLarge)?;
            let (currency, needed) = match side {
                Side::Buy => (terms.settlement, value.0),
                Side::Sell => (terms.base, i128::from(busted.lots.0) * known.base_per_lot),
            };
            if owner.free(currency) < needed {
                return Err(RejectCode::InsufficientBalance);
            }
        }
        Ok(())
    }

    fn give_fees_back(
        &mut self,
        (maker, taker): (u32, u32),
        busted: &RecentTrade,
        events: &mut Vec<Event>,
    ) {
        let Ok(instrument) = self.instrument_slot(busted.instrument) else {
            return;
        };
        let terms = &self.instrument(instrument).terms;
        let (currency, reason) = (terms.settlement, (Booking::Bust, Some(terms.id)));
        self.book(maker, currency, busted.maker_fee.0, reason, events);
        self.book(taker, currency, busted.taker_fee.0, reason, events);
        let mut from_fund = 0;
        if let Some(fund) = self.fund() {
            let there = self.account(fund).balance(currency).balance.0.max(0);
            from_fund = busted.fund_part.0.clamp(0, there);
            self.book(fund, currency, -from_fund, reason, events);
        }
        let from_pool = busted.maker_fee.0 + busted.taker_fee.0 - from_fund;
        self.change_pools(currency, |pools| pools.fees.0 -= from_pool, events);
    }
}

/// Refuses recent trades that no engine could remember.
pub(crate) fn check_trades(reader: &Reader<'_>, state: &State) -> Result<(), SnapshotError> {
    let trades = &state.extension.trades;
    let ascends = trades.iter().zip(trades.iter().skip(1)).all(|(a, b)| a.trade < b.trade);
    let is_trade = |it: &RecentTrade| {
        let fees = [it.maker_fee, it.taker_fee, it.fund_part];
        let most = Instrument::MAX_VALUE.0.unsigned_abs();
        let slot = state.instrument_slot(it.instrument).ok();
        let known = slot.map(|slot| state.instrument(slot));
        it.trade < state.meta.next_trade
            && it.lots > Lots::ZERO
            && it.lots <= Instrument::MAX_LOTS
            && it.price.0 > 0
            && it.price <= Instrument::MAX_TICKS
            && fees.into_iter().all(|fee| fee.0.unsigned_abs() <= most)
            && state.client_slot(it.maker).is_ok()
            && state.client_slot(it.taker).is_ok()
            && known.is_some_and(|known| checked_value(known, it.price, it.lots).is_ok())
    };
    let sound = trades.len() <= RECENT_TRADES_MAX && ascends && trades.iter().all(is_trade);
    ensure(reader, sound, "a recent trade is out of range")
}
