//! The peer of the vault: restic, if it is installed. One repository in one folder, so without
//! any of the parity and signatures of the vault's five sites.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::Outcome;

/// A fresh repository.
#[derive(Debug)]
pub(crate) struct Restic {
    dir: PathBuf,
}

impl Restic {
    /// Its version, or `None` if it is not installed.
    pub(crate) fn version() -> Option<String> {
        let output = Command::new("restic").arg("version").output().ok()?;
        let text = String::from_utf8(output.stdout).ok()?;
        Some(text.split(" compiled").next().unwrap_or_default().trim().to_owned())
    }

    pub(crate) fn create(dir: &Path) -> Outcome<Self> {
        let restic = Self { dir: dir.join("restic") };
        restic.call(&["init"])?;
        Ok(restic)
    }

    pub(crate) fn backup(&self, file: &Path) -> Outcome {
        self.call(&["backup", &file.to_string_lossy()])
    }

    pub(crate) fn restore(&self, into: &Path) -> Outcome {
        self.call(&["restore", "latest", "--target", &into.to_string_lossy()])
    }

    /// Reads all data and checks it.
    pub(crate) fn check(&self) -> Outcome {
        self.call(&["check", "--read-data"])
    }

    pub(crate) fn bytes(&self) -> Outcome<u64> {
        folder_bytes(&self.dir.join("repository"))
    }

    fn call(&self, args: &[&str]) -> Outcome {
        let output = Command::new("restic")
            .args(args)
            .arg("--quiet")
            .env("RESTIC_REPOSITORY", self.dir.join("repository"))
            .env("RESTIC_CACHE_DIR", self.dir.join("cache"))
            .env("RESTIC_PASSWORD", "measured")
            .stdout(Stdio::null())
            .output()?;
        if output.status.success() {
            return Ok(());
        }
        Err(format!("restic {args:?}: {}", String::from_utf8_lossy(&output.stderr)).into())
    }
}

/// Bytes of all files below a folder.
pub(crate) fn folder_bytes(dir: &Path) -> Outcome<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        bytes += if metadata.is_dir() { folder_bytes(&entry.path())? } else { metadata.len() };
    }
    Ok(bytes)
}
