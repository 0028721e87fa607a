//! Black-76 against prices and Greeks computed with QuantLib.

mod recorded;

use evenkeel_quant::Fixed;
use evenkeel_quant::black76::{ATTO, Right, value};
use evenkeel_quant::implied::implied_volatility;
use recorded::recorded;

fn atto(number: f64) -> i128 {
    // Exact: a double has at most 53 bits, and 18 decimals of these numbers fit into 128.
    let text = format!("{number:.18}");
    text.replace('.', "").parse().expect("digits")
}

fn float(value: i128) -> f64 {
    value as f64 / 1e18
}

#[test]
fn prices_greeks_and_implied_volatility_agree_with_quantlib() {
    let Some(path) = recorded("black76_quantlib_dev.csv") else {
        return;
    };
    let text = std::fs::read_to_string(path).expect("readable");
    let mut worst = [0f64; 6];
    for line in text.lines().skip(1) {
        let fields: Vec<&str> = line.split(',').collect();
        let number = |at: usize| -> f64 { fields[at].parse().expect("a number") };
        let [f, k, t, sigma] = [0, 1, 2, 3].map(number);
        let right = if fields[4] == "C" { Right::Call } else { Right::Put };
        let fixed = |x: f64| Fixed::ratio(atto(x), ATTO);
        let (years, volatility) = (fixed(t), fixed(sigma));
        let ours = value(right, atto(f), atto(k), years, volatility);
        let largest = f.max(k);
        let errors = [
            (float(ours.price) - number(5)).abs() / largest / 1e-9,
            (float(ours.delta) - number(6)).abs() / 1e-9,
            (float(ours.gamma) - number(7)).abs() * f / 1e-8,
            (float(ours.vega) - number(8)).abs() / largest / 1e-8,
            (float(ours.theta) - number(9)).abs() / largest / 1e-8,
        ];
        for (worst, error) in worst.iter_mut().zip(errors) {
            *worst = worst.max(error);
        }
        if number(8) / f >= 1e-6 {
            let implied = implied_volatility(right, atto(f), atto(k), years, ours.price);
            let implied = implied.unwrap_or_else(|error| panic!("{line}: {error}"));
            let error = float(implied.times(ATTO)) - sigma;
            worst[5] = worst[5].max(error.abs() / 1e-9);
        }
    }
    println!("errors as shares of what is allowed: {worst:?}");
    assert!(worst.iter().all(|share| *share <= 1.0), "{worst:?}");
}
