//! What `evenkeel up` protects beside a venue, or without one: files and folders now and then,
//! databases as they change.

mod bot;
mod changes;
mod child;
mod daemon;
mod demo;
mod files_loop;
mod live;
mod sources;
mod status;

pub(crate) use bot::run as bot;
pub(super) use child::run as run_child;
pub(super) use daemon::{beside, run};
pub(super) use demo::demonstration;
pub(super) use live::{
    LazyDatabase, LiveRestored, LiveSelection, Mounted, are_followed, bring_back, databases,
    open_lazily, refuse_unmountable,
};
pub(super) use sources::{FILES, Sources, check_of};
