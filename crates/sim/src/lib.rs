//! The simulator that tries to break it: one seed is one history of a whole deployment (clients,
//! primary, standby, hosts, sites, operator) in virtual time, with faults of disks, network,
//! processes, clocks, memory and sites.
//!
//! The product's own code is what runs: `FileLog` on a disk with faults, `Primary`, `Standby`,
//! `Follower`, boot, take-over, both ends of the link, the client's core. What stands around it
//! here is what the daemon, its keeper and an operator do.
//!
//! **Architecture invariants**
//! - A history is a function of its seed: one thread, no clock, no unordered collection.
//! - The oracle knows what clients were told, and nothing of how it came about.
//! - Where every copy was destroyed, the refusal is what is checked: never to go on silently.
//! - Nothing depends on this crate.
#![forbid(unsafe_code)]

pub mod aim;
pub mod bugs;
pub mod coverage;
pub mod disk;
pub mod history;
pub mod host;
pub mod market;
pub mod net;
pub mod oracle;
pub mod plan;
pub mod process;
pub mod random;
mod roles;
pub mod shrink;
pub mod sites;
mod strikes;
mod ticks;
pub mod trio;
pub mod workload;
mod world;

pub use bugs::Bug;
pub use coverage::{Coverage, Path};
pub use history::{Played, play, play_seed};
pub use plan::{AIMED, Fault, Mode, Plan, TRIO};
pub use shrink::{shrink, story};
pub use world::World;
