//! The tools as processes: what to type, how long it took, how much memory and room it needed.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::figures::core_seconds;
use crate::{CHILD, Outcome};

const PASSWORD: &str = "measured";
/// Sites that are gone in the last restore.
const GONE: [&str; 2] = ["site-a", "site-c"];

/// One of the tools compared.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Evenkeel,
    Restic,
    Rustic,
    Borg,
}

/// A tool and how it is to compress.
pub(crate) struct Tool {
    kind: Kind,
    equal_level: bool,
}

/// One run of a tool.
pub(crate) struct Ran {
    pub(crate) seconds: f64,
    pub(crate) core_seconds: f64,
    pub(crate) peak_bytes: u64,
}

impl Tool {
    /// All of them, ours first, with their versions where they are installed.
    pub(crate) fn installed(equal_level: bool) -> Vec<(Self, Option<String>)> {
        let kinds = [Kind::Evenkeel, Kind::Restic, Kind::Rustic, Kind::Borg];
        kinds.map(|kind| (Self { kind, equal_level }, Self { kind, equal_level }.version())).into()
    }

    pub(crate) fn name(&self) -> &'static str {
        match self.kind {
            Kind::Evenkeel => "evenkeel",
            Kind::Restic => "restic",
            Kind::Rustic => "rustic",
            Kind::Borg => "borg",
        }
    }

    /// How it compresses, and what survives.
    pub(crate) fn settings(&self) -> &'static str {
        match (self.kind, self.equal_level) {
            (Kind::Evenkeel, false) => {
                "zstd 1 to 9 by the sites' pace, five sites, any three suffice, all synced and \
                 read back"
            }
            (Kind::Evenkeel, true) => {
                "zstd 3, five sites, any three suffice, all synced and read back"
            }
            (Kind::Restic | Kind::Rustic, _) => "its default compression (zstd 3), one folder",
            (Kind::Borg, false) => "its default compression (lz4), one folder",
            (Kind::Borg, true) => "zstd 3, one folder",
        }
    }

    fn version(&self) -> Option<String> {
        if self.kind == Kind::Evenkeel {
            return Some(env!("CARGO_PKG_VERSION").to_owned());
        }
        let output = Command::new(self.name()).arg("--version").output();
        let output = match output.ok().filter(|output| output.status.success()) {
            Some(output) => output,
            None => Command::new(self.name()).arg("version").output().ok()?,
        };
        let text = String::from_utf8(output.stdout).ok()?;
        Some(text.split(" compiled").next().unwrap_or_default().trim().to_owned())
    }

    /// A fresh repository below `home`.
    pub(crate) fn create(&self, home: &Path) -> Outcome {
        std::fs::create_dir_all(home)?;
        match self.kind {
            Kind::Evenkeel => {
                let home = home.join("home");
                self.run(home.parent().unwrap_or(&home), &["init", "--home", &text(&home)])?;
                if self.equal_level {
                    let path = home.join("evenkeel.toml");
                    let config = std::fs::read_to_string(&path)?;
                    let config = config
                        .replace("\nzstd_level = 1", "\nzstd_level = 3")
                        .replace("\nzstd_level_max = 9", "\nzstd_level_max = 3");
                    std::fs::write(&path, config)?;
                }
            }
            Kind::Restic | Kind::Rustic => {
                self.run(home, &["init"])?;
            }
            Kind::Borg => {
                self.run(home, &["init", "--encryption", "repokey-blake2"])?;
            }
        }
        Ok(())
    }

    pub(crate) fn backup(&self, home: &Path, source: &Path) -> Outcome<Ran> {
        let source = text(source);
        let own = text(&home.join("home"));
        let archive = format!("::{}", unique());
        match self.kind {
            Kind::Evenkeel => self.run(home, &["backup", &source, "--home", &own, "--json"]),
            Kind::Restic | Kind::Rustic => self.run(home, &["backup", &source]),
            Kind::Borg if self.equal_level => {
                self.run(home, &["create", "--compression", "zstd,3", &archive, &source])
            }
            Kind::Borg => self.run(home, &["create", &archive, &source]),
        }
    }

    /// The newest backup into a new folder.
    pub(crate) fn restore(&self, home: &Path, into: &Path) -> Outcome<Ran> {
        let to = text(into);
        let own = home.join("home");
        let identity = text(&own.join("recovery-identity.txt"));
        match self.kind {
            Kind::Evenkeel => self.run(
                home,
                &["restore", "--home", &text(&own), "--identity", &identity, "--to", &to, "--json"],
            ),
            Kind::Restic => self.run(home, &["restore", "latest", "--target", &to]),
            Kind::Rustic => self.run(home, &["restore", "latest", &to]),
            Kind::Borg => {
                std::fs::create_dir_all(into)?;
                let newest = Command::new("borg")
                    .args(["list", "--last", "1", "--short"])
                    .envs(self.environment(home))
                    .output()?;
                let archive = format!("::{}", String::from_utf8(newest.stdout)?.trim());
                self.run_in(home, into, &["extract", &archive])
            }
        }
    }

    /// Takes two of five sites away; false for a tool that has only one place.
    pub(crate) fn lose_two(&self, home: &Path) -> Outcome<bool> {
        if self.kind != Kind::Evenkeel {
            return Ok(false);
        }
        for name in GONE {
            std::fs::remove_dir_all(home.join("home/sites").join(name))?;
        }
        Ok(true)
    }

    /// Bytes that it keeps, everywhere together.
    pub(crate) fn stored_bytes(&self, home: &Path) -> Outcome<u64> {
        folder_bytes(&match self.kind {
            Kind::Evenkeel => home.join("home/sites"),
            _ => home.join("repository"),
        })
    }

    fn environment(&self, home: &Path) -> Vec<(&'static str, PathBuf)> {
        let (repository, cache) = (home.join("repository"), home.join("cache"));
        match self.kind {
            Kind::Evenkeel => vec![(CHILD, "1".into())],
            Kind::Restic => vec![
                ("RESTIC_REPOSITORY", repository),
                ("RESTIC_CACHE_DIR", cache),
                ("RESTIC_PASSWORD", PASSWORD.into()),
            ],
            Kind::Rustic => vec![
                ("RUSTIC_REPOSITORY", repository),
                ("RUSTIC_CACHE_DIR", cache),
                ("RUSTIC_PASSWORD", PASSWORD.into()),
                ("RUSTIC_NO_PROGRESS", "true".into()),
            ],
            Kind::Borg => vec![
                ("BORG_REPO", repository),
                ("BORG_BASE_DIR", cache),
                ("BORG_PASSPHRASE", PASSWORD.into()),
            ],
        }
    }

    fn run(&self, home: &Path, args: &[&str]) -> Outcome<Ran> {
        self.run_in(home, home, args)
    }

    fn run_in(&self, home: &Path, folder: &Path, args: &[&str]) -> Outcome<Ran> {
        let program = match self.kind {
            Kind::Evenkeel => std::env::current_exe()?,
            _ => self.name().into(),
        };
        let begun = (Instant::now(), core_seconds().1);
        let said = std::fs::File::create(home.join("said"))?;
        let mut child = Command::new(program)
            .args(args)
            .current_dir(folder)
            .envs(self.environment(home))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(said)
            .spawn()?;
        let mut peak_bytes = 0;
        let status = loop {
            peak_bytes = peak_bytes.max(peak_of(child.id()));
            if let Some(status) = child.try_wait()? {
                break status;
            }
            thread::sleep(Duration::from_millis(4));
        };
        let seconds = begun.0.elapsed().as_secs_f64();
        if !status.success() {
            let said = std::fs::read_to_string(home.join("said"))?;
            return Err(format!("{} {args:?} ended with {status}: {said}", self.name()).into());
        }
        Ok(Ran { seconds, core_seconds: core_seconds().1 - begun.1, peak_bytes })
    }
}

/// Names of archives have to differ.
fn unique() -> u64 {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// The most memory a process has had so far; 0 when it is gone.
fn peak_of(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kibibytes = line.and_then(|line| line.trim().strip_suffix(" kB"));
    kibibytes.and_then(|number| number.parse::<u64>().ok()).unwrap_or(0) << 10
}

/// Bytes of all files below a folder; 0 if it is not there.
pub(crate) fn folder_bytes(dir: &Path) -> Outcome<u64> {
    let mut bytes = 0;
    let Ok(entries) = std::fs::read_dir(dir) else {
        return Ok(0);
    };
    for entry in entries {
        let entry = entry?;
        let metadata = entry.metadata()?;
        bytes += if metadata.is_dir() { folder_bytes(&entry.path())? } else { metadata.len() };
    }
    Ok(bytes)
}
