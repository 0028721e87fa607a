//! Records of keys in the domain of network metadata: kept with every version, brought back, held
//! to hold no secret, compared in words; an alarm once nobody knows whether a card is still good;
//! and what `up` does for the sites of that domain.

#![allow(clippy::unwrap_used, reason = "what only tests call is a test as well")]

mod common;
mod network_support;

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use common::daemon::Daemon;
use common::{Rig, files_below};
use network_support::{Script, Scripted, write_document};
use serde_json::Value;

const IDENTITY: &str = "--identity h/network-recovery-identity.txt";
const SENTENCE: &str =
    "legal winner thank year wave sausage worth useful legal winner thank yellow";

/// A key in cards of two groups, its holders named, and a document that names its record.
fn desk(chain: &Scripted, keys: &str) -> Rig {
    let rig = Rig::new();
    split(&rig, "cards", 1);
    document(&rig, chain, keys);
    rig
}

fn document(rig: &Rig, chain: &Scripted, keys: &str) {
    write_document(&rig.disk(), chain, "one", keys);
}

fn private(rig: &Rig, name: &str, text: &str) {
    let file = rig.path(name);
    fs::write(&file, text).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
}

fn split(rig: &Rig, out: &str, generation: u32) {
    if !rig.path("secret.txt").exists() {
        private(rig, "secret.txt", &format!("{}\n", "5a".repeat(16)));
        private(rig, "passphrase.txt", "none\n");
    }
    if !rig.path("holders.txt").exists() {
        holders(rig, &["Ada @ safe 1", "Bob @ safe 2", "Eve @ safe 3"]);
    }
    rig.ok(&format!(
        "keys slip39 split --secret-file secret.txt --passphrase-file passphrase.txt --groups 2of3 \
         --group-threshold 1 --holders holders.txt --out {out}"
    ));
    let file = rig.path(out).join("fingerprint.json");
    let text = fs::read_to_string(&file).unwrap();
    let changed = text.replace("\"generation\": 1", &format!("\"generation\": {generation}"));
    fs::write(&file, changed).unwrap();
}

fn holders(rig: &Rig, all: &[&str]) {
    let lines = all.iter().enumerate().map(|(at, who)| format!("1.{} {who}\n", at + 1));
    fs::write(rig.path("holders.txt"), lines.collect::<String>()).unwrap();
}

fn key(record: &str) -> String {
    format!("[[keys]]\nname = \"treasury\"\nrecord = \"{record}\"\ndrill_log = \"drills.jsonl\"\n")
}

/// Proves a card as its holder does.
fn prove(rig: &Rig, cards: &str, member: u8) {
    let all = files_below(&rig.path(cards));
    let name = format!("{member}.txt");
    let card = all.iter().find(|file| {
        file.extension().is_some_and(|it| it == "txt") && file.to_string_lossy().ends_with(&name)
    });
    let card = card.unwrap_or_else(|| panic!("card {member} in {all:?}"));
    rig.ok(&format!(
        "keys drill prove --share {} --fingerprint {cards}/fingerprint.json --log drills.jsonl",
        card.display()
    ));
}

/// Writes what the record says of when it was made.
fn age(rig: &Rig, cards: &str, made: &str) {
    let file = rig.path(cards).join("fingerprint.json");
    let mut record: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    record["made"] = made.into();
    fs::write(&file, serde_json::to_string_pretty(&record).unwrap()).unwrap();
}

