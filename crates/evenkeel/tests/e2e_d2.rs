//! D2 against a running daemon: what the current key opens comes back from the sites; it is shown,
//! and it does not count as a proven restore.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod cli_support;

use std::path::PathBuf;
use std::process::{Child, Stdio};

use cli_support::{Bench, Said};
use serde_json::Value;

/// Drills of its own would be proven restores.
const ENVIRONMENT: [(&str, &str); 2] =
    [("EVENKEEL_DRILL_EVERY_SECONDS", "0"), ("EVENKEEL_RECOVERY_POINT_EVERY_SECONDS", "5")];

/// Ended when dropped.
struct Daemon(Child);

impl Daemon {
    fn start(bench: &Bench) -> Self {
        let mut command = bench.command("up --role primary --home h --exit-after 300");
        command.envs(ENVIRONMENT);
        let daemon = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        Self(daemon)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn ask(bench: &Bench, line: &str) -> Said {
    bench.run_with(line, &ENVIRONMENT)
}

/// Asks for the status until it shows what is waited for.
fn wait_for(bench: &Bench, what: &str, shown: impl Fn(&Value) -> bool) -> Value {
    for _ in 0..600 {
        let said = ask(bench, "status --home h --json");
        let status: Value = serde_json::from_str(&said.out).unwrap_or_default();
        if status["running"] == true && shown(&status) {
            return status;
        }
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    panic!("waited in vain: {what}");
}

fn check(drill: &Value) -> (&str, &str) {
    assert_eq!(drill["checks"].as_array().unwrap().len(), 1, "{drill}");
    let check = &drill["checks"][0];
    assert_eq!(check["name"], "current_period");
    (check["result"].as_str().unwrap(), check["detail"].as_str().unwrap())
}

/// Objects whose names contain `part`, at one site.
fn objects(bench: &Bench, site: &str, part: &str) -> Vec<PathBuf> {
    let site = bench.path("h/sites").join(site);
    let mut found: Vec<PathBuf> = cli_support::contents(&site)
        .into_iter()
        .map(|(path, _)| path)
        .filter(|path| path.to_string_lossy().contains(part))
        .collect();
    found.sort();
    found
}

#[test]
fn the_writer_brings_back_what_its_current_key_opens_and_proves_no_restore() {
    let bench = Bench::with_home();
    let said = ask(&bench, "drill --home h --level D2");
    assert!(said.err.contains("needs the running writer"), "{}", said.err);
    let _daemon = Daemon::start(&bench);
    wait_for(&bench, "a recovery point", |status| {
        status["recovery_points"]["count"].as_u64() >= Some(1)
    });

    let said = ask(&bench, "drill --home h --level D2 --json");
    assert_eq!(said.exit, 0, "{} {}", said.out, said.err);
    let drill = said.json();
    let (result, detail) = check(&drill);
    assert_eq!((&drill["result"], &drill["level"], result), (&"ok".into(), &"D2".into(), "ok"));
    assert!(detail.contains("opened"), "{detail}");
    assert_eq!(drill["key_used"], "current key period 1 of this writer");
    assert_eq!(drill["rto_seconds"], Value::Null);
    // Signed by who writes here, which is no drill host: genuine, and no proof of a restore.
    let verified = ask(&bench, "drill verify --home h --json");
    assert_eq!(verified.exit, 0, "{} {}", verified.out, verified.err);
    let verified = verified.json();
    assert!(drill["signature"].is_string(), "{drill}");
    assert_eq!((&verified["signature"], &verified["level"]), (&drill["signature"], &"D2".into()));
    assert!(drill["bytes_read"].as_u64() > Some(0), "{drill}");
    let said = ask(&bench, "drill --home h --level D2");
    assert!(said.out.starts_with("drill D2 ok: the current key period 1"), "{}", said.out);

    let status =
        wait_for(&bench, "the drill in the status", |status| status["last_drill"]["level"] == "D2");
    assert_eq!(status["last_proven_restore"], Value::Null);
}

#[test]
fn sites_that_are_away_are_named_and_damage_fails_the_drill() {
    let bench = Bench::with_home();
    let _daemon = Daemon::start(&bench);
    wait_for(&bench, "a recovery point", |status| {
        status["recovery_points"]["count"].as_u64() >= Some(1)
    });
    let sites: Vec<PathBuf> = std::fs::read_dir(bench.path("h/sites"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    take_away_and_bring_back(&bench, &sites);
    flip_a_bit(&bench, sites[4].file_name().unwrap().to_str().unwrap());
}

fn take_away_and_bring_back(bench: &Bench, sites: &[PathBuf]) {
    // Two sites fewer still prove it; they are named.
    let away = bench.path("away");
    std::fs::create_dir(&away).unwrap();
    let moved: Vec<PathBuf> =
        sites.iter().map(|site| away.join(site.file_name().unwrap())).collect();
    for at in 0..2 {
        std::fs::rename(&sites[at], &moved[at]).unwrap();
    }
    let drill = ask(bench, "drill --home h --level D2 --json").json();
    assert_eq!(check(&drill).0, "ok", "{drill}");
    assert_eq!(drill["sites_missing"].as_array().unwrap().len(), 2);
    // A third one less: nothing about packs can be proven, and nothing failed.
    std::fs::rename(&sites[2], &moved[2]).unwrap();
    let said = ask(bench, "drill --home h --level D2 --json");
    assert_eq!(check(&said.json()).0, "unproven", "{}", said.out);
    assert_ne!(said.exit, 0);
    for at in 0..3 {
        std::fs::rename(&moved[at], &sites[at]).unwrap();
    }

    // What the three missed is mended by the daemon itself.
    let mended = (0..240).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(500));
        let drill = ask(bench, "drill --home h --level D2 --json").json();
        check(&drill).0 == "ok" && drill["sites_missing"] == serde_json::json!([])
    });
    assert!(mended);
}

/// One flipped bit in a record at one site is found and named.
fn flip_a_bit(bench: &Bench, site: &str) {
    // The newest one may still be on its way.
    let record = objects(bench, site, "/records/").into_iter().rev().nth(1);
    let record = record.unwrap();
    let mut bytes = std::fs::read(&record).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&record, bytes).unwrap();
    let said = ask(bench, "drill --home h --level D2 --json");
    let drill = said.json();
    let (result, detail) = check(&drill);
    assert_eq!(result, "failed", "{detail}");
    assert!(detail.contains(&format!("{site} is corrupt")), "{detail}");
    assert_eq!(said.exit, 20, "{detail}");
    wait_for(bench, "the failed drill in the status", |status| {
        status["last_drill"]["result"] == "failed"
    });
}
