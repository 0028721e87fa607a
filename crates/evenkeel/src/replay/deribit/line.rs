//! Deribit's public WebSocket feed (JSON-RPC 2.0 subscriptions) as recorded.
//!
//! Lines are `recv_epoch_seconds: json`. Lines with `<-` or `<->` after the address note what the
//! recorder sent and when it connected; they carry no market data, and neither do empty lines.

use super::super::error::Fault;
use super::super::json::{Json, Value};
use evenkeel_types::Side;

/// One line of the feed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Line of the file, from 1.
    pub line: u64,
    /// When it was received, nanoseconds since 1970; 0 for the recorder's own notes.
    pub time_ns: u64,
    /// What it says.
    pub message: Message,
}

/// What a line says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// A snapshot or a change of an instrument's book.
    Book(BookMessage),
    /// Best prices of an instrument, 0 where there is none.
    Ticker {
        /// The instrument.
        instrument: String,
        /// Best bid: price and amount.
        bid: (i64, i64),
        /// Best ask: price and amount.
        ask: (i64, i64),
    },
    /// Trades of an instrument, how many.
    Trades(u64),
    /// Anything else: answers, heartbeats, the recorder's own notes.
    Other,
}

/// A message of a `book.…` channel. Prices and amounts are in units of 10⁻⁸.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BookMessage {
    /// The instrument.
    pub instrument: String,
    /// The change before this one; `None` for a snapshot.
    pub previous: Option<u64>,
    /// This change.
    pub change: u64,
    /// The levels it changes.
    pub levels: Vec<LevelChange>,
}

/// What became of a level.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LevelAction {
    /// It appeared.
    New,
    /// Its amount changed.
    Change,
    /// It is gone.
    Delete,
}

/// A level of a book message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LevelChange {
    /// Its side.
    pub side: Side,
    /// What became of it.
    pub action: LevelAction,
    /// Its price; negative for some combinations.
    pub price: i64,
    /// Its amount, 0 if it is gone.
    pub amount: i64,
}

/// Reads one line.
///
/// # Errors
/// The first offset that is not as the format says.
pub fn parse_line(line: u64, text: &str) -> Result<Record, Fault> {
    let is_note = !text.starts_with(|first: char| first.is_ascii_digit());
    if text.is_empty() || is_note && (text.contains(" <- ") || text.contains(" <-> ")) {
        return Ok(Record { line, time_ns: 0, message: Message::Other });
    }
    let time = text.split(':').next().unwrap_or(text);
    let time_ns = epoch_ns(time).ok_or_else(|| {
        Fault::new(0, "the line does not begin with a time in seconds and a colon")
    })?;
    let body_at = (time.len() + 1).min(text.len());
    let message = Json::parse(&text[body_at..]).and_then(|json| message(&json));
    let message = message.map_err(|fault| fault.moved_by(body_at))?;
    Ok(Record { line, time_ns, message })
}

/// Seconds with up to 9 decimals, as nanoseconds.
fn epoch_ns(text: &str) -> Option<u64> {
    let (seconds, decimals) = text.split_once('.').unwrap_or((text, "0"));
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    if !is_number(seconds) || !is_number(decimals) || decimals.len() > 9 {
        return None;
    }
    let fraction: u64 = format!("{decimals:0<9}").parse().ok()?;
    seconds.parse::<u64>().ok()?.checked_mul(1_000_000_000)?.checked_add(fraction)
}

fn message(json: &Json<'_>) -> Result<Message, Fault> {
    let method = json.get("method").map(Json::text).transpose()?;
    if method != Some("subscription") {
        return match json.value {
            Value::Object(_) => Ok(Message::Other),
            _ => Err(Fault::new(json.at, "an object is expected here")),
        };
    }
    let params = json.field("params")?;
    let channel = params.field("channel")?.text()?;
    let data = params.field("data")?;
    match channel.split('.').next() {
        Some("book") => book(data).map(Message::Book),
        Some("ticker") => ticker(data),
        Some("trades") => Ok(Message::Trades(data.list()?.len() as u64)),
        _ => Ok(Message::Other),
    }
}

fn book(data: &Json<'_>) -> Result<BookMessage, Fault> {
    let kind = data.field("type")?;
    let previous = match kind.text()? {
        "snapshot" => None,
        "change" => Some(data.field("prev_change_id")?.whole()?),
        _ => {
            return Err(Fault::new(kind.at, "a book message is a snapshot or a change"));
        }
    };
    let mut levels = Vec::new();
    for (name, side) in [("bids", Side::Buy), ("asks", Side::Sell)] {
        for item in data.field(name)?.list()? {
            levels.push(level(item, side)?);
        }
    }
    Ok(BookMessage {
        instrument: data.field("instrument_name")?.text()?.to_owned(),
        previous,
        change: data.field("change_id")?.whole()?,
        levels,
    })
}

