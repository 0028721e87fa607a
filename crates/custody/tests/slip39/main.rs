//! SLIP-0039 as others see it: the official vectors, the reference implementation, and what people
//! do to cards.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that cannot go on fails"
)]

mod mistakes;
mod peer;
mod properties;
mod reference;
mod support;
mod vectors;
