//! Recovery: the primary's commit loop, the follower that takes snapshots, shipping to the sites,
//! recovery points, drills and restores.
//!
//! **Architecture invariants**
//! - No file and no socket is touched here except through `evenkeel_journal::Disk`,
//!   `evenkeel_vault::Site` and [`restore::Sink`]; time comes in through [`clock::Clock`].
//! - Nothing is acknowledged before its entry is durable, nothing is shipped before that either.
//! - A snapshot is taken by the follower, and only where primary and follower agree.
//! - A restore believes nothing it has not recomputed: roots, chain and digest are compared before
//!   anything is called restored.
#![forbid(unsafe_code)]

pub mod agreement;
pub mod boot;
pub mod checkpoint;
pub mod client;
pub mod clock;
pub mod current;
pub mod detector;
pub mod divergence;
pub mod drill;
pub mod error;
pub mod everything;
pub mod fence;
pub mod follower;
pub mod frames;
pub mod framing;
pub mod ledger;
pub mod link;
pub mod primary;
mod replica;
pub mod report;
pub mod rescue;
pub mod restore;
pub mod ship;
pub mod skips;
pub mod standby;
pub mod takeover;
#[cfg(debug_assertions)]
pub mod test_poison;

pub use agreement::{Agreement, Divergence};
pub use boot::{Booted, boot, newest_usable, read_ahead};
pub use checkpoint::Checkpoint;
pub use clock::{Clock, JournalClock};
pub use current::{current_report, unproven_current_report};
pub use drill::{
    BesideDrill, BesideFound, DrillPlan, Drilled, drill, drill_with, drill_without_venue,
    read_report,
};
pub use error::{RecoveryError, Result};
pub use everything::{EverythingReport, Part, SignedEverything, worst};
pub use fence::{HeldEffect, SideEffects};
pub use follower::{Follower, Promise};
pub use frames::{EntryBytes, Frame, Frames};
pub use framing::{FramingError, Unframer, write_message};
pub use ledger::{Ledger, Mismatch};
pub use primary::{Ack, Primary, Refused, Request};
pub use report::{Check, DrillReport, Level, SignedReport, SourceProof, Verdict};
pub use rescue::{Found, PassedOver, Rescue, Rescued, rescue};
pub use restore::{History, Restored, Restorer, Sink, Target, base_of};
pub use ship::{FrameReader, PointMaker, TailShipper, finish_point, seal_point, write_point};
pub use skips::{Poisoned, Skips};
pub use standby::{Bar, Lag, Standby};
pub use takeover::{
    Authority, FolderAuthority, NotPromoted, Promoted, take_over, take_over_or_rescue,
};
