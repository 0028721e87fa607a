//! Sheets printed, spoiled, photographed and read back.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a test that cannot go on fails"
)]

mod degrade;
mod printed;
mod spoiled;
mod world;
