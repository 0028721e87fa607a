//! A payload that is already sealed, laid over sheets with parity among them.
//!
//! All sheets are **one holder's**. Parity among the sheets of several holders would let one sheet
//! fewer suffice than was agreed: whoever has the parity needs no longer have what it stands for.
//! So a payload of one holder goes in, and sheets come out; there is no way to add another's.
//!
//! ```text
//! body  = holder, place, date (each length (1) ‖ text) ‖ payload
//! id    = first 8 bytes of SHA-256( "evenkeel sealed sheets 1" ‖ generation (4) ‖ body )
//! body is cut into k sheets of 4 parts of one length, the last filled up with zeros;
//! sheet k+1 is their parity: each of its parts is the sum (XOR) of the parts in the same place.
//! part  = id (8) ‖ bytes of the body (4) ‖ k (1) ‖ sheet from 0 (1) ‖ symbol from 0 (1) ‖ content
//! ```

use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::codec::Reader;
use super::label::{Label, LabelError};
use super::payload::{self, CHECK_BYTES, HEAD_BYTES};
use crate::qr::{Grid, Level, Version, WriteError, write};

/// Symbols on a sheet of a sealed payload.
pub const SYMBOLS_PER_SHEET: usize = 4;
/// The longest sealed payload.
pub const PAYLOAD_BYTES_MAX: usize = 8_192;
/// Data sheets beside one of parity.
pub(super) const DATA_SHEETS_MAX: usize = 15;
/// Bytes before a part's content, behind what all symbols begin with.
const PART_HEAD_BYTES: usize = 8 + 4 + 1 + 1 + 1;
/// The version of its symbols.
const VERSION: Version = Version::known(18);

/// One holder's sealed payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    /// Which generation of a group or split it belongs to.
    pub generation: u32,
    /// Who, where, when.
    pub label: Label,
    /// The bytes.
    pub bytes: Zeroizing<Vec<u8>>,
}

/// Why a payload cannot be laid out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SealedError {
    /// Nothing, or too much.
    #[error("a sealed payload has 1 to {PAYLOAD_BYTES_MAX} bytes, not {0}")]
    Length(usize),
    /// Its label cannot be printed.
    #[error(transparent)]
    Label(#[from] LabelError),
    /// So few sheets do not hold it, or so many there never are.
    #[error("{asked} data sheets: this payload takes {needed} to {DATA_SHEETS_MAX}")]
    Sheets {
        /// How many were asked for.
        asked: usize,
        /// How many it takes.
        needed: usize,
    },
    /// The encoder refused.
    #[error(transparent)]
    Symbol(#[from] WriteError),
}

/// One symbol's part of a payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// The generation.
    pub generation: u32,
    /// What tells one payload from another.
    pub id: [u8; 8],
    /// Bytes of the body.
    pub body_bytes: u32,
    /// Data sheets.
    pub data_sheets: u8,
    /// Which sheet, from 0; the last one of several is parity.
    pub sheet: u8,
    /// Which symbol of the sheet, from 0.
    pub symbol: u8,
    pub(super) content: Zeroizing<Vec<u8>>,
}

/// One sheet: its symbols in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedSheet {
    /// Who, where, when.
    pub label: Label,
    /// Its parts.
    pub parts: Vec<Part>,
}

impl Sealed {
    /// Lays the payload over so many data sheets and, unless one holds it all, one of parity.
    ///
    /// # Errors
    /// [`SealedError`].
    pub fn sheets(&self, data_sheets: Option<usize>) -> Result<Vec<SealedSheet>, SealedError> {
        if self.bytes.is_empty() || self.bytes.len() > PAYLOAD_BYTES_MAX {
            return Err(SealedError::Length(self.bytes.len()));
        }
        self.label.check()?;
        let body = self.body();
        let needed = body.len().div_ceil(SYMBOLS_PER_SHEET * content_bytes_max()).max(1);
        let count = data_sheets.unwrap_or(needed);
        if !(needed..=DATA_SHEETS_MAX).contains(&count) {
            return Err(SealedError::Sheets { asked: count, needed });
        }
        let each = body.len().div_ceil(count * SYMBOLS_PER_SHEET);
        let mut filled = body.clone();
        filled.resize(each * count * SYMBOLS_PER_SHEET, 0);
        let contents: Vec<Zeroizing<Vec<u8>>> =
            filled.chunks(each).map(|content| Zeroizing::new(content.to_vec())).collect();
        let mut rows: Vec<Vec<Zeroizing<Vec<u8>>>> =
            contents.chunks(SYMBOLS_PER_SHEET).map(<[_]>::to_vec).collect();
        if count > 1 {
            let parity = (0..SYMBOLS_PER_SHEET)
                .map(|symbol| sum(rows.iter().filter_map(|row| row.get(symbol)), each));
            rows.push(parity.collect());
        }
        let id = id(self.generation, &body);
        let part = |sheet: usize, symbol: usize, content: &Zeroizing<Vec<u8>>| Part {
            generation: self.generation,
            id,
            body_bytes: u32::try_from(body.len()).unwrap_or(u32::MAX),
            data_sheets: small(count),
            sheet: small(sheet),
            symbol: small(symbol),
            content: content.clone(),
        };
        let sheet = |(sheet, row): (usize, &Vec<Zeroizing<Vec<u8>>>)| SealedSheet {
            label: self.label.clone(),
            parts: row.iter().enumerate().map(|(at, content)| part(sheet, at, content)).collect(),
        };
        Ok(rows.iter().enumerate().map(sheet).collect())
    }

