//! Sites in buckets of a real cluster of garage: what the probe finds there, and what becomes of a
//! desk while its nodes are killed and come back.
//!
//! Garage is built once by `cargo xtask campaign garage`; without it these tests say so.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;
mod garage_cluster;

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use common::{Rig, Said, files_below};
use garage_cluster::{Cluster, Key, REGION};
use serde_json::{Value, json};

const RESTORE: &str = "restore --config h/evenkeel.toml --identity h/recovery-identity.txt";
const PATIENCE: Duration = Duration::from_secs(120);
const FILE_BYTES: usize = 1 << 20;

/// A home whose sites a and b are buckets of one cluster, each by another node; c is served by a
/// program of ours, d and e are folders.
struct Desk {
    rig: Rig,
    cluster: Cluster,
    served: Child,
}

impl Drop for Desk {
    fn drop(&mut self) {
        let _ = self.served.kill();
        let _ = self.served.wait();
    }
}

impl Desk {
    fn new(class: &str, approvers: &[&str]) -> Option<Self> {
        let rig = Rig::new();
        let cluster = Cluster::start(&rig.beside("garage"))?;
        rig.ok("init --home h");
        for (at, bucket) in ["a", "b"].into_iter().enumerate() {
            let name = format!("desk-{bucket}");
            cluster.bucket(&name);
            let key = cluster.key(&name, &["--read", "--write"]);
            let credential = credential(&rig, bucket, &key);
            place(&rig, bucket, &s3(&cluster.endpoint(at), &name, &credential, class));
        }
        let served = serve_c(&rig, approvers);
        Some(Self { rig, cluster, served })
    }

    fn set_config(&self, change: impl FnOnce(String) -> String) {
        let file = self.rig.path("h/evenkeel.toml");
        let text = fs::read_to_string(&file).unwrap();
        fs::write(&file, change(text)).unwrap();
    }

    /// Other bytes in so many files, which nothing makes smaller.
    fn write(&self, seed: u8, files: u8) {
        fs::create_dir_all(self.rig.path("data")).unwrap();
        for name in 0..files {
            let mut bytes = vec![0; FILE_BYTES];
            blake3::Hasher::new().update(&[seed, name]).finalize_xof().fill(&mut bytes);
            fs::write(self.rig.path(&format!("data/{name}")), bytes).unwrap();
        }
    }

    fn comes_back(&self, to: &str) -> Said {
        let restored = self.rig.run(&format!("{RESTORE} --to {to}"));
        let read = |folder: &str| -> BTreeMap<String, Vec<u8>> {
            let files = files_below(&self.rig.path(folder)).into_iter();
            let name = |path: &Path| path.file_name().unwrap().to_str().unwrap().to_owned();
            files.map(|path| (name(&path), fs::read(&path).unwrap())).collect()
        };
        assert!(read(to) == read("data"), "{to} differs: {restored:?}");
        restored
    }

    fn list(&self) -> (i32, Value) {
        let said = self.rig.run("sites list --home h --json");
        (said.exit, said.json()["sites"].clone())
    }

    fn hide(&self, site: &str) {
        fs::rename(self.rig.path(&format!("h/sites/{site}")), self.rig.path("hidden")).unwrap();
    }

    fn show(&self, site: &str) {
        fs::rename(self.rig.path("hidden"), self.rig.path(&format!("h/sites/{site}"))).unwrap();
    }
}

fn credential(rig: &Rig, name: &str, key: &Key) -> String {
    let file = rig.path(&format!("{name}.credential"));
    fs::write(&file, format!("id = {}\nsecret = {}\n", key.id, key.secret)).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    file.display().to_string()
}

fn s3(at: &str, bucket: &str, credential: &str, class: &str) -> String {
    format!(
        "kind = \"s3\"\nendpoint = \"http://{at}\"\nbucket = \"{bucket}\"\nregion = \"{REGION}\"\n\
         credential_file = \"{credential}\"\nclass = \"{class}\"\n\
         bandwidth_bytes_per_second = {{ up = 2_000_000 }}"
    )
}

