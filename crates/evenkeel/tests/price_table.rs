//! `evenkeel price`, as typed.

mod cli_support;
mod replay_support;

use cli_support::{Bench, Said};
use std::io::Write;
use std::process::Stdio;

/// A column of a table as numbers.
fn column(text: &str, name: &str) -> Vec<f64> {
    let mut lines = text.lines();
    let header = lines.next().expect("a header");
    let at = header.split(',').position(|field| field == name).expect("the column");
    lines.map(|line| line.split(',').nth(at).expect("a field").parse().expect("a number")).collect()
}

#[test]
fn a_table_from_quantlib_is_priced_within_a_billionth() {
    let Some(path) = replay_support::recorded("black76_quantlib_dev.csv") else {
        return;
    };
    let bench = Bench::new();
    let theirs = std::fs::read_to_string(&path).expect("readable");
    bench.write("options.csv", &theirs);
    let said = bench.run("price --csv options.csv --out prices.csv");
    assert_eq!((said.exit, said.out.as_str()), (0, ""), "{}", said.err);
    let ours = bench.read("prices.csv");
    let (forwards, strikes) = (column(&theirs, "F"), column(&theirs, "K"));
    for (name, bound) in
        [("price", 1e-9), ("delta", 1e-9), ("gamma", 1e-8), ("vega", 1e-8), ("theta", 1e-8)]
    {
        let pairs = column(&ours, name).into_iter().zip(column(&theirs, name));
        for (row, (ours, theirs)) in pairs.enumerate() {
            let largest = forwards[row].max(strikes[row]);
            let allowed = match name {
                "delta" => bound,
                "gamma" => bound / forwards[row],
                _ => bound * largest,
            };
            let error = (ours - theirs).abs();
            assert!(error <= allowed, "row {row}, {name}: {ours} and {theirs}");
        }
    }
    assert_eq!(column(&ours, "price").len(), 2_000);
    let decimals = ours
        .lines()
        .nth(1)
        .expect("a row")
        .split(',')
        .map(|field| field.split_once('.').expect("a point").1.len());
    assert!(decimals.into_iter().all(|count| count == 18));
}

#[test]
fn a_wrong_row_is_told_and_nothing_is_written() {
    let bench = Bench::new();
    bench.write("options.csv", "F,K,T,sigma,type\n100,100,1,0.5,C\n100,100,-1,0.5,C\n");
    let said = bench.run("price --csv options.csv --out prices.csv");
    assert_eq!(said.exit, 2);
    for part in ["options.csv, line 3, column T", "\"-1\"", "nothing was written"] {
        assert!(said.err.contains(part), "{part}: {}", said.err);
    }
    assert!(!bench.path("prices.csv").exists());
    assert!(!bench.path("prices.csv.part").exists());
}

#[test]
fn prices_of_before_stay_when_a_later_table_is_wrong() {
    let bench = Bench::new();
    bench.write("options.csv", "F,K,T,sigma,type\n100,100,1,0.5,C\n");
    assert_eq!(bench.run("price --csv options.csv --out prices.csv").exit, 0);
    let before = bench.read("prices.csv");
    bench.write("options.csv", "F,K,T,sigma,type\n100,100,1,0.5,straddle\n");
    let said = bench.run("price --csv options.csv --out prices.csv");
    assert_eq!(said.exit, 2);
    assert!(said.err.contains("neither C (call) nor P (put)"), "{}", said.err);
    assert_eq!(bench.read("prices.csv"), before);
}

#[test]
fn a_dash_reads_the_standard_input() {
    let bench = Bench::new();
    let mut program = bench
        .command("price --csv - --out -")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let table = "sigma,T,type,K,F,exchange\n0.8,5e-2,C,6.5e4,60000,\"A, B and C\"\n";
    let mut input = program.stdin.take().expect("a pipe");
    input.write_all(table.as_bytes()).expect("it reads");
    drop(input);
    let said = Said::of(&program.wait_with_output().expect("it ends"));
    assert_eq!(said.exit, 0, "{}", said.err);
    let lines: Vec<&str> = said.out.lines().collect();
    assert_eq!(lines[0], "price,delta,gamma,vega,theta");
    assert!(lines[1].starts_with("2391.53002621") && lines.len() == 2, "{lines:?}");
}

#[test]
fn a_table_that_is_not_there_is_an_error_that_names_it() {
    let bench = Bench::new();
    let said = bench.run("price --csv none.csv --out prices.csv");
    assert_eq!(said.exit, 1);
    assert!(said.err.contains("none.csv"), "{}", said.err);
}

#[test]
fn a_dash_writes_to_the_standard_output() {
    let bench = Bench::new();
    bench.write("options.csv", "type,K,F,T,sigma\nP,90,100,0,0.5\n");
    let said = bench.run("price --csv options.csv --out -");
    assert_eq!(said.exit, 0, "{}", said.err);
    assert_eq!(said.out.lines().count(), 2);
}
