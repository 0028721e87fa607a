//! A recipient that nobody holds: backups are made for it, and two of three holders bring them
//! back.

#![allow(clippy::unwrap_used, reason = "what only tests call is a test as well")]

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::process::Stdio;

use common::daemon::Daemon;
use common::{Rig, Said, files_below};
use ed25519_dalek::{Signer as _, SigningKey};
use evenkeel_custody::Random;
use evenkeel_custody::group::decrypt::{Purpose, Request, Stanza, TargetKey};
use evenkeel_custody::group::{HolderKey, Message, Sealed};
use serde_json::Value;

const PEOPLE: [&str; 3] = ["ada", "bob", "cem"];

struct Os;

impl Random for Os {
    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), evenkeel_custody::RandomError> {
        getrandom::fill(bytes).unwrap();
        Ok(())
    }
}

/// Two sign the test at the same time, each in a process of its own; then everybody switches.
fn in_force(rig: &Rig, table: &str) {
    for _ in 0..6 {
        for who in PEOPLE {
            rig.run(&format!("keys group step --table {table} --holder {who}"));
        }
    }
    let spawn = |who: &str| {
        let mut command = rig.command(&format!("keys group sign --table {table} --holder {who}"));
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    for child in ["ada", "bob"].map(spawn) {
        let said = Said::of(&child.wait_with_output().unwrap());
        assert_eq!(said.exit, 0, "{said:?}");
    }
    for who in PEOPLE {
        rig.ok(&format!("keys group step --table {table} --holder {who}"));
    }
}

fn verified(rig: &Rig, who: &str) -> Value {
    rig.ok(&format!("keys group verify --holder {who} --json")).json()
}

/// Three holders found a recipient, which the home `h` writes for from the first period on.
fn founded() -> Rig {
    let rig = Rig::new();
    for who in PEOPLE {
        rig.ok(&format!("keys group enroll --name {who} --place {who}-safe --holder {who}"));
    }
    rig.ok("keys group plan --table founding --curve recipient --threshold 2 --enrolment \
         ada/enrolment.txt --enrolment bob/enrolment.txt --enrolment cem/enrolment.txt");
    in_force(&rig, "founding");
    rig.ok("init --home h");
    let recipient = verified(&rig, "cem")["recipient"].as_str().unwrap().to_owned();
    assert!(recipient.starts_with("age1"), "{recipient}");
    rig.ok(&format!("recipients add {recipient} --label officers --home h --kept-at three-safes"));
    rig
}

fn root(rig: &Rig) -> String {
    let text = fs::read_to_string(rig.path("h/evenkeel.toml")).unwrap();
    let line = text.lines().find(|line| line.starts_with("root_public_key")).unwrap();
    line.split('"').nth(1).unwrap().to_owned()
}

fn trust(rig: &Rig) {
    for who in PEOPLE {
        rig.ok(&format!("keys group trust --holder {who} --root {}", root(rig)));
    }
}

/// Asks, and gives the id.
fn ask(rig: &Rig, name: &str, purpose: &str) -> String {
    let asked = rig.ok(&format!(
        "keys group ask --home h --table {name} --quorum {name}-own --record ada/record.txt \
         --purpose {purpose} --requester drill-host --json"
    ));
    asked.json()["id"].as_str().unwrap().to_owned()
}

fn answer(rig: &Rig, table: &str, who: &str, id: &str) -> Said {
    rig.run(&format!("keys group answer --table {table} --holder {who} --id {id} --json"))
}

fn quorum(table: &str) -> String {
    format!("--quorum {table}-own --table {table}")
}

fn read(rig: &Rig, file: &str, armor: evenkeel_custody::group::Armor) -> Vec<u8> {
    armor.read(&fs::read_to_string(rig.path(file)).unwrap()).unwrap().to_vec()
}

/// The answer with a byte of what is sealed changed, signed by the holder all the same.
fn spoil(rig: &Rig, file: &str, holder: &str) {
    let mut bytes = read(rig, file, Message::ARMOR);
    let end = bytes.len() - 64;
    bytes[end - 1] ^= 1;
    let key = read(rig, &format!("{holder}/holder.key"), HolderKey::ARMOR);
    let key: [u8; 32] = key[key.len() - 32..].try_into().unwrap();
    let signature = SigningKey::from_bytes(&key).sign(&bytes[..end]).to_bytes();
    bytes[end..].copy_from_slice(&signature);
    fs::write(rig.path(file), Message::ARMOR.write(&[], &bytes).as_bytes()).unwrap();
}

fn check<'a>(drill: &'a Value, name: &str) -> &'a Value {
    drill["checks"].as_array().unwrap().iter().find(|check| check["name"] == name).unwrap()
}

