//! `--mode book`: the book as told, in the engine too, against the recorded snapshots.

use super::super::error::ReplayError;
use super::super::feed::Feed;
use super::super::pipeline::Pipeline;
use super::super::told::{Oddities, Told, ToldBook};
use super::differences::{Comparison, Found};
use super::line::{Message, OrderEvent, Record};
use super::read::{MARKET, Recording, time_ns};
use evenkeel_types::Side;

/// What book mode found.
#[derive(Debug)]
pub struct BookResult {
    /// The comparison with the snapshots.
    pub found: Found,
    /// Events that do not fit the feed's own logic.
    pub oddities: Oddities,
    /// Snapshots at which the engine's book was the told one, level by level.
    pub engine_agrees: u64,
    /// Orders that the engine refused.
    pub engine_refused: u64,
    /// Trades recorded; they change nothing here, the orders' own events do.
    pub recorded_trades: u64,
}

/// Maintains the book event by event.
///
/// # Errors
/// [`ReplayError::Journal`].
pub fn replay(recording: &Recording, pipeline: &mut Pipeline) -> Result<BookResult, ReplayError> {
    let mut told = ToldBook::default();
    let mut feed = Feed::new(MARKET, recording.units());
    let mut comparison = Comparison::default();
    let (mut engine_agrees, mut recorded_trades) = (0, 0);
    for record in &recording.records {
        match &record.message {
            Message::Order(event) => {
                let effect = apply(&mut told, &mut comparison, record, event);
                let standing = match effect {
                    Told::Stands(order) => Some(order),
                    Told::Gone(_) => None,
                    Told::OlderGone | Told::AfterItsEnd | Told::GoneAgain => {
                        pipeline.file_entry_done()?;
                        continue;
                    }
                };
                feed.set(pipeline, time_ns(record.time_ms), event.id, standing)?;
                pipeline.file_entry_done()?;
            }
            Message::Trade { .. } => recorded_trades += 1,
            Message::Snapshot { bids, asks } => {
                let theirs = [(Side::Buy, &bids[..]), (Side::Sell, &asks[..])];
                comparison.snapshot(told.levels(), theirs, record.line, record.time_ms);
                engine_agrees += u64::from(feed.engine_agrees(pipeline, told.levels()));
            }
        }
    }
    Ok(BookResult {
        found: comparison.finish(),
        oddities: told.oddities(),
        engine_agrees,
        engine_refused: feed.refused(),
        recorded_trades,
    })
}

/// Takes an event into the told book, and notes what it did to its levels.
fn apply(
    told: &mut ToldBook,
    comparison: &mut Comparison,
    record: &Record,
    event: &OrderEvent,
) -> Told {
    let before = told.order(event.id).map(|order| (order.side, order.price));
    let mut touched = [before, Some((event.side, event.price))];
    if touched[0] == touched[1] {
        touched[0] = None;
    }
    let amount = |told: &ToldBook, (side, price): (Side, i64)| told.levels().amount(side, price);
    let amounts = touched.map(|at| at.map(|at| (at, amount(told, at))));
    let effect = told.apply(event);
    for (at, before) in amounts.into_iter().flatten() {
        comparison.changed(at, before, amount(told, at), record.line, record.time_ms);
    }
    effect
}
