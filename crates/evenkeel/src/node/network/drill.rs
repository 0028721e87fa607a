//! Drills of the network: the newest version comes back whole. Beside a drill of the state with the
//! drill host's own identity of this domain; alone with that one or the recovery identity.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use evenkeel_recovery::report::{Check, Verdict};
use evenkeel_recovery::{BesideDrill, BesideFound, Clock as _, Level, SourceProof};
use evenkeel_vault::{Catalog, Freshness, Identity, Opener, Pin, PointInfo};

use super::super::clock::SystemClock;
use super::super::domain::Domain;
use super::super::drill_checks::Kind as ScratchKind;
use super::super::files::Times;
use super::lay_out::drill_identity;
use super::opened::{Version, find};
use super::restore_cmd::write_offline;
use crate::cli::DrillArgs;
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
/// identity of it, or the one named; at D4 the recovery identity and no other.
pub(in super::super) fn drill_unlock(
    domain: &Domain<'_>,
    config: &Config,
    level: Level,
    args: &DrillArgs,
) -> Result<(Identity, String)> {
    let usage = |what: &str| {
        Report::new(Exit::Usage, what).safe("nothing was started").next(
            "evenkeel drill --domain network --level D4 --identity network-recovery-identity.txt",
        )
    };
    if args.quorum.quorum.is_some() {
        return Err(usage("holders are asked for the domain `state` alone; name an identity"));
    }
    let own = drill_identity(config);
    let file = match (&args.identity, level) {
        (Some(file), _) => file,
        (None, Level::D4) => return Err(usage("D4 proves a restore with the recovery identity")),
        (None, _) => &own,
    };
    if level == Level::D4 && keyfile::read_recovery_identity(file)?.root_public() != domain.trust {
        return Err(Report::new(Exit::WrongKey, "this is not the network's recovery identity")
            .at(file.display().to_string())
            .safe("nothing was started")
            .next("name the recovery identity whose root public key the configuration has"));
    }
    let identity = keyfile::read_identity(file)?;
    let named = identity.recipient().to_string();
    Ok((identity, named))
}
