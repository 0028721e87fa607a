//! A store somewhere else as a site.

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use bytes::Bytes;
use evenkeel_vault::{ObjectInfo, Site, SiteClass, SiteError, SiteErrorKind, check_object_name};
use futures::TryStreamExt;
use object_store::aws::{AmazonS3Builder, S3ConditionalPut};
use object_store::http::HttpBuilder;
use object_store::path::Path;
use object_store::{
    BackoffConfig, Error as StoreError, GetOptions, GetRange, ObjectMeta, ObjectStore,
    ObjectStoreExt, PutMode, PutOptions, PutPayload, RetryConfig,
};

use crate::basic::basic;
use crate::bridge::wait_for;
use crate::client::Client;
use crate::credential::Credential;
use crate::settings::{Patience, S3Settings, SettingsError, WebDavSettings, check_site_name};
use crate::tls::client_config;
use crate::versions::{Failed, Lock, Versions};
use crate::wire::{Dav, Wire, WireError, said};

/// More objects than any site of ours has; a listing that goes on is a lie.
const OBJECTS_MAX: usize = 4_000_000;
/// Rounds of reading and writing again after an answer that leaves open what happened.
const ROUNDS_MAX: u32 = 3;

/// How the store is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Protocol {
    S3,
    WebDav,
}

/// An S3-compatible store or a WebDAV server.
///
/// Its class is [`SiteClass::Mutable`] until somebody who has probed it says otherwise: what a
/// server claims is not looked at.
pub struct ObjectSite {
    name: String,
    location: String,
    class: SiteClass,
    protocol: Protocol,
    store: Arc<dyn ObjectStore>,
    /// In front of every name the store sees, as it lists them; empty or ending in `/`.
    listed_prefix: String,
    /// In front of every name we send.
    sent_prefix: String,
    conditional_put: bool,
    patience: Patience,
    versions: Option<Arc<Versions>>,
    lock: Option<Lock>,
}

impl fmt::Debug for ObjectSite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("ObjectSite");
        shown.field("name", &self.name).field("location", &self.location);
        shown.field("class", &self.class).finish_non_exhaustive()
    }
}

impl ObjectSite {
    /// A site in a bucket. Nothing is sent until it is used.
    ///
    /// # Errors
    /// [`SettingsError`] if it could not be reached with these settings.
    pub fn s3(name: impl Into<String>, settings: &S3Settings) -> Result<Self, SettingsError> {
        check_site_name("bucket", &settings.bucket)?;
        check_site_name("prefix", &settings.prefix)?;
        let credential = Credential::load(&settings.credential)?;
        let tls = match settings.endpoint.tls {
            true => Some(client_config(settings.certificates.as_deref())?),
            false => None,
        };
        let store = AmazonS3Builder::new()
            .with_endpoint(settings.endpoint.url())
            .with_region(&settings.region)
            .with_bucket_name(&settings.bucket)
            .with_access_key_id(&credential.id)
            .with_secret_access_key(credential.secret.as_str())
            .with_conditional_put(S3ConditionalPut::ETagMatch)
            .with_allow_http(true)
            .with_retry(no_repeats())
            .with_http_connector(
                Wire::new(&settings.endpoint, tls, settings.patience, settings.bandwidth, None)
                    .with_sums(settings.lock.is_some()),
            )
            .build()
            .map_err(|error| SettingsError::Client(error.to_string()))?;
        let location =
            format!("{}/{}/{}", settings.endpoint.url(), settings.bucket, settings.prefix);
        Ok(Self {
            name: name.into(),
            location: location.trim_end_matches('/').to_owned(),
            class: SiteClass::Mutable,
            protocol: Protocol::S3,
            store: Arc::new(store),
            listed_prefix: settings.prefix.clone(),
            sent_prefix: settings.prefix.clone(),
            conditional_put: settings.conditional_put,
            patience: settings.patience,
            versions: match settings.versions {
                true => Some(Arc::new(Versions::new(Client::s3(settings)?))),
                false => None,
            },
            lock: settings.lock.clone().filter(|_| settings.versions),
        })
    }

