//! In builds for tests: sites that are far away.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use evenkeel_vault::{ObjectInfo, Site, SiteClass, SiteError};

/// Milliseconds that every round trip to a site takes.
const DELAY: &str = "EVENKEEL_TEST_SITE_DELAY_MS";
/// Bytes per second that a site gives, all requests of a process together.
const RATE: &str = "EVENKEEL_TEST_SITE_READ_RATE";

/// Another site, with a round trip before every answer, over a narrow line.
struct FarSite {
    site: Arc<dyn Site>,
    round_trip: Duration,
    read_rate: Option<f64>,
    line: Mutex<()>,
}

/// The site as it is, or far away if the environment says so.
pub(crate) fn far(site: Arc<dyn Site>) -> Arc<dyn Site> {
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse::<u32>().ok());
    let (delay, read_rate) = (number(DELAY), number(RATE).map(f64::from));
    if delay.is_none() && read_rate.is_none() {
        return site;
    }
    let round_trip = Duration::from_millis(delay.unwrap_or(0).into());
    Arc::new(FarSite { site, round_trip, read_rate, line: Mutex::new(()) })
}

impl FarSite {
    fn travel(&self) -> &dyn Site {
        std::thread::sleep(self.round_trip);
        self.site.as_ref()
    }

    /// What was read comes over the line, behind what others read.
    fn arrive(&self, read: Result<Vec<u8>, SiteError>) -> Result<Vec<u8>, SiteError> {
        if let (Some(rate), Ok(bytes)) = (self.read_rate, &read) {
            let _mine = self.line.lock().unwrap_or_else(PoisonError::into_inner);
            let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
            std::thread::sleep(Duration::from_secs_f64(f64::from(length) / rate));
        }
        read
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
        self.arrive(self.travel().get(key))
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
        self.arrive(self.travel().get_range(key, offset_bytes, length_bytes))
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
