//! One instrument's book: price levels in order, orders in a level oldest first.

use crate::orders::{Link, NIL, Orders};
use evenkeel_types::{Lots, Side, Ticks};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

/// Most lots open on one side of one book, so that sums over a side stay in 64 bits.
pub const MAX_SIDE_LOTS: Lots = Lots(1 << 60);

/// Orders at one price.
#[derive(Debug, Clone)]
pub(crate) struct Level {
    /// Of [`Ladder::key`].
    pub key: i64,
    pub oldest: u32,
    pub newest: u32,
    pub order_count: usize,
    pub lots: i64,
}

/// One side of a book.
#[derive(Debug, Clone)]
pub(crate) struct Ladder {
    side: Side,
    /// Slots of the levels, keyed by [`Ladder::key`], so the best price comes first on either side.
    by_price: BTreeMap<i64, u32>,
    /// Levels in slots that stay, so that an order leads to its level without a search.
    levels: Vec<Level>,
    /// First of the slots that are not in use, chained through `newest`.
    free: u32,
    /// Slot of the first level of `by_price`.
    best: u32,
    /// Sum over the levels.
    lots: i64,
}

impl Ladder {
    fn new(side: Side) -> Self {
        let (by_price, levels) = (BTreeMap::new(), Vec::new());
        Self { side, by_price, levels, free: NIL, best: NIL, lots: 0 }
    }

    /// Prices are positive, so the negation cannot overflow.
    fn key(&self, price: Ticks) -> i64 {
        match self.side {
            Side::Buy => -price.0,
            Side::Sell => price.0,
        }
    }

    /// The reverse of [`Ladder::key`].
    fn price(&self, key: i64) -> Ticks {
        Ticks(-self.side.sign() * key)
    }

    /// Best price and its level.
    pub fn best(&self) -> Option<(Ticks, &Level)> {
        let level = self.levels.get(self.best as usize)?;
        Some((self.price(level.key), level))
    }

    /// Levels from the best price.
    pub fn levels(&self) -> impl Iterator<Item = (Ticks, &Level)> {
        self.by_price.iter().map(|(key, slot)| (self.price(*key), &self.levels[*slot as usize]))
    }

    /// Number of levels.
    pub fn level_count(&self) -> usize {
        self.by_price.len()
    }

    /// Lots open on this side.
    pub fn lots(&self) -> i64 {
        self.lots
    }

    /// Whether a taker with this limit (`None`: any price) trades at `price`.
    pub fn admits(&self, price: Ticks, limit: Option<Ticks>) -> bool {
        limit.is_none_or(|limit| self.key(price) <= self.key(limit))
    }

    /// Price and slot of the order that trades next with a taker of this limit.
    pub fn next_maker(&self, limit: Option<Ticks>) -> Option<(Ticks, u32)> {
        let (price, level) = self.best()?;
        self.admits(price, limit).then_some((price, level.oldest))
    }

    /// How much of `lots` a taker with this limit would get, and the worst price it would pay.
    pub fn fillable(&self, limit: Option<Ticks>, lots: Lots) -> (Lots, Option<Ticks>) {
        let (mut filled, mut worst) = (0, None);
        for (price, level) in self.levels() {
            if filled >= lots.0 || !self.admits(price, limit) {
                break;
            }
            // A side holds at most 2^60 lots.
            filled += level.lots;
            worst = Some(price);
        }
        (Lots(filled.min(lots.0)), worst)
    }

    /// Slot of the level at a key, made if there is none.
    fn level_at(&mut self, key: i64) -> u32 {
        let entry = match self.by_price.entry(key) {
            Entry::Occupied(entry) => return *entry.get(),
            Entry::Vacant(entry) => entry,
        };
        let level = Level { key, oldest: NIL, newest: NIL, order_count: 0, lots: 0 };
        let slot = if let Some(unused) = self.levels.get_mut(self.free as usize) {
            std::mem::replace(&mut self.free, std::mem::replace(unused, level).newest)
        } else {
            self.levels.push(level);
            // No more levels than orders exist.
            u32::try_from(self.levels.len() - 1).unwrap_or(NIL)
        };
        entry.insert(slot);
        if self.levels.get(self.best as usize).is_none_or(|best| key < best.key) {
            self.best = slot;
        }
        slot
    }