    /// A site in a folder of a WebDAV server. Nothing is sent until it is used.
    ///
    /// # Errors
    /// [`SettingsError`] if it could not be reached with these settings.
    pub fn web_dav(
        name: impl Into<String>,
        settings: &WebDavSettings,
    ) -> Result<Self, SettingsError> {
        let credential = settings.credential.as_ref().map(Credential::load).transpose()?;
        let tls = match settings.endpoint.tls {
            true => Some(client_config(settings.certificates.as_deref())?),
            false => None,
        };
        let authorization = credential.as_ref().map(basic).transpose()?;
        let root = settings.endpoint.path.clone();
        let listed = root.trim_start_matches('/').to_owned();
        let store = HttpBuilder::new()
            .with_url(settings.endpoint.url())
            .with_retry(no_repeats())
            .with_http_connector(Wire::new(
                &settings.endpoint,
                tls,
                settings.patience,
                settings.bandwidth,
                Some(Dav { root, authorization }),
            ))
            .build()
            .map_err(|error| SettingsError::Client(error.to_string()))?;
        Ok(Self {
            name: name.into(),
            location: settings.endpoint.url().to_owned(),
            class: SiteClass::Mutable,
            protocol: Protocol::WebDav,
            store: Arc::new(store),
            listed_prefix: if listed.is_empty() { listed } else { listed + "/" },
            sent_prefix: String::new(),
            conditional_put: settings.conditional_put,
            patience: settings.patience,
            versions: None,
            lock: None,
        })
    }

    /// The same site with a class that a probe has shown.
    #[must_use]
    pub fn with_class(mut self, class: SiteClass) -> Self {
        self.class = class;
        self
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

    fn path(&self, action: &'static str, key: &str) -> Result<Path, SiteError> {
        check_object_name(key)
            .map_err(|why| self.fail(action, key, SiteErrorKind::InvalidKey, why))?;
        Path::parse(format!("{}{key}", self.sent_prefix))
            .map_err(|error| self.fail(action, key, SiteErrorKind::InvalidKey, &error.to_string()))
    }

    /// Waits for the store, and says in a site's words what went wrong.
    fn ask<T: Send + 'static>(
        &self,
        action: &'static str,
        key: &str,
        work: impl Future<Output = Result<T, StoreError>> + Send + 'static,
    ) -> Result<T, SiteError> {
        let answer = wait_for(work).map_err(|error| {
            let why = format!("nothing was sent or received: {error}");
            self.fail(action, key, SiteErrorKind::Other, &why)
        })?;
        answer.map_err(|error| {
            let (kind, why) = explain(&error);
            self.fail(action, key, kind, &why)
        })
    }

    fn read(
        &self,
        action: &'static str,
        key: &str,
        range: Option<(u64, u64)>,
    ) -> Result<Vec<u8>, SiteError> {
        let path = self.path(action, key)?;
        if let Some(versions) = self.versions.clone() {
            return self.read_first(versions, action, key, range);
        }
        let store = Arc::clone(&self.store);
        let mut options = GetOptions::default();
        let mut most = self.patience.object_bytes_max;
        if let Some((from, length)) = range {
            options.range = Some(GetRange::Bounded(from..from.saturating_add(length)));
            most = most.min(length);
        }
        let bytes = self.ask(action, key, async move {
            let answer = store.get_opts(&path, options).await?;
            let mut bytes = Vec::new();
            let mut parts = answer.into_stream();
            while let Some(part) = parts.try_next().await? {
                bytes.extend_from_slice(&part);
                if bytes.len() as u64 > most {
                    return Ok(None);
                }
            }
            Ok(Some(bytes))
        })?;
        bytes.ok_or_else(|| {
            let why = format!("it sent more than the {most} bytes that were asked for");
            self.fail(action, key, SiteErrorKind::Misread, &why)
        })
    }

