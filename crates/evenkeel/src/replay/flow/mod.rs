//! Order flow as CSV: orders, cancels and amends drive journal and engine.

mod drive;
mod line;
mod outputs;
mod read;
mod table;
mod terms;

pub use drive::{Counts, Replayed, replay};
pub use read::{Flow, Row, read};
pub use terms::Terms;
