//! Order flow as CSV: results, refusals, rejects, and that nothing depends on how it is run.

mod replay_support;

use evenkeel::replay::{Format, ReplayArgs, ReplayError};
use replay_support::{HEADER, Random, fixture, flow, flow_file, replay, replayed, roots};
use std::fmt::Write as _;
use std::io::Write as _;

fn expected(name: &str) -> String {
    std::fs::read_to_string(fixture(name)).expect(name)
}

#[test]
fn the_fixture_gives_the_expected_trades_books_and_roots() {
    let dir = tempfile::tempdir().expect("folder");
    let text = expected("orderflow.csv");
    let outcome = flow(dir.path(), &text, |args| args.book_every = Some(8));
    outcome.result.expect("replayed");
    assert_eq!(outcome.trades, expected("orderflow.trades.csv"));
    assert_eq!(outcome.book, expected("orderflow.book.csv"));
    let counts = &outcome.document["comparison"];
    assert_eq!(counts["cancels_not_open"], 2);
    assert_eq!(counts["amends_not_open"], 1);
    assert_eq!(counts["refused"]["would_trade"], 1);
    assert_eq!(counts["refused"]["cannot_fill"], 1);
    // Golden: engine rules, encodings and this importer must not change what a history means.
    let golden = expected("orderflow.roots.txt");
    assert_eq!(roots(&outcome.document).join("\n") + "\n", golden);
}

/// About 60,000 rows: several blocks, so that several threads have work.
fn long_flow() -> String {
    let mut random = Random(7);
    let mut text = HEADER.to_owned();
    for row in 1..=60_000u64 {
        let time_ns = 1_600_000_000_000_000_000 + row * 1_000;
        let (account, price) = (random.below(40), 10_000 + random.below(40));
        let (side, amount) = (random.pick(&["buy", "sell"]), 1 + random.below(900));
        let line = match random.below(3) {
            0 if row > 50 => {
                let order = row - 1 - random.below(49);
                format!("{time_ns},BTC-PERP,cancel,{order},,,,,,")
            }
            _ => format!(
                "{time_ns},BTC-PERP,add,{row},acc{account},{side},{}.{:02},{}.{:03},limit,gtc",
                price / 100,
                price % 100,
                amount / 1000,
                amount % 1000
            ),
        };
        writeln!(text, "{line}").expect("write");
    }
    text
}

#[test]
fn threads_and_a_restore_in_the_middle_change_neither_roots_nor_results() {
    let text = long_flow();
    let run = |threads: usize, restore_at: Option<u64>| {
        let dir = tempfile::tempdir().expect("folder");
        let outcome = flow(dir.path(), &text, |args| {
            args.threads = Some(threads);
            args.restore_at = restore_at;
        });
        outcome.result.expect("replayed");
        assert_eq!(outcome.document["restored_at"].as_u64(), restore_at);
        (roots(&outcome.document), outcome.trades, outcome.book)
    };
    let once = run(1, None);
    assert!(once.1.lines().count() > 1_000, "the flow trades");
    for (threads, restore_at) in
        [(1, None), (2, None), (5, Some(30_000)), (2, Some(1)), (1, Some(60_000))]
    {
        assert!(run(threads, restore_at) == once, "{threads} threads, restored at {restore_at:?}");
    }
}

#[test]
fn the_journal_that_is_kept_holds_every_entry_and_gives_the_same_roots() {
    let dir = tempfile::tempdir().expect("folder");
    let mut args = flow_file(dir.path(), &expected("orderflow.csv"));
    args.journal = Some(dir.path().join("journal"));
    let document = replayed(&args);
    let journal = args.journal.clone().expect("set");
    let disk = std::sync::Arc::new(evenkeel_journal::RealDisk);
    let mut reader = evenkeel_journal::Reader::external(disk, &journal, 0).expect("open");
    let mut engine = evenkeel_venue::Engine::new();
    let mut events = Vec::new();
    while let Some(batch) = reader.next_batch().expect("read") {
        for record in batch.records {
            use evenkeel_types::Canonical as _;
            let entry = evenkeel_types::Entry::from_bytes(&record.entry).expect("decode");
            engine.apply(&entry, &mut events);
        }
    }
    let hex = |hash: [u8; 32]| hash.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    assert_eq!(document["state_root"], hex(engine.state_root()));
    assert_eq!(document["output_digest"], hex(engine.output_digest()));
    assert_eq!(document["journal_entries"], engine.next_position().0);

    let (_, again) = replay(&args);
    let error = again.expect_err("the folder is in use");
    assert!(matches!(error, ReplayError::JournalNotEmpty { .. }), "{error}");
    assert_eq!(error.exit_code(), 2);
}