    /// As it was written first, whatever came after.
    fn read_first(
        &self,
        versions: Arc<Versions>,
        action: &'static str,
        key: &str,
        range: Option<(u64, u64)>,
    ) -> Result<Vec<u8>, SiteError> {
        let sent = format!("{}{key}", self.sent_prefix);
        let found =
            self.ask_versions(action, key, async move { versions.read(&sent, range).await })?;
        found.ok_or_else(|| self.fail(action, key, SiteErrorKind::NotFound, "it is not there"))
    }

    fn ask_versions<T: Send + 'static>(
        &self,
        action: &'static str,
        key: &str,
        work: impl Future<Output = Result<T, Failed>> + Send + 'static,
    ) -> Result<T, SiteError> {
        let answer = wait_for(work).map_err(|error| {
            let why = format!("nothing was sent or received: {error}");
            self.fail(action, key, SiteErrorKind::Other, &why)
        })?;
        answer.map_err(|failed| {
            let (kind, why) = match failed {
                Failed::Wire(error) => explain_wire(&error),
                Failed::Status(status, said) => {
                    explain_wire(&WireError::Status { status, said: format!(" ({said})") })
                }
                Failed::Endless => {
                    (SiteErrorKind::Misread, "its list of versions does not end".to_owned())
                }
            };
            self.fail(action, key, kind, &why)
        })
    }

    /// What is there under a name, if anything.
    fn present(&self, key: &str) -> Result<Option<Vec<u8>>, SiteError> {
        match self.read("put", key, None) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind == SiteErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn exists(&self, key: &str) -> Result<bool, SiteError> {
        let path = self.path("put", key)?;
        if let Some(versions) = self.versions.clone() {
            let sent = path.to_string();
            let first =
                self.ask_versions("put", key, async move { versions.first(&sent).await })?;
            return Ok(first.is_some());
        }
        let store = Arc::clone(&self.store);
        match self.ask("put", key, async move { store.head(&path).await }) {
            Ok(_) => Ok(true),
            Err(error) if error.kind == SiteErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn same_or_taken(&self, key: &str, present: &[u8], bytes: &[u8]) -> Result<(), SiteError> {
        if present == bytes {
            return Ok(());
        }
        Err(self.fail(
            "put",
            key,
            SiteErrorKind::Exists,
            "an object with other content has this name; it was left untouched",
        ))
    }

    fn send(&self, key: &str, bytes: Bytes) -> Result<(), SiteError> {
        let path = self.path("put", key)?;
        let store = Arc::clone(&self.store);
        let mode = match self.protocol {
            Protocol::S3 => PutMode::Create,
            // The wire adds the same condition; the client of this protocol knows none.
            Protocol::WebDav => PutMode::Overwrite,
        };
        self.ask("put", key, async move {
            let options = PutOptions { mode, ..PutOptions::default() };
            store.put_opts(&path, PutPayload::from_bytes(bytes), options).await
        })
        .map(|_| ())
    }

    fn walk_folders(&self, folder: String) -> Result<Vec<ObjectMeta>, SiteError> {
        let store = Arc::clone(&self.store);
        let listed_prefix = self.listed_prefix.clone();
        self.ask("list", &folder.clone(), async move {
            let mut found: Vec<ObjectMeta> = Vec::new();
            let mut waiting = vec![folder];
            // One level at a time: many servers refuse to list everything at once.
            while let Some(folder) = waiting.pop() {
                let at = Path::parse(&folder)?;
                let inside = store.list_with_delimiter(Some(&at)).await?;
                for sub in inside.common_prefixes {
                    let Some(sub) = sub.as_ref().strip_prefix(listed_prefix.as_str()) else {
                        continue;
                    };
                    // A server that lists what does not lie inside could lead us in circles.
                    let inside = folder.is_empty() || sub.starts_with(&format!("{folder}/"));
                    if inside && sub.len() > folder.len() && check_object_name(sub).is_ok() {
                        waiting.push(sub.to_owned());
                    }
                }
                found.extend(inside.objects);
                if found.len() + waiting.len() > OBJECTS_MAX {
                    break;
                }
            }
            Ok(found)
        })
    }

    fn walk_prefix(&self, prefix: &str) -> Result<Vec<ObjectMeta>, SiteError> {
        let at = format!("{}{prefix}", self.sent_prefix);
        let path = Path::parse(&at).map_err(|error| {
            self.fail("list", prefix, SiteErrorKind::InvalidKey, &error.to_string())
        })?;
        let store = Arc::clone(&self.store);
        self.ask("list", prefix, async move {
            let mut found: Vec<ObjectMeta> = Vec::new();
            let mut objects = store.list((!path.as_ref().is_empty()).then_some(&path));
            while let Some(object) = objects.try_next().await? {
                found.push(object);
                if found.len() > OBJECTS_MAX {
                    break;
                }
            }
            Ok(found)
        })
    }
}

impl Site for ObjectSite {
    fn name(&self) -> &str {
        &self.name
    }

    fn location(&self) -> String {
        self.location.clone()
    }

    fn class(&self) -> SiteClass {
        self.class
    }

    fn put(&self, key: &str, bytes: &[u8]) -> Result<(), SiteError> {
        self.path("put", key)?;
        let shared = Bytes::copy_from_slice(bytes);
        for _ in 0..ROUNDS_MAX {
            if !self.conditional_put && self.exists(key)? {
                if let Some(present) = self.present(key)? {
                    return self.same_or_taken(key, &present, bytes);
                }
                continue;
            }
            match self.send(key, shared.clone()) {
                Ok(()) if self.conditional_put => return Ok(()),
                Ok(()) => {}
                // The name is taken, or a repeat met its own first try: what is there tells.
                Err(error) if error.kind == SiteErrorKind::Exists => {}
                Err(error) => return Err(error),
            }
            if let Some(present) = self.present(key)? {
                return self.same_or_taken(key, &present, bytes);
            }
        }
        Err(self.fail(
            "put",
            key,
            SiteErrorKind::Misread,
            "it takes the object, or says that it is there, and then has none; do not trust this \
             site before `evenkeel sites probe`",
        ))
    }

    fn get(&self, key: &str) -> Result<Vec<u8>, SiteError> {
        self.read("get", key, None)
    }

    fn get_range(
        &self,
        key: &str,
        offset_bytes: u64,
        length_bytes: u64,
    ) -> Result<Vec<u8>, SiteError> {
        // No protocol has a range of nothing; one byte tells whether the object is there.
        match self.read("get", key, Some((offset_bytes, length_bytes.max(1)))) {
            Ok(bytes) if length_bytes > 0 => Ok(bytes),
            Ok(_) => Ok(Vec::new()),
            Err(error) if error.detail == BEYOND => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    fn list(&self, prefix: &str) -> Result<Vec<ObjectInfo>, SiteError> {
        if !prefix.is_empty() {
            self.path("list", prefix.strip_suffix('/').unwrap_or(prefix))?;
        }
        if let Some(versions) = self.versions.clone() {
            let sent = format!("{}{prefix}", self.sent_prefix);
            let found =
                self.ask_versions("list", prefix, async move { versions.list(&sent).await })?;
            let ours = found.into_iter().filter_map(|(key, first)| {
                let key = key.strip_prefix(self.sent_prefix.as_str())?;
                let info = ObjectInfo { key: key.to_owned(), length_bytes: first.length_bytes };
                check_object_name(key).is_ok().then_some(info)
            });
            return Ok(ours.collect());
        }
        let found = match self.protocol {
            Protocol::S3 => self.walk_prefix(prefix)?,
            Protocol::WebDav => self.walk_folders(prefix.trim_end_matches('/').to_owned())?,
        };
        if found.len() > OBJECTS_MAX {
            let why =
                format!("it lists more than {OBJECTS_MAX} objects; that is not what we wrote");
            return Err(self.fail("list", prefix, SiteErrorKind::Misread, &why));
        }
        let mut objects: Vec<ObjectInfo> = found
            .into_iter()
            .filter_map(|object| {
                let key = object.location.as_ref().strip_prefix(self.listed_prefix.as_str())?;
                let ours = key.starts_with(prefix) && check_object_name(key).is_ok();
                ours.then(|| ObjectInfo { key: key.to_owned(), length_bytes: object.size })
            })
            .collect();
        objects.sort();
        objects.dedup();
        Ok(objects)
    }

    fn lock_seconds(&self) -> Option<u64> {
        self.lock.as_ref().map(|lock| lock.seconds)
    }

    fn extend_retention(&self, key: &str, until_seconds: u64) -> Result<(), SiteError> {
        let path = self.path("lock", key)?.to_string();
        let (Some(versions), Some(lock)) = (self.versions.clone(), self.lock.clone()) else {
            let why = "no probe has shown that this bucket locks what is in it";
            return Err(self.fail("lock", key, SiteErrorKind::Unsupported, why));
        };
        let there = self.ask_versions("lock", key, async move {
            versions.extend(&path, &lock.mode, until_seconds).await
        })?;
        match there {
            true => Ok(()),
            false => Err(self.fail("lock", key, SiteErrorKind::NotFound, "it is not there")),
        }
    }

    fn used_bytes(&self) -> Result<u64, SiteError> {
        Ok(self.list("")?.iter().map(|object| object.length_bytes).sum())
    }

    fn free_bytes(&self) -> Result<Option<u64>, SiteError> {
        Ok(None)
    }
}

/// What a range that begins behind an object's end is answered with.
const BEYOND: &str = "the object ends before that";

/// Repeats are made where the deadlines are kept.
fn no_repeats() -> RetryConfig {
    RetryConfig { max_retries: 0, backoff: BackoffConfig::default(), ..RetryConfig::default() }
}

/// What a store's error means for a site, and words for people.
fn explain(error: &StoreError) -> (SiteErrorKind, String) {
    let text = error.to_string();
    let said = said(&text);
    if let Some(wire) = WireError::within(error) {
        return explain_wire(wire);
    }
    if said.contains("NoSuchBucket") {
        return (SiteErrorKind::Unavailable, "the bucket is not there".to_owned());
    }
    match error {
        StoreError::NotFound { .. } => (SiteErrorKind::NotFound, format!("it is not there{said}")),
        StoreError::AlreadyExists { .. } | StoreError::Precondition { .. } => {
            (SiteErrorKind::Exists, format!("the name is taken{said}"))
        }
        _ => (SiteErrorKind::Other, plain(&text)),
    }
}

fn explain_wire(error: &WireError) -> (SiteErrorKind, String) {
    let text = error.to_string();
    match error {
        WireError::Connect { .. } | WireError::Slow { .. } | WireError::Broken(_) => {
            (SiteErrorKind::Unavailable, text)
        }
        WireError::TooLong(_) => (SiteErrorKind::Misread, text),
        WireError::Status { status, said } => match status.as_u16() {
            416 => (SiteErrorKind::Other, BEYOND.to_owned()),
            507 => (SiteErrorKind::Full, format!("no room is left{said}")),
            404 => (SiteErrorKind::Unavailable, "the folder of the site is not there".to_owned()),
            501 | 505 => (SiteErrorKind::Unsupported, text),
            _ if said.contains("Quota") => (SiteErrorKind::Full, text),
            401 | 403 => (
                SiteErrorKind::Denied,
                format!("the site refuses{said}; check credentials, their rights and this clock"),
            ),
            429 | 500.. => (SiteErrorKind::Unavailable, text),
            _ => (SiteErrorKind::Other, text),
        },
    }
}

/// The first line, printable, bounded: servers write what they like.
fn plain(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    line.chars().filter(|letter| !letter.is_control()).take(300).collect()
}
