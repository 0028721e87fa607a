//! Databases that are followed as they change, and shipped about once a second.
//!
//! ```text
//!  database ─▸ capture (a thread each) ─▸ spool in host/live ─▸ shipper ─▸ tails, points ─▸ sites
//! ```
//!
//! A tail is a parcel of what the spools got since the one before; a point holds the spools whole,
//! so that a restore reads few tails. After a start the first thing is a point: what the sites
//! have of the spools the host need not remember.

mod cut;
mod discover;
mod follow;
mod lazy;
mod restore;
mod ship;

pub(crate) use lazy::{LazyDatabase, Mounted, open_lazily, refuse_unmountable};
pub(crate) use restore::{LiveRestored, LiveSelection, are_followed, bring_back, databases};
pub(super) use ship::LiveLoop;

/// The index' hash among a point's signed roots.
const INDEX_ROOT: &str = "live_index";
/// The index among a point's sources; the others are segments.
const INDEX_SOURCE: &str = "index";

/// The name of a segment among a point's sources.
fn source_name(database: &std::path::Path, spool: &[u8; 16], segment: u64) -> String {
    let spool: String = spool.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    format!("{}-{spool}-{segment:016}", evenkeel_capture::parcel::name_of(database))
}

impl From<evenkeel_capture::Error> for crate::report::Report {
    fn from(error: evenkeel_capture::Error) -> Self {
        use crate::report::Exit;
        use evenkeel_capture::Error;
        let exit = match &error {
            Error::NoSuchPoint { .. } => Exit::NothingYet,
            Error::Damaged { .. } | Error::NotRestored { .. } => Exit::Integrity,
            Error::Locked { .. } => Exit::Locked,
            _ => Exit::Failed,
        };
        Self::new(exit, error.to_string())
    }
}
