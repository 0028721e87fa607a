//! Deleting at a store, apart from its site: a writer is never given one.

use std::fmt;
use std::sync::Arc;

use evenkeel_vault::{Janitor, SiteError, SiteErrorKind, check_object_name};

use crate::bridge::wait_for;
use crate::client::Client;
use crate::settings::{S3Settings, SettingsError, WebDavSettings, check_site_name};

/// Tries after an answer that did not come.
const TRIES_MAX: u32 = 3;

/// Deletes objects at an S3-compatible store or a WebDAV server, one by one. A site of ours does
/// it only by a grant that lies there.
pub struct ObjectJanitor {
    name: String,
    prefix: String,
    client: Arc<Client>,
}

impl fmt::Debug for ObjectJanitor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ObjectJanitor").field("name", &self.name).finish_non_exhaustive()
    }
}

impl ObjectJanitor {
    /// In a bucket. Nothing is sent until it is used.
    ///
    /// # Errors
    /// [`SettingsError`] if it could not be reached with these settings.
    pub fn s3(name: impl Into<String>, settings: &S3Settings) -> Result<Self, SettingsError> {
        check_site_name("bucket", &settings.bucket)?;
        check_site_name("prefix", &settings.prefix)?;
        let client = Arc::new(Client::s3(settings)?);
        Ok(Self { name: name.into(), prefix: settings.prefix.clone(), client })
    }

    /// In a folder of a WebDAV server.
    ///
    /// # Errors
    /// As [`ObjectJanitor::s3`].
    pub fn web_dav(
        name: impl Into<String>,
        settings: &WebDavSettings,
    ) -> Result<Self, SettingsError> {
        let client = Arc::new(Client::web_dav(settings)?);
        Ok(Self { name: name.into(), prefix: String::new(), client })
    }

    fn fail(&self, key: &str, kind: SiteErrorKind, detail: String) -> SiteError {
        let (site, action, key) = (self.name.clone(), "delete", key.to_owned());
        SiteError { site, action, key, kind, detail }
    }

    fn once(&self, key: &str) -> Result<(), SiteError> {
        let (client, target) = (Arc::clone(&self.client), format!("/{}{key}", self.prefix));
        let answer = wait_for(async move { client.ask("DELETE", &target, &[], b"").await })
            .map_err(|error| self.fail(key, SiteErrorKind::Other, error.to_string()))?
            .map_err(|error| self.fail(key, SiteErrorKind::Unavailable, error.to_string()))?;
        let kind = match answer.status.as_u16() {
            // What is not there any more is what was wanted.
            200..300 | 404 => return Ok(()),
            401 | 403 => SiteErrorKind::Denied,
            405 | 501 => SiteErrorKind::Unsupported,
            429 | 500.. => SiteErrorKind::Unavailable,
            _ => SiteErrorKind::Other,
        };
        Err(self.fail(key, kind, format!("the site answered {}", answer.words())))
    }
}

impl Janitor for ObjectJanitor {
    fn name(&self) -> &str {
        &self.name
    }

    fn delete(&self, key: &str) -> Result<(), SiteError> {
        check_object_name(key)
            .map_err(|why| self.fail(key, SiteErrorKind::InvalidKey, why.to_owned()))?;
        let mut tries = 1;
        loop {
            match self.once(key) {
                Err(error) if error.kind == SiteErrorKind::Unavailable && tries < TRIES_MAX => {
                    tries += 1;
                }
                done => return done,
            }
        }
    }
}
