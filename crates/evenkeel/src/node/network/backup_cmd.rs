//! `evenkeel network backup`: a version, now.

use std::fs::File;
use std::io::Read;
use std::time::Duration;

use evenkeel_capture::network::{Health, Verdict};
use evenkeel_recovery::Clock as _;
use evenkeel_vault::{PointHead, Root};

use super::super::clock::SystemClock;
use super::super::domain::Domain;
use super::super::files::{Keys, WriterHome, open_writer};
use super::opened::{document_hash, versions};
use super::records::{DRILLS_PREFIX, RECORD_PREFIX, Records, hash_of, signed_hash};
use super::source::Source;
use super::{DOCUMENT_ROOT, DOCUMENT_SOURCE, HEALTH_ROOT, HEALTH_SOURCE, LOG_PREFIX, RECORDS_ROOT};
use crate::cli::{NetworkBackupArgs, format_time_ns};
use crate::config::Config;
use crate::documents::NetworkBackupDocument;
use crate::keyfile::hex;
use crate::output;
use crate::report::{Exit, Report, Result};

/// Most of an indexer's log that a version keeps: its end says what is needed.
const LOG_BYTES_MAX: u64 = 64 << 20;

/// Runs the command.
pub(super) fn run(args: &NetworkBackupArgs) -> Result<Exit> {
    let config = args.place.load()?;
    let document = make(&config)?;
    if args.json {
        output::document(&document)?;
    } else {
        print(&document)?;
    }
    Ok(if document.problems.is_empty() { Exit::Ok } else { Exit::Partial })
}

/// Makes one version.
///
/// # Errors
/// Whatever prevents it; then there is none.
pub(super) fn make(config: &Config) -> Result<NetworkBackupDocument> {
    config.refuse()?;
    let source = Source::configured(config)?;
    let domain = Domain::network(config)?;
    let home = WriterHome::open(&config.network_dir())?;
    let health = source.measure(Duration::from_secs(config.network.timeout_seconds));
    make_of(config, &domain, &home, &source, &health)
}

/// Makes a version of what was measured already.
pub(super) fn make_of(
    config: &Config,
    domain: &Domain<'_>,
    home: &WriterHome,
    source: &Source,
    health: &Health,
) -> Result<NetworkBackupDocument> {
    let hash = source.hash()?;
    let records = Records::read(&source.document);
    let records_hash = hash_of(&records.kept);
    let before = match domain.catalog(None) {
        Ok(catalog) => versions(&catalog)
            .last()
            .and_then(|point| Some((document_hash(point)?, signed_hash(point)))),
        Err(error) if error.exit() == Exit::NothingYet => None,
        Err(error) => return Err(error),
    };
    let mut writer = open_writer(config, domain, home, &Keys::of_domain(domain.settings))?;
    let time_ns = SystemClock::new().wall_ns();
    let measured = serde_json::to_vec(health)
        .map_err(|error| Report::new(Exit::Failed, format!("cannot write JSON: {error}")))?;
    let (mut logs, mut problems) = open_logs(source, health);
    problems.extend(records.problems());
    let mut kept = records_as_sources(&records);
    let (mut text, mut bytes) = (source.text.as_bytes(), measured.as_slice());
    let mut sources: Vec<(String, &mut dyn Read)> =
        vec![(DOCUMENT_SOURCE.to_owned(), &mut text), (HEALTH_SOURCE.to_owned(), &mut bytes)];
    for (name, log) in &mut logs {
        sources.push((format!("{LOG_PREFIX}{name}"), log));
    }
    for (name, bytes) in &mut kept {
        sources.push((name.clone(), bytes));
    }
    let sealed = writer.begin_point(time_ns, false)?.seal(&mut sources)?;
    let root = |name: &str, hash| Root { name: name.to_owned(), hash };
    let head = PointHead {
        position: writer.point_position().map_or(1, |last| last.saturating_add(1)),
        time_ns,
        roots: [
            Some(root(DOCUMENT_ROOT, hash)),
            Some(root(HEALTH_ROOT, *blake3::hash(&measured).as_bytes())),
            records_hash.map(|hash| root(RECORDS_ROOT, hash)),
        ]
        .into_iter()
        .flatten()
        .collect(),
    };
    let point = writer.finish_point(&head, &sealed)?;
    let usable = health.endpoints.iter().filter(|it| it.verdict == Verdict::Usable).count();
    let count = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
    Ok(NetworkBackupDocument {
        recovery_point: point.id.to_string(),
        version: head.position,
        time: format_time_ns(time_ns),
        document_hash: hex(&hash),
        changed: before != Some((hash, records_hash)),
        endpoints_usable: count(usable),
        endpoints: count(health.endpoints.len()),
        logs: count(logs.len()),
        records: count(records.kept.len()),
        bytes_added: point.shipped.bytes,
        margin: point.margin,
        sites_missing: point.shipped.sites_failed.iter().map(|(name, _)| name.clone()).collect(),
        problems,
    })
}

/// Records of keys, and what of their logs of drills proves something.
fn records_as_sources(records: &Records) -> Vec<(String, &[u8])> {
    let mut sources = Vec::new();
    for one in &records.kept {
        sources.push((format!("{RECORD_PREFIX}{}", one.name), one.text.as_bytes()));
        if !one.drills.is_empty() {
            sources.push((format!("{DRILLS_PREFIX}{}", one.name), one.drills.as_bytes()));
        }
    }
    sources
}

type Log = (String, std::io::Take<File>);

/// The logs of indexers, and what of indexers cannot be read.
fn open_logs(source: &Source, health: &Health) -> (Vec<Log>, Vec<String>) {
    let mut problems: Vec<String> = health
        .cursors
        .iter()
        .filter_map(|cursor| Some(format!("cursor of {}: {}", cursor.name, cursor.error.as_ref()?)))
        .collect();
    let mut logs = Vec::new();
    for indexer in &source.document.indexers {
        let Some(file) = &indexer.log_file else { continue };
        match open_end(file) {
            Ok(log) => logs.push((indexer.name.clone(), log)),
            Err(error) => problems.push(format!(
                "log of {}: {}: {}",
                indexer.name,
                file.display(),
                crate::report::plain(&error)
            )),
        }
    }
    (logs, problems)
}

fn open_end(file: &std::path::Path) -> std::io::Result<std::io::Take<File>> {
    use std::io::{Seek as _, SeekFrom};
    let mut open = File::open(file)?;
    let about = open.metadata()?;
    if !about.is_file() {
        return Err(std::io::Error::other("is no file"));
    }
    open.seek(SeekFrom::Start(about.len().saturating_sub(LOG_BYTES_MAX)))?;
    // What is written meanwhile comes with the next version.
    Ok(open.take(about.len().min(LOG_BYTES_MAX)))
}

/// The result for people.
pub(super) fn print(document: &NetworkBackupDocument) -> Result<()> {
    let mut results = output::Results::new();
    let what = if document.changed { "a new document" } else { "the same document" };
    results.line(&format!(
        "version {} of {what}, {}; {} of {} endpoints are usable now",
        document.version, document.recovery_point, document.endpoints_usable, document.endpoints
    ))?;
    results.line(&format!("  {} more sites may be lost", document.margin))?;
    results.finish()?;
    for problem in &document.problems {
        output::note(&format!("not in it: {problem}"));
    }
    if !document.sites_missing.is_empty() {
        output::note(&format!("not at {}", document.sites_missing.join(", ")));
    }
    Ok(())
}
