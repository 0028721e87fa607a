//! QR symbols as grids of modules (ISO/IEC 18004, model 2).
//!
//! Symbols are written by the crate `qrcode` and read here, because a reader of sheets knows more
//! than one of unknown symbols: it repaints what every symbol of a version has in common, and it
//! knows which modules were covered. A codeword known to be lost costs half of what a wrong one
//! costs, so twice as much of a symbol may be lost.

mod bits;
mod cells;
mod decode;
mod field;
mod grid;
mod reed_solomon;
mod version;
mod write;

pub use decode::{Decoded, decode};
pub use grid::{Grid, Sampled};
pub use version::{Level, Version};
pub use write::{WriteError, write};

pub(crate) use cells::{Cell, Cells};
