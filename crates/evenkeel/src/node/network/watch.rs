//! What `evenkeel up` does for the network: asks everything now and then, says what is wrong, and
//! makes a version when the document changed.

use std::sync::Arc;
use std::time::{Duration, Instant};

use evenkeel_capture::network::{Health, Verdict};
use evenkeel_recovery::Clock as _;

use super::super::clock::SystemClock;
use super::super::domain::Domain;
use super::super::files::WriterHome;
use super::super::observed::{Observed, lock};
use super::super::stop::Stop;
use super::backup_cmd;
use super::opened::{document_hash, versions};
use super::records::{self, Records, hash_of, signed_hash};
use super::sites::SitesWatch;
use super::source::Source;
use crate::cli::format_time_ns;
use crate::config::Config;
use crate::documents::{
    ConditionDocument, NetworkCheckDocument, NetworkKeyDocument, Outcome, Severity, SourceKind,
};
use crate::report::{Exit, Result};

/// The source that the document, cursors and logs together are.
const NETWORK: &str = "network";
/// How often it looks at the clock.
const BEAT: Duration = Duration::from_millis(250);
/// How often it looks at the records of keys and at the sites where nothing is to be asked.
const UNASKED: Duration = Duration::from_secs(30);
/// A document that is checked this often may be late by one more time, and by the asking.
const LATE: u32 = 3;

/// The thread's memory.
pub(in super::super) struct NetworkLoop {
    pub(in super::super) config: Config,
    pub(in super::super) observed: Arc<Observed>,
}

/// What the sites hold.
#[derive(Default)]
struct Held {
    /// Of the document, and of the records of keys.
    hash: Option<[u8; 32]>,
    records: Option<[u8; 32]>,
    made: Option<Instant>,
}

impl NetworkLoop {
    /// Whether there is anything to do.
    pub(in super::super) fn is_wanted(config: &Config) -> bool {
        config.network.is_set()
    }

    /// How often everything is asked; `None`: never, and no version is made.
    fn asks_every(&self) -> Option<Duration> {
        let seconds = self.config.network.probe_every_seconds;
        (seconds > 0).then(|| Duration::from_secs(seconds))
    }

    /// Runs until asked to stop.
    pub(in super::super) fn run(self, stop: &Stop) -> Result<()> {
        let asks_every = self.asks_every();
        let every = asks_every.unwrap_or(UNASKED);
        let mut held = asks_every.map_or_else(Held::default, |_| self.look());
        let mut sites = SitesWatch::new(&self.config);
        loop {
            let begun = Instant::now();
            self.turn(&mut held, &mut sites);
            sites.turn(&self.config, &self.observed);
            let next = begun + every.max(begun.elapsed() + BEAT);
            while let Some(left) = next.checked_duration_since(Instant::now()) {
                if stop.sleep(BEAT.min(left)) {
                    return Ok(());
                }
            }
        }
    }

    /// What the newest version at the sites is of.
    fn look(&self) -> Held {
        if self.config.domains.network.is_none() {
            return Held::default();
        }
        let target = Duration::from_secs(self.config.network.probe_every_seconds) * LATE
            + Duration::from_secs(self.config.network.timeout_seconds) * LATE;
        self.observed.sources.note(NETWORK, |source| {
            (source.kind, source.target) = (SourceKind::Network, target);
        });
        let catalog = Domain::network(&self.config).and_then(|domain| domain.catalog(None));
        let newest = catalog.ok().and_then(|catalog| versions(&catalog).pop());
        let Some(newest) = newest else { return Held::default() };
        self.observed.sources.note(NETWORK, |source| {
            source.recovery_point = Some(newest.id.to_string());
            source.margin = Some(newest.margin);
        });
        Held { hash: document_hash(&newest), records: signed_hash(&newest), made: None }
    }

    fn turn(&self, held: &mut Held, sites: &mut SitesWatch) {
        let conditions = &self.observed.conditions;
        let source = match Source::configured(&self.config) {
            Ok(source) => source,
            Err(error) => {
                conditions.raise(
                    "network_document",
                    Severity::Critical,
                    format!("the document of the network cannot be used: {}", error.message()),
                    "versions at the sites are as they were; nothing is asked until it is mended",
                    "evenkeel network check   (says where and what), evenkeel network versions",
                );
                return;
            }
        };
        conditions.clear("network_document");
        if self.asks_every().is_none() {
            self.tell_unasked(&source);
            return;
        }
        let health = source.measure(Duration::from_secs(self.config.network.timeout_seconds));
        let records = Records::read(&source.document);
        self.tell_keys(&records.told);
        self.tell(&source, &health, &records);
        if self.config.domains.network.is_some() {
            self.keep(held, &source, &health, hash_of(&records.kept), sites);
        }
    }

    /// What there is to say of keys where nobody is asked anything: nothing else is known.
    fn tell_unasked(&self, source: &Source) {
        let keys = Records::read(&source.document).told;
        self.tell_keys(&keys);
        let outcome = match records::outcome(&keys) {
            Outcome::Failed => Outcome::Failed,
            _ => Outcome::Unproven,
        };
        let time = format_time_ns(SystemClock::new().wall_ns());
        let hash = source.hash_hex().unwrap_or_default();
        let nothing = Health { time, ..Health::default() };
        let document = NetworkCheckDocument::of(&nothing, source.file.display().to_string(), hash)
            .with_keys(keys, outcome);
        *lock(&self.observed.network) = Some(document);
    }

