//! The opening call: orders gather without trading, then cross at one price.
//!
//! The price is the one at which most lots trade; among several the one with the least imbalance,
//! then the one nearest the mark (or, without a mark, the lowest). Whoever is willing at that price
//! trades at it, best price first, then oldest first; what is left stays in the book. Self-trade
//! prevention, reduce-only and fees apply as in any trade; the smaller of two orders that meet is
//! the taker, so the other keeps its place.

use crate::matching::{Taker, close_unrested};
use crate::regime::Shown;
use crate::state::State;
use evenkeel_types::regime::Scope;
use evenkeel_types::{CloseReason, Event, InstrumentId, Lots, Mode, Ticks, Timestamp};

const SECOND_NS: u64 = 1_000_000_000;

/// What a call would do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Call {
    price: Option<Ticks>,
    lots: i64,
    /// Buyers' lots less sellers' at the price.
    imbalance: i64,
}

impl State {
    /// What crossing an instrument's book would do now.
    fn call(&self, instrument: u32) -> Call {
        let known = self.instrument(instrument);
        let (bids, asks) = (&known.book.bids, &known.book.asks);
        let (Some((highest, _)), Some((lowest, _))) = (bids.best(), asks.best()) else {
            return Call::default();
        };
        if highest < lowest {
            return Call::default();
        }
        let within = |price: &Ticks| *price >= lowest && *price <= highest;
        // Ascending, with the lots that each price adds to demand and supply.
        let mut steps: Vec<(Ticks, i64, i64)> = Vec::new();
        steps.extend(bids.levels().map(|(p, level)| (p, level.lots, 0)).filter(|s| within(&s.0)));
        steps.extend(asks.levels().map(|(p, level)| (p, 0, level.lots)).filter(|s| within(&s.0)));
        steps.sort_unstable_by_key(|(price, _, _)| *price);
        let mut demand: i64 = steps.iter().map(|(_, buys, _)| buys).sum();
        let (mut supply, mut best) = (0, None::<((i64, i64, i64), Call)>);
        let mut at = 0;
        while at < steps.len() {
            let price = steps[at].0;
            let same = steps[at..].iter().take_while(|step| step.0 == price).count();
            let level = &steps[at..at + same];
            supply += level.iter().map(|(_, _, sells)| sells).sum::<i64>();
            let lots = demand.min(supply);
            let imbalance = demand - supply;
            let distance = known.mark.map_or(price.0, |mark| (price.0 - mark.0).abs());
            let rank = (-lots, imbalance.abs(), distance);
            if best.is_none_or(|(least, _)| rank < least) {
                best = Some((rank, Call { price: Some(price), lots, imbalance }));
            }
            demand -= level.iter().map(|(_, buys, _)| buys).sum::<i64>();
            at += same;
        }
        best.map_or(Call::default(), |(_, call)| call)
    }

    /// Instruments that a scope holds.
    fn instruments_in(&self, scope: Scope) -> Vec<u32> {
        let all = self.instrument_slots.values().copied();
        all.filter(|slot| match scope {
            Scope::Venue => true,
            Scope::Underlying { underlying } => {
                self.instrument(*slot).extra.underlying == Some(underlying)
            }
            Scope::Instrument { instrument } => self.instrument(*slot).terms.id == instrument,
            Scope::Account { .. } => false,
        })
        .collect()
    }

    /// A scope left its auction: what is free to trade now crosses.
    pub(crate) fn end_calls(&mut self, scope: Scope, events: &mut Vec<Event>) {
        for instrument in self.instruments_in(scope) {
            if self.can_match(instrument) {
                self.uncross(instrument, events);
            }
        }
    }

    /// Crosses an instrument's book at its call's price.
    fn uncross(&mut self, instrument: u32, events: &mut Vec<Event>) {
        let id = self.instrument(instrument).terms.id;
        self.extension.regime.calls.remove(&id);
        let is_over = self.instrument(instrument).terms.expiry();
        let call = self.call(instrument);
        let Some(price) = call.price.filter(|_| is_over.is_none_or(|at| at > self.meta.time))
        else {
            return;
        };
        let before = self.meta.next_trade;
        // Each round fills an order or takes one out of the book.
        while let Some(slot) = self.smaller_head(instrument, price) {
            self.cross_one(slot, price, events);
        }
        let traded = events.iter().filter_map(|event| match event {
            Event::Traded { trade, instrument, lots, .. }
                if *trade >= before && *instrument == id =>
            {
                Some(lots.0)
            }
            _ => None,
        });
        let (lots, price) = (Lots(traded.sum()), Some(price));
        events.push(Event::AuctionCrossed { instrument: id, price, lots });
    }

    /// The smaller of the two first orders that are willing at a price; of equals the younger.
    fn smaller_head(&self, instrument: u32, price: Ticks) -> Option<u32> {
        let book = &self.instrument(instrument).book;
        let (_, bid) = book.bids.next_maker(Some(price))?;
        let (_, ask) = book.asks.next_maker(Some(price))?;
        let (buy, sell) = (self.orders.at(bid), self.orders.at(ask));
        let takes_buy = (buy.open, sell.id) < (sell.open, buy.id);
        Some(if takes_buy { bid } else { ask })
    }

    fn cross_one(&mut self, slot: u32, price: Ticks, events: &mut Vec<Event>) {
        let order = self.orders.at(slot);
        let (id, account, instrument) = (order.id, order.account, order.instrument);
        let (side, open, flags) = (order.side, order.open, order.flags);
        let forced = self.must_reduce(instrument, account).is_some();
        self.withdraw_from_book(slot, events);
        let mut taker = Taker {
            order: id,
            account,
            instrument,
            side,
            limit: Some(price),
            open,
            flags,
            reduces: flags.is_reduce_only() || forced,
            is_liquidation: false,
            stopped: None,
            call: Some(price),
        };
        self.cross(&mut taker, events);
        let reason = match taker.stopped {
            _ if taker.open == Lots::ZERO => CloseReason::Filled,
            // Nobody is left on the other side.
            None => {
                self.orders.at_mut(slot).open = taker.open;
                self.rest(slot, events);
                return;
            }
            Some(reason) => reason,
        };
        close_unrested(&taker, reason, events);
        self.forget(slot);
    }

    /// Shows what open calls would do: at most once a second, and only what changed.
    pub(crate) fn show_calls(&mut self, events: &mut Vec<Event>) {
        let now = self.meta.time;
        let modes = self.extension.regime.modes.values();
        if !modes.into_iter().any(|state| state.mode == Mode::Auction) {
            return;
        }
        let gathering = self.instrument_slots.clone();
        for (id, slot) in gathering {
            if self.mode_at(slot) == Mode::Auction {
                self.show_call(id, slot, now, events);
            }
        }
    }

    fn show_call(
        &mut self,
        instrument: InstrumentId,
        slot: u32,
        now: Timestamp,
        events: &mut Vec<Event>,
    ) {
        let last = self.extension.regime.calls.get(&instrument).copied().unwrap_or_default();
        if now.0 < last.at.0.saturating_add(SECOND_NS) {
            return;
        }
        let call = self.call(slot);
        let (price, lots) = (call.price, Lots(call.lots));
        let imbalance = Lots(call.imbalance);
        let shown = Shown { at: now, price, lots, imbalance };
        self.extension.regime.calls.insert(instrument, shown);
        if shown != (Shown { at: now, ..last }) {
            events.push(Event::AuctionShown { instrument, price, lots, imbalance });
        }
    }
}