    /// Forgets a level without orders.
    fn remove_level(&mut self, slot: u32) {
        let level = &mut self.levels[slot as usize];
        level.newest = std::mem::replace(&mut self.free, slot);
        self.by_price.remove(&level.key);
        if self.best == slot {
            self.best = self.by_price.first_key_value().map_or(NIL, |(_, slot)| *slot);
        }
    }

    /// Puts an order behind all others at its price.
    pub fn push(&mut self, orders: &mut Orders, slot: u32) {
        let order = orders.at(slot);
        let open = order.open.0;
        let level_slot = self.level_at(self.key(order.price));
        let level = &mut self.levels[level_slot as usize];
        let previous = level.newest;
        level.newest = slot;
        level.order_count += 1;
        level.lots += open;
        self.lots += open;
        if previous == NIL {
            level.oldest = slot;
        } else {
            orders.at_mut(previous).in_level.next = slot;
        }
        let order = orders.at_mut(slot);
        order.in_level = Link { previous, next: NIL };
        order.level = level_slot;
    }

    /// Takes an order out of its level with what is open of it.
    pub fn unlink(&mut self, orders: &mut Orders, slot: u32) {
        let order = orders.at_mut(slot);
        let (level_slot, open, link) = (order.level, order.open.0, order.in_level);
        order.in_level = Link::UNLINKED;
        order.level = NIL;
        self.lots -= open;
        let level = &mut self.levels[level_slot as usize];
        level.lots -= open;
        level.order_count -= 1;
        if level.order_count == 0 {
            self.remove_level(level_slot);
            return;
        }
        if link.previous == NIL {
            level.oldest = link.next;
        } else {
            orders.at_mut(link.previous).in_level.next = link.next;
        }
        if link.next == NIL {
            level.newest = link.previous;
        } else {
            orders.at_mut(link.next).in_level.previous = link.previous;
        }
    }

    /// Lowers an order's open size, keeping its place.
    pub fn reduce(&mut self, orders: &mut Orders, slot: u32, by: Lots) {
        let order = orders.at_mut(slot);
        order.open.0 -= by.0;
        self.lots -= by.0;
        self.levels[order.level as usize].lots -= by.0;
    }

    /// Slots in priority order.
    pub fn slots<'a>(&'a self, orders: &'a Orders) -> impl Iterator<Item = u32> + 'a {
        self.levels().flat_map(|(_, level)| level_slots(level, orders))
    }
}

/// Slots of a level, oldest first.
pub(crate) fn level_slots<'a>(
    level: &Level,
    orders: &'a Orders,
) -> impl Iterator<Item = u32> + use<'a> {
    let mut slot = level.oldest;
    std::iter::from_fn(move || {
        let current = slot;
        if current == NIL {
            return None;
        }
        slot = orders.at(current).in_level.next;
        Some(current)
    })
}

/// Both sides.
#[derive(Debug, Clone)]
pub(crate) struct Book {
    pub bids: Ladder,
    pub asks: Ladder,
}

impl Book {
    pub fn new() -> Self {
        Self { bids: Ladder::new(Side::Buy), asks: Ladder::new(Side::Sell) }
    }

    pub fn side(&self, side: Side) -> &Ladder {
        match side {
            Side::Buy => &self.bids,
            Side::Sell => &self.asks,
        }
    }

    pub fn side_mut(&mut self, side: Side) -> &mut Ladder {
        match side {
            Side::Buy => &mut self.bids,
            Side::Sell => &mut self.asks,
        }
    }

    /// Whether an order on `side` with this limit would trade at once.
    pub fn would_trade(&self, side: Side, limit: Option<Ticks>) -> bool {
        let ladder = self.side(side.opposite());
        ladder.best().is_some_and(|(price, _)| ladder.admits(price, limit))
    }
}
