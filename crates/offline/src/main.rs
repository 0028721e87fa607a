//! `evenkeel-offline`: the commands `keys …` of Evenkeel in a program that cannot use a network.
//!
//! The sources are those of the whole program, file by file. What is absent is everything that
//! opens a socket: no crate of this program's tree does, the file asks its system's library for
//! no such call, and a test traces that none is made (`docs/custody.md` says how to see it for
//! yourself).
//!
//! **Architecture invariants**
//! - No dependency that opens sockets, and no `std::net`.
//! - No module of a token, which may do anything, and no vault.
//! - No command of its own: whatever it does, `evenkeel keys …` does in the same words.

#![forbid(unsafe_code)]

mod cli;
mod documents;
#[allow(dead_code, reason = "the whole program writes more kinds of keys")]
#[path = "../../evenkeel/src/keyfile/plain.rs"]
mod keyfile;
#[allow(dead_code, reason = "the whole program has commands that need a vault or a token")]
#[path = "../../evenkeel/src/keys_cmd/mod.rs"]
mod keys_cmd;
#[allow(dead_code, reason = "the whole program prints more kinds of results")]
#[path = "../../evenkeel/src/output.rs"]
mod output;
#[allow(dead_code, reason = "the whole program has more ways to end")]
#[path = "../../evenkeel/src/report.rs"]
mod report;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// The command line.
#[derive(Debug, Parser)]
#[command(
    name = "evenkeel-offline",
    version,
    about = "Custody of keys, in a program that cannot use a network",
    propagate_version = true
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

/// What can be typed.
#[derive(Debug, Subcommand)]
enum Command {
    /// Custody of keys: secrets in cards, sheets of paper, keys that nobody holds
    #[command(subcommand)]
    Keys(cli::KeysCommand),
}

fn main() -> ExitCode {
    let json = std::env::args_os().any(|argument| argument == "--json");
    let Command::Keys(command) = Cli::parse().command;
    match keys_cmd::run(&command) {
        Ok(exit) => exit.into(),
        Err(report) => {
            report.print(json);
            report.exit().into()
        }
    }
}
