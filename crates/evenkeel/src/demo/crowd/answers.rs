//! What a crowd learns from outcomes and events.

use super::{CROSSED_WAIT_NS, Crowd, Pending, SHUT_WAIT_NS};
use crate::demo::slots::SlotState;
use evenkeel_types::{AccountId, Event, InstrumentId, OrderId, Origin, OutcomeKind, RejectCode};

impl Crowd {
    /// Takes the outcome of a command it sent. The events of other crowds' commands may be given
    /// as well: it learns from them which of its orders traded.
    pub fn on_ack(&mut self, origin: &Origin, events: &[Event]) {
        let is_mine = origin.session == self.session;
        let key = (origin.account, origin.sequence);
        let pending = is_mine.then(|| self.pending.remove(&key)).flatten();
        for event in events {
            match event {
                Event::OrderAccepted { order, .. } => {
                    if let Some(Pending::Place { slot }) = pending {
                        self.slots.set_state(slot, SlotState::Placing(Some(*order)));
                    }
                }
                Event::OrderClosed { order, .. } => self.forget(*order),
                Event::PositionChanged { account, instrument, lots, .. } => {
                    self.note_position(*account, *instrument, |position| *position = lots.0);
                }
                Event::Traded { .. } => self.note_trade(event),
                Event::Completed { outcome } | Event::Repeated { original: outcome } => {
                    if let Some(pending) = pending {
                        self.counts.answered += 1;
                        self.conclude(pending, outcome.kind);
                    }
                }
                Event::TooOld { .. } => {
                    if let Some(pending) = pending {
                        self.give_up(pending);
                    }
                }
                _ => {}
            }
        }
    }

    fn note_trade(&mut self, event: &Event) {
        let Event::Traded {
            instrument,
            lots,
            taker_side,
            maker,
            maker_account,
            maker_open,
            taker,
            taker_account,
            taker_open,
            ..
        } = event
        else {
            return;
        };
        self.counts.traded += 1;
        for (order, open) in [(maker, maker_open), (taker, taker_open)] {
            if let Some(slot) = self.slots.find(*order) {
                self.slots.get_mut(slot).open = open.0;
            }
        }
        // Spot has no positions: what was traded stands in for them.
        let is_spot = self.by_id.get(instrument).is_some_and(|index| self.listed[*index].is_spot);
        if is_spot {
            let bought = lots.0 * taker_side.sign();
            self.note_position(*taker_account, *instrument, |position| *position += bought);
            self.note_position(*maker_account, *instrument, |position| *position -= bought);
        }
    }

    fn note_position(
        &mut self,
        account: AccountId,
        instrument: InstrumentId,
        change: impl Fn(&mut i64),
    ) {
        let found = (self.by_account.get(&account), self.by_id.get(&instrument));
        if let (Some(trader), Some(instrument)) = found {
            change(&mut self.positions[trader * self.listed.len() + instrument]);
        }
    }

    fn forget(&mut self, order: OrderId) {
        if let Some(slot) = self.slots.find(order) {
            self.slots.set_state(slot, SlotState::Empty);
        }
    }

    fn conclude(&mut self, pending: Pending, kind: OutcomeKind) {
        if let OutcomeKind::Rejected { code } = kind {
            self.counts.rejected += 1;
            return self.refused(pending, code);
        }
        match pending {
            Pending::Place { slot } => match (self.slots.state(slot), kind) {
                (SlotState::Placing(Some(order)), _)
                | (SlotState::Placing(None), OutcomeKind::Order { order }) => {
                    self.slots.set_state(slot, SlotState::Live(order));
                    self.slots.get_mut(slot).widen /= 2;
                }
                // It was closed by the events before.
                _ => {}
            },
            Pending::Amend { slot, order, price, open } => {
                if self.slots.state(slot) == SlotState::Changing(order) {
                    let quote = self.slots.get_mut(slot);
                    (quote.price, quote.open) = (price, open);
                    quote.widen /= 2;
                    self.slots.set_state(slot, SlotState::Live(order));
                }
            }
            Pending::Cancel { order, .. } => self.forget(order),
            Pending::Other => {}
        }
    }

    fn refused(&mut self, pending: Pending, code: RejectCode) {
        if matches!(code, RejectCode::CancelOnly | RejectCode::Halted | RejectCode::NotFounded) {
            self.quiet_until_ns = self.now_ns.saturating_add(SHUT_WAIT_NS);
        }
        let slot = match pending {
            Pending::Place { slot }
            | Pending::Amend { slot, .. }
            | Pending::Cancel { slot, .. } => slot,
            Pending::Other => return,
        };
        if code == RejectCode::WouldTrade {
            let half = (self.slots.get(slot).edge / 2).max(1);
            let quote = self.slots.get_mut(slot);
            quote.widen = (quote.widen + half).min(64 * half);
            quote.not_before_ns = self.now_ns.saturating_add(CROSSED_WAIT_NS);
        }
        match pending {
            // The order is gone, filled by somebody whose events were not heard here.
            Pending::Amend { order, .. } | Pending::Cancel { order, .. }
                if code == RejectCode::UnknownOrder =>
            {
                self.forget(order);
            }
            _ => self.give_up(pending),
        }
    }

    /// The command changed nothing: its slot is as it was before.
    fn give_up(&mut self, pending: Pending) {
        match pending {
            Pending::Place { slot } => {
                if self.slots.state(slot) == SlotState::Placing(None) {
                    self.slots.set_state(slot, SlotState::Empty);
                }
            }
            Pending::Amend { slot, order, .. } | Pending::Cancel { slot, order } => {
                if self.slots.state(slot) == SlotState::Changing(order) {
                    self.slots.set_state(slot, SlotState::Live(order));
                }
            }
            Pending::Other => {}
        }
    }
}
