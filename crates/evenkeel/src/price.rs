//! `evenkeel price`: Black-76 of a table, so that anyone can hold it against another library.

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use clap::Args;
use evenkeel_quant::black76::{ATTO, Right, value_in};
use evenkeel_quant::decimal::Decimal;

use crate::output;
use crate::report::{Exit, Report, Result};

/// What `evenkeel price` takes.
#[derive(Debug, Clone, Args)]
pub struct PriceArgs {
    /// Table with the columns F, K, T (years), sigma, type (C or P), in any order; others are
    /// ignored; `-` reads the standard input
    #[arg(long, value_name = "FILE")]
    csv: PathBuf,
    /// Where to write price,delta,gamma,vega,theta; `-` for the standard output
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

const COLUMNS: [&str; 5] = ["F", "K", "T", "sigma", "type"];
/// Least and largest forward, strike, time and volatility, in units of [`LIMIT_UNIT`]: far beyond
/// any market, well within the arithmetic.
const LIMITS: [(i128, i128, &str); 4] = [
    (10i128.pow(12), 10i128.pow(36), "from 1e-12 to 1e12"),
    (10i128.pow(12), 10i128.pow(36), "from 1e-12 to 1e12"),
    (0, 10i128.pow(27), "from 0 to 1000"),
    (0, 10i128.pow(27), "from 0 to 1000"),
];
/// So many of them are 1.
const LIMIT_UNIT: i128 = 10i128.pow(24);

/// Prices every row of a table.
///
/// # Errors
/// A row that cannot be priced, by line and column, and files that cannot be read or written.
pub fn run(args: &PriceArgs) -> Result<Exit> {
    let text = read(&args.csv)?;
    let priced = price_table(&text).map_err(|mistake| mistake.report(&args.csv))?;
    if args.out.as_os_str() == "-" {
        output::result(priced.trim_end())?;
    } else {
        write(&args.out, &priced)?;
        let rows = priced.lines().count() - 1;
        output::note(&format!("{rows} rows priced to {}", args.out.display()));
    }
    Ok(Exit::Ok)
}

fn read(path: &Path) -> Result<String> {
    let mut text = String::new();
    let read = if path.as_os_str() == "-" {
        std::io::stdin().read_to_string(&mut text).map(drop)
    } else {
        std::fs::File::open(path).and_then(|mut file| file.read_to_string(&mut text)).map(drop)
    };
    read.map_err(|error| {
        Report::io("read the table", path, &error).next("evenkeel price --csv FILE --out FILE")
    })?;
    Ok(text)
}

/// All or nothing: a reader never meets half a table.
fn write(path: &Path, text: &str) -> Result<()> {
    let failed = |error: std::io::Error| Report::io("write the prices", path, &error);
    if path.is_dir() {
        return Err(Report::new(Exit::Usage, "the output is a folder")
            .at(path.display().to_string())
            .next("name a file: --out prices.csv"));
    }
    // A device or a pipe is written to, not replaced.
    if path.exists() && !path.is_file() {
        return std::fs::write(path, text).map_err(failed);
    }
    let mut part = path.as_os_str().to_owned();
    part.push(".part");
    let part = PathBuf::from(part);
    let written = std::fs::File::create(&part)
        .and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_all()))
        .and_then(|()| std::fs::rename(&part, path));
    written.map_err(|error| {
        let _ = std::fs::remove_file(&part);
        failed(error)
    })
}

/// What is wrong with a table, and where.
#[derive(Debug, PartialEq, Eq)]
struct Mistake {
    line: usize,
    column: Option<&'static str>,
    what: String,
}

impl Mistake {
    fn report(self, path: &Path) -> Report {
        let column = self.column.map(|name| format!(", column {name}")).unwrap_or_default();
        Report::new(Exit::Usage, self.what)
            .at(format!("{}, line {}{column}", path.display(), self.line))
            .safe("nothing was written")
            .next("correct the row and repeat the command")
    }
}

fn price_table(text: &str) -> std::result::Result<String, Mistake> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut lines = text.lines().zip(1..).filter(|(line, _)| !line.trim().is_empty());
    let Some((header, line)) = lines.next() else {
        let what = "the table is empty; it begins with a line F,K,T,sigma,type".to_owned();
        return Err(Mistake { line: 1, column: None, what });
    };
    let names = fields(header, line)?;
    let mut places = [0; 5];
    for (place, column) in places.iter_mut().zip(COLUMNS) {
        let mut found = (0..names.len()).filter(|at| names[*at] == column);
        *place = match (found.next(), found.next()) {
            (Some(at), None) => at,
            (None, _) => {
                let what = format!("the column is missing; the line names {header}");
                return Err(Mistake { line, column: Some(column), what });
            }
            (Some(_), Some(_)) => {
                let what = "the column is named twice".to_owned();
                return Err(Mistake { line, column: Some(column), what });
            }
        };
    }
    let mut priced = String::from("price,delta,gamma,vega,theta\n");
    for (row, line) in lines {
        price_row(&fields(row, line)?, places, line, &mut priced)?;
    }
    Ok(priced)
}

