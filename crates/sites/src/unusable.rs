//! A site whose settings cannot be used: it counts as lost, and the others go on.

use evenkeel_vault::{ObjectInfo, Site, SiteClass, SiteError, SiteErrorKind};

use crate::settings::SettingsError;

/// Answers everything with what is wrong with its settings.
#[derive(Debug)]
pub struct UnusableSite {
    name: String,
    location: String,
    why: String,
}

impl UnusableSite {
    /// A site that could not be opened.
    pub fn new(name: impl Into<String>, location: impl Into<String>, why: &SettingsError) -> Self {
        Self { name: name.into(), location: location.into(), why: why.to_string() }
    }

    fn fail<T>(&self, action: &'static str, key: &str) -> Result<T, SiteError> {
        Err(SiteError {
            site: self.name.clone(),
            action,
            key: key.to_owned(),
            kind: SiteErrorKind::Unavailable,
            detail: self.why.clone(),
        })
    }
}

impl Site for UnusableSite {
    fn name(&self) -> &str {
        &self.name
    }

    fn location(&self) -> String {
        self.location.clone()
    }

    fn class(&self) -> SiteClass {
        SiteClass::Mutable
    }

    fn put(&self, key: &str, _: &[u8]) -> Result<(), SiteError> {
        self.fail("put", key)
    }

    fn get(&self, key: &str) -> Result<Vec<u8>, SiteError> {
        self.fail("get", key)
    }

    fn get_range(&self, key: &str, _: u64, _: u64) -> Result<Vec<u8>, SiteError> {
        self.fail("get", key)
    }

    fn list(&self, prefix: &str) -> Result<Vec<ObjectInfo>, SiteError> {
        self.fail("list", prefix)
    }

    fn used_bytes(&self) -> Result<u64, SiteError> {
        self.fail("measure", "")
    }

    fn free_bytes(&self) -> Result<Option<u64>, SiteError> {
        self.fail("measure", "")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_unavailable_and_says_what_is_wrong_with_its_settings() {
        let why = SettingsError::Certificates("x.pem holds none".to_owned());
        let site = UnusableSite::new("a", "https://there", &why);
        let error = site.put("x", b"x").unwrap_err();
        assert_eq!(error.kind, SiteErrorKind::Unavailable);
        assert!(error.to_string().contains("x.pem holds none"), "{error}");
        assert!(site.list("").is_err() && site.get("x").is_err() && site.used_bytes().is_err());
    }
}
