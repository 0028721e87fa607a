//! `margin …`

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::place::Place;

/// `margin …`
#[derive(Debug, Subcommand)]
pub enum MarginCommand {
    /// Compute portfolio margin of a position from a file, every intermediate number shown
    ///
    /// The file has the shape of Deribit's private/pme/simulate: model_params (general, and for
    /// each index its pair and its currency), position (coins by instrument), index_price,
    /// mark_price by instrument; optional mark_iv (percent) and underlying_price of options,
    /// open_orders_margin, mmp_margin, spot_margin, equity. Other keys are ignored.
    #[command(after_help = "Example:\n  evenkeel margin simulate --input account.json --json\n\n\
        Exit codes: 0 computed, 2 the input is malformed; the message names the key")]
    Simulate(MarginSimulateArgs),

    /// Take an account's margin apart: every number that was added
    ///
    /// Each position's part in each scenario, the worst one, each contingency; they add up to the
    /// total to the last digit. Reads the host's journal, beside a running daemon too.
    #[command(after_help = "Example:\n  evenkeel margin explain --account 1 --json\n\n\
        Exit codes: 0 explained, 2 there is no such account, 10 nothing there yet")]
    Explain(MarginExplainArgs),
}

/// Arguments of `margin explain`.
#[derive(Debug, Clone, Args)]
pub struct MarginExplainArgs {
    #[command(flatten)]
    /// Which installation
    pub place: Place,

    /// The account's number
    #[arg(long, value_name = "N")]
    pub account: u64,

    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `margin simulate`.
#[derive(Debug, Clone, Args)]
pub struct MarginSimulateArgs {
    /// What to compute; `-` reads stdin
    #[arg(long, value_name = "FILE")]
    pub input: PathBuf,

    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}
