//! `keys kit`, and identities of age in cards.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod cli_support;

use cli_support::Bench;

const HOLDERS: &str = "1.1 Ada @ bank\n1.2 Bob @ home\n1.3 Cem @ safe\n";

/// A home whose recovery identity lies in cards, two of three needed, behind a passphrase.
fn split() -> Bench {
    let bench = Bench::new();
    assert_eq!(bench.run("init --home h").exit, 0);
    bench.write("holders", HOLDERS);
    bench.write("passphrase", "correct horse\n");
    bench.write("wrong", "correct hearse\n");
    let said = bench.run(
        "keys slip39 split --groups 2of3 --iteration-exponent 0 --holders holders \
         --passphrase-file passphrase --identity-file h/recovery-identity.txt --out cards",
    );
    assert_eq!(said.exit, 0, "{}", said.err);
    assert!(said.err.contains("root key") && said.err.contains("is in no card"), "{}", said.err);
    bench
}

fn card(bench: &Bench, member: u8) -> String {
    let folder = std::fs::read_dir(bench.path("cards")).unwrap();
    let end = format!("-member-{member:02}.txt");
    let mut names = folder.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let name = names.find(|name| name.ends_with(&end)).unwrap();
    format!("cards/{name}")
}

fn identity_line(text: &str) -> &str {
    text.lines().find(|line| line.starts_with("AGE-SECRET-KEY-1")).unwrap()
}

#[test]
fn cards_bring_back_the_recovery_identity_that_was_split() {
    let bench = split();
    let record = bench.read("cards/fingerprint.json");
    let recovery = bench.read("h/recovery-identity.txt");
    assert!(record.contains("\"scheme\": \"age\"") && !record.contains("AGE-SECRET"), "{record}");
    let cards = format!("--shares {} --shares {}", card(&bench, 1), card(&bench, 3));
    let line = format!(
        "keys recover {cards} --passphrase-file passphrase --fingerprint cards/fingerprint.json \
         --out back.txt"
    );
    let said = bench.run(&line);
    assert_eq!(said.exit, 0, "{}", said.err);
    assert!(
        said.out.contains("recipient age1") && !said.out.contains("AGE-SECRET"),
        "{}",
        said.out
    );
    assert_eq!(identity_line(&bench.read("back.txt")), identity_line(&recovery));
    // What came back is a file that `drill` and `restore` take.
    assert_eq!(bench.run("backup holders --home h").exit, 0);
    let drill = bench.run("drill --level D4 --identity back.txt --home h");
    assert_eq!(drill.exit, 0, "{}", drill.err);
    let wrong = line.replace("-file passphrase", "-file wrong").replace("back.txt", "other.txt");
    let said = bench.run(&wrong);
    assert_eq!(said.exit, 12, "{}", said.err);
    assert!(said.err.contains("does not match the recorded recipient"), "{}", said.err);
    assert!(!bench.path("other.txt").exists());
    // Without a record it has to be said what the secret is.
    let one = std::fs::read_to_string(bench.path(&card(&bench, 1))).unwrap();
    let three = std::fs::read_to_string(bench.path(&card(&bench, 3))).unwrap();
    bench.write("words", &(one + &three));
    let line = "keys slip39 recover --shares words --passphrase-file passphrase --age --reveal";
    let said = bench.run(line);
    assert_eq!((said.exit, said.out.trim()), (0, identity_line(&recovery)), "{}", said.err);
    let said = bench.run("keys fingerprint --identity-file h/recovery-identity.txt");
    assert!(said.exit == 0 && said.out.starts_with("recipient  age1"), "{}", said.out);
}

#[test]
fn a_damaged_identity_and_one_of_another_length_are_refused() {
    let bench = split();
    let recovery = bench.read("h/recovery-identity.txt");
    let line = identity_line(&recovery);
    let last = if line.ends_with('Q') { "P" } else { "Q" };
    bench.write("damaged", &recovery.replace(line, &format!("{}{last}", &line[..line.len() - 1])));
    let split = "keys slip39 split --groups 2of3 --out new --identity-file";
    let said = bench.run(&format!("{split} damaged"));
    assert_eq!(said.exit, 2, "{}", said.err);
    assert!(said.err.contains("a character was lost or changed"), "{}", said.err);
    bench.write("none", "nothing\n");
    assert_eq!(bench.run(&format!("{split} none")).exit, 2);
    bench.write("short", &"00".repeat(16));
    let of_16 =
        "keys slip39 split --groups 2of3 --iteration-exponent 0 --secret-file short --reveal";
    let words = bench.run(of_16);
    bench.write("words", &words.out);
    let said = bench.run("keys slip39 recover --shares words --age");
    assert_eq!(said.exit, 2, "{}", said.err);
    assert!(said.err.contains("has 32 bytes, not 16"), "{}", said.err);
}

