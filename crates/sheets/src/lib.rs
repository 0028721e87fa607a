//! Sheets: one holder's words or sealed bytes on paper and metal, and back from photographs.
//!
//! [`sheet`] says what is on a sheet: a card's words with words that vouch for them, or a sealed
//! payload over several sheets with parity. [`page`] puts it out as SVG, PDF and pixels. [`qr`]
//! reads symbols of which a part is lost, [`picture`] finds them in photographs. A [`stream`] is a
//! film of symbols between machines without a network.
//!
//! **Architecture invariants**
//! - No file, no network, no clock, no randomness: pictures and pages are bytes, dates are given.
//! - The same sheet gives the same bytes, on every machine.
//! - Nothing is corrected that people typed. What machines read is corrected by its code and
//!   believed only if its own check holds.
//! - A payload is one holder's. Parity never joins the sheets of two.
//! - Words live in buffers that are overwritten when dropped; they are in no file name, no error
//!   and no metadata.
//! - No unwrap, no expect, no indexing, no panic of its own.

#![forbid(unsafe_code)]
#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unreachable,
    missing_docs
)]
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::cast_possible_truncation
    )
)]

pub mod page;
pub mod picture;
pub mod qr;
pub mod sheet;
pub mod stream;
