//! Importers: recorded market data drives journal and engine.
//!
//! Three formats, each read in a folder of its own: Bitstamp's order-by-order feed, Deribit's
//! public WebSocket feed, and order flow as CSV. A file is read and checked whole, as blocks of
//! lines, before its first entry is applied. What it says then becomes journal entries
//! ([`pipeline`]), whose times are the recorded ones, so that the same file gives the same roots
//! and digests on every machine, with any number of threads, with or without a restore on the way.
//! `docs/replay.md` describes formats, outputs and comparisons.

pub mod args;
pub mod bitstamp;
pub mod deribit;
mod differences_out;
pub mod error;
mod feed;
pub mod flow;
mod input;
mod json;
mod number;
mod outlet;
pub mod pipeline;
mod rejects;
pub mod report;
mod told;

pub use args::{Format, Mode, ReplayArgs};
pub use error::ReplayError;

use pipeline::{Ended, Pipeline};
use rejects::Rejects;
use report::{BookComparison, Comparison, DeribitComparison, FlowComparison, MatchComparison};
use std::io::{self, Write};
use std::path::Path;
use std::time::{Duration, Instant};

/// What each format leaves behind.
struct Done {
    ended: Ended,
    trades: u64,
    comparison: Comparison,
    read_time: Duration,
    /// What is missing, if anything is.
    missing: Option<String>,
}

/// Runs `evenkeel replay`: the result goes to `out`, everything else to `progress`.
///
/// # Errors
/// [`ReplayError`]; its [`ReplayError::exit_code`] is the process's. With
/// [`ReplayError::Partial`] the result was printed.
pub fn run(
    args: &ReplayArgs,
    out: &mut dyn Write,
    progress: &mut dyn Write,
) -> Result<(), ReplayError> {
    args.check()?;
    let started = Instant::now();
    let mut rejects = Rejects::new(args)?;
    // A closed stderr is no reason to stop.
    let _ = writeln!(progress, "reading {}", args.file.display());
    let done = match (args.format, args.mode.unwrap_or(Mode::Book)) {
        (Format::BitstampL3, Mode::Book) => bitstamp_book(args, &mut rejects, started)?,
        (Format::BitstampL3, Mode::Match) => bitstamp_match(args, &mut rejects, started)?,
        (Format::DeribitWs, _) => deribit_ws(args, &mut rejects, started)?,
        (Format::OrderflowCsv, _) => orderflow_csv(args, &mut rejects, started)?,
    };
    rejects.flush()?;
    let elapsed = started.elapsed();
    let mut missing: Vec<String> = done.missing.iter().cloned().collect();
    let document = document(args, done, elapsed, rejects.count());
    print(args, &document, out).map_err(|source| ReplayError::output(stdout_path(), source))?;
    if let Some(path) = rejects.path().filter(|_| rejects.count() > 0) {
        missing.push(format!("{} bad lines were set aside in {}", rejects.count(), path.display()));
    }
    if missing.is_empty() {
        Ok(())
    } else {
        Err(ReplayError::Partial { reason: missing.join("; ") })
    }
}

fn stdout_path() -> &'static Path {
    Path::new("standard output")
}

fn document(
    args: &ReplayArgs,
    done: Done,
    elapsed: Duration,
    rejected_lines: u64,
) -> report::ReplayDocument {
    let entries = done.ended.file_entries;
    let rate = entries as f64 / elapsed.as_secs_f64().max(f64::MIN_POSITIVE);
    report::ReplayDocument {
        message_type: "replay",
        format: args.format.name(),
        entries,
        journal_entries: done.ended.journal_entries,
        trades: done.trades,
        elapsed_seconds: elapsed.as_secs_f64(),
        read_seconds: done.read_time.as_secs_f64(),
        entries_per_second: rate.round(),
        state_root: hex(&done.ended.engine.state_root()),
        journal_root: hex(&done.ended.journal_root),
        output_digest: hex(&done.ended.engine.output_digest()),
        restored_at: args.restore_at,
        rejected_lines,
        comparison: done.comparison,
    }
}

fn print(
    args: &ReplayArgs,
    document: &report::ReplayDocument,
    out: &mut dyn Write,
) -> io::Result<()> {
    if args.json {
        serde_json::to_writer(&mut *out, document).map_err(io::Error::from)?;
        writeln!(out)?;
    } else {
        report::print_text(out, document)?;
    }
    out.flush()
}

fn hex(bytes: &[u8; 32]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn bitstamp_book(
    args: &ReplayArgs,
    rejects: &mut Rejects,
    started: Instant,
) -> Result<Done, ReplayError> {
    let recording = bitstamp::read(args, rejects)?;
    let read_time = started.elapsed();
    let mut pipeline = Pipeline::open(args, recording.start_ns(), Vec::new())?;
    bitstamp::define_market(&mut pipeline, &recording)?;
    let result = bitstamp::book::replay(&recording, &mut pipeline)?;
    let ended = pipeline.finish()?;
    differences_out::levels(args, &result.found.differences)?;
    let comparison = Comparison::Book(BookComparison::from(&result));
    Ok(Done { ended, trades: 0, comparison, read_time, missing: None })
}

fn bitstamp_match(
    args: &ReplayArgs,
    rejects: &mut Rejects,
    started: Instant,
) -> Result<Done, ReplayError> {
    let recording = bitstamp::read(args, rejects)?;
    let read_time = started.elapsed();
    let mut pipeline = Pipeline::open(args, recording.start_ns(), Vec::new())?;
    bitstamp::define_market(&mut pipeline, &recording)?;
    let result = bitstamp::matching::replay(&recording, &mut pipeline)?;
    let ended = pipeline.finish()?;
    differences_out::trades(args, &result.differences)?;
    let comparison = Comparison::Match(MatchComparison::from(&result));
    Ok(Done { ended, trades: result.our_trades, comparison, read_time, missing: None })
}

fn deribit_ws(
    args: &ReplayArgs,
    rejects: &mut Rejects,
    started: Instant,
) -> Result<Done, ReplayError> {
    let records = deribit::read(args, rejects)?;
    let read_time = started.elapsed();
    let mut pipeline = Pipeline::open(args, deribit::start_ns(&records), Vec::new())?;
    let result = deribit::replay(&records, &mut pipeline)?;
    let ended = pipeline.finish()?;
    differences_out::tickers(args, &result)?;
    let gaps: Vec<String> = result.gaps.iter().map(ToString::to_string).collect();
    let missing = (!gaps.is_empty()).then(|| gaps.join("; "));
    let comparison = Comparison::Deribit(DeribitComparison::from(&result));
    Ok(Done { ended, trades: 0, comparison, read_time, missing })
}

fn orderflow_csv(
    args: &ReplayArgs,
    rejects: &mut Rejects,
    started: Instant,
) -> Result<Done, ReplayError> {
    let flow = flow::read(args, rejects)?;
    let read_time = started.elapsed();
    let (rows, instruments) = (flow.rows.len() as u64, flow.instruments.count());
    if let Some(at) = args.restore_at.filter(|at| *at > rows) {
        let reason = format!("--restore-at {at}, but the file has only {rows} rows");
        return Err(ReplayError::Usage { reason });
    }
    let replayed = flow::replay(args, &flow)?;
    let accounts = flow.accounts.count();
    let comparison = FlowComparison::new(&replayed.counts, rows, instruments, accounts);
    let comparison = Comparison::Flow(comparison);
    let (ended, trades) = (replayed.ended, replayed.counts.trades);
    Ok(Done { ended, trades, comparison, read_time, missing: None })
}
