//! A host is taken over: somebody has its writer's credentials, and every key that lies on it. What
//! was backed up before stays, at k served sites alone, and cannot be read.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;
mod hostile;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use common::{Rig, files_below};
use hostile::{BUCKET, MARK, Thief, backup, everything_comes_back, lie, open_home, replace_site};
use serde_json::{Value, json};

const QUOTA_BYTES: u64 = 24_000_000;

/// `evenkeel site serve`, until it is dropped.
struct Served {
    child: Child,
    url: String,
    folder: PathBuf,
    credential: PathBuf,
    told: PathBuf,
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Served {
    fn start(rig: &Rig, letter: &str) -> Self {
        let dir = format!("served-{letter}");
        let made = rig
            .ok(&format!("site add-key --dir {dir} --bucket {BUCKET} --quota-bytes {QUOTA_BYTES}"));
        let credential = rig.path(&format!("{dir}.credential"));
        fs::write(&credential, &made.out).unwrap();
        fs::set_permissions(&credential, fs::Permissions::from_mode(0o600)).unwrap();
        let told = rig.path(&format!("{dir}.told"));
        let mut command = rig.command(&format!("site serve --dir {dir} --listen 127.0.0.1:0"));
        let errors = Stdio::from(File::create(&told).unwrap());
        let mut child = command.stdout(Stdio::piped()).stderr(errors).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let url = line.trim().rsplit_once(" at ").unwrap().1.to_owned();
        Self { child, url, folder: rig.path(&dir), credential, told }
    }

    fn certificate(&self) -> PathBuf {
        self.folder.join(".certificate.pem")
    }

    fn objects(&self) -> BTreeMap<String, Vec<u8>> {
        let bucket = self.folder.join(BUCKET);
        let hidden = |path: &Path| path.starts_with(bucket.join(".tmp"));
        let name = |path: &Path| path.strip_prefix(&bucket).unwrap().display().to_string();
        files_below(&bucket)
            .into_iter()
            .filter(|path| !hidden(path))
            .map(|path| (name(&path), fs::read(&path).unwrap()))
            .collect()
    }

    fn told(&self) -> String {
        fs::read_to_string(&self.told).unwrap()
    }
}

/// A home with five sites, of which three are served and hold two points that were taken while
/// all was well; the recovery identity is elsewhere.
struct Desk {
    rig: Rig,
    served: Vec<Served>,
    points: [String; 2],
}

impl Desk {
    fn open() -> Self {
        let rig = open_home();
        let mut served = Vec::new();
        for letter in ["a", "b", "c"] {
            let one = Served::start(&rig, letter);
            let elsewhere = format!(
                "kind = \"s3\"\nendpoint = \"{}\"\nbucket = \"{BUCKET}\"\ncertificate_file = \
                 \"{}\"\ncredential_file = \"{}\"\nclass = \"append-only\"",
                one.url,
                one.certificate().display(),
                one.credential.display()
            );
            replace_site(&rig, letter, &elsewhere);
            served.push(one);
        }
        rig.run("sites probe --home h");
        let points = [1, 2].map(|number| backup(&rig, number));
        Self { rig, served, points }
    }
}

/// Everything that would take an object or its protection away, at one site.
fn take_away(thief: &mut Thief, objects: &BTreeMap<String, Vec<u8>>) {
    for key in objects.keys() {
        let path = format!("/{BUCKET}/{key}");
        let ask = |method: &str, more: Value| {
            let mut wish = json!({ "method": method, "path": path, "body": "gone" });
            wish.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            wish
        };
        let bypass = json!({ "x-amz-bypass-governance-retention": "true" });
        let source = json!({ "x-amz-copy-source": format!("/{BUCKET}/{key}"),
            "x-amz-metadata-directive": "REPLACE" });
        thief.refused("overwrite", &ask("PUT", json!({})));
        thief.refused("a shorter overwrite", &ask("PUT", json!({ "body": "" })));
        thief.refused("delete", &ask("DELETE", json!({ "headers": bypass })));
        for version in ["null", "1", "3HL4kqtJlcpXroDTDmJ"] {
            let version = json!({ "query": { "versionId": version }, "headers": bypass });
            thief.refused("version delete", &ask("DELETE", version));
        }
        thief.refused("copy onto itself", &ask("PUT", json!({ "headers": source, "body": "" })));
        let none = "<Retention><Mode>GOVERNANCE</Mode><RetainUntilDate>2000-01-01T00:00:00Z\
                    </RetainUntilDate></Retention>";
        let retention = json!({ "query": { "retention": "" }, "headers": bypass, "body": none });
        thief.refused("retention", &ask("PUT", retention));
        let hold = "<LegalHold><Status>OFF</Status></LegalHold>";
        thief.refused(
            "legal hold",
            &ask(
                "PUT",
                json!({ "query": {"legal-hold": ""},
            "body": hold }),
            ),
        );
        thief.refused("multipart overwrite", &ask("POST", json!({ "query": { "uploads": "" } })));
    }
    of_the_bucket(thief, objects);
}

/// The same by way of the bucket.
fn of_the_bucket(thief: &mut Thief, objects: &BTreeMap<String, Vec<u8>>) {
    let bucket = format!("/{BUCKET}");
    let lifecycle = "<LifecycleConfiguration><Rule><ID>x</ID><Filter><Prefix></Prefix></Filter>\
        <Status>Enabled</Status><Expiration><Days>1</Days></Expiration></Rule>\
        </LifecycleConfiguration>";
    let suspended = "<VersioningConfiguration><Status>Suspended</Status></VersioningConfiguration>";
    let unlocked = "<ObjectLockConfiguration></ObjectLockConfiguration>";
    let policy = "{\"Version\":\"2012-10-17\",\"Statement\":[]}";
    for (what, query, body) in [
        ("lifecycle", "lifecycle", lifecycle),
        ("versioning", "versioning", suspended),
        ("lock setting", "object-lock", unlocked),
        ("policy", "policy", policy),
        ("access list", "acl", "<AccessControlPolicy></AccessControlPolicy>"),
        ("replication", "replication", "<ReplicationConfiguration></ReplicationConfiguration>"),
    ] {
        let wish = json!({ "method": "PUT", "path": bucket, "query": { query: "" }, "body": body });
        thief.refused(what, &wish);
    }
    let names: String =
        objects.keys().map(|key| format!("<Object><Key>{key}</Key></Object>")).collect();
    let all = format!("<Delete>{names}</Delete>");
    let wish = json!({ "method": "POST", "path": bucket, "query": { "delete": "" }, "body": all });
    thief.refused("delete of many", &wish);
    thief.refused("delete of the bucket", &json!({ "method": "DELETE", "path": bucket }));
    for path in ["/other", "/desk-state/../.keys.toml", "/desk-state/..%2f.keys.toml"] {
        thief.refused("somebody else's", &json!({ "method": "GET", "path": path }));
    }
}

/// Fills the site until it says that it is full; bytes that went in.
fn flood(thief: &mut Thief) -> u64 {
    for number in 0..=QUOTA_BYTES / 1_000_000 {
        match thief.put(&format!("flood/{number}"), "0123456789", 100_000) {
            200 => {}
            507 => return number * 1_000_000,
            other => panic!("a flood was answered {other}"),
        }
    }
    panic!("the quota let {QUOTA_BYTES} bytes and more through");
}

#[test]
fn with_the_writers_credentials_nothing_old_is_destroyed_and_nothing_is_read() {
    let desk = Desk::open();
    everything_comes_back(&desk.rig, &desk.points, "before");
    let before: Vec<_> = desk.served.iter().map(Served::objects).collect();
    for (served, objects) in desk.served.iter().zip(&before) {
        let mut thief = Thief::at(&served.url, &served.credential, Some(&served.certificate()));
        take_away(&mut thief, objects);
        assert_eq!(served.objects(), *objects, "what was refused left no trace");
        lie(&mut thief, objects.keys());
        assert!(flood(&mut thief) < QUOTA_BYTES);
        let told = served.told();
        assert!(told.contains("this domain has used its quota"), "{told}");
        assert!(told.contains("quota: desk-state"), "nobody was warned: {told}");
        let after = served.objects();
        for (key, bytes) in objects {
            assert_eq!(after.get(key), Some(bytes), "{key} at {}", served.url);
        }
    }
    // Whatever can be taken at the others is taken: k served sites are left.
    for letter in ["d", "e"] {
        fs::remove_dir_all(desk.rig.path(&format!("h/sites/site-{letter}"))).unwrap();
    }
    everything_comes_back(&desk.rig, &desk.points, "after");
    // With all that a thief of the host holds: no file of it opens what was sealed before. The
    // drill host can, which is why it is another machine; `init` lays its folder out beside.
    let host = files_below(&desk.rig.path("h/host"));
    let keys: Vec<_> = host.iter().filter(|path| path.to_string_lossy().contains("key")).collect();
    assert!(!keys.is_empty(), "{host:?}");
    for (number, file) in host.iter().enumerate() {
        let (to, point) = (format!("stolen-{number}"), &desk.points[0]);
        let said = desk.rig.run(&format!(
            "restore --home h --identity {} --to {to} --point {point}",
            file.display()
        ));
        assert_ne!(said.exit, 0, "{} opens it: {said:?}", file.display());
        let got = desk.rig.path(&to);
        assert!(!got.exists() || files_below(&got).is_empty(), "{}", file.display());
    }
    for objects in &before {
        let sealed = objects
            .values()
            .all(|bytes| !bytes.windows(MARK.len()).any(|part| part == MARK.as_bytes()));
        assert!(sealed, "what was backed up lies open at a site");
    }
}
