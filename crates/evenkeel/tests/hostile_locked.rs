//! A host is taken over whose sites are buckets with versions and locks: what was written first is
//! read, whatever is done after it, and k such buckets alone bring everything back.
//!
//! The store is moto, somebody else's code. It keeps versions and honours locks of compliance
//! against deleting; it lets locks be shortened and settings be rewritten, which true stores do
//! not: neither is tried here, and `sites probe` tells them apart by trying.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;
mod hostile;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Command};
use std::time::Duration;

use common::Rig;
use hostile::{BUCKET, MARK, Thief, backup, everything_comes_back, lie, open_home, replace_site};
use serde_json::{Value, json};

/// A store of its own with one locked bucket, until it is dropped.
struct Locked {
    child: Child,
    url: String,
    credential: PathBuf,
}

impl Drop for Locked {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Locked {
    fn start(rig: &Rig, letter: &str) -> Self {
        let home = || PathBuf::from(std::env::var_os("HOME").unwrap()).join(".cache");
        let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).unwrap_or_else(home);
        // Free a moment ago; nobody else is given it so soon.
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let log = File::create(rig.path(&format!("moto-{letter}.log"))).unwrap();
        let child = Command::new("python3")
            .args(["-m", "moto.server", "-H", "127.0.0.1", "-p", &port.to_string()])
            .env("PYTHONPATH", cache.join("evenkeel-tools/moto"))
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let credential = rig.path(&format!("locked-{letter}.credential"));
        fs::write(&credential, "id = writer\nsecret = what the writer has\n").unwrap();
        fs::set_permissions(&credential, fs::Permissions::from_mode(0o600)).unwrap();
        let locked = Self { child, url: format!("http://127.0.0.1:{port}"), credential };
        let listens = || TcpStream::connect(("127.0.0.1", port)).is_ok();
        for _ in 0..1200 {
            if listens() {
                break;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        assert!(listens(), "moto, brought by `cargo xtask setup`, does not listen");
        locked.lay_out();
        locked
    }

    /// The bucket, as its owner lays it out: thirty days of compliance for whatever comes.
    fn lay_out(&self) {
        let mut owner = self.thief();
        let path = format!("/{BUCKET}");
        let lock = json!({ "x-amz-bucket-object-lock-enabled": "true" });
        let made = owner.ask(&json!({ "method": "PUT", "path": path, "headers": lock }));
        assert_eq!(made.0, 200, "{}", made.1);
        let rule = "<ObjectLockConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
            <ObjectLockEnabled>Enabled</ObjectLockEnabled><Rule><DefaultRetention><Mode>COMPLIANCE\
            </Mode><Days>30</Days></DefaultRetention></Rule></ObjectLockConfiguration>";
        let query = json!({ "object-lock": "" });
        let wish = json!({ "method": "PUT", "path": path, "query": query, "body": rule });
        let locked = owner.ask(&wish);
        assert_eq!(locked.0, 200, "{}", locked.1);
    }

    fn thief(&self) -> Thief {
        Thief::at(&self.url, &self.credential, None)
    }

    /// Every version: its object's name, and its own.
    fn versions(&self) -> Vec<(String, String)> {
        let wish = json!({ "method": "GET", "path": format!("/{BUCKET}"),
            "query": { "versions": "", "max-keys": "100000" } });
        let (status, said) = self.thief().ask(&wish);
        assert_eq!(status, 200, "{said}");
        let part = |text: &str, name: &str| {
            let (_, rest) = text.split_once(&format!("<{name}>")).unwrap();
            rest.split_once('<').unwrap().0.to_owned()
        };
        let versions = said.split("<Version>").skip(1);
        versions.map(|text| (part(text, "Key"), part(text, "VersionId"))).collect()
    }

    fn first_versions(&self) -> BTreeMap<(String, String), String> {
        let mut thief = self.thief();
        let read = |(key, version): (String, String)| {
            let wish = json!({ "method": "GET", "path": format!("/{BUCKET}/{key}"),
                "query": { "versionId": version } });
            let (status, said) = thief.ask(&wish);
            assert_eq!(status, 200, "{key} {version}");
            ((key, version), said)
        };
        self.versions().into_iter().map(read).collect()
    }
}

/// Everything that would take an object away, at one bucket.
fn take_away(site: &Locked, versions: &BTreeMap<(String, String), String>) {
    let mut thief = site.thief();
    let bypass = json!({ "x-amz-bypass-governance-retention": "true" });
    let mut ask = |method: &str, key: &str, more: Value| {
        let mut wish =
            json!({ "method": method, "path": format!("/{BUCKET}/{key}"), "body": "gone" });
        wish.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        thief.ask(&wish)
    };
    for (key, version) in versions.keys() {
        for headers in [json!({}), bypass.clone()] {
            let of = json!({ "query": { "versionId": version }, "headers": headers });
            let (status, said) = ask("DELETE", key, of);
            assert!((400..500).contains(&status), "{key} {version} went: {status} {said}");
        }
        // Both are taken by such a bucket, and take nothing away.
        assert_eq!(ask("PUT", key, json!({})).0, 200, "an overwrite of {key}");
        let copy = json!({ "headers": { "x-amz-copy-source": format!("/{BUCKET}/{key}"),
            "x-amz-metadata-directive": "REPLACE" }, "body": "" });
        assert_eq!(ask("PUT", key, copy).0, 200, "a copy of {key} onto itself");
        assert_eq!(ask("DELETE", key, json!({})).0, 204, "a marker over {key}");
    }
    let all: String = versions
        .keys()
        .map(|(key, version)| {
            format!("<Object><Key>{key}</Key><VersionId>{version}</VersionId></Object>")
        })
        .collect();
    let all = format!("<Delete xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">{all}</Delete>");
    let _ = ask("POST", "", json!({ "query": { "delete": "" }, "body": all }));
    let (status, said) = ask("DELETE", "", json!({ "body": "" }));
    assert!((400..500).contains(&status), "the bucket went: {status} {said}");
}

#[test]
fn with_the_writers_credentials_nothing_that_is_locked_is_destroyed_or_hidden() {
    let rig = open_home();
    let mut sites = Vec::new();
    for letter in ["a", "b", "c"] {
        let site = Locked::start(&rig, letter);
        let elsewhere = format!(
            "kind = \"s3\"\nendpoint = \"{}\"\nbucket = \"{BUCKET}\"\ncredential_file = \
             \"{}\"\nclass = \"mutable\"",
            site.url,
            site.credential.display()
        );
        replace_site(&rig, letter, &elsewhere);
        sites.push(site);
    }
    rig.run("sites probe --home h");
    let points = [1, 2].map(|number| backup(&rig, number));
    everything_comes_back(&rig, &points, "before");
    for site in &sites {
        let before = site.first_versions();
        assert!(before.len() > 4, "{before:?}");
        assert!(before.values().all(|text| !text.contains(MARK)), "it lies open at a site");
        take_away(site, &before);
        lie(&mut site.thief(), before.keys().map(|(key, _)| key));
        let after = site.first_versions();
        for (version, bytes) in &before {
            assert_eq!(after.get(version), Some(bytes), "{version:?} at {}", site.url);
        }
    }
    // Whatever can be taken at the others is taken: k locked buckets are left.
    for letter in ["d", "e"] {
        fs::remove_dir_all(rig.path(&format!("h/sites/site-{letter}"))).unwrap();
    }
    everything_comes_back(&rig, &points, "after");
    let verified = rig.run("verify --home h --json");
    assert!([3, 20].contains(&verified.exit), "two sites are gone: {verified:?}");
}
