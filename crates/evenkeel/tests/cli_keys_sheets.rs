//! `evenkeel keys sheet …`: printed, drawn by another program, scanned back.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::cast_possible_truncation,
    reason = "a test that cannot go on fails"
)]

mod cli_support;

use std::process::Command;

use cli_support::Bench;
use serde_json::Value;

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// A 2of3 split with holders in `cards`, printed to `sheets`, drawn to one picture each.
fn printed() -> (Bench, Vec<String>) {
    let bench = Bench::new();
    bench.write("secret", "00112233445566778899aabbccddeeff");
    bench.write("holders", "1.1 Ada @ bank\n1.2 Bob @ home\n1.3 Eve @ safe\n");
    let said = bench.run(
        "keys slip39 split --groups 2of3 --iteration-exponent 0 --holders holders --generation 3 \
         --secret-file secret --out cards",
    );
    assert_eq!(said.exit, 0, "{}", said.err);
    let names: Vec<String> = files(&bench, "cards", "txt");
    let cards: Vec<String> = names.iter().map(|name| format!("cards/{name}")).collect();
    let said = bench.run(&format!(
        "keys sheet print {} --fingerprint cards/fingerprint.json --date 2026-11-22 --metal --out \
         sheets",
        cards.join(" ")
    ));
    assert_eq!(said.exit, 0, "{}", said.err);
    for name in files(&bench, "sheets", "pdf") {
        draw(&bench, &format!("sheets/{name}"), name.trim_end_matches(".pdf"));
    }
    let texts = cards.iter().map(|card| std::fs::read_to_string(bench.path(card)).unwrap());
    let texts = texts.map(|text| text.lines().last().unwrap().to_owned()).collect();
    (bench, texts)
}

fn files(bench: &Bench, folder: &str, ending: &str) -> Vec<String> {
    let entries = std::fs::read_dir(bench.path(folder)).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(&format!(".{ending}")))
        .collect();
    names.sort();
    names
}

/// The first page of a PDF as a picture.
fn draw(bench: &Bench, pdf: &str, picture: &str) {
    let status = Command::new("pdftoppm")
        .args(["-r", "150", "-png", "-singlefile"])
        .args([bench.path(pdf), bench.path(picture)])
        .status()
        .expect("pdftoppm (package poppler-utils; cargo xtask setup installs it)");
    assert!(status.success());
}

#[test]
fn cards_go_onto_paper_and_come_back_from_pictures_for_recovery() {
    let (bench, texts) = printed();
    let names = files(&bench, ".", "png");
    assert_eq!(names.len(), 3);
    let said = bench.run(&format!("keys sheet scan {} {} --out words --json", names[0], names[2]));
    assert_eq!(said.exit, 0, "{}", said.err);
    let document = json(&said.out);
    assert_eq!(document["cards"][0]["holder"], "Ada");
    assert_eq!(document["cards"][0]["generation"], 3);
    assert_eq!(document["symbols"][0]["corrected"], 0);
    for text in &texts {
        assert!(!said.out.contains(text.as_str()) && !said.err.contains(text.as_str()));
    }
    let said = bench.run("keys slip39 recover --shares words --fingerprint cards/fingerprint.json");
    assert_eq!(said.exit, 0, "{}", said.err);
    let said = bench.run(&format!("keys sheet scan {} --reveal", names[1]));
    assert_eq!(said.out.trim(), texts[1]);
    let said = bench.run(&format!("keys sheet scan {}", names[1]));
    assert!(said.err.contains("symbol 1: corrected 0 of"), "{}", said.err);
}

#[test]
fn sheets_are_compared_with_the_record_and_strangers_are_refused() {
    let (bench, _) = printed();
    let names = files(&bench, ".", "png");
    let verify = format!("keys sheet verify {} {} --fingerprint", names[0], names[1]);
    let said = bench.run(&format!("{verify} cards/fingerprint.json"));
    assert_eq!(said.exit, 0, "{}", said.err);
    assert!(said.out.contains("it is in the record"), "{}", said.out);
    let said = bench.run(
        "keys slip39 split --groups 2of3 --iteration-exponent 0 --secret-file secret --out others",
    );
    assert_eq!(said.exit, 0, "{}", said.err);
    let said = bench.run(&format!("{verify} others/fingerprint.json"));
    assert_eq!(said.exit, 20, "{}", said.err);
    assert!(said.err.contains("is not in the record"), "{}", said.err);
}

