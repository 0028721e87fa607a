//! Open orders: a slab of nodes, found by order id through pages.

use evenkeel_types::canonical_newtype;
use evenkeel_types::conditional::{OrderTerms, SelfTrade};
use evenkeel_types::{InstrumentId, Lots, Money, OrderId, SessionId, Side, Ticks};
use std::collections::BTreeMap;

/// The slot that means "none" in every intrusive list.
pub(crate) const NIL: u32 = u32::MAX;

/// Most open orders a venue holds. With [`evenkeel_types::Instrument::MAX_VALUE`] it bounds what
/// all open orders together can move: 2^24 · 2^91 = 2^115 units of money.
pub const MAX_OPEN_ORDERS: usize = 1 << 24;

const PAGE_ORDERS: usize = 512;

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
    const ALL: u8 = 15;

    /// Of an order's further terms.
    pub fn new(terms: &OrderTerms) -> Self {
        let self_trade = match terms.self_trade {
            SelfTrade::Allow => 0,
            SelfTrade::CancelTaker => 4,
            SelfTrade::CancelMaker => 8,
            SelfTrade::CancelBoth => 12,
        };
        let reduce_only = u8::from(terms.reduce_only) * Self::REDUCE_ONLY;
        Self(reduce_only + u8::from(terms.protected) * Self::PROTECTED + self_trade)
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
    /// Place in its owner's list, by order id: ids grow, and an amended order keeps its place.
    pub in_account: Link,
}

/// Slots of [`PAGE_ORDERS`] consecutive order ids.
#[derive(Debug, Clone)]
struct Page {
    live_count: usize,
    slots: [u32; PAGE_ORDERS],
}

/// All open orders.
#[derive(Debug, Clone, Default)]
pub(crate) struct Orders {
    nodes: Vec<Order>,
    free: Vec<u32>,
    pages: BTreeMap<u64, Box<Page>>,
    /// Emptied pages, kept so that a steady flow of orders allocates nothing.
    #[expect(clippy::vec_box, reason = "pages move to and from the map without being copied")]
    spare_pages: Vec<Box<Page>>,
}

/// Emptied pages kept for reuse.
const SPARE_PAGES_MAX: usize = 64;

impl Orders {
    /// Number of open orders.
    pub fn count(&self) -> usize {
        self.nodes.len() - self.free.len()
    }

    /// The order in a slot that is in use.
    pub fn at(&self, slot: u32) -> &Order {
        &self.nodes[slot as usize]
    }

    /// As [`Orders::at`], to change.
    pub fn at_mut(&mut self, slot: u32) -> &mut Order {
        &mut self.nodes[slot as usize]
    }

    /// Slot of an open order.
    pub fn find(&self, id: OrderId) -> Option<u32> {
        let page = self.pages.get(&(id.0 / PAGE_ORDERS as u64))?;
        let slot = page.slots[Self::index_in_page(id)];
        (slot != NIL).then_some(slot)
    }

    /// Stores an order and returns its slot. The caller has checked [`MAX_OPEN_ORDERS`] and that
    /// the id is new.
    pub fn insert(&mut self, order: Order) -> u32 {
        let id = order.id;
        let slot = if let Some(slot) = self.free.pop() {
            self.nodes[slot as usize] = order;
            slot
        } else {
            self.nodes.push(order);
            // At most 2^24 nodes exist.
            u32::try_from(self.nodes.len() - 1).unwrap_or(NIL)
        };
        let spare_pages = &mut self.spare_pages;
        let page = self.pages.entry(id.0 / PAGE_ORDERS as u64).or_insert_with(|| {
            spare_pages
                .pop()
                .unwrap_or_else(|| Box::new(Page { live_count: 0, slots: [NIL; PAGE_ORDERS] }))
        });
        page.live_count += 1;
        page.slots[Self::index_in_page(id)] = slot;
        slot
    }

    /// Forgets an order that is in no list any more.
    pub fn remove(&mut self, slot: u32) {
        let id = self.nodes[slot as usize].id;
        self.free.push(slot);
        let page_number = id.0 / PAGE_ORDERS as u64;
        if let Some(page) = self.pages.get_mut(&page_number) {
            page.slots[Self::index_in_page(id)] = NIL;
            page.live_count -= 1;
            if page.live_count == 0
                && let Some(page) = self.pages.remove(&page_number)
                && self.spare_pages.len() < SPARE_PAGES_MAX
            {
                self.spare_pages.push(page);
            }
        }
    }

    fn index_in_page(id: OrderId) -> usize {
        // The remainder is below 512.
        usize::try_from(id.0 % PAGE_ORDERS as u64).unwrap_or(0)
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