fn place(rig: &Rig, letter: &str, elsewhere: &str) {
    let file = rig.path("h/evenkeel.toml");
    let config = fs::read_to_string(&file).unwrap();
    let folder = format!("kind = \"folder\"\npath = \"sites/site-{letter}\"\nclass = \"mutable\"");
    assert!(config.contains(&folder), "{config}");
    fs::write(&file, config.replace(&folder, elsewhere)).unwrap();
}

fn serve_c(rig: &Rig, approvers: &[&str]) -> Child {
    let made = rig.ok("site add-key --dir served --bucket desk-c");
    let file = rig.path("c.credential");
    fs::write(&file, &made.out).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    if !approvers.is_empty() {
        let list: String = approvers.iter().map(|key| format!(" --approver {key}")).collect();
        rig.ok(&format!("site approvers --dir served --bucket desk-c{list} --delay-hours 0"));
    }
    let mut command = rig.command("site serve --dir served --listen 127.0.0.1:0");
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let url = line.trim().rsplit_once(" at ").unwrap().1;
    let elsewhere = format!(
        "kind = \"s3\"\nendpoint = \"{url}\"\nbucket = \"desk-c\"\ncertificate_file = \"{}\"\n\
         credential_file = \"{}\"\nclass = \"append-only\"",
        rig.path("served/.certificate.pem").display(),
        file.display()
    );
    place(rig, "c", &elsewhere);
    child
}

/// What somebody else's client says at one node, with a key of its own.
fn s3cmd(rig: &Rig, at: &str, key: &Key, arguments: &[&str]) -> String {
    let config = rig.path("s3cfg");
    let text = format!(
        "[default]\naccess_key = {}\nsecret_key = {}\nhost_base = {at}\nhost_bucket = {at}\n\
         use_https = False\nsignature_v2 = False\nbucket_location = {REGION}\nmax_retries = 1\n\
         enable_multipart = False\n",
        key.id, key.secret
    );
    fs::write(&config, text).unwrap();
    let said = Command::new("s3cmd").arg("--config").arg(&config).args(arguments).output();
    let said = said.expect("s3cmd is installed by `cargo xtask setup`");
    assert!(said.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&said.stderr));
    String::from_utf8_lossy(&said.stdout).into_owned()
}

/// What came of each attempt of a probe.
fn outcomes(probe: &Value) -> BTreeMap<String, String> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let attempts = probe["attempts"].as_array().unwrap().iter();
    attempts.map(|one| (text(&one["what"]), text(&one["outcome"]))).collect()
}

