//! Cuts the power of a home at random moments: what no sync made durable is taken back. Then once
//! without fdatasync, which has to lose acknowledged entries: else the shim would prove nothing.
//!
//! `cargo xtask campaign power [--runs N] [--seed N]`
#![allow(clippy::unwrap_used, reason = "a campaign that cannot go on fails")]

#[path = "../tests/common/mod.rs"]
mod common;

use std::process::ExitCode;

fn main() -> ExitCode {
    common::campaign::series("power", true)
}
