//! Recorded days as paths of index and volatility.

use crate::replay_support::recorded;
use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

/// A point of a path.
#[derive(Debug, Clone, Copy)]
pub struct Point {
    /// Seconds since the day began.
    pub second: u64,
    pub index: f64,
    /// At the money, per √year.
    pub volatility: f64,
}

/// A recorded day.
#[derive(Debug, Clone)]
pub struct Day {
    pub name: &'static str,
    /// Whether the market crashed: a breaker that trips on another day halted falsely.
    pub is_crash: bool,
    knots: Vec<Point>,
}

impl Day {
    /// The path at every `step_s` seconds, linear between what was recorded.
    pub fn path(&self, step_s: u64) -> Vec<Point> {
        let last = self.knots.last().map_or(0, |knot| knot.second);
        (0..=last / step_s).map(|step| self.at(step * step_s)).collect()
    }

    fn at(&self, second: u64) -> Point {
        let after = self.knots.partition_point(|knot| knot.second < second);
        let next = self.knots[after.min(self.knots.len() - 1)];
        let before = self.knots[after.saturating_sub(1)];
        let span = (next.second - before.second).max(1) as f64;
        let weight = (second - before.second.min(second)) as f64 / span;
        let mix = |a: f64, b: f64| a + (b - a) * weight.clamp(0.0, 1.0);
        Point {
            second,
            index: mix(before.index, next.index),
            volatility: mix(before.volatility, next.volatility),
        }
    }
}

/// The crash days, and quiet days beside them; `None` where the recordings are not to be had.
pub fn days() -> Option<Vec<Day>> {
    let old = hourly("binance_spot_btcusdt_1h_2017-08_2021-06.csv.xz", old_bar)?;
    let new = hourly("btcusdt_1h_2024-11_2025-11.csv.xz", new_bar)?;
    let day = |name, is_crash, bars: &Bars, first_hour| of_hours(name, is_crash, bars, first_hour);
    Some(vec![
        // Hours since 1970 of 00:00 UTC of each day.
        day("2020-03-12", true, &old, 439_992),
        day("2021-05-19", true, &old, 450_384),
        day("2025-10-10", true, &new, 488_904),
        of_chains("2026-02-03 to 07", true)?,
        day("2020-02-01", false, &old, 439_032),
        day("2021-04-01", false, &old, 449_232),
        day("2025-09-01", false, &new, 487_968),
    ])
}

/// Open, high, low, close by hour since 1970.
type Bars = BTreeMap<u64, [f64; 4]>;

fn text(name: &str) -> Option<String> {
    let path = recorded(name)?;
    let mut text = String::new();
    let file = std::fs::File::open(path).expect("readable");
    liblzma::read::XzDecoder::new(file).read_to_string(&mut text).expect("xz");
    Some(text)
}

/// Reads a line as its hour and bar.
type ReadBar = fn(&str) -> Option<(u64, [f64; 4])>;

fn hourly(name: &str, bar: ReadBar) -> Option<Bars> {
    Some(text(name)?.lines().filter_map(bar).collect())
}

fn prices(fields: &[&str]) -> Option<[f64; 4]> {
    let number = |at: usize| fields.get(at)?.parse::<f64>().ok();
    Some([number(0)?, number(1)?, number(2)?, number(3)?])
}

/// `unix,date,symbol,open,high,low,close,…`, the time in seconds or milliseconds.
fn old_bar(line: &str) -> Option<(u64, [f64; 4])> {
    let fields: Vec<&str> = line.split(',').collect();
    let unix: f64 = fields.first()?.parse().ok()?;
    let seconds = if unix > 1e11 { unix / 1_000.0 } else { unix };
    Some((seconds as u64 / 3_600, prices(fields.get(3..7)?)?))
}

/// `2025-10-10 01:00:00+00:00,open,high,low,close,volume`.
fn new_bar(line: &str) -> Option<(u64, [f64; 4])> {
    let fields: Vec<&str> = line.split(',').collect();
    let time = fields.first()?;
    let part = |range: std::ops::Range<usize>| time.get(range)?.parse::<i64>().ok();
    let days = days_since_1970(part(0..4)?, part(5..7)?, part(8..10)?);
    let hour = u64::try_from(days * 24 + part(11..13)?).ok()?;
    Some((hour, prices(fields.get(1..5)?)?))
}

