//! Flips single bits at random places of a real journal: each inside a frame has to be detected,
//! each in unused space reported as harmless, and none may change or shorten the history in
//! silence.
//!
//! `cargo xtask campaign flips [--flips N] [--seed N]`
#![allow(clippy::unwrap_used, reason = "a campaign that cannot go on fails")]

#[path = "../tests/common/mod.rs"]
mod common;

use std::process::ExitCode;

fn main() -> ExitCode {
    common::campaign::flips()
}
