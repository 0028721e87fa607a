//! The primary, the follower, shipping, restores and drills over real journals and real sites.
#![allow(clippy::unwrap_used, missing_docs, reason = "a test stops where it fails")]

mod client_core;
mod clock;
mod codecs;
mod drills;
mod follower;
mod ledger;
mod ledger_margin;
mod lineages;
mod link_ends;
#[path = "../../../venue/tests/common/margin_history.rs"]
#[allow(dead_code, reason = "shared with the engine's own tests")]
mod margin_history;
mod messages;
mod primary;
mod promotion;
mod restore;
mod shipping;
mod side_effects;
#[cfg(debug_assertions)]
mod skips;
mod standby;
mod support;
#[path = "../../../venue/tests/common/mod.rs"]
mod venue_desk;
