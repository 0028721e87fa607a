//! Arguments of `drill` and its commands.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::domain_arg::DomainArg;
use super::place::Place;
use crate::config::DrillLevel;

/// Arguments of `drill`.
#[derive(Debug, Clone, Default, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct DrillArgs {
    #[command(subcommand)]
    #[allow(missing_docs)]
    pub action: Option<DrillAction>,

    #[command(flatten)]
    #[allow(missing_docs)]
    pub place: Place,

    #[command(flatten)]
    #[allow(missing_docs)]
    pub domain: DomainArg,

    /// How much to prove [default: drill.level]
    #[arg(long, value_enum, value_name = "LEVEL")]
    pub level: Option<DrillLevel>,

    /// Identity to open with [default: drill.identity_file for D3; D4 needs the recovery identity]
    #[arg(long, value_name = "FILE")]
    pub identity: Option<PathBuf>,

    #[command(flatten)]
    #[allow(missing_docs)]
    pub quorum: super::QuorumArgs,

    /// Print one JSON document
    #[arg(long)]
    pub json: bool,

    /// Do not ask for alerts.deadman_url, whatever the drill proves
    #[arg(long)]
    pub no_ping: bool,
}

/// `drill …`
#[derive(Debug, Clone, Subcommand)]
pub enum DrillAction {
    /// Check a report's signature, offline, and show what it says
    ///
    /// Needs no site and no daemon: the report, and the public key of the drill host (of the host's
    /// writer for D2). Without a report the newest one is shown.
    #[command(
        after_help = "Example:\n  evenkeel drill verify 01795315620000000000.drill --key 3f…\n\n\
        Exit codes: 0 genuine, 10 there is none yet, 12 signed by another key, 20 changed or not a \
        report"
    )]
    Verify(DrillVerifyArgs),

    /// Bring back keys, state and network together, from kits and what people bring
    ///
    /// On a blank machine: cards give keys, which open state and network; all of it is laid out in
    /// scratch, checked, and one signed report says of each part what was proven, and whether one
    /// could trade with it. A part without a kit makes it unproven, unless it is left out by
    /// --without.
    #[command(
        after_help = "Example:\n  evenkeel drill everything --kit kit-keys.txt --kit kit-state.txt \
        --kit kit-network.txt --shares cards.txt --passphrase-file passphrase.txt\n\n\
        Exit codes: 0 everything is proven, and one could trade, 3 something could not be proven, \
        12 wrong passphrase or identity, 20 something that came back is wrong, 21 not enough \
        sites, 22 not enough cards"
    )]
    Everything(super::DrillEverythingArgs),
}

/// Arguments of `drill verify`.
#[derive(Debug, Clone, Args)]
pub struct DrillVerifyArgs {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub place: Place,

    /// The report's file, or its number in the history [default: the newest]
    #[arg(value_name = "REPORT")]
    pub report: Option<PathBuf>,

    /// Public key that has to have signed it [default: what the configuration says]
    #[arg(long, value_name = "HEX")]
    pub key: Option<String>,

    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}
