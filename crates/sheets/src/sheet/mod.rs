//! Sheets: what one holder has printed for decades.
//!
//! A [`Card`] is words that people can read, write down and punch into metal. A [`Sealed`] payload
//! is bytes for machines, laid over several sheets if need be, with parity among them.

mod card;
mod checksum;
mod codec;
mod gather;
mod label;
mod payload;
mod print;
mod print_sealed;
mod sealed;
mod typed;

pub use card::{Card, CardError, CardWords, Scheme};
pub use checksum::{CHECK_WORDS, check_words};
pub use gather::{Gathered, Gathering, LostSheet, Missing};
pub use label::{Label, LabelError, TEXT_BYTES_MAX};
pub use payload::{Payload, PayloadError};
pub use sealed::{PAYLOAD_BYTES_MAX, Part, SYMBOLS_PER_SHEET, Sealed, SealedError, SealedSheet};
pub use typed::{Place, Typed, TypedError, WORDS_PER_LINE};

use crate::qr::Version;

/// Versions of the symbols on sheets: three sizes for words, one for sealed payloads.
pub const SYMBOL_VERSIONS: [Version; 4] =
    [Version::known(8), Version::known(10), Version::known(13), Version::known(18)];

/// A module on paper, in millimetres: eight dots of a laser printer, and a speck of dirt is less.
pub const MODULE_MM: f64 = 0.8;
