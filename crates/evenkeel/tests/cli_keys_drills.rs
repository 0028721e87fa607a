//! `evenkeel keys …` beyond cards: sentences, fingerprints, drills.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod cli_support;

use cli_support::Bench;
use serde_json::Value;

const SENTENCE: &str = "abandon abandon abandon abandon abandon abandon abandon abandon abandon \
                        abandon abandon about";
const FIRST_ADDRESS: &str = "0x9858EfFD232B4033E47d90003D41EC34EcaEda94";

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// Cards of a 2of3 split with a passphrase, in `cards`, one file each: a, b and c.
fn split(more: &str) -> (Bench, Vec<String>) {
    let bench = Bench::new();
    bench.write("secret", "00112233445566778899aabbccddeeff");
    bench.write("sentence", SENTENCE);
    bench.write("passphrase", "TREZOR\n");
    bench.write("wrong", "TREZOr\n");
    bench.write("holders", "1.1 Ada @ bank\n1.2 Bob @ bank\n1.3 Eve @ home\n");
    let said = bench.run(&format!(
        "keys slip39 split --groups 2of3 --passphrase-file passphrase --iteration-exponent 0 --out \
         cards {more}"
    ));
    assert_eq!(said.exit, 0, "{}", said.err);
    let mut files: Vec<_> = std::fs::read_dir(bench.path("cards"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "txt"))
        .collect();
    files.sort();
    let texts: Vec<String> =
        files.iter().map(|file| std::fs::read_to_string(file).unwrap()).collect();
    for (name, text) in ["a", "b", "c"].iter().zip(&texts) {
        bench.write(name, text);
    }
    bench.write("words", &texts[..2].concat());
    (bench, texts)
}

#[test]
fn a_wrong_passphrase_is_detected_by_the_fingerprint_and_nothing_is_exported() {
    let (bench, _) = split("--secret-file secret");
    let recover = "keys slip39 recover --shares words --fingerprint cards/fingerprint.json";
    let right = bench.run(&format!("{recover} --passphrase-file passphrase --json"));
    assert_eq!(right.exit, 0, "{}", right.err);
    assert_eq!(json(&right.out)["verified"], true);
    assert!(!right.err.contains("UNVERIFIED"), "{}", right.err);
    let wrong = bench.run(&format!("{recover} --passphrase-file wrong --reveal --json"));
    assert_eq!(wrong.exit, 12, "{}", wrong.err);
    assert_eq!(wrong.out, "");
    assert!(wrong.err.contains("does not match the recorded wallet fingerprint"), "{}", wrong.err);
}

#[test]
fn without_a_record_the_address_to_compare_is_shown() {
    let (bench, _) = split("--secret-file secret");
    let said = bench.run("keys slip39 recover --shares words --passphrase-file passphrase --json");
    let record = json(&bench.read("cards/fingerprint.json"));
    let address = record["accounts"][0]["addresses"][0]["address"].as_str().unwrap();
    assert!(said.err.contains(address) && said.err.contains("UNVERIFIED"), "{}", said.err);
    assert_eq!(json(&said.out)["accounts"], record["accounts"]);
}

#[test]
fn a_sentence_goes_into_cards_and_comes_back_as_a_sentence() {
    let (bench, _) = split("--bip39-file sentence");
    let record = json(&bench.read("cards/fingerprint.json"));
    assert_eq!(record["scheme"], "bip39");
    assert_eq!(record["accounts"][0]["addresses"][0]["address"], FIRST_ADDRESS);
    let said = bench.run(
        "keys slip39 recover --shares words --passphrase-file passphrase --fingerprint \
         cards/fingerprint.json --reveal",
    );
    assert_eq!((said.exit, said.out.trim()), (0, SENTENCE), "{}", said.err);
}

#[test]
fn a_record_of_the_other_scheme_says_which_it_is() {
    let (bench, _) = split("--bip39-file sentence");
    bench.write("entropy", "00000000000000000000000000000000");
    let made = bench.run("keys fingerprint --secret-file entropy --out wrong.json");
    assert_eq!(made.exit, 0, "{}", made.err);
    let mut record = json(&bench.read("cards/fingerprint.json"));
    record["scheme"] = "seed".into();
    bench.write("mixed.json", &record.to_string());
    let recover = "keys slip39 recover --shares words --passphrase-file passphrase --fingerprint";
    let said = bench.run(&format!("{recover} mixed.json"));
    assert_eq!(said.exit, 12);
    assert!(said.err.contains("it would match as `bip39`"), "{}", said.err);
    assert_eq!(bench.run(&format!("{recover} words")).exit, 2, "a file that is no record");
}

#[test]
fn one_place_with_a_quorum_is_warned_of_and_recorded() {
    let (bench, _) = split("--secret-file secret --holders holders");
    let record = json(&bench.read("cards/fingerprint.json"));
    let warnings = record["warnings"].to_string();
    assert!(warnings.contains("one place reaches a quorum alone: bank"), "{warnings}");
    assert_eq!(record["set"]["cards"][2]["holder"], "Eve");
}

#[test]
fn a_new_split_revokes_nothing_and_says_so_before_and_after() {
    let (bench, _) = split("--secret-file secret");
    let again = bench.run(
        "keys slip39 split --groups 2of3 --passphrase-file passphrase --iteration-exponent 0 \
         --secret-file secret --generation 2 --out anew",
    );
    assert_eq!(again.exit, 0, "{}", again.err);
    let (before, after) = (again.err.find("takes none away"), again.err.find("revokes nothing"));
    assert!(before.is_some() && before < after, "{}", again.err);
    // The old cards bring it back all the same, by the new record too.
    let old = "keys slip39 recover --shares words --passphrase-file passphrase --fingerprint";
    let said = bench.run(&format!("{old} anew/fingerprint.json"));
    assert_eq!(said.exit, 0, "{}", said.err);
    assert_eq!(json(&bench.read("anew/fingerprint.json"))["generation"], 2);
}

