//! The story of a desk's key, from an empty table to the day everything else is gone: three groups
//! (two of three founders, three of five officers, one security module), of which two are needed.
//! A ceremony deals it onto sheets that are printed, photographed and read back; one card lives in
//! a security module; the desk burns down; pictures of two sheets and the module bring it back,
//! with signed evidence.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod cli_support;
mod hsm_support;

use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

use cli_support::{Said, contents};
use hsm_support::{Token, secret};

const HOLDERS: &str = "1.1 Ada @ bank\n1.2 Bob @ home\n1.3 Eve @ cabin\n\
                       2.1 Fay @ vault\n2.2 Gil @ notary\n2.3 Hal @ office\n2.4 Ida @ lawyer\n\
                       2.5 Jon @ parents\n3.1 Kim @ module\n";

fn ok(said: Said) -> Said {
    assert_eq!(said.exit, 0, "{}", said.err);
    said
}

fn next(token: &Token, more: &str, due: &str) {
    let said = ok(token.run(&format!("keys ceremony next --dir room --json {more}")));
    assert_eq!(said.json()["due"], due, "{more}");
}

fn begin(token: &Token) {
    let bench = &token.bench;
    bench.write("holders", HOLDERS);
    secret(&bench.path("passphrase"), "a long walk\n");
    ok(token.run(
        "keys ceremony begin --dir room --title desk --groups 2of3,3of5,1of1 --group-threshold 2 \
         --holders holders --operator Ada --witness Bo",
    ));
    next(token, "--accept rehearsal", "present");
    next(token, "--present Ada --present Bo", "dealt");
    next(token, "--passphrase-file passphrase", "copied");
}

fn files(token: &Token, folder: &str, ending: &str) -> Vec<PathBuf> {
    let all = contents(&token.bench.path(folder)).into_iter().map(|(path, _)| path);
    let mut all: Vec<PathBuf> =
        all.filter(|path| path.extension().is_some_and(|it| it == ending)).collect();
    all.sort();
    all
}

fn words_of(paths: &[PathBuf]) -> String {
    paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(" ")
}

/// Prints every card and takes a picture of each sheet.
fn print(token: &Token) -> Vec<PathBuf> {
    let cards = files(token, "room/secret/cards", "txt");
    ok(token.run(&format!(
        "keys sheet print {} --fingerprint room/fingerprint.json --date 2026-11-22 --out \
         room/secret/sheets",
        words_of(&cards)
    )));
    std::fs::create_dir(token.bench.path("album")).unwrap();
    let sheets = files(token, "room/secret/sheets", "pdf");
    for (number, sheet) in sheets.iter().enumerate() {
        let drawn = Command::new("pdftoppm")
            .args(["-r", "120", "-png", "-singlefile"])
            .arg(sheet)
            .arg(token.bench.path(&format!("album/{number}")))
            .status()
            .expect("pdftoppm (package poppler-utils; cargo xtask setup installs it)");
        assert!(drawn.success());
    }
    files(token, "album", "png")
}

/// One card is kept by the module instead of on paper.
fn into_the_module(token: &Token) {
    ok(token.generate("aes256", "seal"));
    let card = files(token, "room/secret/cards", "txt").pop().unwrap();
    assert!(card.display().to_string().contains("group-03"), "{}", card.display());
    ok(token.run(&format!(
        "keys hsm wrap --key seal.key --secret-file {} --out card-3.1.sealed",
        card.display()
    )));
}

fn finish(token: &Token, album: &[PathBuf]) {
    next(token, "--copied", "read_back");
    ok(token.run(&format!("keys sheet scan {} --out read-back.txt", words_of(album))));
    next(token, "--words read-back.txt", "proven");
    next(token, "--passphrase-file passphrase", "handed");
    let handed: Vec<String> = HOLDERS
        .lines()
        .map(|line| line.split(' ').next().unwrap())
        .map(|card| format!("--handed {card}=S{card}"))
        .collect();
    next(token, &handed.join(" "), "finished");
    ok(token.run("keys ceremony next --dir room"));
    std::fs::remove_file(token.bench.path("read-back.txt")).unwrap();
    assert!(!token.bench.path("room/secret").exists());
}

/// Brings the key back from pictures and perhaps the module; says how long the machine took.
fn recover(token: &Token, sheets: &[PathBuf], with_module: bool, name: &str) -> f64 {
    let begun = Instant::now();
    ok(token.run(&format!("keys sheet scan {} --out {name}-words.txt", words_of(sheets))));
    let module = if with_module {
        ok(token.run(&format!(
            "keys hsm unwrap --key seal.key --wrapped card-3.1.sealed --out {name}-module.txt"
        )));
        format!("--shares {name}-module.txt")
    } else {
        String::new()
    };
    let said = ok(token.run(&format!(
        "keys recover --shares {name}-words.txt {module} --fingerprint room/fingerprint.json \
         --passphrase-file passphrase --out {name}-secret.txt --evidence {name}.json --report-key \
         report.key --json"
    )));
    assert_eq!(said.json()["verified"], true);
    begun.elapsed().as_secs_f64()
}

#[test]
fn a_desks_key_is_dealt_kept_on_paper_and_in_a_module_lost_and_brought_back_with_evidence() {
    let token = Token::soft();
    let begun = Instant::now();
    begin(&token);
    let album = print(&token);
    assert_eq!(album.len(), 9);
    into_the_module(&token);
    finish(&token, &album);
    let dealt = begun.elapsed().as_secs_f64();
    ok(token.run("init --home h --dashboard off"));
    let report = files(&token, "h", "key").into_iter().find(|path| path.ends_with("report.key"));
    std::fs::copy(report.unwrap(), token.bench.path("report.key")).unwrap();

    // The fire: what is left are some sheets, the module, and the papers.
    let mut sheets = album;
    sheets.sort_by_key(|path| {
        path.file_stem().and_then(|stem| stem.to_str()).unwrap().parse::<u32>().unwrap()
    });
    let by_module = recover(&token, &[sheets[0].clone(), sheets[2].clone()], true, "one");
    let officers: Vec<PathBuf> = [1, 2, 4, 6, 7].map(|at| sheets[at].clone()).to_vec();
    let by_paper = recover(&token, &officers, false, "two");
    assert_eq!(token.bench.read("one-secret.txt"), token.bench.read("two-secret.txt"));

    for name in ["one", "two"] {
        let text = token.bench.read(&format!("{name}.json"));
        let evidence: serde_json::Value = serde_json::from_str(&text).unwrap();
        let signer = evidence["signer_hex"].as_str().unwrap();
        ok(token.run(&format!("keys evidence --evidence {name}.json --key {signer}")));
    }
    ok(token.run(
        "keys ceremony verify --transcript room/transcript.jsonl --fingerprint \
         room/fingerprint.json",
    ));
    println!(
        "machine-side seconds: ceremony {dealt:.1}, recovery with the module {by_module:.1}, by \
         paper alone {by_paper:.1}"
    );
}