#[test]
fn a_keys_kit_says_who_is_needed_and_is_read_by_its_keys_names() {
    let bench = split();
    bench.write("secret", &"07".repeat(16));
    let wallet = "keys slip39 split --groups 2of3 --iteration-exponent 0 --secret-file secret \
                  --holders holders --out wallet";
    assert_eq!(bench.run(wallet).exit, 0);
    let make = "keys kit --record wallet/fingerprint.json=desk --record cards/fingerprint.json";
    let said = bench.run(&format!("{make} --out kits --json"));
    assert_eq!(said.exit, 0, "{}", said.err);
    let document = said.json();
    assert_eq!(document["keys"], serde_json::json!(["desk", "recovery identity"]));
    let files: Vec<&str> =
        document["files"].as_array().unwrap().iter().filter_map(|file| file.as_str()).collect();
    assert_eq!(files.len(), 2);
    let text = bench.read(files[0]);
    for part in ["Ada @ bank", "any 2 of 3", "KEY: desk", "0x", "restore --identity NEW", "SHA-256"]
    {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(!text.contains(&"07".repeat(16)));
    assert!(text.lines().take_while(|line| !line.contains("BEGIN")).all(|it| it.len() <= 100));
    // It is never overwritten, and two keys never share a name.
    assert_eq!(bench.run(&format!("{make} --out kits")).exit, 1);
    let twice = bench.run(&format!("{make} --record cards/fingerprint.json --out other"));
    assert_eq!(twice.exit, 2, "{}", twice.err);
    for file in &files {
        std::fs::copy(bench.path(file), bench.path("kit")).unwrap();
        let cards = format!("--shares {} --shares {}", card(&bench, 2), card(&bench, 3));
        let recover = bench
            .command("keys recover --passphrase-file passphrase")
            .args(cards.split(' '))
            .args(["--fingerprint", "kit#recovery identity"])
            .output()
            .unwrap();
        let said = cli_support::Said::of(&recover);
        assert_eq!(said.exit, 0, "{}", said.err);
        assert!(said.out.contains("verified   it is the key of the record"), "{}", said.out);
    }
    // Which of two keys is meant is never guessed.
    let vague = bench.run(&format!("keys recover --shares {} --fingerprint kit", card(&bench, 2)));
    assert_eq!(vague.exit, 2, "{}", vague.err);
    assert!(vague.err.contains("`desk`, `recovery identity`"), "{}", vague.err);
}

#[test]
fn a_kit_of_keys_that_is_not_of_the_records_of_today_is_told_by_check_status_and_config_check() {
    let bench = split();
    let records = "--record cards/fingerprint.json=officers";
    let make = |out: &str| {
        let said = bench.run(&format!("keys kit {records} --home h --out {out}"));
        assert_eq!(said.exit, 0, "{}", said.err);
    };
    let condition = || {
        let status = bench.run("status --home h --json").json();
        let all = status["conditions"].as_array().unwrap().clone();
        all.into_iter().find(|one| one["kind"] == "keys_kit_stale")
    };
    let warned = || bench.run("config check --home h").out.contains("the newest kit of keys");
    make("kit.txt");
    let remembered = bench.read("h/host/newest-keys-kit.json");
    assert!(!remembered.contains("age1") && remembered.contains("officers"), "{remembered}");
    let fresh = bench.run("keys kit check kit.txt --home h --json");
    assert_eq!((fresh.exit, &fresh.json()["changes"]), (0, &serde_json::json!([])));
    assert!(condition().is_none() && !warned());
    // The cards are dealt anew: what the kit says of them is of yesterday.
    let record = bench.read("cards/fingerprint.json");
    let anew = record.replace("\"generation\": 1", "\"generation\": 2");
    assert_ne!(record, anew);
    bench.write("cards/fingerprint.json", &anew);
    for line in ["--home h", &format!("{records} --home h")] {
        let said = bench.run(&format!("keys kit check kit.txt {line}"));
        assert_eq!(said.exit, 3, "{}", said.err);
        assert!(said.out.contains("dealt anew: generation 1 in the kit, now 2"), "{}", said.out);
        assert!(said.err.contains("keys kit --record"), "{}", said.err);
    }
    let told = condition().unwrap();
    let words = told["message"].as_str().unwrap();
    assert!(words.contains("not of today: the record of `officers` is another now"), "{told}");
    assert!(told["next"].as_str().unwrap().contains("fingerprint.json=officers'"), "{told}");
    assert!(warned());
    // Under another name it is another key, for whoever looks it up.
    let renamed = bench.run("keys kit check kit.txt --record cards/fingerprint.json=wallet");
    assert_eq!(renamed.exit, 3, "{}", renamed.err);
    assert!(renamed.out.contains("key `wallet` is not in the kit"), "{}", renamed.out);
    make("newer.txt");
    assert!(condition().is_none() && !warned());
    // A record that is elsewhere now tells nothing; a kit that is old is told.
    std::fs::rename(bench.path("cards"), bench.path("away")).unwrap();
    assert!(condition().is_none());
    let remembered = bench.read("h/host/newest-keys-kit.json");
    let (before, made) = remembered.split_once("\"made\":\"").unwrap();
    let old = format!("{before}\"made\":\"2001{}", &made[4..]);
    bench.write("h/host/newest-keys-kit.json", &old);
    assert!(condition().unwrap()["message"].as_str().unwrap().ends_with(" days old"));
    // Who copied it by hand and slipped is told.
    bench.write("slip.txt", &bench.read("newer.txt").replace("\"officers\"", "\"offices\""));
    let slip = bench.run("keys kit check slip.txt --record away/fingerprint.json=offices");
    assert_eq!(slip.exit, 20, "{}", slip.out);
    assert!(slip.out.contains("changed after it was made"), "{}", slip.out);
}