#[test]
fn a_fingerprint_holds_no_secret() {
    let (bench, texts) = split("--bip39-file sentence --bip39-passphrase-file passphrase");
    let record = bench.read("cards/fingerprint.json");
    for text in &texts {
        let words = text.lines().find(|line| !line.starts_with('#')).unwrap();
        // Four words are the header; from the fifth on they are the secret's.
        let secret = words.split(' ').skip(4).collect::<Vec<_>>().join(" ");
        assert!(!record.contains(&secret));
    }
    assert!(!record.contains("xprv") && !record.contains("TREZOR"));
    assert!(!record.contains(&"0".repeat(32)), "the entropy");
}

#[test]
fn a_holder_proves_a_card_alone_and_a_changed_card_fails_with_exit_20() {
    let (bench, texts) = split("--secret-file secret --holders holders");
    let record = "--fingerprint cards/fingerprint.json --log log";
    let said = bench.run(&format!("keys drill prove --share a {record} --json"));
    assert_eq!(said.exit, 0, "{}", said.err);
    assert_eq!(json(&said.out)["verified"], true);
    let words = texts[0].lines().find(|line| !line.starts_with('#')).unwrap();
    let tail = words.split(' ').skip(4).collect::<Vec<_>>().join(" ");
    assert!(!said.out.contains(&tail) && !bench.read("log").contains(&tail));

    let status =
        bench.run("keys drill status --fingerprint cards/fingerprint.json --log log --json");
    assert_eq!(status.exit, 3, "{}", status.err);
    let document = json(&status.out);
    assert_eq!(
        (&document["cards_due"], &document["cards"][0]["state"]),
        (&2.into(), &"fresh".into())
    );
    for share in ["b", "c"] {
        let said = bench.run(&format!("keys drill prove --share {share} {record}"));
        assert_eq!(said.exit, 0, "{}", said.err);
    }
    let all = bench.run("keys drill status --fingerprint cards/fingerprint.json --log log");
    assert_eq!(all.exit, 0, "{}", all.out);

    let (other, _) = split("--secret-file secret");
    let foreign =
        bench.run(&format!("keys drill prove --share {} {record}", other.path("a").display()));
    assert_eq!(foreign.exit, 20, "{}", foreign.err);
    assert!(foreign.err.contains("is not in the record"), "{}", foreign.err);
}

#[test]
fn an_answer_from_afar_counts_only_for_the_challenge_that_was_sent() {
    let (bench, _) = split("--secret-file secret");
    let challenge = "ab".repeat(32);
    let answer = bench.run(&format!("keys drill prove --share b --challenge {challenge} --json"));
    assert_eq!(answer.exit, 3, "not compared with a record: {}", answer.err);
    bench.write("answer", &answer.out);
    let check = |challenge: &str| {
        bench.run(&format!(
            "keys drill check --answer answer --challenge {challenge} --fingerprint \
             cards/fingerprint.json --log log"
        ))
    };
    assert_eq!(check(&challenge).exit, 0);
    let old = check(&"cd".repeat(32));
    assert_eq!(old.exit, 20, "{}", old.err);
    let mut forged = json(&answer.out);
    forged["member"] = 1.into();
    bench.write("answer", &forged.to_string());
    assert_eq!(check(&challenge).exit, 20, "another card's name on it");
}

#[test]
fn stale_drills_and_lines_that_prove_nothing_raise_an_alarm() {
    let (bench, _) = split("--secret-file secret");
    let proven = "--fingerprint cards/fingerprint.json --log log --json";
    for share in ["a", "b", "c"] {
        let said = bench.run(&format!("keys drill prove --share {share} {proven}"));
        assert_eq!(said.exit, 0, "{}", said.err);
    }
    let mut lines: Vec<Value> = bench.read("log").lines().map(json).collect();
    lines[0]["time"] = "2020-01-01T00:00:00Z".into();
    lines[1]["answer_hex"] = "00".repeat(64).into();
    let text: Vec<String> = lines.iter().map(ToString::to_string).collect();
    bench.write("log", &text.join("\n"));
    let said = bench.run(&format!("keys drill status {proven}"));
    assert_eq!(said.exit, 3, "{}", said.err);
    let document = json(&said.out);
    let states: Vec<&Value> =
        document["cards"].as_array().unwrap().iter().map(|card| &card["state"]).collect();
    assert_eq!(states, ["stale", "never", "fresh"]);
    assert_eq!(document["lines_ignored"], 1);
}

#[test]
fn a_new_key_shows_its_addresses_and_its_words_only_on_demand() {
    let bench = Bench::new();
    bench.write("dice", &"1234561234561234561234561234561234561234561234561234\n".repeat(2));
    let said = bench.run("keys generate --dice dice --out sentence");
    assert_eq!(said.exit, 0, "{}", said.err);
    let text = bench.read("sentence");
    let words = text.lines().find(|line| !line.starts_with('#')).unwrap();
    assert_eq!(words.split(' ').count(), 24);
    assert!(!said.out.contains(words) && !said.err.contains(words));
    let again = bench.run("keys fingerprint --mnemonic-file sentence");
    assert_eq!(again.out, said.out);
    let shown = bench.run("keys generate --words 12 --reveal");
    assert_eq!(shown.out.split_whitespace().count(), 12);
    bench.write("dice", "1 2 7\n");
    let refused = bench.run("keys generate --dice dice --reveal");
    assert_eq!(refused.exit, 2);
    assert!(refused.err.contains("roll 3"), "{}", refused.err);
    assert_eq!(bench.run("keys generate --out sentence").exit, 1, "it is there already");
}
