//! The operating system's files: `pread`, `pwrite`, `fdatasync`, `fsync`, `fallocate`, `flock`.

use crate::disk::{Access, Claim, Disk, DiskFile, DiskLock, LockRefused};
use crate::error::Holder;
use rustix::fs::{Advice, FallocateFlags, FlockOperation, fadvise, fallocate, flock, statvfs};
use rustix::io::Errno;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::{DirBuilderExt as _, FileExt, OpenOptionsExt as _};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

/// Longest command line noted in a lock file, in bytes.
const COMMAND_BYTES_MAX: usize = 300;
/// Only the owner reads and writes what is created here.
const FILE_MODE: u32 = 0o600;
const DIR_MODE: u32 = 0o700;

/// The real file system.
///
/// Durability rests on `pwrite` followed by `fdatasync` or `fsync` and nothing else (no mmap, no
/// `O_SYNC`), so a shim that discards what was not synced models a power loss faithfully.
#[derive(Debug, Clone, Copy, Default)]
pub struct RealDisk;

impl Disk for RealDisk {
    fn open(&self, path: &Path, access: Access) -> io::Result<Box<dyn DiskFile>> {
        let write = access == Access::ReadWrite;
        Ok(Box::new(RealFile(OpenOptions::new().read(true).write(write).open(path)?)))
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(FILE_MODE)
            .open(path)?;
        Ok(Box::new(RealFile(file)))
    }

    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        if dir.is_dir() {
            return Ok(());
        }
        let parent = dir.parent().filter(|parent| !parent.as_os_str().is_empty());
        if let Some(parent) = parent {
            self.create_dir_all(parent)?;
        }
        match DirBuilder::new().mode(DIR_MODE).create(dir) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && dir.is_dir() => {}
            other => other?,
        }
        self.sync_dir(parent.unwrap_or(Path::new(".")))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(dir)? {
            // A name that is not UTF-8 is none of ours.
            if let Ok(name) = entry?.file_name().into_string() {
                names.push(name);
            }
        }
        names.sort();
        Ok(names)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        File::open(dir)?.sync_all()
    }

    fn free_bytes(&self, dir: &Path) -> io::Result<u64> {
        let stat = statvfs(dir)?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }

    fn lock(&self, path: &Path) -> Result<Box<dyn DiskLock>, LockRefused> {
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(FILE_MODE)
            .open(path)
            .map_err(LockRefused::Io)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => {
                let mut text = String::new();
                // The holder may be writing its note just now: an unreadable one is "unknown".
                let _ = file.read_to_string(&mut text);
                return Err(LockRefused::Held(Holder::from_note(&text)));
            }
            Err(error) => return Err(LockRefused::Io(error.into())),
        }
        let note = this_process().to_note();
        file.set_len(0).map_err(LockRefused::Io)?;
        file.write_all_at(note.as_bytes(), 0).map_err(LockRefused::Io)?;
        Ok(Box::new(RealLock { _file: file }))
    }
}

fn this_process() -> Holder {
    let mut command = std::env::args().collect::<Vec<_>>().join(" ");
    command = command.replace(['\n', '\r'], " ");
    let mut cut = command.len().min(COMMAND_BYTES_MAX);
    while !command.is_char_boundary(cut) {
        cut -= 1;
    }
    command.truncate(cut);
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Holder { pid: std::process::id(), since_unix_seconds: since.as_secs(), command }
}

#[derive(Debug)]
struct RealLock {
    /// The lock lives as long as this descriptor.
    _file: File,
}

impl DiskLock for RealLock {}

#[derive(Debug)]
struct RealFile(File);

impl DiskFile for RealFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.0.read_at(buffer, offset)
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.0.write_all_at(bytes, offset)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn sync_all(&self) -> io::Result<()> {
        self.0.sync_all()
    }

    fn preallocate(&self, length_bytes: u64) -> io::Result<()> {
        match fallocate(&self.0, FallocateFlags::empty(), 0, length_bytes) {
            // The zeros written next allocate as well; the space is then only less contiguous.
            Ok(()) | Err(Errno::OPNOTSUPP | Errno::NOSYS) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn forget_cached(&self) -> io::Result<()> {
        Ok(fadvise(&self.0, 0, None, Advice::DontNeed)?)
    }

    fn length_bytes(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn claim(&self, claim: Claim) -> io::Result<bool> {
        let operation = match claim {
            Claim::None => FlockOperation::Unlock,
            Claim::Shared => FlockOperation::NonBlockingLockShared,
            Claim::Exclusive => FlockOperation::NonBlockingLockExclusive,
        };
        match flock(&self.0, operation) {
            Ok(()) => Ok(true),
            Err(Errno::WOULDBLOCK) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}
