//! Words that people sign: one line each, nothing invisible, times in UTC.

use evenkeel_types::{Canonical, DecodeError, Reader, Writer as Encoder};

use crate::certificate::text;
use crate::error::{Error, Result};

/// Longest line, in bytes.
pub(super) const LINE_BYTES_MAX: usize = 512;
const NAME_BYTES_MAX: usize = 24;
const SECOND_NS: u64 = 1_000_000_000;

/// One line of what an action is about, as it is signed: `name: value`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Detail {
    /// Small letters and `-`.
    pub name: String,
    /// One line.
    pub value: String,
}

impl Detail {
    /// A line. Characters that nobody would see, or that end a line, are written as `\u{…}`.
    #[must_use]
    pub fn new(name: &str, value: &str) -> Self {
        Self { name: name.to_owned(), value: one_line(value) }
    }

    pub(super) fn check(&self) -> std::result::Result<(), &'static str> {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte == b'-';
        if self.name.is_empty() || self.name.len() > NAME_BYTES_MAX {
            return Err("a detail's name has 1 to 24 letters");
        }
        if !self.name.bytes().all(plain) {
            return Err("a detail's name has small letters and - alone");
        }
        check_line(&self.value)
    }
}

impl Canonical for Detail {
    fn encode(&self, encoder: &mut Encoder) {
        encoder.bytes(self.name.as_bytes());
        encoder.bytes(self.value.as_bytes());
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let read = Self { name: text(reader, NAME_BYTES_MAX)?, value: line(reader)? };
        read.check().map_err(|rule| reader.not_canonical(rule))?;
        Ok(read)
    }
}

/// Reads a line that people sign.
pub(super) fn line(reader: &mut Reader<'_>) -> Result<String, DecodeError> {
    let read = text(reader, LINE_BYTES_MAX)?;
    check_line(&read).map_err(|rule| reader.not_canonical(rule))?;
    Ok(read)
}

/// What people do not see, or see elsewhere than where it stands.
fn is_hidden(it: char) -> bool {
    it.is_control()
        || matches!(it,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}')
}

pub(super) fn check_line(text: &str) -> std::result::Result<(), &'static str> {
    if text.is_empty() || text.len() > LINE_BYTES_MAX {
        return Err("a line has 1 to 512 bytes");
    }
    if text.chars().any(is_hidden) {
        return Err("a line has a character that nobody sees");
    }
    Ok(())
}

/// A text as one line of which every character shows, and that is not too long.
pub(super) fn one_line(text: &str) -> String {
    let mut line = String::new();
    for it in text.trim().chars() {
        let shown = if is_hidden(it) { it.escape_unicode().to_string() } else { it.to_string() };
        if line.len() + shown.len() > LINE_BYTES_MAX - '…'.len_utf8() {
            line.push('…');
            break;
        }
        line.push_str(&shown);
    }
    line
}

/// Whole seconds: times that people sign are written to the second.
pub(super) fn check_second(time_ns: u64) -> Result<()> {
    if time_ns.is_multiple_of(SECOND_NS) {
        return Ok(());
    }
    Err(Error::Invalid { what: "time", detail: "it is no whole second".to_owned() })
}

/// The second that a time lies in, in nanoseconds since 1970 UTC.
pub(super) fn whole_second(time_ns: u64) -> u64 {
    time_ns - time_ns % SECOND_NS
}

/// A time as RFC 3339 has it, to the second: `2026-11-22T07:30:00Z`.
#[must_use]
pub fn utc(time_ns: u64) -> String {
    let seconds = time_ns / SECOND_NS;
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    // Days since 0000-03-01, by eras of 400 years (H. Hinnant, chrono-compatible date algorithms).
    let since = days + 719_468;
    let (era, day_of_era) = (since / 146_097, since % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let (hour, minute, second) = (rest / 3_600, rest / 60 % 60, rest % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}
