//! Open orders: a slab of nodes, found by order id through an index.

use crate::chunks::Chunks;
use crate::order_index::OrderIndex;
use evenkeel_types::canonical_newtype;
use evenkeel_types::conditional::{OrderTerms, SelfTrade};
use evenkeel_types::{InstrumentId, Lots, Money, OrderId, SessionId, Side, Ticks};

/// The slot that means "none" in every intrusive list.
pub(crate) const NIL: u32 = u32::MAX;

/// Most open orders a venue holds. With [`evenkeel_types::Instrument::MAX_VALUE`] it bounds what
/// all open orders together can move: 2^24 · 2^91 = 2^115 units of money.
pub const MAX_OPEN_ORDERS: usize = 1 << 24;

/// Neighbours in an intrusive list; [`NIL`] at its ends.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Link {
    pub previous: u32,
    pub next: u32,
}

impl Link {
    pub const UNLINKED: Self = Self { previous: NIL, next: NIL };
}

/// What a resting order keeps of its further terms, a bit each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct OrderFlags(pub u8);
canonical_newtype!(OrderFlags);

impl OrderFlags {
    const REDUCE_ONLY: u8 = 1;
    const PROTECTED: u8 = 2;
    const SLIDE: u8 = 16;
    const ALL: u8 = 31;

    /// Of an order's further terms.
    pub fn new(terms: &OrderTerms) -> Self {
        let self_trade = match terms.self_trade {
            SelfTrade::Allow => 0,
            SelfTrade::CancelTaker => 4,
            SelfTrade::CancelMaker => 8,
            SelfTrade::CancelBoth => 12,
        };
        let reduce_only = u8::from(terms.reduce_only) * Self::REDUCE_ONLY;
        let protected = u8::from(terms.protected) * Self::PROTECTED;
        Self(reduce_only + protected + u8::from(terms.slide) * Self::SLIDE + self_trade)
    }

    /// What is kept of the terms: all but what only matters before an order rests.
    pub fn terms(self) -> OrderTerms {
        OrderTerms {
            reduce_only: self.is_reduce_only(),
            slide: self.0 & Self::SLIDE != 0,
            self_trade: self.self_trade(),
            protected: self.is_protected(),
            protection_bp: None,
            trigger: None,
        }
    }

    pub fn is_reduce_only(self) -> bool {
        self.0 & Self::REDUCE_ONLY != 0
    }

    pub fn is_protected(self) -> bool {
        self.0 & Self::PROTECTED != 0
    }

    pub fn self_trade(self) -> SelfTrade {
        match self.0 & 12 {
            0 => SelfTrade::Allow,
            4 => SelfTrade::CancelTaker,
            8 => SelfTrade::CancelMaker,
            _ => SelfTrade::CancelBoth,
        }
    }

    pub fn is_valid(self) -> bool {
        self.0 <= Self::ALL
    }
}

/// A resting order. Only good-till-cancel orders rest, so the time in force is not kept.
#[derive(Debug, Clone)]
pub(crate) struct Order {
    pub id: OrderId,
    /// Slot of the owner.
    pub account: u32,
    /// Slot of the instrument.
    pub instrument: u32,
    pub session: SessionId,
    pub label: u64,
    pub side: Side,
    pub post_only: bool,
    pub flags: OrderFlags,
    pub price: Ticks,
    pub open: Lots,
    /// What it reserves of its owner's balance: always [`crate::margin::order_reserve`] of it.
    pub reserve: Money,
    /// Place in its price level, oldest first.
    pub in_level: Link,
    /// Its price level's slot in its ladder; kept by the ladder.
    pub level: u32,
    /// Place in its owner's list, by order id: ids grow, and an amended order keeps its place.
    pub in_account: Link,
    /// The next order with the same remainder of its id; kept by [`Orders`].
    pub next_in_bucket: u32,
}

/// The memory of a million open orders is promised; see the benchmarks.
const _: () = assert!(size_of::<Order>() <= 96);
impl Order {
    /// False while it is being amended, on its way through the book again.
    pub fn is_resting(&self) -> bool {
        self.level != NIL
    }
}

/// All open orders.
#[derive(Debug, Clone)]
pub(crate) struct Orders {
    nodes: Chunks<Order>,
    index: OrderIndex,
    /// First of the slots that are not in use, chained like a bucket.
    free: u32,
    count: usize,
}

impl Default for Orders {
    fn default() -> Self {
        Self { nodes: Chunks::default(), index: OrderIndex::default(), free: NIL, count: 0 }
    }
}

impl Orders {
    /// Number of open orders.
    pub fn count(&self) -> usize {
        self.count
    }

    /// The order in a slot that is in use.
    pub fn at(&self, slot: u32) -> &Order {
        self.nodes.at(slot)
    }

    /// As [`Orders::at`], to change.
    pub fn at_mut(&mut self, slot: u32) -> &mut Order {
        self.nodes.at_mut(slot)
    }

    /// Slot of an open order.
    pub fn find(&self, id: OrderId) -> Option<u32> {
        self.index.find(&self.nodes, id)
    }

    /// Stores an order and returns its slot. The caller has checked [`MAX_OPEN_ORDERS`] and that
    /// the id is new.
    pub fn insert(&mut self, order: Order) -> u32 {
        let slot = if self.free == NIL {
            self.nodes.push(order);
            // At most 2^24 nodes exist.
            u32::try_from(self.nodes.len() - 1).unwrap_or(NIL)
        } else {
            let slot = self.free;
            let node = self.nodes.at_mut(slot);
            self.free = node.next_in_bucket;
            *node = order;
            slot
        };
        self.count += 1;
        self.index.insert(&mut self.nodes, slot, self.count);
        slot
    }

    /// Forgets an order that is in no list any more.
    pub fn remove(&mut self, slot: u32) {
        self.index.remove(&mut self.nodes, slot);
        self.nodes.at_mut(slot).next_in_bucket = self.free;
        self.free = slot;
        self.count -= 1;
    }
}

/// An open order, to look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OrderView {
    /// Its id.
    pub order: OrderId,
    /// Where it rests.
    pub instrument: InstrumentId,
    /// Its owner.
    pub account: evenkeel_types::AccountId,
    /// The session that sent it.
    pub session: SessionId,
    /// Buy or sell.
    pub side: Side,
    /// Limit price.
    pub price: Ticks,
    /// Open size.
    pub open: Lots,
    /// The client's own mark.
    pub label: u64,
    /// Whether it may never take.
    pub post_only: bool,
    /// What it reserves, in [`crate::margin::reserve_currency`].
    pub reserve: Money,
}
