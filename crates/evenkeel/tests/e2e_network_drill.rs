//! Drills of network metadata: beside those of the state, alone, with its recovery identity, from a
//! kit; what is promised of them; who is told.

#![allow(clippy::unwrap_used, reason = "what only tests call is a test as well")]

mod approvers;
mod common;
mod network_support;

use std::fs;
use std::path::Path;

use common::daemon::Daemon;
use common::{Rig, files_below};
use network_support::{Script, Scripted, write_document};
use serde_json::Value;

/// A home that protects a document of the network, in two versions, and nothing else.
fn desk(chain: &Scripted) -> Rig {
    let rig = Rig::new();
    document(&rig, chain, "one");
    rig.ok("network protect network.toml --home h");
    document(&rig, chain, "two");
    rig.ok("network backup --home h");
    fs::rename(rig.path("h/network-recovery-identity.txt"), rig.path("identity.txt")).unwrap();
    rig
}

fn document(rig: &Rig, chain: &Scripted, name: &str) {
    write_document(&rig.disk(), chain, name, "");
}

fn source(drill: &Value) -> &Value {
    let all = drill["sources"].as_array().unwrap();
    all.iter().find(|one| one["name"] == "network").unwrap_or_else(|| panic!("{drill:#}"))
}

fn check<'d>(drill: &'d Value, name: &str) -> &'d Value {
    let all = drill["checks"].as_array().unwrap();
    all.iter().find(|one| one["name"] == name).unwrap_or_else(|| panic!("{name}: {drill:#}"))
}

#[test]
fn a_drill_with_the_recovery_identity_proves_the_network_from_a_kit() {
    let chain = Scripted::start(Script::at(50));
    let rig = desk(&chain);
    rig.ok("kit make --home h --domain network --out kit.txt");
    let (d4, on) = ("drill --level D4 --identity identity.txt", "--home h --domain network");
    let drill = rig.ok(&format!("{d4} {on} --json")).json();
    assert_eq!((&drill["domain"], &drill["level"]), (&"network".into(), &"D4".into()), "{drill}");
    assert_eq!((&drill["result"], drill["position"].as_u64()), (&"ok".into(), Some(2)));
    assert!(drill["rto_seconds"].as_f64() > Some(0.0), "{drill}");
    assert_eq!(source(&drill)["rto_target_seconds"], 600.0, "{drill}");
    assert_eq!(drill["within_objectives"], true, "{drill}");
    assert!(rig.ok("drill verify --home h").out.contains("version 2 of the network restored"));
    // The drill host's identity is not the recovery identity, and D4 says so.
    let own = "--identity h/drill-host/network-identity.txt";
    let wrong = rig.run(&format!("drill --level D4 {own} {on}"));
    assert!(wrong.exit == 12 || wrong.exit == 2, "{wrong:?}");
    let state = rig.run(&format!("drill --level D4 --identity h/recovery-identity.txt {on}"));
    state.refuses(12, &["not the network's recovery identity"]);
    rig.run(&format!("drill --level D4 {on}")).refuses(2, &["network-recovery-identity.txt"]);
    rig.run(&format!("drill --level D2 {on}")).refuses(2, &["the network has none"]);
    let audit = rig.ok(&format!("drill --level D1 {on} --json")).json();
    assert_eq!(
        (&audit["domain"], &source(&audit)["result"]),
        (&"network".into(), &"unproven".into())
    );
    // Nothing is left but two of three sites.
    for gone in ["h/host", "h/drill-host", "h/sites/network-b"] {
        fs::remove_dir_all(rig.path(gone)).unwrap();
    }
    fs::remove_file(rig.path("h/evenkeel.toml")).unwrap();
    let drill = rig.ok(&format!("{d4} --kit kit.txt --json")).json();
    assert_eq!((&drill["result"], &drill["level"]), (&"ok".into(), &"D4".into()), "{drill}");
    assert!(drill["key_used"].as_str().unwrap().contains("kit "), "{drill}");
    assert_eq!(drill["sites_missing"].as_array().unwrap().len(), 1, "{drill}");
    println!(
        "network from a kit, one of three sites lost: D4 {}, RTO {} s, RPO {} s",
        drill["result"],
        drill["rto_seconds"],
        source(&drill)["rpo_seconds"]
    );
}

#[test]
fn rpo_and_rto_of_the_network_are_held_against_what_is_promised() {
    let chain = Scripted::start(Script::at(50));
    let rig = desk(&chain).with("EVENKEEL_NETWORK_RPO_SECONDS", "1");
    std::thread::sleep(std::time::Duration::from_millis(1_200));
    let drill = rig.ok("drill --level D3 --home h --domain network --json").json();
    assert_eq!(drill["result"], "ok", "an old version is told, not failed: {drill}");
    assert_eq!(drill["within_objectives"], false, "{drill}");
    let detail = check(&drill, "network")["detail"].as_str().unwrap();
    assert!(detail.contains("of 1 s, older than promised"), "{detail}");
    assert_eq!(source(&drill)["rpo_target_seconds"], 1.0);
    // Where a version is made only when the document changes, nothing is promised of its age.
    let rig = rig.with("EVENKEEL_NETWORK_VERSION_EVERY_SECONDS", "0");
    let drill = rig.ok("drill --level D3 --home h --domain network --json").json();
    assert_eq!(source(&drill)["rpo_target_seconds"], Value::Null, "{drill}");
    assert_eq!(drill["within_objectives"], true, "{drill}");
    // Beside a drill of the state, the same source stands in the same report.
    fs::write(rig.path("plan"), "monday").unwrap();
    rig.ok("backup plan --home h");
    let both = rig.ok("drill --level D3 --home h --json").json();
    assert_eq!((&both["domain"], &source(&both)["result"]), (&"state".into(), &"ok".into()));
    let kit = rig.run("kit make --home h --domain network --out later.txt");
    assert_eq!(kit.exit, 0, "{kit:?}");
    let text = fs::read_to_string(rig.path("later.txt")).unwrap();
    assert!(text.contains("a drill has proven: D3 at 20"), "{text}");
}

