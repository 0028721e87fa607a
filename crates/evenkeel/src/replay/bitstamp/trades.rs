//! Which orders a recorded trade was between.
//!
//! The feed's trades name no orders. But each trade is surrounded by two fills: changes or
//! deletions of one buy and one sell order whose open amount falls by the trade's, mostly before
//! it, sometimes a few milliseconds behind it. An order from before the recording shows only what
//! is left of it, so its fill fits any amount.

use super::line::{Happening, Message, OrderEvent, Record};
use evenkeel_types::Side;
use std::collections::{HashMap, HashSet};

/// A fill and its trade are recorded at most this far apart.
const FILL_TO_TRADE_MS_MAX: u64 = 5_000;
/// A fill that is told behind its trade follows within this time.
const TRADE_TO_FILL_MS_MAX: u64 = 500;

/// A recorded trade. Price and amount are in units of 10⁻⁸.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordedTrade {
    /// Its line of the file.
    pub line: u64,
    /// Its time, milliseconds since 1970.
    pub time_ms: u64,
    /// Its price.
    pub price: i64,
    /// Its amount.
    pub amount: i64,
    /// The order that bought, if its fill was found.
    pub buyer: Option<u64>,
    /// The order that sold, if its fill was found.
    pub seller: Option<u64>,
}

/// What the recording tells when it is read as a whole.
#[derive(Debug, Default)]
pub struct Hindsight {
    /// Its trades in order.
    pub trades: Vec<RecordedTrade>,
    /// Orders that were seen to appear.
    pub created: HashSet<u64>,
    /// Orders that the exchange gave new prices as they went through the book: market orders.
    pub market: HashSet<u64>,
}

#[derive(Debug)]
struct Fill {
    time_ms: u64,
    side: Side,
    order: u64,
    /// By how much the order shrank; `None` if it had not been seen before.
    amount: Option<i64>,
}

#[derive(Debug, Default)]
struct Reader {
    hindsight: Hindsight,
    /// Price and open amount of orders now.
    open: HashMap<u64, (i64, i64)>,
    gone: HashSet<u64>,
    fills: Vec<Fill>,
    /// Trades without a fill on this side, by index.
    half_told: Vec<(usize, Side)>,
}

/// Reads the recording through.
#[must_use]
pub fn look_back(records: &[Record]) -> Hindsight {
    let mut reader = Reader::default();
    for record in records {
        match &record.message {
            Message::Order(event) => reader.order(record.time_ms, event),
            Message::Trade { price, amount } => {
                let buyer = reader.filled(record.time_ms, Side::Buy, *amount);
                let seller = reader.filled(record.time_ms, Side::Sell, *amount);
                let (line, time_ms) = (record.line, record.time_ms);
                let (price, amount) = (*price, *amount);
                let trade = RecordedTrade { line, time_ms, price, amount, buyer, seller };
                let index = reader.hindsight.trades.len();
                let missing = [(Side::Buy, buyer), (Side::Sell, seller)].into_iter();
                let missing = missing.filter(|(_, order)| order.is_none());
                reader.half_told.extend(missing.map(|(side, _)| (index, side)));
                reader.hindsight.trades.push(trade);
            }
            Message::Snapshot { .. } => {}
        }
    }
    reader.hindsight
}

impl Reader {
    fn order(&mut self, time_ms: u64, event: &OrderEvent) {
        let OrderEvent { happening, id, side, price, amount } = *event;
        if self.gone.contains(&id) {
            return;
        }
        let before = self.open.get(&id).copied();
        let shrunk = before.map(|(_, open)| open - amount);
        let fill = Fill { time_ms, side, order: id, amount: shrunk };
        match happening {
            Happening::Created => {
                self.hindsight.created.insert(id);
                self.open.insert(id, (price, amount));
            }
            Happening::Changed => {
                if before.is_some_and(|(before, _)| before != price) {
                    self.hindsight.market.insert(id);
                } else {
                    self.fill(fill);
                }
                self.open.insert(id, (price, amount));
            }
            Happening::Deleted => {
                if amount == 0 {
                    self.fill(fill);
                }
                self.open.remove(&id);
                self.gone.insert(id);
            }
        }
    }

