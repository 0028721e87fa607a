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

/// Largest differences within a class of options.
#[derive(Debug, Default, Clone)]
struct Class {
    count: usize,
    delta: f64,
    /// Coins.
    mark: f64,
    /// By how much another forward, as a share of it, would explain that difference.
    forward: f64,
    /// A day's decay, as a share of the forward.
    theta: f64,
}

impl Class {
    fn take(&mut self, delta: f64, mark: f64, forward: f64, theta: f64) {
        self.count += 1;
        self.delta = self.delta.max(delta.abs());
        self.mark = self.mark.max(mark.abs());
        self.forward = self.forward.max(forward);
        self.theta = self.theta.max(theta.abs());
    }
}

/// The classes of the table: under a day, to a week, beyond.
fn classes(text: &str) -> [Class; 3] {
    let mut lines = text.lines();
    let header = fields(lines.next().expect("a header"));
    let at = |name: &str| header.iter().position(|field| field == name).expect("a column");
    let columns = ["expiration_timestamp", "timestamp", "strike", "underlying_price", "mark_iv"];
    let columns = columns.map(at);
    let mut classes: [Class; 3] = Default::default();
    for line in lines {
        let row = fields(line);
        let number = |at: usize| -> f64 { row[at].parse().expect("a number") };
        let [expiry, now, strike, forward, iv] = columns.map(number);
        let right = if row[at("option_type")] == "call" { Right::Call } else { Right::Put };
        let ns = |at: usize| row[at].parse::<u64>().expect("milliseconds") * 1_000_000;
        let years = years(ns(columns[1]), ns(columns[0]));
        let volatility = Fixed::ratio(atto(iv / 100.0), ATTO);
        let ours = value(right, atto(forward), atto(strike), years, volatility);
        let [price, delta, vega, theta] =
            [ours.price, ours.delta, ours.vega, ours.theta].map(|figure| figure as f64 / 1e18);
        let days = (expiry - now) / 86_400_000.0;
        let theirs = &row[at("greeks")];
        let mark = price / forward - number(at("mark_price"));
        // Half a hundredth of a percent of volatility, half a unit of the last decimal.
        let rounding = vega / forward * 0.5e-4 + 0.5e-8;
        let slope = (delta - price / forward).abs();
        let shift = (mark.abs() - rounding).max(0.0) / slope.max(1e-6);
        // The exchange tells the decay of a day, of what is left of it, of no more than the price.
        let decay = (-theta / 365.0 * days.min(1.0)).min(price);
        classes[usize::from(days >= 1.0) + usize::from(days >= 7.0)].take(
            delta - greek(theirs, "delta"),
            mark,
            shift,
            (decay + greek(theirs, "theta")) / forward,
        );
    }
    classes
}

#[test]
fn deltas_marks_and_decay_agree_with_the_exchange_from_its_own_volatilities() {
    let Some(path) = recorded("deribit_chain_rest_btc_2020-05-21.csv.xz") else {
        return;
    };
    let mut text = String::new();
    let file = std::fs::File::open(path).expect("readable");
    liblzma::read::XzDecoder::new(file).read_to_string(&mut text).expect("xz");
    let classes = classes(&text);
    println!("largest differences under a day, to a week, beyond: {classes:#?}");
    assert_eq!(classes.clone().map(|class| class.count), [58, 38, 230]);
    for class in &classes[1..] {
        assert!(class.delta <= 3.3e-5, "{class:?}");
    }
    for class in &classes {
        assert!(class.mark <= 2.5e-4, "{class:?}");
        // One and a half dollars of 9,095: what the forward moved in seconds.
        assert!(class.forward <= 1.7e-4, "{class:?}");
        assert!(class.theta <= 2e-5, "{class:?}");
    }
}