#[test]
fn every_version_carries_the_records_and_a_restore_brings_them_back() {
    let chain = Scripted::start(Script::at(50));
    let rig = desk(&chain, &key("cards/fingerprint.json"));
    prove(&rig, "cards", 1);
    fs::OpenOptions::new()
        .append(true)
        .open(rig.path("drills.jsonl"))
        .unwrap()
        .write_all(format!("{SENTENCE}\n").as_bytes())
        .unwrap();
    rig.ok("network protect network.toml --home h");
    rig.ok(&format!("network restore --home h {IDENTITY} --to back --offline"));
    let same = |back: &str, of: &str| {
        assert_eq!(fs::read(rig.path(back)).unwrap(), fs::read(rig.path(of)).unwrap(), "{back}");
    };
    same("back/keys/treasury.json", "cards/fingerprint.json");
    // Of the log only what proves something: one line, and none of the words.
    let log = fs::read_to_string(rig.path("back/keys/treasury.drills.jsonl")).unwrap();
    assert!(log.lines().count() == 1 && log.contains("share_drill"), "{log}");
    // It is what commands take.
    let status = rig.run(
        "keys drill status --fingerprint back/keys/treasury.json --log \
         back/keys/treasury.drills.jsonl --json",
    );
    assert_eq!((status.exit, status.json()["cards_due"].as_u64()), (3, Some(2)));
    // Nothing changed: no other version for it.
    let again = rig.ok("network backup --home h --json").json();
    assert_eq!((again["changed"].as_bool(), again["records"].as_u64()), (Some(false), Some(1)));
    // The record alone changed: that is another version.
    fs::remove_dir_all(rig.path("cards")).unwrap();
    split(&rig, "cards", 2);
    let other = rig.ok("network backup --home h --json").json();
    assert_eq!(other["changed"], true, "{other}");
    rig.ok(&format!("network restore --home h {IDENTITY} --to second --offline"));
    same("second/keys/treasury.json", "cards/fingerprint.json");
}

#[test]
fn a_diff_says_in_words_what_became_of_a_key() {
    let chain = Scripted::start(Script::at(50));
    let rig = desk(&chain, &key("cards/fingerprint.json"));
    rig.ok("network protect network.toml --home h");
    fs::remove_dir_all(rig.path("cards")).unwrap();
    holders(&rig, &["Ada @ safe 1", "Bob @ a bank", "Zoe @ safe 3"]);
    split(&rig, "cards", 2);
    let now = rig.ok(&format!("network diff --home h {IDENTITY}")).out;
    rig.ok("network backup --home h");
    let later = rig.ok(&format!("network diff 1 2 --home h {IDENTITY}")).out;
    for diff in [now, later] {
        for line in [
            "key treasury: generation was 1, is now 2\n",
            "key treasury, holder Eve is gone\n",
            "key treasury, holder Zoe is new\n",
            "key treasury, holder Bob: place was safe 2, is now a bank\n",
        ] {
            assert!(diff.contains(line), "{line}: {diff}");
        }
        assert!(!diff.contains("holder Ada"), "{diff}");
    }
}

#[test]
fn what_holds_a_secret_is_not_taken_and_nothing_of_it_is_repeated() {
    let chain = Scripted::start(Script::at(50));
    let rig = desk(&chain, &key("cards/fingerprint.json"));
    rig.ok("network protect network.toml --home h");
    let all = files_below(&rig.path("cards"));
    let card = all.iter().find(|file| file.extension().is_some_and(|it| it == "txt")).unwrap();
    private(&rig, "sentence.txt", &format!("{SENTENCE}\n"));
    let mut record: Value =
        serde_json::from_slice(&fs::read(rig.path("cards/fingerprint.json")).unwrap()).unwrap();
    record["set"]["cards"][0]["place"] = SENTENCE.into();
    private(&rig, "hidden.json", &record.to_string());
    let card = card.strip_prefix(rig.disk()).unwrap().display().to_string();
    let identity = "h/recovery-identity.txt";
    for file in ["sentence.txt", "hidden.json", &card, identity] {
        document(&rig, &chain, &key(file));
        let check = rig.run("network check --document network.toml");
        assert_eq!(check.exit, 20, "{file}: {check:?}");
        assert!(check.out.contains("REFUSED: it holds "), "{file}: {check:?}");
        let backup = rig.run("network backup --home h --json");
        assert_eq!(backup.exit, 3, "{file}: {backup:?}");
        assert_eq!(backup.json()["records"], 0, "{file}");
        for said in [&check.out, &check.err, &backup.out, &backup.err] {
            assert!(!said.contains("winner") && !said.contains("AGE-SECRET"), "{file}: {said}");
        }
    }
    private(&rig, "other.json", "{\"message_type\":\"points\"}");
    document(&rig, &chain, &key("other.json"));
    let check = rig.run("network check --document network.toml");
    assert_eq!(check.exit, 3, "{check:?}");
    assert!(check.out.contains("not taken: its message_type is not key_fingerprint"), "{check:?}");
}

