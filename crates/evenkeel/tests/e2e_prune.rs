//! Audits and deletions by the commands that people type: a home from `init`, two of whose sites
//! are served by a program that checks grants itself.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Stdio};

use common::Rig;
use common::daemon::Daemon;

/// `evenkeel site serve`, until it is dropped.
struct Served(Child);

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn serve(rig: &Rig, dir: &str) -> (Served, String) {
    let mut command = rig.command(&format!("site serve --dir {dir} --listen 127.0.0.1:0"));
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let url = line.trim().rsplit_once(" at ").unwrap().1.to_owned();
    (Served(child), url)
}

/// Makes three approvers' keys, and gives their public halves.
fn approvers(rig: &Rig) -> Vec<String> {
    let key = |name| rig.ok(&format!("prune key --out {name}.key")).out.trim().to_owned();
    ["alice", "bob", "carol"].map(key).into()
}

fn change_config(rig: &Rig, change: impl FnOnce(String) -> String) {
    let file = rig.path("h/evenkeel.toml");
    let config = fs::read_to_string(&file).unwrap();
    fs::write(&file, change(config)).unwrap();
}

fn with_rule(config: &str, approvers: &[String]) -> String {
    let named: Vec<String> = approvers.iter().map(|key| format!("\"{key}\"")).collect();
    let config = config.replace("approvers = []", &format!("approvers = [{}]", named.join(", ")));
    config.replace("delay_hours = 72", "delay_hours = 0")
}

/// Site a is served by a program of its own, which knows the approvers.
fn serve_first_site(rig: &Rig, approvers: &[String]) -> Served {
    let made = rig.ok("site add-key --dir served --bucket desk-state");
    let credential = rig.path("served.credential");
    fs::write(&credential, &made.out).unwrap();
    fs::set_permissions(&credential, fs::Permissions::from_mode(0o600)).unwrap();
    let list: String = approvers.iter().map(|key| format!(" --approver {key}")).collect();
    rig.ok(&format!("site approvers --dir served --bucket desk-state{list} --delay-hours 0"));
    let (served, url) = serve(rig, "served");
    change_config(rig, |config| {
        let folder = "kind = \"folder\"\npath = \"sites/site-a\"\nclass = \"mutable\"";
        assert!(config.contains(folder), "{config}");
        let elsewhere = format!(
            "kind = \"s3\"\nendpoint = \"{url}\"\nbucket = \"desk-state\"\ncertificate_file = \
             \"{}\"\ncredential_file = \"{}\"\nclass = \"append-only\"",
            rig.path("served/.certificate.pem").display(),
            credential.display()
        );
        config.replace(folder, &elsewhere)
    });
    served
}

fn run_for_points(rig: &Rig, points: u64) {
    let mut daemon = Daemon::start(rig, "");
    daemon.until_points(rig, points);
    daemon.end();
}

#[test]
fn what_two_approvers_allowed_is_deleted_everywhere_and_the_rest_comes_back() {
    let rig = Rig::new()
        .with("EVENKEEL_RECOVERY_POINT_EVERY_SECONDS", "1")
        .with("EVENKEEL_RECOVERY_SELF_CONTAINED_EVERY_POINTS", "2");
    rig.ok("init --home h");
    let keys = approvers(&rig);
    change_config(&rig, |config| with_rule(&config, &keys));
    let served = serve_first_site(&rig, &keys);
    rig.ok("config check --home h");
    run_for_points(&rig, 5);
    let policy = "--home h --keep-points 1 --keep-daily 0 --keep-tails-hours 0";
    let plan = rig.ok(&format!("prune plan {policy} --json")).json();
    assert!(plan["points"].as_u64().unwrap() > 0 && plan["dry_run"] == true, "{plan}");
    let proposed = rig.ok(&format!("prune propose {policy} --json")).json();
    let id = proposed["plan"].as_str().unwrap().to_owned();
    rig.run(&format!("prune execute --home h --plan {id}"))
        .refuses(11, &["0 of 2 approvals", "nothing was deleted"]);
    rig.run(&format!("prune approve --home h --plan {id} --key h/recovery-identity.txt"))
        .refuses(12, &["APPROVER-KEY"]);
    rig.ok(&format!("prune approve --home h --plan {} --key alice.key", &id[..12]));
    let approved = rig.ok(&format!("prune approve --home h --plan {id} --key carol.key --json"));
    assert_eq!(approved.json()["plans"][0]["standing"], "valid");
    // The writer has to have signed that it does without.
    rig.run(&format!("prune execute --home h --plan {id}"))
        .refuses(11, &["has not signed", "nothing was deleted"]);
    run_for_points(&rig, 7);
    let before = rig.run("sites list --home h --json").json();
    rig.ok(&format!("prune execute --home h --plan {id} --dry-run"));
    let done = rig.ok(&format!("prune execute --home h --plan {id} --json")).json();
    assert!(done["objects"].as_u64().unwrap() > 0, "{done}");
    let after = rig.run("sites list --home h --json").json();
    for at in 0..5 {
        let bytes = |list: &serde_json::Value| list["sites"][at]["bytes"].as_u64().unwrap();
        assert!(bytes(&after) < bytes(&before), "site {at}");
    }
    rig.run(&format!("prune execute --home h --plan {id}")).refuses(1, &["used up"]);
    rig.ok("verify --home h");
    let restored = rig
        .ok("restore --config h/evenkeel.toml --identity h/recovery-identity.txt --to r --json")
        .json();
    assert_eq!(restored["message_type"], "restore", "{restored}");
    drop(served);
}

