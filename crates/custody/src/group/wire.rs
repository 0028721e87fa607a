//! Canonical bytes, and their form as text.

use std::fmt::Write as _;

use zeroize::Zeroizing;

/// The bytes are not of the form they should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0} is damaged or of another version")]
pub struct Malformed(pub &'static str);

/// Writes fields one after the other; integers are big-endian.
#[derive(Default)]
pub(super) struct Writer(Zeroizing<Vec<u8>>);

impl Writer {
    pub(super) fn of(label: &[u8]) -> Self {
        let mut writer = Self::default();
        writer.fixed(label);
        writer
    }

    pub(super) fn fixed(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.extend_from_slice(bytes);
        self
    }

    pub(super) fn u8(&mut self, value: u8) -> &mut Self {
        self.fixed(&[value])
    }

    pub(super) fn u16(&mut self, value: u16) -> &mut Self {
        self.fixed(&value.to_be_bytes())
    }

    pub(super) fn u32(&mut self, value: u32) -> &mut Self {
        self.fixed(&value.to_be_bytes())
    }

    pub(super) fn u64(&mut self, value: u64) -> &mut Self {
        self.fixed(&value.to_be_bytes())
    }

    /// At most 512 elements of anything are ever counted.
    pub(super) fn count(&mut self, value: usize) -> &mut Self {
        self.u16(u16::try_from(value).unwrap_or(u16::MAX))
    }

    /// With the length before it.
    pub(super) fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.u32(u32::try_from(bytes.len()).unwrap_or(u32::MAX)).fixed(bytes)
    }

    pub(super) fn done(&mut self) -> Vec<u8> {
        self.0.to_vec()
    }
}

/// Reads what a [`Writer`] wrote; every step fails on too little.
pub(super) struct Reader<'a> {
    rest: &'a [u8],
    what: &'static str,
}

impl<'a> Reader<'a> {
    pub(super) fn of(bytes: &'a [u8], label: &[u8], what: &'static str) -> Result<Self, Malformed> {
        let rest = bytes.strip_prefix(label).ok_or(Malformed(what))?;
        Ok(Self { rest, what })
    }

    pub(super) fn fail(&self) -> Malformed {
        Malformed(self.what)
    }

    pub(super) fn take(&mut self, count: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(Malformed(self.what))?;
        self.rest = rest;
        Ok(taken)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let fail = self.fail();
        self.take(N)?.try_into().map_err(|_| fail)
    }

    pub(super) fn u8(&mut self) -> Result<u8, Malformed> {
        self.array().map(u8::from_be_bytes)
    }

    pub(super) fn u16(&mut self) -> Result<u16, Malformed> {
        self.array().map(u16::from_be_bytes)
    }

    pub(super) fn u32(&mut self) -> Result<u32, Malformed> {
        self.array().map(u32::from_be_bytes)
    }

    pub(super) fn u64(&mut self) -> Result<u64, Malformed> {
        self.array().map(u64::from_be_bytes)
    }

    /// A count of at most [`super::HOLDERS_MAX`].
    pub(super) fn count(&mut self) -> Result<usize, Malformed> {
        let count = usize::from(self.u16()?);
        if count > super::HOLDERS_MAX { Err(self.fail()) } else { Ok(count) }
    }

    pub(super) fn bytes(&mut self) -> Result<&'a [u8], Malformed> {
        let count = self.u32()?;
        self.take(usize::try_from(count).map_err(|_| self.fail())?)
    }

    pub(super) fn text(&mut self) -> Result<String, Malformed> {
        let bytes = self.bytes()?.to_vec();
        String::from_utf8(bytes).map_err(|_| self.fail())
    }

    pub(super) fn end(self) -> Result<(), Malformed> {
        if self.rest.is_empty() { Ok(()) } else { Err(self.fail()) }
    }
}

/// What a text with bytes in it is: its title line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Armor(pub &'static str);

impl Armor {
    /// Comment lines, the title, 32 bytes a line as hexadecimal digits, and `END`.
    #[must_use]
    pub fn write(self, comments: &[&str], bytes: &[u8]) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::with_capacity(bytes.len() * 3 + 256));
        for comment in comments {
            text.push_str("# ");
            text.extend(comment.chars().filter(|it| !it.is_control()));
            text.push('\n');
        }
        text.push_str(self.0);
        text.push('\n');
        for line in bytes.chunks(32) {
            for byte in line {
                let _ = write!(text, "{byte:02x}");
            }
            text.push('\n');
        }
        text.push_str("END\n");
        text
    }

    /// The bytes of a text; lines before the title and after `END` do not count.
    ///
    /// # Errors
    /// [`Malformed`] without the title, the end, or with anything but pairs of digits between.
    pub fn read(self, text: &str) -> Result<Zeroizing<Vec<u8>>, Malformed> {
        let fail = Malformed(self.0);
        let mut lines = text.lines().map(str::trim).skip_while(|line| *line != self.0).skip(1);
        let mut bytes = Zeroizing::new(Vec::with_capacity(text.len() / 2));
        loop {
            let line = lines.next().ok_or(fail)?;
            if line == "END" {
                return Ok(bytes);
            }
            let mut digits = line.chars();
            while let Some(high) = digits.next() {
                let low = digits.next().ok_or(fail)?;
                let (high, low) = (digit(high).ok_or(fail)?, digit(low).ok_or(fail)?);
                bytes.push(high << 4 | low);
            }
        }
    }
}

fn digit(character: char) -> Option<u8> {
    if character.is_ascii_uppercase() {
        return None;
    }
    character.to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}
