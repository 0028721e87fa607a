//! `evenkeel keys …` as people and scripts use it: files, exit codes, and what is never printed.
#![allow(clippy::unwrap_used, reason = "what only tests call is a test as well")]

mod cli_support;

use std::os::unix::fs::PermissionsExt;

use cli_support::{Bench, Said};
use serde_json::Value;

const SECRET: &str = "0123456789abcdeffedcba9876543210";

/// A folder with cards of `policy` in `cards`, and the words of all of them in order.
fn split(policy: &str, threshold: u8) -> (Bench, Vec<String>) {
    let bench = Bench::new();
    bench.write("secret", SECRET);
    bench.write("passphrase", "TREZOR\n");
    let said = bench.run(&format!(
        "keys slip39 split --groups {policy} --group-threshold {threshold} --secret-file secret \
         --passphrase-file passphrase --iteration-exponent 0 --out cards"
    ));
    assert_eq!(said.exit, 0, "{}", said.err);
    assert!(!said.out.contains(SECRET) && !said.err.contains(SECRET));
    let mut files: Vec<_> = std::fs::read_dir(bench.path("cards"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|file| file.extension().is_some_and(|ending| ending == "txt"))
        .collect();
    files.sort();
    let words = files.iter().map(|file| {
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        let text = std::fs::read_to_string(file).unwrap();
        text.lines().find(|line| !line.starts_with('#')).unwrap().to_owned()
    });
    let words: Vec<String> = words.collect();
    for card in &words {
        assert!(!said.out.contains(card) && !said.err.contains(card), "a card was printed");
    }
    (bench, words)
}

fn recover(bench: &Bench, lines: &[&str], more: &str) -> Said {
    bench.write("words.txt", &lines.join("\n"));
    bench
        .run(&format!("keys slip39 recover --shares words.txt --passphrase-file passphrase {more}"))
}

fn strings(words: &[String], which: &[usize]) -> Vec<String> {
    which.iter().map(|at| words[*at].clone()).collect()
}

fn some<'a>(words: &'a [String], which: &[usize]) -> Vec<&'a str> {
    which.iter().map(|at| words[*at].as_str()).collect()
}

#[test]
fn cards_come_back_and_the_secret_shows_only_when_it_is_asked_for() {
    let (bench, words) = split("2of3,3of5", 2);
    assert_eq!(words.len(), 8);
    let cards = some(&words, &[2, 4, 0, 7, 5]);
    let quiet = recover(&bench, &cards, "--json");
    assert_eq!(quiet.exit, 0, "{}", quiet.err);
    assert!(!quiet.out.contains(SECRET) && !quiet.err.contains(SECRET));
    assert!(quiet.err.contains("UNVERIFIED"), "{}", quiet.err);
    let document: Value = serde_json::from_str(&quiet.out).unwrap();
    assert_eq!(document["message_type"], "slip39_recovery");
    assert_eq!(document["secret_hex"], Value::Null);
    assert_eq!(document["verified"], false);
    assert_eq!(document["groups"][1]["members"], serde_json::json!([2, 5, 3]));

    let shown = recover(&bench, &cards, "--json --reveal");
    let document: Value = serde_json::from_str(&shown.out).unwrap();
    assert_eq!(document["secret_hex"], SECRET);
    assert!(!shown.err.contains(SECRET));
    let plain = recover(&bench, &cards, "--reveal");
    assert_eq!(plain.out.trim(), SECRET);
    let people = recover(&bench, &cards, "");
    assert!(people.out.contains("128 bits") && !people.out.contains(SECRET), "{}", people.out);
}

#[test]
fn empty_lines_and_comments_do_not_count_and_lines_are_named_as_they_are() {
    let (bench, words) = split("2of3", 1);
    let lines = ["# the safe", "", &words[0], "   ", &words[2]];
    assert_eq!(recover(&bench, &lines, "").exit, 0);
    let broken = words[2].rsplit_once(' ').unwrap().0;
    let said = recover(&bench, &["# the safe", "", &words[0], broken], "");
    assert_eq!(said.exit, 20);
    assert!(said.err.contains("line 4: 19 words"), "{}", said.err);
}

#[test]
fn a_mistyped_word_is_pointed_at_with_what_looks_like_it_and_exit_2() {
    let (bench, words) = split("2of3", 1);
    let mut typed: Vec<&str> = words[0].split(' ').collect();
    typed[6] = "acadmic";
    let said = recover(&bench, &[&typed.join(" "), &words[1]], "");
    assert_eq!(said.exit, 2, "{}", said.err);
    assert!(said.err.contains("line 1: word 7 is not in the list"), "{}", said.err);
    assert!(said.err.contains("academic"), "{}", said.err);
    assert_eq!(said.out, "");
}

