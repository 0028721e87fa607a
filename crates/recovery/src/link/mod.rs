//! The link between a primary and its standbys: messages and the state of one connection at either
//! end, without any I/O.

mod message;
mod primary_end;
mod standby_end;

pub use message::{
    Beat, DigestAt, Diverged, HandOver, Held, Hello, LinkFrame, Range, Refusal, ToPrimary,
    ToStandby, Welcome, Wrong,
};
pub use primary_end::{Heard, LinkPlan, LocalPast, Past, PrimaryEnd, Standing, Unexpected};
pub use standby_end::{Notice, StandbyEnd};

/// Digests of the engines' output are compared at the positions that are multiples of this.
pub const DIGEST_EVERY: u64 = 1_024;
