//! One instrument's book: price levels in order, orders in a level oldest first.

use crate::orders::{Link, NIL, Orders};
use evenkeel_types::{Lots, Side, Ticks};
use std::collections::BTreeMap;

/// Most lots open on one side of one book, so that sums over a side stay in 64 bits.
pub const MAX_SIDE_LOTS: Lots = Lots(1 << 60);

/// Orders at one price.
#[derive(Debug, Clone)]
pub(crate) struct Level {
    pub oldest: u32,
    pub newest: u32,
    pub order_count: usize,
    pub lots: i64,
}

/// One side of a book.
#[derive(Debug, Clone)]
pub(crate) struct Ladder {
    side: Side,
    /// Keyed by [`Ladder::key`], so the best price comes first on either side.
    levels: BTreeMap<i64, Level>,
    /// Sum over the levels.
    lots: i64,
}

impl Ladder {
    fn new(side: Side) -> Self {
        Self { side, levels: BTreeMap::new(), lots: 0 }
    }

    /// Prices are positive, so the negation cannot overflow.
    fn key(&self, price: Ticks) -> i64 {
        match self.side {
            Side::Buy => -price.0,
            Side::Sell => price.0,
        }
    }

    /// Best price and its level.
    pub fn best(&self) -> Option<(Ticks, &Level)> {
        self.levels().next()
    }

    /// Levels from the best price.
    pub fn levels(&self) -> impl Iterator<Item = (Ticks, &Level)> {
        let sign = -self.side.sign();
        self.levels.iter().map(move |(key, level)| (Ticks(sign * key), level))
    }

    /// Number of levels.
    pub fn level_count(&self) -> usize {
        self.levels.len()
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

    /// Puts an order behind all others at its price.
    pub fn push(&mut self, orders: &mut Orders, slot: u32) {
        let order = orders.at(slot);
        let (key, open) = (self.key(order.price), order.open.0);
        let level = self.levels.entry(key).or_insert(Level {
            oldest: NIL,
            newest: NIL,
            order_count: 0,
            lots: 0,
        });
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
        orders.at_mut(slot).in_level = Link { previous, next: NIL };
    }

    /// Takes an order out of its level with what is open of it.
    pub fn unlink(&mut self, orders: &mut Orders, slot: u32) {
        let order = orders.at_mut(slot);
        let (price, open, link) = (order.price, order.open.0, order.in_level);
        order.in_level = Link::UNLINKED;
        if link.previous != NIL {
            orders.at_mut(link.previous).in_level.next = link.next;
        }
        if link.next != NIL {
            orders.at_mut(link.next).in_level.previous = link.previous;
        }
        self.lots -= open;
        let key = self.key(price);
        if let Some(level) = self.levels.get_mut(&key) {
            level.lots -= open;
            level.order_count -= 1;
            if level.order_count == 0 {
                self.levels.remove(&key);
                return;
            }
            if link.previous == NIL {
                level.oldest = link.next;
            }
            if link.next == NIL {
                level.newest = link.previous;
            }
        }
    }

    /// Lowers an order's open size, keeping its place.
    pub fn reduce(&mut self, orders: &mut Orders, slot: u32, by: Lots) {
        let order = orders.at_mut(slot);
        order.open.0 -= by.0;
        self.lots -= by.0;
        let key = self.key(order.price);
        if let Some(level) = self.levels.get_mut(&key) {
            level.lots -= by.0;
        }
    }

    /// Slots in priority order.
    pub fn slots<'a>(&'a self, orders: &'a Orders) -> impl Iterator<Item = u32> + 'a {
        self.levels.values().flat_map(|level| level_slots(level, orders))
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
