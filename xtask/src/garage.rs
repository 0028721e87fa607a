//! `cargo xtask campaign garage`: the tests on a real cluster of garage, which no package of the
//! system brings.
//!
//! It is built by cargo from its sources, once for all checkouts, into the cache of tools. That
//! takes minutes, so neither `setup` nor CI does it: `test` says that it is absent.

use crate::{Outcome, brought};
use std::path::Path;
use std::process::Command;

const VERSION: &str = "2.5.0";
/// One engine for its metadata and nothing that is not asked of it here.
const FEATURES: &str = "bundled-libs,lmdb";
/// What is built is run by tests alone: quick to build, not quick.
const PROFILE: [(&str, &str); 5] = [
    ("CARGO_PROFILE_RELEASE_OPT_LEVEL", "0"),
    ("CARGO_PROFILE_RELEASE_LTO", "off"),
    ("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16"),
    ("CARGO_PROFILE_RELEASE_DEBUG", "0"),
    ("CARGO_PROFILE_RELEASE_STRIP", "true"),
];
/// What a summary says where it is not.
pub const ABSENT: &str = "NOT TESTED: sites in a real cluster of garage. It is not built on this \
    machine; type: cargo xtask campaign garage";

/// Builds garage if it is not here, then runs the tests that use it.
///
/// # Errors
/// If it cannot be built, or a test fails.
pub fn run(root: &Path, args: &[String]) -> Outcome {
    ensure()?;
    let mut tests = Command::new("cargo");
    // With what `test` builds, so that neither builds anew what the other has built.
    tests.args(["test", "--package", "evenkeel", "--features", "etcd"]);
    tests.args(["--test", "e2e_garage", "--"]);
    let status = tests.args(args).current_dir(root).status();
    let status = status.map_err(|error| format!("cargo could not be started: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("the tests on garage failed ({status})")) }
}

/// Whether the tests will find it.
pub fn is_here() -> bool {
    brought::tools().is_ok_and(|tools| is_in(&tools.join("garage")))
}

fn is_in(folder: &Path) -> bool {
    let said = Command::new(folder.join("bin/garage")).arg("--version").output();
    said.is_ok_and(|said| String::from_utf8_lossy(&said.stdout).contains(VERSION))
}

fn ensure() -> Outcome {
    let folder = brought::tools()?.join("garage");
    if is_in(&folder) {
        println!("garage {VERSION} is here: {}", folder.display());
        return Ok(());
    }
    println!("setup: garage {VERSION} is built into {}; this takes minutes", folder.display());
    let failed = |error: std::io::Error| format!("{}: {error}", folder.display());
    std::fs::create_dir_all(&folder).map_err(failed)?;
    let target = folder.join("target");
    let status = Command::new("cargo")
        .args(["install", "garage", "--version", VERSION, "--locked", "--force"])
        .args(["--no-default-features", "--features", FEATURES])
        .arg("--root")
        .arg(&folder)
        .arg("--target-dir")
        .arg(&target)
        .envs(PROFILE)
        // Not among our workspace and its settings.
        .current_dir(&folder)
        .status()
        .map_err(|error| format!("cargo could not be started: {error}"))?;
    if !status.success() {
        return Err(format!("garage {VERSION} could not be built ({status}); see above"));
    }
    // It is ten times as large as what was built.
    std::fs::remove_dir_all(&target).map_err(failed)
}
