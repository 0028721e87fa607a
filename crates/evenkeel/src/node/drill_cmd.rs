//! `evenkeel drill`: restores into scratch from the sites alone, checks, signs, keeps the report.

use std::path::{Path, PathBuf};
use std::time::Duration;

use ed25519_dalek::SigningKey;
use evenkeel_journal::Identity as JournalIdentity;
use evenkeel_recovery::report::Text;
use evenkeel_recovery::{
    DrillPlan, DrillReport, Drilled, Level, SignedEverything, SignedReport, SourceProof, Verdict,
    drill_with, drill_without_venue, read_report,
};
use evenkeel_types::Canonical as _;
use evenkeel_vault::{Pin, Unlock};

use super::alerts::deadman;
use super::clock::SystemClock;
use super::domain::{Domain, chosen_name};
use super::drill_checks::{Neighbours, Scratch, below, remove_stale};
use super::drill_verify;
use super::everything;
use super::evidence;
use super::files::FilesDrill;
use super::journal_sink::JournalSink;
use super::network::{self, NetworkDrill};
use super::restore_cmd::site_name;
use crate::cli::{DecryptionPurpose, DrillAction, DrillArgs, format_time_ns};
use crate::config::{Config, DomainName, DrillLevel as LevelName};
use crate::control::{self, Request};
use crate::documents::{
    CheckDocument, DrillDocument, DrillLevel, Outcome, PhaseDocument, SourceKind,
    SourceProofDocument,
};
use crate::keyfile::{self, hex};
use crate::output;
use crate::report::{Exit, Report, Result};

/// How long the host may take to say how far it is.
const ASK_TIMEOUT: Duration = Duration::from_secs(2);
/// File that names the last proven point.
const PROVEN: &str = "proven-point";
const REPORT_EXTENSION: &str = "drill";
const EVERYTHING_EXTENSION: &str = "everything";

/// Runs the command.
pub(crate) fn run(args: &DrillArgs) -> Result<Exit> {
    match &args.action {
        Some(DrillAction::Verify(args)) => return drill_verify::run(args),
        Some(DrillAction::Everything(args)) => return everything::run(args),
        None => {}
    }
    let config = args.place.load()?;
    let level = args.level.unwrap_or(config.drill.level);
    let (document, error) = match level {
        LevelName::D2 => {
            refuse_network(chosen_name(&config, args.domain))?;
            (on_the_host(&config)?, None)
        }
        _ => here(&config, level, args, args.place.kit.as_deref())?,
    };
    if args.json {
        output::document(&document)?;
    } else {
        output::result(&words(&document))?;
    }
    // What a drill of the network alone proves is not everything, where there is more.
    let is_everything =
        chosen_name(&config, args.domain) == DomainName::State || config.protects_network_alone();
    if !args.no_ping
        && is_everything
        && let Err(why) = deadman::ping_if_proven(&config.alerts, &document)
    {
        output::note(&format!("warning: {why}"));
    }
    match error {
        // What prevented the restore has its own exit code, and its message says what to do.
        Some(error) => Err(error),
        None => Ok(exit_of(&document)),
    }
}

/// A version's writer ends with it: there is no running one to ask.
fn refuse_network(name: DomainName) -> Result<()> {
    match name {
        DomainName::State => Ok(()),
        DomainName::Network => {
            let what = "D2 proves what a running writer's key opens, and the network has none";
            Err(Report::new(Exit::Usage, what)
                .safe("nothing was started")
                .next("evenkeel drill --domain network --level D3"))
        }
    }
}

/// D2 needs the key that only the running writer has: it is asked.
fn on_the_host(config: &Config) -> Result<DrillDocument> {
    let request = Request::new("drill");
    let answer = control::ask(&config.control_socket(), &request, Duration::from_secs(120))?;
    let answer = answer.ok_or_else(|| {
        Report::new(Exit::NothingYet, "D2 needs the running writer, and none runs here")
            .safe("nothing was changed")
            .next("evenkeel up --home DIR   (starts it)")
            .next("evenkeel drill --level D3   (needs no running writer)")
    })?;
    serde_json::from_value(answer).map_err(|error| {
        Report::new(Exit::Failed, format!("the daemon's answer cannot be read: {error}"))
    })
}

