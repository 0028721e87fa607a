//! What a site is: a place that keeps objects under names, written once.

use std::fmt;
use std::sync::Arc;

use thiserror::Error;

/// How much a site protects what it holds from somebody with the writer's credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SiteClass {
    /// Versioned and locked: nobody can remove or replace an object before its time.
    Immutable,
    /// The server refuses to replace or delete.
    AppendOnly,
    /// Whoever can write can also replace and delete.
    Mutable,
}

impl fmt::Display for SiteClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Immutable => "immutable",
            Self::AppendOnly => "append-only",
            Self::Mutable => "mutable",
        })
    }
}

/// Name and size of one object at a site.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ObjectInfo {
    /// Its name.
    pub key: String,
    /// Its size.
    pub length_bytes: u64,
}

/// What a site answered to an attempt to do what it should not allow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// A fresh object could be written and read back.
    pub write_and_read: bool,
    /// Writing other content under the same name was refused.
    pub refuses_replace: bool,
    /// The class the site claims.
    pub class: SiteClass,
    /// What was found, for people.
    pub detail: String,
}

/// Why a site failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SiteErrorKind {
    /// An object with other content has that name.
    Exists,
    /// No object has that name.
    NotFound,
    /// The site as a whole does not answer.
    Unavailable,
    /// It has not answered yet, others have, and nobody waited on.
    Slow,
    /// The site refuses: permissions, credentials.
    Denied,
    /// The site has no room left.
    Full,
    /// The site took the object and gave back something else.
    Misread,
    /// The name is not one an object may have.
    InvalidKey,
    /// The site cannot do this at all.
    Unsupported,
    /// Anything else.
    Other,
}

/// A failed operation at one site.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("site {site}: {action} {key}: {detail}")]
pub struct SiteError {
    /// The site.
    pub site: String,
    /// What was being done.
    pub action: &'static str,
    /// The object or prefix.
    pub key: String,
    /// Class of failure.
    pub kind: SiteErrorKind,
    /// What the site said and what to do.
    pub detail: String,
}

/// A place for objects. Names are `/`-separated; an object is written once and never changed.
///
/// Implementations are shared between threads and block until the answer is there.
pub trait Site: Send + Sync {
    /// Its name, unique among the sites of a domain.
    fn name(&self) -> &str;

    /// Where it is, for people: a path, a region, an address.
    fn location(&self) -> String;

    /// How much it protects what it holds.
    fn class(&self) -> SiteClass;

    /// Creates an object, durably. The same content under the same name again is success.
    ///
    /// # Errors
    /// [`SiteErrorKind::Exists`] if other content has that name, else why it could not be written.
    fn put(&self, key: &str, bytes: &[u8]) -> Result<(), SiteError>;

    /// A whole object.
    ///
    /// # Errors
    /// [`SiteErrorKind::NotFound`], or why it could not be read.
    fn get(&self, key: &str) -> Result<Vec<u8>, SiteError>;

    /// Whether an object is there with exactly these bytes, as the site gives it back: read from
    /// where it is kept for good, if the site can tell.
    ///
    /// # Errors
    /// As [`Site::get`].
    fn holds(&self, key: &str, bytes: &[u8]) -> Result<bool, SiteError> {
        Ok(self.get(key)? == bytes)
    }

    /// `length_bytes` from `offset_bytes`; fewer at the object's end.
    ///
    /// # Errors
    /// As [`Site::get`].
    fn get_range(
        &self,
        key: &str,
        offset_bytes: u64,
        length_bytes: u64,
    ) -> Result<Vec<u8>, SiteError>;

    /// All objects whose name starts with `prefix` (empty, or ending in `/`), sorted by name.
    ///
    /// # Errors
    /// Why the site could not list.
    fn list(&self, prefix: &str) -> Result<Vec<ObjectInfo>, SiteError>;

    /// Bytes held here, all objects together.
    ///
    /// # Errors
    /// Why the site could not tell.
    fn used_bytes(&self) -> Result<u64, SiteError>;

