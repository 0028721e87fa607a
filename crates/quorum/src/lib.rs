//! The log of several hosts: each append is one transaction of a replicated store, guarded by term
//! and tail, so that a primary that was replaced cannot write however late it wakes up.
//!
//! # Architecture invariants
//!
//! - The store decides; no lease, lock or clock does. A holder of the term that cannot reach the
//!   store acknowledges nothing.
//! - An outcome that is not known is found out by reading, never guessed.
//! - The store carries frames only until they are archived; each host keeps the committed frames in
//!   a `FileLog` of its own, and everything but the order of appends is read from there.
//! - The crate does not know what an entry means.

mod access;
mod ends;
mod error;
#[cfg(feature = "etcd")]
mod etcd;
mod follow;
mod keeper;
pub mod keys;
mod log;
pub mod memory;
mod pause;
pub mod recover;
mod status;
mod store;
mod takeover;

pub use access::{Access, Login};
pub use error::{QuorumError, Result};
#[cfg(feature = "etcd")]
pub use etcd::{EtcdStore, Finding, MemberSettings};
pub use follow::Frames;
pub use keeper::Keeper;
pub use keys::{Beat, Holder, Keys, Tail, Term};
pub use log::{Housekeeping, QuorumLog, Running, Settings};
pub use pause::{Pause, RealPause};
pub use status::{Handle, Status, Waiting};
pub use store::{Committed, Guard, Health, Pairs, Store, Unreachable, Write};
pub use takeover::{Founded, NotTaken, found, take_over};
