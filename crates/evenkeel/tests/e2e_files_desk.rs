//! A desk's first minute, and files beside a venue in one home.

#![allow(clippy::unwrap_used, reason = "what only tests call is a test as well")]

mod common;

use std::fs;

use common::daemon::Daemon;
use common::{Rig, files_below};
use rusqlite::Connection;
use serde_json::Value;

fn check<'a>(drill: &'a Value, name: &str) -> &'a Value {
    let checks = drill["checks"].as_array().unwrap();
    let found = checks.iter().find(|check| check["name"] == name);
    found.unwrap_or_else(|| panic!("{name} in {drill}"))
}

/// A folder with a database and a log.
fn bot(rig: &Rig) {
    fs::create_dir(rig.path("bot")).unwrap();
    fs::write(rig.path("bot/log"), "a line\n".repeat(1_000)).unwrap();
    let database = Connection::open(rig.path("bot/orders.sqlite")).unwrap();
    database.execute_batch("CREATE TABLE t(x); INSERT INTO t VALUES(1)").unwrap();
}

#[test]
fn protect_lays_out_a_home_makes_a_point_and_proves_it() {
    let rig = Rig::new();
    bot(&rig);
    let said = rig.ok("protect bot --home desk --json");
    assert!(said.err.contains("Move away"), "{said:?}");
    let made = said.json();
    assert_eq!((&made["is_new"], &made["backup"]["margin"]), (&true.into(), &1.into()));
    assert_eq!(made["drill"]["result"], "ok", "{made}");
    assert_eq!(made["drill"]["recovery_point"], made["backup"]["recovery_point"]);
    assert!(made["drill"]["rto_seconds"].is_number() && made["drill"]["rpo_seconds"].is_number());
    assert_eq!(check(&made["drill"], "files")["result"], "ok");
    assert_eq!(check(&made["drill"], "files_databases")["result"], "ok");
    let words = rig.ok("protect bot --home desk");
    for part in ["drill D3 ok", "RTO", "RPO"] {
        assert!(words.out.contains(part), "{part} in {words:?}");
    }
    for part in ["crontab:", "systemd:", "evenkeel restore"] {
        assert!(words.err.contains(part), "{part} in {words:?}");
    }
    let scratch = files_below(&rig.path("desk/drill-host"));
    assert!(!scratch.iter().any(|path| path.ends_with("orders.sqlite")), "{scratch:?}");
    fs::remove_dir_all(rig.path("desk/sites/site-b")).unwrap();
    fs::remove_dir_all(rig.path("bot")).unwrap();
    rig.ok("restore --home desk --identity desk/recovery-identity.txt --to back");
    let back = rig.path("back").join(rig.path("bot/log").strip_prefix("/").unwrap());
    assert_eq!(fs::read_to_string(back).unwrap(), "a line\n".repeat(1_000));
    assert_eq!(rig.ok("status --home desk --json").json()["demonstration"], false);
    rig.ok("config check --home desk");
}

#[test]
fn protect_again_adds_paths_and_named_folders_become_the_sites() {
    let rig = Rig::new();
    bot(&rig);
    fs::write(rig.path("keys.json"), "{}").unwrap();
    let sites = "--site disks/one --site disks/two --site disks/three";
    rig.ok(&format!("protect bot --home desk {sites}"));
    assert!(!files_below(&rig.path("disks/two/state")).is_empty());
    let added = rig.ok("protect keys.json bot --home desk --json").json();
    assert_eq!(added["paths"].as_array().unwrap().len(), 2, "{added}");
    assert_eq!(added["backup"]["files"], 3);
    rig.run(&format!("protect bot --home desk {sites}"))
        .refuses(2, &["has its sites already", "nothing was changed"]);
    rig.run("protect bot --home other --site disks/one")
        .refuses(2, &["three are the least", "nothing was started"]);
    rig.run("protect postgresql://me:secret@db/orders --home other")
        .refuses(2, &["a password does not belong in a URL", "--password-file FILE"]);
    assert!(!rig.run("protect postgres://me:secret@db/x --home other").err.contains("secret"));
    rig.run("protect absent --home other").refuses(1, &["absent", "nothing was started"]);
    assert!(!rig.path("other").exists());
}

#[test]
fn a_venue_and_files_share_a_home_and_neither_is_in_the_others_way() {
    let rig = Rig::new().with("EVENKEEL_RECOVERY_POINT_EVERY_SECONDS", "1");
    bot(&rig);
    let mut daemon = Daemon::start(&rig, "");
    daemon.until_points(&rig, 2);
    let made = rig.ok("backup bot --home h --json").json();
    daemon.until_points(&rig, 4);
    rig.ok("backup bot --home h");
    drop(daemon.end());
    let points = rig.ok("points --home h --json").json();
    let kinds = |kind: &str| {
        let points = points["points"].as_array().unwrap();
        points.iter().filter(|point| point["kind"] == kind).count()
    };
    assert_eq!(kinds("files"), 2, "{points}");
    assert!(kinds("venue") >= 4);
    let identity = "--identity h/recovery-identity.txt";
    let venue = rig.ok(&format!("restore --home h {identity} --to venue --json"));
    assert_eq!(venue.json()["kind"], "venue");
    assert!(venue.err.contains("recovery points of files too"), "{venue:?}");
    let files = rig.ok(&format!("restore --home h {identity} --to files --only bot --json"));
    assert_eq!(files.json()["kind"], "files");
    let point = made["recovery_point"].as_str().unwrap();
    let more = format!("restore --home h {identity} --to one --point {point} --json");
    assert_eq!(rig.ok(&more).json()["recovery_point"], point);
    let venue_point = points["points"].as_array().unwrap();
    let venue_point = venue_point.iter().find(|one| one["kind"] == "venue").unwrap();
    let more = format!(
        "restore --home h {identity} --to two --point {} --json",
        venue_point["id"].as_str().unwrap()
    );
    assert_eq!(rig.ok(&more).json()["position"], venue_point["position"]);
    let drill = rig.ok("drill --home h --level D3 --json").json();
    assert_eq!(drill["result"], "ok", "{drill}");
    assert_eq!(check(&drill, "files")["result"], "ok");
    assert_eq!(check(&drill, "equity")["result"], "ok");
    assert_eq!(rig.ok("drill --home h --level D3 --json").json()["result"], "ok");
    assert_eq!(rig.ok("drill --home h --level D1 --json").json()["result"], "ok");
    rig.ok("verify --home h");
    let status = rig.ok("status --home h --json").json();
    assert_eq!(status["recovery_points"]["count"].as_u64().unwrap(), kinds("venue") as u64);
    let mut daemon = Daemon::start(&rig, "");
    daemon.until_points(&rig, 1);
    drop(daemon.end());
}
