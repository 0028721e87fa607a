//! A book of single orders, kept exactly as a feed tells it, without matching.

use super::bitstamp::line::{Happening, OrderEvent};
use evenkeel_types::Side;
use std::collections::{BTreeMap, HashMap, HashSet};

/// Both sides' levels by price, in units of 10⁻⁸.
#[derive(Debug, Default, Clone)]
pub struct Levels {
    bids: BTreeMap<i64, i64>,
    asks: BTreeMap<i64, i64>,
}

impl Levels {
    /// One side by rising price.
    #[must_use]
    pub fn side(&self, side: Side) -> &BTreeMap<i64, i64> {
        match side {
            Side::Buy => &self.bids,
            Side::Sell => &self.asks,
        }
    }

    fn side_mut(&mut self, side: Side) -> &mut BTreeMap<i64, i64> {
        match side {
            Side::Buy => &mut self.bids,
            Side::Sell => &mut self.asks,
        }
    }

    /// Amount at a price.
    #[must_use]
    pub fn amount(&self, side: Side, price: i64) -> i64 {
        self.side(side).get(&price).copied().unwrap_or(0)
    }

    /// Sets the amount at a price; 0 removes the level.
    pub fn set(&mut self, side: Side, price: i64, amount: i64) {
        if amount == 0 {
            self.side_mut(side).remove(&price);
        } else {
            self.side_mut(side).insert(price, amount);
        }
    }

    /// Best price first.
    pub fn best_first(&self, side: Side) -> Box<dyn Iterator<Item = (i64, i64)> + '_> {
        let levels = self.side(side).iter().map(|(price, amount)| (*price, *amount));
        match side {
            Side::Buy => Box::new(levels.rev()),
            Side::Sell => Box::new(levels),
        }
    }

    /// True if the best bid reaches the best ask.
    #[must_use]
    pub fn is_crossed(&self) -> bool {
        let best = |side| self.best_first(side).next();
        matches!((best(Side::Buy), best(Side::Sell)), (Some(bid), Some(ask)) if bid.0 >= ask.0)
    }

    fn add(&mut self, side: Side, price: i64, amount: i64) {
        self.set(side, price, self.amount(side, price) + amount);
    }
}

/// An order as told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ToldOrder {
    /// Its side.
    pub side: Side,
    /// Its price.
    pub price: i64,
    /// What is open of it.
    pub amount: i64,
}

/// What an event did to the book.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    /// The order now stands like this.
    Stands(ToldOrder),
    /// The order, which stood like this, is gone.
    Gone(ToldOrder),
    /// An event of an order from before the recording: gone without ever having been seen.
    OlderGone,
    /// Appeared or changed after it was deleted, or appeared twice: ignored.
    AfterItsEnd,
    /// Deleted a second time: ignored.
    GoneAgain,
}

/// How often events were not as the feed's logic wants them.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Oddities {
    /// Deletions of orders that were never seen to appear.
    pub deleted_unseen: u64,
    /// Changes of orders that were never seen to appear; they are taken over from there.
    pub changed_unseen: u64,
    /// Deletions of orders already deleted.
    pub deleted_again: u64,
    /// Appearances and changes of orders already deleted.
    pub after_deletion: u64,
}

/// The book as a feed tells it.
#[derive(Debug, Default)]
pub struct ToldBook {
    orders: HashMap<u64, ToldOrder>,
    gone: HashSet<u64>,
    levels: Levels,
    oddities: Oddities,
}

impl ToldBook {
    /// The levels now.
    #[must_use]
    pub fn levels(&self) -> &Levels {
        &self.levels
    }

    /// An order now.
    #[must_use]
    pub fn order(&self, id: u64) -> Option<ToldOrder> {
        self.orders.get(&id).copied()
    }

    /// What was odd so far.
    #[must_use]
    pub fn oddities(&self) -> Oddities {
        self.oddities
    }

