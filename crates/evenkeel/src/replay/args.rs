//! Arguments of `evenkeel replay`.

use super::error::ReplayError;
use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// What the file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Bitstamp's order-by-order feed: orders, trades and top-20 snapshots, one event a line
    BitstampL3,
    /// Deribit's public WebSocket feed, `recv_epoch: json` a line
    DeribitWs,
    /// Orders, cancels and amends as CSV
    OrderflowCsv,
}

impl Format {
    /// The name on the command line and in documents.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::BitstampL3 => "bitstamp-l3",
            Self::DeribitWs => "deribit-ws",
            Self::OrderflowCsv => "orderflow-csv",
        }
    }
}

/// What a recorded order-by-order feed is used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Mode {
    /// Maintain the book as told, compare with the recorded snapshots
    Book,
    /// Feed only new orders and true cancellations, compare our trades with the recorded ones
    Match,
}

/// Drive journal and engine with recorded market data.
///
/// Reads plain, .gz, .xz and .zst files. The whole file is checked first: a malformed line refuses
/// it before anything is applied, unless --rejects sets such lines aside. Every entry goes through
/// a journal that is synced to disk (a temporary one, unless --journal keeps it) and through the
/// engine; the same file always gives the same roots and digests.
#[derive(Debug, Clone, Args)]
pub struct ReplayArgs {
    /// The recorded file
    pub file: PathBuf,

    /// What the file holds
    #[arg(long, value_enum)]
    pub format: Format,

    /// bitstamp-l3: what to do with the feed [default: book]
    #[arg(long, value_enum)]
    pub mode: Option<Mode>,

    /// orderflow-csv: tick and lot sizes per instrument, in TOML; else inferred from the decimals
    #[arg(long, value_name = "FILE.toml")]
    pub instruments: Option<PathBuf>,

    /// orderflow-csv: write every trade to this file, as CSV
    #[arg(long, value_name = "FILE")]
    pub trades_out: Option<PathBuf>,

    /// orderflow-csv: write all resting orders at the end to this file, as CSV
    #[arg(long, value_name = "FILE")]
    pub book_out: Option<PathBuf>,

    /// With --book-out: write the resting orders every N rows, too
    #[arg(long, value_name = "N", requires = "book_out")]
    pub book_every: Option<u64>,

    /// bitstamp-l3, deribit-ws: write every difference with its class to this file, as CSV
    #[arg(long, value_name = "FILE")]
    pub differences_out: Option<PathBuf>,

    /// Set malformed lines aside in this file instead of refusing the input; exit code 3 if any
    #[arg(long, value_name = "FILE")]
    pub rejects: Option<PathBuf>,

    /// Keep the journal in this folder, which must be new or empty
    #[arg(long, value_name = "DIR")]
    pub journal: Option<PathBuf>,

    /// Threads that parse; the result does not depend on it [default: all processors]
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,

    /// Snapshot the engine after this many entries of the file, drop it, restore it and go on
    #[arg(long, value_name = "ENTRY")]
    pub restore_at: Option<u64>,

    /// Print one JSON document instead of text
    #[arg(long)]
    pub json: bool,
}

impl ReplayArgs {
    /// Arguments for a file, everything else left at its default.
    #[must_use]
    pub fn new(file: PathBuf, format: Format) -> Self {
        Self {
            file,
            format,
            mode: None,
            instruments: None,
            trades_out: None,
            book_out: None,
            book_every: None,
            differences_out: None,
            rejects: None,
            journal: None,
            threads: None,
            restore_at: None,
            json: false,
        }
    }

    /// The number of parsing threads.
    #[must_use]
    pub fn thread_count(&self) -> usize {
        let processors = || std::thread::available_parallelism().map_or(1, usize::from);
        self.threads.unwrap_or_else(processors).max(1)
    }

    /// Refuses arguments that the format would ignore.
    ///
    /// # Errors
    /// [`ReplayError::Usage`] names the argument.
    pub fn check(&self) -> Result<(), ReplayError> {
        let format = self.format;
        let (flow, bitstamp) = (format == Format::OrderflowCsv, format == Format::BitstampL3);
        let ignored = [
            ("--mode", self.mode.is_some() && !bitstamp),
            ("--instruments", self.instruments.is_some() && !flow),
            ("--trades-out", self.trades_out.is_some() && !flow),
            ("--book-out", self.book_out.is_some() && !flow),
            ("--differences-out", self.differences_out.is_some() && flow),
        ];
        if let Some((argument, _)) = ignored.iter().find(|(_, ignored)| *ignored) {
            let reason = format!("{argument} does not go with --format {}", format.name());
            return Err(ReplayError::Usage { reason });
        }
        if self.book_every == Some(0) || self.threads == Some(0) || self.restore_at == Some(0) {
            let reason = "--book-every, --threads and --restore-at count from 1".to_owned();
            return Err(ReplayError::Usage { reason });
        }
        self.check_outputs()
    }

    fn check_outputs(&self) -> Result<(), ReplayError> {
        let outputs = [&self.trades_out, &self.book_out, &self.differences_out, &self.rejects];
        let files: Vec<_> = outputs.into_iter().flatten().chain([&self.file]).collect();
        for (index, file) in files.iter().enumerate() {
            if files[..index].contains(file) {
                let reason = format!("{} is named twice", file.display());
                return Err(ReplayError::Usage { reason });
            }
        }
        Ok(())
    }
}
