//! A local folder as a site: honest about being mutable, durable about every object.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::direct;
use crate::site::{Janitor, ObjectInfo, Site, SiteClass, SiteError, SiteErrorKind};

/// Folder for objects being written; never listed.
const TEMPORARY: &str = ".tmp";
/// Folder for damaged objects moved aside; never listed.
const QUARANTINE: &str = ".quarantine";
/// Longest object name.
const KEY_BYTES_MAX: usize = 512;

static TEMPORARY_NUMBER: AtomicU64 = AtomicU64::new(0);

/// A folder on this machine (or mounted on it).
///
/// An object is written to a temporary file, synced, linked to its name (which fails if the name
/// is taken) and the folder synced. The folder itself has to exist already: a folder that is gone
/// is a site that is gone, not an empty one.
#[derive(Debug)]
pub struct FolderSite {
    name: String,
    location: String,
    root: PathBuf,
}

impl FolderSite {
    /// A site over an existing or future folder; nothing is touched until it is used.
    pub fn new(
        name: impl Into<String>,
        location: impl Into<String>,
        root: impl Into<PathBuf>,
    ) -> Self {
        Self { name: name.into(), location: location.into(), root: root.into() }
    }

    /// Makes the folder (if it is not there) and returns the site.
    ///
    /// # Errors
    /// Why the folder could not be made.
    pub fn create(
        name: impl Into<String>,
        location: impl Into<String>,
        root: impl Into<PathBuf>,
    ) -> Result<Self, SiteError> {
        let site = Self::new(name, location, root);
        fs::create_dir_all(&site.root).map_err(|error| site.error("create", "", &error))?;
        site.sweep_temporary();
        Ok(site)
    }

    /// The folder.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    fn fail(&self, action: &'static str, key: &str, kind: SiteErrorKind, why: &str) -> SiteError {
        SiteError {
            site: self.name.clone(),
            action,
            key: key.to_owned(),
            kind,
            detail: why.to_owned(),
        }
    }

    fn error(&self, action: &'static str, key: &str, error: &io::Error) -> SiteError {
        let kind = match error.kind() {
            io::ErrorKind::NotFound if !self.root.is_dir() => SiteErrorKind::Unavailable,
            io::ErrorKind::NotFound => SiteErrorKind::NotFound,
            io::ErrorKind::AlreadyExists => SiteErrorKind::Exists,
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                SiteErrorKind::Denied
            }
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => SiteErrorKind::Full,
            _ => SiteErrorKind::Other,
        };
        let root = self.root.display();
        let why = match kind {
            SiteErrorKind::Unavailable => format!("the folder {root} is not there"),
            SiteErrorKind::Full => format!("no room left in {root} ({error})"),
            SiteErrorKind::Denied => format!("{root} does not allow it ({error})"),
            _ => error.to_string(),
        };
        self.fail(action, key, kind, &why)
    }

    fn path(&self, action: &'static str, key: &str) -> Result<PathBuf, SiteError> {
        check_object_name(key)
            .map_err(|why| self.fail(action, key, SiteErrorKind::InvalidKey, why))?;
        self.check_there(action, key)?;
        Ok(self.root.join(key))
    }

    fn check_there(&self, action: &'static str, key: &str) -> Result<(), SiteError> {
        if self.root.is_dir() {
            return Ok(());
        }
        let why = format!("the folder {} is not there", self.root.display());
        Err(self.fail(action, key, SiteErrorKind::Unavailable, &why))
    }

    fn write_new(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let folder = path.parent().unwrap_or(&self.root);
        make_folders(&self.root, folder)?;
        let temporary = self.root.join(TEMPORARY);
        fs::create_dir_all(&temporary)?;
        let number = TEMPORARY_NUMBER.fetch_add(1, Ordering::Relaxed);
        let temporary = temporary.join(format!("{}-{number}", std::process::id()));
        let written = direct::write_synced(&temporary, bytes)
            .and_then(|()| place(&temporary, path))
            .and_then(|()| sync_folder(folder));
        // After a link, this removes the second name; after a failure, the unfinished file.
        let removed = fs::remove_file(&temporary);
        written.and_then(|()| match removed {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        })
    }

    /// Removes unfinished files of processes that are gone (visible where `/proc` is).
    fn sweep_temporary(&self) {
        let processes = Path::new("/proc");
        if !processes.join("self").exists() {
            return;
        }
        let Ok(entries) = fs::read_dir(self.root.join(TEMPORARY)) else {
            return;
        };
        for entry in entries.flatten() {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            let Some((process, _)) = name.split_once('-') else {
                continue;
            };
            if !process.is_empty()
                && process.bytes().all(|byte| byte.is_ascii_digit())
                && !processes.join(process).exists()
            {
                // A leftover that cannot be removed costs room only; the next start tries again.
                let _ = fs::remove_file(entry.path());
            }
        }
    }

    fn walk(&self, folder: &Path, found: &mut Vec<ObjectInfo>) -> io::Result<()> {
        let entries = match fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        for entry in entries {
            let entry = entry?;
            // An object deleted while we list is simply not there any more.
            let Ok(metadata) = entry.metadata() else {
                continue;
            };
            let path = entry.path();
            if metadata.is_dir() {
                let hidden = entry.file_name().to_string_lossy().starts_with('.');
                if !hidden {
                    self.walk(&path, found)?;
                }
            } else if let Some(key) = self.key_of(&path) {
                found.push(ObjectInfo { key, length_bytes: metadata.len() });
            }
        }
        Ok(())
    }

    fn key_of(&self, path: &Path) -> Option<String> {
        let key = path.strip_prefix(&self.root).ok()?.to_str()?.to_owned();
        check_object_name(&key).is_ok().then_some(key)
    }
}

