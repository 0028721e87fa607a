//! `evenkeel up` in a home without a venue, and files beside one: points now and then, drills, and
//! what is said while sites are away.

#![allow(clippy::unwrap_used, reason = "what only tests call is a test as well")]

mod common;

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use common::Rig;
use common::daemon::{Daemon, live_status};
use serde_json::Value;

/// A home `h` that protects the folder `bot`, with a point every second.
fn desk() -> Rig {
    let rig = Rig::new().with("EVENKEEL_FILES_EVERY_SECONDS", "1");
    fs::create_dir(rig.path("bot")).unwrap();
    fs::write(rig.path("bot/log"), "a line\n".repeat(1_000)).unwrap();
    rig.ok("protect bot --home h");
    rig
}

fn up(rig: &Rig) -> Daemon {
    Daemon::spawn(rig, &mut rig.command("up --home h --dashboard off"))
}

fn files(status: &Value) -> &Value {
    let sources = status["protected"].as_array().unwrap();
    sources.iter().find(|source| source["name"] == "files").unwrap()
}

#[test]
fn a_home_without_a_venue_runs_makes_points_and_ends_cleanly() {
    let rig = desk();
    let mut daemon = up(&rig);
    let before = daemon.until_points(&rig, 2);
    fs::write(rig.path("bot/log"), "another line\n").unwrap();
    let count = before["recovery_points"]["count"].as_u64().unwrap();
    // The point after next was begun after the file was changed.
    let status = daemon.until_points(&rig, count + 2);
    assert_eq!((&status["role"], &status["demonstration"]), (&"desk".into(), &false.into()));
    assert_eq!(files(&status)["state"], "protected", "{status}");
    assert!(files(&status)["rpo_seconds"].as_f64().unwrap() < 120.0);
    assert_eq!(files(&status)["margin"], 1);
    let words = rig.ok("status --home h").out;
    for part in ["files", "protected", "proven"] {
        assert!(words.contains(part), "{part} in {words}");
    }
    assert!(!words.contains("journal"), "{words}");
    let said = daemon.end();
    assert!(said.contains("the sites hold files as of"), "{said}");
    assert_eq!(rig.ok("status --home h --json").json()["running"], false);
    rig.ok("restore --home h --identity h/recovery-identity.txt --to back --only bot/log");
    let back = rig.path("back").join(rig.path("bot/log").strip_prefix("/").unwrap());
    assert_eq!(fs::read_to_string(back).unwrap(), "another line\n");
}

#[test]
fn a_second_daemon_in_one_home_is_refused() {
    let rig = desk();
    let mut daemon = up(&rig);
    daemon.until_points(&rig, 2);
    assert_eq!(rig.run("up --home h --dashboard off").exit, 11);
    // A person may make one in between.
    let by_hand = rig.run("backup --home h --json");
    assert!([0, 11].contains(&by_hand.exit), "{by_hand:?}");
    drop(daemon.end());
}

#[test]
fn a_point_counts_from_enough_sites_and_too_few_are_said_until_they_are_back() {
    let (url, told_outside) = webhook();
    let rig = desk().with("EVENKEEL_ALERTS_WEBHOOK_URL", &url);
    let mut daemon = up(&rig);
    daemon.until_points(&rig, 2);
    let away = |letter: &str| (rig.path(&format!("h/sites/site-{letter}")), rig.path(letter));
    let (site, aside) = away("b");
    fs::rename(&site, &aside).unwrap();
    let told = daemon.until_condition(&rig, "files_sites_missing");
    assert!(told["message"].as_str().unwrap().contains("site-b"), "{told}");
    let status = live_status(&rig).unwrap();
    assert_eq!(files(&status)["state"], "protected", "{status}");
    let (other, beside) = away("c");
    fs::rename(&other, &beside).unwrap();
    let told = daemon.until_condition(&rig, "files_not_protected");
    assert_eq!(told["severity"], "critical");
    assert!(told["message"].as_str().unwrap().contains("not enough sites"), "{told}");
    assert!(told["safe"].as_str().unwrap().contains("tried again"), "{told}");
    fs::rename(&aside, &site).unwrap();
    fs::rename(&beside, &other).unwrap();
    daemon.until("protection again", || {
        let status = live_status(&rig)?;
        let conditions = status["conditions"].as_array()?;
        let is_gone = |kind: &str| !conditions.iter().any(|one| one["kind"] == kind);
        (is_gone("files_not_protected") && is_gone("files_sites_missing")).then_some(())
    });
    // Whoever is outside of this machine heard of it, and that it is over.
    for change in ["begun", "over"] {
        let heard = daemon.until(change, || {
            let heard = told_outside.lock().unwrap();
            let is_it =
                |one: &&Value| one["kind"] == "files_not_protected" && one["change"] == change;
            heard.iter().find(is_it).cloned()
        });
        assert_eq!(
            (&heard["message_type"], &heard["severity"]),
            (&"alert".into(), &"critical".into())
        );
        let said = heard["message"].as_str().unwrap();
        assert!(said.contains("not enough sites") && !said.contains("message_type"), "{heard}");
    }
    drop(daemon.end());
}

