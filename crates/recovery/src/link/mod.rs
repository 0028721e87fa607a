//! The link between a primary and its standbys: messages and the state of one connection at either
//! end, without any I/O.

mod message;

pub use message::{
    Beat, DigestAt, Diverged, HandOver, Held, Hello, LinkFrame, Range, Refusal, ToPrimary,
    ToStandby, Welcome, Wrong,
};

/// Digests of the engines' output are compared at the positions that are multiples of this.
pub const DIGEST_EVERY: u64 = 1_024;
