//! Where a drill lays out what it brings back: readable plaintext, for as long as it takes.

use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::{
    DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _,
};
use std::path::{Path, PathBuf};

use rustix::fs::{OFlags, statfs};

use super::super::files::remove_all;
use super::encrypted;
use crate::config::DrillConfig;
use crate::report::{Report, Result};

/// The magic numbers of file systems that are in memory (linux/magic.h): tmpfs, ramfs.
const IN_MEMORY: [i128; 2] = [0x0102_1994, 0x8584_58f6];
const PREFIX: &str = "scratch-";
static ZEROS: [u8; 1 << 16] = [0; 1 << 16];

/// What the folder lies on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Kind {
    /// tmpfs or ramfs: nothing is written to a disk, except what the system swaps out.
    Memory,
    /// A disk that only ever had ciphertext, of a key that nobody has any more.
    Encrypted,
    /// Anything else: it is overwritten before it is removed.
    Disk,
}

impl Kind {
    pub(in super::super) fn of(folder: &Path) -> Self {
        let kind = statfs(folder).map(|found| i128::from(found.f_type));
        match kind {
            // The field is signed on some machines.
            Ok(kind) if IN_MEMORY.contains(&(kind & 0xffff_ffff)) => Self::Memory,
            _ => Self::Disk,
        }
    }

    /// What a report says of it.
    pub(in super::super) fn words(self) -> &'static str {
        match self {
            Self::Memory => "in memory (tmpfs); removed afterwards",
            Self::Encrypted => "encrypted with a key that only this drill had; removed afterwards",
            Self::Disk => {
                "ON DISK: what came back lay readable on a disk, and was overwritten and removed \
                 afterwards; drill.scratch = \"/dev/shm\" keeps it in memory, \
                 drill.scratch_encrypted = true keeps plaintext off the disk"
            }
        }
    }
}

/// Removed when the drill ends, however it ends.
#[derive(Debug)]
pub(in super::super) struct Scratch {
    /// All that is removed.
    outer: PathBuf,
    path: PathBuf,
    kind: Kind,
}

/// Below what a drill's scratch folder is made.
pub(in super::super) fn below(config: &DrillConfig, home: &Path) -> PathBuf {
    config.scratch.clone().unwrap_or_else(|| home.to_path_buf())
}

impl Scratch {
    /// A folder of its own for one drill, which nobody else can read.
    ///
    /// # Errors
    /// Whatever the system says.
    pub(in super::super) fn make(below: &Path, encrypted: bool) -> Result<Self> {
        let outer = below.join(format!("{PREFIX}{}", std::process::id()));
        let fail = |error: &std::io::Error| Report::io("make the scratch folder", &outer, error);
        fs::create_dir_all(below).map_err(|error| fail(&error))?;
        wipe(&outer, Kind::of(below));
        fs::DirBuilder::new().mode(0o700).create(&outer).map_err(|error| fail(&error))?;
        let kind = Kind::of(&outer);
        let mut scratch = Self { path: outer.clone(), outer, kind };
        if encrypted && kind == Kind::Disk {
            scratch.path = encrypted::open(&scratch.outer, false)?;
            scratch.kind = Kind::Encrypted;
        }
        Ok(scratch)
    }

    pub(in super::super) fn path(&self) -> &Path {
        &self.path
    }

    pub(in super::super) fn kind(&self) -> Kind {
        self.kind
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        wipe(&self.outer, self.kind);
    }
}

/// A drill that was killed leaves plaintext behind: the next one removes it.
pub(in super::super) fn remove_stale(below: &Path) {
    let me = rustix::process::geteuid().as_raw();
    for entry in fs::read_dir(below).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let pid = name.to_str().and_then(|name| name.strip_prefix(PREFIX));
        let is_number = |pid: &str| !pid.is_empty() && pid.bytes().all(|b| b.is_ascii_digit());
        let is_dead =
            pid.is_some_and(|pid| is_number(pid) && !Path::new("/proc").join(pid).exists());
        // In a folder that all may write to, others make folders with such names as well.
        let is_ours = entry.metadata().is_ok_and(|meta| meta.is_dir() && meta.uid() == me);
        if is_dead && is_ours {
            wipe(&entry.path(), Kind::of(below));
        }
    }
}

/// Removes a folder with all that is in it; on a disk its files are overwritten first. What a file
/// system or a drive kept of earlier contents elsewhere is not reached by that.
fn wipe(path: &Path, kind: Kind) {
    if !path.exists() {
        return;
    }
    encrypted::close(path);
    if kind == Kind::Disk && !encrypted::is_sealed(path) {
        overwrite(path);
        // Zeros that stay in the cache until the file is gone would never reach the disk.
        if let Ok(folder) = File::open(path) {
            let _ = rustix::fs::syncfs(&folder);
        }
    }
    // What remains is plaintext and says so by its name; the next drill tries again.
    remove_all(path);
}

