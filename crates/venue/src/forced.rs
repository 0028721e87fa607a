//! What the engine itself does with orders: a liquidation's trades, and closing an account's
//! orders.

use crate::matching::{Taker, close_unrested};
use crate::orders::{NIL, OrderFlags};
use crate::state::State;
use evenkeel_types::conditional::OrderTerms;
use evenkeel_types::{
    CloseReason, Event, Lots, Mode, NewOrder, OrderId, SessionId, Side, Ticks, TimeInForce,
    UnderlyingId,
};

/// The session in whose name the engine's own orders come: no client's, for its id is the last one.
pub(crate) const ENGINE_SESSION: SessionId = SessionId(u64::MAX);

impl State {
    /// Trades a part of an account's position away: immediate-or-cancel with a limit, reduce-only,
    /// without a check of margin, bands or modes but one: nothing trades in an opening call. It
    /// pays no taker's fee. Returns how many lots it traded.
    pub(crate) fn liquidation_order(
        &mut self,
        account: u32,
        instrument: u32,
        (side, lots, limit): (Side, i64, Ticks),
        events: &mut Vec<Event>,
    ) -> i64 {
        let lots = Lots(lots.min(self.reducible(account, instrument, side)));
        let gathers = self.mode_of(instrument, account) == Mode::Auction;
        let opposite = self.instrument(instrument).book.side(side.opposite());
        if lots.0 <= 0 || gathers || opposite.next_maker(Some(limit)).is_none() {
            return 0;
        }
        let order = NewOrder {
            instrument: self.instrument(instrument).terms.id,
            side,
            price: Some(limit),
            lots,
            time_in_force: TimeInForce::ImmediateOrCancel,
            post_only: false,
            label: 0,
        };
        let terms = OrderTerms::default();
        let id = self.tell_accepted(account, ENGINE_SESSION, (&order, &terms), events);
        let mut taker = Taker {
            order: id,
            account,
            instrument,
            side,
            limit: Some(limit),
            open: lots,
            flags: OrderFlags::default(),
            reduces: true,
            is_liquidation: true,
            stopped: None,
            call: None,
        };
        self.cross(&mut taker, events);
        let is_filled = taker.open == Lots::ZERO;
        let reason = if is_filled { CloseReason::Filled } else { CloseReason::Unfilled };
        close_unrested(&taker, reason, events);
        lots.0 - taker.open.0
    }

    /// Closes an account's orders, conditional ones too: all, or those on an underlying.
    pub(crate) fn close_orders_of(
        &mut self,
        account: u32,
        underlying: Option<UnderlyingId>,
        reason: CloseReason,
        events: &mut Vec<Event>,
    ) {
        let mut slot = self.account(account).first_order;
        while slot != NIL {
            let order = self.orders.at(slot);
            let next = order.in_account.next;
            let known = self.instrument(order.instrument).extra.underlying;
            if underlying.is_none() || known == underlying {
                self.close(slot, reason, events);
            }
            slot = next;
        }
        let armed: Vec<OrderId> = self.account(account).extra.own.armed.iter().copied().collect();
        for id in armed {
            if underlying.is_none() || self.underlying_of_armed(id) == underlying {
                self.close_armed(id, reason, events);
            }
        }
    }
}
