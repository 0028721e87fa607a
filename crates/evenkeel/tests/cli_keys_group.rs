//! `evenkeel keys group …`: a key nobody holds, by the program itself, over files.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod cli_support;

use cli_support::{Bench, Said};
use evenkeel_types::Canonical;
use evenkeel_vault::{
    ApprovalRule, Approver, ApproverKey, Matter, PlanId, Standing, Statement, Word,
};
use serde_json::Value;

const PEOPLE: [&str; 3] = ["ada", "bob", "eve"];

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

fn enroll(bench: &Bench, name: &str) {
    let said =
        bench.run(&format!("keys group enroll --name {name} --place {name}-safe --holder {name}"));
    assert_eq!(said.exit, 0, "{}", said.err);
}

fn step(bench: &Bench, table: &str, who: &str) -> Said {
    bench.run(&format!("keys group step --table {table} --holder {who} --json"))
}

/// Steps by turns until everybody has acknowledged.
fn until_test_is_due(bench: &Bench, table: &str, people: &[&str]) {
    for _ in 0..6 {
        let states: Vec<Value> = people
            .iter()
            .map(|who| {
                let said = step(bench, table, who);
                assert_eq!(said.exit, 3, "{who}: {}", said.err);
                json(&said.out)["state"].clone()
            })
            .collect();
        if states.iter().all(|state| state == "test_due") {
            return;
        }
    }
    panic!("the ceremony does not come to its test");
}

/// Two sign at the same time, each in a process of its own.
fn sign(bench: &Bench, table: &str, signers: [&str; 2]) -> [Said; 2] {
    let spawn = |who: &str| {
        bench
            .command(&format!("keys group sign --table {table} --holder {who} --wait 60 --json"))
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped())
            .spawn()
            .unwrap()
    };
    signers.map(spawn).map(|child| Said::of(&child.wait_with_output().unwrap()))
}

fn in_force(bench: &Bench, table: &str, signers: [&str; 2], people: &[&str]) {
    until_test_is_due(bench, table, people);
    for said in sign(bench, table, signers) {
        assert_eq!(said.exit, 0, "{}", said.err);
    }
    for who in people {
        let said = step(bench, table, who);
        assert_eq!(said.exit, 0, "{who}: {}", said.err);
        assert_eq!(json(&said.out)["state"], "in_force");
    }
}

fn founded() -> Bench {
    let bench = Bench::new();
    PEOPLE.iter().for_each(|name| enroll(&bench, name));
    let said = bench.run(
        "keys group plan --table founding --curve ed25519 --threshold 2 --enrolment \
         ada/enrolment.txt --enrolment bob/enrolment.txt --enrolment eve/enrolment.txt",
    );
    assert_eq!(said.exit, 0, "{}", said.err);
    in_force(&bench, "founding", ["ada", "bob"], &PEOPLE);
    bench
}

fn key(bench: &Bench, who: &str) -> String {
    let said = bench.run(&format!("keys group verify --holder {who} --json"));
    assert_eq!(said.exit, 0, "{}", said.err);
    json(&said.out)["group_key_hex"].as_str().unwrap().to_owned()
}

#[test]
fn three_holders_found_a_key_sign_with_it_and_refresh_it() {
    let bench = founded();
    let group = key(&bench, "eve");
    bench.write("grant", "delete what is older than a year\n");
    let asked = bench.run(
        "keys group request --table grant-table --record eve/record.txt --message grant --signers \
         1,3",
    );
    assert_eq!(asked.exit, 0, "{}", asked.err);
    let [one, other] = sign(&bench, "grant-table", ["ada", "eve"]);
    assert_eq!((one.exit, other.exit), (0, 0), "{}{}", one.err, other.err);
    let signature = json(&one.out)["signature_hex"].clone();
    assert_eq!(signature, json(&other.out)["signature_hex"], "all make the same signature");
    let verify = "keys group verify --record bob/record.txt --signature grant-table/signature.txt";
    assert_eq!(bench.run(&format!("{verify} --message grant")).exit, 0);
    bench.write("other", "delete everything\n");
    let wrong = bench.run(&format!("{verify} --message other"));
    assert_eq!(wrong.exit, 20, "{}", wrong.err);

    let said = bench.run("keys group plan --table refresh --record ada/record.txt");
    assert_eq!(said.exit, 0, "{}", said.err);
    in_force(&bench, "refresh", ["ada", "bob"], &PEOPLE);
    for who in PEOPLE {
        assert_eq!(key(&bench, who), group, "the same key");
        assert!(!bench.path(&format!("{who}/share-1.key")).exists(), "the old share is gone");
        let seeds = std::fs::read_dir(bench.path(who)).unwrap();
        let seeds =
            seeds.filter(|it| it.as_ref().unwrap().path().extension() == Some("seed".as_ref()));
        assert_eq!(seeds.count(), 0, "what was drawn is gone");
    }
}

