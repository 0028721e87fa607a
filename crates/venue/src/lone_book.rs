//! One book alone, to be measured beside other books: the engine's own ladders and order store with
//! nothing around them. No accounts, sessions, margin, modes or events, and no check of terms.

use crate::book::Book;
use crate::orders::{Link, NIL, Order, OrderFlags, Orders};
use evenkeel_types::{Lots, Money, OrderId, SessionId, Side, Ticks};

/// A trade of a [`LoneBook`], at the maker's price.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoneTrade {
    /// The incoming order.
    pub taker: OrderId,
    /// The resting order.
    pub maker: OrderId,
    /// Price in ticks.
    pub price: Ticks,
    /// Size in lots.
    pub lots: Lots,
}

/// A resting order of a [`LoneBook`], in its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoneOrder {
    /// Its id.
    pub order: OrderId,
    /// Price in ticks.
    pub price: Ticks,
    /// Open size in lots.
    pub open: Lots,
}

/// A book with price-time priority and good-till-cancel orders.
///
/// The caller gives ids, each once; prices and sizes are positive and at most what
/// [`evenkeel_types::Instrument`] admits, and a side holds at most [`crate::MAX_SIDE_LOTS`].
#[derive(Debug, Clone)]
pub struct LoneBook {
    book: Book,
    orders: Orders,
}

impl Default for LoneBook {
    fn default() -> Self {
        Self::new()
    }
}

impl LoneBook {
    /// An empty book.
    #[must_use]
    pub fn new() -> Self {
        Self { book: Book::new(), orders: Orders::default() }
    }

    /// Trades what the limit admits (`None`: any price) and rests what is left of a limit order;
    /// what is left of a market order is dropped. Appends the trades.
    pub fn place(
        &mut self,
        order: OrderId,
        side: Side,
        limit: Option<Ticks>,
        lots: Lots,
        trades: &mut Vec<LoneTrade>,
    ) {
        let open = self.cross(order, side, limit, lots, trades);
        let Some(price) = limit.filter(|_| open > Lots::ZERO) else {
            return;
        };
        let slot = self.orders.insert(Order {
            id: order,
            account: 0,
            instrument: 0,
            session: SessionId(0),
            label: 0,
            side,
            post_only: false,
            flags: OrderFlags::default(),
            price,
            open,
            reserve: Money::ZERO,
            in_level: Link::UNLINKED,
            level: NIL,
            in_account: Link::UNLINKED,
            next_in_bucket: NIL,
        });
        self.book.side_mut(side).push(&mut self.orders, slot);
    }

    /// Takes an order out; whether it was there.
    pub fn cancel(&mut self, order: OrderId) -> bool {
        let Some(slot) = self.orders.find(order) else {
            return false;
        };
        let side = self.orders.at(slot).side;
        self.book.side_mut(side).unlink(&mut self.orders, slot);
        self.orders.remove(slot);
        true
    }

    /// Changes price and open size (`None`: as it is); whether the order was there. No more at the
    /// same price keeps its place; anything else goes in again as an incoming limit order.
    pub fn amend(
        &mut self,
        order: OrderId,
        price: Option<Ticks>,
        lots: Option<Lots>,
        trades: &mut Vec<LoneTrade>,
    ) -> bool {
        let Some(slot) = self.orders.find(order) else {
            return false;
        };
        let before = self.orders.at(slot);
        let (side, open) = (before.side, before.open);
        let (price, lots) = (price.unwrap_or(before.price), lots.unwrap_or(open));
        let keeps_place = price == before.price && lots <= open;
        let ladder = self.book.side_mut(side);
        if keeps_place {
            ladder.reduce(&mut self.orders, slot, Lots(open.0 - lots.0));
            return true;
        }
        ladder.unlink(&mut self.orders, slot);
        let open = self.cross(order, side, Some(price), lots, trades);
        if open == Lots::ZERO {
            self.orders.remove(slot);
        } else {
            let amended = self.orders.at_mut(slot);
            amended.price = price;
            amended.open = open;
            self.book.side_mut(side).push(&mut self.orders, slot);
        }
        true
    }

    /// How much of `lots` an incoming order would get within its limit (`None`: at any price).
    #[must_use]
    pub fn fillable(&self, side: Side, limit: Option<Ticks>, lots: Lots) -> Lots {
        self.book.side(side.opposite()).fillable(limit, lots).0
    }

    /// Trades until nothing is left to take; returns what stays open.
    fn cross(
        &mut self,
        taker: OrderId,
        side: Side,
        limit: Option<Ticks>,
        lots: Lots,
        trades: &mut Vec<LoneTrade>,
    ) -> Lots {
        let mut open = lots;
        let ladder = self.book.side_mut(side.opposite());
        while open > Lots::ZERO {
            let Some((price, slot)) = ladder.next_maker(limit) else {
                break;
            };
            let maker = self.orders.at(slot);
            let lots = open.min(maker.open);
            trades.push(LoneTrade { taker, maker: maker.id, price, lots });
            open.0 -= lots.0;
            if lots == maker.open {
                ladder.unlink(&mut self.orders, slot);
                self.orders.remove(slot);
            } else {
                ladder.reduce(&mut self.orders, slot, lots);
            }
        }
        open
    }

    /// Orders of a side in priority order.
    pub fn orders(&self, side: Side) -> impl Iterator<Item = LoneOrder> {
        let slots = self.book.side(side).slots(&self.orders);
        slots.map(|slot| {
            let order = self.orders.at(slot);
            LoneOrder { order: order.id, price: order.price, open: order.open }
        })
    }

    /// Number of resting orders.
    #[must_use]
    pub fn order_count(&self) -> usize {
        self.orders.count()
    }

    /// Number of price levels of a side.
    #[must_use]
    pub fn level_count(&self, side: Side) -> usize {
        self.book.side(side).level_count()
    }
}
