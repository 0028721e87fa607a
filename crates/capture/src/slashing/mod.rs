//! Signing histories of validators (EIP-3076, interchange format version 5).
//!
//! A validator that signs against its own history loses its stake. So a history is only ever merged
//! forward: what comes back forbids at least whatever any captured history, and whatever lies at
//! the target, forbids.

mod interchange;
mod merge;

pub use interchange::{
    Attestation, Block, FORMAT_VERSION, History, Interchange, InterchangeError, PublicKey, Root,
};
pub use merge::{Lowered, Watermark, epochs_to_wait, merge, watermarks};
