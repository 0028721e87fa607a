//! `postgres …`: PostgreSQL clusters that are captured.

use clap::{Args, Subcommand};

use super::place::Place;

/// `postgres …`
#[derive(Debug, Subcommand)]
pub enum PostgresCommand {
    /// Follow the configured servers as a standby does, until ended
    ///
    /// Receives their log through a replication slot, takes base backups, and tells a server that
    /// waits for us what is safe. Recovery points of files (`backup`, `up`) take what was received.
    #[command(after_help = "Example:\n  evenkeel postgres run --home desk\n\nExit codes: 0 ended \
        as asked, 2 not configured or not possible on that server, 11 another one runs, 12 the \
        server does not let us in, 20 another cluster or another history")]
    Run(PostgresRunArgs),

    /// Show what can be brought back: windows of time, named points, gaps
    #[command(after_help = "Example:\n  evenkeel postgres status --json\n\nExit codes: 0 shown, \
        10 nothing was captured here yet")]
    Status(PostgresStatusArgs),
}

/// Arguments of `postgres run`.
#[derive(Debug, Clone, Default, Args)]
pub struct PostgresRunArgs {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub place: Place,

    /// End with the process that started this one, as `up` has it
    #[arg(long, hide = true)]
    pub with_parent: bool,
}

/// Arguments of `postgres status`.
#[derive(Debug, Clone, Default, Args)]
pub struct PostgresStatusArgs {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub place: Place,

    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}
