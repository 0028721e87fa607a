//! The recovery kit: what it says, when it is stale, and that a blank machine needs nothing else.

#![allow(clippy::unwrap_used, reason = "what only tests call is a test as well")]

mod common;

use std::fs;
use std::path::Path;

use common::blank::Blank;
use common::daemon::Daemon;
use common::{Rig, files_below};
use rusqlite::Connection;

/// A home with files in it, at the sites once.
fn desk() -> Rig {
    let rig = Rig::new();
    rig.ok("init --home h");
    fs::create_dir(rig.path("data")).unwrap();
    fs::write(rig.path("data/plan"), "monday").unwrap();
    rig.ok("backup data --home h");
    rig
}

/// Makes a kit and gives its text.
fn kit(rig: &Rig) -> String {
    rig.ok("kit make --home h --out kit.txt");
    fs::read_to_string(rig.path("kit.txt")).unwrap()
}

#[test]
fn a_kit_says_where_everything_is_and_holds_no_key() {
    let rig = desk();
    rig.ok("drill --level D3 --home h");
    let text = kit(&rig);
    for part in ["site-a", "site-e", "any 3 of these 5", "recovery-identity.txt", "drill host"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(text.contains("files: lineage ") && text.contains("newest point then "), "{text}");
    assert!(text.contains("a drill has proven: D3 of point "), "{text}");
    assert!(!text.contains("AGE-SECRET-KEY-1Q") && !text.contains("ROOT-KEY-1-"), "{text}");
    // Both forms into a folder; what is there is never overwritten.
    rig.ok("kit make --home h --out kits");
    assert_eq!(files_below(&rig.path("kits")).len(), 2);
    assert_eq!(rig.run("kit make --home h --out kits").exit, 1);
    for file in files_below(&rig.path("kits")) {
        assert_eq!(rig.run(&format!("kit check {} --home h", file.display())).exit, 0);
    }
    let refused = rig.run("kit make --home h --out other.txt --with-read-credentials");
    refused.refuses(2, &["no site has a read-only credential", "read_credential_file"]);
}

#[test]
fn a_kit_that_is_not_of_today_is_told_by_check_status_and_config_check() {
    let rig = desk();
    kit(&rig);
    let fresh = rig.ok("kit check kit.txt --home h --json").json();
    assert_eq!(
        (fresh["intact"].as_bool(), fresh["changes"].as_array().unwrap().len()),
        (Some(true), 0)
    );
    let toml = rig.path("h/evenkeel.toml");
    let moved = fs::read_to_string(&toml).unwrap().replace("sites/site-e", "sites/site-z");
    fs::write(&toml, moved).unwrap();
    fs::rename(rig.path("h/sites/site-e"), rig.path("h/sites/site-z")).unwrap();
    let stale = rig.run("kit check kit.txt --home h");
    assert_eq!(stale.exit, 3, "{stale:?}");
    assert!(stale.out.contains("site site-e") && stale.err.contains("kit make"), "{stale:?}");
    let status = rig.ok("status --home h --json").json();
    let conditions = status["conditions"].as_array().unwrap();
    assert!(conditions.iter().any(|one| one["kind"] == "kit_stale"), "{status}");
    let checked = rig.ok("config check --home h");
    assert!(checked.out.contains("[kit]"), "{}", checked.out);
    // Who copied it by hand and slipped is told, and can still use it.
    let text = fs::read_to_string(rig.path("kit.txt")).unwrap();
    fs::write(rig.path("slip.txt"), text.replace("sites/site-e", "sites/site-z")).unwrap();
    assert_eq!(rig.run("kit check slip.txt --home h").exit, 20);
    let points = rig.ok("points --kit slip.txt --json");
    assert!(points.err.contains("was changed after it was made"), "{}", points.err);
    let cut = text.split("-----END").next().unwrap();
    fs::write(rig.path("cut.txt"), cut).unwrap();
    rig.run("points --kit cut.txt").refuses(2, &["its end was lost"]);
}

#[test]
fn what_opens_the_sites_is_refused_among_what_they_protect() {
    let rig = desk();
    let toml = rig.path("h/evenkeel.toml");
    let text = fs::read_to_string(&toml).unwrap();
    let data = rig.path("data");
    let paths = text.replace("\npaths = []", &format!("\npaths = [\"{}\"]", data.display()));
    assert_ne!(paths, text);
    fs::write(&toml, &paths).unwrap();
    assert_eq!(rig.run("config check --home h").exit, 0);
    // The recovery identity was moved away, into what it opens.
    let hidden = data.join("identity.txt");
    fs::rename(rig.path("h/recovery-identity.txt"), &hidden).unwrap();
    let told = paths.replace(
        "kept_at = \"recovery-identity.txt\"",
        &format!("kept_at = \"{}\"", hidden.display()),
    );
    fs::write(&toml, &told).unwrap();
    let refused = rig.run("config check --home h");
    assert_eq!(refused.exit, 2, "{refused:?}");
    assert!(refused.out.contains("only inside what it opens"), "{}", refused.out);
    // A copy elsewhere, and this one left out: no circle.
    let left_out = told.replace("\nexclude = []", "\nexclude = [\"identity.txt\"]");
    assert_ne!(left_out, told);
    fs::write(&toml, left_out).unwrap();
    assert_eq!(rig.run("config check --home h").exit, 0);
}

fn found(folder: &Path, name: &str) -> Vec<u8> {
    let files = files_below(folder);
    let file = files.iter().find(|file| file.ends_with(name));
    fs::read(file.unwrap_or_else(|| panic!("{name} in {files:?}"))).unwrap()
}

/// A venue, files and a database that is written to while it is followed; then the host is gone.
fn all_three() -> Rig {
    let rig = Rig::new().with("EVENKEEL_FILES_EVERY_SECONDS", "1");
    rig.ok("init --home h");
    let data = rig.path("data");
    fs::create_dir(&data).unwrap();
    fs::write(data.join("plan"), "monday").unwrap();
    let orders = Connection::open(data.join("orders.sqlite")).unwrap();
    orders.pragma_update(None, "journal_mode", "wal").unwrap();
    orders.execute_batch("CREATE TABLE orders(id INTEGER PRIMARY KEY, what TEXT)").unwrap();
    let toml = rig.path("h/evenkeel.toml");
    let text = fs::read_to_string(&toml).unwrap();
    let paths = format!("\npaths = [\"{}\"]", data.display());
    fs::write(&toml, text.replace("\npaths = []", &paths)).unwrap();
    let mut daemon = Daemon::start(&rig, "--rate 200 --accounts 20");
    for _ in 0..20 {
        orders.execute("INSERT INTO orders(what) VALUES ('buy')", []).unwrap();
    }
    daemon.until("points of all three", || {
        let points = rig.run("points --home h --json");
        let points = (points.exit == 0).then(|| points.json())?;
        let kinds: Vec<&str> =
            points["points"].as_array()?.iter().filter_map(|one| one["kind"].as_str()).collect();
        ["venue", "files", "live"].iter().all(|kind| kinds.contains(kind)).then_some(())
    });
    drop(daemon.end());
    drop(orders);
    rig.ok("kit make --home h --out kit.txt");
    fs::rename(rig.path("h/recovery-identity.txt"), rig.path("identity.txt")).unwrap();
    // Everything but the sites is lost.
    for gone in ["h/host", "h/drill-host", "data"] {
        fs::remove_dir_all(rig.path(gone)).unwrap();
    }
    fs::remove_file(toml).unwrap();
    // And two of the five sites.
    for site in ["b", "d"] {
        fs::remove_dir_all(rig.path(&format!("h/sites/site-{site}"))).unwrap();
    }
    rig
}

#[test]
fn a_blank_machine_brings_back_venue_files_and_database_from_a_kit_and_an_identity() {
    let rig = all_three();
    fs::create_dir(rig.path("bring")).unwrap();
    for file in ["kit.txt", "identity.txt"] {
        fs::copy(rig.path(file), rig.path("bring").join(file)).unwrap();
    }
    let blank = Blank { rig: &rig, network: false };
    let with = "--kit /kit/kit.txt --identity /kit/identity.txt";
    let Some(points) = blank.run("points --kit /kit/kit.txt --json --home /new/work") else {
        return;
    };
    assert_eq!(points.exit, 0, "{points:?}");
    let points = points.json();
    let points = points["points"].as_array().unwrap();
    let of = |kind: &str| {
        let newest = points.iter().rfind(|one| one["kind"] == kind);
        newest.unwrap_or_else(|| panic!("{points:?}"))["id"].as_str().unwrap().to_owned()
    };
    let line = format!("drill --level D4 {with} --json --home /new/drill");
    let drill = blank.run(&line).unwrap();
    assert_eq!(drill.exit, 0, "{drill:?}");
    let report = drill.json();
    assert_eq!((&report["result"], &report["level"]), (&"ok".into(), &"D4".into()), "{report}");
    let key_used = report["key_used"].as_str().unwrap();
    assert!(key_used.contains("kit ") && key_used.contains("on blank-root"), "{key_used}");
    assert!(report["signature"].is_string(), "{report}");
    assert!(drill.err.contains("signs its reports with a key made just now"), "{}", drill.err);
    println!(
        "blank machine, 2 of 5 sites lost: drill {} of venue, files and database, RTO {} s",
        report["result"], report["rto_seconds"]
    );

    let venue = blank.run(&format!("restore {with} --to /new/venue --home /new/work --json"));
    let venue = venue.unwrap();
    assert_eq!(venue.exit, 0, "{venue:?}");
    assert!(venue.json()["position"].as_u64() > Some(0));
    let files = of("files");
    let line = format!("restore {with} --point {files} --to /new/files --home /new/work --json");
    let files = blank.run(&line).unwrap();
    assert_eq!(files.exit, 0, "{files:?}");
    assert_eq!(found(&rig.beside("new/files"), "plan"), b"monday");
    let database = rig.path("data/orders.sqlite");
    let only = format!("--only {}", database.display());
    let line = format!("restore {with} {only} --to /new/live --home /new/work --json");
    let live = blank.run(&line).unwrap();
    assert_eq!(live.exit, 0, "{live:?}");
    let all = files_below(&rig.beside("new/live"));
    let back = all.iter().find(|file| file.ends_with("orders.sqlite")).unwrap();
    let back = Connection::open(back).unwrap();
    let count: i64 = back.query_row("SELECT count(*) FROM orders", [], |row| row.get(0)).unwrap();
    assert_eq!(count, 20);
    let checked: String = back.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(checked, "ok");
    let wrong = blank.run("restore --kit /kit/kit.txt --identity /kit/kit.txt --to /new/none");
    assert_ne!(wrong.unwrap().exit, 0);
}
