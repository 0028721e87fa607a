//! `evenkeel status`: asks the running daemon; without one, reads the folder at rest and the sites.

use std::sync::Arc;
use std::time::Duration;

use evenkeel_journal::{RealDisk, verify};
use evenkeel_recovery::Clock as _;

use super::clock::SystemClock;
use super::desk::{FILES, Sources};
use super::domain::Domain;
use super::drill_cmd::history;
use super::observed::all_point_documents;
use super::postgres::note_sources;
use super::status::{age_seconds, drill_summaries, folder_bytes};
use crate::cli::{StatusArgs, format_time_ns, parse_time_ns};
use crate::config::{Config, VenueSource};
use crate::control::{self, Request};
use crate::documents::{
    ErasureDocument, JournalDocument, LatestPointDocument, ModeName, PointDocument, PointKind,
    PointsSummaryDocument, ProtectedDocument, SiteDocument, SiteState, StatusDocument,
    TailDocument,
};
use crate::keyfile::hex;
use crate::output;
use crate::report::{Exit, Report, Result};

const ASK_TIMEOUT: Duration = Duration::from_secs(5);

/// Runs the command.
pub(crate) fn run(args: &StatusArgs) -> Result<Exit> {
    let config = args.place.load()?;
    let answer = control::ask(&config.control_socket(), &Request::new("status"), ASK_TIMEOUT)?;
    let mut document = match answer {
        Some(answer) => as_shown(answer)?,
        None => at_rest(&config)?,
    };
    if !document.running {
        document.conditions.extend(super::network::key_conditions(&config));
    }
    document.conditions.extend(super::recipients::conditions(&config));
    document.conditions.extend(super::kit::conditions(&config));
    if args.json {
        output::document(&document)?;
    } else {
        output::result(&words(&document))?;
    }
    Ok(Exit::Ok)
}

/// The daemon's answer with the findings that the dashboard shows as well.
fn as_shown(answer: serde_json::Value) -> Result<StatusDocument> {
    let mut document: StatusDocument = serde_json::from_value(answer).map_err(|error| {
        Report::new(Exit::Failed, format!("the daemon's answer cannot be read: {error}"))
    })?;
    document.conditions = crate::dashboard::conditions(&document);
    Ok(document)
}

/// What can be known while no daemon runs.
fn at_rest(config: &Config) -> Result<StatusDocument> {
    let domain = Domain::of(config)?;
    let now_ns = SystemClock::new().wall_ns();
    let mut document = StatusDocument {
        time: format_time_ns(now_ns),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        home: config.home().display().to_string(),
        demonstration: config.venue.source == VenueSource::Demo,
        domain: super::domain::STATE.to_owned(),
        mode: ModeName::Starting,
        mode_cause: Some("no daemon runs".to_owned()),
        erasure: ErasureDocument {
            data_shards: domain.layout.k() as u64,
            total_shards: domain.layout.n() as u64,
        },
        ..StatusDocument::default()
    };
    let dir = config.journal_dir();
    if dir.exists() {
        let report = verify(Arc::new(RealDisk).as_ref(), &dir)?;
        document.journal = JournalDocument {
            position: report.next,
            durable_position: report.next,
            term: report.term,
            bytes: folder_bytes(&dir),
            journal_root: report.root.map(|root| hex(&root)),
            ..JournalDocument::default()
        };
    }
    if let Ok(catalog) = domain.catalog(None) {
        let lineage = catalog.current_lineage();
        document.lineage = lineage.map(|lineage| lineage.to_string()).unwrap_or_default();
        let (mut points, mut files) = (all_point_documents(&catalog), Vec::new());
        points.retain(|point| match point.kind {
            PointKind::Venue => true,
            PointKind::Files => {
                files.push(point.clone());
                false
            }
            PointKind::Live | PointKind::Network => false,
        });
        let is_desk = config.venue.source == VenueSource::None;
        note_files(config, &files, &mut document.protected, now_ns);
        document.recovery_points = summary(if is_desk { files } else { points }, now_ns);
        let tail = lineage.and_then(|lineage| catalog.tails_after(lineage, None).pop());
        document.tail = TailDocument {
            shipped_position: tail.as_ref().map_or(0, |tail| tail.last + 1),
            last_shipped_time: tail.map(|tail| format_time_ns(tail.time_ns)),
            ..TailDocument::default()
        };
    }
    document.sites = sites(&domain);
    let (last, proven) = drill_summaries(&history(config), now_ns);
    (document.last_drill, document.last_proven_restore) = (last, proven);
    Ok(document)
}

/// The files' newest point, as a source.
fn note_files(
    config: &Config,
    points: &[PointDocument],
    protected: &mut Vec<ProtectedDocument>,
    now_ns: u64,
) {
    let Some(newest) = points.last() else { return };
    let sources = Sources::default();
    sources.note(FILES, |source| {
        source.target = Duration::from_secs(config.files.rpo_seconds);
        source.recovery_point = Some(newest.id.clone());
        source.complete_ns = parse_time_ns(&newest.time).ok();
        source.margin = Some(newest.margin);
    });
    note_sources(config, &sources, Some((&newest.id, newest.margin)));
    *protected = sources.documents(now_ns, &history(config));
}

