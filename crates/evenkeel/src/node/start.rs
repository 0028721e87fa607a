//! Starting after whatever happened: the journal opens, its end is compared with what the sites
//! confirm, and the engine is rebuilt. Nothing is written before that comparison.

use std::sync::Arc;

use evenkeel_journal::{
    Base, Confirmation, Disk, Durability, EndState, FileLog, Identity, JournalError, Opened,
    Options,
};
use evenkeel_recovery::restore::CHAIN_ROOT;
use evenkeel_recovery::{Booted, PassedOver, Promise, Rescued, rescue};
use evenkeel_vault::{Catalog, Lineage};

use super::domain::{Domain, cluster_id};
use super::observed::Observed;
use super::snapshots::Snapshots;
use super::suspect::{self, HostRescue};
use crate::cli::UpArgs;
use crate::config::Config;
use crate::documents::Severity;
use crate::keyfile;
use crate::report::{Exit, Report, Result};

/// A host that stands where it stood.
pub(crate) struct Recovered {
    pub(crate) log: FileLog,
    pub(crate) booted: Booted,
    pub(crate) end: EndState,
    pub(crate) lineage: Lineage,
    /// The term that was begun already, to say that entries are passed over.
    pub(crate) term: Option<u64>,
    pub(crate) passed_over: Vec<PassedOver>,
    /// What was found, for people.
    pub(crate) account: Vec<String>,
}

/// Opens and recovers everything a primary needs.
pub(crate) fn recover(
    config: &Config,
    domain: &Domain<'_>,
    disk: &Arc<dyn Disk>,
    durability: Durability,
) -> Result<Recovered> {
    let certificate = keyfile::read_certificate(&domain.settings.writer_certificate_file)?;
    let lineage = certificate.lineage;
    let (mut log, opened) = open_journal(config, domain, lineage, disk, durability)?;
    let mut account = Vec::new();
    let is_new = opened.is_none();
    match &opened {
        Some(opened) => account.extend(opened.to_string().lines().map(str::to_owned)),
        None => account.push("a new journal begins".to_owned()),
    }
    let snapshots = Snapshots::new(config.snapshots_dir(), 1);
    let (snapshots, unreadable) = snapshots
        .load()
        .map_err(|error| Report::io("read the snapshots", &config.snapshots_dir(), &error))?;
    for path in unreadable {
        account.push(format!("not used: {} does not read back intact", path.display()));
    }
    let (catalog, unreachable) =
        match Catalog::load(&domain.sites(), super::domain::STATE, &domain.trust, None) {
            Ok(catalog) => (Some(catalog), None),
            Err(evenkeel_vault::Error::NothingYet { .. }) => (None, None),
            Err(error) => (None, Some(error)),
        };
    if let Some(catalog) = &catalog {
        refuse_superseded(catalog, lineage)?;
    }
    let mut confirmed = confirmations(catalog.as_ref(), lineage, log.next());
    confirmed.extend(snapshots.iter().map(|snapshot| Confirmation {
        source: "a snapshot on this host".to_owned(),
        next: snapshot.position(),
        chain: Some(snapshot.chain),
    }));
    let mut end = log.confirm_end(&confirmed).map_err(|error| vanished(error, config))?;
    match unreachable {
        Some(error) => {
            end = EndState::Unconfirmed;
            account.push(format!("tail unconfirmed: the sites cannot be asked ({error})"));
        }
        None if too_few(domain, catalog.as_ref()) => {
            end = EndState::Unconfirmed;
            account.push("tail unconfirmed: too few sites answer to know the newest record".into());
        }
        None if is_new => end = EndState::Confirmed,
        None => {}
    }
    drop(snapshots);
    let mut host = HostRescue { config };
    let Rescued { booted, term, passed_over } = rescue(&mut log, disk, &mut host)?;
    suspect::look(&config.host.data, &booted.engine)?;
    if !is_new {
        let from = booted.checkpoint.position();
        let replayed = booted.replayed;
        account.push(format!("state: snapshot at {from}, then {replayed} entries applied"));
    }
    Ok(Recovered { log, booted, end, lineage, term, passed_over, account })
}

/// How this home's journal is kept.
pub(crate) fn options(config: &Config, durability: Durability) -> Options {
    Options {
        segment_bytes: config.journal.segment_bytes,
        reserve_bytes: config.journal.reserve_bytes,
        durability,
        ..Options::default()
    }
}

/// Whether it is synced: always, but for a test switch.
pub(crate) fn durability(args: &UpArgs) -> Durability {
    if args.unsafe_no_fdatasync { Durability::NoSync } else { Durability::Fdatasync }
}

