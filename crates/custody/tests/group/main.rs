//! A key nobody holds: founding, changes, signing, and whoever tries to spoil them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that cannot go on fails"
)]

mod age_files;
mod bare;
mod contract;
mod decrypt;
mod decrypt_spoilt;
mod forge;
mod forge_parts;
mod holder_child;
mod known_answer;
mod malicious;
mod memory;
mod no_assembly;
mod spoil;
mod story;
#[path = "../slip39/support.rs"]
#[allow(dead_code, reason = "shared with tests that use more of it")]
mod support;
mod vectors;
mod world;
