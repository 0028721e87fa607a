//! Who can open what: a recipient added later, one that was lost, one that is somebody else's now.

#![allow(clippy::unwrap_used, reason = "what only tests call is a test as well")]

mod common;

use std::fs;

use common::daemon::Daemon;
use common::{Rig, Said};
use evenkeel_vault::{Identity, RecoveryIdentity};
use serde_json::Value;

const RECOVERY: &str = "--identity h/recovery-identity.txt";

/// A home with a folder, and one backup of each of its two states: two key periods.
fn desk() -> Rig {
    let rig = Rig::new();
    rig.ok("init --home h");
    fs::create_dir(rig.path("data")).unwrap();
    for said in ["monday", "tuesday"] {
        fs::write(rig.path("data/plan"), said).unwrap();
        rig.ok("backup data --home h --json");
    }
    rig
}

/// An identity in a file of its own, and its recipient.
fn identity(rig: &Rig, name: &str) -> String {
    let identity = Identity::generate();
    fs::write(rig.path(name), identity.to_text().as_bytes()).unwrap();
    identity.recipient().to_string()
}

fn list(rig: &Rig) -> (i32, Value) {
    let said = rig.run("recipients list --home h --json");
    (said.exit, said.json())
}

fn one<'a>(document: &'a Value, label: &str) -> &'a Value {
    let all = document["recipients"].as_array().unwrap();
    all.iter().find(|one| one["label"] == label).unwrap_or_else(|| panic!("{document}"))
}

fn first_point(rig: &Rig) -> String {
    let points = rig.ok("points --home h --json").json();
    points["points"][0]["id"].as_str().unwrap().to_owned()
}

fn restore(rig: &Rig, identity: &str, point: &str, to: &str) -> Said {
    rig.run(&format!("restore --home h --identity {identity} --point {point} --to {to}"))
}

#[test]
fn a_second_holder_opens_earlier_points_after_one_command_and_nothing_is_written_twice() {
    let rig = desk();
    let vault = identity(&rig, "vault.txt");
    let (exit, document) = list(&rig);
    assert_eq!((exit, document["periods"].as_u64()), (0, Some(2)));
    assert_eq!(one(&document, "recovery")["opens"], 2);
    assert_eq!(one(&document, "drill host")["role"], "drill host");

    let added = rig.ok(&format!(
        "recipients add {vault} --label vault --role holder --home h --kept-at safe-3"
    ));
    assert!(added.err.contains("recipients rewrap"), "{}", added.err);
    let (exit, document) = list(&rig);
    assert_eq!(exit, 3);
    assert_eq!(one(&document, "vault")["not"], 2);
    assert_eq!(document["incomplete"][0]["not_for"][0], "vault");
    let checked = rig.ok("config check --home h");
    assert!(checked.out.contains("2 of 2 for vault"), "{}", checked.out);
    let status = rig.ok("status --home h --json").json();
    let kinds = status["conditions"].as_array().unwrap().iter().map(|one| &one["kind"]);
    assert!(kinds.into_iter().any(|kind| kind == "periods_not_wrapped"), "{status}");
    let verified = rig.ok("verify --home h");
    assert!(verified.err.contains("recipients rewrap"), "{}", verified.err);
    let point = first_point(&rig);
    assert_eq!(restore(&rig, "vault.txt", &point, "early").exit, 12);

    // The drill host's identity opens, and certifies nothing.
    let wrong = rig.run("recipients rewrap --identity h/drill-host/drill-identity.txt --home h");
    assert_eq!(wrong.exit, 2 + 10, "{}", wrong.err);
    let dry = rig.ok(&format!("recipients rewrap {RECOVERY} --home h --dry-run --json")).json();
    assert_eq!(
        (dry["wrapped"].as_u64(), dry["incomplete"].as_array().unwrap().len()),
        (Some(0), 2)
    );
    let done = rig.ok(&format!("recipients rewrap {RECOVERY} --home h --json")).json();
    assert_eq!((done["wrapped"].as_u64(), done["already"].as_u64()), (Some(2), Some(0)));
    let again = rig.ok(&format!("recipients rewrap {RECOVERY} --home h --json")).json();
    assert_eq!((again["wrapped"].as_u64(), again["already"].as_u64()), (Some(0), Some(2)));

    assert_eq!(restore(&rig, "vault.txt", &point, "back").exit, 0);
    let found = common::files_below(&rig.path("back"));
    let plan = found.iter().find(|path| path.ends_with("plan")).unwrap();
    assert_eq!(fs::read_to_string(plan).unwrap(), "monday");
    assert_eq!(list(&rig).0, 0);
    let checked = rig.ok("config check --home h");
    assert!(!checked.out.contains("not wrapped"), "{}", checked.out);
    assert_eq!(rig.run("verify --home h").exit, 0);
}