    /// What was measured, for whoever asks.
    fn tell(&self, source: &Source, health: &Health, records: &Records) {
        let hash = source.hash_hex().unwrap_or_default();
        let keys = records.told.clone();
        let outcome = records::outcome(&keys);
        let document = NetworkCheckDocument::of(health, source.file.display().to_string(), hash)
            .with_keys(keys, outcome);
        *lock(&self.observed.network) = Some(document);
        let of = |verdict| -> Vec<String> {
            let all = health.endpoints.iter().filter(|it| it.verdict == verdict);
            all.map(|it| {
                let why: Vec<String> = it.faults.iter().map(ToString::to_string).collect();
                format!("{} ({})", it.name, why.join("; "))
            })
            .collect()
        };
        let mut barred = of(Verdict::Quarantined);
        let foreign = health.dns.iter().filter(|it| !it.unexpected.is_empty());
        barred.extend(foreign.map(|it| {
            format!("the name {} (it resolves to {})", it.name, it.unexpected.join(", "))
        }));
        let mut away = of(Verdict::Down);
        away.extend(of(Verdict::Stale));
        let failed = health.exchanges.iter();
        away.extend(failed.filter_map(|it| Some(format!("{} ({})", it.name, it.error.as_ref()?))));
        self.show(
            "network_quarantined",
            Severity::Critical,
            &barred,
            "must not be used",
            "no restored configuration names it as one to use",
        );
        self.show(
            "network_endpoints",
            Severity::Warning,
            &away,
            "cannot be used now",
            "others are in front of it in the fail-over order",
        );
    }

    /// Records that cannot be kept, and cards of which nobody knows lately whether they are good.
    fn tell_keys(&self, keys: &[NetworkKeyDocument]) {
        let found = records::conditions(keys);
        for kind in records::KINDS {
            if !found.iter().any(|one| one.kind == kind) {
                self.observed.conditions.clear(kind);
            }
        }
        for one in found {
            let ConditionDocument { kind, severity, message, safe, next } = one;
            self.observed.conditions.raise(&kind, severity, message, &safe, &next);
        }
    }

    fn show(
        &self,
        rule: &'static str,
        severity: Severity,
        names: &[String],
        what: &str,
        safe: &'static str,
    ) {
        if names.is_empty() {
            self.observed.conditions.clear(rule);
            return;
        }
        // Names are as they are written: none of them begins the sentence.
        let said = format!("{what}: {}", names.join(", "));
        self.observed.conditions.raise(rule, severity, said, safe, "evenkeel network check");
    }

    /// Makes a version if the document is another than the sites hold, or the last is too old.
    fn keep(
        &self,
        held: &mut Held,
        source: &Source,
        health: &Health,
        records: Option<[u8; 32]>,
        sites: &mut SitesWatch,
    ) {
        let every = Duration::from_secs(self.config.network.version_every_seconds);
        let hash = source.hash().ok();
        let is_due = !every.is_zero() && held.made.is_none_or(|made| made.elapsed() >= every);
        let now_ns = SystemClock::new().wall_ns();
        if hash == held.hash && records == held.records && !is_due {
            self.observed.sources.note(NETWORK, |known| known.complete_ns = Some(now_ns));
            return;
        }
        let made = Domain::network(&self.config).and_then(|domain| {
            let home = WriterHome::open(&self.config.network_dir())?;
            backup_cmd::make_of(&self.config, &domain, &home, source, health)
        });
        let conditions = &self.observed.conditions;
        match made {
            Ok(document) => {
                if !document.sites_missing.is_empty() {
                    sites.note_missing();
                }
                *held = Held { hash, records, made: Some(Instant::now()) };
                conditions.clear("network_not_protected");
                let detail = match (document.sites_missing.as_slice(), document.problems.first()) {
                    ([], None) => None,
                    ([], Some(problem)) => Some(problem.clone()),
                    (names, _) => Some(format!("not at {}", names.join(", "))),
                };
                self.observed.sources.note(NETWORK, |known| {
                    known.recovery_point = Some(document.recovery_point.clone());
                    known.complete_ns = Some(now_ns);
                    known.margin = Some(document.margin);
                    (known.detail, known.unprotected) = (detail, false);
                });
            }
            // Somebody makes one by hand: it will do, and the next turn sees it.
            Err(error) if error.exit() == Exit::Locked => *held = self.look(),
            Err(error) => {
                let why = error.message().to_owned();
                self.observed.sources.note(NETWORK, |known| known.detail = Some(why.clone()));
                conditions.raise(
                    "network_not_protected",
                    Severity::Critical,
                    format!("no version of the network could be made: {why}"),
                    "earlier versions can be restored; it is tried again at the next asking",
                    "evenkeel network backup   (says it in full)",
                );
            }
        }
    }
}