    /// Bytes of room left; `None` if the site does not know.
    ///
    /// # Errors
    /// Why the site could not tell.
    fn free_bytes(&self) -> Result<Option<u64>, SiteError>;

    /// How long what is written now stays locked here, in seconds; `None` where locks do not end or
    /// there are none.
    fn lock_seconds(&self) -> Option<u64> {
        None
    }

    /// Keeps an object locked until then at least, in seconds since 1970; never shorter than it is.
    ///
    /// # Errors
    /// Why it could not be.
    fn extend_retention(&self, key: &str, until_seconds: u64) -> Result<(), SiteError> {
        Err(SiteError {
            site: self.name().to_owned(),
            action: "lock",
            key: key.to_owned(),
            kind: SiteErrorKind::Unsupported,
            detail: format!("this site has no locks that end (asked for {until_seconds})"),
        })
    }

    /// Moves a damaged object out of the way, keeping it, so that a good one can be put. Only a
    /// mutable site can; the others report [`SiteErrorKind::Unsupported`].
    ///
    /// # Errors
    /// Why it could not be moved.
    fn quarantine(&self, key: &str) -> Result<String, SiteError> {
        Err(SiteError {
            site: self.name().to_owned(),
            action: "move aside",
            key: key.to_owned(),
            kind: SiteErrorKind::Unsupported,
            detail: "this site never lets an object be moved; add a fresh site and repair onto it"
                .to_owned(),
        })
    }

    /// Attempts what the class promises to refuse, under `probe/`, and reports what happened.
    ///
    /// # Errors
    /// Why the site could not be probed.
    fn probe(&self, nonce: u64) -> Result<Probe, SiteError> {
        let key = format!("probe/{nonce:016x}");
        self.put(&key, b"evenkeel probe 1")?;
        let write_and_read = self.get(&key)? == b"evenkeel probe 1";
        let refuses_replace = match self.put(&key, b"evenkeel probe 2") {
            Err(error) => error.kind == SiteErrorKind::Exists,
            Ok(()) => false,
        };
        let class = self.class();
        let detail = match class {
            SiteClass::Mutable => "whoever can write here can also replace and delete",
            SiteClass::AppendOnly | SiteClass::Immutable => "replace was attempted",
        };
        Ok(Probe { write_and_read, refuses_replace, class, detail: detail.to_owned() })
    }
}

/// The sites of a domain, in shard order.
pub(crate) type Sites = [Arc<dyn Site>];

/// Deleting, apart from writing on purpose: a writer is never given one.
pub trait Janitor: Send + Sync {
    /// The site's name.
    fn name(&self) -> &str;

    /// Deletes one object; one that is not there is success.
    ///
    /// # Errors
    /// Why it could not be deleted.
    fn delete(&self, key: &str) -> Result<(), SiteError>;
}

/// Runs `work` for every site at once, one thread each; answers in site order.
pub(crate) fn each_site<T: Send>(
    sites: &Sites,
    work: impl Fn(usize, &dyn Site) -> T + Sync,
) -> Vec<T> {
    std::thread::scope(|scope| {
        let work = &work;
        let handles: Vec<_> = sites
            .iter()
            .enumerate()
            .map(|(at, site)| scope.spawn(move || work(at, site.as_ref())))
            .collect();
        handles
            .into_iter()
            .map(|handle| match handle.join() {
                Ok(answer) => answer,
                Err(panic) => std::panic::resume_unwind(panic),
            })
            .collect()
    })
}

/// Puts and reads back: only what the site gives again counts as written.
pub(crate) fn put_verified(site: &dyn Site, key: &str, bytes: &[u8]) -> Result<(), SiteError> {
    site.put(key, bytes)?;
    if site.holds(key, bytes)? {
        return Ok(());
    }
    Err(SiteError {
        site: site.name().to_owned(),
        action: "read back",
        key: key.to_owned(),
        kind: SiteErrorKind::Misread,
        detail: "the site gave back other bytes than it took; do not trust it before `verify`"
            .to_owned(),
    })
}
