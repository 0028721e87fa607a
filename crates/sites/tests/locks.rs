//! A bucket with versions and locks, at somebody else's server: the version that was written first
//! is read, whatever a thief did after, and its lock is extended and never shortened.
//!
//! The server is moto, which lets more happen than a true store would (it downgrades a lock of
//! compliance): what it refuses is no proof that a store refuses it, and the probe finds out by
//! trying.

#![allow(clippy::unwrap_used, reason = "what only tests call is a test as well")]

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use evenkeel_sites::{
    Bandwidth, CredentialSource, Endpoint, Lock, ObjectSite, Outcome, Patience, S3Settings,
    probe_s3,
};
use evenkeel_vault::{Site, SiteClass, SiteErrorKind};

const DAY: u64 = 86_400;
const KEY: &str = "authorization: AWS4-HMAC-SHA256 Credential=AKIA/20260101/us-east-1/s3/\
                   aws4_request, SignedHeaders=host, Signature=x";

struct Moto {
    child: Child,
    url: String,
    folder: tempfile::TempDir,
}

impl Drop for Moto {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Moto {
    fn start() -> Self {
        let home = || PathBuf::from(std::env::var_os("HOME").unwrap()).join(".cache");
        let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).unwrap_or_else(home);
        let packages = cache.join("evenkeel-tools/moto");
        assert!(packages.exists(), "{} is brought by `cargo xtask setup`", packages.display());
        // Free a moment ago; nobody else is given it so soon.
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let child = Command::new("python3")
            .args(["-m", "moto.server", "-H", "127.0.0.1", "-p", &port.to_string()])
            .env("PYTHONPATH", packages)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let folder = tempfile::tempdir().unwrap();
        let moto = Self { child, url: format!("http://127.0.0.1:{port}"), folder };
        for _ in 0..1200 {
            if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return moto;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("moto does not listen");
    }

    /// Asks as anybody; it looks at no signature. What was answered.
    fn ask(&self, method: &str, target: &str, headers: &[&str], body: &str) -> String {
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--request", method, "--data-binary", body]);
        curl.args(["--header", "content-type: application/octet-stream"]);
        for header in [&[KEY, "x-amz-sdk-checksum-algorithm: SHA256"], headers].concat() {
            curl.args(["--header", header]);
        }
        let output = curl.arg(format!("{}/{target}", self.url)).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    }

    fn bucket(&self, name: &str, mode: &str) {
        self.ask("PUT", name, &["x-amz-bucket-object-lock-enabled: true"], "");
        let lock = format!(
            "<ObjectLockConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
             <ObjectLockEnabled>Enabled</ObjectLockEnabled><Rule><DefaultRetention><Mode>{mode}\
             </Mode><Days>30</Days></DefaultRetention></Rule></ObjectLockConfiguration>"
        );
        self.ask("PUT", &format!("{name}?object-lock"), &[], &lock);
    }

    fn settings(&self, bucket: &str) -> S3Settings {
        let path = self.folder.path().join("credential");
        fs::write(&path, "id = me\nsecret = a-secret-of-the-tests\n").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        S3Settings {
            endpoint: Endpoint::parse(&self.url, false).unwrap(),
            region: "us-east-1".to_owned(),
            bucket: bucket.to_owned(),
            prefix: "desk/".to_owned(),
            credential: CredentialSource::File(path),
            certificates: None,
            conditional_put: true,
            versions: true,
            lock: Some(Lock { mode: "COMPLIANCE".to_owned(), seconds: 30 * DAY }),
            patience: Patience { repeats: 1, ..Patience::default() },
            bandwidth: Bandwidth::default(),
        }
    }

