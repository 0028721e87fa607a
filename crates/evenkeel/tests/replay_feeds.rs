//! Recorded feeds, on small fixtures written for the purpose.

mod replay_support;

use evenkeel::replay::{Format, Mode, ReplayArgs, ReplayError};
use replay_support::{fixture, replay, replayed, roots};
use serde_json::{Value, json};
use std::path::Path;

fn bitstamp(mode: Mode) -> ReplayArgs {
    let args = ReplayArgs::new(fixture("bitstamp.log"), Format::BitstampL3);
    ReplayArgs { mode: Some(mode), ..args }
}

#[test]
fn the_book_as_told_is_compared_and_every_difference_is_classed() {
    let document = replayed(&bitstamp(Mode::Book));
    let found = &document["comparison"];
    for (name, expected) in [
        ("snapshots", 6),
        // The ask at 102 is older than the recording until it changes and is taken over.
        ("snapshots_older_only", 2),
        ("snapshots_equal", 3),
        ("snapshots_unexplained", 1),
        ("crossed", 0),
        ("older_levels", 1),
        ("ignored_after_deletion", 1),
        ("deleted_again", 1),
        ("deleted_unseen", 1),
        ("changed_unseen", 1),
        ("engine_books_equal", 6),
        ("engine_refused", 0),
        ("recorded_trades", 3),
    ] {
        assert_eq!(found[name], expected, "{name}");
    }
    let late = &found["unexplained"][0];
    let expected = json!({
        "line": 15, "time_ms": 1_500_000_004_050_u64, "side": "buy", "price": "99.5",
        "ours": "0.1", "theirs": "0", "class": "unexplained_snapshot_behind", "event_line": 14,
    });
    assert_eq!(*late, expected);
}

#[test]
fn our_matching_is_compared_with_the_recorded_trades() {
    let document = replayed(&bitstamp(Mode::Match));
    let found = &document["comparison"];
    for (name, expected) in [
        ("recorded_trades", 3),
        ("our_trades", 2),
        ("trades_equal", 2),
        ("orders", 5),
        ("cancels", 1),
        ("cancels_not_open", 0),
        // 99.00 and what the older order should have filled.
        ("left_open", 2),
    ] {
        assert_eq!(found[name], expected, "{name}");
    }
    assert_eq!(found["trade_differences"]["recorded_only"], json!({ "older_order": 1 }));
    assert_eq!(found["unexplained"], json!([]));
}

#[test]
fn differences_are_written_one_a_line() {
    let dir = tempfile::tempdir().expect("folder");
    let path = dir.path().join("differences.csv");
    for (mode, lines) in [(Mode::Book, 4), (Mode::Match, 2)] {
        replayed(&ReplayArgs { differences_out: Some(path.clone()), ..bitstamp(mode) });
        let written = std::fs::read_to_string(&path).expect("written");
        assert_eq!(written.lines().count(), lines, "{written}");
    }
}

#[test]
fn feeds_give_the_same_roots_with_a_restore_in_the_middle() {
    let deribit = ReplayArgs::new(fixture("deribit.txt"), Format::DeribitWs);
    for (args, at) in [(bitstamp(Mode::Book), 9), (bitstamp(Mode::Match), 3), (deribit, 4)] {
        let once = roots(&replayed(&args));
        let restored = replayed(&ReplayArgs { restore_at: Some(at), ..args.clone() });
        assert_eq!(roots(&restored), once, "{}", args.file.display());
        let beyond = ReplayArgs { restore_at: Some(1_000), ..args };
        let error = replay(&beyond).1.expect_err("beyond the end");
        assert_eq!(error.exit_code(), 2, "{error}");
    }
}

#[test]
fn a_whole_chain_has_no_gap_and_the_engine_has_the_same_books() {
    let document = replayed(&ReplayArgs::new(fixture("deribit.txt"), Format::DeribitWs));
    let found = &document["comparison"];
    for (name, expected) in [
        ("instruments", 2),
        ("book_messages", 6),
        ("snapshots", 2),
        ("changes", 4),
        ("gaps", 0),
        ("crossed", 0),
        ("level_misfits", 0),
        ("engine_books_equal", 6),
        ("engine_refused", 0),
        ("tickers", 2),
        ("tickers_equal", 1),
        // The ticker told of the deletion before the book did.
        ("ticker_levels_ahead", 1),
        ("recorded_trades", 1),
    ] {
        assert_eq!(found[name], expected, "{name}");
    }
}