    /// Keeps a fill for its trade, or completes one that was told before it.
    fn fill(&mut self, fill: Fill) {
        let trades = &mut self.hindsight.trades;
        self.half_told.retain(|(index, _)| {
            fill.time_ms.saturating_sub(trades[*index].time_ms) <= TRADE_TO_FILL_MS_MAX
        });
        let fits = |(index, side): &(usize, Side)| {
            *side == fill.side && fill.amount == Some(trades[*index].amount)
        };
        let Some(found) = self.half_told.iter().position(fits) else {
            self.fills.push(fill);
            return;
        };
        let (index, side) = self.half_told.remove(found);
        match side {
            Side::Buy => trades[index].buyer = Some(fill.order),
            Side::Sell => trades[index].seller = Some(fill.order),
        }
    }

    /// Takes the last fill of a side that fits, an exact one before one of unknown amount.
    fn filled(&mut self, time_ms: u64, side: Side, amount: i64) -> Option<u64> {
        self.fills.retain(|fill| time_ms.saturating_sub(fill.time_ms) <= FILL_TO_TRADE_MS_MAX);
        let last = |wanted: Option<i64>| {
            self.fills.iter().rposition(|fill| fill.side == side && fill.amount == wanted)
        };
        let index = last(Some(amount)).or_else(|| last(None))?;
        Some(self.fills.remove(index).order)
    }
}

#[cfg(test)]
mod tests {
    use super::super::line::parse_line;
    use super::*;

    fn hindsight(lines: &[(&str, u64, &str, &str, u8)]) -> Hindsight {
        let records: Vec<_> = (1..)
            .zip(lines)
            .map(|(line, (event, id, price, amount, side))| {
                let text = match *event {
                    "trade" => format!(r#"{line} trade {{"price": {price}, "amount": {amount}}}"#),
                    _ => format!(
                        "{line} order_{event} {{\"price\": \"{price}\", \"amount\": \"{amount}\", \
                         \"id\": {id}, \"order_type\": {side}}}"
                    ),
                };
                parse_line(line, &text).expect("line")
            })
            .collect();
        look_back(&records)
    }

    #[test]
    fn a_trade_is_between_the_orders_that_shrank_by_its_amount() {
        let found = hindsight(&[
            ("created", 1, "10", "5", 0),
            ("created", 2, "9", "2", 1),
            ("changed", 1, "10", "3", 0),
            ("deleted", 2, "9", "0", 1),
            ("trade", 0, "10", "2", 0),
        ]);
        assert_eq!((found.trades[0].buyer, found.trades[0].seller), (Some(1), Some(2)));
        assert!(found.market.is_empty());
    }

    #[test]
    fn a_fill_told_behind_its_trade_completes_it() {
        let found = hindsight(&[
            ("created", 1, "10", "5", 0),
            ("created", 2, "9", "2", 1),
            ("deleted", 2, "9", "0", 1),
            ("trade", 0, "10", "2", 0),
            ("changed", 1, "10", "3", 0),
        ]);
        assert_eq!((found.trades[0].buyer, found.trades[0].seller), (Some(1), Some(2)));
    }

    #[test]
    fn an_order_from_before_the_recording_fits_any_amount() {
        let found = hindsight(&[
            ("created", 2, "9", "2", 1),
            ("deleted", 1, "10", "0", 0),
            ("deleted", 2, "9", "0", 1),
            ("trade", 0, "10", "2", 0),
        ]);
        assert_eq!((found.trades[0].buyer, found.trades[0].seller), (Some(1), Some(2)));
        assert!(!found.created.contains(&1));
    }

    #[test]
    fn an_order_that_changes_its_price_was_a_market_order() {
        let found = hindsight(&[("created", 2, "9", "2", 1), ("changed", 2, "8", "2", 1)]);
        assert!(found.market.contains(&2));
    }
}