impl Site for FolderSite {
    fn name(&self) -> &str {
        &self.name
    }

    fn location(&self) -> String {
        self.location.clone()
    }

    fn class(&self) -> SiteClass {
        SiteClass::Mutable
    }

    fn put(&self, key: &str, bytes: &[u8]) -> Result<(), SiteError> {
        let path = self.path("put", key)?;
        match self.write_new(&path, bytes) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                match direct::holds(&path, bytes) {
                    Ok(true) => Ok(()),
                    Ok(false) => Err(self.fail(
                        "put",
                        key,
                        SiteErrorKind::Exists,
                        "an object with other content has this name; it was left untouched",
                    )),
                    Err(error) => Err(self.error("put", key, &error)),
                }
            }
            Err(error) => Err(self.error("put", key, &error)),
        }
    }

    fn get(&self, key: &str) -> Result<Vec<u8>, SiteError> {
        let path = self.path("get", key)?;
        fs::read(&path).map_err(|error| self.error("get", key, &error))
    }

    fn holds(&self, key: &str, bytes: &[u8]) -> Result<bool, SiteError> {
        let path = self.path("read back", key)?;
        direct::holds(&path, bytes).map_err(|error| self.error("read back", key, &error))
    }

    fn get_range(
        &self,
        key: &str,
        offset_bytes: u64,
        length_bytes: u64,
    ) -> Result<Vec<u8>, SiteError> {
        let path = self.path("get", key)?;
        let read = || -> io::Result<Vec<u8>> {
            let mut file = File::open(&path)?;
            file.seek(SeekFrom::Start(offset_bytes))?;
            let mut bytes = Vec::new();
            file.take(length_bytes).read_to_end(&mut bytes)?;
            Ok(bytes)
        };
        read().map_err(|error| self.error("get", key, &error))
    }

    fn list(&self, prefix: &str) -> Result<Vec<ObjectInfo>, SiteError> {
        let folder = match prefix.strip_suffix('/') {
            None if prefix.is_empty() => {
                self.check_there("list", prefix)?;
                self.root.clone()
            }
            folder => self.path("list", folder.unwrap_or(prefix))?,
        };
        let mut found = Vec::new();
        self.walk(&folder, &mut found).map_err(|error| self.error("list", prefix, &error))?;
        found.sort();
        Ok(found)
    }

    fn used_bytes(&self) -> Result<u64, SiteError> {
        Ok(self.list("")?.iter().map(|object| object.length_bytes).sum())
    }

    fn free_bytes(&self) -> Result<Option<u64>, SiteError> {
        self.check_there("measure", "")?;
        let room = rustix::fs::statvfs(&self.root)
            .map_err(|error| self.error("measure", "", &error.into()))?;
        Ok(Some(room.f_bavail.saturating_mul(room.f_frsize)))
    }

    fn quarantine(&self, key: &str) -> Result<String, SiteError> {
        let path = self.path("move aside", key)?;
        let folder = self.root.join(QUARANTINE);
        let move_aside = || -> io::Result<String> {
            fs::create_dir_all(&folder)?;
            let flat = key.replace('/', "_");
            for number in 0_u32.. {
                let name = format!("{flat}.{number}");
                let target = folder.join(&name);
                if !target.exists() {
                    fs::rename(&path, &target)?;
                    sync_folder(&folder)?;
                    sync_folder(path.parent().unwrap_or(&self.root))?;
                    return Ok(format!("{QUARANTINE}/{name}"));
                }
            }
            Err(io::Error::other("no free name in the quarantine folder"))
        };
        move_aside().map_err(|error| self.error("move aside", key, &error))
    }
}

impl Janitor for FolderSite {
    fn name(&self) -> &str {
        &self.name
    }

    fn delete(&self, key: &str) -> Result<(), SiteError> {
        let path = self.path("delete", key)?;
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(self.error("delete", key, &error))
            }
            _ => Ok(()),
        }
    }
}

