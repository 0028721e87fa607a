//! The whole file as compact rows, checked before anything is applied.

use super::super::args::ReplayArgs;
use super::super::error::{Fault, LineFault, ReplayError};
use super::super::input::{Block, Blocks};
use super::super::number::Scaled;
use super::super::rejects::Rejects;
use super::line::{Action, Fields, HEADER, Number, Tif, parse_line};
use super::table::{NONE, Names, OrderTable};
use super::terms::{self, Knowledge, Terms, count_of};
use evenkeel_types::Side;
use std::collections::BTreeMap;
use std::path::Path;

/// A row, 48 bytes: files of tens of millions of rows fit the memory of an ordinary machine.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// Nanoseconds since 1970, as written.
    pub time_ns: u64,
    /// Price in ticks; 0 if none.
    pub price: i64,
    /// Amount in lots; 0 if none.
    pub amount: i64,
    /// Number of the order, `NONE` if the file has not added it before this row.
    pub order: u32,
    /// Number of the account named, `NONE` if none is.
    pub account: u32,
    /// Number of the instrument, `NONE` if neither the row nor the order tells it.
    pub instrument: u32,
    /// Row of the file, from 1 behind the header.
    pub row: u32,
    /// What it does.
    pub action: Action,
    /// Its side.
    pub side: Side,
    /// A market order.
    pub market: bool,
    /// How long it lives.
    pub tif: Tif,
    /// Decimals that the price was written with, while it is not yet in ticks.
    price_scale: u8,
    amount_scale: u8,
    /// Byte of the line, from 1, at which price and amount stand; 255 for 255 and more.
    price_column: u8,
    amount_column: u8,
}

/// A file of order flow.
#[derive(Debug)]
pub struct Flow {
    /// Its rows in order, without those set aside.
    pub rows: Vec<Row>,
    /// Its instruments' names.
    pub instruments: Names,
    /// Their terms, by number.
    pub terms: Vec<Terms>,
    /// Its accounts' names.
    pub accounts: Names,
    /// Its orders.
    pub orders: OrderTable,
    /// Number of the last row, set aside or not.
    pub last_row: u64,
}

/// Reads and checks a file.
///
/// # Errors
/// [`ReplayError::Malformed`] for the first bad line, unless lines are set aside;
/// [`ReplayError::WrongFile`] for what no line can be set aside for; files that cannot be read.
pub fn read(args: &ReplayArgs, rejects: &mut Rejects) -> Result<Flow, ReplayError> {
    let given = args.instruments.as_deref().map(terms::read_file).transpose()?;
    let mut builder = Builder::new(given.unwrap_or_default());
    let mut blocks = Blocks::open(&args.file)?;
    let thread_count = args.thread_count();
    let mut header_read = false;
    loop {
        let mut round = Vec::with_capacity(thread_count);
        while round.len() < thread_count
            && let Some(block) = blocks.next_block()?
        {
            round.push(block);
        }
        if round.is_empty() {
            break;
        }
        if !header_read {
            check_header(&args.file, &round[0])?;
            header_read = true;
        }
        for (block, parsed) in round.iter().zip(parse_all(&round)) {
            builder.take(block, parsed, rejects)?;
        }
    }
    if !header_read {
        return Err(wrong_header(&args.file, 0, b""));
    }
    builder.finish(&args.file)
}

/// Parses each block on a thread of its own.
fn parse_all(blocks: &[Block]) -> Vec<Vec<Result<Fields<'_>, Fault>>> {
    let parse = |block| lines_of(block).map(|(_, line)| parse_line(line)).collect::<Vec<_>>();
    let [only] = blocks else {
        return std::thread::scope(|scope| {
            let parse = &parse;
            let threads: Vec<_> =
                blocks.iter().map(|block| scope.spawn(move || parse(block))).collect();
            let joined = threads.into_iter().zip(blocks);
            // A thread that panicked is tried again here, so that the panic is seen.
            joined.map(|(thread, block)| thread.join().unwrap_or_else(|_| parse(block))).collect()
        });
    };
    vec![parse(only)]
}

/// A block's lines behind the header.
fn lines_of(block: &Block) -> impl Iterator<Item = (u64, &[u8])> {
    block.lines().filter(|(line, _)| *line != 1)
}

fn check_header(path: &Path, block: &Block) -> Result<(), ReplayError> {
    let first = block.lines().next().map_or(&b""[..], |(_, line)| line);
    let same = first.iter().zip(HEADER.as_bytes()).take_while(|(a, b)| a == b).count();
    if first == HEADER.as_bytes() { Ok(()) } else { Err(wrong_header(path, same, first)) }
}

fn wrong_header(path: &Path, at: usize, first: &[u8]) -> ReplayError {
    let shown: String = String::from_utf8_lossy(first).chars().take(80).collect();
    let reason = format!("the header must be \"{HEADER}\", not {shown:?}");
    let fault = Fault::new(at, reason).on_line(1);
    let remedy = "check that the file is order flow, and its first line";
    ReplayError::WrongFile { path: path.to_owned(), fault, remedy }
}

struct Builder {
    given: BTreeMap<String, Terms>,
    knowledge: Vec<Knowledge>,
    flow: Flow,
}

