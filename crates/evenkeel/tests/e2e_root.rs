//! A domain's root that is elsewhere: a group nobody of whom has it, another machine. What it has
//! to sign is carried there and back, and nothing counts before.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![cfg(unix)]

mod approvers;
mod common;

use std::collections::BTreeSet;
use std::fs;

use approvers::{PEOPLE, both_sign, found_group};
use common::{Rig, Said};
use evenkeel_vault::Identity;
use serde_json::Value;

/// Founds a group, and gives its key.
fn group(rig: &Rig) -> String {
    found_group(rig, "ed25519", PEOPLE, "founding");
    let verified = rig.ok("keys group verify --holder ada --json").json();
    verified["group_key_hex"].as_str().unwrap().to_owned()
}

/// Somebody who opens, and certifies nobody.
fn officer(rig: &Rig, name: &str) -> String {
    let identity = Identity::generate();
    fs::write(rig.path(name), identity.to_text().as_bytes()).unwrap();
    identity.recipient().to_string()
}

/// Two holders sign everything that a request asks for, on the table of this name.
fn group_signs(rig: &Rig, request: &str, table: &str) -> Value {
    let shown = rig.ok(&format!("root show {request} --out {table}-messages --json")).json();
    let messages: String = shown["written"]
        .as_array()
        .unwrap()
        .iter()
        .map(|file| format!(" --message {}", file.as_str().unwrap()))
        .collect();
    rig.ok(&format!(
        "keys group request --table {table} --record ada/record.txt --signers 2,3{messages}"
    ));
    both_sign(rig, table, ["bob", "cem"]);
    shown
}

/// What a request asks for, and it is signed and taken.
fn granted(rig: &Rig, request: &str, home: &str) -> Vec<String> {
    let shown = group_signs(rig, request, &format!("{request}-table"));
    let line = format!("root accept {request} --home {home} --signatures {request}-table --json");
    let taken = rig.ok(&line).json();
    let words = taken["words"].as_array().unwrap();
    assert!(words.iter().all(|word| word["counts"] == true), "{taken}");
    assert_eq!(words.len(), shown["words"].as_array().unwrap().len());
    words.iter().map(|word| word["says"].as_str().unwrap().to_owned()).collect()
}

fn waits(said: &Said) {
    said.refuses(10, &["wait", "root request"]);
}

