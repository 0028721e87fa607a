//! Follows every instrument's chain and keeps the engine's books equal.

use super::super::args::ReplayArgs;
use super::super::error::{Fault, ReplayError};
use super::super::feed::{FEED_ACCOUNT, Feed, Units};
use super::super::input::Blocks;
use super::super::number::{UNIT_DECIMALS, decimals_needed};
use super::super::pipeline::Pipeline;
use super::super::rejects::Rejects;
use super::super::told::ToldOrder;
use super::chain::{ChainedBook, Followed, Gap};
use super::line::{BookMessage, Message, Record, parse_line};
use super::market::{self, Decimals, QUOTE, coin_of};
use evenkeel_types::{Command, CurrencyId, InstrumentId, Side};
use std::collections::BTreeMap;

/// What the replay found.
#[derive(Debug, Default)]
pub struct DeribitResult {
    /// Instruments with a book.
    pub instruments: u64,
    /// Book messages.
    pub book_messages: u64,
    /// Of them, snapshots.
    pub snapshots: u64,
    /// Of them, changes that fitted.
    pub changes: u64,
    /// Every break of a chain.
    pub gaps: Vec<Gap>,
    /// Changes discarded behind a gap.
    pub discarded: u64,
    /// Old changes received again.
    pub repeated: u64,
    /// Changes of levels that were not as the change assumes.
    pub misfits: u64,
    /// Book messages behind which the book was crossed.
    pub crossed: u64,
    /// Book messages behind which the engine's book was the told one, level by level.
    pub engine_agrees: u64,
    /// Orders that the engine refused.
    pub engine_refused: u64,
    /// Tickers of instruments whose chain was whole.
    pub tickers: u64,
    /// Of them, those whose best prices and amounts are our book's.
    pub tickers_equal: u64,
    /// Best levels of tickers that are not our book's.
    pub ticker_differences: Vec<TickerDifference>,
    /// Tickers of instruments without a whole chain: there is nothing to compare.
    pub tickers_unchecked: u64,
    /// Trades recorded.
    pub trades: u64,
}

/// A ticker whose best level is not our book's; 0 stands for none. In units of 10⁻⁸.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TickerDifference {
    /// Line of the file.
    pub line: u64,
    /// When it was received, nanoseconds since 1970.
    pub time_ns: u64,
    /// The instrument.
    pub instrument: String,
    /// The side.
    pub side: Side,
    /// Our best price and amount.
    pub ours: (i64, i64),
    /// The ticker's.
    pub theirs: (i64, i64),
    /// Our book's after the instrument's next message: the ticker was ahead of the book channel.
    pub ahead: bool,
}

/// Reads and checks a file.
///
/// # Errors
/// [`ReplayError::Malformed`] for the first bad line, unless lines are set aside; files that cannot
/// be read.
pub fn read(args: &ReplayArgs, rejects: &mut Rejects) -> Result<Vec<Record>, ReplayError> {
    let mut blocks = Blocks::open(&args.file)?;
    let mut records = Vec::new();
    while let Some(block) = blocks.next_block()? {
        for (line, text) in block.lines() {
            let parsed = std::str::from_utf8(text)
                .map_err(|error| Fault::new(error.valid_up_to(), "not UTF-8 text"))
                .and_then(|text| parse_line(line, text));
            match parsed {
                Ok(record) => records.push(record),
                Err(fault) => rejects.set_aside(fault.on_line(line), text)?,
            }
        }
    }
    Ok(records)
}

/// When a recording begins, nanoseconds since 1970.
#[must_use]
pub fn start_ns(records: &[Record]) -> u64 {
    records.iter().map(|record| record.time_ns).find(|time| *time > 0).unwrap_or(0)
}

/// An instrument's book, and its copy in the engine.
#[derive(Debug)]
struct Market {
    book: ChainedBook,
    feed: Feed<(Side, i64)>,
    /// Ticker differences since the last message, by index.
    tickers: Vec<usize>,
}

/// Replays a recording.
///
/// # Errors
/// [`ReplayError::Journal`], [`ReplayError::Setup`] for names that cannot be an instrument's.
pub fn replay(records: &[Record], pipeline: &mut Pipeline) -> Result<DeribitResult, ReplayError> {
    let mut markets = define_markets(records, pipeline)?;
    let mut result =
        DeribitResult { instruments: markets.len() as u64, ..DeribitResult::default() };
    for record in records {
        match &record.message {
            Message::Book(message) => {
                if let Some(market) = markets.get_mut(&message.instrument) {
                    market.follow(record, message, pipeline, &mut result)?;
                }
                pipeline.file_entry_done()?;
            }
            Message::Ticker { instrument, bid, ask } => {
                let market = markets.get_mut(instrument);
                compare_ticker(record, instrument, [*bid, *ask], market, &mut result);
            }
            Message::Trades(count) => result.trades += count,
            Message::Other => {}
        }
    }
    for market in markets.values() {
        result.misfits += market.book.misfits();
        result.engine_refused += market.feed.refused();
    }
    Ok(result)
}

