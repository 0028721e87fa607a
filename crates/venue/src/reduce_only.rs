//! Orders that may only bring a position closer to zero.
//!
//! At acceptance such an order is cut to the position on the other side; without one it is refused.
//! Whenever its owner's position changes, each resting one is cut to what the position has become,
//! or closed; so each alone never exceeds the position, and after a fill of one the others are cut
//! before anything else can trade. Spot has no positions: there is nothing to reduce.
//!
//! While a mode (or grace) admits only what reduces, every order is held to the same: it is cut at
//! acceptance, and a resting one trades no more than its owner's position at that moment, and is
//! closed when it meets a taker and could only add to it.

use crate::state::State;
use evenkeel_types::{CloseReason, Event, InstrumentKind, Lots, Mode, OrderId, RejectCode, Side};

impl State {
    /// Lots by which an order on this side could bring the account's position to zero.
    pub(crate) fn reducible(&self, account: u32, instrument: u32, side: Side) -> i64 {
        let terms = &self.instrument(instrument).terms;
        if terms.kind == InstrumentKind::Spot {
            return 0;
        }
        // Positions are far below 2^63.
        (-side.sign() * self.account(account).holding(terms.id).lots.0).max(0)
    }

    /// Why an account may only reduce its position in an instrument now, if so.
    pub(crate) fn must_reduce(&self, instrument: u32, account: u32) -> Option<RejectCode> {
        if self.account(account).extra.grace.left_ms > 0 {
            return Some(RejectCode::InGrace);
        }
        let mode = self.mode_of(instrument, account);
        (mode == Mode::ReduceOnly).then_some(RejectCode::ReduceOnly)
    }

    /// Cuts or closes an account's reduce-only orders after its position changed.
    pub(crate) fn trim_reducing(&mut self, account: u32, instrument: u32, events: &mut Vec<Event>) {
        if self.account(account).extra.own.reducing.is_empty() {
            return;
        }
        let id = self.instrument(instrument).terms.id;
        let listed = (id, OrderId(0))..=(id, OrderId(u64::MAX));
        let reducing = self.account(account).extra.own.reducing.range(listed);
        let orders: Vec<OrderId> = reducing.map(|(_, order)| *order).collect();
        for order in orders {
            let Some(slot) = self.orders.find(order) else {
                continue;
            };
            let known = self.orders.at(slot);
            if !known.is_resting() {
                continue;
            }
            let (open, price) = (known.open, known.price);
            let most = Lots(self.reducible(account, instrument, known.side));
            if most == Lots::ZERO {
                self.close(slot, CloseReason::ReduceOnly, events);
            } else if open > most {
                let kept_priority = true;
                events.push(Event::OrderAmended { order, price, open: most, kept_priority });
                self.shrink(slot, most, events);
            }
        }
    }
}
