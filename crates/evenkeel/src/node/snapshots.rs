//! Snapshots on the protected host, so that a restart replays seconds rather than everything.
//! Losing one costs only time: each is checked before it is used, and the journal has it all.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use evenkeel_recovery::{Checkpoint, Skips, newest_usable};
use evenkeel_types::Canonical as _;

use crate::report::{Report, Result};

const EXTENSION: &str = "snapshot";
const HASH_BYTES: usize = 32;

/// The snapshots folder.
#[derive(Debug, Clone)]
pub(crate) struct Snapshots {
    dir: PathBuf,
    keep: usize,
}

impl Snapshots {
    pub(crate) fn new(dir: PathBuf, keep: usize) -> Self {
        Self { dir, keep: keep.max(1) }
    }

    /// Writes a snapshot durably, then lets go of the oldest ones.
    pub(crate) fn save(&self, checkpoint: &Checkpoint) -> io::Result<()> {
        fs::create_dir_all(&self.dir)?;
        let path = self.dir.join(format!("{:016x}.{EXTENSION}", checkpoint.position()));
        let part = path.with_extension("part");
        let mut bytes = checkpoint.to_bytes();
        bytes.extend_from_slice(blake3::hash(&bytes).as_bytes());
        let mut file = File::create(&part)?;
        file.write_all(&bytes)?;
        file.sync_all()?;
        fs::rename(&part, &path)?;
        File::open(&self.dir)?.sync_all()?;
        let mut all = self.list()?;
        let excess = all.len().saturating_sub(self.keep);
        for old in all.drain(..excess) {
            fs::remove_file(old)?;
        }
        Ok(())
    }

    /// Removes them all.
    pub(crate) fn discard(&self) -> io::Result<()> {
        self.list()?.into_iter().try_for_each(fs::remove_file)
    }

    /// Every snapshot that reads back intact, and the files that did not.
    pub(crate) fn load(&self) -> io::Result<(Vec<Checkpoint>, Vec<PathBuf>)> {
        let (mut good, mut bad) = (Vec::new(), Vec::new());
        for path in self.list()? {
            match read(&path) {
                Some(checkpoint) => good.push(checkpoint),
                None => bad.push(path),
            }
        }
        Ok((good, bad))
    }

    /// The newest one of a folder that an engine can start from, or the venue's beginning; none
    /// that applied what is passed over.
    pub(crate) fn newest(dir: &Path, skips: &Skips) -> Result<Checkpoint> {
        let (snapshots, _) = Self::new(dir.to_owned(), 1)
            .load()
            .map_err(|error| Report::io("read the snapshots", dir, &error))?;
        let newest = newest_usable(&snapshots, 0..=u64::MAX, skips);
        Ok(newest.map_or_else(Checkpoint::genesis, |(newest, _)| newest))
    }

    /// Snapshot files, oldest first.
    fn list(&self) -> io::Result<Vec<PathBuf>> {
        let entries = match fs::read_dir(&self.dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut paths = Vec::new();
        for entry in entries {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == EXTENSION) {
                paths.push(path);
            }
        }
        paths.sort();
        Ok(paths)
    }
}

fn read(path: &Path) -> Option<Checkpoint> {
    let bytes = fs::read(path).ok()?;
    let (content, hash) = bytes.split_at_checked(bytes.len().checked_sub(HASH_BYTES)?)?;
    if blake3::hash(content).as_bytes() != hash {
        return None;
    }
    Checkpoint::from_bytes(content).ok()
}
