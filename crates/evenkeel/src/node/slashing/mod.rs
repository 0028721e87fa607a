//! Signing histories of validators: captured with every recovery point of files, merged forward,
//! and never brought back stale.

mod captured;
mod commands;

pub(super) use captured::publish;

use crate::cli::SlashingCommand;
use crate::report::{Exit, Result};

/// Runs `slashing …`.
pub(crate) fn run(command: &SlashingCommand) -> Result<Exit> {
    match command {
        SlashingCommand::Restore(args) => commands::restore(args),
        SlashingCommand::Merge(args) => commands::merge_files(args),
    }
}