#[test]
fn a_holder_who_lost_everything_comes_back_with_a_new_key_under_the_old_number() {
    let bench = founded();
    let group = key(&bench, "ada");
    std::fs::remove_dir_all(bench.path("bob")).unwrap();
    enroll(&bench, "bob");
    let said = bench
        .run("keys group plan --table repair --record ada/record.txt --anew 2=bob/enrolment.txt");
    assert_eq!(said.exit, 0, "{}", said.err);
    in_force(&bench, "repair", ["ada", "bob"], &PEOPLE);
    assert_eq!(key(&bench, "bob"), group);
}

#[test]
fn a_message_of_another_ceremony_is_set_aside_and_nothing_is_switched() {
    let bench = founded();
    let before = bench.read("ada/record.txt");
    let said = bench.run("keys group plan --table leave --record ada/record.txt --remove 3");
    assert_eq!(said.exit, 0, "{}", said.err);
    for who in ["ada", "bob", "ada", "bob"] {
        assert_eq!(step(&bench, "leave", who).exit, 3);
    }
    std::fs::remove_file(bench.path("leave/opening-01.txt")).unwrap();
    let first = bench.read("leave/opening-02.txt");
    let other = bench.run("keys group plan --table again --record ada/record.txt --remove 3");
    assert_eq!(other.exit, 0, "{}", other.err);
    assert_eq!(step(&bench, "again", "bob").exit, 3);
    // An opening of another plan is set aside, with its reason.
    std::fs::copy(bench.path("again/opening-02.txt"), bench.path("leave/opening-99.txt")).unwrap();
    let said = step(&bench, "leave", "bob");
    assert_eq!(said.exit, 3, "{}", said.err);
    assert!(said.err.contains("replayed or left over"), "{}", said.err);
    assert_eq!(json(&said.out)["missing"], serde_json::json!([1]));
    assert_eq!(first, bench.read("leave/opening-02.txt"));
    assert_eq!(before, bench.read("ada/record.txt"));
    assert_eq!(bench.run("keys group verify --holder ada").exit, 0);
}

#[test]
fn a_stranger_and_an_interrupted_signing_are_refused_with_what_to_type_next() {
    let bench = founded();
    enroll(&bench, "mallory");
    let said = step(&bench, "founding", "mallory");
    assert_eq!(said.exit, 12, "{}", said.err);
    bench.write("grant", "g");
    let request = "keys group request --record ada/record.txt --message grant --signers 1,2";
    assert_eq!(bench.run(&format!("{request} --table t")).exit, 0);
    let alone = bench.run("keys group sign --table t --holder ada --wait 0");
    assert_eq!(alone.exit, 3, "{}", alone.err);
    assert!(alone.err.contains("holder 2 (bob)"), "{}", alone.err);
    let again = bench.run("keys group sign --table t --holder ada --wait 0");
    assert_eq!(again.exit, 1, "{}", again.err);
    assert!(again.err.contains("make a new request"), "{}", again.err);
    let few = bench
        .run("keys group request --record ada/record.txt --message grant --signers 1 --table u");
    assert_eq!(few.exit, 2, "{}", few.err);
}

#[test]
fn a_group_is_one_approver_of_deletions_by_an_ordinary_signature() {
    let bench = founded();
    let unhex = |text: &str| -> Vec<u8> {
        let digits = (0..text.len()).step_by(2);
        digits.map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
    };
    let group: [u8; 32] = unhex(&key(&bench, "ada")).try_into().unwrap();
    let plan = PlanId([7; 32]);
    // What an approver signs (docs/formats/vault.md): approve, the plan, time 0, the approver.
    let context = b"evenkeel vault deletion v1\0".as_slice();
    let word = [context, &[0], &plan.0, &[0], &group].concat();
    std::fs::write(bench.path("word"), word).unwrap();
    let request = "keys group request --table t --record ada/record.txt --message word";
    assert_eq!(bench.run(&format!("{request} --signers 2,3")).exit, 0);
    let [one, other] = sign(&bench, "t", ["bob", "eve"]);
    assert_eq!((one.exit, other.exit), (0, 0), "{}{}", one.err, other.err);
    let signature = unhex(json(&one.out)["signature_hex"].as_str().unwrap());

    let bytes = [b"EVKG\x01\x00".as_slice(), &plan.0, &[0], &group, &signature].concat();
    let statement = Statement::from_bytes(&bytes).unwrap();
    assert!(statement.is_genuine(&Matter::deletion("state", plan)));
    let matter = Matter::deletion("state", plan);
    let person = ApproverKey::from_bytes(&[1; 32]);
    let rule = ApprovalRule::new(&[Approver::Key(group), person.approver()], 2, 1).unwrap();
    let second = person.say(Word::Approve, &matter, 0);
    let alone = rule.judge(&matter, &[(second.clone(), 0)], 9);
    assert_eq!(alone, Standing::Waiting { approvals: 1, needed: 2 });
    let both = rule.judge(&matter, &[(second, 0), (statement, 0)], 9);
    assert_eq!(both, Standing::Valid { from_ns: 1 });
}
