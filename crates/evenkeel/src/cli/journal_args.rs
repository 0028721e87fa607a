//! Arguments of `journal replay`.

use clap::Args;

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