fn lineages(rig: &Rig, home: &str) -> BTreeSet<String> {
    let listed = rig.ok(&format!("points --home {home} --json")).json();
    let points = listed["points"].as_array().unwrap().iter();
    points.map(|point| point["lineage"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_group_certifies_a_venue_its_successor_and_everything_else_that_a_root_signs() {
    let rig = Rig::new();
    let root = group(&rig);
    let opens = officer(&rig, "officer.txt");
    rig.ok(&format!("init --home h --root-public-key {root} --recovery-recipient {opens}"));
    assert!(!rig.path("h/recovery-identity.txt").exists());
    let up = "up --role primary --dashboard off --exit-after 3 --home";
    waits(&rig.run(&format!("{up} h")));
    assert!(!rig.path("h/host/journal").exists());

    let checked = rig.ok("config check --home h");
    let said = format!("{}{}", checked.out, checked.err);
    assert!(said.contains("[root] 3 certificates of domain state wait"), "{said}");
    // Three writers: of the venue, of files, of databases. Each is signed on a table of its own.
    rig.ok("root request --home h --out first");
    let shown = group_signs(&rig, "first", "t");
    let writer = fs::read_to_string(rig.path("h/host/keys/state/writer.key")).unwrap();
    let public = writer.lines().find_map(|line| line.strip_prefix("# public: ")).unwrap();
    let words = shown["words"][0]["words"].as_array().unwrap();
    assert!(words.iter().any(|line| line == &format!("writer: {public}")), "{shown}");
    assert!(words.iter().any(|line| line == "writes: the main line"), "{shown}");
    let some = "root accept first --home h --signatures t/1/signature.txt t/2/signature.txt";
    let some = rig.run(some);
    assert_eq!(some.exit, 3, "{some:?}");
    waits(&rig.run(&format!("{up} h")));
    rig.ok("root accept first --home h --signatures t");
    rig.ok("root accept first --home h --signatures t");
    rig.run("root request --home h --out none").refuses(10, &["nothing of this home waits"]);
    rig.ok(&format!("{up} h"));
    rig.ok("drill --home h --level D4 --identity officer.txt");

    succession(&rig, up);
    everything_else(&rig);
}

/// The host is gone; who opens is one, and who certifies the next writer is the group.
fn succession(rig: &Rig, up: &str) {
    let promote = "restore --home h --identity officer.txt --promote --attest-primary-dead --to";
    rig.run(&format!("{promote} new")).refuses(12, &["--root-request"]);
    let lost = rig.path("h/host");
    fs::rename(&lost, rig.path("lost")).unwrap();
    let old = lineages(rig, "h");
    rig.ok(&format!("{promote} new --root-request next"));
    rig.run(&format!("{promote} other --root-request next")).refuses(2, &["there already"]);
    assert!(!rig.path("other").exists());
    waits(&rig.run(&format!("{up} new")));
    assert_eq!(lineages(rig, "new"), old, "nothing of the new lineage is at the sites");
    assert_eq!(granted(rig, "next", "new"), ["certificate"]);
    rig.ok(&format!("{up} new"));
    assert_eq!(lineages(rig, "new").len(), old.len() + 1);
    rig.ok("drill --home new --level D4 --identity officer.txt");
}

/// Earlier periods for another recipient, rules that take approvals, a writer who is not believed.
fn everything_else(rig: &Rig) {
    let second = officer(rig, "second.txt");
    rig.ok(&format!("recipients add {second} --label second --home new"));
    let rewrap = "recipients rewrap --home new --identity officer.txt";
    rig.run("recipients rewrap --home new --identity second.txt --root-request none");
    rig.ok(&format!("{rewrap} --root-request wraps"));
    assert_eq!(rig.run("recipients list --home new").exit, 3, "nothing counts before");
    let wrapped = granted(rig, "wraps", "new");
    assert!(wrapped.iter().all(|says| says == "key-wrapped-anew"), "{wrapped:?}");
    rig.ok("recipients list --home new");
    rig.ok("drill --home new --level D4 --identity second.txt");

    let approver = rig.ok("prune key --out approver.key").out.trim().to_owned();
    let config = rig.path("new/evenkeel.toml");
    let text = fs::read_to_string(&config).unwrap();
    let rule = format!(
        "{text}\n[approvals.export]\napprovers = [\"{approver}\"]\nneeded = 1\ndelay_hours = 24\n"
    );
    fs::write(&config, rule).unwrap();
    rig.ok("approvals publish --home new --root-request rules");
    assert_eq!(rig.ok("approvals list --home new --json").json()["policy"], Value::Null);
    assert_eq!(granted(rig, "rules", "new"), ["approval-policy"]);
    assert_eq!(rig.ok("approvals list --home new --json").json()["policy"], 1);

    let all = lineages(rig, "new");
    let newest = rig.ok("points --home new --json").json();
    let newest = newest["points"].as_array().unwrap().last().unwrap()["lineage"].clone();
    let newest = newest.as_str().unwrap();
    rig.ok(&format!(
        "recipients revoke-writer --home new --lineage {newest} --after 0 --root-request theft"
    ));
    assert_eq!(lineages(rig, "new"), all);
    assert_eq!(granted(rig, "theft", "new"), ["revocation"]);
    assert!(!lineages(rig, "new").contains(newest));
}

#[test]
fn a_desk_and_its_network_are_protected_once_a_root_on_another_machine_has_signed() {
    let rig = Rig::new();
    rig.ok("init --home safe");
    rig.ok("init --home vault");
    let root = |home: &str| {
        let config = fs::read_to_string(rig.path(&format!("{home}/evenkeel.toml"))).unwrap();
        let line = config.lines().find(|line| line.starts_with("root_public_key")).unwrap();
        line.split('"').nth(1).unwrap().to_owned()
    };
    let signs = |request: &str, home: &str, domain: &str| {
        rig.ok(&format!("root request --home d{domain} --out {request}"));
        rig.ok(&format!(
            "root sign {request} --identity {home}/recovery-identity.txt --out {request}-signed"
        ));
        rig.ok(&format!("root accept {request} --home d --signatures {request}-signed"));
    };
    fs::create_dir(rig.path("data")).unwrap();
    fs::write(rig.path("data/orders.csv"), "1,buy,2\n").unwrap();
    let protect = format!("protect data --home d --root-public-key {}", root("safe"));
    waits(&rig.run(&protect));
    rig.run("backup --home d").refuses(10, &["has not signed the certificate", "root request"]);
    signs("state", "safe", "");
    let other = format!("protect data --home d --root-public-key {}", root("vault"));
    rig.run(&other).refuses(2, &["another root already"]);
    let done = rig.ok(&protect);
    assert!(done.err.contains("recovery-identity.txt"), "{done:?}");
    rig.ok("restore --home d --identity d/recovery-identity.txt --to back");
    assert!(common::files_below(&rig.path("back")).iter().any(|file| file.ends_with("orders.csv")));

    let endpoint = "format = 1\n\n[[chains]]\nname = \"main\"\nchain_id = 1\n\
        settled_blocks = 0\n\n[[endpoints]]\nname = \"one\"\nchain = \"main\"\n\
        url = \"http://127.0.0.1:9\"\n";
    fs::write(rig.path("network.toml"), endpoint).unwrap();
    let network =
        format!("network protect network.toml --home d --root-public-key {}", root("vault"));
    waits(&rig.run(&network));
    signs("network", "vault", " --domain network");
    rig.ok(&network);
    let versions = rig.ok("network versions --home d --json").json();
    assert_eq!(versions["versions"].as_array().unwrap().len(), 1, "{versions}");
    // Keys of files that were lost are made again, and certified by the same root.
    fs::rename(rig.path("d/host/keys/state/files.key"), rig.path("lost.key")).unwrap();
    fs::rename(rig.path("d/host/keys/state/files.certificate"), rig.path("lost.cert")).unwrap();
    rig.run("init --add-files --home d").refuses(2, &["--root-request"]);
    rig.ok("init --add-files --home d --root-request again");
    rig.run("backup --home d").refuses(10, &["has not signed"]);
    rig.ok("root sign again --identity safe/recovery-identity.txt --out again-signed");
    rig.ok("root accept again --home d --signatures again-signed/1.signature");
    rig.ok("backup --home d");
}

#[test]
fn what_is_not_signed_by_the_root_over_exactly_that_is_named_and_changes_nothing() {
    let rig = Rig::new();
    rig.ok("init --home safe");
    let config = fs::read_to_string(rig.path("safe/evenkeel.toml")).unwrap();
    let line = config.lines().find(|line| line.starts_with("root_public_key")).unwrap();
    let root = line.split('"').nth(1).unwrap().to_owned();
    rig.run("init --home h --root-public-key 00ff").refuses(2, &["root public key"]);
    rig.run("init --home h --recovery-recipient age1x").refuses(2, &["--root-public-key"]);
    rig.ok(&format!("init --home h --root-public-key {root}"));
    rig.ok(&format!("init --home other --root-public-key {root}"));
    rig.ok("init --home stranger");
    rig.ok("root request --home h --out request");
    rig.run("root request --home h --out request").refuses(1, &["request"]);
    rig.run("root sign request --identity stranger/recovery-identity.txt --out s")
        .refuses(12, &["not the root", &root]);
    rig.ok("root sign request --identity safe/recovery-identity.txt --out s");
    // A home of the same root that did not ask for these, and one of another root.
    rig.run("root accept request --home other --signatures s").refuses(2, &["no writer of this"]);
    rig.run("root accept request --home stranger --signatures s").refuses(12, &["another root"]);
    rig.run("root accept request --home h --signatures h").refuses(10, &["no signature lies"]);
    // A signature of the root, of something else.
    rig.ok("root request --home other --out else");
    rig.ok("root sign else --identity safe/recovery-identity.txt --out e");
    rig.run("root accept request --home h --signatures s e").refuses(12, &["no signature of the"]);
    torn_and_changed(&rig);
    waits(&rig.run("up --home h --dashboard off --exit-after 1"));
    rig.ok("root accept request --home h --signatures s");
    // Whoever changes a certificate afterwards only breaks it.
    let certificate = rig.path("h/host/keys/state/writer.certificate");
    let good = fs::read_to_string(&certificate).unwrap();
    let last = good.trim_end().chars().last().unwrap();
    let flipped = if last == '0' { '1' } else { '0' };
    let bad = format!("{}{flipped}\n", &good.trim_end()[..good.trim_end().len() - 1]);
    fs::write(&certificate, bad).unwrap();
    let said = rig.run("up --role primary --home h --dashboard off --exit-after 1");
    said.refuses(20, &["not signed by the root key"]);
}

/// A request that lost a line is refused. One that was changed on its way asks for something else,
/// for which nobody waits.
fn torn_and_changed(rig: &Rig) {
    let text = fs::read_to_string(rig.path("request")).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let first = lines.iter().position(|line| *line == "EVENKEEL-ROOT-REQUEST-1").unwrap() + 1;
    let without: Vec<&str> = lines
        .iter()
        .enumerate()
        .filter(|(at, _)| *at != first + 2)
        .map(|(_, line)| *line)
        .collect();
    fs::write(rig.path("torn"), without.join("\n")).unwrap();
    assert_eq!(rig.run("root show torn").exit, 20);
    let mut understood = 0;
    for at in first..first + 8 {
        let line = lines[at];
        let digit = if line.starts_with('0') { "1" } else { "0" };
        let mut changed = lines.clone();
        let other = format!("{digit}{}", &line[1..]);
        changed[at] = &other;
        fs::write(rig.path("changed"), changed.join("\n") + "\n").unwrap();
        let said = rig.run("root sign changed --identity safe/recovery-identity.txt --out c");
        if said.exit == 0 {
            understood += 1;
            rig.run("root accept changed --home h --signatures c")
                .refuses(2, &["no writer of this"]);
            fs::remove_dir_all(rig.path("c")).unwrap();
        } else {
            assert!([12, 20].contains(&said.exit), "{said:?}");
        }
    }
    assert!(understood > 0);
}
