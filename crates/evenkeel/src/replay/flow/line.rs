//! One line of the format.

use super::super::error::Fault;
use super::super::number::Scaled;
use evenkeel_types::{Side, Symbol};

/// The first line of every file.
pub const HEADER: &str = "time_ns,instrument,action,order_id,account,side,price,amount,type,tif";
const COLUMNS: usize = 10;
/// The header's words.
const NAMES: [&str; COLUMNS] = [
    "time_ns",
    "instrument",
    "action",
    "order_id",
    "account",
    "side",
    "price",
    "amount",
    "type",
    "tif",
];
/// Longest order id or account name.
const NAME_BYTES_MAX: usize = 64;

/// What a row does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Places an order.
    Add,
    /// Cancels one.
    Cancel,
    /// Changes one.
    Amend,
}

/// How long an order lives, and whether it may trade at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tif {
    /// Good till cancelled.
    Gtc,
    /// Immediate or cancel.
    Ioc,
    /// Fill or kill.
    Fok,
    /// Good till cancelled, refused if it would trade at once.
    PostOnly,
}

/// A decimal and the byte of the line at which it stands, from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Number {
    /// The number.
    pub value: Scaled,
    /// Where it stands.
    pub at: usize,
}

/// A row as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fields<'a> {
    /// Nanoseconds since 1970.
    pub time_ns: u64,
    /// May be empty for a cancel or an amend, the order tells it.
    pub instrument: &'a [u8],
    /// What the row does.
    pub action: Action,
    /// The file's own name of the order.
    pub order_id: &'a [u8],
    /// Where the order id stands.
    pub order_at: usize,
    /// May be empty for a cancel or an amend: the order's owner.
    pub account: &'a [u8],
    /// The side; an add has one.
    pub side: Side,
    /// `None` for a market order and for what an amend leaves alone.
    pub price: Option<Number>,
    /// `None` for what an amend leaves alone.
    pub amount: Option<Number>,
    /// A market order.
    pub market: bool,
    /// How long it lives.
    pub tif: Tif,
}

/// One column's text and where it stands.
#[derive(Debug, Clone, Copy)]
struct Column<'a> {
    name: &'static str,
    text: &'a [u8],
    at: usize,
}

impl<'a> Column<'a> {
    fn fault(&self, reason: &str) -> Fault {
        let text = String::from_utf8_lossy(self.text);
        Fault::new(self.at, format!("{} \"{text}\" {reason}", self.name))
    }

    fn required(self) -> Result<Self, Fault> {
        if self.text.is_empty() {
            return Err(Fault::new(self.at, format!("{} is empty", self.name)));
        }
        Ok(self)
    }

    /// A name of printable ASCII, possibly empty.
    fn named(self, bytes_max: usize) -> Result<&'a [u8], Fault> {
        let printable = self.text.iter().all(|byte| byte.is_ascii_graphic() && *byte != b'"');
        if !printable || self.text.len() > bytes_max {
            let reason = format!(
                "is not a name of up to {bytes_max} printable ASCII characters without spaces and \
                 quotes"
            );
            return Err(self.fault(&reason));
        }
        Ok(self.text)
    }

    /// One of some words; the first belongs to an empty text where that is allowed.
    fn word<T: Copy>(self, words: &[(&str, T)]) -> Result<T, Fault> {
        let found = words.iter().find(|(word, _)| word.as_bytes() == self.text);
        found.map(|(_, value)| *value).ok_or_else(|| {
            let names: Vec<_> = words.iter().map(|word| word.0).filter(|w| !w.is_empty()).collect();
            self.fault(&format!("is not one of {}", names.join(", ")))
        })
    }

    fn number(self) -> Result<Option<Number>, Fault> {
        if self.text.is_empty() {
            return Ok(None);
        }
        let value = Scaled::parse(self.text).map_err(|reason| self.fault(reason))?;
        Ok(Some(Number { value, at: self.at }))
    }

    fn positive(self) -> Result<Option<Number>, Fault> {
        let number = self.number()?;
        if number.is_some_and(|number| number.value.mantissa == 0) {
            return Err(self.fault("must be positive"));
        }
        Ok(number)
    }
}