fn open_journal(
    config: &Config,
    domain: &Domain<'_>,
    lineage: Lineage,
    disk: &Arc<dyn Disk>,
    durability: Durability,
) -> Result<(FileLog, Option<Opened>)> {
    let options = options(config, durability);
    let dir = config.journal_dir();
    match FileLog::open(Arc::clone(disk), &dir, options) {
        Ok((log, opened)) => {
            if log.identity().lineage == lineage.0 {
                return Ok((log, Some(opened)));
            }
            Err(Report::new(Exit::Integrity, "the journal belongs to another lineage")
                .at(dir.display().to_string())
                .detail(format!("the writer's certificate is for lineage {lineage}"))
                .safe("nothing was written")
                .next("use the journal and the certificate of one lineage"))
        }
        Err(JournalError::NotAJournal { .. }) => {
            let identity = Identity { cluster_id: cluster_id(&domain.trust), lineage: lineage.0 };
            let log = FileLog::create(Arc::clone(disk), &dir, identity, Base::genesis(), options)?;
            Ok((log, None))
        }
        Err(error) => Err(error.into()),
    }
}

/// Whether the newest record might be at none of the sites that answer.
fn too_few(domain: &Domain<'_>, catalog: Option<&Catalog>) -> bool {
    let (k, n) = (domain.layout.k(), domain.layout.n());
    let answering = catalog.map_or(n, |catalog| n.saturating_sub(catalog.unreachable().len()));
    answering < k.max(n - k + 1)
}

/// A lineage that another one continues is over: to write on would fork the history.
///
/// # Errors
/// [`Exit::Integrity`] naming the other lineage.
pub(crate) fn refuse_superseded(catalog: &Catalog, lineage: Lineage) -> Result<()> {
    let continues = |parent: &evenkeel_vault::Parent| parent.lineage == lineage;
    let lineages = catalog.lineages();
    let Some(heir) = lineages.iter().find(|one| one.parent.as_ref().is_some_and(continues)) else {
        return Ok(());
    };
    let position = heir.parent.as_ref().map_or(0, |parent| parent.position + 1);
    let what = format!(
        "lineage {lineage} was continued by lineage {} from position {position} on: this host was \
         replaced",
        heir.lineage
    );
    Err(Report::new(Exit::Integrity, what)
        .safe("nothing more is written here; both histories are kept at the sites")
        .next("evenkeel up --home NEW   (where the new lineage lives)")
        .next("evenkeel restore --lineage ID   (to look at either history)"))
}

/// What the sites hold of this lineage: its tails and its points.
/// Only two matter to a journal that ends at `next`: the furthest of all, and the furthest within
/// it, since a chain speaks for everything before it; so a start reads no more than it must.
pub(crate) fn confirmations(
    catalog: Option<&Catalog>,
    lineage: Lineage,
    next: u64,
) -> Vec<Confirmation> {
    let Some(catalog) = catalog else {
        return Vec::new();
    };
    let mut confirmed = Vec::new();
    for tail in catalog.tails_after(lineage, None) {
        let chain = tail.roots.iter().find(|root| root.name == CHAIN_ROOT);
        confirmed.push(Confirmation {
            source: format!("record {} at the sites", tail.counter),
            next: tail.last + 1,
            chain: chain.map(|root| root.hash),
        });
    }
    for point in catalog.points() {
        if point.id.lineage == lineage {
            confirmed.push(Confirmation {
                source: format!("recovery point {} at the sites", point.id),
                next: point.position,
                chain: Promise::from_roots(&point.roots).map(|promise| promise.chain),
            });
        }
    }
    let furthest = |bound: u64| {
        let within = confirmed.iter().filter(move |one| one.next <= bound);
        within.max_by_key(|one| one.next).cloned()
    };
    [furthest(next), furthest(u64::MAX)].into_iter().flatten().collect()
}

/// A vanished tail is fetched by `repair`, which needs an identity; that is said here, where the
/// files are known.
pub(crate) fn vanished(error: JournalError, config: &Config) -> Report {
    let JournalError::TailVanished { ours, theirs, confirmed_by } = &error else {
        return error.into();
    };
    let file = config.file.display();
    let what = format!(
        "the journal ends at position {ours}, but {confirmed_by} holds acknowledged entries up to \
         position {theirs}"
    );
    Report::new(Exit::Integrity, what)
        .at(config.journal_dir().display().to_string())
        .detail(format!("{} entries have vanished from this host", theirs - ours))
        .safe("nothing was written; the missing entries are at the sites")
        .next(format!("evenkeel repair --config {file} --identity FILE   (fetches them)"))
        .next(format!(
            "evenkeel restore --config {file} --identity FILE --to NEW --promote   (if this host \
             is beyond repair)"
        ))
}

/// Shows what a start leaves in doubt.
pub(super) fn show(observed: &Observed, end: EndState, args: &UpArgs) {
    if args.unsafe_no_fdatasync {
        observed.conditions.raise(
            "no_fdatasync",
            Severity::Critical,
            "fdatasync is switched off (a test switch): acknowledged entries die with the power",
            "nothing on this host; what is shipped is at the sites",
            "restart without --unsafe-no-fdatasync",
        );
    }
    if end == EndState::Unconfirmed {
        observed.conditions.raise(
            "tail_unconfirmed",
            Severity::Warning,
            "no site could be asked at the start: entries that this host lost would not be noticed",
            "every entry that this host holds",
            "bring sites back and restart; evenkeel sites list",
        );
    }
}