    /// Takes one event in. What concerns an order already deleted is ignored: such events arrive
    /// out of order, and obeying them would leave orders in the book that never go.
    pub fn apply(&mut self, event: &OrderEvent) -> Told {
        let known = self.orders.get(&event.id).copied();
        if known.is_none() && self.gone.contains(&event.id) {
            return self.after_its_end(event.happening);
        }
        if known.is_some() && event.happening == Happening::Created {
            self.oddities.after_deletion += 1;
            return Told::AfterItsEnd;
        }
        if let Some(old) = known {
            self.levels.add(old.side, old.price, -old.amount);
        }
        match event.happening {
            Happening::Deleted => {
                self.orders.remove(&event.id);
                self.gone.insert(event.id);
                self.oddities.deleted_unseen += u64::from(known.is_none());
                known.map_or(Told::OlderGone, Told::Gone)
            }
            Happening::Created | Happening::Changed => {
                let unseen = known.is_none() && event.happening == Happening::Changed;
                self.oddities.changed_unseen += u64::from(unseen);
                let OrderEvent { side, price, amount, .. } = *event;
                let order = ToldOrder { side, price, amount };
                self.orders.insert(event.id, order);
                self.levels.add(side, price, amount);
                Told::Stands(order)
            }
        }
    }

    fn after_its_end(&mut self, happening: Happening) -> Told {
        if happening == Happening::Deleted {
            self.oddities.deleted_again += 1;
            Told::GoneAgain
        } else {
            self.oddities.after_deletion += 1;
            Told::AfterItsEnd
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Happening::{Changed, Created, Deleted};

    fn event(happening: Happening, id: u64, price: i64, amount: i64) -> OrderEvent {
        OrderEvent { happening, id, side: Side::Buy, price, amount }
    }

    #[test]
    fn levels_are_the_sums_of_the_orders_told() {
        let mut book = ToldBook::default();
        for event in [
            event(Created, 1, 10, 5),
            event(Created, 2, 10, 7),
            event(Created, 3, 12, 1),
            event(Changed, 2, 10, 4),
            event(Deleted, 3, 12, 0),
            event(Changed, 1, 11, 5),
        ] {
            book.apply(&event);
        }
        let bids: Vec<_> = book.levels().best_first(Side::Buy).collect();
        assert_eq!(bids, [(11, 5), (10, 4)]);
        assert_eq!(book.oddities(), Oddities::default());
    }

    #[test]
    fn events_behind_an_orders_end_are_counted_and_change_nothing() {
        let mut book = ToldBook::default();
        assert_eq!(book.apply(&event(Deleted, 1, 10, 5)), Told::OlderGone);
        assert_eq!(book.apply(&event(Created, 1, 10, 5)), Told::AfterItsEnd);
        assert_eq!(book.apply(&event(Changed, 1, 10, 4)), Told::AfterItsEnd);
        assert_eq!(book.apply(&event(Deleted, 1, 10, 5)), Told::GoneAgain);
        assert_eq!(book.levels().best_first(Side::Buy).count(), 0);
        let expected =
            Oddities { deleted_unseen: 1, changed_unseen: 0, deleted_again: 1, after_deletion: 2 };
        assert_eq!(book.oddities(), expected);
    }

    #[test]
    fn an_order_from_before_the_recording_is_taken_over_when_it_changes() {
        let mut book = ToldBook::default();
        let order = ToldOrder { side: Side::Buy, price: 10, amount: 3 };
        assert_eq!(book.apply(&event(Changed, 9, 10, 3)), Told::Stands(order));
        assert_eq!(book.oddities().changed_unseen, 1);
        assert_eq!(book.apply(&event(Deleted, 9, 10, 0)), Told::Gone(order));
    }

    #[test]
    fn a_crossed_book_shows() {
        let mut levels = Levels::default();
        levels.set(Side::Buy, 10, 1);
        levels.set(Side::Sell, 11, 1);
        assert!(!levels.is_crossed());
        levels.set(Side::Sell, 10, 1);
        assert!(levels.is_crossed());
    }
}
