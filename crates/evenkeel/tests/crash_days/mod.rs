//! Crash days, recorded by the hour or by the chain, against a venue with a few hundred accounts.

pub mod checker;
pub mod market;
pub mod paths;
