//! One folder per bucket: objects that are created, never changed, and counted.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use evenkeel_vault::check_object_name;

/// Objects being received; never listed, emptied at every start.
const TEMPORARY: &str = ".tmp";
/// An object takes at least this much of a disk, however short it is.
const BLOCK_BYTES: u64 = 4096;

/// Why an object was not kept.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// Other content has the name.
    Taken,
    /// The domain has used what it may.
    Quota,
    /// The disk has no room but the reserve.
    Disk,
    /// Nothing allows it to be deleted.
    Kept(&'static str),
    /// The name cannot be an object's.
    Name(&'static str),
    /// The system said no.
    Io(io::Error),
}

impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Disk,
            // A name whose folder is an object already, or the other way round.
            io::ErrorKind::NotADirectory
            | io::ErrorKind::IsADirectory
            | io::ErrorKind::AlreadyExists => Self::Taken,
            _ => Self::Io(error),
        }
    }
}

/// What is known of an object without reading it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct About {
    pub(crate) length_bytes: u64,
    pub(crate) written: SystemTime,
    /// Differs between any two objects, and stays as long as the object does.
    pub(crate) tag: String,
}

impl About {
    fn of(metadata: &fs::Metadata) -> Self {
        let (inode, seconds) = (metadata.ino(), metadata.mtime());
        let tag = format!("{inode:x}-{seconds:x}-{:x}-{:x}", metadata.mtime_nsec(), metadata.len());
        let written = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
        Self { length_bytes: metadata.len(), written, tag }
    }
}

/// A bucket.
#[derive(Debug)]
pub(crate) struct Shelf {
    root: PathBuf,
    quota_bytes: Option<u64>,
    reserve_bytes: u64,
    used_bytes: Mutex<u64>,
    told_tenths: AtomicU64,
    next: AtomicU64,
}

/// Room set aside for an object under way; given back when it is dropped unused.
#[derive(Debug)]
pub(crate) struct Room {
    shelf: Arc<Shelf>,
    bytes: u64,
}

impl Drop for Room {
    fn drop(&mut self) {
        let mut used = self.shelf.used();
        *used = used.saturating_sub(self.bytes);
    }
}

impl Room {
    /// The object is there: its room stays taken.
    fn keep(mut self) {
        self.bytes = 0;
    }
}

/// An object being received.
#[derive(Debug)]
pub(crate) struct Arriving {
    pub(crate) path: PathBuf,
}

impl Drop for Arriving {
    fn drop(&mut self) {
        // Under its own name or not at all, the object no longer needs this one; what cannot be
        // removed is removed at the next start.
        let _ = fs::remove_file(&self.path);
    }
}