fn desk() -> Rig {
    let rig = founded();
    fs::create_dir(rig.path("data")).unwrap();
    for said in ["monday", "tuesday"] {
        fs::write(rig.path("data/plan"), said).unwrap();
        rig.ok("backup data --home h");
    }
    trust(&rig);
    rig
}

#[test]
fn two_of_three_holders_bring_a_desk_back_and_the_thirds_share_is_never_read() {
    let rig = desk();
    // The third's folder is not even there.
    fs::rename(rig.path("cem"), rig.beside("cem")).unwrap();
    let id = ask(&rig, "back", "restore");
    let nobody = rig.run(&format!("keys group open {}", quorum("back")));
    nobody.refuses(22, &["0 of 2 answers", "holder 1 (ada), holder 2 (bob), holder 3 (cem)"]);
    let shown = rig.run("keys group answer --table back --holder ada --json");
    assert_eq!(shown.exit, 3, "{shown:?}");
    let shown = shown.json();
    assert_eq!((&shown["state"], &shown["id"]), (&"shown".into(), &Value::Null));
    assert_eq!((&shown["purpose"], &shown["requester"]), (&"restore".into(), &"drill-host".into()));
    assert_eq!(shown["lineages"][0]["periods"], 2);
    answer(&rig, "back", "ada", "0123456789abcdef").refuses(2, &["read to you"]);
    answer(&rig, "back", "ada", &id[..15]).refuses(2, &["at least 16 digits"]);
    assert_eq!(answer(&rig, "back", "ada", &id[..16]).exit, 0);
    let restore = format!("restore --home h {} --to new", quorum("back"));
    let early = rig.run(&restore);
    early.refuses(22, &["1 of 2 answers", "not there yet: holder 2 (bob), holder 3 (cem)"]);
    assert!(!rig.path("new").exists());
    assert_eq!(answer(&rig, "back", "bob", &id).exit, 0);
    let said = rig.ok(&restore);
    assert!(said.err.contains("quorum 2 of 3: ada, bob"), "{said:?}");
    let found = files_below(&rig.path("new"));
    let plan = found.iter().find(|path| path.ends_with("plan")).unwrap();
    assert_eq!(fs::read_to_string(plan).unwrap(), "tuesday");

    // What was asked for a restore is for a restore.
    let drill = rig.run(&format!("drill --level D4 --home h {} --json", quorum("back")));
    drill.refuses(2, &["asked for a restore"]);
    // A quorum opens; it certifies no new writer.
    let promoted = rig.run(&format!("restore --home h {} --to other --promote", quorum("back")));
    promoted.refuses(2, &["only the root key certifies"]);
}

#[test]
fn a_drill_with_a_quorum_says_whose_it_was_and_a_forged_answer_is_named() {
    let rig = desk();
    let id = ask(&rig, "drilled", "drill");
    for who in ["ada", "bob"] {
        assert_eq!(answer(&rig, "drilled", who, &id).exit, 0);
    }
    spoil(&rig, "drilled/partial-01.txt", "ada");
    let drill = format!("drill --level D4 --home h {} --json", quorum("drilled"));
    let named = rig.run(&drill);
    named.refuses(20, &["holder 1 (ada) signed a message of a wrong form", "holder 3 (cem)"]);
    assert_eq!(answer(&rig, "drilled", "cem", &id).exit, 0);
    let opens = rig.ok(&format!("keys group open {} --json", quorum("drilled"))).json();
    assert_eq!((&opens["quorum"], &opens["wrong"][0]["number"]), (&vec![2, 3].into(), &1.into()));
    let report = rig.ok(&drill);
    assert!(report.err.contains("WARNING: holder 1 (ada)"), "{}", report.err);
    let report = report.json();
    assert_eq!((&report["level"], &report["result"]), (&"D4".into(), &"ok".into()), "{report}");
    assert_eq!(report["key_used"], "quorum 2 of 3: bob, cem");
    assert_eq!(check(&report, "files")["result"], "ok", "{report}");
    rig.ok("drill verify --home h");

    // The same quorum in a drill of everything, from a kit.
    rig.ok("kit make --home h --out kit.txt");
    let everything = format!(
        "drill everything --kit kit.txt {} --without network --home whole --json",
        quorum("drilled")
    );
    let report = rig.ok(&everything).json();
    for (part, name) in [(0, "keys"), (1, "state")] {
        let part = &report["parts"][part];
        assert_eq!((&part["name"], &part["result"]), (&name.into(), &"ok".into()), "{report:#}");
        assert_eq!(part["opened_by"], "quorum 2 of 3: bob, cem", "{report:#}");
    }
    assert_eq!(report["parts"][2]["result"], "not_configured");
}

