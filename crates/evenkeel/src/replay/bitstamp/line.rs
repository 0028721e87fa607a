//! Bitstamp's order-by-order feed as recorded: `time_ms event json`, one event a line.
//!
//! Events are `order_created`, `order_changed`, `order_deleted` (of one order: price, remaining
//! amount, id, `order_type` 0 buy / 1 sell), `trade` (price, amount) and `order_book` (the best 20
//! levels of both sides). Orders carry decimals as text; trades carry binary doubles, which are
//! rounded to the feed's 8 decimals.

use super::super::error::Fault;
use super::super::json::Json;
use evenkeel_types::Side;

/// Levels a side that a snapshot shows.
pub const SNAPSHOT_LEVELS: usize = 20;

/// One line of the feed. Prices and amounts are in units of 10⁻⁸.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Line of the file, from 1.
    pub line: u64,
    /// When it was received, milliseconds since 1970.
    pub time_ms: u64,
    /// What it says.
    pub message: Message,
}

/// What a line says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// Something happened to an order.
    Order(OrderEvent),
    /// A trade.
    Trade {
        /// Its price.
        price: i64,
        /// Its amount.
        amount: i64,
    },
    /// The best levels, best first.
    Snapshot {
        /// Buy levels: price and amount.
        bids: Vec<(i64, i64)>,
        /// Sell levels: price and amount.
        asks: Vec<(i64, i64)>,
    },
}

/// What happened to an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Happening {
    /// It appeared.
    Created,
    /// Its amount or price changed.
    Changed,
    /// It is gone: filled if its amount is 0, else cancelled with this amount open.
    Deleted,
}

/// An event of one order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OrderEvent {
    /// What happened.
    pub happening: Happening,
    /// The exchange's number for the order.
    pub id: u64,
    /// Its side.
    pub side: Side,
    /// Its price.
    pub price: i64,
    /// What is open of it.
    pub amount: i64,
}

/// Reads one line.
///
/// # Errors
/// The first offset that is not as the format says.
pub fn parse_line(line: u64, text: &str) -> Result<Record, Fault> {
    let (time, rest) = text.split_once(' ').unwrap_or((text, ""));
    let time_ms = time
        .parse()
        .map_err(|_| Fault::new(0, "the line does not begin with a time in milliseconds"))?;
    let name_at = time.len() + 1;
    let (name, body) = rest.split_once(' ').unwrap_or((rest, ""));
    let body_at = name_at + name.len() + 1;
    let reader = match name {
        "order_created" => |json: &Json<'_>| order(json, Happening::Created),
        "order_changed" => |json: &Json<'_>| order(json, Happening::Changed),
        "order_deleted" => |json: &Json<'_>| order(json, Happening::Deleted),
        "trade" => trade,
        "order_book" => snapshot,
        _ => {
            return Err(Fault::new(name_at.min(text.len()), format!("unknown event \"{name}\"")));
        }
    };
    let message = Json::parse(body).and_then(|json| reader(&json));
    let message = message.map_err(|fault| fault.moved_by(body_at.min(text.len())))?;
    Ok(Record { line, time_ms, message })
}

fn order(json: &Json<'_>, happening: Happening) -> Result<Message, Fault> {
    let side = json.field("order_type")?;
    let event = OrderEvent {
        happening,
        id: json.field("id")?.whole()?,
        side: match side.whole()? {
            0 => Side::Buy,
            1 => Side::Sell,
            _ => return Err(Fault::new(side.at, "order_type is 0 (buy) or 1 (sell)")),
        },
        price: positive(json.field("price")?)?,
        amount: json.field("amount")?.units(false)?,
    };
    let may_be_zero = happening == Happening::Deleted;
    if event.amount < i64::from(!may_be_zero) {
        return Err(Fault::new(json.field("amount")?.at, "the amount must be positive"));
    }
    Ok(Message::Order(event))
}

fn trade(json: &Json<'_>) -> Result<Message, Fault> {
    let price = json.field("price")?.units(true)?;
    let amount = json.field("amount")?.units(true)?;
    if price <= 0 || amount <= 0 {
        return Err(Fault::new(json.at, "price and amount of a trade must be positive"));
    }
    Ok(Message::Trade { price, amount })
}

fn snapshot(json: &Json<'_>) -> Result<Message, Fault> {
    let side = |name: &str| -> Result<Vec<(i64, i64)>, Fault> {
        json.field(name)?.list()?.iter().map(level).collect()
    };
    Ok(Message::Snapshot { bids: side("bids")?, asks: side("asks")? })
}

fn level(json: &Json<'_>) -> Result<(i64, i64), Fault> {
    match json.list()? {
        [price, amount] => Ok((positive(price)?, positive(amount)?)),
        _ => Err(Fault::new(json.at, "a level is [price, amount]")),
    }
}

fn positive(json: &Json<'_>) -> Result<i64, Fault> {
    match json.units(false)? {
        units if units > 0 => Ok(units),
        _ => Err(Fault::new(json.at, "a positive number is expected here")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_line_is_read() {
        let order =
            r#"17 order_changed {"price": "2.50", "amount": "0.1", "id": 7, "order_type": 1}"#;
        let expected = OrderEvent {
            happening: Happening::Changed,
            id: 7,
            side: Side::Sell,
            price: 250_000_000,
            amount: 10_000_000,
        };
        let record = parse_line(3, order).expect("order");
        assert_eq!(record, Record { line: 3, time_ms: 17, message: Message::Order(expected) });

        let trade = r#"18 trade {"price": 2.4999999999999999, "amount": 1e-7, "id": 1}"#;
        let expected = Message::Trade { price: 250_000_000, amount: 10 };
        assert_eq!(parse_line(1, trade).expect("trade").message, expected);

        let book = r#"19 order_book {"bids": [["1", "2"]], "asks": []}"#;
        let expected =
            Message::Snapshot { bids: vec![(100_000_000, 200_000_000)], asks: Vec::new() };
        assert_eq!(parse_line(1, book).expect("book").message, expected);
    }

    #[test]
    fn a_bad_line_is_named_at_its_column() {
        let order = |fields: &str| format!("1 order_created {{{fields}}}");
        let price = r#""price": "x", "amount": "1", "id": 7, "order_type": 0"#;
        let side = r#""price": "1", "amount": "1", "id": 7, "order_type": 2"#;
        let zero = r#""price": "1", "amount": "0", "id": 7, "order_type": 0"#;
        for (text, column, reason) in [
            ("", 1, "the line does not begin with a time in milliseconds"),
            ("x trade {}", 1, "the line does not begin with a time in milliseconds"),
            ("1", 2, "unknown event \"\""),
            ("1 noise {}", 3, "unknown event \"noise\""),
            ("1 trade", 8, "the line ends inside a JSON value"),
            ("1 trade {}", 9, "\"price\" is missing"),
            (&order(price), 27, "\"x\" is not a number"),
            (&order(side), 70, "order_type is 0 (buy) or 1 (sell)"),
            (&order(zero), 42, "the amount must be positive"),
            ("1 order_book {\"bids\": [[1]], \"asks\": []}", 24, "a level is [price, amount]"),
        ] {
            let fault = parse_line(9, text).expect_err(text).on_line(9);
            assert_eq!((fault.column, fault.reason.as_str()), (column, reason), "{text}");
        }
    }
}