fn summary(points: Vec<crate::documents::PointDocument>, now_ns: u64) -> PointsSummaryDocument {
    PointsSummaryDocument {
        count: points.len() as u64,
        margin_min: points.iter().map(|point| point.margin).min(),
        latest: points.into_iter().next_back().map(|point| LatestPointDocument {
            age_seconds: age_seconds(&point.time, now_ns),
            id: point.id,
            position: point.position,
            time: point.time,
            state_root: point.state_root,
            margin: point.margin,
        }),
    }
}

fn sites(domain: &Domain<'_>) -> Vec<SiteDocument> {
    let document = |site: &Arc<dyn evenkeel_vault::Site>| {
        let used = site.used_bytes();
        SiteDocument {
            name: site.name().to_owned(),
            location: site.location(),
            class: site.class().into(),
            state: if used.is_ok() { SiteState::Healthy } else { SiteState::Down },
            detail: used.as_ref().err().map(|error| error.detail.clone()),
            behind_seconds: None,
            bytes: used.ok(),
            objects: None,
        }
    };
    domain.sites().iter().map(document).collect()
}

/// Journal and tail; nothing of a home without a venue.
fn venue_words(status: &StatusDocument) -> Vec<String> {
    let journal = &status.journal;
    if status.role == "desk" || (!status.running && !status.demonstration) {
        return vec!["sites".to_owned()];
    }
    vec![
        format!(
            "journal   position {} (durable {}), term {}, {:.0} entries/s",
            journal.position, journal.durable_position, journal.term, journal.entries_per_second
        ),
        format!(
            "sites     everything before {}; {:.1} s and {} entries behind",
            status.tail.shipped_position, status.tail.rpo.seconds, status.tail.rpo.entries
        ),
    ]
}

fn source_words(source: &ProtectedDocument) -> String {
    let age = source.rpo_seconds.map_or_else(
        || "nothing at the sites yet".to_owned(),
        |age| format!("{age:.1} s old at the sites (promised {:.0} s)", source.rpo_target_seconds),
    );
    let margin = source.margin.map_or_else(String::new, |margin| format!(", margin {margin}"));
    let proven = source.last_proven_restore.as_ref().map_or_else(
        || "never proven".to_owned(),
        |proven| format!("proven {:.0} s ago", proven.age_seconds),
    );
    let detail =
        source.detail.as_ref().map_or_else(String::new, |why| format!("\n          {why}"));
    format!("{:<9} {}; {age}{margin}; {proven}{detail}", source.name, source.state.word())
}

fn words(status: &StatusDocument) -> String {
    let mut lines = vec![format!(
        "{}  {}  lineage {}",
        status.home,
        if status.running { status.mode.word() } else { "no daemon runs" },
        status.lineage
    )];
    lines.extend(venue_words(status));
    lines.extend(status.protected.iter().map(source_words));
    if let Some(network) = &status.network {
        let usable = network.endpoints.iter().filter(|it| it.verdict == "usable").count();
        lines.push(match network.endpoints.len() {
            0 => "network   nobody is asked".to_owned(),
            all => {
                format!("network   {usable} of {all} endpoints usable, asked at {}", network.time)
            }
        });
    }
    for site in &status.sites {
        let detail = site.detail.as_ref().map_or_else(String::new, |why| format!("  {why}"));
        let bytes = site.bytes.map_or_else(|| "-".to_owned(), |bytes| bytes.to_string());
        lines.push(format!(
            "          {:<10} {:<8} {:<8} {bytes:>12} bytes{detail}",
            site.name,
            site.class.word(),
            site.state.word()
        ));
    }
    for standby in &status.standbys {
        lines.push(format!(
            "standby   {} {}, at position {}, {} entries behind, agreed before {}",
            standby.name,
            standby.state,
            standby.position,
            standby.lag_entries,
            standby.agreed_position
        ));
    }
    lines.push(match &status.recovery_points.latest {
        Some(point) => format!(
            "points    {}; newest {} at position {}, {:.0} s old, margin {}",
            status.recovery_points.count, point.id, point.position, point.age_seconds, point.margin
        ),
        None => "points    none yet".to_owned(),
    });
    lines.push(match &status.last_proven_restore {
        Some(proven) => format!(
            "restore   last proven {:.0} s ago by {}: RTO {:.3} s",
            proven.age_seconds,
            proven.level.word(),
            proven.rto_seconds
        ),
        None => "restore   never proven yet".to_owned(),
    });
    if let Some(last) = &status.last_failover {
        lines.push(super::keeper_failover::in_words(last));
    }
    for condition in &status.conditions {
        lines.push(format!("{}: {}", condition.severity.word(), condition.message));
        lines.push(format!("  safe: {}\n  next: {}", condition.safe, condition.next));
    }
    lines.join("\n")
}
