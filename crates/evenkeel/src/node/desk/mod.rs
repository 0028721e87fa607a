//! What `evenkeel up` protects beside a venue, or without one: files and folders now and then.

mod child;
mod daemon;
mod files_loop;
mod sources;
mod status;

pub(super) use child::run as run_child;
pub(super) use daemon::{beside, run};
pub(super) use sources::{FILES, Sources};