/// The fields of a line (RFC 4180), without surrounding spaces and quotes; a quoted field may hold
/// commas. Quotes doubled within a field stay as they are: no column that is read has any.
fn fields(line: &str, number: usize) -> std::result::Result<Vec<&str>, Mistake> {
    let mut is_quoted = false;
    let split = line.split(|c: char| {
        is_quoted ^= c == '"';
        c == ',' && !is_quoted
    });
    let fields = split.map(bare).collect();
    if is_quoted {
        let what = "a quoted field does not end on its line".to_owned();
        return Err(Mistake { line: number, column: None, what });
    }
    Ok(fields)
}

fn bare(field: &str) -> &str {
    let field = field.trim();
    field.strip_prefix('"').and_then(|field| field.strip_suffix('"')).unwrap_or(field).trim()
}

fn price_row(
    fields: &[&str],
    places: [usize; 5],
    line: usize,
    priced: &mut String,
) -> std::result::Result<(), Mistake> {
    let field = |at: usize| {
        let what = format!("the row has {} fields and lacks this one", fields.len());
        let mistake = Mistake { line, column: Some(COLUMNS[at]), what };
        fields.get(places[at]).copied().ok_or(mistake)
    };
    let number = |at: usize| {
        let text = field(at)?;
        let (least, most, range) = LIMITS[at];
        let what = format!("{text:?} is not a number {range}, such as 0.25 or 2.5e-1");
        let mistake = Mistake { line, column: Some(COLUMNS[at]), what };
        let is_allowed = |number: &Decimal| (least..=most).contains(&number.in_units(LIMIT_UNIT));
        parse(text).filter(is_allowed).ok_or(mistake)
    };
    let (forward, strike) = (number(0)?, number(1)?);
    let (years, volatility) = (number(2)?.to_fixed(), number(3)?.to_fixed());
    let right = match field(4)? {
        "C" | "c" => Right::Call,
        "P" | "p" => Right::Put,
        other => {
            let what = format!("{other:?} is neither C (call) nor P (put)");
            return Err(Mistake { line, column: Some(COLUMNS[4]), what });
        }
    };
    let unit = unit(forward, strike);
    let (forward, strike) = (forward.in_units(unit), strike.in_units(unit));
    let value = value_in(right, forward, strike, unit, years, volatility);
    let figures = [value.price, value.delta, value.gamma, value.vega, value.theta];
    for (at, figure) in figures.into_iter().enumerate() {
        let comma = if at == 0 { "" } else { "," };
        let sign = if figure < 0 { "-" } else { "" };
        let (size, one) = (figure.unsigned_abs(), ATTO.unsigned_abs());
        // Writing to a string cannot fail.
        let _ = write!(priced, "{comma}{sign}{}.{:018}", size / one, size % one);
    }
    priced.push('\n');
    Ok(())
}

/// Finest unit in which both prices are at most 10^30, so that as many digits as possible count.
fn unit(forward: Decimal, strike: Decimal) -> i128 {
    let is_large =
        |unit: i128| forward.in_units(unit).max(strike.in_units(unit)) > ATTO * 1_000_000_000_000;
    let mut unit = ATTO * ATTO;
    while unit > ATTO && is_large(unit) {
        unit /= 10;
    }
    unit
}

/// Digits that are kept; more are rounded away, half to even.
const DIGITS_MAX: usize = 37;