#[test]
fn points_of_files_go_once_a_later_one_is_self_contained() {
    let rig = Rig::new();
    rig.ok("init --home h");
    let keys = approvers(&rig);
    change_config(&rig, |config| with_rule(&config, &keys));
    std::fs::create_dir(rig.path("data")).unwrap();
    let write = |name: &str, seed: u8| {
        let mut bytes = vec![0; 400_000];
        blake3::Hasher::new().update(&[seed]).finalize_xof().fill(&mut bytes);
        std::fs::write(rig.path("data").join(name), bytes).unwrap();
    };
    write("same", 100);
    for seed in 0..4 {
        write("log", seed);
        rig.ok("backup data --home h");
    }
    let policy = "--home h --keep-points 1 --keep-daily 0 --keep-tails-hours 0";
    let plan = rig.ok(&format!("prune plan {policy} --json")).json();
    assert_eq!((plan["points"].as_u64(), plan["points_bound"].as_u64()), (Some(0), Some(2)));
    let said = rig.ok(&format!("prune plan {policy}"));
    assert!(said.err.contains("evenkeel backup --self-contained"), "{}", said.err);
    let whole = rig.ok("backup data --home h --self-contained --json").json();
    assert_eq!(whole["self_contained"], true);
    let plan = rig.ok(&format!("prune plan {policy} --json")).json();
    assert_eq!((plan["points"].as_u64(), plan["points_bound"].as_u64()), (Some(4), Some(0)));
    let proposed = rig.ok(&format!("prune propose {policy} --json")).json();
    let id = proposed["plan"].as_str().unwrap().to_owned();
    for approver in ["alice", "carol"] {
        rig.ok(&format!("prune approve --home h --plan {id} --key {approver}.key"));
    }
    write("log", 9);
    rig.ok("backup data --home h");
    let done = rig.ok(&format!("prune execute --home h --plan {id} --json")).json();
    assert!(done["objects"].as_u64().unwrap() > 4 * 5, "{done}");
    rig.ok("verify --home h");
    let left = rig.ok("points --home h --json").json();
    assert_eq!(left["points"].as_array().unwrap().len(), 2, "{left}");
    rig.ok("restore --home h --identity h/recovery-identity.txt --to r");
}

#[test]
fn one_objection_is_enough() {
    let rig = Rig::new()
        .with("EVENKEEL_RECOVERY_POINT_EVERY_SECONDS", "1")
        .with("EVENKEEL_RECOVERY_SELF_CONTAINED_EVERY_POINTS", "1");
    rig.ok("init --home h");
    rig.run("prune approve --home h --plan 00000000 --key x").refuses(2, &["names no approvers"]);
    let keys = approvers(&rig);
    change_config(&rig, |config| with_rule(&config, &keys));
    run_for_points(&rig, 3);
    let policy = "--home h --keep-points 1 --keep-daily 0 --keep-tails-hours 0";
    let proposed = rig.ok(&format!("prune propose {policy} --json")).json();
    let id = proposed["plan"].as_str().unwrap().to_owned();
    for name in ["alice", "bob", "carol"] {
        rig.ok(&format!("prune approve --home h --plan {id} --key {name}.key"));
    }
    rig.ok(&format!("prune cancel --home h --plan {id} --key bob.key"));
    rig.run(&format!("prune execute --home h --plan {id}"))
        .refuses(1, &["cancelled by approver", "nothing was deleted"]);
    let listed = rig.ok("prune list --home h --json").json();
    assert_eq!(listed["plans"][0]["standing"], "cancelled");
}

#[test]
fn an_audit_finds_what_a_site_lost_and_repair_brings_it_back() {
    let rig = Rig::new().with("EVENKEEL_RECOVERY_POINT_EVERY_SECONDS", "1");
    rig.ok("init --home h");
    run_for_points(&rig, 3);
    let sound = rig.ok("audit --home h --json").json();
    assert_eq!(sound["result"], "ok", "{sound}");
    let report = sound["report"].as_str().unwrap();
    assert!(fs::metadata(report).is_ok(), "{report}");
    assert_eq!(sound["sites"].as_array().unwrap().len(), 5);
    for at in 0..5 {
        assert!(sound["sites"][at]["bytes_read"].as_u64().unwrap() <= 8_000_000);
    }
    let shards = rig.path("h/sites/site-b");
    for file in files_below(&shards).into_iter().filter(|it| it.contains("/shards/")) {
        let mut bytes = fs::read(&file).unwrap();
        bytes.iter_mut().step_by(100).for_each(|byte| *byte ^= 1);
        fs::write(&file, bytes).unwrap();
    }
    let found = rig.run("audit --home h --json");
    assert_eq!(found.exit, 20, "{found:?}");
    let found = found.json();
    assert_eq!(found["sites"][1]["verdict"], "failed");
    assert_eq!(found["sites"][0]["verdict"], "ok");
    assert!(found["sites"][1]["damaged"][0]["object"].as_str().unwrap().contains("/shards/"));
    rig.ok("repair --home h");
    rig.ok("audit --home h --site site-b");
    fs::remove_dir_all(rig.path("h/sites/site-c")).unwrap();
    let gone = rig.run("audit --home h --json");
    assert_eq!(gone.exit, 3, "{gone:?}");
    assert_eq!(gone.json()["sites"][2]["verdict"], "unproven");
    rig.ok("repair --home h");
    rig.ok("audit --home h");
    rig.run("audit --home h --site nowhere").refuses(1, &["nowhere"]);
    rig.run("audit --home h --loss 0.0001").refuses(2, &["accept a larger loss"]);
}

fn files_below(folder: &std::path::Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap().flatten() {
        if entry.path().is_dir() {
            found.extend(files_below(&entry.path()));
        } else {
            found.push(entry.path().display().to_string());
        }
    }
    found
}
