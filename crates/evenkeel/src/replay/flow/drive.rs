//! Rows become journal entries and engine commands.

use super::super::args::ReplayArgs;
use super::super::error::ReplayError;
use super::super::pipeline::{Ended, Pipeline};
use super::line::{Action, Tif};
use super::outputs::{Outputs, Scribe};
use super::read::{Flow, Row};
use super::table::NONE;
use evenkeel_types::{
    AccountId, Command, Currency, CurrencyId, Decimal, Instrument, InstrumentId, InstrumentKind,
    Lots, NewOrder, OrderId, OutcomeKind, RejectCode, Style, Symbol, Ticks, TimeInForce,
};
use std::collections::BTreeMap;

/// The one currency that everything is paid in; the file names none.
const MONEY: CurrencyId = CurrencyId(1);
/// Its decimals. Values are rounded to them, half to even; they decide over no trade.
const MONEY_SCALE: u8 = 8;

/// What became of the rows.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Counts {
    /// Rows that add an order.
    pub adds: u64,
    /// Rows that cancel one.
    pub cancels: u64,
    /// Rows that amend one.
    pub amends: u64,
    /// Cancels of orders not open: filled, cancelled, refused or never added.
    pub cancels_not_open: u64,
    /// Amends of such orders.
    pub amends_not_open: u64,
    /// Rows that the engine refused, by the reason's name.
    pub refused: BTreeMap<String, u64>,
    /// Rows whose time lies before the row above; the entry's time is held.
    pub time_went_back: u64,
    /// Trades.
    pub trades: u64,
    /// Orders open at the end.
    pub resting_orders: u64,
}

/// What a replay of order flow gave.
#[derive(Debug)]
pub struct Replayed {
    /// What became of the rows.
    pub counts: Counts,
    /// Engine and journal behind the last row.
    pub ended: Ended,
}

struct Driver<'a> {
    flow: &'a Flow,
    pipeline: Pipeline,
    scribe: Scribe<'a>,
    /// The engine's number of each of the file's orders; 0 if it has none.
    engine_orders: Vec<u64>,
    opened: Vec<bool>,
    counts: Counts,
    time_ns: u64,
}

/// Drives journal and engine with a file's rows.
///
/// # Errors
/// [`ReplayError::Journal`], [`ReplayError::Output`]; [`ReplayError::Setup`] for instruments that
/// the engine cannot hold.
pub fn replay(args: &ReplayArgs, flow: &Flow) -> Result<Replayed, ReplayError> {
    let (outputs, outlets) = Outputs::create(args)?;
    let start_ns = flow.rows.first().map_or(0, |row| row.time_ns);
    let mut driver = Driver {
        flow,
        pipeline: Pipeline::open(args, start_ns, outlets)?,
        scribe: Scribe::new(flow, outputs),
        engine_orders: vec![0; flow.orders.count()],
        opened: vec![false; flow.accounts.count()],
        counts: Counts::default(),
        time_ns: start_ns,
    };
    driver.define_instruments()?;
    let mut next_book = flow.rows.iter().map(|row| u64::from(row.row)).skip(1);
    for row in &flow.rows {
        driver.apply(row)?;
        driver.pipeline.file_entry_done()?;
        // Rows set aside count as rows: a book due behind one is written behind the row before.
        let until = next_book.next().unwrap_or(flow.last_row + 1);
        for due in (u64::from(row.row)..until).filter(|row| outputs.book_is_due(*row)) {
            driver.scribe.book(&mut driver.pipeline, due);
        }
    }
    if flow.rows.is_empty() || !outputs.book_is_due(flow.last_row) {
        driver.scribe.book(&mut driver.pipeline, flow.last_row);
    }
    let mut counts = driver.counts;
    counts.resting_orders = driver.pipeline.engine().open_order_count() as u64;
    Ok(Replayed { counts, ended: driver.pipeline.finish()? })
}