const ACTIONS: &[(&str, Action)] =
    &[("add", Action::Add), ("cancel", Action::Cancel), ("amend", Action::Amend)];
const SIDES: &[(&str, Side)] = &[("buy", Side::Buy), ("sell", Side::Sell), ("", Side::Buy)];
const KINDS: &[(&str, bool)] = &[("limit", false), ("market", true), ("", false)];
const TIFS: &[(&str, Tif)] = &[
    ("gtc", Tif::Gtc),
    ("ioc", Tif::Ioc),
    ("fok", Tif::Fok),
    ("post_only", Tif::PostOnly),
    ("", Tif::Gtc),
];

fn columns(line: &[u8]) -> Result<[Column<'_>; COLUMNS], Fault> {
    let mut found = [Column { name: "", text: b"", at: 0 }; COLUMNS];
    let (mut at, mut count) = (0, 0);
    let mut texts = line.split(|byte| *byte == b',');
    for (slot, name) in found.iter_mut().zip(NAMES) {
        let Some(text) = texts.next() else {
            let reason = format!("{count} columns instead of {COLUMNS}: {name} is missing");
            return Err(Fault::new(line.len(), reason));
        };
        *slot = Column { name, text, at };
        at += text.len() + 1;
        count += 1;
    }
    match texts.count() {
        0 => Ok(found),
        more => {
            let reason = format!("{} columns instead of {COLUMNS}", COLUMNS + more);
            Err(Fault::new(at - 1, reason))
        }
    }
}

/// Reads one line behind the header.
///
/// # Errors
/// The first column that is not as the format says.
pub fn parse_line(line: &[u8]) -> Result<Fields<'_>, Fault> {
    let [time, instrument, action, order_id, account, side, price, amount, kind, tif] =
        columns(line)?;
    let time_ns = std::str::from_utf8(time.required()?.text).ok();
    let time_ns = time_ns.filter(|text| !text.starts_with('+')).and_then(|text| text.parse().ok());
    let action_word = action.required()?.word(ACTIONS)?;
    let fields = Fields {
        time_ns: time_ns.ok_or_else(|| time.fault("is not a whole number of nanoseconds"))?,
        instrument: instrument.named(Symbol::MAX_BYTES)?,
        action: action_word,
        order_id: order_id.required()?.named(NAME_BYTES_MAX)?,
        order_at: order_id.at,
        account: account.named(NAME_BYTES_MAX)?,
        side: side.word(SIDES)?,
        price: None,
        amount: None,
        market: kind.word(KINDS)?,
        tif: tif.word(TIFS)?,
    };
    let (price_number, amount_number) = match action_word {
        Action::Add => {
            for column in [instrument, account, side, amount, kind] {
                column.required()?;
            }
            let price_number = if fields.market {
                no_price(price)?
            } else {
                tif.required()?;
                price.required()?.positive()?
            };
            (price_number, amount.positive()?)
        }
        Action::Amend => (price.positive()?, amount.positive()?),
        Action::Cancel => {
            // Not used, but a line must not pass with garbage in it.
            price.number()?;
            amount.number()?;
            (None, None)
        }
    };
    Ok(Fields { price: price_number, amount: amount_number, ..fields })
}

