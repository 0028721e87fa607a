//! The whole recording in memory, and the market it is about.

use super::super::args::ReplayArgs;
use super::super::error::{Fault, ReplayError};
use super::super::feed::{FEED_ACCOUNT, Units};
use super::super::input::Blocks;
use super::super::number::{UNIT_DECIMALS, decimals_needed};
use super::super::pipeline::Pipeline;
use super::super::rejects::Rejects;
use super::line::{Message, Record, parse_line};
use evenkeel_types::{
    Command, Currency, CurrencyId, Decimal, Instrument, InstrumentId, InstrumentKind, Style, Symbol,
};

/// The recorded market.
pub const MARKET: InstrumentId = InstrumentId(1);
const COIN: CurrencyId = CurrencyId(1);
const MONEY: CurrencyId = CurrencyId(2);

/// A recording.
#[derive(Debug)]
pub struct Recording {
    /// Its lines in order.
    pub records: Vec<Record>,
    /// Decimals that its order prices use.
    price_decimals: u8,
}

impl Recording {
    /// When it begins, nanoseconds since 1970.
    #[must_use]
    pub fn start_ns(&self) -> u64 {
        self.records.first().map_or(0, |record| time_ns(record.time_ms))
    }

    /// Recorded units in a tick and in a lot.
    #[must_use]
    pub fn units(&self) -> Units {
        let tick_units = 10i64.pow(u32::from(UNIT_DECIMALS - self.price_decimals));
        Units { tick_units, lot_units: 1 }
    }
}

/// Milliseconds as nanoseconds.
#[must_use]
pub fn time_ns(time_ms: u64) -> u64 {
    time_ms.saturating_mul(1_000_000)
}

/// Reads and checks a file.
///
/// # Errors
/// [`ReplayError::Malformed`] for the first bad line, unless lines are set aside; files that cannot
/// be read.
pub fn read(args: &ReplayArgs, rejects: &mut Rejects) -> Result<Recording, ReplayError> {
    let mut blocks = Blocks::open(&args.file)?;
    let mut recording = Recording { records: Vec::new(), price_decimals: 0 };
    while let Some(block) = blocks.next_block()? {
        for (line, text) in block.lines() {
            let parsed = std::str::from_utf8(text)
                .map_err(|error| Fault::new(error.valid_up_to(), "not UTF-8 text"))
                .and_then(|text| parse_line(line, text));
            match parsed {
                Ok(record) => recording.push(record),
                Err(fault) => rejects.set_aside(fault.on_line(line), text)?,
            }
        }
    }
    Ok(recording)
}

impl Recording {
    fn push(&mut self, record: Record) {
        if let Message::Order(event) = &record.message {
            self.price_decimals = self.price_decimals.max(decimals_needed(event.price));
        }
        self.records.push(record);
    }
}

/// Defines the market in the engine: a coin against money, with the recording's decimals.
///
/// # Errors
/// As [`Pipeline::define`].
pub fn define_market(pipeline: &mut Pipeline, recording: &Recording) -> Result<(), ReplayError> {
    let setup = |what: &str, reason: String| ReplayError::Setup { what: what.to_owned(), reason };
    let symbol = |name| Symbol::new(name).map_err(|error| setup(name, error.to_string()));
    let step = |decimals| Decimal::new(1, decimals).map_err(|e| setup("a step", e.to_string()));
    // With the sum of both scales every value is exact.
    let money_scale = UNIT_DECIMALS + recording.price_decimals;
    for (id, code, scale) in [(COIN, "COIN", UNIT_DECIMALS), (MONEY, "MONEY", money_scale)] {
        let currency = Currency { id, code: symbol(code)?, scale };
        pipeline.define("a currency", Command::DefineCurrency { currency })?;
    }
    let instrument = Instrument {
        id: MARKET,
        symbol: symbol("COIN-MONEY")?,
        kind: InstrumentKind::Spot,
        style: Style::Linear,
        base: COIN,
        quote: MONEY,
        settlement: MONEY,
        tick: step(recording.price_decimals)?,
        lot: step(UNIT_DECIMALS)?,
        contract_size: Decimal::whole(1),
    };
    pipeline.define("the market", Command::DefineInstrument { instrument })?;
    pipeline.open_account(FEED_ACCOUNT)
}