#[test]
fn the_record_of_a_group_comes_back_as_text() {
    let chain = Scripted::start(Script::at(50));
    let rig = Rig::new();
    for name in ["ada", "bob"] {
        rig.ok(&format!("keys group enroll --name {name} --place safe --holder {name}"));
    }
    rig.ok("keys group plan --table table --curve secp256k1 --threshold 2 --enrolment \
         ada/enrolment.txt --enrolment bob/enrolment.txt");
    let step = |name: &str| rig.run(&format!("keys group step --table table --holder {name}"));
    for _ in 0..6 {
        for name in ["ada", "bob"] {
            assert!([0, 3].contains(&step(name).exit), "{name}");
        }
    }
    // Both sign at the same time; then the record is in force.
    let sign = |name: &str| {
        let line = format!("keys group sign --table table --holder {name} --wait 60");
        rig.command(&line).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    };
    for mut signer in ["ada", "bob"].map(sign) {
        assert!(signer.wait().unwrap().success());
    }
    for name in ["ada", "bob"] {
        assert_eq!(step(name).exit, 0, "{name}");
    }
    document(&rig, &chain, &key("ada/record.txt"));
    rig.ok("network protect network.toml --home h");
    let check = rig.ok("network check --document network.toml");
    assert!(check.out.contains("key treasury: group, generation 1"), "{check:?}");
    rig.ok(&format!("network restore --home h {IDENTITY} --to back --offline"));
    assert_eq!(
        fs::read(rig.path("back/keys/treasury.txt")).unwrap(),
        fs::read(rig.path("ada/record.txt")).unwrap()
    );
    // Words beside the record are more than a record.
    let text = fs::read_to_string(rig.path("ada/record.txt")).unwrap();
    fs::write(rig.path("more.txt"), format!("{text}one more line\n")).unwrap();
    document(&rig, &chain, &key("more.txt"));
    assert_eq!(rig.run("network check --document network.toml").exit, 3);
    // A holder's share is none.
    let share = files_below(&rig.path("ada"));
    let share = share.iter().find(|file| {
        fs::read_to_string(file).is_ok_and(|text| text.contains("EVENKEEL-GROUP-SHARE-1"))
    });
    let share = share.unwrap().strip_prefix(rig.disk()).unwrap().display().to_string();
    document(&rig, &chain, &key(&share));
    let check = rig.run("network check --document network.toml");
    assert_eq!(check.exit, 20, "{check:?}");
    assert!(check.out.contains("a share of a group key"), "{check:?}");
}

/// A server that takes what a webhook posts.
fn webhook() -> (String, Receiver<Value>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    let (told, heard) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let mut length = 0;
            loop {
                let mut line = String::new();
                reader.read_line(&mut line).unwrap();
                let lower = line.to_lowercase();
                if let Some(count) = lower.strip_prefix("content-length: ") {
                    length = count.trim().parse().unwrap();
                }
                if line.trim().is_empty() {
                    break;
                }
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            let _ = (&stream).write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
            let _ = told.send(serde_json::from_slice(&body).unwrap());
        }
    });
    (url, heard)
}