/// A market order has no price; a zero means the same.
fn no_price(price: Column<'_>) -> Result<Option<Number>, Fault> {
    match price.number()? {
        Some(number) if number.value.mantissa != 0 => {
            Err(price.fault("is set, but a market order takes no price"))
        }
        _ => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_is_read() {
        let fields = parse_line(b"17,BTC-PERP,add,o1,alice,sell,236.470,0.5,limit,post_only");
        let fields = fields.expect("order");
        assert_eq!(fields.time_ns, 17);
        assert_eq!(fields.instrument, b"BTC-PERP");
        assert_eq!(
            (fields.action, fields.side, fields.tif),
            (Action::Add, Side::Sell, Tif::PostOnly)
        );
        assert_eq!((fields.order_id, fields.account), (&b"o1"[..], &b"alice"[..]));
        let price = Number { value: Scaled { mantissa: 236_470, scale: 3 }, at: 30 };
        assert_eq!(fields.price, Some(price));
        assert!(!fields.market);
    }

    #[test]
    fn cancels_amends_and_market_orders_may_leave_columns_empty() {
        for line in [
            "1,X,cancel,o1,,,,,,",
            "1,,cancel,o1,,,,,,",
            "1,X,cancel,o1,alice,buy,1.5,2,limit,gtc",
            "1,X,amend,o1,,,,2,,",
            "1,X,amend,o1,,,1.5,,,",
            "1,X,amend,o1,,,,,,",
            "1,X,add,o1,alice,buy,,2,market,",
            "1,X,add,o1,alice,buy,0,2,market,ioc",
        ] {
            assert!(parse_line(line.as_bytes()).is_ok(), "{line}");
        }
    }

    /// Lines, and what is said of them: column and reason.
    const BAD_LINES: &str = r#"
        1,X,add => 8: 3 columns instead of 10: order_id is missing
        1,X,cancel,o1,,,,,,, => 20: 11 columns instead of 10
        ,X,cancel,o1,,,,,, => 1: time_ns is empty
        -1,X,cancel,o1,,,,,, => 1: time_ns "-1" is not a whole number of nanoseconds
        1.5,X,cancel,o1,,,,,, => 1: time_ns "1.5" is not a whole number of nanoseconds
        1,X,delete,o1,,,,,, => 5: action "delete" is not one of add, cancel, amend
        1,X,cancel,,,,,,, => 12: order_id is empty
        1,,add,o1,a,buy,1,1,limit,gtc => 3: instrument is empty
        1,X,add,o1,,buy,1,1,limit,gtc => 12: account is empty
        1,X,add,o1,a,,1,1,limit,gtc => 14: side is empty
        1,X,add,o1,a,bid,1,1,limit,gtc => 14: side "bid" is not one of buy, sell
        1,X,add,o1,a,buy,,1,limit,gtc => 18: price is empty
        1,X,add,o1,a,buy,0,1,limit,gtc => 18: price "0" must be positive
        1,X,add,o1,a,buy,-1,1,limit,gtc => 18: price "-1" must not be negative
        1,X,add,o1,a,buy,1e3,1,limit,gtc => 18: price "1e3" is not a decimal number like 12.345
        1,X,add,o1,a,buy,1,,limit,gtc => 20: amount is empty
        1,X,add,o1,a,buy,1,0.0,limit,gtc => 20: amount "0.0" must be positive
        1,X,add,o1,a,buy,1,1,,gtc => 22: type is empty
        1,X,add,o1,a,buy,1,1,stop,gtc => 22: type "stop" is not one of limit, market
        1,X,add,o1,a,buy,1,1,limit,day => 28: tif "day" is not one of gtc, ioc, fok, post_only
        1,X,add,o1,a,buy,1,1,limit, => 28: tif is empty
        1,X,add,o1,a,buy,5,1,market,ioc => 18: price "5" is set, but a market order takes no price
        1,X,cancel,o1,,,x,,, => 17: price "x" is not a decimal number like 12.345
        1,X,amend,o1,,,,0,, => 17: amount "0" must be positive
    "#;

    #[test]
    fn a_bad_line_is_named_by_column_and_field() {
        let cases = BAD_LINES.trim().lines();
        let cases: Vec<_> = cases.filter_map(|case| case.trim().split_once(" => ")).collect();
        assert_eq!(cases.len(), 24);
        for (line, said) in cases {
            let fault = parse_line(line.as_bytes()).expect_err(line);
            assert_eq!(format!("{}: {}", fault.at + 1, fault.reason), said, "{line}");
        }
    }

    #[test]
    fn quotes_spaces_and_binary_garbage_are_no_names() {
        for line in [
            &b"1,X,cancel,\"o1\",,,,,,"[..],
            b"1,X Y,cancel,o1,,,,,,",
            b"1,X,cancel,o\x001,,,,,,",
            b"1,X,cancel,\xff\xfe,,,,,,",
            b"\xff\xfe\x00,X,cancel,o1,,,,,,",
        ] {
            assert!(parse_line(line).is_err(), "{line:?}");
        }
        let long = format!("1,{},cancel,o1,,,,,,", "X".repeat(33));
        assert!(parse_line(long.as_bytes()).is_err());
    }
}
