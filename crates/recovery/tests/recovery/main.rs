//! The primary, the follower, shipping, restores and drills over real journals and real sites.
#![allow(clippy::unwrap_used, missing_docs, reason = "a test stops where it fails")]

mod clock;
mod codecs;
mod drills;
mod follower;
mod ledger;
mod lineages;
mod primary;
mod restore;
mod shipping;
mod support;
