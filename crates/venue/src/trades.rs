//! Recent trades, so that one can be taken back.

use crate::state::State;
use evenkeel_types::{
    AccountId, Event, InstrumentId, Lots, Money, OutcomeKind, RejectCode, Side, Ticks, TradeId,
    canonical_struct,
};
use std::collections::VecDeque;

/// Trades that can be taken back.
pub(crate) const RECENT_TRADES_MAX: usize = 4096;

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
});

/// Ascending by trade id.
pub(crate) type RecentTrades = VecDeque<RecentTrade>;

impl State {
    pub(crate) fn bust_trade(
        &mut self,
        _trade: TradeId,
        _code: u32,
        _events: &mut Vec<Event>,
    ) -> Result<OutcomeKind, RejectCode> {
        Err(RejectCode::NeedsUpgrade)
    }
}
