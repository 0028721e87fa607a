//! Money, ids, time, instruments, commands, events, their canonical encoding, and Merkle hashes.
//!
//! Floor 0: everything else stands on this crate.
//!
//! **Architecture invariants**
//! - No I/O, no clock, no randomness, no floating point, no unordered collection.
//! - Same value ⇒ same bytes, on every machine, in every version: a value has exactly one encoding
//!   ([`codec`]), decoding refuses every other one, and never allocates from an unchecked length.
//! - Arithmetic is checked and every division names its [`Rounding`]; nothing wraps or saturates.
//! - No text formats here: JSON, TOML and CSV belong to the binary.
#![forbid(unsafe_code)]

pub mod codec;
pub mod command;
pub mod conditional;
pub mod decimal;
pub mod defaults;
pub mod event;
pub mod flows;
pub mod ids;
pub mod instrument;
pub mod merkle;
pub mod money;
pub mod oracle;
pub mod regime;
pub mod reject;
pub mod terms;
mod wide;

pub use codec::{Canonical, DecodeError, Reader, Writer};
pub use command::{
    Collateral, Command, Entry, MassCancelScope, Mode, NewOrder, Origin, TimeInForce,
};
pub use decimal::{Decimal, DecimalError};
pub use event::{CloseReason, Event, Outcome, OutcomeKind};
pub use ids::{
    AccountId, ApiKeyId, ClientSequence, CurrencyId, InstrumentId, OrderId, Position, SessionId,
    SourceId, Term, Timestamp, TradeId, UnderlyingId,
};
pub use instrument::{
    Currency, Instrument, InstrumentError, InstrumentKind, OptionRight, Style, Symbol,
};
pub use money::{ArithmeticError, Lots, Money, Rounding, Side, Ticks};
pub use reject::RejectCode;
