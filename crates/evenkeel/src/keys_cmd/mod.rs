//! `evenkeel keys …`: custody of keys, at the edge: files, words on the terminal, JSON.
//!
//! Nothing secret goes to stdout or stderr unless `--reveal` was given.

mod cards;
mod guard;
mod input;
mod slip39_recover;
mod slip39_split;

use crate::cli::{KeysCommand, Slip39Command};
use crate::report::{Exit, Result};

/// Runs a command, in a process whose memory is kept from disk as far as the machine allows.
pub(crate) fn run(command: &KeysCommand) -> Result<Exit> {
    guard::keep_memory_private();
    match command {
        KeysCommand::Slip39(Slip39Command::Split(args)) => slip39_split::run(args),
        KeysCommand::Slip39(Slip39Command::Recover(args)) => slip39_recover::run(args),
    }
}
