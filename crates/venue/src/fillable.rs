//! Whether a fill-or-kill order fills under rules 2, told before anything trades.
//!
//! The book is walked as the order would walk it, with everything that ends or cuts an order on the
//! way: self-trade prevention, resting orders that may only reduce, protections that hit midway.

use crate::matching::Incoming;
use crate::orders::OrderFlags;
use crate::protection::{ProtectionState, protection_in};
use crate::state::State;
use evenkeel_types::conditional::SelfTrade;
use evenkeel_types::{Lots, RejectCode, Side};

/// An account that trades on the way.
struct Met {
    account: u32,
    /// What it could still reduce on its side.
    reducible: i64,
    protection: Option<ProtectionState>,
    is_hit: bool,
}

/// The walk so far.
struct Walk {
    met: Vec<Met>,
    filled: i64,
    /// Place in `met` of the order's own account, if the order is protected.
    own: Option<usize>,
    is_stopped: bool,
}

impl State {
    /// Refuses a fill-or-kill order that would not fill in full.
    pub(crate) fn check_fills(
        &self,
        order: &Incoming,
        flags: OrderFlags,
    ) -> Result<(), RejectCode> {
        let known = self.instrument(order.instrument);
        let ladder = known.book.side(order.side.opposite());
        let mut walk = Walk { met: Vec::new(), filled: 0, own: None, is_stopped: false };
        if flags.is_protected() {
            let own = self.meet_on_paper(order.account, order.instrument, order.side.opposite());
            (walk.met, walk.own) = (vec![own], Some(0));
        }
        for slot in ladder.slots(&self.orders) {
            let maker = self.orders.at(slot);
            let is_over = walk.filled >= order.lots.0 || walk.is_stopped;
            if is_over || !ladder.admits(maker.price, order.limit) {
                break;
            }
            if self.is_prevented(order.account, flags.self_trade(), maker.account) {
                if flags.self_trade() == SelfTrade::CancelMaker {
                    continue;
                }
                return Err(RejectCode::SelfTrade);
            }
            self.walk_on(&mut walk, order, slot);
        }
        if walk.filled < order.lots.0 { Err(RejectCode::CannotFill) } else { Ok(()) }
    }

    /// Trades with one resting order, on paper.
    fn walk_on(&self, walk: &mut Walk, order: &Incoming, slot: u32) {
        let (maker, now) = (self.orders.at(slot), self.meta.time);
        let Walk { met, filled, own, is_stopped } = walk;
        let at = met.iter().position(|it| it.account == maker.account).unwrap_or_else(|| {
            met.push(self.meet_on_paper(maker.account, order.instrument, maker.side));
            met.len() - 1
        });
        let known = &mut met[at];
        if known.is_hit && maker.flags.is_protected() {
            return;
        }
        let mut lots = maker.open.0.min(order.lots.0 - *filled);
        let must_reduce = maker.flags.is_reduce_only()
            || self.must_reduce(order.instrument, maker.account).is_some();
        if must_reduce {
            lots = lots.min(known.reducible);
        }
        if lots == 0 {
            return;
        }
        *filled += lots;
        if maker.account != order.account {
            known.reducible = (known.reducible - lots).max(0);
        }
        let mut count = |at: usize, side| {
            let exposure = self.exposure(order.instrument, side, Lots(lots));
            let known = &mut met[at];
            let protection = known.protection.as_mut().filter(|_| !known.is_hit);
            known.is_hit |= protection.is_some_and(|it| it.count(exposure, now));
        };
        if maker.flags.is_protected() {
            count(at, maker.side);
        }
        if let Some(own) = *own {
            count(own, order.side);
            *is_stopped = met[own].is_hit;
        }
    }

    fn meet_on_paper(&self, account: u32, instrument: u32, side: Side) -> Met {
        let underlying = self.instrument(instrument).extra.underlying;
        Met {
            account,
            reducible: self.reducible(account, instrument, side),
            protection: protection_in(self.account(account), underlying).copied(),
            is_hit: false,
        }
    }
}