impl Builder {
    fn new(given: BTreeMap<String, Terms>) -> Self {
        let flow = Flow {
            rows: Vec::new(),
            instruments: Names::default(),
            terms: Vec::new(),
            accounts: Names::default(),
            orders: OrderTable::default(),
            last_row: 0,
        };
        Self { given, knowledge: Vec::new(), flow }
    }

    fn take(
        &mut self,
        block: &Block,
        parsed: Vec<Result<Fields<'_>, Fault>>,
        rejects: &mut Rejects,
    ) -> Result<(), ReplayError> {
        for ((line, text), parsed) in lines_of(block).zip(parsed) {
            // Line 1 is the header.
            self.flow.last_row = line - 1;
            let pushed = u32::try_from(self.flow.last_row)
                .ok()
                .filter(|row| *row < NONE)
                .ok_or_else(|| Fault::new(0, "more than 4294967294 rows"))
                .and_then(|row| self.push(row, &parsed?));
            if let Err(fault) = pushed {
                rejects.set_aside(fault.on_line(line), text)?;
            }
        }
        Ok(())
    }

    fn push(&mut self, row: u32, fields: &Fields<'_>) -> Result<(), Fault> {
        let named = (!fields.instrument.is_empty()).then_some(fields.instrument);
        let mut instrument = named.map_or(NONE, |name| self.instrument(name));
        let mut order = NONE;
        if fields.action != Action::Add {
            order = self.flow.orders.find(fields.order_id, instrument);
            if instrument == NONE && order != NONE {
                instrument = self.flow.orders.instrument(order);
            }
        }
        self.learn(instrument, fields)?;
        let named = (!fields.account.is_empty()).then_some(fields.account);
        let account = named.map_or(NONE, |name| self.flow.accounts.number(name));
        if fields.action == Action::Add {
            let added = self.flow.orders.add(fields.order_id, instrument, account, row);
            order = added.map_err(|first| {
                let id = String::from_utf8_lossy(fields.order_id);
                let reason = format!(
                    "order_id \"{id}\" was added already, on line {}",
                    u64::from(first) + 1
                );
                Fault::new(fields.order_at, reason)
            })?;
        }
        let part = |number: Option<Number>| {
            let value = number.map_or(Scaled { mantissa: 0, scale: 0 }, |number| number.value);
            let column = number.map_or(0, |number| u8::try_from(number.at + 1).unwrap_or(u8::MAX));
            (value.mantissa, value.scale, column)
        };
        let (price, price_scale, price_column) = part(fields.price);
        let (amount, amount_scale, amount_column) = part(fields.amount);
        self.flow.rows.push(Row {
            time_ns: fields.time_ns,
            price,
            amount,
            order,
            account,
            instrument,
            row,
            action: fields.action,
            side: fields.side,
            market: fields.market,
            tif: fields.tif,
            price_scale,
            amount_scale,
            price_column,
            amount_column,
        });
        Ok(())
    }

    fn instrument(&mut self, name: &[u8]) -> u32 {
        let number = self.flow.instruments.number(name);
        if number as usize == self.knowledge.len() {
            let given = self.given.get(self.flow.instruments.name(number));
            let unknown = Knowledge::Seen { price_decimals: 0, amount_decimals: 0 };
            self.knowledge.push(given.map_or(unknown, |terms| Knowledge::Given(*terms)));
        }
        number
    }

    fn learn(&mut self, instrument: u32, fields: &Fields<'_>) -> Result<(), Fault> {
        let Some(knowledge) = self.knowledge.get_mut(instrument as usize) else {
            return Ok(());
        };
        let value = |number: Option<Number>| number.map(|number| number.value);
        knowledge.learn(value(fields.price), value(fields.amount)).map_err(|(is_amount, reason)| {
            let number = if is_amount { fields.amount } else { fields.price };
            Fault::new(number.map_or(0, |number| number.at), reason)
        })
    }

    fn finish(mut self, path: &Path) -> Result<Flow, ReplayError> {
        self.flow.terms = self.knowledge.iter().map(|knowledge| knowledge.terms()).collect();
        for row in &mut self.flow.rows {
            // An amend of an unknown order on an unnamed instrument is never applied.
            let Some(terms) = self.flow.terms.get(row.instrument as usize) else {
                continue;
            };
            row.take_steps(*terms).map_err(|fault| {
                let remedy = "give tick and lot sizes with --instruments FILE.toml";
                ReplayError::WrongFile { path: path.to_owned(), fault, remedy }
            })?;
        }
        Ok(self.flow)
    }
}

impl Row {
    /// From decimals as written to ticks and lots.
    fn take_steps(&mut self, terms: Terms) -> Result<(), LineFault> {
        let scaled = |mantissa, scale| Scaled { mantissa, scale };
        let fault = |column: u8, what: &str| LineFault {
            line: u64::from(self.row) + 1,
            column: column.into(),
            reason: format!("this {what} is too large for the decimals used on other lines"),
        };
        let price = count_of(scaled(self.price, self.price_scale), terms.tick);
        let amount = count_of(scaled(self.amount, self.amount_scale), terms.lot);
        self.price = price.ok_or_else(|| fault(self.price_column, "price"))?;
        self.amount = amount.ok_or_else(|| fault(self.amount_column, "amount"))?;
        Ok(())
    }
}
