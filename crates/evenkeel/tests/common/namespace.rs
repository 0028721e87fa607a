//! A mount namespace of a test's own: small and read-only filesystems without touching the machine.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// A process that keeps the namespace alive until it is dropped.
pub struct Namespace {
    holder: Child,
}

impl Namespace {
    /// Runs `script` (a shell's) in a new namespace. `None` if this machine does not allow one:
    /// the test then says so and has not been made.
    pub fn new(script: &str) -> Option<Self> {
        let script = format!("({script}) && echo ready && exec sleep 1000");
        for how in ["-m", "-rm"] {
            let Ok(mut holder) = Command::new("unshare")
                .args([how, "sh", "-c", &script])
                .stdin(Stdio::null())
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
                .spawn()
            else {
                break;
            };
            let mut line = String::new();
            let out = holder.stdout.take().unwrap();
            let _ = BufReader::new(out).read_line(&mut line);
            let namespace = Self { holder };
            if line == "ready\n" {
                return Some(namespace);
            }
        }
        println!("NOT TESTED: this machine allows no mount namespace (unshare -m)");
        None
    }

    /// The same command, to be run inside.
    pub fn enter(&self, command: &Command) -> Command {
        let mut inside = Command::new("nsenter");
        let id = self.holder.id().to_string();
        inside.args(["-t", &id, "-m"]);
        if !rustix::process::geteuid().is_root() {
            inside.args(["-U", "--preserve-credentials"]);
        }
        inside.arg("--");
        if let Some(folder) = command.get_current_dir() {
            // Entered inside: a folder taken along from outside would still be the one out there.
            inside.args(["sh", "-c", "cd \"$0\" && exec \"$@\""]).arg(folder);
        }
        inside.arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => inside.env(name, value),
                None => inside.env_remove(name),
            };
        }
        inside.stdin(Stdio::null());
        inside
    }

    pub fn run(&self, script: &str) {
        let mut shell = Command::new("sh");
        shell.args(["-c", script]);
        let status = self.enter(&shell).status().unwrap();
        assert!(status.success(), "{script}");
    }

    /// A path inside, seen from outside.
    pub fn seen(&self, path: &Path) -> PathBuf {
        let root = PathBuf::from(format!("/proc/{}/root", self.holder.id()));
        root.join(path.strip_prefix("/").unwrap())
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}
