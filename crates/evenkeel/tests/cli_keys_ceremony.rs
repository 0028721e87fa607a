//! A key is made and dealt in front of witnesses; its cards bring it back one by one; a holder
//! leaves.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod cli_support;

use std::io::Write as _;
use std::process::Stdio;

use cli_support::{Bench, Said, contents};
use serde_json::Value;

const HOLDERS: &str = "1.1 Ada @ bank\n1.2 Bob @ home\n1.3 Eve @ office\n\
                       2.1 Fay @ vault\n2.2 Gil @ notary\n2.3 Hal @ cabin\n";
const CARDS: [&str; 6] = ["1.1", "1.2", "1.3", "2.1", "2.2", "2.3"];

fn begun() -> Bench {
    let bench = Bench::new();
    bench.write("holders", HOLDERS);
    bench.write("passphrase", "correct horse\n");
    bench.write("wrong", "correct hors\n");
    let said = bench.run(
        "keys ceremony begin --dir room --title desk --groups 2of3,2of3 --group-threshold 2 \
         --holders holders --operator Ada --witness Bo --witness Cy --bits 128 \
         --iteration-exponent 0 --json",
    );
    assert_eq!(said.exit, 0, "{}", said.err);
    assert_eq!(said.json()["due"], "machine");
    bench
}

fn next(bench: &Bench, more: &str) -> Said {
    bench.run(&format!("keys ceremony next --dir room --json {more}"))
}

fn goes(bench: &Bench, more: &str, due: &str) {
    let said = next(bench, more);
    assert_eq!(said.exit, 0, "{more}: {}", said.err);
    assert_eq!(said.json()["due"], due, "{more}");
}

fn words(bench: &Bench) -> Vec<String> {
    let mut files: Vec<_> = contents(&bench.path("room/secret/cards"));
    files.sort();
    let line = |text: &[u8]| {
        let text = String::from_utf8(text.to_vec()).unwrap();
        text.lines().find(|line| !line.starts_with('#')).unwrap().to_owned()
    };
    files.iter().map(|(_, content)| line(content)).collect()
}

/// As far as the cards lie on their sheets; their words.
fn dealt() -> (Bench, Vec<String>) {
    let bench = begun();
    goes(&bench, "--accept rehearsal", "present");
    goes(&bench, "--present Ada --present Bo --present Cy", "dealt");
    goes(&bench, "--passphrase-file passphrase", "copied");
    goes(&bench, "--copied", "read_back");
    let words = words(&bench);
    assert_eq!(words.len(), CARDS.len());
    (bench, words)
}