/// D3 with the drill host's own identity.
pub(super) fn prove(config: &Config) -> Result<DrillDocument> {
    let (document, error) = here(config, LevelName::D3, &DrillArgs::default(), None)?;
    error.map_or(Ok(document), Err)
}

/// D1, D3 and D4: in this process, which plays the drill host.
fn here(
    config: &Config,
    level: LevelName,
    args: &DrillArgs,
    kit: Option<&Path>,
) -> Result<(DrillDocument, Option<Report>)> {
    let domain = Domain::chosen(config, args.domain)?;
    let level = match level {
        LevelName::D1 => Level::D1,
        LevelName::D2 => Level::D2,
        LevelName::D3 => Level::D3,
        LevelName::D4 => Level::D4,
    };
    let (unlock, key_used) = unlock(&domain, config, level, args)?.unzip();
    let below = below(&config.drill, &config.drill.home);
    remove_stale(&below);
    if kit.is_some() {
        super::kit::ready_for_drill(config)?;
    }
    let key_used = key_used.unwrap_or_else(|| "none".to_owned());
    let key_used = match kit {
        Some(kit) => format!("{key_used}, {}", super::kit::used_words(kit)),
        None => key_used,
    };
    let scratch = Scratch::make(&below, config.drill.scratch_encrypted)?;
    let neighbours = Neighbours::default();
    let drill = DomainDrill { level, unlock, key_used, scratch: &scratch, neighbours };
    let drilled = drill_domain(config, &domain, drill)?;
    Ok((document(&drilled.report), drilled.error.map(Report::from)))
}

/// How a drill of a domain is made.
pub(super) struct DomainDrill<'s> {
    pub(super) level: Level,
    /// Who opens; nobody at D1.
    pub(super) unlock: Option<Unlock>,
    pub(super) key_used: String,
    /// Where it lays out what comes back; whoever made it removes it.
    pub(super) scratch: &'s Scratch,
    /// What came back before it.
    pub(super) neighbours: Neighbours,
}

/// Drills a domain in a scratch folder; report and memory are kept in the drill host's folder.
///
/// # Errors
/// What prevents a drill; what prevents a restore is in what it gives.
pub(super) fn drill_domain(
    config: &Config,
    domain: &Domain<'_>,
    drill: DomainDrill<'_>,
) -> Result<Drilled> {
    let DomainDrill { level, unlock, key_used, scratch, neighbours } = drill;
    let home = DrillHome::open(config, domain.name)?;
    let key = keyfile::read_report_key(&home.dir.join("report.key"))?;
    let is_state = domain.name == DomainName::State;
    let plan = DrillPlan {
        level,
        sites: domain.sites(),
        domain: domain.name.word().to_owned(),
        trust: domain.trust,
        pin: home.pin()?,
        proven: home.proven(),
        unlock,
        key_used,
        durable_position: is_state.then(|| durable_position(config)).flatten(),
        lineage: None,
        clock: &SystemClock::new(),
    };
    let drilled = run_plan(config, &home, plan, &key, (scratch, neighbours))?;
    home.keep(config, &drilled)?;
    Ok(drilled)
}

/// Brings back what the domain holds, into scratch.
fn run_plan(
    config: &Config,
    home: &DrillHome,
    plan: DrillPlan<'_>,
    key: &SigningKey,
    (scratch, neighbours): (&Scratch, Neighbours),
) -> Result<Drilled> {
    if home.name == DomainName::Network {
        let mut network = NetworkDrill {
            config,
            scratch: scratch.path().to_path_buf(),
            scratch_kind: scratch.kind(),
        };
        return Ok(drill_without_venue(plan, key, &mut network));
    }
    // The scratch journal is thrown away, so its identity is nobody's.
    let nobody = JournalIdentity { cluster_id: [0; 16], lineage: [0; 16] };
    let mut sink = JournalSink::new(scratch.path(), nobody, config.journal.segment_bytes);
    let mut files = FilesDrill {
        config,
        scratch: scratch.path().to_path_buf(),
        scratch_kind: scratch.kind(),
        seen: Pin::load(&home.files_pin())?,
        pin: None,
        neighbours,
    };
    let drilled = drill_with(plan, &mut sink, key, Some(&mut files));
    if let Some(pin) = files.pin {
        pin.save(&home.files_pin())?;
    }
    Ok(drilled)
}