#[test]
fn a_card_that_nobody_drills_is_told_by_check_status_metrics_and_webhook_until_it_is_proven() {
    let chain = Scripted::start(Script::at(50));
    let rig = desk(&chain, &key("cards/fingerprint.json"));
    prove(&rig, "cards", 1);
    prove(&rig, "cards", 2);
    // Dealt a moment ago: nothing is due yet.
    let fresh = rig.ok("network check --document network.toml");
    assert!(fresh.out.contains("generation 1, 3 cards, none due for a drill"), "{fresh:?}");
    age(&rig, "cards", "2025-01-01T00:00:00Z");
    let check = rig.run("network check --document network.toml");
    assert_eq!(check.exit, 3, "{check:?}");
    assert!(check.out.contains("1 of 3 cards are DUE for a drill"), "{check:?}");
    assert!(check.out.contains("card 1.3 of Eve @ safe 3: never drilled in the "), "{check:?}");
    rig.ok("network protect network.toml --home h");
    // Also where no daemon runs.
    let at_rest = rig.ok("status --home h --json").json();
    let kinds: Vec<_> =
        at_rest["conditions"].as_array().unwrap().iter().map(|one| &one["kind"]).collect();
    assert!(kinds.contains(&&"share_drill_stale".into()), "{at_rest}");
    let (url, heard) = webhook();
    let rig = rig
        .with("EVENKEEL_ALERTS_WEBHOOK_URL", &url)
        .with("EVENKEEL_NETWORK_PROBE_EVERY_SECONDS", "1");
    let port = network_support::free_port();
    let line = format!("up --home h --dashboard 127.0.0.1:{port}");
    let mut daemon = Daemon::spawn(&rig, &mut rig.command(&line));
    let is_told = || {
        let status = rig.run("status --home h --json");
        let status = (status.exit == 0).then(|| status.json())?;
        let all = status["conditions"].as_array()?.clone();
        Some(all.into_iter().find(|one| one["kind"] == "share_drill_stale"))
    };
    let condition = daemon.until("the condition", || is_told().flatten());
    let message = condition["message"].as_str().unwrap();
    assert!(message.contains("treasury, card 1.3 of Eve @ safe 3: never drilled"), "{condition}");
    let alert = heard.recv_timeout(Duration::from_secs(30)).unwrap();
    assert_eq!((&alert["kind"], &alert["change"]), (&"share_drill_stale".into(), &"begun".into()));
    let metrics = || {
        let mut stream = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
        let ask = "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        stream
            .write_all(ask.replace("localhost", &format!("127.0.0.1:{port}")).as_bytes())
            .unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        text
    };
    let value = |text: &str, name: &str, card: &str| -> Option<f64> {
        let of = format!("card=\"{card}\"");
        let line = text.lines().find(|line| line.starts_with(name) && line.contains(&of));
        line?.rsplit_once(' ').unwrap().1.parse().ok()
    };
    let due = |wanted: f64| {
        let text = metrics();
        (value(&text, "evenkeel_share_drill_due", "1.3") == Some(wanted)).then_some(text)
    };
    // Figures are published now and then.
    let text = daemon.until("the metric", || due(1.0));
    assert!(value(&text, "evenkeel_share_drill_age_seconds", "1.3") > Some(90.0 * 86_400.0));
    assert!(value(&text, "evenkeel_share_drill_age_seconds", "1.1") < Some(600.0));
    assert!(text.contains("holder=\"Eve\""), "{text}");
    // Eve proves her card: it is over.
    prove(&rig, "cards", 3);
    daemon.until("its end", || is_told().filter(Option::is_none));
    let over = heard.recv_timeout(Duration::from_secs(30)).unwrap();
    assert_eq!((&over["kind"], &over["change"]), (&"share_drill_stale".into(), &"over".into()));
    daemon.until("the metric's end", || due(0.0));
    daemon.end();
}

