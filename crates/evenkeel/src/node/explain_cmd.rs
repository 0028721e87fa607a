//! `evenkeel margin explain`: where an account's margin comes from, read from the host's journal.

use std::fmt::Write as _;

use evenkeel_types::{AccountId, CurrencyId, InstrumentId, Money};
use evenkeel_venue::{Engine, GroupReport, MarginReport};
use serde_json::{Value, json};

use super::replay_cmd::engine;
use crate::cli::MarginExplainArgs;
use crate::margin::decimal;
use crate::output;
use crate::report::{Exit, Report, Result};

/// Runs the command; it takes no lock and changes nothing, so it works beside the daemon.
pub(crate) fn run(args: &MarginExplainArgs) -> Result<Exit> {
    let config = args.place.load()?;
    let engine = engine(&config, u64::MAX)?;
    let account = AccountId(args.account);
    let Some(report) = engine.margin_report(account) else {
        let last = engine.accounts().map(|it| it.id.0).max().unwrap_or(0);
        return Err(Report::new(Exit::Usage, format!("there is no account {account}"))
            .detail(format!("accounts go up to {last}"))
            .next("evenkeel margin explain --account 1"));
    };
    if args.json {
        output::document(&document(&engine, &report))?;
    } else {
        output::result(told(&engine, &report).trim_end())?;
    }
    Ok(Exit::Ok)
}

/// An amount of a currency, in whole coins.
fn coins(engine: &Engine, currency: CurrencyId, amount: Money) -> String {
    let scale = engine.currencies().find(|it| it.id == currency).map_or(0, |it| it.scale);
    let one = 10u128.pow(scale.into());
    let sign = if amount.0 < 0 { "-" } else { "" };
    let units = amount.0.unsigned_abs();
    match scale {
        0 => format!("{sign}{units}"),
        _ => format!("{sign}{}.{:0width$}", units / one, units % one, width = usize::from(scale)),
    }
}

fn code(engine: &Engine, currency: CurrencyId) -> String {
    let found = engine.currencies().find(|it| it.id == currency);
    found.map_or_else(|| currency.to_string(), |it| it.code.to_string())
}

fn symbol(engine: &Engine, instrument: InstrumentId) -> String {
    let found = engine.instrument(instrument);
    found.map_or_else(|| instrument.to_string(), |it| it.symbol.to_string())
}

fn document(engine: &Engine, report: &MarginReport) -> Value {
    let currencies: Vec<Value> = report
        .currencies
        .iter()
        .map(|it| {
            let id = it.margin.currency;
            let amount = |money| coins(engine, id, money);
            json!({
                "currency": code(engine, id),
                "balance": amount(it.balance),
                "margin_balance": amount(it.margin.margin_balance),
                "initial_margin": amount(it.margin.initial),
                "maintenance_margin": amount(it.margin.maintenance),
                "reserved": amount(it.margin.reserved),
            })
        })
        .collect();
    let groups: Vec<Value> = report.groups.iter().map(|it| group(engine, it)).collect();
    json!({
        "message_type": "margin_explanation",
        "account": report.account.0,
        "model": format!("{:?}", report.model).to_lowercase(),
        "above_initial": report.margin.figures.above_initial.0.to_string(),
        "above_maintenance": report.margin.figures.above_maintenance.0.to_string(),
        "prices_fresh": report.margin.is_fresh,
        "currencies": currencies,
        "groups": groups,
    })
}

