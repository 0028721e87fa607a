//! The places a crowd keeps orders in: which are empty, which hold an order, which wait for an
//! answer.

use super::random::Random;
use evenkeel_types::{OrderId, Side};
use std::collections::BTreeMap;

/// Where a slot's order stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SlotState {
    /// No order.
    Empty,
    /// Sent, not yet answered; the id is known once it was accepted.
    Placing(Option<OrderId>),
    /// Resting.
    Live(OrderId),
    /// Resting, with a change or a cancel on its way.
    Changing(OrderId),
}

/// One place for one order.
#[derive(Debug, Clone)]
pub(super) struct Slot {
    /// Index of the trader within the crowd.
    pub trader: usize,
    /// Index of the instrument within the plan.
    pub instrument: usize,
    /// Buy or sell.
    pub side: Side,
    /// How many half spreads behind the best quote this slot stands.
    pub depth: i64,
    /// Ticks added to the half spread, drawn anew now and then.
    pub edge: i64,
    /// Further ticks after a quote was refused because it would have traded.
    pub widen: i64,
    /// Price of the order, ticks.
    pub price: i64,
    /// Open size of the order, lots.
    pub open: i64,
    /// Not used again before this time.
    pub not_before_ns: u64,
    state: SlotState,
    /// Index within the list of its state.
    listed_at: usize,
}

/// All slots of a crowd, with constant-time random choice among the empty and the live ones.
#[derive(Debug, Default)]
pub(super) struct Slots {
    slots: Vec<Slot>,
    empty: Vec<usize>,
    live: Vec<usize>,
    by_order: BTreeMap<OrderId, usize>,
}

impl Slots {
    pub fn add(&mut self, trader: usize, instrument: usize, side: Side, depth: i64) {
        let listed_at = self.empty.len();
        self.empty.push(self.slots.len());
        self.slots.push(Slot {
            trader,
            instrument,
            side,
            depth,
            edge: 0,
            widen: 0,
            price: 0,
            open: 0,
            not_before_ns: 0,
            state: SlotState::Empty,
            listed_at,
        });
    }

    pub fn len(&self) -> usize {
        self.slots.len()
    }

    pub fn empty_count(&self) -> usize {
        self.empty.len()
    }

    /// Number of slots that hold an order as far as the crowd knows.
    pub fn open_count(&self) -> usize {
        self.by_order.len()
    }

    pub fn get(&self, slot: usize) -> &Slot {
        &self.slots[slot]
    }

    pub fn get_mut(&mut self, slot: usize) -> &mut Slot {
        &mut self.slots[slot]
    }

    pub fn state(&self, slot: usize) -> SlotState {
        self.slots[slot].state
    }

    pub fn find(&self, order: OrderId) -> Option<usize> {
        self.by_order.get(&order).copied()
    }

    pub fn random_empty(&self, random: &mut Random) -> Option<usize> {
        self.empty.get(random.below(self.empty.len())).copied()
    }

    pub fn random_live(&self, random: &mut Random) -> Option<usize> {
        self.live.get(random.below(self.live.len())).copied()
    }

    /// Slots that hold a resting order nothing is under way for.
    pub fn live(&self) -> &[usize] {
        &self.live
    }

    /// Moves a slot to another state; the index of orders follows.
    pub fn set_state(&mut self, slot: usize, state: SlotState) {
        let old = self.slots[slot].state;
        self.unlist(slot, old);
        if let Some(order) = order_of(old) {
            self.by_order.remove(&order);
        }
        if let Some(order) = order_of(state) {
            self.by_order.insert(order, slot);
        }
        self.slots[slot].state = state;
        if let Some(list) = self.list(state) {
            list.push(slot);
            let listed_at = list.len() - 1;
            self.slots[slot].listed_at = listed_at;
        }
    }

    fn unlist(&mut self, slot: usize, state: SlotState) {
        let at = self.slots[slot].listed_at;
        let Some(list) = self.list(state) else { return };
        list.swap_remove(at);
        if let Some(&moved) = list.get(at) {
            self.slots[moved].listed_at = at;
        }
    }

    fn list(&mut self, state: SlotState) -> Option<&mut Vec<usize>> {
        match state {
            SlotState::Empty => Some(&mut self.empty),
            SlotState::Live(_) => Some(&mut self.live),
            SlotState::Placing(_) | SlotState::Changing(_) => None,
        }
    }
}

fn order_of(state: SlotState) -> Option<OrderId> {
    match state {
        SlotState::Empty => None,
        SlotState::Placing(order) => order,
        SlotState::Live(order) | SlotState::Changing(order) => Some(order),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_and_index_follow_every_change_of_state() {
        let mut slots = Slots::default();
        for instrument in 0..40 {
            slots.add(0, instrument, Side::Buy, 0);
        }
        let mut random = Random::new(3, 0);
        for round in 1..5_000 {
            let slot = random.below(slots.len());
            let order = OrderId(round);
            let next = match random.below(4) {
                0 => SlotState::Empty,
                1 => SlotState::Placing(None),
                2 => SlotState::Live(order),
                _ => SlotState::Changing(order),
            };
            slots.set_state(slot, next);
            for (number, slot) in slots.slots.iter().enumerate() {
                let is_empty = slot.state == SlotState::Empty;
                let is_live = matches!(slot.state, SlotState::Live(_));
                assert_eq!(slots.empty.contains(&number), is_empty);
                assert_eq!(slots.live.contains(&number), is_live);
                if let Some(order) = order_of(slot.state) {
                    assert_eq!(slots.find(order), Some(number));
                }
            }
            let holding = slots.slots.iter().filter(|slot| order_of(slot.state).is_some());
            assert_eq!(slots.open_count(), holding.count());
        }
    }
}