fn level(item: &Json<'_>, side: Side) -> Result<LevelChange, Fault> {
    let [action, price, amount] = item.list()? else {
        return Err(Fault::new(item.at, "a level is [action, price, amount]"));
    };
    let kind = match action.text()? {
        "new" => LevelAction::New,
        "change" => LevelAction::Change,
        "delete" => LevelAction::Delete,
        _ => return Err(Fault::new(action.at, "the action is new, change or delete")),
    };
    let units = amount.units(false)?;
    if units < 0 || (units == 0) != (kind == LevelAction::Delete) {
        let reason = "the amount is 0 for a deleted level and positive otherwise";
        return Err(Fault::new(amount.at, reason));
    }
    Ok(LevelChange { side, action: kind, price: price.units(false)?, amount: units })
}

fn ticker(data: &Json<'_>) -> Result<Message, Fault> {
    let units = |name: &str| -> Result<i64, Fault> {
        let json = data.field(name)?;
        if json.value == Value::Null { Ok(0) } else { json.units(false) }
    };
    Ok(Message::Ticker {
        instrument: data.field("instrument_name")?.text()?.to_owned(),
        bid: (units("best_bid_price")?, units("best_bid_amount")?),
        ask: (units("best_ask_price")?, units("best_ask_amount")?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(data: &str) -> String {
        format!(
            r#"1.5: {{"method":"subscription","params":{{"channel":"book.X.raw","data":{data}}}}}"#
        )
    }

    #[test]
    fn a_change_of_a_book_is_read() {
        let text = line(
            r#"{"type":"change","prev_change_id":7,"change_id":9,"instrument_name":"X",
            "bids":[["delete",0.0015,0.0]],"asks":[["new",0.003,2.5]]}"#,
        );
        let record = parse_line(4, &text).expect("book");
        let level = |side, action, price, amount| LevelChange { side, action, price, amount };
        let expected = BookMessage {
            instrument: "X".to_owned(),
            previous: Some(7),
            change: 9,
            levels: vec![
                level(Side::Buy, LevelAction::Delete, 150_000, 0),
                level(Side::Sell, LevelAction::New, 300_000, 250_000_000),
            ],
        };
        assert_eq!(record.time_ns, 1_500_000_000);
        assert_eq!(record.message, Message::Book(expected));
    }

    #[test]
    fn notes_of_the_recorder_and_answers_carry_no_market_data() {
        for text in [
            "",
            "wss://example.org/ws <-> 1626993723.4",
            "wss://example.org/ws <- 1626993723.7: {\"method\":\"public/subscribe\"}",
            "1626993723.8: {\"jsonrpc\":\"2.0\",\"id\":0,\"result\":[]}",
        ] {
            assert_eq!(parse_line(1, text).expect(text).message, Message::Other, "{text}");
        }
    }

    #[test]
    fn a_bad_line_is_named_at_its_column() {
        let data = |levels: &str| {
            let head = r#"{"type":"snapshot","change_id":9,"instrument_name":"X","bids":["#;
            line(&format!("{head}{levels}],\"asks\":[]}}"))
        };
        for (text, reason) in [
            ("noise".to_owned(), "the line does not begin with a time in seconds and a colon"),
            ("1.5".to_owned(), "the line ends inside a JSON value"),
            ("1.5: [".to_owned(), "the line ends inside a JSON value"),
            ("1.5: 3".to_owned(), "an object is expected here"),
            (line("{}"), "\"type\" is missing"),
            (line(r#"{"type":"guess"}"#), "a book message is a snapshot or a change"),
            (data(r#"["new",1]"#), "a level is [action, price, amount]"),
            (data(r#"["gone",1,1]"#), "the action is new, change or delete"),
            (
                data(r#"["delete",1,1]"#),
                "the amount is 0 for a deleted level and positive otherwise",
            ),
            (data(r#"["new",1,-1]"#), "the amount is 0 for a deleted level and positive otherwise"),
        ] {
            let fault = parse_line(1, &text).expect_err(&text);
            assert_eq!(fault.reason, reason, "{text}");
            assert!(fault.at <= text.len(), "{text}");
        }
    }
}
