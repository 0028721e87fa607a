//! `journal …`: reading a journal.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::place::Place;

/// Arguments of `journal replay`.
#[derive(Debug, Clone, Default, Args)]
pub struct JournalReplayArgs {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub place: Place,

    /// Stop before this position [default: at the end]
    #[arg(long, value_name = "POSITION")]
    pub until: Option<u64>,

    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

/// `journal …`
#[derive(Debug, Subcommand)]
pub enum JournalCommand {
    /// Say what the journal holds: identity, positions, term, chain, root, files
    ///
    /// Reads the whole journal once.
    #[command(after_help = "Example:\n  evenkeel journal inspect --home evenkeel-demo\n\n\
        Exit codes: 0 shown, 10 no journal there, 20 damaged")]
    Inspect(JournalShowArgs),

    /// Check every byte of the journal, unused space included
    ///
    /// Damage is listed with file, offset and positions. Nothing is changed; `repair` mends.
    #[command(after_help = "Example:\n  evenkeel journal verify --dir copy-of-journal --json\n\n\
        Exit codes: 0 intact (harmless damage is listed), 10 no journal there, 20 damaged")]
    Verify(JournalShowArgs),

    /// Print `position entry_hash` for each entry
    ///
    /// The hash is the entry's leaf of the journal root (RFC 6962, SHA-256). Beside a running
    /// daemon the last batch may not be acknowledged yet.
    #[command(after_help = "Example:\n  evenkeel journal hashes --from 1000 --to 1010\n\n\
        Exit codes: 0 printed, 10 no journal there, 20 damaged (what precedes it was printed)")]
    Hashes(JournalHashesArgs),

    /// Apply the journal from the newest snapshot before a position, and say the state there
    ///
    /// Prints position, state root and output digest. Takes no lock and changes nothing.
    #[command(after_help = "Example:\n  evenkeel journal replay --until 1000\n\n\
        Exit codes: 0 printed, 10 no journal there, 20 damaged, 23 an entry cannot be applied")]
    Replay(JournalReplayArgs),
}

/// Which journal.
#[derive(Debug, Clone, Default, Args)]
pub struct JournalPlace {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub place: Place,

    /// The journal's folder itself, for a copy
    #[arg(long, value_name = "DIR", conflicts_with_all = ["home", "config"])]
    pub dir: Option<PathBuf>,
}

/// Arguments of `journal inspect` and `journal verify`.
#[derive(Debug, Clone, Default, Args)]
pub struct JournalShowArgs {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub place: JournalPlace,

    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `journal hashes`.
#[derive(Debug, Clone, Default, Args)]
pub struct JournalHashesArgs {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub place: JournalPlace,

    /// First position [default: the first one the journal holds]
    #[arg(long, value_name = "POSITION")]
    pub from: Option<u64>,

    /// Last position [default: the last one]
    #[arg(long, value_name = "POSITION")]
    pub to: Option<u64>,
}
