//! The spool: what was captured, durable on this host, until the sites have it and longer.
//!
//! Records are chained by BLAKE3 and synced one by one. A writer never changes what it wrote
//! earlier: after a restart it begins a new segment, which says from which record on it counts.

mod frame;
mod history;
mod image;
mod reader;
mod record;
mod replay;
mod walk;
mod writer;

pub use frame::{
    Chain, Decoded, SEGMENT_HEADER_BYTES, SegmentHeader, decode as decode_record,
    encode as encode_record,
};
pub(crate) use history::read_record;
pub use history::{Gap, History, Kind, Lost, RecordAt, Run, segment_path};
pub(crate) use image::read_or_zeros;
pub use image::{Digest, Image, xor};
pub use reader::{SpoolReader, Stretch};
pub use record::{BATCH_BYTES_MAX, Batch, Body, Commit, GapBegin, Item, Why};
pub use replay::replay;
pub(crate) use walk::Walk;
pub use writer::Spool;