fn copy(from: &Path, to: &Path) {
    for file in files_below(from) {
        let place = to.join(file.strip_prefix(from).unwrap());
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        fs::copy(&file, &place).unwrap();
    }
}

#[test]
fn sites_that_go_back_to_an_older_version_fail_the_drill() {
    let chain = Scripted::start(Script::at(50));
    let rig = desk(&chain);
    let sites = ["a", "b", "c"].map(|name| rig.path(&format!("h/sites/network-{name}")));
    let kept: Vec<_> =
        ["a", "b", "c"].iter().map(|name| rig.path(&format!("kept-{name}"))).collect();
    for (site, kept) in sites.iter().zip(&kept) {
        copy(site, kept);
    }
    document(&rig, &chain, "three");
    rig.ok("network backup --home h");
    rig.ok("drill --level D3 --home h --domain network");
    for (site, kept) in sites.iter().zip(&kept) {
        fs::remove_dir_all(site).unwrap();
        copy(kept, site);
    }
    let drill = rig.run("drill --level D3 --home h --domain network --json");
    assert_eq!(drill.exit, 20, "{drill:?}");
    assert_eq!(check(&drill.json(), "freshness")["result"], "failed", "{drill:?}");
    fs::write(rig.path("plan"), "monday").unwrap();
    rig.ok("backup plan --home h");
    let beside = rig.run("drill --level D3 --home h --json");
    assert_eq!(beside.exit, 20, "{beside:?}");
    assert_eq!(check(&beside.json(), "network")["result"], "failed", "{beside:?}");
}

#[test]
fn a_home_of_the_network_alone_drills_it_by_itself_and_says_how_long_ago() {
    let chain = Scripted::start(Script::at(50));
    let rig = desk(&chain).with("EVENKEEL_DRILL_EVERY_SECONDS", "60");
    let mut daemon = Daemon::spawn(&rig, &mut rig.command("up --home h --dashboard off"));
    let proven = daemon.until("a drill of the network", || {
        let status = rig.run("status --home h --json");
        let status = (status.exit == 0).then(|| status.json())?;
        let network =
            status["protected"].as_array()?.iter().find(|one| one["kind"] == "network")?;
        network["last_proven_restore"]["age_seconds"].as_f64().map(|age| (age, status.clone()))
    });
    let (age, status) = proven;
    assert!(age < 60.0, "{age}");
    assert_eq!(status["last_drill"]["result"], "ok", "{status}");
    let failed = |one: &Value| one["kind"] == "drill_failed";
    assert!(!status["conditions"].as_array().unwrap().iter().any(failed), "{status}");
    daemon.end();
}

/// Asks for what `purpose` needs, and two of three holders answer; what is laid then opens.
fn answered(rig: &Rig, purpose: &str) -> String {
    let asked = rig.ok(&format!(
        "keys group ask --home h --domain network --table {purpose} --quorum {purpose}-own \
         --record ada/record.txt --purpose {purpose} --requester drill-host --json"
    ));
    let id = asked.json()["id"].as_str().unwrap().to_owned();
    assert!(asked.json()["next"].to_string().contains("network"), "{asked:?}");
    for who in ["ada", "cem"] {
        rig.ok(&format!("keys group answer --table {purpose} --holder {who} --id {id}"));
    }
    format!("--quorum {purpose}-own --table {purpose}")
}

#[test]
fn a_quorum_proves_the_network_and_brings_it_back() {
    let chain = Scripted::start(Script::at(50));
    let rig = desk(&chain);
    approvers::found_group(&rig, "recipient", approvers::PEOPLE, "founding");
    let verified = rig.ok("keys group verify --holder ada --json").json();
    let recipient = verified["recipient"].as_str().unwrap().to_owned();
    let on = "--home h --domain network";
    rig.ok(&format!("recipients add {recipient} --label officers --role holder {on}"));
    rig.ok(&format!("recipients rewrap {on} --identity identity.txt"));
    let config = fs::read_to_string(rig.path("h/evenkeel.toml")).unwrap();
    let own = config.split("\n[domains.network]\n").nth(1).unwrap();
    let root = own.lines().find(|line| line.starts_with("root_public_key")).unwrap();
    let root = root.split('"').nth(1).unwrap();
    for who in approvers::PEOPLE {
        rig.ok(&format!("keys group trust --holder {who} --root {root} --domain network"));
    }
    let drilled = answered(&rig, "drill");
    let drill = rig.ok(&format!("drill {on} --level D4 {drilled} --json")).json();
    assert_eq!(drill["result"], "ok", "{drill}");
    assert!(drill.to_string().contains("quorum 2 of 3"), "{drill}");
    // What was asked for a drill opens no restore.
    let early = rig.run(&format!("network restore --home h --offline {drilled} --to early"));
    assert_ne!(early.exit, 0, "{early:?}");
    assert!(!rig.path("early").exists());
    let opened = answered(&rig, "restore");
    rig.ok(&format!("network restore --home h --offline {opened} --to back"));
    assert!(fs::read_to_string(rig.path("back/network.toml")).unwrap().contains("\"two\""));
    let diff = rig.ok(&format!("network diff 1 2 --home h {opened}"));
    assert_eq!(diff.out, "endpoint one is gone\nendpoint two is new\n");
}
