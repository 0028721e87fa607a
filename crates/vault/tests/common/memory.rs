//! A site in memory that loses parts of what it keeps, and on a host that may crash.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use evenkeel_vault::{Janitor, ObjectInfo, Site, SiteClass, SiteError, SiteErrorKind};

use super::site_name;

pub const GROUP: u64 = 8 * 1024;

/// A site in memory that has lost parts of what it keeps.
#[derive(Default)]
pub struct Memory {
    pub name: String,
    pub objects: Mutex<BTreeMap<String, Vec<u8>>>,
    /// Objects of which every byte, or one part of 8 KiB, comes back wrong.
    pub lost: Mutex<BTreeSet<(String, Option<u64>)>>,
    pub given_bytes: AtomicU64,
    /// Changes that are still possible; none left is a host that crashed.
    pub fuse: Fuse,
}

/// Shared by the sites of one host: how many more changes it lives to make.
pub type Fuse = Arc<Mutex<Option<u64>>>;

impl Memory {
    pub fn new(at: usize) -> Self {
        Self { name: site_name(at), ..Self::default() }
    }

    /// A site with the same content and its own fate.
    pub fn copy(&self, fuse: &Fuse) -> Self {
        let objects = Mutex::new(self.objects.lock().unwrap().clone());
        Self { name: self.name.clone(), objects, fuse: Arc::clone(fuse), ..Self::default() }
    }

    /// Whether the host is alive to make one more change.
    fn burn(&self, key: &str) -> Result<(), SiteError> {
        let mut fuse = self.fuse.lock().unwrap();
        match fuse.as_mut() {
            Some(0) => self.fail(key, SiteErrorKind::Unavailable),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn fail<T>(&self, key: &str, kind: SiteErrorKind) -> Result<T, SiteError> {
        let (site, detail) = (self.name.clone(), "so it is".to_owned());
        Err(SiteError { site, action: "ask", key: key.to_owned(), kind, detail })
    }
}

impl Site for Memory {
    fn name(&self) -> &str {
        &self.name
    }

    fn location(&self) -> String {
        "memory".to_owned()
    }

    fn class(&self) -> SiteClass {
        SiteClass::Mutable
    }

    fn put(&self, key: &str, bytes: &[u8]) -> Result<(), SiteError> {
        self.burn(key)?;
        let mut objects = self.objects.lock().unwrap();
        match objects.get(key) {
            Some(present) if present != bytes => self.fail(key, SiteErrorKind::Exists),
            _ => {
                objects.insert(key.to_owned(), bytes.to_vec());
                Ok(())
            }
        }
    }

    fn get(&self, key: &str) -> Result<Vec<u8>, SiteError> {
        self.get_range(key, 0, u64::MAX)
    }

    fn get_range(&self, key: &str, from: u64, length: u64) -> Result<Vec<u8>, SiteError> {
        let objects = self.objects.lock().unwrap();
        let Some(bytes) = objects.get(key) else {
            return self.fail(key, SiteErrorKind::NotFound);
        };
        let end = bytes.len() as u64;
        let (from, to) = (from.min(end), from.saturating_add(length).min(end));
        let mut part = bytes[usize::try_from(from).unwrap()..usize::try_from(to).unwrap()].to_vec();
        let lost = self.lost.lock().unwrap();
        if !lost.is_empty() {
            let is_lost = |group| {
                lost.contains(&(key.to_owned(), None))
                    || lost.contains(&(key.to_owned(), Some(group)))
            };
            for (at, byte) in part.iter_mut().enumerate().step_by(512) {
                if is_lost((from + at as u64) / GROUP) {
                    *byte ^= 1;
                }
            }
        }
        self.given_bytes.fetch_add(part.len() as u64, Ordering::Relaxed);
        Ok(part)
    }

    fn list(&self, prefix: &str) -> Result<Vec<ObjectInfo>, SiteError> {
        let objects = self.objects.lock().unwrap();
        let info = |(key, bytes): (&String, &Vec<u8>)| ObjectInfo {
            key: key.clone(),
            length_bytes: bytes.len() as u64,
        };
        Ok(objects.iter().filter(|(key, _)| key.starts_with(prefix)).map(info).collect())
    }

    fn used_bytes(&self) -> Result<u64, SiteError> {
        Ok(0)
    }

    fn free_bytes(&self) -> Result<Option<u64>, SiteError> {
        Ok(None)
    }

    fn quarantine(&self, key: &str) -> Result<String, SiteError> {
        self.burn(key)?;
        self.objects.lock().unwrap().remove(key);
        Ok("nowhere".to_owned())
    }
}

impl Janitor for Memory {
    fn name(&self) -> &str {
        &self.name
    }

    fn delete(&self, key: &str) -> Result<(), SiteError> {
        self.burn(key)?;
        self.objects.lock().unwrap().remove(key);
        Ok(())
    }
}
