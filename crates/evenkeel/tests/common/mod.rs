//! Drives the real program as a person would, for tests and campaigns alike: homes, daemons that
//! are killed, what an audit of a journal finds, damage at sites.

// Each test program and campaign uses its share of this.
#![allow(dead_code)]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![allow(clippy::cast_possible_truncation, reason = "offsets and counts of small test files")]

pub mod audit;
pub mod blank;
pub mod campaign;
pub mod daemon;
pub mod damage;
pub mod failovers;
pub mod flips;
#[cfg(feature = "etcd")]
pub mod hosts;
pub mod kills;
pub mod live;
#[cfg(feature = "etcd")]
pub mod losses;
pub mod mirror;
pub mod namespace;
pub mod network;
#[path = "../power_loss/mod.rs"]
pub mod power_loss;
pub mod random;
pub mod series;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;

use serde_json::Value;

/// Set in a campaign's children: they are to be the program itself.
pub const CHILD: &str = "EVENKEEL_CAMPAIGN_CHILD";

/// The program under test.
pub fn program() -> Command {
    if let Some(path) = option_env!("CARGO_BIN_EXE_evenkeel") {
        return Command::new(path);
    }
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.env(CHILD, "1");
    command
}

/// A folder of its own with a home `h` in it, and what every command there is told besides.
pub struct Rig {
    folder: Arc<tempfile::TempDir>,
    environment: Vec<(String, String)>,
}

/// What a command said.
#[derive(Debug)]
pub struct Said {
    pub exit: i32,
    pub out: String,
    pub err: String,
}

impl Rig {
    /// Small segments and no drills: many segments are crossed, and nothing else is at work.
    pub fn new() -> Self {
        let folder = Arc::new(tempfile::tempdir().unwrap());
        fs::create_dir(folder.path().join("disk")).unwrap();
        let rig = Self { folder, environment: Vec::new() };
        rig.with("EVENKEEL_JOURNAL_SEGMENT_BYTES", "2097152")
            .with("EVENKEEL_JOURNAL_RESERVE_BYTES", "1048576")
            .with("EVENKEEL_DRILL_EVERY_SECONDS", "0")
    }

    /// The same with one more variable for every command.
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.environment.retain(|(known, _)| known != name);
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The same folder, for commands without a variable.
    pub fn without(&self, name: &str) -> Self {
        let environment = self.environment.iter().filter(|(known, _)| known != name);
        let mut rig = Self { folder: Arc::clone(&self.folder), environment: Vec::new() };
        rig.environment.extend(environment.cloned());
        rig
    }

    /// A file beside the disk that holds the homes.
    pub fn beside(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Where commands run, and homes lie.
    pub fn disk(&self) -> PathBuf {
        self.beside("disk")
    }

    /// A file or folder on the disk.
    pub fn path(&self, name: &str) -> PathBuf {
        self.disk().join(name)
    }

    pub fn journal(&self) -> PathBuf {
        self.path("h/host/journal")
    }

    pub fn sites(&self) -> Vec<PathBuf> {
        ["a", "b", "c", "d", "e"]
            .map(|letter| self.path(&format!("h/sites/site-{letter}")))
            .to_vec()
    }

    /// A command that is not yet started.
    pub fn command(&self, line: &str) -> Command {
        let mut command = program();
        command
            .args(line.split_whitespace())
            .current_dir(self.disk())
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null());
        command
    }

    /// Runs `evenkeel` with these words.
    pub fn run(&self, line: &str) -> Said {
        Said::of(&self.command(line).output().unwrap())
    }

    /// Runs `evenkeel`, which has to succeed.
    pub fn ok(&self, line: &str) -> Said {
        let said = self.run(line);
        assert_eq!(said.exit, 0, "evenkeel {line}: {said:?}");
        said
    }

    /// The document that a command prints, whatever its exit code is.
    pub fn json(&self, line: &str) -> Value {
        self.run(line).json()
    }

    /// Acknowledgements that the clients of all daemons wrote down, in order.
    pub fn acks(&self) -> Vec<(u64, String)> {
        let text = fs::read_to_string(self.beside("ack")).unwrap_or_default();
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        whole
            .lines()
            .map(|line| {
                let (position, hash) = line.split_once(' ').unwrap();
                assert_eq!(hash.len(), 64, "a line of the acknowledgement log: {line}");
                (position.parse().unwrap(), hash.to_owned())
            })
            .collect()
    }

    pub fn ack_bytes(&self) -> u64 {
        fs::metadata(self.beside("ack")).map_or(0, |found| found.len())
    }

    /// Leaves the folder where it is; says where.
    pub fn leave(self) -> String {
        Arc::into_inner(self.folder).unwrap().keep().display().to_string()
    }

    /// A copy of this folder with everything in it; nothing may be running.
    pub fn copy(&self) -> Self {
        let folder = Arc::new(tempfile::tempdir().unwrap());
        copy_tree(self.folder.path(), folder.path());
        let environment = self.environment.clone();
        let moved = Self { folder, environment };
        assert!(moved.path("h/evenkeel.toml").exists());
        moved
    }
}

impl Said {
    pub fn of(output: &Output) -> Self {
        Self {
            exit: output.status.code().unwrap_or(-1),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// The one document on stdout.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Checks that a refusal says what a person needs: what, where, what is safe, what to type.
    pub fn refuses(&self, exit: i32, parts: &[&str]) {
        assert_eq!(self.exit, exit, "{self:?}");
        for part in parts {
            assert!(self.err.contains(part), "`{part}` is not in {}", self.err);
        }
        assert!(!self.err.contains("panicked"), "{}", self.err);
    }
}

/// Copies a folder with everything below it, zeros of preallocated files included.
pub fn copy_tree(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let (path, target) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            copy_tree(&path, &target);
        } else if kind.is_file() {
            fs::copy(&path, &target).unwrap();
        }
    }
}

/// Every file below a folder, sorted.
pub fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(at) = folders.pop() {
        for entry in fs::read_dir(at).unwrap().map(Result::unwrap) {
            if entry.file_type().unwrap().is_dir() {
                folders.push(entry.path());
            } else {
                found.push(entry.path());
            }
        }
    }
    found.sort();
    found
}
