//! Live SQLite databases in WAL mode, which other processes write.

mod capture;
mod follow;
mod options;
mod recorder;
mod snapshot;
mod source;
pub mod wal;
pub mod wal_index;

pub use capture::{Capture, Step};
pub use options::{Clock, Options};
pub use recorder::Tally;
pub use source::FileHeader;