impl Driver<'_> {
    /// The file does not say what kind of instruments it trades. Perpetuals paid in one currency
    /// match like any other and need nothing that the file does not tell.
    fn define_instruments(&mut self) -> Result<(), ReplayError> {
        let symbol = |name: &str| {
            Symbol::new(name).map_err(|error| ReplayError::Setup {
                what: format!("\"{name}\""),
                reason: error.to_string(),
            })
        };
        let currency = Currency { id: MONEY, code: symbol("MONEY")?, scale: MONEY_SCALE };
        self.pipeline.define("a currency", Command::DefineCurrency { currency })?;
        for (number, terms) in (0..).zip(&self.flow.terms) {
            let name = self.flow.instruments.name(number);
            let instrument = Instrument {
                id: InstrumentId(number + 1),
                symbol: symbol(name)?,
                kind: InstrumentKind::Perpetual,
                style: Style::Linear,
                base: MONEY,
                quote: MONEY,
                settlement: MONEY,
                tick: terms.tick,
                lot: terms.lot,
                contract_size: Decimal::whole(1),
            };
            self.pipeline.define(name, Command::DefineInstrument { instrument })?;
        }
        Ok(())
    }

    fn apply(&mut self, row: &Row) -> Result<(), ReplayError> {
        self.counts.time_went_back += u64::from(row.time_ns < self.time_ns);
        self.time_ns = self.time_ns.max(row.time_ns);
        if row.account != NONE {
            self.open_account(row.account)?;
        }
        match row.action {
            Action::Add => self.add(row),
            Action::Cancel => {
                self.counts.cancels += 1;
                let sent = self.change(row, |order| Command::Cancel { order })?;
                self.counts.cancels_not_open += u64::from(!sent);
                Ok(())
            }
            Action::Amend => {
                self.counts.amends += 1;
                let price = (row.price > 0).then_some(Ticks(row.price));
                let lots = (row.amount > 0).then_some(Lots(row.amount));
                let sent = self.change(row, |order| Command::Amend { order, price, lots })?;
                self.counts.amends_not_open += u64::from(!sent);
                Ok(())
            }
        }
    }

    /// Opens an account when it is met.
    fn open_account(&mut self, number: u32) -> Result<(), ReplayError> {
        if std::mem::replace(&mut self.opened[number as usize], true) {
            return Ok(());
        }
        self.pipeline.open_account(account_id(number))
    }

    fn add(&mut self, row: &Row) -> Result<(), ReplayError> {
        self.counts.adds += 1;
        let order = NewOrder {
            instrument: InstrumentId(row.instrument + 1),
            side: row.side,
            price: (!row.market).then_some(Ticks(row.price)),
            lots: Lots(row.amount),
            time_in_force: time_in_force(row),
            post_only: row.tif == Tif::PostOnly,
            label: row.row.into(),
        };
        let command = Command::Place { order };
        match self.pipeline.submit(row.time_ns, account_id(row.account), command)? {
            OutcomeKind::Order { order } => {
                self.engine_orders[row.order as usize] = order.0;
                self.scribe.accepted(row.order);
                self.counts.trades += self.scribe.trades(&mut self.pipeline, row.row.into());
            }
            OutcomeKind::Rejected { code } => self.refuse(code),
            OutcomeKind::Done => {}
        }
        Ok(())
    }

    /// Sends a cancel or an amend; false if the order is not open.
    fn change(
        &mut self,
        row: &Row,
        command: impl FnOnce(OrderId) -> Command,
    ) -> Result<bool, ReplayError> {
        let order = self.engine_orders.get(row.order as usize).copied().unwrap_or(0);
        if order == 0 {
            return Ok(false);
        }
        let named = row.account != NONE;
        let account = if named { row.account } else { self.flow.orders.account(row.order) };
        let command = command(OrderId(order));
        match self.pipeline.submit(row.time_ns, account_id(account), command)? {
            OutcomeKind::Rejected { code: RejectCode::UnknownOrder } => return Ok(false),
            OutcomeKind::Rejected { code } => self.refuse(code),
            OutcomeKind::Done | OutcomeKind::Order { .. } => {
                self.counts.trades += self.scribe.trades(&mut self.pipeline, row.row.into());
            }
        }
        Ok(true)
    }

    fn refuse(&mut self, code: RejectCode) {
        *self.counts.refused.entry(snake_case(&format!("{code:?}"))).or_default() += 1;
    }
}

/// The operator has 0.
fn account_id(number: u32) -> AccountId {
    AccountId(u64::from(number) + 1)
}

/// A market order never rests, so that *good till cancelled* can only mean *what fills at once*.
fn time_in_force(row: &Row) -> TimeInForce {
    match row.tif {
        Tif::Fok => TimeInForce::FillOrKill,
        Tif::Ioc => TimeInForce::ImmediateOrCancel,
        Tif::Gtc if row.market => TimeInForce::ImmediateOrCancel,
        Tif::Gtc | Tif::PostOnly => TimeInForce::GoodTillCancel,
    }
}

/// `WouldTrade` as `would_trade`.
fn snake_case(name: &str) -> String {
    let mut text = String::new();
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && !text.is_empty() {
            text.push('_');
        }
        text.push(letter.to_ascii_lowercase());
    }
    text
}
