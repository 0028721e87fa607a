//! Drills of the network: the newest version comes back whole. Beside a drill of the state with the
//! drill host's own identity of this domain; alone with that one or the recovery identity.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use evenkeel_recovery::report::{Check, Verdict};
use evenkeel_recovery::{BesideDrill, BesideFound, Clock as _, Level, SourceProof};
use evenkeel_vault::{Catalog, Freshness, Opener, Pin, PointInfo, Unlock};

use super::super::clock::SystemClock;
use super::super::domain::Domain;
use super::super::drill_checks::Kind as ScratchKind;
use super::super::evidence;
use super::super::files::Times;
use super::lay_out::drill_identity;
use super::opened::{Version, find};
use super::restore_cmd::write_offline;
use crate::cli::{DecryptionPurpose, DrillArgs};
use crate::config::{Config, DomainName};
use crate::documents::SourceKind;
use crate::keyfile;
use crate::report::{Exit, Report, Result};

/// Name of the check, and of the source.
const NAME: &str = "network";

/// Brings the newest version back below `scratch`, beside a drill of another domain, and compares
/// the sites with the newest record seen before; nothing without such a domain.
pub(in super::super) fn drill(config: &Config, scratch: &Path) -> Option<(Check, SourceProof)> {
    config.domains.network.as_ref()?;
    Some(match beside(config, scratch) {
        Ok((check, source, _)) => (check, source),
        Err(report) => {
            // What cannot be looked at is not known to be wrong.
            let verdict = match report.exit() {
                Exit::Integrity | Exit::NotEnoughSites => Verdict::Failed,
                _ => Verdict::Unproven,
            };
            let source = SourceProof { verdict, ..unproven() };
            (Check::new(NAME, verdict, report.message().to_owned()), source)
        }
    })
}

fn unproven() -> SourceProof {
    SourceProof::unproven(NAME, SourceKind::Network.word())
}

fn beside(config: &Config, scratch: &Path) -> Result<(Check, SourceProof, PointInfo)> {
    let pin_file = config.drill.home.join(DomainName::Network.pin());
    let catalog = Domain::network(config)?.catalog(Pin::load(&pin_file)?)?;
    if let Freshness::RolledBack { .. } | Freshness::Contradicted { .. } = catalog.freshness() {
        let detail = "the sites do not show the newest record that was seen before";
        let check = Check::new(NAME, Verdict::Failed, detail);
        let point = find(&catalog, None, None)?;
        return Ok((check, SourceProof { verdict: Verdict::Failed, ..unproven() }, point));
    }
    let identity = keyfile::read_identity(&drill_identity(config))?;
    let opener = Opener::new(Arc::new(catalog), identity)?;
    let found = prove(config, &opener, scratch)?;
    if let Some(pin) = opener.catalog().pin(found.2.id.lineage) {
        pin.save(&pin_file)?;
    }
    Ok(found)
}

/// Restores the newest version, and says how old it is and how long that took.
fn prove(
    config: &Config,
    opener: &Opener,
    scratch: &Path,
) -> Result<(Check, SourceProof, PointInfo)> {
    let (begun, now_ns) = (Instant::now(), SystemClock::new().wall_ns());
    let version = Version::open(opener, find(opener.catalog(), None, None)?)?;
    let files = write_offline(opener, &version, &scratch.join(NAME))?;
    let times = Times {
        until_ns: version.point.time_ns,
        now_ns,
        rto: begun.elapsed(),
        promised: promised(config),
    };
    let (verdict, words) = times.judge();
    let detail = format!(
        "version {}: the document is the one that was signed, {files} files written; {words}",
        version.point.position
    );
    let id = version.point.id.to_string();
    let source = times.source(NAME, SourceKind::Network, verdict, &id);
    Ok((Check::new(NAME, verdict, detail), source, version.point))
}

/// What is promised of age and time. Where versions are made only when the document changes, one
/// is as old as the document, and of that nothing is promised.
fn promised(config: &Config) -> (Option<u64>, u64) {
    let network = &config.network;
    ((network.version_every_seconds > 0).then_some(network.rpo_seconds), network.rto_seconds)
}

/// A drill of this domain alone.
pub(in super::super) struct NetworkDrill<'a> {
    /// What is promised.
    pub(in super::super) config: &'a Config,
    /// Where it writes; removed by whoever made it.
    pub(in super::super) scratch: PathBuf,
    /// What that lies on.
    pub(in super::super) scratch_kind: ScratchKind,
}

impl BesideDrill for NetworkDrill<'_> {
    fn run(&mut self, _catalog: &Catalog, opener: &Opener) -> BesideFound {
        let (check, source, point) = match prove(self.config, opener, &self.scratch) {
            Ok((check, source, point)) => (check, source, Some(point)),
            Err(report) => {
                let verdict = match report.exit() {
                    Exit::NothingYet => Verdict::Unproven,
                    _ => Verdict::Failed,
                };
                let source = SourceProof { verdict, ..unproven() };
                (Check::new(NAME, verdict, report.message().to_owned()), source, None)
            }
        };
        let scratch = Check::new("scratch", Verdict::NotConfigured, self.scratch_kind.words());
        BesideFound { point, checks: vec![check, scratch], sources: vec![source] }
    }

    fn unproven(&self) -> Vec<SourceProof> {
        vec![unproven()]
    }
}

/// Who opens a drill of this domain alone, and its public name: at D3 the drill host's own
/// identity of it, or whoever is named; at D4 whoever brings the domain back, alone or as a quorum.
pub(in super::super) fn drill_unlock(
    domain: &Domain<'_>,
    config: &Config,
    level: Level,
    args: &DrillArgs,
) -> Result<(Unlock, String)> {
    let own = drill_identity(config);
    let file = args.identity.as_deref().or((level != Level::D4).then_some(own.as_path()));
    let opens = evidence::unlock(file, &args.quorum, DecryptionPurpose::Drill)?;
    let (unlock, named) = opens.ok_or_else(|| {
        let what = "D4 proves a restore with the recovery identity, or its quorum: name it";
        Report::new(Exit::Usage, what)
            .safe("nothing was started")
            .next(
                "evenkeel drill --domain network --level D4 --identity \
                 network-recovery-identity.txt",
            )
            .next("evenkeel drill --domain network --level D4 --quorum DIR --table DIR")
    })?;
    if level == Level::D4 && args.identity.is_some() && !brings_back(domain, &own, &named) {
        return Err(Report::new(Exit::WrongKey, "this is not the network's recovery identity")
            .detail(format!("its recipient: {named}"))
            .safe("nothing was started")
            .next("name the identity of a recipient of the network that is not the drill host's"));
    }
    Ok((unlock, named))
}

/// Whether this recipient is one of the domain's, and not the drill host's own.
fn brings_back(domain: &Domain<'_>, own: &Path, recipient: &str) -> bool {
    let of_drills = keyfile::read_identity(own).map(|own| own.recipient().to_string());
    domain.settings.recipients.iter().any(|one| one == recipient)
        && of_drills.ok().as_deref() != Some(recipient)
}
