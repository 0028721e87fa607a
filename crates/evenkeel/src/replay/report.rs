//! What a replay prints: one JSON document, or lines for people.

use super::args::Mode;
use super::bitstamp::book::BookResult;
use super::bitstamp::differences::{Class, Difference};
use super::bitstamp::matching::{Cause, Kind, MatchResult, TradeDifference};
use super::deribit::{DeribitResult, TickerDifference};
use super::flow::Counts;
use super::number::units_text;
use evenkeel_types::Side;
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::{self, Write};

/// The document of `evenkeel replay --json`.
#[derive(Debug, Serialize)]
pub struct ReplayDocument {
    /// `replay`
    pub message_type: &'static str,
    /// `bitstamp-l3`, `deribit-ws` or `orderflow-csv`.
    pub format: &'static str,
    /// Entries of the file that were applied: rows of order flow, order events, book messages.
    pub entries: u64,
    /// Entries in the journal, those that define the venue and its accounts included.
    pub journal_entries: u64,
    /// Trades that the engine made.
    pub trades: u64,
    /// From reading the file to the last entry durable and applied.
    pub elapsed_seconds: f64,
    /// Of them, reading and checking the file.
    pub read_seconds: f64,
    /// `entries` by `elapsed_seconds`.
    pub entries_per_second: f64,
    /// Lower-case hex.
    pub state_root: String,
    /// Lower-case hex.
    pub journal_root: String,
    /// Lower-case hex.
    pub output_digest: String,
    /// Entry at which the engine was restored from its snapshot.
    pub restored_at: Option<u64>,
    /// Malformed lines set aside.
    pub rejected_lines: u64,
    /// Counts of the format's own.
    pub comparison: Comparison,
}

/// Counts of each format's own.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Comparison {
    /// `bitstamp-l3 --mode book`
    Book(BookComparison),
    /// `bitstamp-l3 --mode match`
    Match(MatchComparison),
    /// `deribit-ws`
    Deribit(DeribitComparison),
    /// `orderflow-csv`
    Flow(FlowComparison),
}

/// The told book against recorded snapshots.
#[derive(Debug, Serialize)]
pub struct BookComparison {
    mode: &'static str,
    snapshots: u64,
    snapshots_equal: u64,
    snapshots_older_only: u64,
    snapshots_unexplained: u64,
    crossed: u64,
    level_differences: BTreeMap<&'static str, u64>,
    older_levels: u64,
    ignored_after_deletion: u64,
    deleted_again: u64,
    deleted_unseen: u64,
    changed_unseen: u64,
    engine_books_equal: u64,
    engine_refused: u64,
    recorded_trades: u64,
    unexplained: Vec<LevelItem>,
}

/// A level that differs.
#[derive(Debug, Serialize)]
pub struct LevelItem {
    line: u64,
    time_ms: u64,
    side: &'static str,
    price: String,
    ours: String,
    theirs: String,
    class: &'static str,
    event_line: Option<u64>,
}

/// Our trades against recorded ones.
#[derive(Debug, Serialize)]
pub struct MatchComparison {
    mode: &'static str,
    recorded_trades: u64,
    our_trades: u64,
    trades_equal: u64,
    trades_equal_as_told: u64,
    trade_differences: BTreeMap<&'static str, BTreeMap<&'static str, u64>>,
    orders: u64,
    market_orders: u64,
    orders_refused: u64,
    cancels: u64,
    cancels_not_open: u64,
    cancels_other_amount: u64,
    left_open: u64,
    unexplained: Vec<TradeItem>,
}

/// A trade that differs.
#[derive(Debug, Serialize)]
pub struct TradeItem {
    line: u64,
    time_ms: u64,
    kind: &'static str,
    cause: &'static str,
    price: String,
    amount: String,
    buyer: Option<u64>,
    seller: Option<u64>,
}

/// Chains followed.
#[derive(Debug, Serialize)]
pub struct DeribitComparison {
    instruments: u64,
    book_messages: u64,
    snapshots: u64,
    changes: u64,
    gaps: u64,
    gap_list: Vec<GapItem>,
    discarded_changes: u64,
    repeated_changes: u64,
    level_misfits: u64,
    crossed: u64,
    engine_books_equal: u64,
    engine_refused: u64,
    tickers: u64,
    tickers_equal: u64,
    tickers_unchecked: u64,
    ticker_levels_ahead: u64,
    ticker_differences: Vec<TickerItem>,
    recorded_trades: u64,
}

