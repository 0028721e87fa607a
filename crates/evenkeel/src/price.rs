//! `evenkeel price`: Black-76 of a table, so that anyone can hold it against another library.

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use clap::Args;
use evenkeel_quant::black76::{ATTO, Right, value};
use evenkeel_quant::fixed::Fixed;

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
/// Largest forward, strike, time and volatility: far beyond any market, well within the arithmetic.
const LIMITS: [i128; 4] = [1_000_000_000_000, 1_000_000_000_000, 1_000, 1_000];

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
    let names: Vec<&str> = header.split(',').map(bare).collect();
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
        let fields: Vec<&str> = row.split(',').map(bare).collect();
        price_row(&fields, places, line, &mut priced)?;
    }
    Ok(priced)
}

/// A field without surrounding spaces and quotes.
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
        let lowest = if at < 2 { "above 0" } else { "at least 0" };
        let what = format!(
            "{text:?} is not a number {lowest} and at most {}, such as 0.25 or 2.5e-1",
            LIMITS[at]
        );
        let mistake = Mistake { line, column: Some(COLUMNS[at]), what };
        let number = Number::parse(text).filter(|number| {
            let atto = number.in_units(ATTO);
            let is_positive = number.mantissa > 0 && (at >= 2 || atto > 0);
            (is_positive || (at >= 2 && number.mantissa == 0)) && atto <= LIMITS[at] * ATTO
        });
        number.ok_or(mistake)
    };
    let (forward, strike) = (number(0)?.in_units(ATTO), number(1)?.in_units(ATTO));
    let (years, volatility) = (number(2)?.fixed(), number(3)?.fixed());
    let right = match field(4)? {
        "C" | "c" => Right::Call,
        "P" | "p" => Right::Put,
        other => {
            let what = format!("{other:?} is neither C (call) nor P (put)");
            return Err(Mistake { line, column: Some(COLUMNS[4]), what });
        }
    };
    let value = value(right, forward, strike, years, volatility);
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

/// `mantissa · 10^exponent`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Number {
    mantissa: i128,
    exponent: i32,
}

/// Digits that are kept; more are rounded away, half to even.
const DIGITS_MAX: usize = 30;

impl Number {
    /// Reads a decimal number, with or without an exponent.
    fn parse(text: &str) -> Option<Self> {
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
        let kept = digits.len().min(DIGITS_MAX);
        let (head, tail) = digits.split_at(kept);
        let mut mantissa: i128 = if head.is_empty() { 0 } else { head.parse().ok()? };
        let beyond = tail.trim_end_matches('0');
        let is_odd = mantissa % 2 == 1;
        if beyond > "5" || (beyond == "5" && is_odd) {
            mantissa += 1;
        }
        let exponent = exponent.checked_add(i32::try_from(tail.len()).ok()?)?;
        Some(Self { mantissa, exponent })
    }

    /// In units of `1 / scale`, rounded half to even; saturates.
    fn in_units(self, scale: i128) -> i128 {
        let (mut mantissa, mut exponent) = (self.mantissa, self.exponent);
        if mantissa == 0 {
            return 0;
        }
        while exponent > 0 {
            mantissa = mantissa.saturating_mul(10);
            exponent -= 1;
            if mantissa == i128::MAX {
                return mantissa;
            }
        }
        let mut fixed = mantissa;
        let mut divisor = 1i128;
        while exponent < 0 {
            match divisor.checked_mul(10) {
                Some(more) => divisor = more,
                // What is left of the number is beyond every decimal that counts.
                None => fixed /= 10,
            }
            exponent += 1;
            if fixed == 0 {
                return 0;
            }
        }
        let half_even = evenkeel_types::Rounding::HalfEven;
        evenkeel_types::money::mul_div(fixed, scale, divisor, half_even).unwrap_or(i128::MAX)
    }

    /// As a [`Fixed`].
    fn fixed(self) -> Fixed {
        Fixed(self.in_units(Fixed::ONE.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Option<(i128, i32)> {
        Number::parse(text).map(|number| (number.mantissa, number.exponent))
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
        let long = "1.0000000000000000000000000000050000";
        assert_eq!(parsed(long), Some((10i128.pow(29), -29)));
        assert_eq!(parsed("1.00000000000000000000000000000500001").map(|n| n.0 % 10), Some(1));
        assert_eq!(Number::parse("5e-19").map(|n| n.in_units(ATTO)), Some(0));
        assert_eq!(Number::parse("1.5e-18").map(|n| n.in_units(ATTO)), Some(2));
        assert_eq!(Number::parse("1e60").map(|n| n.in_units(ATTO)), Some(i128::MAX));
        assert_eq!(Number::parse("1e-60").map(|n| n.in_units(ATTO)), Some(0));
    }

    #[test]
    fn columns_are_found_by_name_and_others_are_ignored() {
        let table = "note,type,sigma,T,K,F\nx,C,0.5,1,100,100\n,p,0,1,90,100\n";
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
        let row = |row: &str| wrong(&format!("F,K,T,sigma,type\n1,1,1,1,C\n\n{row}\n"));
        assert_eq!(row("0,1,1,1,C"), Err((4, Some("F"))));
        assert_eq!(row("1,-1,1,1,C"), Err((4, Some("K"))));
        assert_eq!(row("1,1,x,1,C"), Err((4, Some("T"))));
        assert_eq!(row("1,1,1,1e9,C"), Err((4, Some("sigma"))));
        assert_eq!(row("1,1,1,1,X"), Err((4, Some("type"))));
        assert_eq!(row("1,1,1,1"), Err((4, Some("type"))));
    }
}
