//! Open orders by id: a hash table without hashing, since ids are counted.

use crate::chunks::Chunks;
use crate::orders::{NIL, Order};
use evenkeel_types::OrderId;

/// Slots by id: chains through the orders, a bucket for each remainder of the id.
///
/// Ids are given in sequence, so neighbours never share a bucket, and to make a chain of *n* orders
/// somebody has to send *n* times as many orders as there are buckets: nobody can slow it down.
/// It grows by splitting one bucket when an order comes (linear hashing), never all of them at
/// once.
#[derive(Debug, Clone, Default)]
pub(crate) struct OrderIndex {
    /// First order of each chain.
    buckets: Chunks<u32>,
    bucket_count: u64,
}

/// Buckets for each order, so that most chains hold at most one.
const BUCKETS_PER_ORDER: u64 = 2;

impl OrderIndex {
    /// The bucket of an id; there is at least one bucket. The remainder by the next power of two,
    /// or by half of it where that bucket has not been split off yet.
    fn bucket(&self, id: OrderId) -> u32 {
        let rounded = self.bucket_count.next_power_of_two();
        let wide = id.0 & (rounded - 1);
        let bucket = if wide < self.bucket_count { wide } else { id.0 & (rounded / 2 - 1) };
        // At most twice 2^24 buckets exist.
        u32::try_from(bucket).unwrap_or(NIL)
    }

    /// Slot of an order.
    pub fn find(&self, orders: &Chunks<Order>, id: OrderId) -> Option<u32> {
        if self.bucket_count == 0 {
            return None;
        }
        let mut slot = *self.buckets.at(self.bucket(id));
        while slot != NIL {
            let order = orders.at(slot);
            if order.id == id {
                return Some(slot);
            }
            slot = order.next_in_bucket;
        }
        None
    }

    /// Enters the order in a slot, whose id is new, among `order_count` with it.
    pub fn insert(&mut self, orders: &mut Chunks<Order>, slot: u32, order_count: usize) {
        while self.bucket_count < order_count as u64 * BUCKETS_PER_ORDER {
            self.split(orders);
        }
        let bucket = self.bucket(orders.at(slot).id);
        let first = self.buckets.at_mut(bucket);
        orders.at_mut(slot).next_in_bucket = *first;
        *first = slot;
    }

    /// Takes out the order in a slot.
    pub fn remove(&mut self, orders: &mut Chunks<Order>, slot: u32) {
        let order = orders.at(slot);
        let (bucket, next) = (self.bucket(order.id), order.next_in_bucket);
        let first = self.buckets.at_mut(bucket);
        if *first == slot {
            *first = next;
            return;
        }
        let mut before = *first;
        while before != NIL {
            let order = orders.at_mut(before);
            if order.next_in_bucket == slot {
                order.next_in_bucket = next;
                return;
            }
            before = order.next_in_bucket;
        }
    }

    /// Adds a bucket and gives it what it is to have of the one whose orders it shared.
    fn split(&mut self, orders: &mut Chunks<Order>) {
        let added = self.bucket_count;
        self.buckets.push(NIL);
        self.bucket_count += 1;
        if added == 0 {
            return;
        }
        // The highest bit of its number is what tells the two apart.
        let bit = 1 << added.ilog2();
        let number = |bucket: u64| u32::try_from(bucket).unwrap_or(NIL);
        let (shared, added) = (number(added - bit), number(added));
        let mut slot = *self.buckets.at(shared);
        let mut chains = [NIL; 2];
        while slot != NIL {
            let order = orders.at_mut(slot);
            let chain = &mut chains[usize::from(order.id.0 & bit != 0)];
            let next = order.next_in_bucket;
            order.next_in_bucket = *chain;
            *chain = slot;
            slot = next;
        }
        [*self.buckets.at_mut(shared), *self.buckets.at_mut(added)] = chains;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::orders::{Link, OrderFlags, Orders};
    use evenkeel_types::{Lots, Money, SessionId, Side, Ticks};
    use std::collections::BTreeMap;

    fn order(id: u64) -> Order {
        Order {
            id: OrderId(id),
            account: 0,
            instrument: 0,
            session: SessionId(0),
            label: 0,
            side: Side::Buy,
            post_only: false,
            flags: OrderFlags::default(),
            price: Ticks(1),
            open: Lots(1),
            reserve: Money::ZERO,
            in_level: Link::UNLINKED,
            level: NIL,
            in_account: Link::UNLINKED,
            next_in_bucket: NIL,
        }
    }

    fn agree(orders: &Orders, known: &BTreeMap<u64, u32>, ids: impl Iterator<Item = u64>) {
        assert_eq!(orders.count(), known.len());
        for id in ids {
            assert_eq!(orders.find(OrderId(id)), known.get(&id).copied(), "order {id}");
        }
    }

    #[test]
    fn orders_are_found_by_their_ids_while_others_come_and_go() {
        let (mut orders, mut known) = (Orders::default(), BTreeMap::new());
        agree(&orders, &known, 0..3);
        for id in 0..20_000 {
            known.insert(id, orders.insert(order(id)));
            // Two of three go, some at once, some long after.
            let gone = [id.checked_sub(1), id.checked_sub(7_000)][usize::from(id % 3 == 0)];
            if let Some(slot) = gone.and_then(|gone| known.remove(&gone)) {
                orders.remove(slot);
            }
            if id.is_power_of_two() {
                agree(&orders, &known, 0..id + 3);
            }
        }
        agree(&orders, &known, 0..20_003);
        for slot in std::mem::take(&mut known).into_values() {
            orders.remove(slot);
        }
        agree(&orders, &known, 0..20_003);
        known.insert(u64::MAX, orders.insert(order(u64::MAX)));
        agree(&orders, &known, [5, u64::MAX - 1, u64::MAX].into_iter());
    }

    #[test]
    fn orders_whose_ids_share_a_bucket_are_told_apart_in_any_sequence_of_removal() {
        for sequence in [[0, 1, 2, 3], [3, 2, 1, 0], [1, 3, 0, 2]] {
            let (mut orders, mut known) = (Orders::default(), BTreeMap::new());
            let ids = [7, 7 + (1 << 20), 7 + (1 << 21), 7 + (1 << 40)];
            for id in ids {
                known.insert(id, orders.insert(order(id)));
            }
            for at in sequence {
                orders.remove(known.remove(&ids[at]).expect("known"));
                agree(&orders, &known, ids.into_iter());
            }
        }
    }
}
