//! The recorded files themselves, where `EVENKEEL_DATA` names their folder.

mod replay_support;

use evenkeel::replay::{Format, Mode, ReplayArgs};
use replay_support::{recorded, replay, replayed, roots};

const BITSTAMP: &str = "bitstamp_l3_2015-05-01.log.xz";
const DERIBIT: &str = "deribit_ws_options_2021-07-22.txt.xz";

#[test]
fn bitstamps_book_equals_its_snapshots_except_for_what_is_explained() {
    let Some(path) = recorded(BITSTAMP) else {
        return;
    };
    let document = replayed(&ReplayArgs::new(path, Format::BitstampL3));
    let found = &document["comparison"];
    for (name, expected) in [
        ("snapshots", 5_011),
        ("snapshots_equal", 1_796),
        ("snapshots_older_only", 3_162),
        ("snapshots_unexplained", 53),
        ("crossed", 0),
        ("ignored_after_deletion", 6),
        ("deleted_unseen", 184),
        ("deleted_again", 21),
        ("changed_unseen", 3),
        ("engine_books_equal", 5_011),
        ("engine_refused", 0),
        ("recorded_trades", 575),
    ] {
        assert_eq!(found[name], expected, "{name}");
    }
    let classes = &found["level_differences"];
    assert_eq!(classes["unexplained"], 0, "each of the 53 is one event out of step");
    assert_eq!(classes["unexplained_snapshot_behind"], 48);
    assert_eq!(classes["unexplained_snapshot_ahead"], 5);
    assert_eq!(found["unexplained"].as_array().map(Vec::len), Some(53), "and listed");
}

#[test]
fn our_matching_gives_bitstamps_trades_except_for_what_is_explained() {
    let Some(path) = recorded(BITSTAMP) else {
        return;
    };
    let args = ReplayArgs::new(path, Format::BitstampL3);
    let document = replayed(&ReplayArgs { mode: Some(Mode::Match), ..args });
    let found = &document["comparison"];
    for (name, expected) in [
        ("recorded_trades", 575),
        ("our_trades", 554),
        ("trades_equal", 525),
        ("trades_equal_as_told", 2),
        ("orders", 24_889),
        ("orders_refused", 0),
    ] {
        assert_eq!(found[name], expected, "{name}");
    }
    assert_eq!(found["unexplained"].as_array().map(Vec::len), Some(2));
}

#[test]
fn deribits_chains_are_whole() {
    let Some(path) = recorded(DERIBIT) else {
        return;
    };
    let document = replayed(&ReplayArgs::new(path, Format::DeribitWs));
    let found = &document["comparison"];
    for (name, expected) in [
        ("instruments", 10),
        ("book_messages", 46),
        ("snapshots", 10),
        ("changes", 36),
        ("gaps", 0),
        ("crossed", 0),
        ("level_misfits", 0),
        ("engine_books_equal", 46),
        ("engine_refused", 0),
        ("tickers", 79),
        ("tickers_unchecked", 10),
    ] {
        assert_eq!(found[name], expected, "{name}");
    }
    assert_eq!(found["ticker_differences"].as_array().map(Vec::len), Some(0));
}

#[test]
fn each_book_message_taken_out_of_deribits_feed_is_named_unless_it_is_the_last() {
    let Some(path) = recorded(DERIBIT) else {
        return;
    };
    let mut text = String::new();
    let mut decoder = liblzma::read::XzDecoder::new(std::fs::File::open(path).expect("open"));
    std::io::Read::read_to_string(&mut decoder, &mut text).expect("read");
    let lines: Vec<_> = text.lines().collect();
    let instrument = |line: &str| {
        let (_, rest) = line.split_once("\"channel\":\"book.")?;
        rest.split_once(".raw").map(|(name, _)| name.to_owned())
    };
    let dir = tempfile::tempdir().expect("folder");
    let file = dir.path().join("feed.txt");
    let mut named = 0;
    for (index, line) in lines.iter().enumerate() {
        let Some(name) = instrument(line) else {
            continue;
        };
        let is_last =
            lines[index + 1..].iter().all(|later| instrument(later).as_ref() != Some(&name));
        let mut kept = lines.clone();
        kept.remove(index);
        std::fs::write(&file, kept.join("\n")).expect("write");
        let args = ReplayArgs::new(file.clone(), Format::DeribitWs);
        let (document, result) = replay(&args);
        let gaps = document["comparison"]["gap_list"].as_array().expect("gaps").clone();
        assert_eq!(result.is_err(), !is_last, "line {}", index + 1);
        assert_eq!(gaps.len(), usize::from(!is_last), "line {}", index + 1);
        if let Some(gap) = gaps.first() {
            assert_eq!(gap["instrument"], name.as_str());
            named += 1;
        }
    }
    assert!(named >= 36, "only {named} gaps were named");
}

#[test]
fn recorded_files_give_the_same_roots_with_any_threads_and_a_restore() {
    for (name, format, mode, at) in [
        (BITSTAMP, Format::BitstampL3, Some(Mode::Book), 20_000),
        (BITSTAMP, Format::BitstampL3, Some(Mode::Match), 20_000),
        (DERIBIT, Format::DeribitWs, None, 23),
    ] {
        let Some(path) = recorded(name) else { return };
        let args = ReplayArgs { mode, ..ReplayArgs::new(path, format) };
        let once = ReplayArgs { threads: Some(1), ..args.clone() };
        let restored = ReplayArgs { threads: Some(3), restore_at: Some(at), ..args };
        assert_eq!(roots(&replayed(&once)), roots(&replayed(&restored)), "{name}");
    }
}