/// A broken chain.
#[derive(Debug, Serialize)]
pub struct GapItem {
    line: u64,
    instrument: String,
    expected: Option<u64>,
    found: u64,
}

/// A ticker that differs.
#[derive(Debug, Serialize)]
pub struct TickerItem {
    line: u64,
    time_ns: u64,
    instrument: String,
    side: &'static str,
    our_price: String,
    our_amount: String,
    their_price: String,
    their_amount: String,
}

/// What became of the rows.
#[derive(Debug, Serialize)]
pub struct FlowComparison {
    rows: u64,
    adds: u64,
    cancels: u64,
    amends: u64,
    cancels_not_open: u64,
    amends_not_open: u64,
    refused: BTreeMap<String, u64>,
    time_went_back: u64,
    instruments: u64,
    accounts: u64,
    resting_orders: u64,
}

/// `buy` or `sell`.
#[must_use]
pub fn side_word(side: Side) -> &'static str {
    match side {
        Side::Buy => "buy",
        Side::Sell => "sell",
    }
}

impl From<&Difference> for LevelItem {
    fn from(found: &Difference) -> Self {
        Self {
            line: found.line,
            time_ms: found.time_ms,
            side: side_word(found.side),
            price: units_text(found.price),
            ours: units_text(found.ours),
            theirs: units_text(found.theirs),
            class: found.class.name(),
            event_line: found.event_line,
        }
    }
}

impl From<&TradeDifference> for TradeItem {
    fn from(found: &TradeDifference) -> Self {
        Self {
            line: found.trade.line,
            time_ms: found.trade.time_ms,
            kind: found.kind.name(),
            cause: found.cause.name(),
            price: units_text(found.trade.price),
            amount: units_text(found.trade.amount),
            buyer: found.trade.buyer,
            seller: found.trade.seller,
        }
    }
}

impl From<&TickerDifference> for TickerItem {
    fn from(found: &TickerDifference) -> Self {
        Self {
            line: found.line,
            time_ns: found.time_ns,
            instrument: found.instrument.clone(),
            side: side_word(found.side),
            our_price: units_text(found.ours.0),
            our_amount: units_text(found.ours.1),
            their_price: units_text(found.theirs.0),
            their_amount: units_text(found.theirs.1),
        }
    }
}

/// The name of a mode in documents.
#[must_use]
pub fn mode_name(mode: Mode) -> &'static str {
    match mode {
        Mode::Book => "book",
        Mode::Match => "match",
    }
}

impl From<&BookResult> for BookComparison {
    fn from(result: &BookResult) -> Self {
        let (found, odd) = (&result.found, &result.oddities);
        let mut level_differences = BTreeMap::new();
        for class in [Class::Older, Class::Behind, Class::Ahead, Class::Unexplained] {
            let count = found.differences.iter().filter(|one| one.class == class).count();
            level_differences.insert(class.name(), count as u64);
        }
        let unexplained = found.differences.iter().filter(|one| one.class != Class::Older);
        Self {
            mode: mode_name(Mode::Book),
            snapshots: found.snapshots,
            snapshots_equal: found.equal,
            snapshots_older_only: found.older_only,
            snapshots_unexplained: found.snapshots - found.equal - found.older_only,
            crossed: found.crossed,
            level_differences,
            older_levels: found.older_levels,
            ignored_after_deletion: odd.after_deletion,
            deleted_again: odd.deleted_again,
            deleted_unseen: odd.deleted_unseen,
            changed_unseen: odd.changed_unseen,
            engine_books_equal: result.engine_agrees,
            engine_refused: result.engine_refused,
            recorded_trades: result.recorded_trades,
            unexplained: unexplained.map(LevelItem::from).collect(),
        }
    }
}

impl From<&MatchResult> for MatchComparison {
    fn from(result: &MatchResult) -> Self {
        let mut trade_differences: BTreeMap<_, BTreeMap<_, u64>> = BTreeMap::new();
        for kind in [Kind::RecordedOnly, Kind::OursOnly, Kind::OtherTerms] {
            trade_differences.entry(kind.name()).or_default();
        }
        for found in &result.differences {
            let causes = trade_differences.entry(found.kind.name()).or_default();
            *causes.entry(found.cause.name()).or_default() += 1;
        }
        let unexplained = result.differences.iter().filter(|one| one.cause == Cause::Unexplained);
        Self {
            mode: mode_name(Mode::Match),
            recorded_trades: result.recorded_trades,
            our_trades: result.our_trades,
            trades_equal: result.equal,
            trades_equal_as_told: result.equal_as_told,
            trade_differences,
            orders: result.placed,
            market_orders: result.market_orders,
            orders_refused: result.refused,
            cancels: result.cancels,
            cancels_not_open: result.cancels_not_open,
            cancels_other_amount: result.cancels_other_amount,
            left_open: result.left_open,
            unexplained: unexplained.map(TradeItem::from).collect(),
        }
    }
}

