//! The sites of the network's versions while `up` runs: looked at, mended, told.

use std::time::{Duration, Instant};

use evenkeel_vault::{Catalog, repair};

use super::super::domain::Domain;
use super::super::observed::{Observed, lock};
use crate::config::Config;
use crate::documents::{Severity, SiteDocument, SiteState};
use crate::output;
use crate::report::{Exit, Result};
use crate::site_open::class_of;

/// While something is wrong that only its site can mend, everything is read again this often.
const AGAIN: Duration = Duration::from_secs(600);

/// What is remembered between two turns.
#[derive(Debug)]
pub(super) struct SitesWatch {
    /// Everything is read again after this long; zero: only when something is lacking.
    every: Duration,
    read_at: Option<Instant>,
    /// Some site lacks something of a version, or may.
    is_lacking: bool,
}

/// What a look found.
struct Found {
    /// Sites that do not answer, with the reason.
    away: Vec<String>,
    /// Sites that hold something wrong which could not be mended, each once.
    damaged: Vec<String>,
    mended: usize,
}

impl SitesWatch {
    pub(super) fn new(config: &Config) -> Self {
        let every = Duration::from_secs(config.network.scrub_every_hours * 3_600);
        // What a site missed while nobody looked is found at the first turn.
        Self { every, read_at: None, is_lacking: true }
    }

    /// Something of a version did not come to all sites.
    pub(super) fn note_missing(&mut self) {
        (self.is_lacking, self.read_at) = (true, None);
    }

    /// Looks if it is time to, mends what can be mended, and tells the rest.
    pub(super) fn turn(&mut self, config: &Config, observed: &Observed) {
        let Ok(domain) = Domain::network(config) else { return };
        let sites = config.sites_of(domain.settings);
        let gone = sites.filter_map(|site| site.folder()).any(|folder| !folder.is_dir());
        let is_due = !self.every.is_zero()
            && self.read_at.is_none_or(|read_at| read_at.elapsed() >= self.every);
        if !(self.is_lacking || gone || is_due) {
            return;
        }
        let found = match domain.catalog(None).and_then(|catalog| self.look(&catalog)) {
            Ok(found) => found,
            Err(error) if error.exit() == Exit::NothingYet => return,
            Err(error) => {
                observed.conditions.raise(
                    "network_site_down",
                    Severity::Critical,
                    format!("the sites of the network cannot be read: {}", error.message()),
                    "nothing was changed; it is tried again at the next asking",
                    "evenkeel sites list",
                );
                self.is_lacking = true;
                return;
            }
        };
        self.is_lacking = !found.away.is_empty() || !found.damaged.is_empty();
        if found.mended > 0 {
            output::note(&format!(
                "{} objects of the network's versions were mended",
                found.mended
            ));
        }
        tell(&domain, observed, &found);
        *lock(&observed.network_sites) = documents(config, &domain, &found);
    }

    /// Reads everything and mends it, unless that was just done and a site is away all the same.
    fn look(&mut self, catalog: &Catalog) -> Result<Found> {
        let away = catalog.unreachable();
        let is_fresh = self.read_at.is_some_and(|read_at| read_at.elapsed() < AGAIN);
        let mut found = Found { away, damaged: Vec::new(), mended: 0 };
        if !found.away.is_empty() && is_fresh {
            return Ok(found);
        }
        let repairs = repair(catalog)?;
        self.read_at = Some(Instant::now());
        found.mended = repairs.iter().filter(|one| one.is_repaired()).count();
        for one in repairs.iter().filter(|one| !one.is_repaired()) {
            let site = &one.problem.site;
            let is_away = found.away.iter().any(|away| away.starts_with(&format!("{site} (")));
            if !is_away && !found.damaged.contains(site) {
                found.damaged.push(site.clone());
            }
        }
        Ok(found)
    }
}

fn tell(domain: &Domain<'_>, observed: &Observed, found: &Found) {
    let conditions = &observed.conditions;
    let left = domain.layout.n() - found.away.len().min(domain.layout.n());
    if found.away.is_empty() {
        conditions.clear("network_site_down");
    } else {
        let spare = left.checked_sub(domain.layout.k());
        let severity = match spare {
            None | Some(0) => Severity::Critical,
            Some(_) => Severity::Warning,
        };
        let safe = match spare {
            None => "too few sites are left to bring a version back until one returns".to_owned(),
            Some(more) => {
                format!("the other {left} bring every version back; {more} more may be lost")
            }
        };
        let said = format!("sites of the network do not answer: {}", found.away.join(", "));
        conditions.raise("network_site_down", severity, said, &safe, "evenkeel sites probe");
    }
    if found.damaged.is_empty() {
        conditions.clear("network_site_damaged");
    } else {
        conditions.raise(
            "network_site_damaged",
            Severity::Warning,
            format!(
                "objects of the network are wrong and could not be mended at {}",
                found.damaged.join(", ")
            ),
            "a restore reads around them",
            "evenkeel verify --domain network, then evenkeel repair --domain network",
        );
    }
}

fn documents(config: &Config, domain: &Domain<'_>, found: &Found) -> Vec<SiteDocument> {
    let sites = domain.sites();
    let of = |site: &crate::config::SiteConfig| {
        let away = found.away.iter().find(|away| away.starts_with(&format!("{} (", site.name)));
        let open = sites.iter().find(|open| open.name() == site.name);
        let bytes = || open.and_then(|open| open.used_bytes().ok());
        SiteDocument {
            name: site.name.clone(),
            location: site.location(),
            class: class_of(config, site).into(),
            state: match away {
                Some(_) => SiteState::Down,
                None if found.damaged.contains(&site.name) => SiteState::Damaged,
                None => SiteState::Healthy,
            },
            detail: away.cloned(),
            bytes: if away.is_some() { None } else { bytes() },
            ..SiteDocument::default()
        }
    };
    config.sites_of(domain.settings).map(of).collect()
}