/// Who opens, and its public name.
fn unlock(
    domain: &Domain<'_>,
    config: &Config,
    level: Level,
    args: &DrillArgs,
) -> Result<Option<(Unlock, String)>> {
    if matches!(level, Level::D1 | Level::D2) {
        return Ok(None);
    }
    if domain.name == DomainName::Network {
        return network::drill_unlock(domain, config, level, args).map(Some);
    }
    let own = (level == Level::D3).then_some(config.drill.identity_file.as_path());
    let identity = args.identity.as_deref().or(own);
    let unlock = evidence::unlock(identity, &args.quorum, DecryptionPurpose::Drill)?;
    unlock.map(Some).ok_or_else(|| {
        Report::new(
            Exit::Usage,
            "D4 proves a restore with the recovery identity, or its quorum: name it",
        )
        .safe("nothing was started")
        .next("evenkeel drill --level D4 --identity recovery-identity.txt")
        .next("evenkeel drill --level D4 --quorum DIR --table DIR   (after keys group ask)")
    })
}

/// How far the host is, if it runs and can be asked from here.
fn durable_position(config: &Config) -> Option<u64> {
    let answer = control::ask(&config.control_socket(), &Request::new("status"), ASK_TIMEOUT);
    let answer = answer.ok().flatten()?;
    answer.get("journal")?.get("durable_position")?.as_u64()
}

/// The drill host's folder: scratch, pin and history.
struct DrillHome {
    dir: PathBuf,
    name: DomainName,
}

impl DrillHome {
    fn open(config: &Config, name: DomainName) -> Result<Self> {
        let dir = config.drill.home.clone();
        let history = dir.join("drills");
        std::fs::create_dir_all(&history)
            .map_err(|error| Report::io("make the drill history", &history, &error))?;
        Ok(Self { dir, name })
    }

    /// The last recovery point that a drill here has proven.
    fn proven(&self) -> Option<String> {
        std::fs::read_to_string(self.dir.join(self.name.file(PROVEN))).ok()
    }

    fn pin(&self) -> Result<Option<Pin>> {
        Pin::load(&self.pin_file()).map_err(Report::from)
    }

    /// The newest record of the domain seen here.
    fn pin_file(&self) -> PathBuf {
        self.dir.join(self.name.pin())
    }

    /// The newest record of files seen here.
    fn files_pin(&self) -> PathBuf {
        self.dir.join("files.pin")
    }

    /// Keeps the report, lets the oldest go, and remembers the newest record seen.
    fn keep(&self, config: &Config, drilled: &Drilled) -> Result<()> {
        let report = &drilled.report.report;
        keep_report(&self.dir.join("drills"), config.drill.history_keep, &drilled.report)?;
        if report.level >= Level::D3 && report.verdict() == Verdict::Ok {
            let (path, part) =
                (self.dir.join(self.name.file(PROVEN)), self.dir.join("proven.part"));
            std::fs::write(&part, &report.point.0)
                .and_then(|()| std::fs::rename(&part, &path))
                .map_err(|error| Report::io("remember the proven point", &path, &error))?;
        }
        let failed = report
            .checks
            .iter()
            .any(|check| check.name == Text::from("freshness") && check.verdict == Verdict::Failed);
        match drilled.pin {
            // A rolled-back history must not replace the memory of the newer one.
            Some(pin) if !failed => pin.save(&self.pin_file()).map_err(Report::from),
            _ => Ok(()),
        }
    }
}

/// Keeps a report, and lets the oldest go.
///
/// # Errors
/// Whatever the system says.
pub(crate) fn keep_report(history: &Path, keep: u32, signed: &SignedReport) -> Result<()> {
    keep_bytes(history, keep, (signed.report.started_ns, REPORT_EXTENSION), &signed.to_bytes())
}

