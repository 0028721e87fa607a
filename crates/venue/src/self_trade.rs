//! What happens when two orders meet under rules 2: self-trade prevention, and orders that may only
//! reduce a position.
//!
//! Main and sub-accounts are one owner. The incoming order's wish decides:
//!
//! | wish | incoming | resting |
//! |---|---|---|
//! | `Allow` | trades | trades |
//! | `CancelTaker` | its rest is cancelled | stays |
//! | `CancelMaker` | goes on | is cancelled |
//! | `CancelBoth` | its rest is cancelled | is cancelled |

use crate::matching::Taker;
use crate::state::State;
use evenkeel_types::conditional::SelfTrade;
use evenkeel_types::{CloseReason, Event, Lots};

/// What two orders that meet come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Meeting {
    /// They trade this much, at least one lot.
    Trade(Lots),
    /// The resting order is gone; the incoming one goes on.
    MakerGone,
    /// The incoming order ends here.
    Stop(CloseReason),
}

impl State {
    /// Whether the incoming order's wish forbids the two to trade.
    pub(crate) fn is_prevented(&self, taker: u32, wish: SelfTrade, maker: u32) -> bool {
        wish != SelfTrade::Allow && self.owner_id(taker) == self.owner_id(maker)
    }

    /// Lets an incoming order meet the resting one that is next.
    pub(crate) fn meet(
        &mut self,
        taker: &Taker,
        maker_slot: u32,
        events: &mut Vec<Event>,
    ) -> Meeting {
        let maker = self.orders.at(maker_slot);
        let (maker_account, maker_side) = (maker.account, maker.side);
        let wish = taker.flags.self_trade();
        if self.is_prevented(taker.account, wish, maker_account) {
            if wish != SelfTrade::CancelTaker {
                self.close(maker_slot, CloseReason::SelfTrade, events);
            }
            return match wish {
                SelfTrade::CancelMaker => Meeting::MakerGone,
                _ => Meeting::Stop(CloseReason::SelfTrade),
            };
        }
        let mut lots = taker.open.0.min(maker.open.0);
        if maker.flags.is_reduce_only() {
            lots = lots.min(self.reducible(maker_account, taker.instrument, maker_side));
            if lots == 0 {
                self.close(maker_slot, CloseReason::ReduceOnly, events);
                return Meeting::MakerGone;
            }
        } else if self.must_reduce(taker.instrument, maker_account).is_some() {
            lots = lots.min(self.reducible(maker_account, taker.instrument, maker_side));
            if lots == 0 {
                self.close(maker_slot, CloseReason::Mode, events);
                return Meeting::MakerGone;
            }
        }
        if taker.reduces {
            lots = lots.min(self.reducible(taker.account, taker.instrument, taker.side));
            if lots == 0 {
                return Meeting::Stop(CloseReason::ReduceOnly);
            }
        }
        Meeting::Trade(Lots(lots))
    }
}
