//! `evenkeel journal …` over journals on disk.

mod cli_support;

use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::sync::Arc;

use cli_support::{Bench, contents};
use evenkeel_journal::{Admission, Base, FileLog, Identity, Options, RealDisk};
use evenkeel_types::merkle::leaf_hash;

/// Entries of different lengths.
fn entry(position: u64) -> Vec<u8> {
    let length = usize::try_from(position % 300).expect("small") + 1;
    let mask = u8::try_from(position % 256).expect("small");
    (0..length).map(|at| u8::try_from(at % 251).expect("small") ^ mask).collect()
}

/// A journal of `batches` batches of 16 entries in the folder `j`, still open.
fn journal(bench: &Bench, batches: u64) -> FileLog {
    let options = Options { segment_bytes: 1 << 20, reserve_bytes: 1 << 20, ..Options::default() };
    let identity = Identity { cluster_id: [1; 16], lineage: [2; 16] };
    let disk = Arc::new(RealDisk);
    let mut log = FileLog::create(disk, &bench.path("j"), identity, Base::genesis(), options)
        .expect("a new journal");
    log.begin_term(1).expect("the first term");
    log.confirm_end(&[]).expect("nobody to ask");
    for batch in 0..batches {
        let entries: Vec<Vec<u8>> = (batch * 16..(batch + 1) * 16).map(entry).collect();
        let entries: Vec<&[u8]> = entries.iter().map(Vec::as_slice).collect();
        log.append(&entries, Admission::Normal).expect("an append");
    }
    log
}

fn lines(positions: std::ops::Range<u64>) -> String {
    positions
        .map(|position| {
            let hash = leaf_hash(&entry(position));
            let hash: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
            format!("{position} {hash}\n")
        })
        .collect()
}

#[test]
fn hashes_prints_position_and_leaf_hash_of_every_entry_beside_a_writer() {
    let bench = Bench::new();
    let log = journal(&bench, 20);
    let said = bench.run("journal hashes --dir j");
    assert_eq!(said.exit, 0, "{}", said.err);
    assert_eq!(said.out, lines(0..320));
    drop(log);
    assert_eq!(bench.run("journal hashes --dir j").out, lines(0..320));
}

#[test]
fn hashes_of_a_range_are_exactly_that_range() {
    let bench = Bench::new();
    journal(&bench, 4).close().unwrap();
    for (words, range) in [
        ("--from 10 --to 20", 10..21),
        ("--from 63", 63..64),
        ("--to 0", 0..1),
        ("--from 16 --to 16", 16..17),
    ] {
        let said = bench.run(&format!("journal hashes --dir j {words}"));
        assert_eq!((said.exit, said.out), (0, lines(range)), "{words}");
    }
    let beyond = bench.run("journal hashes --dir j --from 64");
    assert_eq!((beyond.exit, beyond.out.as_str()), (0, ""));
    assert!(beyond.err.contains("up to position 64"), "{}", beyond.err);
}

#[test]
fn hashes_of_a_damaged_journal_stop_before_the_damage_and_exit_20() {
    let bench = Bench::new();
    journal(&bench, 20).close().unwrap();
    let (segment, mut content) = contents(&bench.path("j"))
        .into_iter()
        .find(|(path, _)| path.file_name().is_some_and(|name| name == "0000000000000000.seg"))
        .unwrap();
    let used = content.iter().rposition(|byte| *byte != 0).unwrap();
    content[used / 2] ^= 4;
    std::fs::write(segment, content).unwrap();
    let said = bench.run("journal hashes --dir j");
    assert_eq!(said.exit, 20, "{}", said.err);
    assert!(lines(0..320).starts_with(&said.out) && said.out.len() > 65, "{}", said.out);
    for words in ["0000000000000000.seg", "safe", "evenkeel repair"] {
        assert!(said.err.contains(words), "{words}\n{}", said.err);
    }
    let verify = bench.run("journal verify --dir j --json");
    assert_eq!(verify.exit, 20);
    let document = verify.json();
    assert_eq!(document["message_type"], "journal_verify");
    assert_eq!(document["result"], "failed");
    assert_eq!(document["problems"][0]["file"], "0000000000000000.seg");
    assert_eq!(bench.run("journal inspect --dir j").exit, 20);
}

#[test]
fn inspect_and_verify_agree_on_an_intact_journal() {
    let bench = Bench::new();
    journal(&bench, 3).close().unwrap();
    let before = contents(&bench.path("j"));
    let inspect = bench.run("journal inspect --dir j --json").json();
    assert_eq!(inspect["message_type"], "journal_inspect");
    assert_eq!(inspect["entries"], 48);
    assert_eq!((&inspect["first"], &inspect["next"]), (&0.into(), &48.into()));
    assert_eq!(inspect["intact"], true);
    assert_eq!(inspect["lineage"], "02".repeat(16));
    assert_eq!(inspect["segments"][0]["frames"], 3);
    let verify = bench.run("journal verify --dir j --json").json();
    assert_eq!(verify["result"], "ok");
    assert_eq!(verify["root"], inspect["root"]);
    assert_eq!(verify["problems"], serde_json::json!([]));
    assert_eq!(contents(&bench.path("j")), before, "reading changes nothing");
}

#[test]
fn a_reader_that_takes_one_line_ends_hashes_quietly() {
    let bench = Bench::new();
    journal(&bench, 400).close().unwrap();
    let mut child = bench
        .command("journal hashes --dir j")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap();
    assert_eq!(first, lines(0..1));
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
}
