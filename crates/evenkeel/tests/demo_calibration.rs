//! The demonstration's prices against recorded chains and an independent pricing library.
//!
//! Reads `$EVENKEEL_DATA`; without it the tests say that they were skipped.

use evenkeel::demo::calibration::{BTC, ETH, Smile, interpolate};
use evenkeel::demo::option_value;
use std::io::Read;
use std::path::PathBuf;

/// A recorded file; `None` (and a word) if no data was named. A missing file fails.
fn recorded(name: &str) -> Option<Vec<u8>> {
    let Some(folder) = std::env::var_os("EVENKEEL_DATA") else {
        eprintln!("skipped: EVENKEEL_DATA does not name the recorded data");
        return None;
    };
    let path = PathBuf::from(folder).join("data").join(name);
    Some(std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())))
}

/// Fields of a CSV text by column name.
fn rows<'a>(text: &'a str, columns: &'a [&str]) -> impl Iterator<Item = Vec<&'a str>> {
    let mut lines = text.lines();
    let header: Vec<_> = lines.next().expect("a header").split(',').collect();
    let place = |name: &&str| header.iter().position(|it| it == name).expect("a known column");
    let places: Vec<_> = columns.iter().map(place).collect();
    lines.map(move |line| {
        let fields: Vec<_> = line.split(',').collect();
        places.iter().map(|place| fields[*place]).collect()
    })
}

fn number(text: &str) -> f64 {
    text.parse().expect("a number")
}

#[test]
fn values_and_deltas_equal_quantlibs() {
    let Some(bytes) = recorded("black76_quantlib_dev.csv") else {
        return;
    };
    let text = String::from_utf8(bytes).expect("text");
    let columns = ["F", "K", "T", "sigma", "type", "price", "delta"];
    let mut count = 0;
    for row in rows(&text, &columns) {
        let [future, strike, years, sigma] = [0, 1, 2, 3].map(|column| number(row[column]));
        let ours = option_value(row[4] == "C", future, strike, years, sigma);
        let scale = future.max(strike);
        assert!((ours.value - number(row[5])).abs() <= 1e-9 * scale, "{row:?} {ours:?}");
        assert!((ours.delta - number(row[6])).abs() <= 1e-9, "{row:?} {ours:?}");
        count += 1;
    }
    assert_eq!(count, 2_000);
}

/// A file out of an uncompressed tar archive (POSIX ustar: 512-byte headers, name at 0, size in
/// octal at 124).
fn tar_member(archive: &[u8], wanted: &str) -> Option<String> {
    let mut at = 0;
    while let Some(header) = archive.get(at..at + 512) {
        let text = |range: std::ops::Range<usize>| {
            let field = String::from_utf8_lossy(&header[range]);
            field.trim_matches(['\0', ' ']).to_owned()
        };
        let size = usize::from_str_radix(&text(124..136), 8).unwrap_or(0);
        if text(0..100).ends_with(wanted) {
            let body = &archive[at + 512..at + 512 + size];
            return Some(String::from_utf8_lossy(body).into_owned());
        }
        at += 512 + size.next_multiple_of(512);
    }
    None
}

/// Mean distance between recorded and modelled volatility over the options with `|x| < 1`.
fn mean_distance(text: &str, code: &str, table: &[Smile; 6]) -> (f64, u32) {
    let columns = ["currency", "strike", "futures_price", "time_to_maturity", "implied_volatility"];
    let (mut sum, mut count) = (0.0, 0);
    for row in rows(text, &columns).filter(|row| row[0] == code) {
        let [strike, future, years] = [1, 2, 3].map(|column| number(row[column]));
        let Ok(recorded) = row[4].parse::<f64>() else {
            continue;
        };
        let x = (strike / future).ln() / years.sqrt();
        if years < 7.0 / 365.0 || x.abs() >= 1.0 || recorded <= 0.0 {
            continue;
        }
        sum += (interpolate(table, years).volatility(future, strike) - recorded).abs();
        count += 1;
    }
    (sum / f64::from(count), count)
}

#[test]
fn both_surfaces_lie_within_one_volatility_point_of_the_recorded_chains() {
    let Some(bytes) = recorded("deribit_chain_snapshots_2026-02-03_07.tar.xz") else {
        return;
    };
    let mut archive = Vec::new();
    let mut decoder = liblzma::read::XzDecoder::new(bytes.as_slice());
    decoder.read_to_end(&mut archive).expect("an xz archive");
    for (name, btc, eth) in [
        ("20260203T042935Z.csv", BTC.calm, ETH.calm),
        ("20260205T155132Z.csv", BTC.stress, ETH.stress),
    ] {
        let text = tar_member(&archive, name).expect("in the archive");
        for (code, table) in [("BTC", btc), ("ETH", eth)] {
            let (distance, count) = mean_distance(&text, code, &table);
            println!("{name} {code}: {count} options, mean distance {distance:.4}");
            assert!(count > 200 && distance < 0.01, "{name} {code}: {distance} over {count}");
        }
    }
}
