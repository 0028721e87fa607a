//! Somebody who has a writer's credentials, and sends what no client would.

// Each test program uses its share of this.
#![allow(dead_code)]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::{Value, json};

use crate::common::{Rig, files_below};

/// The bucket that the desk writes to.
pub const BUCKET: &str = "desk-state";
/// Stands in every file that is backed up.
pub const MARK: &str = "the marker of what nobody else may read";

/// The script that sends what it is told, in the writer's name.
pub struct Thief {
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
    pub fn at(url: &str, credential: &Path, certificate: Option<&Path>) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hostile/thief.py");
        let mut child = Command::new("python3")
            .arg(script)
            .arg(url)
            .arg(credential)
            .args(certificate)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let say = child.stdin.take().unwrap();
        let hear = BufReader::new(child.stdout.take().unwrap());
        Self { child, say, hear }
    }

    /// Sends one request; the status, and what was said.
    pub fn ask(&mut self, wish: &Value) -> (u64, String) {
        writeln!(self.say, "{wish}").unwrap();
        let mut line = String::new();
        self.hear.read_line(&mut line).unwrap();
        let answer: Value = serde_json::from_str(&line).unwrap();
        (answer["status"].as_u64().unwrap(), answer["said"].as_str().unwrap().to_owned())
    }

    pub fn put(&mut self, key: &str, body: &str, times: usize) -> u64 {
        let path = format!("/{BUCKET}/{key}");
        self.ask(&json!({ "method": "PUT", "path": path, "body": body, "times": times })).0
    }

    /// Asks for what has to be refused.
    pub fn refused(&mut self, what: &str, wish: &Value) {
        let (status, said) = self.ask(wish);
        assert!((400..600).contains(&status), "{what} was answered {status}: {said}");
    }
}

/// A home; its recovery identity is elsewhere.
pub fn open_home() -> Rig {
    let rig = Rig::new();
    rig.ok("init --home h");
    fs::create_dir(rig.path("away")).unwrap();
    let identity = "recovery-identity.txt";
    fs::rename(rig.path("h").join(identity), rig.path("away").join(identity)).unwrap();
    rig
}

/// Has the site named by a letter be elsewhere.
pub fn replace_site(rig: &Rig, letter: &str, elsewhere: &str) {
    let file = rig.path("h/evenkeel.toml");
    let config = fs::read_to_string(&file).unwrap();
    let folder = format!("kind = \"folder\"\npath = \"sites/site-{letter}\"\nclass = \"mutable\"");
    assert!(config.contains(&folder), "{config}");
    fs::write(&file, config.replace(&folder, elsewhere)).unwrap();
}

/// A recovery point of twenty files; its name.
pub fn backup(rig: &Rig, number: usize) -> String {
    let data = rig.path("data");
    fs::create_dir_all(&data).unwrap();
    for name in 0..20 {
        let text = format!("{MARK} {number} {name}\n").repeat(400 * number);
        fs::write(data.join(format!("{name}.log")), text).unwrap();
    }
    let made = rig.ok("backup data --home h --json").json();
    made["recovery_point"].as_str().unwrap().to_owned()
}

/// Both points come back, byte for byte.
pub fn everything_comes_back(rig: &Rig, points: &[String; 2], when: &str) {
    for (at, point) in points.iter().enumerate() {
        let to = format!("{when}-{at}");
        let identity = "--identity away/recovery-identity.txt";
        let restored =
            rig.run(&format!("restore --home h {identity} --to {to} --json --point {point}"));
        assert!(matches!(restored.exit, 0 | 3), "{when}: {restored:?}");
        let found = files_below(&rig.path(&to));
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

/// New objects that lie about what is there: an append-only site has to take them.
pub fn lie(thief: &mut Thief, keys: impl Iterator<Item = impl AsRef<str>>) {
    let record = keys.filter(|key| key.as_ref().contains("/records/")).last().unwrap();
    let (lineage, _) = record.as_ref().split_once("/records/").unwrap();
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