#[test]
fn a_malformed_line_refuses_the_file_before_anything_is_applied() {
    let dir = tempfile::tempdir().expect("folder");
    let good = "1,X,add,1,a,buy,10.5,1,limit,gtc\n";
    for (bad, line, column, part) in [
        ("2,X,add,2,a,buy,10.x,1,limit,gtc\n", 3, 17, "price \"10.x\" is not a decimal number"),
        ("2,X,add,1,a,buy,10,1,limit,gtc\n", 3, 9, "order_id \"1\" was added already, on line 2"),
        ("\n", 3, 1, "instrument is missing"),
        ("2,X\n", 3, 4, "2 columns instead of 10"),
        ("\u{0}\u{1}\u{2}\n", 3, 4, "1 columns instead of 10"),
    ] {
        let text = format!("{HEADER}{good}{bad}{good}");
        let outcome = flow(dir.path(), &text, |args| {
            args.journal = Some(dir.path().join("journal"));
        });
        let error = outcome.result.expect_err(bad);
        assert_eq!(error.exit_code(), 1);
        let ReplayError::Malformed { fault, .. } = &error else { panic!("{error}") };
        assert_eq!((fault.line, fault.column), (line, column), "{error}");
        assert!(error.to_string().contains(part), "{error}");
        assert!(error.to_string().contains("--rejects"), "says what to do: {error}");
        for left in ["trades.csv", "book.csv", "journal"] {
            assert!(!dir.path().join(left).exists(), "{left} was written for a refused file");
        }
    }
}

#[test]
fn rejects_sets_bad_lines_aside_and_counts_them() {
    let dir = tempfile::tempdir().expect("folder");
    let text = format!(
        "{HEADER}1,X,add,1,a,buy,10.5,1,limit,gtc\n\
         2,X,add,2,b,\"sell\",10.5,1,limit,gtc\n\
         3,X,add,3,b,sell,10.5,0.4,limit,gtc\n\
         garbage\n"
    );
    let rejects = dir.path().join("rejects.csv");
    let outcome = flow(dir.path(), &text, |args| args.rejects = Some(rejects.clone()));
    let error = outcome.result.expect_err("partial");
    assert_eq!(error.exit_code(), 3, "{error}");
    assert_eq!(outcome.document["rejected_lines"], 2);
    assert_eq!(outcome.document["entries"], 2);
    let trades = outcome.trades.lines().nth(1);
    assert_eq!(trades, Some("3,X,1,3,sell,10.5,0.4"), "rows keep their numbers");
    let written = std::fs::read_to_string(&rejects).expect("rejects");
    let lines: Vec<_> = written.lines().collect();
    assert_eq!(lines[0], "line,column,reason,text");
    assert!(lines[1].starts_with("3,13,\"side "), "{}", lines[1]);
    assert!(lines[1].ends_with("\"2,X,add,2,b,\"\"sell\"\",10.5,1,limit,gtc\""), "{}", lines[1]);
    assert!(lines[2].starts_with("5,8,"), "{}", lines[2]);
}

#[test]
fn a_file_that_is_no_order_flow_is_refused_by_its_header() {
    let dir = tempfile::tempdir().expect("folder");
    for text in ["", "garbage\n", "time_ns,instrument\n1,X\n", "\u{7f}ELF\u{0}\u{1}"] {
        let outcome = flow(dir.path(), text, |args| {
            args.rejects = Some(dir.path().join("rejects.csv"));
        });
        let error = outcome.result.expect_err(text);
        assert!(matches!(error, ReplayError::WrongFile { .. }), "{error}");
        assert_eq!(error.exit_code(), 1);
    }
}

#[test]
fn a_header_alone_is_an_empty_flow() {
    let dir = tempfile::tempdir().expect("folder");
    let outcome = flow(dir.path(), HEADER, |_| {});
    outcome.result.expect("replayed");
    assert_eq!(outcome.document["entries"], 0);
    assert_eq!(outcome.trades.lines().count(), 1);
    assert_eq!(outcome.book.lines().count(), 1);
}

