//! The disk that the product is given: the one with faults, and what a mistake makes of it.

use std::io;
use std::path::Path;
use std::sync::Arc;

use evenkeel_journal::fault_disk::FaultDisk;
use evenkeel_journal::{Access, Claim, Disk, DiskFile, DiskLock, LockRefused};

use crate::bugs::Bug;

/// A [`FaultDisk`] as the product sees it.
#[derive(Debug)]
pub struct SimDisk {
    inner: FaultDisk,
    bug: Option<Bug>,
}

impl SimDisk {
    /// Wraps a disk.
    #[must_use]
    pub fn shared(inner: &FaultDisk, bug: Option<Bug>) -> Arc<dyn Disk> {
        Arc::new(Self { inner: inner.clone(), bug })
    }

    fn file(&self, inner: Box<dyn DiskFile>) -> Box<dyn DiskFile> {
        if self.bug != Some(Bug::FsyncRetry) {
            return inner;
        }
        Box::new(Retrying { inner })
    }
}

impl Disk for SimDisk {
    fn open(&self, path: &Path, access: Access) -> io::Result<Box<dyn DiskFile>> {
        Ok(self.file(self.inner.open(path, access)?))
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        Ok(self.file(self.inner.create(path)?))
    }

    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        self.inner.create_dir_all(dir)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        self.inner.list(dir)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.inner.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.inner.remove(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        if self.bug == Some(Bug::NoDirectorySync) {
            return Ok(());
        }
        self.inner.sync_dir(dir)
    }

    fn free_bytes(&self, dir: &Path) -> io::Result<u64> {
        self.inner.free_bytes(dir)
    }

    fn lock(&self, path: &Path) -> Result<Box<dyn DiskLock>, LockRefused> {
        match self.inner.lock(path) {
            Err(LockRefused::Held(_)) if self.bug == Some(Bug::MissingTermCheck) => {
                Ok(Box::new(NoLock))
            }
            lock => lock,
        }
    }
}

#[derive(Debug)]
struct NoLock;

impl DiskLock for NoLock {}

/// Syncs again after a failure.
#[derive(Debug)]
struct Retrying {
    inner: Box<dyn DiskFile>,
}

impl DiskFile for Retrying {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.inner.read_at(buffer, offset)
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.inner.write_all_at(bytes, offset)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.inner.sync_data().or_else(|_| self.inner.sync_data())
    }

    fn sync_all(&self) -> io::Result<()> {
        self.sync_data()
    }

    fn preallocate(&self, length_bytes: u64) -> io::Result<()> {
        self.inner.preallocate(length_bytes)
    }

    fn length_bytes(&self) -> io::Result<u64> {
        self.inner.length_bytes()
    }

    fn claim(&self, claim: Claim) -> io::Result<bool> {
        self.inner.claim(claim)
    }
}