/// As [`keep_report`], a report of everything: `drills/<start>.everything`.
///
/// # Errors
/// Whatever the system says.
pub(super) fn keep_everything(home: &Path, keep: u32, signed: &SignedEverything) -> Result<()> {
    let named = (signed.report.started_ns, EVERYTHING_EXTENSION);
    keep_bytes(&home.join("drills"), keep, named, &signed.to_bytes())
}

fn keep_bytes(
    history: &Path,
    keep: u32,
    (started_ns, extension): (u64, &str),
    bytes: &[u8],
) -> Result<()> {
    let name = format!("{started_ns:020}.{extension}");
    let (path, part) = (history.join(&name), history.join(format!("{name}.part")));
    std::fs::create_dir_all(history)
        .and_then(|()| std::fs::write(&part, bytes))
        .and_then(|()| std::fs::rename(&part, &path))
        .map_err(|error| Report::io("keep the drill report", &path, &error))?;
    let mut all = files_of(history, &[extension]);
    let excess = all.len().saturating_sub(keep.max(1) as usize);
    for old in all.drain(..excess) {
        // The next drill tries again.
        let _ = std::fs::remove_file(old);
    }
    Ok(())
}

/// The reports of a history, those of everything among them, oldest first.
pub(super) fn report_files(history: &Path) -> Vec<PathBuf> {
    files_of(history, &[REPORT_EXTENSION, EVERYTHING_EXTENSION])
}

fn files_of(history: &Path, extensions: &[&str]) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(history).into_iter().flatten().flatten();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    let is_one = |path: &PathBuf| {
        let extension = path.extension().and_then(|extension| extension.to_str());
        extension.is_some_and(|extension| extensions.contains(&extension))
    };
    paths.retain(is_one);
    paths.sort();
    paths
}

/// The drill host's history, oldest first; reports that are not genuine are left out.
pub(crate) fn history(config: &Config) -> Vec<DrillDocument> {
    let files = files_of(&config.drill.home.join("drills"), &[REPORT_EXTENSION]);
    let reports = files.iter().filter_map(|path| read_report(&std::fs::read(path).ok()?));
    reports.map(|report| document(&report)).collect()
}

/// A report as a document.
pub(crate) fn document(signed: &SignedReport) -> DrillDocument {
    let signature = format!("{}:{}", hex(&signed.signer), hex(&signed.signature));
    DrillDocument { signature: Some(signature), ..unsigned_document(&signed.report) }
}

/// A report that nobody signed, as a document.
pub(crate) fn unsigned_document(report: &DrillReport) -> DrillDocument {
    let texts = |texts: &[Text]| texts.iter().map(|text| text.0.clone()).collect();
    DrillDocument {
        domain: domain_of(report).word().to_owned(),
        result: outcome(report.verdict()),
        level: level_name(report.level),
        key_used: report.key_used.0.clone(),
        recovery_point: report.point.0.clone(),
        position: report.position,
        entries_replayed: report.entries_replayed,
        rto_seconds: report.rto_ns.map(seconds),
        rpo_entries: report.rpo_entries,
        rpo_seconds: report.rpo_ns.map(seconds),
        sites_used: texts(&report.sites_used),
        sites_missing: report
            .sites_missing
            .iter()
            .map(|text| site_name(&text.0).to_owned())
            .collect(),
        checks: report
            .checks
            .iter()
            .map(|check| CheckDocument {
                name: check.name.0.clone(),
                result: outcome(check.verdict),
                detail: check.detail.0.clone(),
            })
            .collect(),
        id: format!("{:020}", report.started_ns),
        time: format_time_ns(report.started_ns),
        bytes_read: report.bytes_read,
        state_root: report.state_root.map(|hash| hex(&hash)),
        journal_root: report.journal_root.map(|hash| hex(&hash)),
        output_digest: report.output_digest.map(|hash| hex(&hash)),
        phases: report
            .phases
            .iter()
            .map(|phase| PhaseDocument {
                name: phase.name.0.clone(),
                seconds: seconds(phase.elapsed_ns),
            })
            .collect(),
        sources: report.sources.iter().map(source_document).collect(),
        within_objectives: report.is_within_objectives(),
        signature: None,
    }
}

