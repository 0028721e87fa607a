//! Deribit's public WebSocket feed: books per instrument from snapshots and chained changes.

pub mod chain;
mod drive;
pub mod line;
mod market;

pub use drive::{DeribitResult, TickerDifference, read, replay, start_ns};
