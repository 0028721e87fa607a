//! Kills primary, standby, both, or everything of a home, at random moments under load, and holds
//! everything that clients were told against the journal.
//!
//! `cargo xtask campaign kills [--trials N] [--seed N]`
#![allow(clippy::unwrap_used, reason = "a campaign that cannot go on fails")]

#[path = "../tests/common/mod.rs"]
mod common;

use std::process::ExitCode;

fn main() -> ExitCode {
    common::campaign::kills()
}