#[test]
fn compressed_flow_gives_the_same_roots() {
    let text = expected("orderflow.csv");
    let dir = tempfile::tempdir().expect("folder");
    let plain = roots(&replayed(&flow_file(dir.path(), &text)));
    let gzip = {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(text.as_bytes()).expect("compress");
        encoder.finish().expect("compress")
    };
    let zst = zstd::encode_all(text.as_bytes(), 1).expect("compress");
    let xz = {
        let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 1);
        encoder.write_all(text.as_bytes()).expect("compress");
        encoder.finish().expect("compress")
    };
    for (name, bytes) in [("flow.csv.gz", gzip), ("flow.csv.zst", zst), ("flow.csv.xz", xz)] {
        let path = dir.path().join(name);
        std::fs::write(&path, &bytes).expect("write");
        let args = ReplayArgs::new(path.clone(), Format::OrderflowCsv);
        assert_eq!(roots(&replayed(&args)), plain, "{name}");
        std::fs::write(&path, &bytes[..bytes.len() - 6]).expect("write");
        let (_, result) = replay(&args);
        let error = result.expect_err("a truncated file");
        assert!(matches!(error, ReplayError::Input { .. }), "{name}: {error}");
    }
}

#[test]
fn given_ticks_and_lots_are_used_and_enforced() {
    let dir = tempfile::tempdir().expect("folder");
    let terms = dir.path().join("instruments.toml");
    std::fs::write(&terms, "[instruments.X]\ntick = \"0.50\"\nlot = \"0.010\"\n").expect("write");
    let text =
        format!("{HEADER}1,X,add,1,a,buy,10.500,1,limit,gtc\n2,X,add,2,b,sell,10,0.30,limit,gtc\n");
    let outcome = flow(dir.path(), &text, |args| args.instruments = Some(terms.clone()));
    outcome.result.expect("replayed");
    assert_eq!(outcome.trades.lines().nth(1), Some("2,X,1,2,sell,10.5,0.30"));
    assert_eq!(outcome.book.lines().nth(1), Some("2,X,buy,10.5,1,0.70"));

    let text = format!("{HEADER}1,X,add,1,a,buy,10.250,1,limit,gtc\n");
    let outcome = flow(dir.path(), &text, |args| args.instruments = Some(terms));
    let error = outcome.result.expect_err("no multiple of the tick");
    assert!(error.to_string().contains("line 2, column 17"), "{error}");
    assert!(error.to_string().contains("not a multiple of the tick 0.5"), "{error}");
}

#[test]
fn time_that_goes_back_is_held_and_counted() {
    let dir = tempfile::tempdir().expect("folder");
    let text = format!(
        "{HEADER}9,X,add,1,a,buy,10,1,limit,gtc\n5,X,add,2,a,buy,10,1,limit,gtc\n\
         7,X,cancel,1,,,,,,\n9,X,cancel,2,,,,,,\n"
    );
    let outcome = flow(dir.path(), &text, |_| {});
    outcome.result.expect("replayed");
    assert_eq!(outcome.document["comparison"]["time_went_back"], 2);
    assert_eq!(outcome.document["comparison"]["resting_orders"], 0);
}

#[test]
fn arguments_that_do_not_go_together_are_refused_as_usage() {
    let dir = tempfile::tempdir().expect("folder");
    let args = || flow_file(dir.path(), HEADER);
    let (same, none) = (dir.path().join("flow.csv"), None);
    for (args, part) in [
        (ReplayArgs { mode: Some(evenkeel::replay::Mode::Book), ..args() }, "--mode"),
        (ReplayArgs { differences_out: Some(dir.path().join("d")), ..args() }, "--differences-out"),
        (ReplayArgs { trades_out: Some(same), ..args() }, "named twice"),
        (ReplayArgs { threads: Some(0), rejects: none, ..args() }, "count from 1"),
        (ReplayArgs { restore_at: Some(5), ..args() }, "only 0 rows"),
    ] {
        let (_, result) = replay(&args);
        let error = result.expect_err(part);
        assert!(error.to_string().contains(part), "{error}");
        assert_eq!(error.exit_code(), 2);
    }
}

#[test]
fn a_missing_file_and_an_unwritable_result_say_which_and_why() {
    let dir = tempfile::tempdir().expect("folder");
    let missing = ReplayArgs::new(dir.path().join("nowhere.csv"), Format::OrderflowCsv);
    let error = replay(&missing).1.expect_err("missing");
    assert!(error.to_string().contains("nowhere.csv"), "{error}");
    let mut args = flow_file(dir.path(), HEADER);
    args.trades_out = Some(dir.path().join("no-folder/trades.csv"));
    let error = replay(&args).1.expect_err("unwritable");
    assert!(matches!(error, ReplayError::Output { .. }), "{error}");
}
