//! `evenkeel margin …`: margin of accounts, simulated or explained.

mod input;
mod instrument;
mod number;
mod simulate;

pub(crate) use number::decimal;

use std::fmt::Write as _;
use std::io::Read as _;
use std::path::Path;

use serde_json::Value;

use crate::cli::MarginSimulateArgs;
use crate::documents::{MarginNumbers, MarginSimulationDocument};
use crate::output;
use crate::report::{Exit, Report, Result};

/// Highest price, parts of 10^10: what the engine's prices hold.
const MAX_PRICE: i128 = 5_000_000_000_000_000_000;
/// Highest volatility in billionths: 10,000 %.
const MAX_VOLATILITY: i128 = 100_000_000_000;
/// Largest amount of coins or money, parts of 10^18: a thousand million.
const MAX_COINS: i128 = 1_000_000_000_000_000_000_000_000_000;
/// Longest input: far more than any account's positions.
const MAX_INPUT_BYTES: u64 = 64 * 1024 * 1024;

/// `margin simulate`.
pub(crate) fn simulate(args: &MarginSimulateArgs) -> Result<Exit> {
    let document = simulated(&args.input)?;
    if args.json {
        output::document(&document)?;
    } else {
        output::result(told(&document).trim_end())?;
    }
    Ok(Exit::Ok)
}

/// Reads and computes; `-` is stdin.
fn simulated(file: &Path) -> Result<MarginSimulationDocument> {
    let text = read(file)?;
    let value: Value = serde_json::from_str(&text).map_err(|error| {
        let place = format!("{}:{}:{}", file.display(), error.line(), error.column());
        Report::new(Exit::Usage, format!("this is no JSON: {error}"))
            .at(place)
            .safe("nothing was computed")
    })?;
    let input = input::Document::new(file, &value)?.input()?;
    simulate::simulate(file, &input)
}

fn read(file: &Path) -> Result<String> {
    let mut text = String::new();
    let outcome = if file == Path::new("-") {
        std::io::stdin().take(MAX_INPUT_BYTES).read_to_string(&mut text)
    } else {
        let open = std::fs::File::open(file);
        open.and_then(|open| open.take(MAX_INPUT_BYTES).read_to_string(&mut text))
    };
    match outcome {
        Ok(_) => Ok(text),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let report = Report::new(Exit::Usage, "there is no such file");
            Err(report.at(file.display().to_string()).next("name the input: --input FILE"))
        }
        Err(error) => Err(Report::io("read the input", file, &error)),
    }
}

fn told(document: &MarginSimulationDocument) -> String {
    let mut text = format!("at {}\n", document.time);
    for (name, numbers) in &document.indices {
        tell_index(&mut text, name, numbers);
    }
    if document.indices.is_empty() {
        text.push_str("no position, no margin\n");
    }
    if let Some(set) = &document.correlation {
        let _ = write!(
            text,
            "\n{} move together, in quote currency\n  worst case        {} (scenario {})\n  \
             contingency       {}\n  each by itself    {}\n",
            set.indices.join(", "),
            set.worst_case,
            set.worst_case_index,
            set.correlation_contingency,
            set.separate_worst_case,
        );
    }
    text
}

fn tell_index(text: &mut String, name: &str, numbers: &MarginNumbers) {
    let index = numbers.worst_case_index.unwrap_or(0);
    let _ = writeln!(text, "\n{name}: worst in scenario {index}");
    let standard = numbers.pre_aggregated_risk_vectors.as_ref().map_or(0, |v| v.standard.len());
    let scenario = usize::try_from(index).unwrap_or(0);
    for (leg, vectors) in numbers.initial_risk_vectors.iter().flatten() {
        let value = match scenario.checked_sub(standard) {
            None => vectors.standard.get(scenario),
            Some(extended) => vectors.extended.get(extended),
        };
        let _ = writeln!(text, "  {leg:24} {:>28}", value.map_or("0", String::as_str));
    }
    let lines = [
        ("worst case", &numbers.worst_case),
        ("delta shock", &numbers.delta_shock),
        ("roll shock", &numbers.roll_shock),
        ("correlation contingency", &numbers.correlation_contingency),
        ("risk matrix", &numbers.risk_matrix_margin),
        ("spot margin", &numbers.spot_margin),
        ("market-maker protection", &numbers.mmp_margin),
        ("open orders", &numbers.open_orders_margin),
        ("initial margin", &numbers.initial_margin),
        ("maintenance margin", &numbers.maintenance_margin),
    ];
    for (what, value) in lines {
        let _ = writeln!(text, "  {what:24} {:>28}", value.as_deref().unwrap_or("0"));
    }
}