    fn until(&self, target: &str) -> String {
        let output = Command::new("curl")
            .args(["--silent", "--head", "--header", KEY, &format!("{}/{target}", self.url)])
            .output()
            .unwrap();
        let said = String::from_utf8(output.stdout).unwrap().to_lowercase();
        let (_, rest) = said.split_once("retain-until-date: ").unwrap_or_else(|| panic!("{said}"));
        rest.lines().next().unwrap().trim().to_uppercase()
    }
}

#[test]
fn what_was_written_first_is_read_whatever_a_thief_writes_over_it_or_deletes() {
    let moto = Moto::start();
    moto.bucket("locked", "COMPLIANCE");
    let site = ObjectSite::s3("locked", &moto.settings("locked")).unwrap();
    site.put("state/x", b"one, written first").unwrap();
    site.put("state/y", b"two").unwrap();
    site.put("state/x", b"one, written first").unwrap();
    let other = site.put("state/x", b"something else").unwrap_err();
    assert_eq!(other.kind, SiteErrorKind::Exists, "{other}");

    moto.ask("PUT", "locked/desk/state/x", &[], "overwritten");
    moto.ask("PUT", "locked/desk/state/x", &[], "again");
    moto.ask("DELETE", "locked/desk/state/y", &[], "");
    // Also for somebody who never saw them before.
    let fresh = ObjectSite::s3("locked", &moto.settings("locked")).unwrap();
    for site in [&site, &fresh] {
        assert_eq!(site.get("state/x").unwrap(), b"one, written first");
        assert_eq!(site.get_range("state/x", 5, 7).unwrap(), b"written");
        assert_eq!(site.get_range("state/x", 13, 99).unwrap(), b"first");
        assert_eq!(site.get_range("state/x", 99, 9).unwrap(), b"");
        assert_eq!(site.get("state/y").unwrap(), b"two", "a marker hides nothing");
        let listed = site.list("state/").unwrap();
        let lengths: Vec<_> = listed.iter().map(|at| (at.key.as_str(), at.length_bytes)).collect();
        assert_eq!(lengths, [("state/x", 18), ("state/y", 3)]);
        assert_eq!(site.get("state/z").unwrap_err().kind, SiteErrorKind::NotFound);
        site.put("state/y", b"two").unwrap();
        assert_eq!(site.put("state/y", b"2").unwrap_err().kind, SiteErrorKind::Exists);
    }
}

#[test]
fn a_listing_names_every_first_version_once() {
    let moto = Moto::start();
    moto.bucket("many", "GOVERNANCE");
    let site = ObjectSite::s3("many", &moto.settings("many")).unwrap();
    for number in 0..12 {
        site.put(&format!("state/{number:02}"), b"first").unwrap();
    }
    for _ in 0..5 {
        moto.ask("PUT", "many/desk/state/05", &[], "over it");
    }
    moto.ask("DELETE", "many/desk/state/07", &[], "");
    let listed = site.list("state/").unwrap();
    assert_eq!(listed.len(), 12);
    assert!(listed.iter().all(|object| object.length_bytes == 5), "{listed:?}");
    let fresh = ObjectSite::s3("many", &moto.settings("many")).unwrap();
    assert_eq!(fresh.get("state/05").unwrap(), b"first");
}

#[test]
fn a_lock_is_extended_for_the_first_version_and_never_shortened() {
    let moto = Moto::start();
    moto.bucket("locked", "COMPLIANCE");
    let site = ObjectSite::s3("locked", &moto.settings("locked")).unwrap();
    assert_eq!(site.lock_seconds(), Some(30 * DAY));
    site.put("state/x", b"one").unwrap();
    let by_default = moto.until("locked/desk/state/x");
    // Noon of the first of January, 2100.
    site.extend_retention("state/x", 4_102_488_000).unwrap();
    let extended = moto.until("locked/desk/state/x");
    assert!(extended > by_default && extended.starts_with("2100-01-01T12:00:00"), "{extended}");
    site.extend_retention("state/x", 4_000_000_000).unwrap();
    assert_eq!(moto.until("locked/desk/state/x"), extended);
    let none = site.extend_retention("state/none", 4_102_488_000).unwrap_err();
    assert_eq!(none.kind, SiteErrorKind::NotFound, "{none}");
    let unprobed = S3Settings { lock: None, ..moto.settings("locked") };
    let unprobed = ObjectSite::s3("locked", &unprobed).unwrap();
    assert_eq!(unprobed.lock_seconds(), None);
    let error = unprobed.extend_retention("state/x", 4_102_488_000).unwrap_err();
    assert_eq!(error.kind, SiteErrorKind::Unsupported);
}

#[test]
fn the_probe_finds_versions_and_locks_and_believes_only_what_was_refused() {
    let moto = Moto::start();
    for (bucket, mode) in [("strict", "COMPLIANCE"), ("lenient", "GOVERNANCE")] {
        moto.bucket(bucket, mode);
        let finding = probe_s3(&moto.settings(bucket), 7).unwrap();
        assert!(finding.wrote && finding.read_after_write, "{finding:?}");
        assert!(finding.versions, "{finding:?}");
        let lock = finding.lock.clone().unwrap();
        assert_eq!((lock.mode.as_str(), lock.seconds), (mode, 30 * DAY));
        // It lets anybody lift a lock, one of compliance too: no true store would.
        let said = |what: &str| finding.attempts.iter().find(|at| at.what == what).unwrap().outcome;
        assert_eq!(said("retention"), Outcome::Allowed, "{finding:?}");
        assert_eq!(said("version delete"), Outcome::Allowed, "{finding:?}");
        // This server lets its settings be written by anybody: no class is shown.
        assert_eq!(said("lifecycle"), Outcome::Allowed, "{finding:?}");
        assert_eq!(finding.class(), SiteClass::Mutable);
    }
    moto.ask("PUT", "plain", &[], "");
    let finding = probe_s3(&moto.settings("plain"), 7).unwrap();
    assert!(!finding.versions && finding.lock.is_none(), "{finding:?}");
    assert_eq!(finding.class(), SiteClass::Mutable);
}
