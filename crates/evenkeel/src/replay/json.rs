//! A strict JSON reader (RFC 8259) for one line of a recorded feed.
//!
//! It exists beside `serde_json` for two reasons: numbers stay the text that was recorded, where
//! `serde_json` takes them through binary floats; and every value knows its column, so that a bad
//! line is named exactly.

use super::error::Fault;
use super::number;

/// Deepest nesting; a hostile line must not exhaust the stack.
const DEPTH_LEVELS_MAX: u32 = 32;

/// A value and where it begins.
#[derive(Debug, Clone, PartialEq)]
pub struct Json<'a> {
    /// Byte offset of its first character.
    pub at: usize,
    /// The value.
    pub value: Value<'a>,
}

/// A JSON value. Strings are as written: the names and numbers of the feeds hold no escapes.
#[derive(Debug, Clone, PartialEq)]
pub enum Value<'a> {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number, as written.
    Number(&'a str),
    /// A string, as written.
    Text(&'a str),
    /// An array.
    List(Vec<Json<'a>>),
    /// An object, in the order written.
    Object(Vec<(&'a str, Json<'a>)>),
}

impl<'a> Json<'a> {
    /// Reads one value that must fill the text.
    ///
    /// # Errors
    /// The first offset at which the text is not JSON.
    pub fn parse(text: &'a str) -> Result<Self, Fault> {
        let mut scanner = Scanner { text, at: 0 };
        let value = scanner.value(0)?;
        scanner.skip_space();
        if scanner.at < text.len() {
            return Err(Fault::new(scanner.at, "text behind the JSON value"));
        }
        Ok(value)
    }

    /// A member of an object, if it is there.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Self> {
        let Value::Object(members) = &self.value else {
            return None;
        };
        members.iter().find(|(key, _)| *key == name).map(|(_, value)| value)
    }

    /// A member that must be there.
    ///
    /// # Errors
    /// Names what is missing.
    pub fn field(&self, name: &str) -> Result<&Self, Fault> {
        self.get(name).ok_or_else(|| Fault::new(self.at, format!("\"{name}\" is missing")))
    }

    /// A string.
    ///
    /// # Errors
    /// If it is something else.
    pub fn text(&self) -> Result<&'a str, Fault> {
        match self.value {
            Value::Text(text) => Ok(text),
            _ => Err(Fault::new(self.at, "a string is expected here")),
        }
    }

    /// An array.
    ///
    /// # Errors
    /// If it is something else.
    pub fn list(&self) -> Result<&[Self], Fault> {
        match &self.value {
            Value::List(items) => Ok(items),
            _ => Err(Fault::new(self.at, "an array is expected here")),
        }
    }

    /// A whole number.
    ///
    /// # Errors
    /// If it is something else, negative or above 64 bits.
    pub fn whole(&self) -> Result<u64, Fault> {
        let number = match self.value {
            Value::Number(text) => text.parse().ok(),
            _ => None,
        };
        number.ok_or_else(|| Fault::new(self.at, "a whole number is expected here"))
    }

    /// A number or a number in quotes, in units of 10⁻⁸ (see [`number::in_units`]).
    ///
    /// # Errors
    /// If it is something else, or does not fit.
    pub fn units(&self, rounded: bool) -> Result<i64, Fault> {
        let (Value::Number(text) | Value::Text(text)) = self.value else {
            return Err(Fault::new(self.at, "a number is expected here"));
        };
        number::in_units(text, rounded)
            .map_err(|reason| Fault::new(self.at, format!("\"{text}\" {reason}")))
    }
}

