//! `--differences-out`: every difference with its class, as CSV.

use super::args::ReplayArgs;
use super::bitstamp::differences::Difference;
use super::bitstamp::matching::TradeDifference;
use super::deribit::DeribitResult;
use super::error::ReplayError;
use super::number::units_text;
use super::report::side_word;
use std::fs::File;
use std::io::{BufWriter, Write as _};

fn write_all(
    args: &ReplayArgs,
    header: &str,
    lines: impl Iterator<Item = String>,
) -> Result<(), ReplayError> {
    let Some(path) = &args.differences_out else {
        return Ok(());
    };
    let written = File::create(path).map(BufWriter::new).and_then(|mut file| {
        writeln!(file, "{header}")?;
        for line in lines {
            writeln!(file, "{line}")?;
        }
        file.flush()
    });
    written.map_err(|source| ReplayError::output(path, source))
}

fn or_empty(number: Option<u64>) -> String {
    number.map(|number| number.to_string()).unwrap_or_default()
}

/// Levels that differ from a snapshot's.
pub fn levels(args: &ReplayArgs, differences: &[Difference]) -> Result<(), ReplayError> {
    let lines = differences.iter().map(|one| {
        let (side, class) = (side_word(one.side), one.class.name());
        let [price, ours, theirs] = [one.price, one.ours, one.theirs].map(units_text);
        let event_line = or_empty(one.event_line);
        let Difference { snapshot, line, time_ms, .. } = one;
        format!("{snapshot},{line},{time_ms},{side},{price},{ours},{theirs},{class},{event_line}")
    });
    write_all(args, "snapshot,line,time_ms,side,price,ours,theirs,class,event_line", lines)
}

/// Trades that differ from recorded ones.
pub fn trades(args: &ReplayArgs, differences: &[TradeDifference]) -> Result<(), ReplayError> {
    let lines = differences.iter().map(|one| {
        let (kind, cause, trade) = (one.kind.name(), one.cause.name(), &one.trade);
        let [price, amount] = [trade.price, trade.amount].map(units_text);
        let (buyer, seller) = (or_empty(trade.buyer), or_empty(trade.seller));
        let (line, time_ms) = (trade.line, trade.time_ms);
        format!("{line},{time_ms},{kind},{cause},{price},{amount},{buyer},{seller}")
    });
    write_all(args, "line,time_ms,kind,cause,price,amount,buyer,seller", lines)
}

/// Tickers whose best levels differ from our books'.
pub fn tickers(args: &ReplayArgs, result: &DeribitResult) -> Result<(), ReplayError> {
    let lines = result.ticker_differences.iter().map(|one| {
        let (line, time_ns, instrument) = (one.line, one.time_ns, &one.instrument);
        let numbers = [one.ours.0, one.ours.1, one.theirs.0, one.theirs.1].map(units_text);
        let side = side_word(one.side);
        let class = if one.ahead { "ticker_ahead" } else { "unexplained" };
        format!("{line},{time_ns},{instrument},{side},{},{class}", numbers.join(","))
    });
    let header = "line,time_ns,instrument,side,our_price,our_amount,their_price,their_amount,class";
    write_all(args, header, lines)
}