#[test]
fn a_wrong_word_of_the_list_is_pointed_at_with_exit_20_and_not_corrected() {
    let (bench, words) = split("2of3", 1);
    let mut typed: Vec<&str> = words[0].split(' ').collect();
    typed[9] = if typed[9] == "zero" { "acid" } else { "zero" };
    let said = recover(&bench, &[&typed.join(" "), &words[1]], "");
    assert_eq!(said.exit, 20, "{}", said.err);
    assert!(said.err.contains("it is word 10"), "{}", said.err);
    let right: Vec<&str> = words[0].split(' ').collect();
    assert!(!said.err.contains(right[9]), "{}", said.err);
}

#[test]
fn too_few_cards_say_which_are_missing_with_exit_22() {
    let (bench, words) = split("2of3,3of5", 2);
    let said = recover(&bench, &some(&words, &[0, 1, 3, 4]), "");
    assert_eq!(said.exit, 22, "{}", said.err);
    assert!(said.err.contains("group 2 needs 1 more (2 of 3)"), "{}", said.err);
    assert!(said.err.contains("group 1 is complete (2 of 2)"), "{}", said.err);
}

#[test]
fn cards_of_two_splits_are_told_apart_with_exit_20() {
    let (bench, words) = split("2of3", 1);
    let (_other, others) = split("2of3", 1);
    let said = recover(&bench, &[&words[0], &others[1]], "");
    assert_eq!(said.exit, 20, "{}", said.err);
    assert!(said.err.contains("2 different sets"), "{}", said.err);
    assert!(said.err.contains("card 2 is line 2: group 1 member 2"), "{}", said.err);
}

#[test]
fn a_card_forged_with_a_good_checksum_is_named_among_spares_with_exit_20() {
    let (bench, words) = split("2of3,3of5", 2);
    let mut all: Vec<String> = strings(&words, &[0, 1, 2, 3, 4, 5, 6, 7]);
    all[5] = forge(&words[5]);
    let lines: Vec<&str> = all.iter().map(String::as_str).collect();
    let said = recover(&bench, &lines, "--reveal");
    assert_eq!(said.exit, 20, "{}", said.err);
    assert!(said.err.contains("card 6 is line 6: group 2 member 3"), "{}", said.err);
    assert_eq!(said.out, "");
}

/// The same header and checksum rules, another value.
fn forge(card: &str) -> String {
    use evenkeel_custody::slip39::Share;
    let real = Share::parse(card).unwrap();
    let (_bench, others) = split("2of3", 1);
    let mut forged = Share::parse(&others[0]).unwrap();
    forged.set = real.set;
    forged.group_index = real.group_index;
    forged.member_index = real.member_index;
    forged.member_threshold = real.member_threshold;
    forged.mnemonic().to_string()
}

#[test]
fn one_of_many_is_refused_at_the_split_with_the_reason() {
    let bench = Bench::new();
    let said = bench.run(
        "keys slip39 split --groups 1of3,2of3 --group-threshold 2 --generate 128 \
        --out cards",
    );
    assert_eq!(said.exit, 2, "{}", said.err);
    assert!(said.err.contains("no digest"), "{}", said.err);
    assert!(!bench.path("cards").exists(), "nothing is made for a policy that is refused");
}

#[test]
fn cards_are_never_laid_among_other_files() {
    let (bench, _) = split("2of3", 1);
    let said = bench.run("keys slip39 split --groups 2of3 --generate 256 --out cards");
    assert_eq!(said.exit, 2);
    assert!(said.err.contains("not empty"), "{}", said.err);
}

#[test]
fn with_reveal_the_words_are_on_stdout_and_what_is_printed_can_be_recovered_from() {
    let bench = Bench::new();
    bench.write("passphrase", "");
    let said = bench.run(
        "keys slip39 split --groups 2of3 --generate 256 --iteration-exponent 0 --not-extendable \
         --reveal",
    );
    assert_eq!(said.exit, 0, "{}", said.err);
    let back = recover(&bench, &said.out.lines().collect::<Vec<_>>(), "--json");
    let document: Value = serde_json::from_str(&back.out).unwrap();
    assert_eq!(document["extra_shares_checked"], 1);
    assert_eq!(document["extendable"], false);
    assert_eq!(document["secret_bits"], 256);
    let nowhere = bench.run("keys slip39 split --groups 2of3 --generate 256");
    assert_eq!(nowhere.exit, 2, "neither a folder nor --reveal: {}", nowhere.err);
}

#[test]
fn a_secret_that_is_no_hexadecimal_is_refused_without_being_shown() {
    let bench = Bench::new();
    bench.write("secret", "correct horse battery staple");
    let said = bench.run("keys slip39 split --groups 2of3 --secret-file secret --out cards");
    assert_eq!(said.exit, 2);
    assert!(!said.err.contains("horse"), "{}", said.err);
}
