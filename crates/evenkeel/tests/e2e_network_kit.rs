//! The domain of network metadata as whole as the state's: its kit on a machine that has nothing,
//! its checks, its recipients, its deletions.

#![allow(clippy::unwrap_used, reason = "what only tests call is a test as well")]

mod common;
mod network_support;

use std::fs;

use common::{Rig, files_below};
use network_support::{Script, Scripted, write_document};

const IDENTITY: &str = "--identity network-identity.txt";

/// A home with two versions of the network, a kit of it and one of the state; the network's
/// recovery identity is moved away.
fn desk(chain: &Scripted) -> Rig {
    let rig = Rig::new();
    document(&rig, chain, "one");
    rig.ok("network protect network.toml --home h");
    document(&rig, chain, "two");
    rig.ok("network backup --home h");
    fs::write(rig.path("plan"), "monday").unwrap();
    rig.ok("backup plan --home h");
    rig.ok("kit make --home h --domain network --out kit.txt");
    rig.ok("kit make --home h --out state.txt");
    fs::rename(rig.path("h/network-recovery-identity.txt"), rig.path("network-identity.txt"))
        .unwrap();
    rig
}

fn document(rig: &Rig, chain: &Scripted, name: &str) {
    fs::write(rig.path("cursor"), "48\n").unwrap();
    let cursor = "[[indexers]]\nname = \"trades\"\nchain = \"main\"\ncursor_file = \"cursor\"\n";
    write_document(&rig.disk(), chain, name, cursor);
}

/// Everything but two of the network's three sites is lost.
fn lose_the_host(rig: &Rig) {
    for gone in ["h/host", "h/drill-host", "h/sites/network-b"] {
        fs::remove_dir_all(rig.path(gone)).unwrap();
    }
    for site in fs::read_dir(rig.path("h/sites")).unwrap().flatten() {
        if site.file_name().to_string_lossy().starts_with("site-") {
            fs::remove_dir_all(site.path()).unwrap();
        }
    }
    for gone in ["h/evenkeel.toml", "network.toml", "cursor"] {
        fs::remove_file(rig.path(gone)).unwrap();
    }
}

