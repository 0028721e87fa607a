//! The mending thread: when a site that was away answers again, what it missed is rebuilt there.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use evenkeel_vault::{Catalog, RootPublicKey, Site, repair};

use super::domain::STATE;
use super::observed::Observed;
use super::stop::Stop;
use crate::documents::Severity;
use crate::report::Result;

/// How often it looks whether a site came back. Mending waits as long once more, so that what is
/// being written meanwhile is not taken for missing.
const BEAT: Duration = Duration::from_secs(2);

pub(crate) struct MendLoop {
    pub(crate) sites: Vec<Arc<dyn Site>>,
    pub(crate) trust: RootPublicKey,
    pub(crate) observed: Arc<Observed>,
}

impl MendLoop {
    pub(crate) fn run(self, stop: &Stop) -> Result<()> {
        while !stop.sleep(BEAT) {
            if self.observed.site_returned.swap(false, Ordering::Relaxed) && !stop.sleep(BEAT) {
                self.mend();
            }
        }
        Ok(())
    }

    fn mend(&self) {
        let found = Catalog::load(&self.sites, STATE, &self.trust, None);
        let repaired = found.and_then(|catalog| repair(&catalog));
        let conditions = &self.observed.conditions;
        match repaired {
            Ok(all) if all.iter().all(evenkeel_vault::Repair::is_repaired) => {
                conditions.clear("site_not_mended");
            }
            Ok(all) => {
                let left = all.iter().filter(|one| !one.is_repaired()).count();
                self.trouble(&format!("{left} of {} objects could not be rebuilt", all.len()));
            }
            Err(error) => self.trouble(&error.to_string()),
        }
    }

    fn trouble(&self, why: &str) {
        self.observed.conditions.raise(
            "site_not_mended",
            Severity::Warning,
            format!("a site came back and is not whole yet: {why}"),
            "every recovery point can be restored from the other sites",
            "evenkeel repair",
        );
    }
}
