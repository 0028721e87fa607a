//! The file's own names, numbered: instruments, accounts and orders.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

/// Stands for "none" where a number is expected.
pub const NONE: u32 = u32::MAX;

/// Names numbered from 0 in order of appearance.
#[derive(Debug, Default)]
pub struct Names {
    numbers: HashMap<Box<[u8]>, u32>,
    names: Vec<Box<[u8]>>,
}

impl Names {
    /// The name's number, a new one if it has not been seen.
    pub fn number(&mut self, name: &[u8]) -> u32 {
        if let Some(number) = self.numbers.get(name) {
            return *number;
        }
        let number = u32::try_from(self.names.len()).unwrap_or(NONE);
        self.numbers.insert(name.into(), number);
        self.names.push(name.into());
        number
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.names.len()
    }

    /// The name with this number; they are ASCII.
    #[must_use]
    pub fn name(&self, number: u32) -> &str {
        text(&self.names[number as usize])
    }
}

fn text(name: &[u8]) -> &str {
    std::str::from_utf8(name).unwrap_or_default()
}

/// The orders of a file, numbered from 0 in order of appearance. An id names one order of one
/// instrument: two instruments may use the same ids.
#[derive(Debug, Default)]
pub struct OrderTable {
    /// Last order with this hash of its id.
    last_by_hash: HashMap<u64, u32>,
    orders: Vec<TableOrder>,
    /// All ids, one behind the other.
    ids: Vec<u8>,
}

#[derive(Debug, Clone, Copy)]
struct TableOrder {
    id_end: usize,
    instrument: u32,
    account: u32,
    row: u32,
    /// The order before it with the same hash.
    previous: u32,
}

fn hash_of(id: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    id.hash(&mut hasher);
    hasher.finish()
}

impl OrderTable {
    /// Takes a new order in.
    ///
    /// # Errors
    /// The row of the order that already has this id on this instrument.
    pub fn add(&mut self, id: &[u8], instrument: u32, account: u32, row: u32) -> Result<u32, u32> {
        let hash = hash_of(id);
        let previous = self.last_by_hash.get(&hash).copied().unwrap_or(NONE);
        let same = self.chain(previous).find(|order| self.matches(*order, id, instrument));
        if let Some(same) = same {
            return Err(self.orders[same as usize].row);
        }
        let number = u32::try_from(self.orders.len()).unwrap_or(NONE);
        self.ids.extend_from_slice(id);
        let id_end = self.ids.len();
        self.orders.push(TableOrder { id_end, instrument, account, row, previous });
        self.last_by_hash.insert(hash, number);
        Ok(number)
    }

    /// The order with this id; on any instrument if none is given, the last one if several.
    #[must_use]
    pub fn find(&self, id: &[u8], instrument: u32) -> u32 {
        let last = self.last_by_hash.get(&hash_of(id)).copied().unwrap_or(NONE);
        self.chain(last).find(|order| self.matches(*order, id, instrument)).unwrap_or(NONE)
    }

    fn chain(&self, last: u32) -> impl Iterator<Item = u32> {
        let existing = |number: u32| (number != NONE).then_some(number);
        std::iter::successors(existing(last), move |number| {
            existing(self.orders[*number as usize].previous)
        })
    }

    fn matches(&self, order: u32, id: &[u8], instrument: u32) -> bool {
        let known = self.orders[order as usize].instrument;
        (instrument == NONE || instrument == known) && self.id_bytes(order) == id
    }

    fn id_bytes(&self, order: u32) -> &[u8] {
        let order = order as usize;
        let start = order.checked_sub(1).map_or(0, |before| self.orders[before].id_end);
        &self.ids[start..self.orders[order].id_end]
    }

    /// Its id as written.
    #[must_use]
    pub fn id(&self, order: u32) -> &str {
        text(self.id_bytes(order))
    }

    /// Its instrument's number.
    #[must_use]
    pub fn instrument(&self, order: u32) -> u32 {
        self.orders[order as usize].instrument
    }

    /// Its account's number.
    #[must_use]
    pub fn account(&self, order: u32) -> u32 {
        self.orders[order as usize].account
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.orders.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_numbered_as_they_appear() {
        let mut names = Names::default();
        assert_eq!([b"b", b"a", b"b"].map(|name| names.number(name)), [0, 1, 0]);
        assert_eq!((names.name(1), names.count()), ("a", 2));
    }

    #[test]
    fn an_order_id_is_one_order_per_instrument() {
        let mut table = OrderTable::default();
        assert_eq!(table.add(b"7", 0, 3, 1), Ok(0));
        assert_eq!(table.add(b"8", 0, 3, 2), Ok(1));
        assert_eq!(table.add(b"7", 1, 4, 3), Ok(2), "another instrument");
        assert_eq!(table.add(b"7", 0, 5, 4), Err(1), "the same instrument");
        assert_eq!(table.find(b"7", 0), 0);
        assert_eq!(table.find(b"7", 1), 2);
        assert_eq!(table.find(b"7", NONE), 2, "the last one");
        assert_eq!(table.find(b"9", NONE), NONE);
        assert_eq!((table.id(1), table.account(2), table.instrument(2)), ("8", 4, 1));
    }
}