impl Shelf {
    /// Opens a bucket's folder, making it if need be, and counts what is there.
    pub(crate) fn open(
        root: PathBuf,
        quota_bytes: Option<u64>,
        reserve_bytes: u64,
    ) -> io::Result<Self> {
        fs::create_dir_all(&root)?;
        let temporary = root.join(TEMPORARY);
        match fs::remove_dir_all(&temporary) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => fs::create_dir(&temporary)?,
        }
        sync_folder(&root)?;
        if let Some(above) = root.parent() {
            sync_folder(above)?;
        }
        let mut used = 0_u64;
        count(&root, &mut used)?;
        Ok(Self {
            root,
            quota_bytes,
            reserve_bytes,
            used_bytes: Mutex::new(used),
            told_tenths: AtomicU64::new(0),
            next: AtomicU64::new(0),
        })
    }

    fn used(&self) -> std::sync::MutexGuard<'_, u64> {
        self.used_bytes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Bytes of disk that count against the quota.
    pub(crate) fn used_bytes(&self) -> u64 {
        *self.used()
    }

    /// Once for every tenth from the eighth on: bytes used, and the quota.
    pub(crate) fn fills_up(&self) -> Option<(u64, u64)> {
        let quota = self.quota_bytes?;
        let used = self.used_bytes();
        let tenths = used.saturating_mul(10) / quota.max(1);
        let told = self.told_tenths.fetch_max(tenths, Ordering::Relaxed);
        (tenths >= 8 && tenths > told).then_some((used, quota))
    }

    pub(crate) fn quota_bytes(&self) -> Option<u64> {
        self.quota_bytes
    }

    fn path(&self, key: &str) -> Result<PathBuf, Refusal> {
        check_object_name(key).map_err(Refusal::Name)?;
        Ok(self.root.join(key))
    }

    /// Sets room aside for an object of so many bytes.
    pub(crate) fn reserve(self: &Arc<Self>, length_bytes: u64) -> Result<Room, Refusal> {
        let bytes = on_disk(length_bytes);
        let disk = rustix::fs::statvfs(&self.root).map_err(io::Error::from)?;
        let free = disk.f_bavail.saturating_mul(disk.f_frsize);
        if free < self.reserve_bytes.saturating_add(bytes) {
            return Err(Refusal::Disk);
        }
        let mut used = self.used();
        let after = used.saturating_add(bytes);
        if self.quota_bytes.is_some_and(|quota| after > quota) {
            return Err(Refusal::Quota);
        }
        *used = after;
        Ok(Room { shelf: Arc::clone(self), bytes })
    }

    /// Where the next object is received.
    pub(crate) fn arriving(&self) -> Arriving {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        Arriving { path: self.root.join(TEMPORARY).join(number.to_string()) }
    }

    /// Gives a received object, which is on the disk already, its name, for good. Whether it was
    /// new; the same object again is no error.
    pub(crate) fn place(&self, key: &str, arrived: &Arriving, room: Room) -> Result<bool, Refusal> {
        let path = self.path(key)?;
        let folder = path.parent().unwrap_or(&self.root);
        make_folders(&self.root, folder)?;
        // A link fails where a name is taken, which a rename would not.
        match fs::hard_link(&arrived.path, &path) {
            Ok(()) => {
                room.keep();
                sync_folder(folder)?;
                Ok(true)
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                if !same_content(&arrived.path, &path)? {
                    return Err(Refusal::Taken);
                }
                // Whoever wrote it may have been killed before the name was on the disk.
                sync_folder(folder)?;
                Ok(false)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// The bucket's folder.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Deletes an object for good, by a grant that was looked at before.
    pub(crate) fn remove(&self, key: &str) -> Result<(), Refusal> {
        let path = self.path(key)?;
        let Some(about) = self.about(key)? else {
            return Ok(());
        };
        fs::remove_file(&path)?;
        sync_folder(path.parent().unwrap_or(&self.root))?;
        let mut used = self.used();
        *used = used.saturating_sub(on_disk(about.length_bytes));
        Ok(())
    }

    /// What is there under a name.
    pub(crate) fn about(&self, key: &str) -> Result<Option<About>, Refusal> {
        let metadata = match fs::symlink_metadata(self.path(key)?) {
            Ok(metadata) => metadata,
            Err(error) if is_absent(&error) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        Ok(metadata.is_file().then(|| About::of(&metadata)))
    }

    /// An object to read.
    pub(crate) fn open_object(&self, key: &str) -> Result<Option<(File, About)>, Refusal> {
        if self.about(key)?.is_none() {
            return Ok(None);
        }
        let file = File::open(self.path(key)?)?;
        let about = About::of(&file.metadata()?);
        Ok(Some((file, about)))
    }

    /// The next `most` names after `after` that start with `prefix`, in the order of their bytes,
    /// and whether there are more. With `fold`, names with a `/` behind the prefix are given once,
    /// up to that `/`, without an object.
    pub(crate) fn list(&self, wanted: &Wanted<'_>) -> Result<Page, Refusal> {
        let mut page = Page::default();
        // Only the folder that the prefix names can hold what is wanted.
        let folder = wanted.prefix.rfind('/').map_or("", |at| &wanted.prefix[..=at]);
        let walkable = folder.is_empty() || check_object_name(folder.trim_end_matches('/')).is_ok();
        if walkable {
            self.walk(folder, wanted, &mut page)?;
        }
        Ok(page)
    }

    fn walk(&self, folder: &str, wanted: &Wanted<'_>, page: &mut Page) -> Result<(), Refusal> {
        for (name, is_folder) in self.entries(folder)? {
            let key = format!("{folder}{name}");
            let reachable =
                key.starts_with(wanted.prefix) || (is_folder && wanted.prefix.starts_with(&key));
            // Everything in a folder whose name, filled up, comes before it, comes before it too.
            let passed = match is_folder {
                true => key.as_str() < wanted.after && !wanted.after.starts_with(&key),
                false => key.as_str() <= wanted.after,
            };
            if !reachable || passed {
                continue;
            }
            if is_folder && wanted.fold && key.len() > wanted.prefix.len() {
                if key.as_str() > wanted.after && !page.take(wanted.most, key, None) {
                    return Ok(());
                }
            } else if is_folder {
                self.walk(&key, wanted, page)?;
                if page.more {
                    return Ok(());
                }
            } else if let Some(about) = self.about(&key)?
                && !page.take(wanted.most, key, Some(about))
            {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Objects and folders (with a `/`) of a folder, in the order of the names below them.
    fn entries(&self, folder: &str) -> Result<BTreeMap<String, bool>, Refusal> {
        let mut found = BTreeMap::new();
        let entries = match fs::read_dir(self.root.join(folder)) {
            Ok(entries) => entries,
            Err(error) if is_absent(&error) => return Ok(found),
            Err(error) => return Err(error.into()),
        };
        for entry in entries {
            let entry = entry?;
            let Ok(name) = entry.file_name().into_string() else {
                continue;
            };
            let kind = entry.file_type()?;
            if check_object_name(&name).is_err() {
                continue;
            }
            if kind.is_dir() {
                found.insert(name + "/", true);
            } else if kind.is_file() {
                found.insert(name, false);
            }
        }
        Ok(found)
    }
}

/// What a listing is asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted<'a> {
    pub(crate) prefix: &'a str,
    pub(crate) after: &'a str,
    pub(crate) most: usize,
    pub(crate) fold: bool,
}

/// A part of a listing; no object stands for a folded folder.
#[derive(Debug, Default)]
pub(crate) struct Page {
    pub(crate) entries: Vec<(String, Option<About>)>,
    pub(crate) more: bool,
}

impl Page {
    fn take(&mut self, most: usize, key: String, about: Option<About>) -> bool {
        if self.entries.len() >= most {
            self.more = true;
            return false;
        }
        self.entries.push((key, about));
        true
    }
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

fn on_disk(length_bytes: u64) -> u64 {
    length_bytes.max(1).div_ceil(BLOCK_BYTES).saturating_mul(BLOCK_BYTES)
}

fn count(folder: &Path, used: &mut u64) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() && entry.file_name() != TEMPORARY {
            count(&entry.path(), used)?;
        } else if kind.is_file() {
            *used = used.saturating_add(on_disk(entry.metadata()?.len()));
        }
    }
    Ok(())
}

fn same_content(left: &Path, right: &Path) -> io::Result<bool> {
    let (mut left, mut right) = (File::open(left)?, File::open(right)?);
    if left.metadata()?.len() != right.metadata()?.len() {
        return Ok(false);
    }
    let (mut a, mut b) = (vec![0; 64 * 1024], vec![0; 64 * 1024]);
    loop {
        let read = left.read(&mut a)?;
        if read == 0 {
            return Ok(true);
        }
        right.read_exact(&mut b[..read])?;
        if a[..read] != b[..read] {
            return Ok(false);
        }
    }
}

fn make_folders(root: &Path, folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    fs::create_dir_all(folder)?;
    let mut at = folder;
    while at != root {
        let Some(above) = at.parent() else { break };
        sync_folder(above)?;
        at = above;
    }
    Ok(())
}

fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shelf(quota: Option<u64>) -> (tempfile::TempDir, Arc<Shelf>) {
        let folder = tempfile::tempdir().unwrap();
        let shelf = Shelf::open(folder.path().join("b"), quota, 0).unwrap();
        (folder, Arc::new(shelf))
    }

    fn put(shelf: &Arc<Shelf>, key: &str, bytes: &[u8]) -> Result<bool, Refusal> {
        let room = shelf.reserve(bytes.len() as u64)?;
        let arriving = shelf.arriving();
        fs::write(&arriving.path, bytes)?;
        shelf.place(key, &arriving, room)
    }

    fn names(shelf: &Shelf, prefix: &str, after: &str, most: usize, fold: bool) -> Vec<String> {
        let page = shelf.list(&Wanted { prefix, after, most, fold }).unwrap();
        page.entries.into_iter().map(|(key, _)| key).collect()
    }

    #[test]
    fn a_name_is_given_once_and_the_same_object_again_changes_nothing() {
        let (_folder, shelf) = shelf(None);
        assert!(put(&shelf, "d/x", b"one").unwrap());
        let before = shelf.about("d/x").unwrap();
        assert!(!put(&shelf, "d/x", b"one").unwrap());
        assert!(matches!(put(&shelf, "d/x", b"two"), Err(Refusal::Taken)));
        assert!(matches!(put(&shelf, "d/x/y", b"two"), Err(Refusal::Taken)));
        assert!(matches!(put(&shelf, "d", b"two"), Err(Refusal::Taken)));
        assert_eq!(shelf.about("d/x").unwrap(), before);
        assert_eq!(shelf.used_bytes(), BLOCK_BYTES);
    }

    #[test]
    fn a_quota_counts_what_a_disk_gives_and_is_counted_again_at_a_start() {
        let (folder, shelf) = shelf(Some(3 * BLOCK_BYTES));
        put(&shelf, "a", b"").unwrap();
        put(&shelf, "b", &[0; 4097]).unwrap();
        assert!(matches!(put(&shelf, "c", b"x"), Err(Refusal::Quota)));
        assert!(!put(&shelf, "a", b"").is_ok_and(|new| new));
        drop(shelf);
        let shelf =
            Arc::new(Shelf::open(folder.path().join("b"), Some(3 * BLOCK_BYTES), 0).unwrap());
        assert_eq!(shelf.used_bytes(), 3 * BLOCK_BYTES);
        assert!(matches!(put(&shelf, "c", b"x"), Err(Refusal::Quota)));
    }

    #[test]
    fn what_was_being_received_when_the_server_died_is_gone_at_the_next_start() {
        let (folder, shelf) = shelf(None);
        let arriving = shelf.arriving();
        fs::write(&arriving.path, b"half").unwrap();
        let path = arriving.path.clone();
        std::mem::forget(arriving);
        Shelf::open(folder.path().join("b"), None, 0).unwrap();
        assert!(!path.exists());
        assert!(names(&shelf, "", "", 9, false).is_empty());
    }

    #[test]
    fn names_are_listed_by_their_bytes_in_pages_that_leave_nothing_out() {
        let (_folder, shelf) = shelf(None);
        let mut keys =
            ["a", "a-b", "a/b", "a/b.c", "a0", "b/a/c", "b/a/d", "b/z", "c/a", "d"].to_vec();
        keys.remove(0);
        for key in &keys {
            put(&shelf, key, b"x").unwrap();
        }
        keys.sort_unstable();
        assert_eq!(names(&shelf, "", "", 99, false), keys);
        for most in 1..keys.len() {
            let (mut all, mut after) = (Vec::new(), String::new());
            loop {
                let page =
                    shelf.list(&Wanted { prefix: "", after: &after, most, fold: false }).unwrap();
                all.extend(page.entries.into_iter().map(|(key, _)| key));
                after = all.last().cloned().unwrap_or_default();
                if !page.more {
                    break;
                }
            }
            assert_eq!(all, keys, "{most} a page");
        }
        assert_eq!(names(&shelf, "b/", "", 99, false), ["b/a/c", "b/a/d", "b/z"]);
        assert_eq!(names(&shelf, "b", "b/a/c", 99, false), ["b/a/d", "b/z"]);
        assert_eq!(names(&shelf, "a", "", 99, true), ["a-b", "a/", "a0"]);
        assert_eq!(names(&shelf, "b/", "b/a/", 99, true), ["b/z"]);
        assert_eq!(names(&shelf, "../", "", 99, false), [""; 0]);
    }

    #[test]
    fn the_reserve_of_the_disk_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let shelf = Shelf::open(folder.path().join("b"), None, u64::MAX / 2).unwrap();
        assert!(matches!(Arc::new(shelf).reserve(1), Err(Refusal::Disk)));
    }
}