#[test]
fn a_venue_comes_back_and_is_drilled_with_a_quorum() {
    let rig = founded().with("EVENKEEL_RECOVERY_POINT_EVERY_SECONDS", "1");
    trust(&rig);
    let mut daemon = Daemon::start(&rig, "");
    daemon.until_points(&rig, 2);
    drop(daemon.end());
    for (name, purpose, pair) in [("b", "restore", ["bob", "cem"]), ("d", "drill", ["ada", "cem"])]
    {
        let id = ask(&rig, name, purpose);
        for who in pair {
            assert_eq!(answer(&rig, name, who, &id).exit, 0);
        }
    }
    let restored = rig.ok(&format!("restore --home h {} --to new --json", quorum("b"))).json();
    let with_identity = "restore --home h --identity h/recovery-identity.txt --to other --json";
    let expected = rig.ok(with_identity).json();
    assert!(restored["position"].as_u64() > Some(0), "{restored}");
    for root in ["position", "state_root", "journal_root", "output_digest"] {
        assert_eq!(restored[root], expected[root]);
    }
    let drill = rig.ok(&format!("drill --level D4 --home h {} --json", quorum("d"))).json();
    assert_eq!((&drill["result"], &drill["position"]), (&"ok".into(), &expected["position"]));
    assert_eq!(drill["key_used"], "quorum 2 of 3: ada, cem");
}

#[test]
fn holders_are_no_oracle_and_answer_for_their_domain_and_generation_alone() {
    let rig = founded();
    fs::create_dir(rig.path("data")).unwrap();
    fs::write(rig.path("data/plan"), "monday").unwrap();
    rig.ok("backup data --home h");
    let id = ask(&rig, "t", "drill");
    answer(&rig, "t", "ada", &id).refuses(12, &["does not answer for domain state"]);
    let stranger: String = SigningKey::from_bytes(&[9; 32])
        .verifying_key()
        .to_bytes()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    rig.ok(&format!("keys group trust --holder ada --root {stranger}"));
    answer(&rig, "t", "ada", &id).refuses(20, &["not signed by the root key"]);
    trust(&rig);

    // A stanza of nobody's object beside the genuine ones, for a key of the forger's.
    let genuine = Request::from_bytes(&read(&rig, "t/decryption.request", Request::ARMOR)).unwrap();
    let sealed = Sealed::from_bytes(&read(&rig, "ada/record.txt", Sealed::ARMOR)).unwrap();
    let mut share = [0; 32];
    share[0] = 9;
    let mut stanzas = genuine.stanzas.clone();
    stanzas.push(Stanza { share, body: [7; 32] });
    let forged = Request::new(
        &sealed,
        (Purpose::Drill, "drill-host"),
        &TargetKey::generate(&mut Os).unwrap(),
        &stanzas,
        (genuine.evidence.clone(), genuine.expires_s),
        &mut Os,
    )
    .unwrap();
    fs::create_dir(rig.path("f")).unwrap();
    let text = Request::ARMOR.write(&[], &forged.to_bytes());
    fs::write(rig.path("f/decryption.request"), text.as_bytes()).unwrap();
    let forged_id: String = forged.id().iter().map(|byte| format!("{byte:02x}")).collect();
    let refused = answer(&rig, "f", "ada", &forged_id);
    refused.refuses(20, &["is in no key object that a trusted domain signed", "nothing was"]);
    assert!(!rig.path("f/partial-01.txt").exists());

    // After a refresh the old request is nobody's, and old answers do not count for a new one.
    assert_eq!(answer(&rig, "t", "bob", &id).exit, 0);
    rig.ok("keys group plan --table refresh --record ada/record.txt");
    in_force(&rig, "refresh");
    let recipient = |who: &str| verified(&rig, who)["recipient"].as_str().unwrap().to_owned();
    assert_eq!(PEOPLE.map(recipient).into_iter().collect::<BTreeSet<_>>().len(), 1);
    answer(&rig, "t", "ada", &id).refuses(12, &["belongs to another group or generation"]);
    let id = ask(&rig, "u", "drill");
    fs::copy(rig.path("t/partial-02.txt"), rig.path("u/partial-02.txt")).unwrap();
    assert_eq!(answer(&rig, "u", "ada", &id).exit, 0);
    let open = rig.run(&format!("keys group open {}", quorum("u")));
    open.refuses(22, &["partial of holder 2 (bob)", "replayed or left over", "not there yet"]);
    fs::remove_file(rig.path("u/partial-02.txt")).unwrap();
    assert_eq!(answer(&rig, "u", "bob", &id).exit, 0);
    rig.ok(&format!("drill --level D4 --home h {}", quorum("u")));
}