struct Scanner<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Scanner<'a> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
    }

    fn fault<T>(&self, reason: &str) -> Result<T, Fault> {
        let end = self.at >= self.text.len();
        Err(Fault::new(self.at, if end { "the line ends inside a JSON value" } else { reason }))
    }

    fn expect(&mut self, byte: u8, reason: &str) -> Result<(), Fault> {
        if self.peek() != Some(byte) {
            return self.fault(reason);
        }
        self.at += 1;
        Ok(())
    }

    fn value(&mut self, depth_levels: u32) -> Result<Json<'a>, Fault> {
        if depth_levels > DEPTH_LEVELS_MAX {
            return self.fault("nested too deeply");
        }
        self.skip_space();
        let at = self.at;
        let value = match self.peek() {
            Some(b'{') => self.object(depth_levels)?,
            Some(b'[') => self.list(depth_levels)?,
            Some(b'"') => Value::Text(self.string()?),
            Some(b'-' | b'0'..=b'9') => Value::Number(self.number()?),
            _ => self.word()?,
        };
        Ok(Json { at, value })
    }

    fn object(&mut self, depth_levels: u32) -> Result<Value<'a>, Fault> {
        self.at += 1;
        let mut members = Vec::new();
        loop {
            self.skip_space();
            if members.is_empty() && self.peek() == Some(b'}') {
                break;
            }
            let key = self.string()?;
            self.skip_space();
            self.expect(b':', "a colon is expected here")?;
            members.push((key, self.value(depth_levels + 1)?));
            self.skip_space();
            if self.peek() != Some(b',') {
                break;
            }
            self.at += 1;
        }
        self.expect(b'}', "a comma or a closing brace is expected here")?;
        Ok(Value::Object(members))
    }

    fn list(&mut self, depth_levels: u32) -> Result<Value<'a>, Fault> {
        self.at += 1;
        let mut items = Vec::new();
        loop {
            self.skip_space();
            if items.is_empty() && self.peek() == Some(b']') {
                break;
            }
            items.push(self.value(depth_levels + 1)?);
            self.skip_space();
            if self.peek() != Some(b',') {
                break;
            }
            self.at += 1;
        }
        self.expect(b']', "a comma or a closing bracket is expected here")?;
        Ok(Value::List(items))
    }

    fn string(&mut self) -> Result<&'a str, Fault> {
        self.expect(b'"', "a string is expected here")?;
        let start = self.at;
        loop {
            match self.peek() {
                Some(b'"') => break,
                Some(b'\\') => self.at += 2,
                Some(0x20..) => self.at += 1,
                _ => return self.fault("a control character inside a string"),
            }
        }
        let text = &self.text[start..self.at];
        self.at += 1;
        Ok(text)
    }

    fn digits(&mut self) -> Result<(), Fault> {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        if self.at == start {
            return self.fault("a digit is expected here");
        }
        Ok(())
    }

    fn number(&mut self) -> Result<&'a str, Fault> {
        let start = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        if self.peek() == Some(b'0') {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(&self.text[start..self.at])
    }

    fn word(&mut self) -> Result<Value<'a>, Fault> {
        let rest = &self.text[self.at..];
        for (word, value) in
            [("null", Value::Null), ("true", Value::Bool(true)), ("false", Value::Bool(false))]
        {
            if rest.starts_with(word) {
                self.at += word.len();
                return Ok(value);
            }
        }
        self.fault("a JSON value is expected here")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_and_know_their_columns() {
        let json =
            Json::parse(r#" {"a": [1, -2.50e+1, "x\"y"], "b": null, "c": {}} "#).expect("ok");
        let items = json.field("a").and_then(Json::list).expect("list");
        assert_eq!(items[0].whole(), Ok(1));
        assert_eq!(items[1].units(false), Ok(-2_500_000_000));
        assert_eq!(items[1].at, 11);
        assert_eq!(items[2].text(), Ok(r#"x\"y"#));
        assert_eq!(json.field("b").map(|b| b.value.clone()), Ok(Value::Null));
        assert_eq!(json.field("d").expect_err("missing").reason, "\"d\" is missing");
    }

    #[test]
    fn what_is_not_json_is_refused_at_its_column() {
        for (text, at) in [
            ("", 0),
            ("{", 1),
            ("{\"a\"}", 4),
            ("[1,]", 3),
            ("[1 2]", 3),
            ("01", 1),
            ("1.", 2),
            ("-", 1),
            ("nul", 0),
            ("\"a", 2),
            ("\"a\\", 4),
            ("{} x", 3),
            ("{\"a\":1,}", 7),
            ("'a'", 0),
        ] {
            let fault = Json::parse(text).expect_err(text);
            assert_eq!(fault.at, at, "{text}: {}", fault.reason);
        }
    }

    #[test]
    fn deep_nesting_is_refused_before_the_stack_ends() {
        let text = "[".repeat(1_000_000);
        assert_eq!(Json::parse(&text).expect_err("deep").reason, "nested too deeply");
    }
}
