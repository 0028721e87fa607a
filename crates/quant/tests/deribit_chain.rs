//! Black-76 against 326 recorded BTC options: an exchange's own deltas and marks.

mod recorded;

use evenkeel_quant::Fixed;
use evenkeel_quant::black76::{ATTO, Right, value, years};
use recorded::recorded;
use std::io::Read;

/// The fields of a line; quoted ones may hold commas.
fn fields(line: &str) -> Vec<String> {
    let (mut all, mut field, mut is_quoted) = (Vec::new(), String::new(), false);
    for c in line.chars() {
        match c {
            '"' => is_quoted = !is_quoted,
            ',' if !is_quoted => all.push(std::mem::take(&mut field)),
            c => field.push(c),
        }
    }
    all.push(field);
    all
}

fn greek(dictionary: &str, name: &str) -> f64 {
    let (_, rest) = dictionary.split_once(&format!("'{name}': ")).expect("a Greek");
    let end = rest.find([',', '}']).expect("its end");
    rest[..end].parse().expect("a number")
}

fn atto(number: f64) -> i128 {
    format!("{number:.18}").replace('.', "").parse().expect("digits")
}

#[derive(Debug, Default)]
struct Class {
    count: usize,
    delta: f64,
    mark: f64,
    theta: f64,
}

#[test]
fn deltas_and_marks_agree_with_the_exchange_from_its_own_volatilities() {
    let Some(path) = recorded("deribit_chain_rest_btc_2020-05-21.csv.xz") else {
        return;
    };
    let mut text = String::new();
    let file = std::fs::File::open(path).expect("readable");
    liblzma::read::XzDecoder::new(file).read_to_string(&mut text).expect("xz");
    let mut lines = text.lines();
    let header = fields(lines.next().expect("a header"));
    let at = |name: &str| header.iter().position(|field| field == name).expect("a column");
    let columns = ["expiration_timestamp", "timestamp", "strike", "underlying_price", "mark_iv"];
    let columns = columns.map(at);
    let mut classes: Vec<Class> =
        ["under a day", "to a week", "beyond"].map(|_| Class::default()).into();
    for line in lines {
        let row = fields(line);
        let number = |at: usize| -> f64 { row[at].parse().expect("a number") };
        let [expiry, now, strike, forward, iv] = columns.map(number);
        let right = if row[at("option_type")] == "call" { Right::Call } else { Right::Put };
        let ns = |at: usize| row[at].parse::<u64>().expect("milliseconds") * 1_000_000;
        let years = years(ns(columns[1]), ns(columns[0]));
        let volatility = Fixed::ratio(atto(iv / 100.0), ATTO);
        let ours = value(right, atto(forward), atto(strike), years, volatility);
        let days = (expiry - now) / 86_400_000.0;
        let class = &mut classes[usize::from(days >= 1.0) + usize::from(days >= 7.0)];
        let theirs = &row[at("greeks")];
        class.count += 1;
        let delta = (ours.delta as f64 / 1e18 - greek(theirs, "delta")).abs();
        class.delta = class.delta.max(delta);
        let mark = ours.price as f64 / 1e18 / forward - number(at("mark_price"));
        class.mark = class.mark.max(mark.abs());
        let a_day = days.min(1.0) / 365.0;
        let theta = (ours.theta as f64 / 1e18 * a_day - greek(theirs, "theta")).abs();
        class.theta = class.theta.max(theta / forward);
    }
    println!("largest differences under a day, to a week, beyond: {classes:#?}");
    assert_eq!(classes.iter().map(|class| class.count).sum::<usize>(), 326);
    for class in &classes[1..] {
        assert!(class.delta <= 3.3e-5, "{class:?}");
    }
    for class in &classes {
        assert!(class.mark <= 2.5e-4, "{class:?}");
    }
}