fn group(engine: &Engine, of: &GroupReport) -> Value {
    let amount = |money| coins(engine, of.currency, money);
    let legs: Vec<Value> = of
        .legs
        .iter()
        .map(|leg| {
            json!({
                "instrument": symbol(engine, leg.instrument),
                "lots": leg.lots.0,
                "value": amount(leg.value),
                "initial_margin": decimal(leg.initial_atto),
                "maintenance_margin": decimal(leg.maintenance_atto),
                "delta": decimal(leg.greeks.delta),
                "gamma": decimal(leg.greeks.gamma),
                "vega": decimal(leg.greeks.vega),
                "theta": decimal(leg.greeks.theta),
            })
        })
        .collect();
    let portfolio = of.portfolio.as_ref().map(|it| {
        let all = |numbers: &[i128]| numbers.iter().map(|n| decimal(*n)).collect::<Vec<_>>();
        let contributions: Vec<Value> = it
            .legs
            .iter()
            .map(|leg| {
                json!({
                    "instrument": symbol(engine, leg.id),
                    "lots": leg.lots,
                    "scenarios": all(&leg.contributions),
                })
            })
            .collect();
        json!({
            "contributions": contributions,
            "totals": all(&it.totals),
            "adjustments": all(&it.adjustments),
            "counted": all(&it.aggregated),
            "worst_case": decimal(it.matrix.worst_case),
            "worst_case_index": it.matrix.worst_index,
            "delta_shock": decimal(it.matrix.delta_shock),
            "roll_shock": decimal(it.matrix.roll_shock),
            "correlation_contingency": decimal(it.matrix.correlation_contingency),
            "risk_matrix_margin": decimal(it.risk_matrix),
            "initial_margin": decimal(it.initial),
            "maintenance_margin": decimal(it.maintenance),
        })
    });
    json!({
        "underlying": of.underlying.0,
        "currency": code(engine, of.currency),
        "margin_factor_bp": of.factor_bp,
        "initial_margin": amount(of.initial),
        "maintenance_margin": amount(of.maintenance),
        "orders_margin": decimal(of.orders_atto),
        "net_delta": decimal(of.greeks.delta),
        "net_gamma": decimal(of.greeks.gamma),
        "net_vega": decimal(of.greeks.vega),
        "net_theta": decimal(of.greeks.theta),
        "legs": legs,
        "portfolio": portfolio,
    })
}

/// The same for people. Writing to a string cannot fail.
fn told(engine: &Engine, report: &MarginReport) -> String {
    let mut text = String::new();
    let model = format!("{:?}", report.model).to_lowercase();
    let _ = writeln!(text, "account {}, {model} margin", report.account);
    for it in &report.currencies {
        let id = it.margin.currency;
        let amount = |money| coins(engine, id, money);
        let _ = writeln!(
            text,
            "  {:5} margin balance {}  initial {}  maintenance {}  reserved {}",
            code(engine, id),
            amount(it.margin.margin_balance),
            amount(it.margin.initial),
            amount(it.margin.maintenance),
            amount(it.margin.reserved),
        );
    }
    for of in &report.groups {
        tell_group(engine, of, &mut text);
    }
    text
}

fn tell_group(engine: &Engine, of: &GroupReport, text: &mut String) {
    let currency = code(engine, of.currency);
    let _ = writeln!(text, "\nunderlying {} in {currency}", of.underlying);
    for leg in &of.legs {
        let name = symbol(engine, leg.instrument);
        let _ = writeln!(
            text,
            "  {name:24} {:>10} lots  delta {}  initial {}  maintenance {}",
            leg.lots.0,
            decimal(leg.greeks.delta),
            decimal(leg.initial_atto),
            decimal(leg.maintenance_atto),
        );
    }
    if let Some(it) = &of.portfolio {
        for leg in &it.legs {
            let _ = writeln!(text, "  {} in each scenario:", symbol(engine, leg.id));
            let shown: Vec<String> = leg.contributions.iter().map(|n| decimal(*n)).collect();
            let _ = writeln!(text, "    {}", shown.join(" "));
        }
        let counted: Vec<String> = it.aggregated.iter().map(|n| decimal(*n)).collect();
        let _ = writeln!(text, "  counted: {}", counted.join(" "));
        let _ = writeln!(
            text,
            "  worst case {} (scenario {})\n+ delta shock {}\n+ roll shock {}\n+ correlation {}\n\
             = risk matrix {}",
            decimal(it.matrix.worst_case),
            it.matrix.worst_index,
            decimal(it.matrix.delta_shock),
            decimal(it.matrix.roll_shock),
            decimal(it.matrix.correlation_contingency),
            decimal(it.risk_matrix),
        );
    }
    let _ = writeln!(
        text,
        "  initial {}  maintenance {}  (factor {} bp, orders {})",
        coins(engine, of.currency, of.initial),
        coins(engine, of.currency, of.maintenance),
        of.factor_bp,
        decimal(of.orders_atto),
    );
}
