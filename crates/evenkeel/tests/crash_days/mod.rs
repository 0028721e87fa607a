//! Crash days, recorded by the hour or by the chain, against a venue with a few hundred accounts.

#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "prices and sizes of recorded days are far within range"
)]

pub mod checker;
pub mod market;
pub mod paths;
