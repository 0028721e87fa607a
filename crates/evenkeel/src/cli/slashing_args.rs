//! `slashing …`: signing histories of validators.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::place::Place;
use super::time::parse_time_ns;

/// `slashing …`
#[derive(Debug, Subcommand)]
pub enum SlashingCommand {
    /// Bring a signing history back: merged over all recovery points and what lies at the target
    ///
    /// Writes an interchange file (EIP-3076) that forbids whatever any of them forbids, and says
    /// how many epochs to wait before the validator may start.
    #[command(
        after_help = "Example:\n  evenkeel slashing restore validators --home desk --identity \
        recovery-identity.txt --to interchange.json --stopped-at 2026-02-03T07:00:00Z\n\nExit \
        codes: 0 written, nothing to wait for; 3 written, wait as it says; 10 nothing captured; \
        12 wrong identity; 20 histories of two chains; 21 not enough sites"
    )]
    Restore(SlashingRestoreArgs),

    /// Merge interchange files, forward only
    #[command(after_help = "Example:\n  evenkeel slashing merge old.json new.json --to \
        interchange.json\n\nExit codes: 0 written, 2 a file is no interchange file, 20 histories \
        of two chains")]
    Merge(SlashingMergeArgs),
}

/// Arguments of `slashing restore`.
#[derive(Debug, Clone, Default, Args)]
pub struct SlashingRestoreArgs {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub place: Place,

    /// Name of a [[slashing]]
    #[arg(value_name = "NAME")]
    pub name: String,

    /// The recovery identity, or another that can open recovery points of files
    #[arg(long, value_name = "FILE")]
    pub identity: PathBuf,

    /// The interchange file to write; one that is there is merged too, and never lowered
    #[arg(long, value_name = "FILE")]
    pub to: PathBuf,

    /// The last moment at which the validator can have signed [default: now]
    #[arg(long, value_name = "RFC3339", value_parser = parse_time_ns)]
    pub stopped_at: Option<u64>,

    /// Where this takes approvals: propose exactly this, and say why; nothing else is done
    #[arg(long, value_name = "WHY")]
    pub propose: Option<String>,

    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `slashing merge`.
#[derive(Debug, Clone, Default, Args)]
pub struct SlashingMergeArgs {
    /// Interchange files
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,

    /// The interchange file to write; one that is there is merged too, and never lowered
    #[arg(long, value_name = "FILE")]
    pub to: PathBuf,

    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}
