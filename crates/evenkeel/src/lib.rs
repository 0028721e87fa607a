//! Evenkeel: backup and disaster recovery for desks and venues that trade derivatives.
//!
//! The outermost crate: command line, daemon, demonstration market, dashboard, configuration.
//! Only here do JSON, TOML and CSV exist, only here are floats and threads free to use.
//!
//! **Architecture invariants**
//! - Nothing depends on this crate.
//! - It decides nothing about durability, encoding or keys: those live in `journal`, `vault` and
//!   `recovery`; this crate wires them to files, sockets and people.

mod access_seen;
mod authority;
pub mod cli;
pub mod config;
mod config_text;
pub mod control;
mod credential;
pub mod dashboard;
pub mod demo;
mod doctor;
pub mod documents;
pub mod init;
mod journal_cmd;
pub mod keyfile;
mod keys_cmd;
mod margin;
mod node;
pub mod output;
pub mod price;
pub mod replay;
pub mod report;
mod report_library;
pub mod signals;
mod site_cmd;
#[cfg(debug_assertions)]
mod site_far;
mod site_open;
pub mod sites_cmd;
mod token_key;