/// Somebody outside who hears: the address, and every document that came.
fn webhook() -> (String, Arc<Mutex<Vec<Value>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    let heard = Arc::new(Mutex::new(Vec::new()));
    let into = Arc::clone(&heard);
    // Ends with the test's process.
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut reader = BufReader::new(stream.unwrap());
            let mut length = 0;
            loop {
                let mut line = String::new();
                reader.read_line(&mut line).unwrap();
                let lower = line.to_lowercase();
                if let Some(said) = lower.strip_prefix("content-length:") {
                    length = said.trim().parse().unwrap();
                }
                if line.trim().is_empty() {
                    break;
                }
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            into.lock().unwrap().push(serde_json::from_slice(&body).unwrap());
            let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
            reader.get_mut().write_all(answer).unwrap();
        }
    });
    (url, heard)
}

#[test]
fn a_change_is_followed_by_a_point_before_the_interval_is_over() {
    // A sixth of the interval passes before a change makes a point; the whole of it is longer than
    // anything here is waited for.
    let rig = desk()
        .with("EVENKEEL_FILES_EVERY_SECONDS", "150")
        .with("EVENKEEL_FILES_SETTLE_SECONDS", "1");
    let mut daemon = up(&rig);
    let begun = daemon.until_points(&rig, 2);
    fs::write(rig.path("bot/log"), "three\n").unwrap();
    let count = begun["recovery_points"]["count"].as_u64().unwrap();
    daemon.until_points(&rig, count + 1);
    drop(daemon.end());
    rig.ok("restore --home h --identity h/recovery-identity.txt --to back --only bot/log");
    let back = rig.path("back").join(rig.path("bot/log").strip_prefix("/").unwrap());
    assert_eq!(fs::read_to_string(back).unwrap(), "three\n");
}

#[test]
fn drills_by_schedule_prove_the_files_of_a_desk() {
    let rig = desk().with("EVENKEEL_DRILL_EVERY_SECONDS", "2");
    let before = rig.ok("status --home h --json").json()["last_proven_restore"]["time"].clone();
    let mut daemon = up(&rig);
    let status = daemon.until("a drill of this daemon", || {
        let status = live_status(&rig)?;
        let proven = files(&status)["last_proven_restore"]["time"].as_str()?;
        (proven > before.as_str()?).then(|| status.clone())
    });
    let current = rig.run("drill --home h --level D2");
    assert!(current.exit == 3 && current.out.contains("level D3"), "{current:?}");
    assert_eq!(status["last_drill"]["result"], "ok", "{status}");
    drop(daemon.end());
}

#[test]
fn files_beside_a_venue_are_taken_by_the_same_daemon() {
    let rig = Rig::new().with("EVENKEEL_FILES_EVERY_SECONDS", "1");
    fs::create_dir(rig.path("bot")).unwrap();
    fs::write(rig.path("bot/log"), "a line\n").unwrap();
    rig.ok("init --home h");
    let bot = rig.path("bot").display().to_string();
    let rig = rig.with("EVENKEEL_FILES_PATHS", &bot);
    let mut daemon = Daemon::start(&rig, "");
    daemon.until("files at the sites", || {
        let status = live_status(&rig)?;
        (status["protected"][0]["state"] == "protected").then_some(())
    });
    drop(daemon.end());
    let points = rig.ok("points --home h --json").json();
    let kinds: Vec<&Value> =
        points["points"].as_array().unwrap().iter().map(|point| &point["kind"]).collect();
    assert!(kinds.iter().any(|kind| **kind == "files"), "{points}");
}

#[test]
fn a_desk_says_what_it_cannot_do() {
    let rig = desk();
    rig.run("up --home h --role standby --dashboard off")
        .refuses(2, &["--role is for a venue", "nothing was started"]);
    let rig = rig
        .with("EVENKEEL_FILES_EVERY_SECONDS", "0")
        .with("EVENKEEL_FILES_FOLLOW_DATABASES", "perhaps");
    rig.run("up --home h --dashboard off").refuses(2, &["`true` or `false` is expected"]);
    let rig = rig.with("EVENKEEL_FILES_FOLLOW_DATABASES", "false");
    rig.run("up --home h --dashboard off").refuses(2, &["every_seconds = 0", "evenkeel protect"]);
}