/// A report of the network alone has its source alone; the format says nothing else of it.
fn domain_of(report: &DrillReport) -> DomainName {
    match report.sources.as_slice() {
        [one] if one.kind.0 == SourceKind::Network.word() => DomainName::Network,
        _ => DomainName::State,
    }
}

pub(super) fn source_document(source: &SourceProof) -> SourceProofDocument {
    SourceProofDocument {
        name: source.name.0.clone(),
        kind: source.kind.0.clone(),
        result: outcome(source.verdict),
        recovery_point: source.point.0.clone(),
        until_time: source.until_ns.map(format_time_ns),
        rpo_seconds: source.rpo_ns.map(seconds),
        rpo_target_seconds: source.rpo_target_ns.map(seconds),
        rto_seconds: source.rto_ns.map(seconds),
        rto_target_seconds: source.rto_target_ns.map(seconds),
        within_objectives: source.is_within_objectives(),
    }
}

pub(super) fn outcome(verdict: Verdict) -> Outcome {
    match verdict {
        Verdict::Ok => Outcome::Ok,
        Verdict::Failed => Outcome::Failed,
        Verdict::Unproven => Outcome::Unproven,
        Verdict::NotConfigured => Outcome::NotConfigured,
    }
}

fn level_name(level: Level) -> DrillLevel {
    match level {
        Level::D1 => DrillLevel::D1,
        Level::D2 => DrillLevel::D2,
        Level::D3 => DrillLevel::D3,
        Level::D4 => DrillLevel::D4,
    }
}

#[expect(clippy::cast_precision_loss, reason = "durations for people and plots")]
pub(crate) fn seconds(ns: u64) -> f64 {
    ns as f64 / 1e9
}

fn exit_of(document: &DrillDocument) -> Exit {
    match document.result {
        Outcome::Ok => Exit::Ok,
        Outcome::Unproven | Outcome::NotConfigured => Exit::Partial,
        Outcome::Failed => Exit::Integrity,
    }
}

pub(super) fn words(document: &DrillDocument) -> String {
    let (level, result) = (document.level.word(), document.result.word());
    let from = match document.recovery_point.as_str() {
        "" => "nothing",
        point => point,
    };
    let what = match document.level {
        // Brought back and opened, not restored.
        DrillLevel::D2 => format!("the {}, up to point {from}", document.key_used),
        _ if document.domain == DomainName::Network.word() => {
            format!("version {} of the network restored from {from}", document.position)
        }
        _ => format!("position {} restored from {from}", document.position),
    };
    let mut lines = vec![format!("drill {level} {result}: {what}")];
    if let Some(rto) = document.rto_seconds {
        let replayed = document.entries_replayed;
        lines.push(format!("  RTO {rto:.3} s (snapshot, then {replayed} entries)"));
    }
    if let (Some(entries), Some(age)) = (document.rpo_entries, document.rpo_seconds) {
        lines.push(format!("  RPO {entries} entries; newest restored data {age:.1} s old"));
    }
    lines.extend(document.sources.iter().filter(|source| source.kind != "venue").map(source_words));
    for check in &document.checks {
        lines.push(format!("  {:<16} {:<15} {}", check.name, check.result.word(), check.detail));
    }
    if !document.sites_missing.is_empty() {
        lines.push(format!("  sites missing: {}", document.sites_missing.join(", ")));
    }
    lines.join("\n")
}

/// What a source's times are, beside what is promised.
pub(super) fn source_words(source: &SourceProofDocument) -> String {
    let time = |found: Option<f64>, target: Option<f64>| match (found, target) {
        (None, _) => "unknown".to_owned(),
        (Some(found), None) => format!("{found:.1} s"),
        (Some(found), Some(target)) if found > target => {
            format!("{found:.1} s, more than the {target:.0} s promised")
        }
        (Some(found), Some(target)) => format!("{found:.1} s of {target:.0} s"),
    };
    format!(
        "  {:<16} {:<15} RPO {}, RTO {}",
        source.name,
        source.result.word(),
        time(source.rpo_seconds, source.rpo_target_seconds),
        time(source.rto_seconds, source.rto_target_seconds),
    )
}
