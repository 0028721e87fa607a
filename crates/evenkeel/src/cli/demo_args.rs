//! `evenkeel demo`, and what a process of `evenkeel up` is.

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
