//! The demonstration market: a seeded venue for BTC and ETH options, futures and spot that looks
//! alive.
//!
//! [`plan`] lays out currencies, instruments and accounts; a [`PriceModel`] moves the index and the
//! volatility surface (calibrated on recorded chains, see [`calibration`]) and marks every
//! instrument; a [`QuoteBoard`] carries the marks to the [`Crowd`]s, one for each client thread,
//! whose makers quote around them and whose takers hit the quotes. What leaves this module is
//! integers only: commands that the engine takes like anybody else's.
//!
//! Nothing here reads a clock or a file, and there is no randomness beyond the seed: the same seed
//! and the same sequence of calls give the same commands (floats are those of one machine; the
//! journal keeps what was sent, so replay never asks this module again).

mod black76;
mod board;
pub mod calendar;
pub mod calibration;
mod crowd;
pub mod plan;
mod price;
mod quoting;
mod random;
pub mod rulebook;
pub mod series;
mod slots;
mod sources;
#[cfg(test)]
mod tests;

pub use black76::{OptionValue, option_value};
pub use board::QuoteBoard;
pub use crowd::{Crowd, CrowdCounts};
pub use plan::{AccountPlan, MarketPlan, plan};
pub use price::PriceModel;
pub use random::Random;
pub use sources::Sources;
