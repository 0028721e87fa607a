//! A recorded model-free volatility and all of its intermediate steps.

mod margin_support;

use evenkeel_quant::portfolio::ATTO;
use evenkeel_quant::variance::{
    StripQuote, StripVariance, TermVariance, horizon_variance, strip_variance, volatility,
};
use margin_support::{number, price, recorded};
use serde_json::Value;
use std::collections::BTreeMap;

/// The recorded steps are doubles: what they carry of parts of 10^18, relative to 1.
const TOLERANCE: i128 = 1_000;

fn document() -> Option<Value> {
    let text = std::fs::read_to_string(recorded("deribit_eth_mfiv14d_2021-10-01.json")?);
    Some(serde_json::from_str(&text.expect("readable")).expect("JSON"))
}

/// e^(rT) to the third order: the rest is below 10^-18 for a rate of half a percent and two weeks.
fn growth(rate: i128, left_ms: u64) -> i128 {
    let x = rate * i128::from(left_ms) / 31_536_000_000;
    ATTO + x + x * x / (2 * ATTO) + x * x / ATTO * x / (6 * ATTO)
}

/// Middle of bid and ask in quote currency; none without a bid.
fn premium(option: &Value, underlying: i128) -> Option<i128> {
    let (bid, ask) = (option["bestBidPrice"].as_f64()?, &option["bestAskPrice"]);
    let bid = if bid > 0.0 { number(&option["bestBidPrice"], 18) } else { return None };
    let ask = ask.as_f64().map_or(bid, |_| number(ask, 18));
    Some(i128::midpoint(bid, ask) * underlying / 10_000_000_000)
}

fn strip(document: &Value, date: &str, left_ms: u64) -> StripVariance {
    let parameters = &document["params"];
    let underlying = number(&parameters["underlyingPrice"], 10);
    let mut quotes = BTreeMap::new();
    for option in parameters["options"].as_array().expect("options") {
        if option["expirationDate"] != parameters[date] {
            continue;
        }
        let strike = price(&option["strikePrice"].to_string());
        let quote = quotes.entry(strike).or_insert(StripQuote { strike, call: None, put: None });
        let premium = premium(option, underlying);
        match option["optionType"].as_str() {
            Some("call") => quote.call = premium,
            _ => quote.put = premium,
        }
    }
    let rate = number(&document["context"]["risklessRate"], 18);
    let quotes: Vec<StripQuote> = quotes.into_values().collect();
    strip_variance(&quotes, growth(rate, left_ms)).expect("a strip")
}

fn near(ours: i128, theirs: &Value, tolerance: i128, what: &str) {
    let theirs = number(theirs, 18);
    assert!((ours - theirs).abs() <= tolerance, "{what}: ours {ours}, theirs {theirs}");
}

#[test]
fn every_step_of_a_recorded_model_free_volatility_is_reproduced() {
    let Some(document) = document() else { return };
    let steps = &document["result"]["intermediates"];
    let left_ms = |name: &str| steps[name].as_u64().expect("milliseconds");
    let expiries = [
        ("nearDate", "NT1", "near", "F1", "FS1", "finalNearBook"),
        ("nextDate", "NT2", "next", "F2", "FS2", "finalNextBook"),
    ];
    let mut terms = Vec::new();
    for (date, time, name, forward, middle, book) in expiries {
        let found = strip(&document, date, left_ms(time));
        let book = steps[book].as_array().expect("a book");
        assert_eq!(found.parts.len(), book.len(), "{name}: the options that count");
        for (part, option) in found.parts.iter().zip(book) {
            assert_eq!(part.strike, price(&option[1]["strikePrice"].to_string()));
            // A premium of hundreds, as a double.
            near(part.premium, &option[1]["optionPrice"], 1_000_000, name);
        }
        near(found.forward * 100_000_000, &steps[forward], 100_000_000, "forward");
        assert_eq!(found.middle, price(&steps[middle].to_string()));
        let contribution = format!("{name}Contribution");
        near(found.contribution, &steps[contribution], TOLERANCE, name);
        let total = format!("{name}ModSigmaSquared");
        near(found.total, &steps[total], TOLERANCE, name);
        terms.push(TermVariance { left_ms: left_ms(time), total: found.total });
    }
    let variance = horizon_variance(&terms, left_ms("TP")).expect("terms");
    near(volatility(variance) * 100, &document["result"]["value"], 1_000_000, "index");
}
