//! A standby asks the sites in quiet times, so that a promotion need not wait for them.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use evenkeel_journal::Confirmation;
use evenkeel_vault::{Catalog, Lineage};

use super::domain::{Domain, STATE};
use super::observed::lock;
use super::start;
use super::stop::Stop;
use crate::config::Config;
use crate::report::{Report, Result};

/// Between two questions; each reads the sites' index.
const EVERY: Duration = Duration::from_secs(30);

/// What the sites said last.
#[derive(Debug, Default)]
struct Found {
    /// Another lineage continues this one: nothing may be written to it any more.
    superseded: Option<Report>,
    confirmations: Vec<Confirmation>,
}

/// The newest finding.
#[derive(Debug, Clone)]
pub(super) struct SitesWatch(Arc<Mutex<Found>>);

impl SitesWatch {
    /// Begins to ask, in a thread that ends with `stop`.
    pub(super) fn start(config: &Config, lineage: Lineage, stop: &Stop) -> Self {
        let found = Arc::new(Mutex::new(Found::default()));
        let (config, stop, seen) = (config.clone(), stop.clone(), Arc::clone(&found));
        // Without the thread a promotion rests on the lock and on this standby's memory alone.
        let _ = std::thread::Builder::new().name("sites".to_owned()).spawn(move || {
            loop {
                // Held elsewhere no more: the standby has taken over.
                if Arc::strong_count(&seen) == 1 {
                    return;
                }
                look(&seen, &config, lineage);
                if stop.sleep(EVERY) {
                    return;
                }
            }
        });
        Self(found)
    }

    /// Asks now, and waits for the answer.
    pub(super) fn ask(&self, config: &Config, lineage: Lineage) {
        look(&self.0, config, lineage);
    }

    /// # Errors
    /// If another lineage continues this one.
    pub(super) fn refuse(&self) -> Result<()> {
        lock(&self.0).superseded.clone().map_or(Ok(()), Err)
    }

    pub(super) fn confirmations(&self) -> Vec<Confirmation> {
        lock(&self.0).confirmations.clone()
    }
}

/// Sites that do not answer leave the finding as it was.
fn look(found: &Mutex<Found>, config: &Config, lineage: Lineage) {
    if let Ok(domain) = Domain::of(config)
        && let Ok(catalog) = Catalog::load(&domain.sites(), STATE, &domain.trust, None)
    {
        *lock(found) = Found {
            superseded: start::refuse_superseded(&catalog, lineage).err(),
            confirmations: start::confirmations(Some(&catalog), lineage, u64::MAX),
        };
    }
}