#[test]
fn typed_words_are_checked_by_their_place_and_against_the_symbol() {
    let (bench, texts) = printed();
    let metal = &files(&bench, "sheets", "txt")[0];
    let scan = "keys sheet scan --generation 3 --words";
    let said = bench.run(&format!("{scan} sheets/{metal} --reveal"));
    assert_eq!((said.exit, said.out.trim()), (0, texts[0].as_str()), "{}", said.err);
    bench.write("bare", &texts[0]);
    let said = bench.run(&format!("{scan} bare"));
    assert_eq!(said.exit, 3, "{}", said.err);
    assert!(said.err.contains("UNPROVEN"), "{}", said.err);
    let mut words: Vec<&str> = texts[0].split(' ').collect();
    words[6] = "acadmic";
    bench.write("typo", &words.join(" "));
    let said = bench.run(&format!("{scan} typo"));
    assert_eq!(said.exit, 2, "{}", said.err);
    assert!(
        said.err.contains("word 7 on line 2: not in the list, looks like academic"),
        "{}",
        said.err
    );
    let said = bench.run(&format!("keys sheet scan --words bare {}", files(&bench, ".", "png")[1]));
    assert_eq!(said.exit, 20, "{}", said.err);
    assert!(said.err.contains("typed and scanned words differ: word"), "{}", said.err);
    let said = bench.run(&format!("keys sheet scan --words sheets/{metal} --generation 4"));
    assert_eq!(said.exit, 20, "{}", said.err);
    assert!(said.err.contains("the check words do not hold"), "{}", said.err);
}

#[test]
fn one_sealed_sheet_of_four_may_be_lost_and_two_are_named() {
    let bench = Bench::new();
    let bytes: Vec<u8> = (0..3_000_u32).map(|at| (at * 7 + at / 256) as u8).collect();
    std::fs::write(bench.path("share.age"), &bytes).unwrap();
    let said =
        bench.run("keys sheet print --sealed share.age --holder Ada --place bank --out sheets");
    assert_eq!(said.exit, 0, "{}", said.err);
    let sheets = files(&bench, "sheets", "pdf");
    assert_eq!(sheets.len(), 4);
    for (at, sheet) in sheets.iter().enumerate() {
        draw(&bench, &format!("sheets/{sheet}"), &format!("s{}", at + 1));
    }
    let said = bench.run("keys sheet scan s1.png s3.png s4.png --out back");
    assert_eq!(said.exit, 0, "{}", said.err);
    assert!(said.out.contains("computed from the others: sheet 2"), "{}", said.out);
    assert_eq!(std::fs::read(bench.path("back")).unwrap(), bytes);
    let said = bench.run("keys sheet scan s3.png s4.png --out none");
    assert_eq!(said.exit, 22, "{}", said.err);
    assert!(said.err.contains("not read: sheet 1, sheet 2; one sheet"), "{}", said.err);
    assert!(!bench.path("none").exists());
}

#[test]
fn a_picture_without_a_sheet_and_a_file_that_is_none_are_said() {
    let (bench, _) = printed();
    bench.write("text.png", "no picture");
    let said = bench.run("keys sheet scan text.png");
    assert_eq!(said.exit, 2, "{}", said.err);
    assert!(said.err.contains("neither PNG nor JPEG"), "{}", said.err);
    draw(&bench, &format!("sheets/{}", files(&bench, "sheets", "pdf")[0]), "small");
    let status = Command::new("pdftoppm")
        .args(["-r", "10", "-png", "-singlefile"])
        .args([bench.path(&format!("sheets/{}", files(&bench, "sheets", "pdf")[0]))])
        .arg(bench.path("tiny"))
        .status()
        .unwrap();
    assert!(status.success());
    let said = bench.run("keys sheet scan tiny.png");
    assert_eq!(said.exit, 10, "{}", said.err);
    assert!(said.err.contains("no symbol of a sheet was read"), "{}", said.err);
}

#[test]
fn a_file_goes_over_a_screen_with_half_of_the_frames_missed() {
    let bench = Bench::new();
    let bytes: Vec<u8> = (0..5_000_u32).map(|at| (at * 11 + at / 256) as u8).collect();
    std::fs::write(bench.path("message"), &bytes).unwrap();
    let said = bench.run("keys qr send message --out film.html --frames frames --json");
    assert_eq!(said.exit, 0, "{}", said.err);
    let film = json(&said.out);
    assert_eq!(film["frames"].as_u64().unwrap(), 2 * film["frames_needed"].as_u64().unwrap());
    let frames = files(&bench, "frames", "svg");
    for name in frames.iter().skip(1).step_by(2) {
        let status = Command::new("rsvg-convert")
            .arg(bench.path(&format!("frames/{name}")))
            .args(["-o".as_ref(), bench.path(&format!("{name}.png")).as_os_str()])
            .status()
            .expect("rsvg-convert (package librsvg2-bin; cargo xtask setup installs it)");
        assert!(status.success());
    }
    let shots = files(&bench, ".", "png");
    let said = bench.run(&format!("keys qr receive {} --out back", shots.join(" ")));
    assert_eq!(said.exit, 0, "{}", said.err);
    assert_eq!(std::fs::read(bench.path("back")).unwrap(), bytes);
    let said = bench.run(&format!("keys qr receive {} --out less", shots[1..].join(" ")));
    assert_eq!(said.exit, 22, "{}", said.err);
    assert!(said.err.contains("any 1 others of this film suffice"), "{}", said.err);
    let said = bench.run("keys qr send message --terminal --rounds 1 --pause-ms 20");
    assert!(said.out.contains('▀') && said.exit == 0, "{}", said.err);
}