fn entries(bench: &Bench) -> Vec<Value> {
    let text = bench.read("room/transcript.jsonl");
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_key_is_dealt_read_back_proven_handed_out_and_wiped_and_the_transcript_shows_it() {
    let (bench, words) = dealt();
    // One sheet at a time, in several sittings.
    for (at, line) in words.iter().enumerate() {
        bench.write("typed", line);
        let said = next(&bench, "--words typed");
        let last = at + 1 == words.len();
        assert_eq!(said.exit, if last { 0 } else { 3 }, "{}", said.err);
    }
    let said = next(&bench, "--passphrase-file wrong");
    assert_eq!(said.exit, 12, "{}", said.err);
    goes(&bench, "--passphrase-file passphrase", "handed");
    let said = next(&bench, "");
    assert_eq!(said.exit, 3, "nothing is finished before every card was handed out");
    assert!(bench.path("room/secret").exists());
    let handed: Vec<String> =
        CARDS.iter().map(|card| format!("--handed {card}=S-{card}")).collect();
    goes(&bench, &handed.join(" "), "finished");
    let said = next(&bench, "");
    assert_eq!((said.exit, &said.json()["finished"]), (0, &Value::Bool(true)), "{}", said.err);

    assert!(!bench.path("room/secret").exists(), "what was secret is wiped");
    for (file, content) in contents(&bench.path("room")) {
        let text = String::from_utf8_lossy(&content).into_owned();
        for line in &words {
            let value: Vec<&str> = line.split(' ').skip(4).collect();
            assert!(!text.contains(&value.join(" ")), "{}", file.display());
        }
    }
    let steps: Vec<String> =
        entries(&bench).iter().map(|entry| entry["step"].as_str().unwrap().to_owned()).collect();
    assert!(steps.contains(&"refused".to_owned()), "the wrong passphrase stays in it");
    let proven = entries(&bench).into_iter().find(|entry| entry["step"] == "proven").unwrap();
    assert_eq!(proven["facts"]["cards"], "6");
    let verify = "keys ceremony verify --transcript room/transcript.jsonl --fingerprint \
                  room/fingerprint.json";
    assert_eq!(bench.run(verify).exit, 0);
    bring_back(&bench, &words);
}

fn bring_back(bench: &Bench, words: &[String]) {
    bench.write(
        "cards",
        &[&words[0], &words[2], &words[3], &words[5]].map(String::as_str).join("\n"),
    );
    let said = bench.run(
        "keys recover --shares cards --fingerprint room/fingerprint.json --passphrase-file \
         passphrase --out secret --json",
    );
    assert_eq!(said.exit, 0, "{}", said.err);
    assert_eq!(said.json()["verified"], true);
    assert_eq!(bench.read("secret").trim().len(), 32);
}

#[test]
fn a_recovery_leaves_signed_evidence_without_a_secret() {
    let (bench, words) = dealt();
    let said = bench.run("init --home h --dashboard off");
    assert_eq!(said.exit, 0, "{}", said.err);
    let key = contents(&bench.path("h"));
    let key = key.iter().find(|(path, _)| path.ends_with("report.key")).unwrap();
    bench.write(
        "cards",
        &[&words[1], &words[2], &words[3], &words[4]].map(String::as_str).join("\n"),
    );
    let said = bench.run(&format!(
        "keys recover --shares cards --fingerprint room/fingerprint.json --passphrase-file \
         passphrase --evidence evidence --report-key {}",
        key.0.display()
    ));
    assert_eq!(said.exit, 0, "{}", said.err);
    let text = bench.read("evidence");
    let document: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(document["cards"][0], "1.2 of Bob at home");
    for line in &words {
        let value: Vec<&str> = line.split(' ').skip(4).collect();
        assert!(!text.contains(&value.join(" ")));
    }
    let signer = document["signer_hex"].as_str().unwrap();
    let check = |more: &str| bench.run(&format!("keys evidence --evidence evidence {more}")).exit;
    assert_eq!((check(&format!("--key {signer}")), check("")), (0, 3));
    assert_eq!(check(&format!("--key {}", "0".repeat(64))), 12);
    bench.write("evidence", &text.replace("1.2 of Bob", "1.2 of Eve"));
    assert_eq!(check(&format!("--key {signer}")), 20);
}

#[test]
fn a_transcript_that_was_changed_cut_or_mixed_is_refused_with_exit_20() {
    let (bench, _) = dealt();
    let whole = bench.read("room/transcript.jsonl");
    let verify = |text: &str| {
        bench.write("copy", text);
        bench.run("keys ceremony verify --transcript copy")
    };
    assert_eq!(verify(&whole).exit, 3, "whole, and not finished");
    for (from, to) in [("rehearsal", "emergency"), ("\"bits\":\"128\"", "\"bits\":\"256\"")] {
        let said = verify(&whole.replace(from, to));
        assert_eq!(said.exit, 20, "{}", said.err);
        assert!(said.err.contains("signature does not hold"), "{}", said.err);
    }
    let lines: Vec<&str> = whole.lines().collect();
    let without_one = [&lines[..1], &lines[2..]].concat().join("\n");
    assert_eq!(verify(&without_one).exit, 20);
    let other = begun();
    let mixed = format!("{}\n{}", lines[0], other.read("room/transcript.jsonl"));
    assert_eq!(verify(&mixed).exit, 20);
    assert_eq!(verify("").exit, 10);
    bench.write("record", "{}");
    let said =
        bench.run("keys ceremony verify --transcript room/transcript.jsonl --fingerprint record");
    assert_eq!(said.exit, 20, "{}", said.err);
}

#[test]
fn a_sheet_that_was_miscopied_or_of_another_split_stops_the_ceremony_until_it_is_right() {
    let (bench, words) = dealt();
    let mut miscopied: Vec<&str> = words[1].split(' ').collect();
    // Two that differ: the same word may stand twice.
    let other = miscopied.iter().position(|word| *word != miscopied[7]).unwrap();
    miscopied.swap(7, other);
    bench.write("typed", &miscopied.join(" "));
    let said = next(&bench, "--words typed");
    assert!([2, 20].contains(&said.exit), "{}", said.err);
    let (_, others) = dealt();
    bench.write("typed", &others[1]);
    let said = next(&bench, "--words typed");
    assert_eq!(said.exit, 20, "{}", said.err);
    assert!(said.err.contains("card 1.2 was not read back as it was dealt"), "{}", said.err);
    bench.write("typed", &words.join("\n"));
    goes(&bench, "--words typed", "proven");
}

#[test]
fn what_a_ceremony_asks_of_people_comes_first() {
    let bench = begun();
    let said = next(&bench, "");
    assert_eq!(said.exit, 3, "{}", said.err);
    assert!(said.err.contains("/dev/shm"), "a folder on disk is told of: {}", said.err);
    goes(&bench, "--accept rehearsal", "present");
    assert_eq!(next(&bench, "--present Ada --present Bo").exit, 3, "Cy is missing");
    let said = next(&bench, "--present Ada --present Bo --present Cy --present Mallory");
    assert_eq!(said.exit, 2, "{}", said.err);
    assert_eq!(bench.run("keys ceremony status --dir room").exit, 3);
    assert_eq!(bench.run("keys ceremony status --dir elsewhere").exit, 1);
    bench.write("few", "1.1 Ada @ bank\n");
    let begin = "keys ceremony begin --dir other --title t --groups 2of3 --operator Ada";
    let said = bench.run(&format!("{begin} --witness Bo --holders few"));
    assert_eq!(said.exit, 2, "{}", said.err);
    assert!(said.err.contains("no holder for card 1.2, 1.3"), "{}", said.err);
    let said = bench.run(&format!("{begin} --witness Ada --holders holders"));
    assert_eq!(said.exit, 2, "{}", said.err);
}

#[test]
fn a_dealing_that_was_interrupted_is_dealt_anew_and_its_cards_are_worth_nothing() {
    let bench = begun();
    goes(&bench, "--accept rehearsal", "present");
    goes(&bench, "--present Ada --present Bo --present Cy", "dealt");
    let before = bench.read("room/transcript.jsonl");
    goes(&bench, "--passphrase-file passphrase", "copied");
    let first = words(&bench);
    // As after a crash between the dealing and its line in the transcript.
    std::fs::write(bench.path("room/transcript.jsonl"), before).unwrap();
    goes(&bench, "--passphrase-file passphrase", "copied");
    let second = words(&bench);
    assert!(first.iter().all(|card| !second.contains(card)));
}

#[test]
fn a_line_that_a_crash_tore_is_taken_away_and_its_step_is_due_again() {
    let (bench, _) = dealt();
    let whole = bench.read("room/transcript.jsonl");
    let begun = whole.lines().next().unwrap().len();
    let last = whole.trim_end().rfind('\n').unwrap() + 1;
    for cut in [last + 1, whole.len() - 20, whole.len() - 1] {
        std::fs::write(bench.path("room/transcript.jsonl"), &whole[..cut]).unwrap();
        let said = bench.run("keys ceremony verify --transcript room/transcript.jsonl");
        assert!([3, 20].contains(&said.exit), "verifying mends nothing: {}", said.err);
        let said = bench.run("keys ceremony status --dir room --json");
        assert_eq!(said.json()["due"], "copied", "{}", said.err);
        assert!(said.err.contains("torn by an interruption"), "{}", said.err);
        assert_eq!(bench.read("room/transcript.jsonl"), whole[..last]);
    }
    goes(&bench, "--copied", "read_back");
    std::fs::write(bench.path("room/transcript.jsonl"), &whole[..begun - 9]).unwrap();
    let said = next(&bench, "");
    assert_eq!(said.exit, 10, "{}", said.err);
    assert!(bench.path("room/secret/cards").exists(), "nothing is wiped for a torn first line");
}

#[test]
fn nothing_is_dealt_before_somebody_said_whether_there_is_a_passphrase() {
    let bench = begun();
    goes(&bench, "--accept rehearsal", "present");
    goes(&bench, "--present Ada --present Bo --present Cy", "dealt");
    let said = next(&bench, "");
    assert_eq!((said.exit, &said.json()["due"]), (3, &Value::from("dealt")), "{}", said.err);
    bench.write("empty", "\n");
    assert_eq!(next(&bench, "--passphrase-file empty").exit, 2);
    assert_eq!(next(&bench, "--passphrase-file passphrase --no-passphrase").exit, 2);
    assert!(!bench.path("room/secret/cards").exists());
    goes(&bench, "--no-passphrase", "copied");
    goes(&bench, "--copied", "read_back");
    bench.write("typed", &words(&bench).join("\n"));
    goes(&bench, "--words typed", "proven");
    goes(&bench, "", "handed");
}

/// Types lines to `keys recover`.
fn typed(bench: &Bench, more: &str, lines: &[&str]) -> Said {
    let mut child = bench
        .command(&format!("keys recover {more}"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(lines.join("\n").as_bytes()).unwrap();
    Said::of(&child.wait_with_output().unwrap())
}

#[test]
fn whoever_types_cards_hears_at_once_what_each_is_and_who_is_still_missing() {
    let (bench, words) = dealt();
    let (_, others) = dealt();
    let record = "--fingerprint room/fingerprint.json --passphrase-file passphrase";
    let mistyped = words[0].replacen(' ', " zzzz", 1);
    let said =
        typed(&bench, record, &[&words[0], &mistyped, &words[0], &others[1], &words[3], &words[4]]);
    assert_eq!(said.exit, 20, "a card of another split is suspicious: {}", said.err);
    for part in [
        "of Ada at bank",
        "group 1: 1 more of member 2, Bob at home; member 3, Eve at office",
        "word 2 is not in the list",
        "type this card again",
        "this card was typed already",
        "put it aside",
        "1 of 2 groups are complete",
    ] {
        assert!(said.err.contains(part), "{part}: {}", said.err);
    }
    assert_eq!(said.out, "");
    let few = typed(&bench, record, &[&words[0], &words[3]]);
    assert_eq!(few.exit, 22, "{}", few.err);
    assert!(few.err.contains("member 2, Gil at notary"), "{}", few.err);
    let enough = [&words[0], &words[1], &words[3], &words[4]].map(String::as_str);
    let said = typed(&bench, &format!("{record} --json"), &enough);
    assert_eq!(said.exit, 0, "{}", said.err);
    assert_eq!(said.json()["secret_hex"], Value::Null);
    let wrong = "--fingerprint room/fingerprint.json --passphrase-file wrong --reveal";
    let said = typed(&bench, wrong, &enough);
    assert_eq!((said.exit, said.out.as_str()), (12, ""), "{}", said.err);
}

#[test]
fn a_forged_card_with_a_good_checksum_is_named_as_it_is_typed() {
    let (bench, words) = dealt();
    // The words of another secret under the numbers of this set: another ceremony's record is
    // asked about this ceremony's cards.
    let (other, _) = dealt();
    let record = std::fs::read_to_string(other.path("room/fingerprint.json")).unwrap();
    let own: Value = serde_json::from_str(&bench.read("room/fingerprint.json")).unwrap();
    let mut mixed: Value = serde_json::from_str(&record).unwrap();
    mixed["set"]["set"] = own["set"]["set"].clone();
    bench.write("mixed.json", &mixed.to_string());
    let said = typed(&bench, "--fingerprint mixed.json", &[&words[2]]);
    assert_eq!(said.exit, 20, "{}", said.err);
    assert!(said.err.contains("of Eve at office: its words are not those that were dealt"));
}

#[test]
fn a_departure_says_which_old_quorums_stay_dangerous_and_what_to_do_in_which_order() {
    let (bench, _) = dealt();
    let depart = "keys depart --fingerprint room/fingerprint.json --json --holder";
    let said = bench.run(&format!("{depart} Eve"));
    assert_eq!(said.exit, 3, "{}", said.err);
    let document = said.json();
    assert_eq!(document["alone_a_quorum"], false);
    assert_eq!(document["rest_is_a_quorum"], true);
    let with = document["others_needed"].as_array().unwrap();
    assert_eq!(
        with.len(),
        6,
        "one of two of the own group and two of three of the other: {with:?}"
    );
    assert!(with.contains(&Value::from("Ada and Fay and Gil")), "{with:?}");
    assert!(document["next"][2].as_str().unwrap().contains("--generation 2"));
    let said = bench.run(&format!("{depart} Zoe"));
    assert_eq!(said.exit, 10, "{}", said.err);
    assert!(said.err.contains("Ada, Bob, Eve"), "{}", said.err);
}