#[test]
fn a_site_of_the_network_that_goes_away_is_told_and_mended_when_it_is_back() {
    let chain = Scripted::start(Script::at(50));
    let rig = desk(&chain, "").with("EVENKEEL_NETWORK_PROBE_EVERY_SECONDS", "1");
    rig.ok("network protect network.toml --home h");
    // One object rots while nobody looks.
    let largest = |site: &str| {
        let all = files_below(&rig.path(&format!("h/sites/{site}")));
        all.into_iter().max_by_key(|file| fs::metadata(file).unwrap().len()).unwrap()
    };
    let file = largest("network-a");
    let mut bytes = fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(&file, bytes).unwrap();
    assert_eq!(rig.run("verify --home h --domain network").exit, 20);
    let mut daemon = Daemon::spawn(&rig, &mut rig.command("up --home h --dashboard off"));
    daemon.until("the first mending", || {
        (rig.run("verify --home h --domain network").exit == 0).then_some(())
    });
    let (site, away) = (rig.path("h/sites/network-b"), rig.path("away"));
    fs::rename(&site, &away).unwrap();
    let status = || {
        let status = rig.run("status --home h --json");
        (status.exit == 0).then(|| status.json())
    };
    let down = |status: &Value| {
        let all = status["conditions"].as_array().unwrap();
        all.iter().find(|one| one["kind"] == "network_site_down").cloned()
    };
    let told = daemon.until("the site is missed", || {
        let status = status()?;
        Some((down(&status)?, status))
    });
    assert!(told.0["message"].as_str().unwrap().contains("network-b ("), "{}", told.0);
    // Two of three are what is needed: no further one may be lost.
    assert_eq!(told.0["severity"], "critical", "{}", told.0);
    let sites = told.1["network_sites"].as_array().unwrap();
    let states: Vec<_> = sites.iter().map(|site| site["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["healthy", "down", "healthy"], "{}", told.1);
    // A version is made meanwhile, which that site misses.
    document(
        &rig,
        &chain,
        "[[exchanges]]\nname = \"x\"\nurl = \"http://127.0.0.1:9\"\nkind = \"http\"\n",
    );
    daemon.until("a version without it", || {
        let versions = rig.ok("network versions --home h --json").json();
        (versions["versions"].as_array()?.len() > 1).then_some(())
    });
    fs::rename(&away, &site).unwrap();
    daemon.until("what it missed is there", || {
        let verified = rig.run("verify --home h --domain network").exit == 0;
        (verified && down(&status()?).is_none()).then_some(())
    });
    daemon.end();
}

#[test]
fn cards_and_sites_of_the_network_are_told_where_nothing_is_probed() {
    let chain = Scripted::start(Script::at(50));
    let rig = desk(&chain, &key("cards/fingerprint.json"))
        .with("EVENKEEL_NETWORK_PROBE_EVERY_SECONDS", "0");
    age(&rig, "cards", "2025-01-01T00:00:00Z");
    rig.ok("network protect network.toml --home h");
    let (site, away) = (rig.path("h/sites/network-b"), rig.path("away"));
    fs::rename(&site, &away).unwrap();
    let asked = chain.asked();
    let mut daemon = Daemon::spawn(&rig, &mut rig.command("up --home h --dashboard off"));
    let conditions = || -> Option<Vec<Value>> {
        let status = rig.run("status --home h --json");
        let status = (status.exit == 0).then(|| status.json())?;
        status["running"].as_bool()?.then(|| status["conditions"].as_array().cloned())?
    };
    let find = |kind: &str| conditions()?.into_iter().find(|one| one["kind"] == kind);
    let card = daemon.until("the card", || find("share_drill_stale"));
    assert!(card["message"].as_str().unwrap().contains("treasury, card 1.1 of Ada"), "{card}");
    let down = daemon.until("the site", || find("network_site_down"));
    assert!(down["message"].as_str().unwrap().contains("network-b ("), "{down}");
    fs::rename(&away, &site).unwrap();
    for member in 1..=3 {
        prove(&rig, "cards", member);
    }
    daemon.until("the end of both", || {
        let told = conditions()?;
        let is_over = |kind: &str| !told.iter().any(|one| one["kind"] == kind);
        (is_over("share_drill_stale") && is_over("network_site_down")).then_some(())
    });
    daemon.end();
    assert_eq!(chain.asked(), asked, "nothing was to be asked");
}