/// The fixture without one of its lines.
fn without(dir: &Path, line: usize) -> (Value, Result<(), ReplayError>) {
    let text = std::fs::read_to_string(fixture("deribit.txt")).expect("fixture");
    let kept: Vec<_> = (1..).zip(text.lines()).filter(|(number, _)| *number != line).collect();
    let text: String = kept.into_iter().map(|(_, line)| format!("{line}\n")).collect();
    let path = dir.join("deribit.txt");
    std::fs::write(&path, text).expect("write");
    replay(&ReplayArgs::new(path, Format::DeribitWs))
}

#[test]
fn a_removed_change_is_named_as_a_gap_and_the_book_is_not_bridged() {
    let dir = tempfile::tempdir().expect("folder");
    let (document, result) = without(dir.path(), 7);
    let error = result.expect_err("a gap makes the result partial");
    assert_eq!(error.exit_code(), 3);
    let named = "gap: BTC-25DEC20-9000-C, line 8: prev_change_id 12, expected 10; book discarded";
    assert!(error.to_string().contains(named), "{error}");
    let found = &document["comparison"];
    let gap = json!({ "line": 8, "instrument": "BTC-25DEC20-9000-C", "expected": 10, "found": 12 });
    assert_eq!(found["gap_list"], json!([gap]));
    assert_eq!(found["discarded_changes"], 1, "behind the gap nothing is applied");
    assert_eq!(found["changes"], 1, "the other instrument goes on");
    assert_eq!(found["tickers_unchecked"], 0);
}

#[test]
fn a_removed_snapshot_is_named_as_a_gap() {
    let dir = tempfile::tempdir().expect("folder");
    let (document, result) = without(dir.path(), 4);
    let error = result.expect_err("a gap");
    assert!(error.to_string().contains("expected a snapshot"), "{error}");
    assert_eq!(document["comparison"]["gap_list"][0]["expected"], Value::Null);
    assert_eq!(document["comparison"]["tickers_unchecked"], 2);
}

#[test]
fn a_malformed_line_of_a_feed_is_named_or_set_aside() {
    let dir = tempfile::tempdir().expect("folder");
    for (name, format) in [("bitstamp.log", Format::BitstampL3), ("deribit.txt", Format::DeribitWs)]
    {
        let text = std::fs::read_to_string(fixture(name)).expect("fixture");
        let path = dir.path().join(name);
        let bad = [text.as_bytes(), b"\xff\xfe garbage\n{\n"].concat();
        std::fs::write(&path, bad).expect("write");
        let args = ReplayArgs::new(path, format);
        let error = replay(&args).1.expect_err("malformed");
        let line = text.lines().count() + 1;
        assert!(error.to_string().contains(&format!("line {line}, column 1: ")), "{error}");

        let rejects = dir.path().join("rejects.csv");
        let (document, result) = replay(&ReplayArgs { rejects: Some(rejects), ..args });
        assert_eq!(result.expect_err("partial").exit_code(), 3);
        assert_eq!(document["rejected_lines"], 2, "{name}");
        let clean = replayed(&ReplayArgs::new(fixture(name), format));
        assert_eq!(roots(&document), roots(&clean), "{name}");
    }
}

#[test]
fn without_json_the_same_figures_are_printed_for_people() {
    let args = ReplayArgs::new(fixture("deribit.txt"), Format::DeribitWs);
    let (mut out, mut progress) = (Vec::new(), Vec::new());
    evenkeel::replay::run(&args, &mut out, &mut progress).expect("replayed");
    let text = String::from_utf8(out).expect("text");
    let document = replayed(&args);
    for part in ["deribit-ws: 6 entries in ", "  gaps: 0\n", "  book messages: 6\n"] {
        assert!(text.contains(part), "{part:?} in {text}");
    }
    let root = document["state_root"].as_str().expect("root");
    assert!(text.contains(root), "{text}");
}