/// Hinnant, "chrono-compatible low-level date algorithms".
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// A bar is walked open, one extreme, the other, close: the extreme against its direction first.
/// Volatility follows the ranges of the last hours (Parkinson, Journal of Business 53, 1980), and
/// options are priced a tenth above it.
fn of_hours(name: &'static str, is_crash: bool, bars: &Bars, first_hour: u64) -> Day {
    let mut knots = Vec::new();
    let mut variance = 0.5f64 * 0.5;
    for hour in first_hour - 24..first_hour + 24 {
        let Some([open, high, low, close]) = bars.get(&hour).copied() else {
            continue;
        };
        let range = (high / low).ln().powi(2) / (4.0 * 2f64.ln()) * 24.0 * 365.0;
        variance += (range - variance) * 0.15;
        if hour < first_hour {
            continue;
        }
        let volatility = (1.1 * variance.sqrt()).clamp(0.3, 3.5);
        let (first, second) = if close < open { (high, low) } else { (low, high) };
        let start = (hour - first_hour) * 3_600;
        for (minute, index) in [(0, open), (15, first), (40, second), (59, close)] {
            knots.push(Point { second: start + minute * 60, index, volatility });
        }
    }
    assert!(knots.len() > 80, "{name} is recorded");
    Day { name, is_crash, knots }
}

/// Index and the volatility nearest the money, two weeks out, of each recorded chain.
fn of_chains(name: &'static str, is_crash: bool) -> Option<Day> {
    let path = recorded("deribit_chain_snapshots_2026-02-03_07.tar.xz")?;
    let file = std::fs::File::open(Path::new(&path)).expect("readable");
    let mut archive = Vec::new();
    liblzma::read::XzDecoder::new(file).read_to_end(&mut archive).expect("xz");
    let mut knots: Vec<Point> = tar_files(&archive).filter_map(chain_point).collect();
    knots.sort_by_key(|knot| knot.second);
    let first = knots.first()?.second;
    knots.iter_mut().for_each(|knot| knot.second -= first);
    Some(Day { name, is_crash, knots })
}

/// The regular files of a tar archive (POSIX ustar: 512-byte blocks, size in octal at 124).
fn tar_files(archive: &[u8]) -> impl Iterator<Item = &str> {
    let mut at = 0;
    std::iter::from_fn(move || {
        loop {
            let header = archive.get(at..at + 512)?;
            let size = std::str::from_utf8(&header[124..135]).ok()?;
            let size = usize::from_str_radix(size.trim_matches(['\0', ' ']), 8).ok()?;
            let content = archive.get(at + 512..at + 512 + size)?;
            at += 512 + size.div_ceil(512) * 512;
            if header[156] == b'0' && size > 0 {
                return std::str::from_utf8(content).ok();
            }
        }
    })
}

fn chain_point(text: &str) -> Option<Point> {
    let mut lines = text.lines();
    let header: Vec<&str> = lines.next()?.split(',').collect();
    let at = |name: &str| header.iter().position(|field| *field == name);
    let (time, currency, index) = (at("timestamp")?, at("currency")?, at("index_price")?);
    let (strike, years, iv) = (at("strike")?, at("time_to_maturity")?, at("implied_volatility")?);
    let mut best: Option<(f64, Point)> = None;
    for line in lines {
        let row: Vec<&str> = line.split(',').collect();
        let number = |at: usize| row.get(at)?.parse::<f64>().ok();
        if row.get(currency) != Some(&"BTC") {
            continue;
        }
        let (Some(index), Some(strike), Some(years), Some(volatility)) =
            (number(index), number(strike), number(years), number(iv))
        else {
            continue;
        };
        let distance = (strike / index).ln().abs() + (years - 0.04).abs() * 10.0;
        if volatility > 0.0 && best.is_none_or(|(closest, _)| distance < closest) {
            let (hour, _) = new_bar(&format!("{},1,1,1,1", row[time].replace('T', " ")))?;
            let part = |range: std::ops::Range<usize>| row[time].get(range)?.parse::<u64>().ok();
            let second = hour * 3_600 + part(14..16)? * 60 + part(17..19)?;
            best = Some((distance, Point { second, index, volatility }));
        }
    }
    best.map(|(_, point)| point)
}
