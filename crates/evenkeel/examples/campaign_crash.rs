//! Kills a home at random moments, again and again, and audits it after each kill.
//!
//! `cargo xtask campaign crash [--runs N] [--seed N]`
#![allow(clippy::unwrap_used, reason = "a campaign that cannot go on fails")]

#[path = "../tests/common/mod.rs"]
mod common;

use std::process::ExitCode;

fn main() -> ExitCode {
    common::campaign::series("crash", false)
}