#[test]
fn a_compromised_recipient_is_told_apart_from_what_it_can_still_open() {
    let rig = desk();
    let laptop = identity(&rig, "laptop.txt");
    rig.ok(&format!("recipients add {laptop} --label laptop --home h"));
    fs::write(rig.path("data/plan"), "wednesday").unwrap();
    rig.ok("backup data --home h");

    let removed = rig.ok("recipients remove laptop --because compromised --home h");
    for words in [
        "it opens 1 key periods",
        "earlier ones stay readable to whoever has it until their objects are deleted",
        "recipients rotate",
        "change every secret",
        "prune propose",
    ] {
        assert!(removed.err.contains(words), "{words}: {}", removed.err);
    }
    fs::write(rig.path("data/plan"), "thursday").unwrap();
    rig.ok("backup data --home h");
    let points = rig.ok("points --home h --json").json();
    let points = points["points"].as_array().unwrap();
    let opens = |at: usize| {
        let point = points[at]["id"].as_str().unwrap();
        restore(&rig, "laptop.txt", point, &format!("laptop-{at}")).exit
    };
    assert_eq!([opens(0), opens(1), opens(2), opens(3)], [12, 12, 0, 12]);
    let (_, document) = list(&rig);
    let laptop_now = one(&document, "laptop");
    assert_eq!(laptop_now["because"], "compromised");
    assert_eq!((laptop_now["opens"].as_u64(), laptop_now["not"].as_u64()), (Some(1), Some(3)));

    // It does not come back by mistake.
    let again = rig.run(&format!("recipients add {laptop} --label again --home h"));
    assert_eq!(again.exit, 2, "{}", again.err);
    let drill = rig.run("recipients remove nobody --because lost --home h");
    assert_eq!(drill.exit, 2, "{}", drill.err);
}

#[test]
fn a_running_daemon_begins_a_new_period_for_the_recipients_of_now() {
    let rig = Rig::new();
    rig.ok("init --home h");
    let mut daemon = Daemon::start(&rig, "--rate 200 --accounts 20");
    let periods = |rig: &Rig| {
        let said = rig.run("recipients list --home h --json");
        (said.exit == 0 || said.exit == 3).then(|| said.json())
    };
    daemon.until("a first period", || {
        periods(&rig).filter(|found| found["periods"].as_u64() > Some(0))
    });
    let vault = identity(&rig, "vault.txt");
    rig.ok(&format!("recipients add {vault} --label vault --home h"));
    assert_eq!(one(&periods(&rig).unwrap(), "vault")["opens"], 0);
    rig.ok("recipients rotate --home h");
    let now = daemon.until("a period for the new recipient", || {
        periods(&rig).filter(|found| one(found, "vault")["opens"].as_u64() > Some(0))
    });
    assert!(one(&now, "vault")["not"].as_u64() > Some(0), "{now}");
    assert!(daemon.said().contains("a new key period begins"), "{}", daemon.said());
}

#[test]
fn a_stolen_writer_is_revoked_and_its_successor_writes_everything_anew() {
    let rig = desk();
    fs::write(rig.path("data/plan"), "a thief's plan").unwrap();
    rig.ok("backup data --home h");
    let points = rig.ok("points --home h --json").json();
    let second = points["points"][1]["id"].as_str().unwrap().to_owned();
    let (lineage, counter) = second.split_once('-').unwrap();
    let what = format!("--lineage {lineage} --after {counter} {RECOVERY} --home h");
    let said = rig.ok(&format!("recipients revoke-writer {what}"));
    assert!(said.out.contains("2 of 3 recovery points"), "{}", said.out);
    assert!(said.err.contains("init --add-files"), "{}", said.err);
    let refused = rig.run("backup data --home h");
    assert!(refused.exit != 0 && refused.err.contains("has revoked the writer"), "{refused:?}");
    assert_eq!(rig.run("verify --home h").exit, 0);
    for name in ["files.key", "files.certificate"] {
        let file = rig.path("h/host/keys/state").join(name);
        fs::rename(&file, file.with_extension("stolen")).unwrap();
    }
    rig.ok(&format!("init --add-files {RECOVERY} --home h"));
    fs::write(rig.path("data/plan"), "tuesday").unwrap();
    let anew = rig.ok("backup data --home h --json").json();
    assert!(anew["bytes_added"].as_u64() > Some(0), "{anew}");
    rig.ok("restore --home h --identity h/recovery-identity.txt --only data/plan --to back");
    let found = common::files_below(&rig.path("back"));
    assert_eq!(fs::read_to_string(&found[0]).unwrap(), "tuesday");
}

#[test]
fn the_recovery_identity_of_another_domain_wraps_nothing() {
    let rig = desk();
    let other = RecoveryIdentity::generate("state", &mut evenkeel_vault::OsRandom).unwrap();
    fs::write(rig.path("other.txt"), other.to_text().as_bytes()).unwrap();
    let said = rig.run("recipients rewrap --identity other.txt --home h");
    assert_eq!(said.exit, 12, "{}", said.err);
    assert!(said.err.contains("not that of the domain"), "{}", said.err);
}