fn overwrite(path: &Path) {
    let Ok(meta) = fs::symlink_metadata(path) else { return };
    if meta.is_dir() {
        let _ = fs::set_permissions(path, fs::Permissions::from_mode(0o700));
        for entry in fs::read_dir(path).into_iter().flatten().flatten() {
            overwrite(&entry.path());
        }
        return;
    }
    // A second name may be one outside, made by somebody's program.
    if !meta.is_file() || meta.nlink() > 1 {
        return;
    }
    let _ = fs::set_permissions(path, fs::Permissions::from_mode(0o600));
    let flags = i32::try_from(OFlags::NOFOLLOW.bits()).unwrap_or(0);
    let Ok(mut file) = File::options().write(true).custom_flags(flags).open(path) else { return };
    // By what lies there: a hole holds nothing.
    let mut left = meta.len().min(meta.blocks() * 512);
    while left > 0 {
        let part = usize::try_from(left).map_or(ZEROS.len(), |left| left.min(ZEROS.len()));
        match file.write(&ZEROS[..part]) {
            Ok(written) if written > 0 => left -= written as u64,
            _ => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_told_from_a_disk_and_a_disk_is_told_loudly() {
        assert_eq!(Kind::of(Path::new("/dev/shm")), Kind::Memory);
        assert_eq!(Kind::of(Path::new("/proc")), Kind::Disk);
        assert!(Kind::Disk.words().starts_with("ON DISK"));
    }

    #[test]
    fn what_was_laid_out_is_overwritten_and_gone_and_what_others_hold_is_not_touched() {
        let below = tempfile::tempdir().unwrap();
        let (outside, second) = (below.path().join("outside"), below.path().join("second"));
        fs::write(&outside, "mine").unwrap();
        fs::write(&second, "mine too").unwrap();
        let scratch = Scratch::make(below.path(), false).unwrap();
        assert_eq!(fs::metadata(scratch.path()).unwrap().permissions().mode() & 0o777, 0o700);
        std::os::unix::fs::symlink(&outside, scratch.path().join("link")).unwrap();
        fs::hard_link(&second, scratch.path().join("second")).unwrap();
        let secret = scratch.path().join("closed");
        fs::write(&secret, "a secret").unwrap();
        let mut open = File::open(&secret).unwrap();
        fs::set_permissions(&secret, fs::Permissions::from_mode(0o400)).unwrap();
        overwrite(scratch.path());
        let mut text = String::new();
        std::io::Read::read_to_string(&mut open, &mut text).unwrap();
        assert_eq!(text, "\0".repeat(8));
        let place = scratch.path().to_path_buf();
        drop(scratch);
        assert!(!place.exists());
        assert_eq!(fs::read_to_string(&outside).unwrap(), "mine");
        assert_eq!(fs::read_to_string(&second).unwrap(), "mine too");
    }

    #[test]
    fn an_encrypted_one_leaves_no_plaintext_on_the_disk_and_no_way_to_open_it() {
        let below = tempfile::tempdir().unwrap();
        let text = "what nobody else may read ".repeat(1000);
        let scratch = Scratch::make(below.path(), true).unwrap();
        assert_eq!(scratch.kind(), Kind::Encrypted);
        fs::write(scratch.path().join("orders.sqlite"), &text).unwrap();
        assert_eq!(fs::read_to_string(scratch.path().join("orders.sqlite")).unwrap(), text);
        // As after a kill: what lies on the disk is not opened by anything.
        let (outer, sealed) = (scratch.outer.clone(), scratch.outer.join("sealed"));
        std::mem::forget(scratch);
        let files: Vec<_> = fs::read_dir(&sealed).unwrap().flatten().collect();
        assert!(files.iter().any(|file| file.metadata().unwrap().len() > text.len() as u64));
        for file in files {
            let bytes = fs::read(file.path()).unwrap();
            assert!(!bytes.windows(12).any(|part| part == b"nobody else "), "{file:?}");
            assert_ne!(file.file_name(), "orders.sqlite");
        }
        let dead = below.path().join("scratch-4194305");
        fs::rename(&outer, &dead).unwrap();
        remove_stale(below.path());
        assert!(!dead.exists());
    }

    #[test]
    fn the_next_drill_removes_what_a_killed_one_left() {
        let below = tempfile::tempdir().unwrap();
        let (dead, alive) = (below.path().join("scratch-4194305"), below.path().join("scratch-1"));
        let other = below.path().join("scratch-pad");
        for folder in [&dead, &alive, &other] {
            fs::create_dir(folder).unwrap();
            fs::write(folder.join("plain"), "text").unwrap();
        }
        remove_stale(below.path());
        assert!(!dead.exists() && alive.exists() && other.exists());
    }
}
