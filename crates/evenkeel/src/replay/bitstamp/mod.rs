//! Bitstamp's order-by-order feed: the book as told, or our matching against the recorded trades.

pub mod book;
pub mod differences;
pub mod line;
pub mod matching;
mod read;
mod trades;

pub use read::{Recording, define_market, read};
