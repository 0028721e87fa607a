//! What the journal needs of a file system, as a trait: the real one, or one with faults.

use crate::error::Holder;
use std::fmt;
use std::io;
use std::path::Path;

/// How an existing file is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// For reading only.
    Read,
    /// For reading and writing.
    ReadWrite,
}

/// A file system. Names are never interpreted here; durability is exactly what POSIX promises: a
/// write is durable after `sync_data` of its file, a name after `sync_dir` of its folder.
pub trait Disk: fmt::Debug + Send + Sync {
    /// Opens an existing file.
    ///
    /// # Errors
    /// `NotFound`, `PermissionDenied`, and whatever else the system says.
    fn open(&self, path: &Path, access: Access) -> io::Result<Box<dyn DiskFile>>;

    /// Creates a file that must not exist, for reading and writing.
    ///
    /// # Errors
    /// `AlreadyExists`, `StorageFull`, and whatever else the system says.
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;

    /// Creates a folder and its parents, durably; an existing one is fine.
    ///
    /// # Errors
    /// Whatever the system says.
    fn create_dir_all(&self, dir: &Path) -> io::Result<()>;

    /// Names of the files in a folder, sorted.
    ///
    /// # Errors
    /// `NotFound`, and whatever else the system says.
    fn list(&self, dir: &Path) -> io::Result<Vec<String>>;

    /// Renames a file within a folder, replacing the target in one step.
    ///
    /// # Errors
    /// Whatever the system says.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    /// Whatever the system says.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Makes the names in a folder durable.
    ///
    /// # Errors
    /// Whatever the system says; after an error the names' durability is unknown.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;

    /// Bytes that can still be allocated in the file system of this folder.
    ///
    /// # Errors
    /// Whatever the system says.
    fn free_bytes(&self, dir: &Path) -> io::Result<u64>;

    /// Takes the exclusive lock named by this path and holds it until the guard is dropped or the
    /// process dies.
    ///
    /// # Errors
    /// [`LockRefused::Held`] if somebody else has it.
    fn lock(&self, path: &Path) -> Result<Box<dyn DiskLock>, LockRefused>;
}

/// An open file.
pub trait DiskFile: fmt::Debug + Send + Sync {
    /// Reads up to `buffer.len()` bytes; fewer only at the end of the file.
    ///
    /// # Errors
    /// Whatever the system says.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Writes all bytes. Not durable until [`DiskFile::sync_data`].
    ///
    /// # Errors
    /// Whatever the system says; any part may have been written.
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// Makes everything written to this file durable (`fdatasync`).
    ///
    /// # Errors
    /// Whatever the system says. After an error any part of what was written since the last
    /// success may be lost, and a second call may succeed without having written it.
    fn sync_data(&self) -> io::Result<()>;

    /// As [`DiskFile::sync_data`], with all metadata (`fsync`).
    ///
    /// # Errors
    /// As [`DiskFile::sync_data`].
    fn sync_all(&self) -> io::Result<()>;

    /// Allocates space so that later writes below `length_bytes` cannot fail for want of it, where
    /// the file system can promise that; elsewhere does nothing.
    ///
    /// # Errors
    /// `StorageFull`, and whatever else the system says.
    fn preallocate(&self, length_bytes: u64) -> io::Result<()>;

    /// Asks the system to drop what it caches of this file, so that the next read comes from the
    /// disk; where that cannot be asked, does nothing. Pages not yet written stay.
    ///
    /// # Errors
    /// Whatever the system says.
    fn forget_cached(&self) -> io::Result<()> {
        Ok(())
    }

    /// Length of the file in bytes.
    ///
    /// # Errors
    /// Whatever the system says.
    fn length_bytes(&self) -> io::Result<u64>;

    /// Says what this handle is for; what it said before holds no longer. Does not wait: `false` if
    /// another handle's claim stands against it, in this process or another. A claim ends with its
    /// handle.
    ///
    /// # Errors
    /// Whatever the system says.
    fn claim(&self, claim: Claim) -> io::Result<bool>;
}

/// What a handle is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claim {
    /// Nothing that others need mind.
    None,
    /// What is read must stay what it is. Any number at once.
    Shared,
    /// Other content takes the place of what is there: only where nobody reads.
    Exclusive,
}

/// Holds a lock while it lives.
pub trait DiskLock: fmt::Debug + Send + Sync {}

/// Why a lock was not given.
#[derive(Debug)]
pub enum LockRefused {
    /// Somebody holds it.
    Held(Holder),
    /// The system failed.
    Io(io::Error),
}

/// Whether an error means that space (or quota) has run out.
#[must_use]
pub fn is_out_of_space(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// Fills `buffer` from `offset`; bytes behind the end of the file read as missing.
///
/// Returns the number of bytes read, smaller than the buffer only at the end of the file.
pub(crate) fn read_full(file: &dyn DiskFile, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut done = 0;
    while done < buffer.len() {
        match file.read_at(&mut buffer[done..], offset + done as u64) {
            Ok(0) => break,
            Ok(count) => done += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}