#[test]
fn the_probe_finds_what_garage_lets_a_writer_do_and_believes_no_class() {
    let Some(desk) = Desk::new("append-only", &[]) else { return };
    let rig = &desk.rig;
    let probed = rig.run("sites probe --home h --json").json();
    for at in 0..2 {
        let probe = &probed["probes"][at];
        let found = outcomes(probe);
        // A key that only reads and writes: the bucket's settings are its owner's.
        for (what, outcome) in [
            ("overwrite", "allowed"),
            ("delete", "allowed"),
            // It names a version of what it writes, and keeps one: the whole object goes.
            ("version delete", "allowed"),
            ("versioning", "refused"),
            ("lifecycle", "refused"),
            ("retention", "refused"),
        ] {
            assert_eq!(found.get(what).map(String::as_str), Some(outcome), "{what}: {probe}");
        }
        assert_eq!(probe["read_back"], true, "{probe}");
        for absent in ["conditional_put", "versions", "keeps_promise"] {
            assert_eq!(probe[absent], false, "{absent}: {probe}");
        }
        assert_eq!(probe["lock_mode"], Value::Null, "{probe}");
        assert_eq!(probe["class_shown"], "mutable", "{probe}");
        assert_eq!(probed["sites"][at]["class"], "mutable", "{probed}");
    }
    // What the probe wrote is gone again where that is let, and stays where it is not.
    let (_, sites) = desk.list();
    let objects = |at: usize| sites[at]["objects"].as_u64();
    assert_eq!((objects(0), objects(1)), (Some(0), Some(0)), "{sites}");
    assert!(objects(2) > Some(16), "{sites}");
    let said = rig.run("config check --home h");
    let said = said.out + &said.err;
    assert!(said.contains("class-not-shown") && said.contains("not-theft-proof"), "{said}");
    // The owner of a bucket can have everything in it expire.
    let owner = desk.cluster.key("desk-b", &["--read", "--write", "--owner"]);
    credential(rig, "b", &owner);
    let probed = rig.run("sites probe --home h --json").json();
    let found = outcomes(&probed["probes"][1]);
    assert_eq!(found["lifecycle"], "allowed", "{found:?}");
    assert_eq!((&*found["versioning"], &*found["retention"]), ("not_offered", "not_offered"));
    // Somebody else's client finds the same: the condition is ignored, and nothing is kept.
    let (at, here) = (desk.cluster.endpoint(2), rig.path("sent").display().to_string());
    let put = |content: &str| {
        fs::write(&here, content).unwrap();
        let only_new = "--add-header=If-None-Match: *";
        s3cmd(rig, &at, &owner, &["put", only_new, &here, "s3://desk-b/other"]);
    };
    put("first");
    put("second");
    let back = rig.path("got").display().to_string();
    s3cmd(rig, &at, &owner, &["get", "--force", "s3://desk-b/other", &back]);
    assert_eq!(fs::read_to_string(&back).unwrap(), "second");
    s3cmd(rig, &at, &owner, &["del", "s3://desk-b/other"]);
    // Another region is another signature, and the site says which one it would be.
    desk.set_config(|text| text.replace(&format!("region = \"{REGION}\"\n"), ""));
    let (exit, sites) = desk.list();
    let detail = sites[0]["detail"].as_str().unwrap();
    assert!(exit == 3 && detail.contains(&format!("/{REGION}/s3/")), "{sites}");
}

#[test]
fn with_one_node_of_three_killed_nothing_is_missing_and_with_two_the_other_sites_carry() {
    let Some(mut desk) = Desk::new("mutable", &[]) else { return };
    desk.write(1, 12);
    desk.rig.ok("backup data --home h");
    desk.rig.ok("audit --home h");
    desk.write(2, 24);
    let made = backup_and_kill(&mut desk, 2);
    assert_eq!((&made["sites_missing"], &made["margin"]), (&json!([]), &2.into()), "{made}");
    assert_eq!(desk.comes_back("one-dead").exit, 0);
    // No two nodes are left that could agree; one of them is where site b is asked.
    desk.cluster.kill(1);
    let (exit, sites) = desk.list();
    assert_eq!(exit, 3, "{sites}");
    for (at, why) in [(0, "Could not reach quorum of 2"), (1, "no connection")] {
        assert_eq!(sites[at]["state"], "down", "{sites}");
        assert!(sites[at]["detail"].as_str().unwrap().contains(why), "{sites}");
    }
    assert!((2..5).all(|at| sites[at]["state"] != "down"), "{sites}");
    desk.write(3, 3);
    let said = desk.rig.run("backup data --home h --json");
    let made = said.json();
    let missing = json!(["site-a", "site-b"]);
    assert_eq!((&made["sites_missing"], &made["margin"]), (&missing, &0.into()), "{said:?}");
    for words in ["site-a does not hold it", "site-b does not hold it", "evenkeel repair"] {
        assert!(said.err.contains(words), "{words}: {said:?}");
    }
    desk.comes_back("two-dead");
    too_few(&desk);
    comes_back_whole(&mut desk);
}

/// A backup that is under way while a node is killed; what it said.
fn backup_and_kill(desk: &mut Desk, node: usize) -> Value {
    let shards = |rig: &Rig| files_below(&rig.path("h/sites/site-e")).len();
    let before = shards(&desk.rig);
    let mut command = desk.rig.command("backup data --home h --json");
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let begun = Instant::now();
    while shards(&desk.rig) == before {
        assert!(begun.elapsed() < PATIENCE, "nothing arrives");
        std::thread::sleep(Duration::from_millis(5));
    }
    desk.cluster.kill(node);
    assert!(child.try_wait().unwrap().is_none(), "it was over before the node was killed");
    let said = Said::of(&child.wait_with_output().unwrap());
    assert_eq!(said.exit, 0, "{said:?}");
    said.json()
}