fn define_markets(
    records: &[Record],
    pipeline: &mut Pipeline,
) -> Result<BTreeMap<String, Market>, ReplayError> {
    let mut decimals: BTreeMap<&str, Decimals> = BTreeMap::new();
    for record in records {
        let Message::Book(message) = &record.message else {
            continue;
        };
        let used = decimals.entry(&message.instrument).or_default();
        for level in &message.levels {
            used.price = used.price.max(decimals_needed(level.price));
            used.amount = used.amount.max(decimals_needed(level.amount));
        }
    }
    let refused = |what: &str, error: &dyn std::fmt::Display| ReplayError::Setup {
        what: format!("\"{what}\""),
        reason: error.to_string(),
    };
    let mut coins: BTreeMap<&str, CurrencyId> = BTreeMap::new();
    let currency = market::currency(QUOTE, "USD").map_err(|error| refused("USD", &error))?;
    pipeline.define("a currency", Command::DefineCurrency { currency })?;
    let mut markets = BTreeMap::new();
    for (id, (name, used)) in (1..).map(InstrumentId).zip(decimals) {
        let coin = coin_of(name);
        if !coins.contains_key(coin) {
            let next = CurrencyId(u16::try_from(coins.len()).unwrap_or(u16::MAX - 2) + 2);
            let currency = market::currency(next, coin).map_err(|error| refused(coin, &error))?;
            pipeline.define("a currency", Command::DefineCurrency { currency })?;
            coins.insert(coin, next);
        }
        let instrument = market::instrument(id, name, coins[coin], used)
            .map_err(|error| refused(name, &error))?;
        pipeline.define(name, Command::DefineInstrument { instrument })?;
        let unit = |decimals: u8| 10i64.pow(u32::from(UNIT_DECIMALS - decimals));
        let units = Units { tick_units: unit(used.price), lot_units: unit(used.amount) };
        let market = Market {
            book: ChainedBook::default(),
            feed: Feed::new(id, units),
            tickers: Vec::new(),
        };
        markets.insert(name.to_owned(), market);
    }
    pipeline.open_account(FEED_ACCOUNT)?;
    Ok(markets)
}

impl Market {
    fn follow(
        &mut self,
        record: &Record,
        message: &BookMessage,
        pipeline: &mut Pipeline,
        result: &mut DeribitResult,
    ) -> Result<(), ReplayError> {
        result.book_messages += 1;
        match self.book.follow(record.line, message) {
            Followed::Replaced => {
                result.snapshots += 1;
                self.feed.clear(pipeline, record.time_ns)?;
            }
            Followed::Changed => result.changes += 1,
            Followed::Gap(gap) => {
                result.gaps.push(gap);
                return self.feed.clear(pipeline, record.time_ns);
            }
            Followed::Discarded => {
                result.discarded += 1;
                return Ok(());
            }
            Followed::Repeated => {
                result.repeated += 1;
                return Ok(());
            }
        }
        for level in &message.levels {
            let (side, price, amount) = (level.side, level.price, level.amount);
            let told = (amount > 0).then_some(ToldOrder { side, price, amount });
            self.feed.set(pipeline, record.time_ns, (side, price), told)?;
        }
        let open = std::mem::take(&mut self.tickers);
        if let Some(levels) = self.book.levels() {
            for index in open {
                let difference = &mut result.ticker_differences[index];
                let best = levels.best_first(difference.side).next().unwrap_or((0, 0));
                difference.ahead = best == difference.theirs;
            }
            result.crossed += u64::from(levels.is_crossed());
            result.engine_agrees += u64::from(self.feed.engine_agrees(pipeline, levels));
        }
        Ok(())
    }
}

fn compare_ticker(
    record: &Record,
    instrument: &str,
    theirs: [(i64, i64); 2],
    market: Option<&mut Market>,
    result: &mut DeribitResult,
) {
    let market = market.map(|market| (market.book.levels(), &mut market.tickers));
    let Some((Some(levels), open)) = market else {
        result.tickers_unchecked += 1;
        return;
    };
    result.tickers += 1;
    let mut equal = true;
    for (side, theirs) in [Side::Buy, Side::Sell].into_iter().zip(theirs) {
        let ours = levels.best_first(side).next().unwrap_or((0, 0));
        if ours != theirs {
            equal = false;
            let (line, time_ns) = (record.line, record.time_ns);
            let instrument = instrument.to_owned();
            open.push(result.ticker_differences.len());
            result.ticker_differences.push(TickerDifference {
                line,
                time_ns,
                instrument,
                side,
                ours,
                theirs,
                ahead: false,
            });
        }
    }
    result.tickers_equal += u64::from(equal);
}