#[test]
fn a_machine_with_nothing_brings_the_network_back_from_its_kit_and_an_identity() {
    let chain = Scripted::start(Script::at(50));
    let rig = desk(&chain);
    let text = fs::read_to_string(rig.path("kit.txt")).unwrap();
    for part in ["`network`", "network-a", "any 2 of these 3", "network recovery", "newest point"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    for part in ["AGE-SECRET-KEY-1Q", "ROOT-KEY-1-", "site-a", "http://"] {
        assert!(!text.contains(part), "{part}: {text}");
    }
    assert_eq!(rig.run("kit check kit.txt --home h").exit, 0);
    lose_the_host(&rig);

    let points = rig.ok("points --kit kit.txt --json").json();
    let all = points["points"].as_array().unwrap();
    let kinds: Vec<_> = all.iter().map(|one| (&one["kind"], &one["domain"])).collect();
    assert_eq!(kinds, [(&"network".into(), &"network".into()); 2], "{points}");
    let versions = rig.ok("network versions --kit kit.txt --json").json();
    assert_eq!(versions["versions"].as_array().unwrap().len(), 2);
    let diff = rig.ok(&format!("network diff 1 2 --kit kit.txt {IDENTITY}"));
    assert_eq!(diff.out, "endpoint one is gone\nendpoint two is new\n");
    rig.run(&format!("network diff --kit kit.txt {IDENTITY}"))
        .refuses(2, &["no document as it is now", "network diff A B"]);
    let verified = rig.run(&format!("verify --kit kit.txt {IDENTITY} --json"));
    assert_eq!(verified.exit, 3, "one of three sites is gone: {verified:?}");
    let audited = rig.run("audit --kit kit.txt --json");
    assert_eq!(audited.exit, 3, "{audited:?}");
    let back = rig.ok(&format!("network restore --kit kit.txt {IDENTITY} --to back --json")).json();
    assert_eq!(back["version"], 2, "{back}");
    assert!(fs::read_to_string(rig.path("back/network.toml")).unwrap().contains("\"two\""));
    assert_eq!(fs::read_to_string(rig.path("back/trades.cursor")).unwrap(), "48\n");
    println!(
        "host and one of three sites lost: version {} back from a kit in {} s",
        back["version"], back["elapsed_seconds"]
    );
    let earlier = format!("network restore --kit kit.txt {IDENTITY} --to first --version 1");
    rig.ok(&format!("{earlier} --offline"));
    assert!(fs::read_to_string(rig.path("first/network.toml")).unwrap().contains("\"one\""));
}

#[test]
fn a_kit_of_the_other_domain_is_refused_by_name_and_opens_nothing() {
    let chain = Scripted::start(Script::at(50));
    let rig = desk(&chain);
    let other = ["this is a kit of the domain `network`; here one of `state` is needed"];
    rig.run("points --kit kit.txt --domain state").refuses(2, &other);
    rig.run(&format!("restore --kit kit.txt {IDENTITY} --to new")).refuses(2, &other);
    rig.run(&format!("ls newest --kit kit.txt {IDENTITY}")).refuses(2, &other);
    let state = ["this is a kit of the domain `state`; here one of `network` is needed"];
    rig.run("network versions --kit state.txt").refuses(2, &state);
    rig.run(&format!("network restore --kit state.txt {IDENTITY} --to new")).refuses(2, &state);
    rig.run("verify --kit state.txt --domain network").refuses(2, &state);
    rig.run("kit check kit.txt --domain state --home h")
        .refuses(2, &["this is a kit of the domain `network`"]);
    assert!(!rig.path("new").exists());
    // The identity of the state opens nothing of the network, and wraps nothing there.
    let state = "--identity h/recovery-identity.txt";
    let wrong = rig.run(&format!("network restore --kit kit.txt {state} --to new"));
    assert_eq!(wrong.exit, 12, "{wrong:?}");
    let wrong = rig.run(&format!("recipients rewrap --kit kit.txt {state}"));
    assert_eq!(wrong.exit, 12, "{wrong:?}");
    rig.ok(&format!("recipients rewrap --kit kit.txt {IDENTITY}"));
    // A program before kits of this domain looks for its format, and stops there.
    let text = fs::read_to_string(rig.path("kit.txt")).unwrap();
    assert!(text.contains("\nformat = 2\n"), "{text}");
    let unknown = text.replace("\ndomain = \"network\"", "\ndomain = \"moon\"");
    fs::write(rig.path("moon.txt"), unknown).unwrap();
    rig.run("points --kit moon.txt").refuses(2, &["it is of the domain `moon`"]);
}

#[test]
fn a_stale_kit_of_the_network_is_told_apart_from_one_of_the_state() {
    let chain = Scripted::start(Script::at(50));
    let rig = desk(&chain);
    let quiet = rig.ok("config check --home h");
    assert!(!quiet.out.contains("[kit]"), "{}", quiet.out);
    let toml = rig.path("h/evenkeel.toml");
    let moved = fs::read_to_string(&toml).unwrap().replace("sites/network-c", "sites/network-z");
    fs::write(&toml, moved).unwrap();
    fs::rename(rig.path("h/sites/network-c"), rig.path("h/sites/network-z")).unwrap();
    let stale = rig.run("kit check kit.txt --home h");
    assert_eq!(stale.exit, 3, "{stale:?}");
    assert!(stale.err.contains("kit make --domain network"), "{stale:?}");
    assert_eq!(rig.run("kit check state.txt --home h").exit, 0);
    let status = rig.ok("status --home h --json").json();
    let conditions = status["conditions"].as_array().unwrap();
    let is = |kind: &str| conditions.iter().any(|one| one["kind"] == kind);
    assert!(is("network_kit_stale") && !is("kit_stale"), "{status}");
}

#[test]
fn what_opens_the_network_is_refused_among_what_is_protected_and_inside_its_sites() {
    let chain = Scripted::start(Script::at(50));
    let rig = desk(&chain);
    let toml = rig.path("h/evenkeel.toml");
    let text = fs::read_to_string(&toml).unwrap();
    fs::create_dir(rig.path("data")).unwrap();
    let hidden = rig.path("data/network-identity.txt");
    fs::rename(rig.path("network-identity.txt"), &hidden).unwrap();
    let data = rig.path("data");
    let told =
        text.replace("\npaths = []", &format!("\npaths = [\"{}\"]", data.display())).replace(
            "kept_at = \"network-recovery-identity.txt\"",
            &format!("kept_at = \"{}\"", hidden.display()),
        );
    fs::write(&toml, &told).unwrap();
    let refused = rig.run("config check --home h");
    assert_eq!(refused.exit, 2, "{refused:?}");
    assert!(refused.out.contains("`network recovery` kept_at"), "{}", refused.out);
    // Inside a site, it is lost with what it opens.
    let inside = text.replace("\nhome = \"drill-host\"", "\nhome = \"sites/network-a\"");
    assert_ne!(inside, text);
    fs::write(&toml, inside).unwrap();
    let refused = rig.run("config check --home h");
    assert_eq!(refused.exit, 2, "{refused:?}");
    assert!(refused.out.contains("the network's drill identity"), "{}", refused.out);
}

#[test]
fn sites_of_the_network_are_audited_verified_and_repaired_by_name() {
    let chain = Scripted::start(Script::at(50));
    let rig = desk(&chain);
    assert_eq!(rig.run("verify --home h --domain network").exit, 0);
    rig.ok("audit --home h --domain network --json");
    let site = rig.path("h/sites/network-b");
    let objects = files_below(&site);
    let largest = objects.iter().max_by_key(|file| fs::metadata(file).unwrap().len()).unwrap();
    let mut bytes = fs::read(largest).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    let mut permissions = fs::metadata(largest).unwrap().permissions();
    std::os::unix::fs::PermissionsExt::set_mode(&mut permissions, 0o600);
    fs::set_permissions(largest, permissions).unwrap();
    fs::write(largest, bytes).unwrap();
    let found = rig.run("verify --home h --domain network");
    assert_eq!(found.exit, 20, "{found:?}");
    assert!(found.err.contains("evenkeel repair --domain network"), "{}", found.err);
    rig.run("repair --home h --domain network --identity network-identity.txt")
        .refuses(2, &["the domain `network` has none"]);
    let mended = rig.ok("repair --home h --domain network --json").json();
    assert_eq!(mended["repaired"].as_array().unwrap().len(), 1, "{mended}");
    assert_eq!(rig.run("verify --home h --domain network").exit, 0);
    let plain = Rig::new();
    plain.ok("init --home h");
    plain
        .run("points --home h --domain network")
        .refuses(2, &["no [domains.network]", "evenkeel network protect"]);
}

#[test]
fn recipients_of_the_network_are_its_own() {
    let chain = Scripted::start(Script::at(50));
    let rig = desk(&chain);
    let vault = evenkeel_vault::Identity::generate();
    fs::write(rig.path("vault.txt"), vault.to_text().as_bytes()).unwrap();
    let state_before = rig.ok("recipients list --home h --json");
    let on = "--home h --domain network";
    rig.ok(&format!("recipients add {} --label vault {on}", vault.recipient()));
    let listed = rig.run(&format!("recipients list {on} --json"));
    assert_eq!(listed.exit, 3, "{listed:?}");
    assert_eq!(listed.json()["domain"], "network");
    let restore = "network restore --home h --identity vault.txt --offline --version 1";
    assert_eq!(rig.run(&format!("{restore} --to early")).exit, 12);
    let checked = rig.ok("config check --home h");
    assert!(checked.out.contains("2 of 2 for vault"), "{}", checked.out);
    assert!(checked.out.contains("recipients rewrap --domain network"), "{}", checked.out);
    let done = rig.ok(&format!("recipients rewrap {IDENTITY} {on} --json")).json();
    assert_eq!(done["wrapped"], 2, "{done}");
    rig.ok(&format!("{restore} --to back"));
    let rotated = rig.ok(&format!("recipients rotate {on}"));
    assert!(rotated.err.contains("every version begins a key period"), "{}", rotated.err);
    rig.ok(&format!("recipients remove vault --because lost {on}"));
    rig.ok("network backup --home h");
    assert_eq!(rig.run("network restore --home h --identity vault.txt --to late").exit, 12);
    // Nothing of it concerns the state.
    assert_eq!(rig.ok("recipients list --home h --json").json(), state_before.json());
}

#[test]
fn versions_that_two_approvers_let_go_are_gone_and_the_newest_comes_back() {
    let chain = Scripted::start(Script::at(50));
    let rig = Rig::new().with("EVENKEEL_FILES_SELF_CONTAINED_EVERY_POINTS", "1");
    document(&rig, &chain, "one");
    rig.ok("network protect network.toml --home h");
    let key = |name| rig.ok(&format!("prune key --out {name}.key")).out.trim().to_owned();
    let keys: Vec<String> = ["alice", "bob"].map(|name| format!("\"{}\"", key(name))).into();
    let toml = rig.path("h/evenkeel.toml");
    let text = fs::read_to_string(&toml).unwrap();
    let text = text.replace("approvers = []", &format!("approvers = [{}]", keys.join(", ")));
    fs::write(&toml, text.replace("delay_hours = 72", "delay_hours = 0")).unwrap();
    for name in ["two", "three"] {
        document(&rig, &chain, name);
        rig.ok("network backup --home h");
    }
    let on = "--home h --domain network";
    let policy = format!("{on} --keep-points 1 --keep-daily 0 --keep-tails-hours 0");
    let proposed = rig.ok(&format!("prune propose {policy} --json")).json();
    assert_eq!(proposed["points"], 2, "{proposed}");
    let id = proposed["plan"].as_str().unwrap().to_owned();
    // It is a plan of this domain: the state knows nothing of it.
    let state = rig.ok("prune list --home h --json").json();
    assert_eq!(state["plans"].as_array().unwrap().len(), 0, "{state}");
    for name in ["alice", "bob"] {
        rig.ok(&format!("prune approve {on} --plan {id} --key {name}.key"));
    }
    rig.run(&format!("prune execute {on} --plan {id}")).refuses(11, &["has not signed"]);
    rig.ok("network backup --home h");
    rig.ok(&format!("prune execute {on} --plan {id}"));
    let left = rig.ok("network versions --home h --json").json();
    assert_eq!(left["versions"].as_array().unwrap().len(), 2, "{left}");
    assert_eq!(rig.run(&format!("verify {on}")).exit, 0);
    let identity = "--identity h/network-recovery-identity.txt";
    rig.ok(&format!("network restore --home h {identity} --to back"));
    assert!(fs::read_to_string(rig.path("back/network.toml")).unwrap().contains("\"three\""));
}
