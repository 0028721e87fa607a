//! `evenkeel margin explain` of the demonstration's accounts.

mod cli_support;

use cli_support::Bench;
use serde_json::Value;

/// A decimal number in parts of 10^18.
fn atto(value: &Value) -> i128 {
    let text = value.as_str().expect("a decimal string");
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    let digits = format!("{whole}{decimals:0<18}");
    digits.parse().expect("digits")
}

#[test]
fn an_accounts_margin_adds_up_to_the_last_digit() {
    let bench = Bench::new();
    let said = bench.run("up --role primary --home h --dashboard off --exit-after 6");
    assert_eq!(said.exit, 0, "{}", said.err);
    let mut legs = 0;
    for account in 1..=2 {
        let said = bench.run(&format!("margin explain --home h --account {account} --json"));
        assert_eq!(said.exit, 0, "{}", said.err);
        let document: Value = serde_json::from_str(&said.out).expect("one document");
        assert_eq!(document["model"], "portfolio", "makers have portfolio margin");
        for group in document["groups"].as_array().expect("groups") {
            let portfolio = &group["portfolio"];
            let shares = portfolio["contributions"].as_array().expect("legs");
            legs += shares.len();
            for (at, total) in portfolio["totals"].as_array().expect("totals").iter().enumerate() {
                let sum: i128 = shares.iter().map(|leg| atto(&leg["scenarios"][at])).sum();
                assert_eq!(sum, atto(total), "scenario {at}");
            }
            let names = ["worst_case", "delta_shock", "roll_shock", "correlation_contingency"];
            let parts: i128 = names.iter().map(|name| atto(&portfolio[*name])).sum();
            assert_eq!(parts, atto(&portfolio["risk_matrix_margin"]));
        }
    }
    assert!(legs > 0, "makers hold something");
    let said = bench.run("margin explain --home h --account 999999");
    assert_eq!(said.exit, 2);
    assert!(said.err.contains("there is no account 999999"), "{}", said.err);
    assert_eq!(bench.run("margin explain --home none --account 1").exit, 10);
}
