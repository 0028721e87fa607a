//! The files that a replay of order flow writes.

use super::super::args::ReplayArgs;
use super::super::error::ReplayError;
use super::super::number::StepFormat;
use super::super::outlet::Outlet;
use super::super::pipeline::Pipeline;
use super::read::Flow;
use super::table::NONE;
use evenkeel_types::{Event, InstrumentId, OrderId, Side};
use std::io::Write as _;
use std::path::PathBuf;

/// First line of `--trades-out`.
const TRADES_HEADER: &str = "entry,instrument,maker_order_id,taker_order_id,side,price,amount";
/// First line of `--book-out`.
const BOOK_HEADER: &str = "entry,instrument,side,price,order_id,amount";

/// Which of the pipeline's outlets are what.
#[derive(Debug, Clone, Copy)]
pub struct Outputs {
    trades: Option<usize>,
    book: Option<usize>,
    book_every: Option<u64>,
}

impl Outputs {
    /// Creates the files that the arguments name.
    ///
    /// # Errors
    /// [`ReplayError::Output`].
    pub fn create(args: &ReplayArgs) -> Result<(Self, Vec<Outlet>), ReplayError> {
        let mut outlets = Vec::new();
        let mut outlet =
            |path: &Option<PathBuf>, header: &str| -> Result<Option<usize>, ReplayError> {
                let Some(path) = path else { return Ok(None) };
                outlets.push(Outlet::create(path, header)?);
                Ok(Some(outlets.len() - 1))
            };
        let trades = outlet(&args.trades_out, TRADES_HEADER)?;
        let book = outlet(&args.book_out, BOOK_HEADER)?;
        Ok((Self { trades, book, book_every: args.book_every }, outlets))
    }

    /// True if the book is to be written behind this row.
    #[must_use]
    pub fn book_is_due(&self, row: u64) -> bool {
        self.book.is_some() && self.book_every.is_some_and(|every| row.is_multiple_of(every))
    }
}

fn side_word(side: Side) -> &'static str {
    match side {
        Side::Buy => "buy",
        Side::Sell => "sell",
    }
}

/// Writes text about the engine's orders in the file's own names.
#[derive(Debug)]
pub struct Scribe<'a> {
    flow: &'a Flow,
    outputs: Outputs,
    /// Tick and lot of each instrument.
    formats: Vec<(StepFormat, StepFormat)>,
    /// The file's order for an engine's, which numbers from 1 in steps of 1.
    orders: Vec<u32>,
}

impl<'a> Scribe<'a> {
    /// Before the first order.
    #[must_use]
    pub fn new(flow: &'a Flow, outputs: Outputs) -> Self {
        let format =
            |terms: &super::terms::Terms| (StepFormat::of(terms.tick), StepFormat::of(terms.lot));
        let formats = flow.terms.iter().map(format).collect();
        Self { flow, outputs, formats, orders: vec![NONE] }
    }

    /// Notes that the engine's next order is this one of the file.
    pub fn accepted(&mut self, order: u32) {
        self.orders.push(order);
    }

    fn id(&self, order: OrderId) -> &'a str {
        let index = usize::try_from(order.0).unwrap_or(0);
        let number = self.orders.get(index).copied().filter(|number| *number != NONE);
        number.map_or("", |number| self.flow.orders.id(number))
    }

    /// Writes the trades of the last command; the number of them.
    pub fn trades(&self, pipeline: &mut Pipeline, row: u64) -> u64 {
        let (events, mut outlet) = pipeline.events_and_outlet(self.outputs.trades);
        let mut count = 0;
        for event in events {
            let Event::Traded { instrument, price, lots, taker_side, maker, taker, .. } = event
            else {
                continue;
            };
            count += 1;
            let Some(out) = &mut outlet else { continue };
            let number = instrument.0 - 1;
            let (tick, lot) = self.formats[number as usize];
            let name = self.flow.instruments.name(number);
            let (maker, taker) = (self.id(*maker), self.id(*taker));
            // Writing to memory cannot fail.
            let _ = write!(out, "{row},{name},{maker},{taker},{},", side_word(*taker_side));
            tick.write(out, price.0);
            out.push(b',');
            lot.write(out, lots.0);
            out.push(b'\n');
        }
        count
    }

    /// Writes all resting orders: instruments as they appear in the file, buys then sells, best
    /// price first, oldest first.
    pub fn book(&self, pipeline: &mut Pipeline, row: u64) {
        let (engine, outlet) = pipeline.engine_and_outlet(self.outputs.book);
        let Some(out) = outlet else { return };
        for (number, (tick, lot)) in (0..).zip(&self.formats) {
            let Some(book) = engine.book(InstrumentId(number + 1)) else {
                continue;
            };
            let name = self.flow.instruments.name(number);
            for side in [Side::Buy, Side::Sell] {
                for order in book.orders(side) {
                    let _ = write!(out, "{row},{name},{},", side_word(side));
                    tick.write(out, order.price.0);
                    let _ = write!(out, ",{},", self.id(order.order));
                    lot.write(out, order.open.0);
                    out.push(b'\n');
                }
            }
        }
    }
}