/// Whether an object may have this name: it is relative, plain, and cannot leave the site's folder
/// or hide in it. Every kind of site has the same rule.
///
/// # Errors
/// What is wrong with the name.
pub fn check_object_name(key: &str) -> Result<(), &'static str> {
    if key.is_empty() || key.len() > KEY_BYTES_MAX {
        return Err("an object name has 1 to 512 bytes");
    }
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./".contains(&byte);
    if !key.bytes().all(plain) {
        return Err("an object name has only letters, digits, - _ . and /");
    }
    if key.split('/').any(|part| part.is_empty() || part.starts_with('.')) {
        return Err("no part of an object name may be empty or start with a dot");
    }
    Ok(())
}

/// Gives the file its name, failing if the name is taken.
fn place(temporary: &Path, path: &Path) -> io::Result<()> {
    match fs::hard_link(temporary, path) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(error),
        // File systems without hard links: check, then rename; a lineage has one writer.
        Err(_) if path.exists() => Err(io::ErrorKind::AlreadyExists.into()),
        Err(_) => fs::rename(temporary, path),
    }
}

fn make_folders(root: &Path, folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    fs::create_dir_all(folder)?;
    // Every new name on the way down has to be durable, not only the last one.
    let mut at = folder;
    while at != root {
        let Some(parent) = at.parent() else { break };
        sync_folder(parent)?;
        at = parent;
    }
    Ok(())
}

fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn site() -> (tempfile::TempDir, FolderSite) {
        let folder = tempfile::tempdir().unwrap();
        let site = FolderSite::create("a", "here", folder.path()).unwrap();
        (folder, site)
    }

    #[test]
    fn an_object_is_written_once_and_the_same_again_is_success() {
        let (_folder, site) = site();
        site.put("d/x", b"one").unwrap();
        site.put("d/x", b"one").unwrap();
        assert_eq!(site.put("d/x", b"two").unwrap_err().kind, SiteErrorKind::Exists);
        assert_eq!(site.get("d/x").unwrap(), b"one");
        assert_eq!(site.get_range("d/x", 1, 9).unwrap(), b"ne");
        assert_eq!(site.used_bytes().unwrap(), 3);
        assert!(site.free_bytes().unwrap().is_some_and(|free| free > 0));
    }

    #[test]
    fn names_cannot_leave_the_folder() {
        let (_folder, site) = site();
        for key in ["../x", "a/../../x", "/etc/x", "a//b", ".tmp/x", "a/.b", "", "a\0b", "a\\b"] {
            let error = site.put(key, b"x").unwrap_err();
            assert_eq!(error.kind, SiteErrorKind::InvalidKey, "{key:?}");
        }
    }

    #[test]
    fn a_folder_that_is_gone_is_unavailable_and_not_empty() {
        let (folder, site) = site();
        fs::remove_dir_all(folder.path()).unwrap();
        assert_eq!(site.list("").unwrap_err().kind, SiteErrorKind::Unavailable);
        assert_eq!(site.list("a/").unwrap_err().kind, SiteErrorKind::Unavailable);
        assert_eq!(site.put("a", b"x").unwrap_err().kind, SiteErrorKind::Unavailable);
        assert_eq!(site.get("a").unwrap_err().kind, SiteErrorKind::Unavailable);
        assert!(!folder.path().exists());
    }

    #[test]
    fn listing_shows_objects_only_and_in_order() {
        let (folder, site) = site();
        site.put("d/b", b"22").unwrap();
        site.put("d/a", b"1").unwrap();
        site.put("e", b"").unwrap();
        fs::write(folder.path().join(TEMPORARY).join("9-9"), b"unfinished").unwrap();
        let keys: Vec<_> = site.list("").unwrap().into_iter().map(|object| object.key).collect();
        assert_eq!(keys, ["d/a", "d/b", "e"]);
        assert_eq!(site.list("d/").unwrap().len(), 2);
        assert_eq!(site.list("none/").unwrap().len(), 0);
    }

    #[test]
    fn a_quarantined_object_is_kept_and_its_name_is_free_again() {
        let (folder, site) = site();
        site.put("d/x", b"bad").unwrap();
        let aside = site.quarantine("d/x").unwrap();
        assert_eq!(fs::read(folder.path().join(aside)).unwrap(), b"bad");
        site.put("d/x", b"good").unwrap();
        assert_eq!(site.get("d/x").unwrap(), b"good");
        assert_eq!(site.list("").unwrap().len(), 1);
    }

    #[test]
    fn unfinished_files_of_processes_that_are_gone_are_swept() {
        let (folder, site) = site();
        site.put("x", b"x").unwrap();
        let leftover = folder.path().join(TEMPORARY).join("4194999-0");
        fs::write(&leftover, b"unfinished").unwrap();
        FolderSite::create("a", "here", folder.path()).unwrap();
        assert!(!leftover.exists());
    }

    #[test]
    fn the_probe_says_mutable_and_that_replacing_is_refused() {
        let (_folder, site) = site();
        let probe = site.probe(7).unwrap();
        assert_eq!(probe.class, SiteClass::Mutable);
        assert!(probe.write_and_read && probe.refuses_replace);
    }
}