/// One site fewer than k: nothing is pretended, and nothing is changed.
fn too_few(desk: &Desk) {
    desk.hide("site-e");
    let parts = ["2 answered", "site-a (it answered 503", "site-b (no connection", "site-e"];
    let next = ["nothing was changed", "bring 1 more of these sites back"];
    let parts = [&parts[..], &next[..]].concat();
    desk.rig.run("backup data --home h").refuses(21, &parts);
    desk.rig.run(&format!("{RESTORE} --to none")).refuses(21, &parts);
    assert!(!desk.rig.path("none").exists());
    desk.show("site-e");
}

/// The nodes are back: what the two sites missed is mended, and then counts.
fn comes_back_whole(desk: &mut Desk) {
    for node in [1, 2] {
        desk.cluster.restart(node);
    }
    desk.cluster.until_whole();
    let rig = &desk.rig;
    let found = rig.run("verify --home h --json");
    assert_eq!(found.exit, 20, "{found:?}");
    rig.ok("repair --home h");
    rig.ok("verify --home h");
    rig.ok("audit --home h");
    let points = rig.ok("points --home h --json").json()["points"].clone();
    let points = points.as_array().unwrap();
    assert_eq!(points.len(), 3, "{points:?}");
    assert!(points.iter().all(|point| point["margin"] == 2), "{points:?}");
    // What was mended is at two nodes at least: without any third, and without two other sites.
    desk.cluster.kill(2);
    desk.hide("site-e");
    fs::remove_dir_all(desk.rig.path("h/sites/site-d")).unwrap();
    desk.comes_back("from-garage");
}

#[test]
fn what_two_approvers_allowed_goes_from_garage_as_from_everywhere() {
    let keys = Rig::new();
    let key = |name: &str| keys.ok(&format!("prune key --out {name}.key")).out.trim().to_owned();
    let approvers = ["ada", "bob", "cem"].map(key);
    let Some(desk) = Desk::new("mutable", &approvers.each_ref().map(String::as_str)) else {
        return;
    };
    let rig = &desk.rig;
    let named = approvers.map(|key| format!("\"{key}\"")).join(", ");
    desk.set_config(|text| {
        let text = text.replace("approvers = []", &format!("approvers = [{named}]"));
        text.replace("delay_hours = 72", "delay_hours = 0")
    });
    for seed in 0..3 {
        desk.write(seed, 2);
        rig.ok("backup data --home h --self-contained");
    }
    let policy = "--home h --keep-points 1 --keep-daily 0 --keep-tails-hours 0";
    let proposed = rig.ok(&format!("prune propose {policy} --json")).json();
    let id = proposed["plan"].as_str().unwrap();
    let execute = format!("prune execute --home h --plan {id}");
    rig.run(&execute).refuses(11, &["0 of 2 approvals", "nothing was deleted"]);
    for name in ["ada", "cem"] {
        let file = keys.path(&format!("{name}.key"));
        rig.ok(&format!("prune approve --home h --plan {id} --key {}", file.display()));
    }
    desk.write(9, 2);
    rig.ok("backup data --home h --self-contained");
    let bytes = || -> Vec<u64> {
        let (_, sites) = desk.list();
        sites.as_array().unwrap().iter().map(|site| site["bytes"].as_u64().unwrap()).collect()
    };
    let before = bytes();
    let done = rig.ok(&format!("{execute} --json")).json();
    assert!(done["objects"].as_u64().unwrap() > 2 * 5, "{done}");
    let after = bytes();
    // Two of four points of 2 MiB each are gone, a third of that at each site.
    let least = 2 * 2 * FILE_BYTES as u64 / 3;
    assert!(before.iter().zip(&after).all(|(b, a)| b - a >= least), "{before:?} {after:?}");
    rig.ok("verify --home h");
    desk.comes_back("after");
}