/// Reads a decimal number that is not negative, with or without an exponent.
fn parse(text: &str) -> Option<Decimal> {
    let (text, exponent) = match text.split_once(['e', 'E']) {
        Some((text, exponent)) => (text, exponent.parse::<i32>().ok()?),
        None => (text, 0),
    };
    let text = text.strip_prefix('+').unwrap_or(text);
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    let is_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if (whole.is_empty() && decimals.is_empty()) || !is_digits(whole) || !is_digits(decimals) {
        return None;
    }
    let digits: String = whole.chars().chain(decimals.chars()).collect();
    let digits = digits.trim_start_matches('0');
    let exponent = exponent.checked_sub(i32::try_from(decimals.len()).ok()?)?;
    let (head, tail) = digits.split_at(digits.len().min(DIGITS_MAX));
    let mut mantissa: i128 = if head.is_empty() { 0 } else { head.parse().ok()? };
    let beyond = tail.trim_end_matches('0');
    if beyond > "5" || (beyond == "5" && mantissa % 2 == 1) {
        mantissa += 1;
    }
    let exponent = exponent.checked_add(i32::try_from(tail.len()).ok()?)?;
    Some(Decimal { mantissa, exponent })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Option<(i128, i32)> {
        parse(text).map(|number| (number.mantissa, number.exponent))
    }

    #[test]
    fn numbers_are_read_with_and_without_exponent() {
        assert_eq!(parsed("1741.17"), Some((174_117, -2)));
        assert_eq!(parsed("5e-05"), Some((5, -5)));
        assert_eq!(parsed("+.5E1"), Some((5, 0)));
        assert_eq!(parsed("0"), Some((0, 0)));
        for wrong in ["", ".", "-1", "1e", "1,5", "nan", "inf", "0x10", "1e99999999999", "1.2.3"] {
            assert_eq!(parsed(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn digits_beyond_what_is_held_are_rounded_half_to_even() {
        let zeros = "0".repeat(DIGITS_MAX - 1);
        let one = 10i128.pow(36);
        assert_eq!(parsed(&format!("1.{zeros}5000")), Some((one, -36)));
        assert_eq!(parsed(&format!("1.{zeros}50001")), Some((one + 1, -36)));
        assert_eq!(parsed(&format!("1{zeros}999")), Some((one + 1, 3)));
        let nines = "9".repeat(500);
        assert_eq!(parsed(&format!("0.{nines}e2")), Some((10 * one, -35)));
    }

    #[test]
    fn small_prices_keep_all_their_digits() {
        let table = "F,K,T,sigma,type\n1.23456789012345e-6,1.23456789012344e-6,1e-7,0.01,C\n";
        let priced = price_table(table).expect("a good table");
        let row = priced.lines().nth(1).expect("a row");
        // By the formulas with 60 digits.
        let exact = [
            "0.000000000001557489",
            "0.50000063180499918",
            "102186868061.3707087",
            "0.000000000155748920",
            "-0.000007787445985521",
        ];
        for (ours, exact) in row.split(',').zip(exact) {
            assert!(ours.starts_with(exact), "{ours} is not {exact}");
        }
        assert_eq!(row.split(',').count(), exact.len());
    }

    #[test]
    fn columns_are_found_by_name_and_others_are_ignored() {
        let table = "note,type,sigma,T,K,F\r\n\"a, b\",C,0.5,1,100,100\r\n,p,0,1,\"90\",100\r\n";
        let priced = price_table(table).expect("a good table");
        let rows: Vec<&str> = priced.lines().collect();
        assert_eq!(rows[0], "price,delta,gamma,vega,theta");
        assert!(rows[1].starts_with("19.741265136584"), "{}", rows[1]);
        assert!(rows[2].starts_with("0.000000000000000000,0.000000000000000000,0.0"));
    }

    #[test]
    fn a_wrong_row_is_named_by_line_and_column() {
        let wrong = |table: &str| price_table(table).map_err(|m| (m.line, m.column));
        assert_eq!(wrong(""), Err((1, None)));
        assert_eq!(wrong("F,K,T,sigma\n"), Err((1, Some("type"))));
        assert_eq!(wrong("F,F,K,T,sigma,type\n"), Err((1, Some("F"))));
        assert_eq!(wrong("F,K,T,sigma,type,\"note\n"), Err((1, None)));
        let row = |row: &str| wrong(&format!("F,K,T,sigma,type\n1,1,1,1,C\n\n{row}\n"));
        assert_eq!(row("0,1,1,1,C"), Err((4, Some("F"))));
        assert_eq!(row("1,-1,1,1,C"), Err((4, Some("K"))));
        assert_eq!(row("1,1,x,1,C"), Err((4, Some("T"))));
        assert_eq!(row("1,1,1,1e9,C"), Err((4, Some("sigma"))));
        assert_eq!(row("1e-13,1,1,1,C"), Err((4, Some("F"))));
        assert_eq!(row("1,1e13,1,1,C"), Err((4, Some("K"))));
        assert_eq!(row("1,1,1000.1,1,C"), Err((4, Some("T"))));
        assert_eq!(row("1,1,1,1,X"), Err((4, Some("type"))));
        assert_eq!(row("1,1,1,1"), Err((4, Some("type"))));
    }
}