    fn body(&self) -> Zeroizing<Vec<u8>> {
        let mut body = Zeroizing::new(Vec::with_capacity(self.bytes.len() + 256));
        self.label.write(&mut body);
        body.extend(self.bytes.iter());
        body
    }

    /// The reverse of laying out, if this is the body that was laid out.
    pub(super) fn from_body(generation: u32, expected: [u8; 8], body: &[u8]) -> Option<Self> {
        if id(generation, body) != expected {
            return None;
        }
        let mut reader = Reader(body);
        let label = Label::read(&mut reader)?;
        Some(Self { generation, label, bytes: Zeroizing::new(reader.0.to_vec()) })
    }
}

fn small(number: usize) -> u8 {
    u8::try_from(number).unwrap_or(u8::MAX)
}

pub(super) fn content_bytes_max() -> usize {
    VERSION.capacity_bytes(Level::High) - HEAD_BYTES - PART_HEAD_BYTES - CHECK_BYTES
}

/// The sum of contents of one length.
pub(super) fn sum<'a>(
    contents: impl Iterator<Item = &'a Zeroizing<Vec<u8>>>,
    bytes: usize,
) -> Zeroizing<Vec<u8>> {
    contents.fold(Zeroizing::new(vec![0; bytes]), |mut sum, content| {
        sum.iter_mut().zip(content.iter()).for_each(|(own, other)| *own ^= other);
        sum
    })
}

fn id(generation: u32, body: &[u8]) -> [u8; 8] {
    let mut hash = Sha256::new();
    hash.update(b"evenkeel sealed sheets 1");
    hash.update(generation.to_be_bytes());
    hash.update(body);
    let mut id = [0; 8];
    id.iter_mut().zip(hash.finalize()).for_each(|(own, byte)| *own = byte);
    id
}

impl Part {
    /// Sheets of its payload, that of parity counted.
    #[must_use]
    pub fn sheets(&self) -> u8 {
        self.data_sheets + u8::from(self.data_sheets > 1)
    }

    /// Whether it is of the sheet of parity.
    #[must_use]
    pub fn is_parity(&self) -> bool {
        self.sheet == self.data_sheets
    }

    /// What its symbol says.
    #[must_use]
    pub fn payload(&self) -> Zeroizing<Vec<u8>> {
        let mut bytes = payload::begin(payload::SEALED, self.generation);
        bytes.extend(self.id);
        bytes.extend(self.body_bytes.to_be_bytes());
        bytes.extend([self.data_sheets, self.sheet, self.symbol]);
        bytes.extend(self.content.iter());
        payload::end(&mut bytes);
        bytes
    }

    /// Its symbol.
    ///
    /// # Errors
    /// [`WriteError`], which does not happen for parts that were laid out here.
    pub fn grid(&self) -> Result<Grid, WriteError> {
        write(VERSION, Level::High, &self.payload())
    }

    pub(super) fn read(generation: u32, reader: &mut Reader<'_>) -> Option<Self> {
        let (id, body_bytes) = (reader.array()?, reader.four()?);
        let [data_sheets, sheet, symbol] = reader.array()?;
        let content = Zeroizing::new(reader.take(reader.0.len())?.to_vec());
        let part = Self { generation, id, body_bytes, data_sheets, sheet, symbol, content };
        part.is_sound().then_some(part)
    }

    fn is_sound(&self) -> bool {
        let places = usize::from(self.data_sheets) * SYMBOLS_PER_SHEET;
        let body = usize::try_from(self.body_bytes).unwrap_or(usize::MAX);
        (1..=DATA_SHEETS_MAX).contains(&usize::from(self.data_sheets))
            && self.sheet < self.sheets()
            && usize::from(self.symbol) < SYMBOLS_PER_SHEET
            && (1..=content_bytes_max()).contains(&self.content.len())
            && body > 0
            && body.div_ceil(places) == self.content.len()
    }
}