impl From<&DeribitResult> for DeribitComparison {
    fn from(result: &DeribitResult) -> Self {
        let gap = |gap: &super::deribit::chain::Gap| GapItem {
            line: gap.line,
            instrument: gap.instrument.clone(),
            expected: gap.expected,
            found: gap.found,
        };
        let (ahead, others): (Vec<_>, Vec<_>) =
            result.ticker_differences.iter().partition(|one| one.ahead);
        Self {
            instruments: result.instruments,
            book_messages: result.book_messages,
            snapshots: result.snapshots,
            changes: result.changes,
            gaps: result.gaps.len() as u64,
            gap_list: result.gaps.iter().map(gap).collect(),
            discarded_changes: result.discarded,
            repeated_changes: result.repeated,
            level_misfits: result.misfits,
            crossed: result.crossed,
            engine_books_equal: result.engine_agrees,
            engine_refused: result.engine_refused,
            tickers: result.tickers,
            tickers_equal: result.tickers_equal,
            tickers_unchecked: result.tickers_unchecked,
            ticker_levels_ahead: ahead.len() as u64,
            ticker_differences: others.into_iter().map(TickerItem::from).collect(),
            recorded_trades: result.trades,
        }
    }
}

impl FlowComparison {
    /// From what became of the rows.
    #[must_use]
    pub fn new(counts: &Counts, rows: u64, instruments: usize, accounts: usize) -> Self {
        Self {
            rows,
            adds: counts.adds,
            cancels: counts.cancels,
            amends: counts.amends,
            cancels_not_open: counts.cancels_not_open,
            amends_not_open: counts.amends_not_open,
            refused: counts.refused.clone(),
            time_went_back: counts.time_went_back,
            instruments: instruments as u64,
            accounts: accounts as u64,
            resting_orders: counts.resting_orders,
        }
    }
}

/// Prints the document as lines for people.
///
/// # Errors
/// What the writer says.
pub fn print_text(out: &mut dyn Write, document: &ReplayDocument) -> io::Result<()> {
    let ReplayDocument { format, entries, journal_entries, trades, .. } = document;
    let (elapsed, rate) = (document.elapsed_seconds, document.entries_per_second);
    writeln!(out, "{format}: {entries} entries in {elapsed:.3} s ({rate:.0} a second)")?;
    writeln!(out, "journal entries: {journal_entries}, trades: {trades}")?;
    if let Some(at) = document.restored_at {
        writeln!(out, "restored from a snapshot behind entry {at}")?;
    }
    if document.rejected_lines > 0 {
        writeln!(out, "bad lines set aside: {}", document.rejected_lines)?;
    }
    writeln!(out, "state root:    {}", document.state_root)?;
    writeln!(out, "journal root:  {}", document.journal_root)?;
    writeln!(out, "output digest: {}", document.output_digest)?;
    let comparison = serde_json::to_value(&document.comparison).map_err(io::Error::other)?;
    print_fields(out, &comparison, 2)
}

fn print_fields(out: &mut dyn Write, value: &serde_json::Value, indent: usize) -> io::Result<()> {
    use serde_json::Value;
    let Value::Object(fields) = value else {
        return Ok(());
    };
    for (name, value) in fields {
        let name = name.replace('_', " ");
        match value {
            Value::Object(_) => {
                writeln!(out, "{:indent$}{name}", "")?;
                print_fields(out, value, indent + 2)?;
            }
            Value::Array(items) => {
                writeln!(out, "{:indent$}{name}: {}", "", items.len())?;
                for item in items {
                    writeln!(out, "{:indent$}  {}", "", item_line(item))?;
                }
            }
            Value::String(text) => writeln!(out, "{:indent$}{name}: {text}", "")?,
            other => writeln!(out, "{:indent$}{name}: {other}", "")?,
        }
    }
    Ok(())
}

fn item_line(item: &serde_json::Value) -> String {
    let serde_json::Value::Object(fields) = item else {
        return item.to_string();
    };
    let parts = fields.iter().map(|(name, value)| {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        format!("{} {text}", name.replace('_', " "))
    });
    parts.collect::<Vec<_>>().join(", ")
}
