//! What the tests of the importers share: running a replay, and a matcher written to be obviously
//! right instead of fast.

#![allow(dead_code, reason = "each test file uses a part of it")]

mod recorded;

use evenkeel::replay::{Format, ReplayArgs, ReplayError, run};
#[allow(unused_imports, reason = "each test file uses a part of it")]
pub use recorded::recorded;
use serde_json::Value;
use std::path::{Path, PathBuf};

/// The first line of order flow.
pub const HEADER: &str = "time_ns,instrument,action,order_id,account,side,price,amount,type,tif\n";

/// A file of this package's fixtures.
pub fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/replay").join(name)
}

/// Runs a replay with `--json`; the document, and the error beside it if there is one.
pub fn replay(args: &ReplayArgs) -> (Value, Result<(), ReplayError>) {
    let args = ReplayArgs { json: true, ..args.clone() };
    let (mut out, mut progress) = (Vec::new(), Vec::new());
    let result = run(&args, &mut out, &mut progress);
    let document = serde_json::from_slice(&out).unwrap_or(Value::Null);
    (document, result)
}

/// Runs a replay that must succeed.
pub fn replayed(args: &ReplayArgs) -> Value {
    let (document, result) = replay(args);
    if let Err(error) = result {
        panic!("{error}");
    }
    document
}

/// The parts of a document that must never depend on how it was made.
pub fn roots(document: &Value) -> [String; 3] {
    ["state_root", "journal_root", "output_digest"].map(|name| document[name].to_string())
}

/// Order flow in a file of its own.
pub fn flow_file(dir: &Path, text: &str) -> ReplayArgs {
    let path = dir.join("flow.csv");
    std::fs::write(&path, text).expect("write the flow");
    ReplayArgs::new(path, Format::OrderflowCsv)
}

/// Runs order flow, with both result files: trades, book, document.
pub fn flow(dir: &Path, text: &str, change: impl FnOnce(&mut ReplayArgs)) -> Outcome {
    let mut args = flow_file(dir, text);
    args.trades_out = Some(dir.join("trades.csv"));
    args.book_out = Some(dir.join("book.csv"));
    change(&mut args);
    let (document, result) = replay(&args);
    let read = |name: &str| std::fs::read_to_string(dir.join(name)).unwrap_or_default();
    Outcome { trades: read("trades.csv"), book: read("book.csv"), document, result }
}

/// What a replay of order flow left.
pub struct Outcome {
    pub trades: String,
    pub book: String,
    pub document: Value,
    pub result: Result<(), ReplayError>,
}

/// Small, seeded and the same everywhere (Vigna's splitmix64).
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    pub fn pick<T: Copy>(&mut self, items: &[T]) -> T {
        items[usize::try_from(self.below(items.len() as u64)).expect("small")]
    }
}
