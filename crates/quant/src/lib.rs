//! Numbers of the derivatives trade, from integers alone: elementary functions, Black-76, implied
//! volatility, scenario margin, model-free variance.
//!
//! Everything here is a pure function of its arguments and gives the same bits on every machine.
//!
//! **Architecture invariants**
//! - No floating point, no I/O, no clock, no randomness, no state.
//! - It knows no account, order or instrument: those are the engine's.
#![forbid(unsafe_code)]

pub mod black76;
pub mod decimal;
pub mod explain;
pub mod fixed;
pub mod functions;
pub mod greeks;
pub mod implied;
mod normal_table;
pub mod portfolio;
mod ratio;
pub mod risk;
pub mod scenarios;
pub mod sets;
pub mod standard;
pub mod variance;
pub mod variance_smile;

pub use black76::{Moneyness, Right};
pub use fixed::Fixed;
