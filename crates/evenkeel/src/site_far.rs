//! In builds for tests: sites that are far away.

use std::sync::Arc;
use std::time::Duration;

use evenkeel_vault::{ObjectInfo, Site, SiteClass, SiteError};

/// Milliseconds that every round trip to a site takes.
const DELAY: &str = "EVENKEEL_TEST_SITE_DELAY_MS";

/// Another site, with a round trip before every answer.
struct FarSite {
    site: Arc<dyn Site>,
    round_trip: Duration,
}

/// The site as it is, or far away if the environment says so.
pub(crate) fn far(site: Arc<dyn Site>) -> Arc<dyn Site> {
    let delay = std::env::var(DELAY).ok().and_then(|text| text.parse().ok());
    match delay {
        None => site,
        Some(ms) => Arc::new(FarSite { site, round_trip: Duration::from_millis(ms) }),
    }
}

impl FarSite {
    fn travel(&self) -> &dyn Site {
        std::thread::sleep(self.round_trip);
        self.site.as_ref()
    }
}

impl Site for FarSite {
    fn name(&self) -> &str {
        self.site.name()
    }

    fn location(&self) -> String {
        self.site.location()
    }

    fn class(&self) -> SiteClass {
        self.site.class()
    }

    fn put(&self, key: &str, bytes: &[u8]) -> Result<(), SiteError> {
        self.travel().put(key, bytes)
    }

    fn get(&self, key: &str) -> Result<Vec<u8>, SiteError> {
        self.travel().get(key)
    }

    fn holds(&self, key: &str, bytes: &[u8]) -> Result<bool, SiteError> {
        self.travel().holds(key, bytes)
    }

    fn get_range(
        &self,
        key: &str,
        offset_bytes: u64,
        length_bytes: u64,
    ) -> Result<Vec<u8>, SiteError> {
        self.travel().get_range(key, offset_bytes, length_bytes)
    }

    fn list(&self, prefix: &str) -> Result<Vec<ObjectInfo>, SiteError> {
        self.travel().list(prefix)
    }

    fn used_bytes(&self) -> Result<u64, SiteError> {
        self.travel().used_bytes()
    }

    fn free_bytes(&self) -> Result<Option<u64>, SiteError> {
        self.travel().free_bytes()
    }

    fn lock_seconds(&self) -> Option<u64> {
        self.site.lock_seconds()
    }

    fn extend_retention(&self, key: &str, until_seconds: u64) -> Result<(), SiteError> {
        self.travel().extend_retention(key, until_seconds)
    }

    fn quarantine(&self, key: &str) -> Result<String, SiteError> {
        self.travel().quarantine(key)
    }
}
