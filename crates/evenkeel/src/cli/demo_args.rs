//! `evenkeel demo`, and what a process of `evenkeel up` is.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::place::Place;

/// What a process is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Role {
    /// Takes requests, journals them and applies them.
    Primary,
    /// Follows the primary, and takes its place when it is gone.
    Standby,
    /// Keeps a primary and a standby running, and trades with whichever is the primary.
    Keeper,
}

/// One of a keeper's processes; the roles go from one to the other, the names stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Slot {
    /// The first.
    A,
    /// The second.
    B,
}

impl Slot {
    /// Both.
    pub const ALL: [Self; 2] = [Self::A, Self::B];

    /// The word on the command line and in names of sockets.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::A => "a",
            Self::B => "b",
        }
    }
}

impl std::fmt::Display for Slot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.word())
    }
}

/// What is demonstrated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DemoKind {
    /// A bot with an order history in SQLite and logs in JSON, protected as it runs.
    Desk,
}

/// What can be done to the demonstration.
#[derive(Debug, Subcommand)]
pub enum DemoCommand {
    /// Kill -9 the primary; the standby takes over
    ///
    /// Says how long clients were without an acknowledgement, and compares everything they were
    /// ever acknowledged around it with the journal: how much was lost, how much applied twice.
    #[command(after_help = "Example:\n  evenkeel demo kill-primary --json\n\nExit codes: 0 taken \
        over, nothing lost and nothing twice; 10 no standby is ready; 20 something acknowledged \
        was lost, or applied twice")]
    KillPrimary(KillPrimaryArgs),

    /// A bot with an order history in SQLite and logs in JSON, as `up --demo desk` runs one
    #[command(hide = true)]
    #[command(after_help = "Example:\n  evenkeel demo bot --folder bot --rate 20\n\nExit codes: \
        0 ended, 1 its history cannot be written")]
    Bot(DemoBotArgs),

    /// Trade with a venue on other machines, over TLS, with whichever host is the primary
    ///
    /// Orders and cancels of the demonstration's accounts, until Ctrl-C. When the primary is gone
    /// the next one is found, and what had no answer is sent again with its sequence.
    #[command(after_help = "Example:\n  evenkeel demo clients --at host-a:7173,host-b:7173 \
        --credentials gateway-1\n\nExit codes: 0 ended, 12 the credentials cannot be used")]
    Clients(DemoClientsArgs),
}

/// Arguments of `demo bot`.
#[derive(Debug, Clone, Args)]
pub struct DemoBotArgs {
    /// Its folder
    #[arg(long, value_name = "DIR")]
    pub folder: PathBuf,

    /// Orders per second
    #[arg(long, value_name = "N", default_value_t = 20,
        value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub rate: u32,

    /// Append `order time_before time_after` to this file for every order that was committed
    #[arg(long, value_name = "FILE")]
    pub note: Option<PathBuf>,
}

/// Arguments of `demo clients`.
#[derive(Debug, Clone, Args)]
pub struct DemoClientsArgs {
    /// Every host of the venue, as HOST:PORT,HOST:PORT,…
    #[arg(long, value_name = "HOST:PORT", value_delimiter = ',', required = true)]
    pub at: Vec<String>,

    /// The folder with ca.pem, client.pem and client.key
    #[arg(long, value_name = "DIR")]
    pub credentials: PathBuf,

    /// Commands per second
    #[arg(long, value_name = "N", default_value_t = 200,
        value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub rate: u32,

    /// Append `position entry_hash` to this file for every command that was acknowledged
    #[arg(long, value_name = "FILE")]
    pub ack_log: Option<PathBuf>,

    /// End after this many seconds, as if by Ctrl-C
    #[arg(long, value_name = "SECONDS")]
    pub exit_after: Option<u64>,
}

/// `evenkeel clients`.
#[derive(Debug, Subcommand)]
pub enum ClientsCommand {
    /// Make a client's key and certificate, and say what the hosts' configuration needs
    ///
    /// To be run on the client's machine: the key never leaves it.
    #[command(
        after_help = "Example:\n  evenkeel clients key --name gateway-1 --to gateway-1\n\nExit \
        codes: 0 made, 1 there is one already, or it cannot be written"
    )]
    Key(ClientsKeyArgs),
}

/// Arguments of `clients key`.
#[derive(Debug, Clone, Args)]
pub struct ClientsKeyArgs {
    /// What people call the client
    #[arg(long, value_name = "NAME")]
    pub name: String,

    /// Folder for client.key and client.pem
    #[arg(long, value_name = "DIR")]
    pub to: PathBuf,
}

/// Arguments of `demo kill-primary`.
#[derive(Debug, Clone, Default, Args)]
pub struct KillPrimaryArgs {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub place: Place,

    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}
