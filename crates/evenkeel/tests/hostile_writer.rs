//! A host is taken over: somebody has its writer's credentials, and every key that lies on it. What
//! was backed up before stays, at k served sites alone, and cannot be read.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use common::{Rig, Said, files_below};
use serde_json::{Value, json};

const QUOTA_BYTES: u64 = 24_000_000;
const BUCKET: &str = "desk-state";
const IDENTITY: &str = "--identity away/recovery-identity.txt";
/// Stands in every file that is backed up.
const MARK: &str = "the marker of what nobody else may read";

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

/// The script that sends what it is told, in the writer's name.
struct Thief {
    child: Child,
    say: ChildStdin,
    hear: BufReader<ChildStdout>,
}

impl Drop for Thief {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Thief {
    fn at(served: &Served) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hostile/thief.py");
        let mut child = Command::new("python3")
            .arg(script)
            .arg(&served.url)
            .arg(&served.credential)
            .arg(served.certificate())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let say = child.stdin.take().unwrap();
        let hear = BufReader::new(child.stdout.take().unwrap());
        Self { child, say, hear }
    }

    /// Sends one request; the status, and what was said.
    fn ask(&mut self, wish: &Value) -> (u64, String) {
        writeln!(self.say, "{wish}").unwrap();
        let mut line = String::new();
        self.hear.read_line(&mut line).unwrap();
        let answer: Value = serde_json::from_str(&line).unwrap();
        (answer["status"].as_u64().unwrap(), answer["said"].as_str().unwrap().to_owned())
    }

    fn put(&mut self, key: &str, body: &str, times: usize) -> u64 {
        let path = format!("/{BUCKET}/{key}");
        self.ask(&json!({ "method": "PUT", "path": path, "body": body, "times": times })).0
    }

    /// Asks for what has to be refused.
    fn refused(&mut self, what: &str, wish: &Value) {
        let (status, said) = self.ask(wish);
        assert!((400..600).contains(&status), "{what} was answered {status}: {said}");
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
        let rig = Rig::new();
        rig.ok("init --home h");
        fs::create_dir(rig.path("away")).unwrap();
        let identity = "recovery-identity.txt";
        fs::rename(rig.path("h").join(identity), rig.path("away").join(identity)).unwrap();
        let file = rig.path("h/evenkeel.toml");
        let mut config = fs::read_to_string(&file).unwrap();
        let mut served = Vec::new();
        for letter in ["a", "b", "c"] {
            let one = Served::start(&rig, letter);
            let folder =
                format!("kind = \"folder\"\npath = \"sites/site-{letter}\"\nclass = \"mutable\"");
            assert!(config.contains(&folder), "{config}");
            let elsewhere = format!(
                "kind = \"s3\"\nendpoint = \"{}\"\nbucket = \"{BUCKET}\"\ncertificate_file = \
                 \"{}\"\ncredential_file = \"{}\"\nclass = \"append-only\"",
                one.url,
                one.certificate().display(),
                one.credential.display()
            );
            config = config.replace(&folder, &elsewhere);
            served.push(one);
        }
        fs::write(&file, config).unwrap();
        rig.run("sites probe --home h");
        let points = [1, 2].map(|number| Self::backup(&rig, number));
        Self { rig, served, points }
    }

    fn backup(rig: &Rig, number: usize) -> String {
        let data = rig.path("data");
        fs::create_dir_all(&data).unwrap();
        for name in 0..20 {
            let text = format!("{MARK} {number} {name}\n").repeat(400 * number);
            fs::write(data.join(format!("{name}.log")), text).unwrap();
        }
        let made = rig.ok("backup data --home h --json").json();
        made["recovery_point"].as_str().unwrap().to_owned()
    }

    fn restore(&self, to: &str, more: &str) -> Said {
        self.rig.run(&format!("restore --home h {IDENTITY} --to {to} --json {more}"))
    }

    /// Both points come back, byte for byte.
    fn brings_everything_back(&self, when: &str) {
        for (at, point) in self.points.iter().enumerate() {
            let to = format!("{when}-{at}");
            let restored = self.restore(&to, &format!("--point {point}"));
            assert!(matches!(restored.exit, 0 | 3), "{when}: {restored:?}");
            let found = files_below(&self.rig.path(&to));
            let logs: Vec<_> =
                found.iter().filter(|path| path.extension().is_some_and(|e| e == "log")).collect();
            assert_eq!(logs.len(), 20, "{when}: {found:?}");
            for log in logs {
                let name = log.file_stem().unwrap().to_str().unwrap();
                let number = at + 1;
                let text = format!("{MARK} {number} {name}\n").repeat(400 * number);
                assert!(fs::read(log).unwrap() == text.as_bytes(), "{when}: {}", log.display());
            }
        }
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

/// New objects that lie about what is there: an append-only site has to take them.
fn lie(thief: &mut Thief, objects: &BTreeMap<String, Vec<u8>>) {
    let record = objects.keys().rfind(|key| key.contains("/records/")).unwrap();
    let (lineage, _) = record.split_once("/records/").unwrap();
    for counter in [0x7fff_u64, u64::MAX] {
        let forged = format!("{lineage}/records/{counter:016x}");
        assert_eq!(thief.put(&forged, "a record that nobody signed", 9), 200, "forged counter");
    }
    let foreign = "5a".repeat(32);
    for kind in ["shards", "proofs"] {
        for shard in 0..3 {
            let poisoned = format!("{lineage}/{kind}/{foreign}.{shard:02}");
            assert_eq!(thief.put(&poisoned, "poison", 1000), 200, "poisoned chunk");
        }
    }
    let period = format!("{lineage}/keys/{:016x}.age", 99);
    assert_eq!(thief.put(&period, "no key", 9), 200, "forged period");
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
    desk.brings_everything_back("before");
    let before: Vec<_> = desk.served.iter().map(Served::objects).collect();
    for (served, objects) in desk.served.iter().zip(&before) {
        let mut thief = Thief::at(served);
        take_away(&mut thief, objects);
        assert_eq!(served.objects(), *objects, "what was refused left no trace");
        lie(&mut thief, objects);
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
    desk.brings_everything_back("after");
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
