//! Arguments of `drill everything`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// A part of a drill of everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum EverythingPart {
    /// Keys that people hold.
    Keys,
    /// Venue, files, databases.
    State,
    /// Endpoints, pins, cursors.
    Network,
}

impl EverythingPart {
    /// As people type it, and as it is called in reports.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Keys => "keys",
            Self::State => "state",
            Self::Network => "network",
        }
    }
}

/// Arguments of `drill everything`.
#[derive(Debug, Clone, Args)]
pub struct DrillEverythingArgs {
    /// Recovery kits, one of each: of keys, of the state, of the network
    #[arg(long, value_name = "KIT", required = true)]
    pub kit: Vec<PathBuf>,

    /// File with cards, one a line; may be given more than once; - reads standard input [default:
    /// asked for on a terminal]
    #[arg(long, value_name = "FILE")]
    pub shares: Vec<PathBuf>,

    /// File with a passphrase of cards; the records say whose it is
    #[arg(long, value_name = "FILE")]
    pub passphrase_file: Vec<PathBuf>,

    /// File with a passphrase of a BIP-39 sentence
    #[arg(long, value_name = "FILE")]
    pub bip39_passphrase_file: Vec<PathBuf>,

    /// Identity that opens the state or the network, where no cards do; may be given more than once
    #[arg(long, value_name = "FILE")]
    pub identity: Vec<PathBuf>,

    /// A quorum that opens the state: the folder that `keys group ask` made here
    #[arg(long, value_name = "DIR", requires = "table")]
    pub quorum: Option<PathBuf>,

    /// The folder in which the holders laid their answers
    #[arg(long, value_name = "DIR", requires = "quorum")]
    pub table: Option<PathBuf>,

    /// Leave a part out on purpose: otherwise a part without a kit makes the drill unproven
    #[arg(long, value_name = "PART", value_enum)]
    pub without: Vec<EverythingPart>,

    /// Ask no server of the network: whether endpoints serve is then unproven
    #[arg(long)]
    pub offline: bool,

    /// Configuration of which [drill], [[drill.checks]], [alerts] and what is promised are taken
    /// [default: evenkeel.toml in --home, if it is there]
    #[arg(long, value_name = "FILE")]
    pub settings: Option<PathBuf>,

    /// Folder for reports and what was seen last [default: the drill host of --settings, else
    /// ./evenkeel-kit]
    #[arg(long, value_name = "DIR")]
    pub home: Option<PathBuf>,

    /// Print one JSON document
    #[arg(long)]
    pub json: bool,

    /// Do not ask for alerts.deadman_url, whatever the drill proves
    #[arg(long)]
    pub no_ping: bool,
}
