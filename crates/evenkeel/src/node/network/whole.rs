//! The network's part of a drill of everything: the newest version from a kit, measured now.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use evenkeel_capture::network::{Document, Health, Verdict as Serves};
use evenkeel_recovery::report::{Check, Verdict};
use evenkeel_recovery::{Clock as _, Part, SourceProof};
use evenkeel_vault::{Freshness, Identity, Opener, Pin};

use super::super::clock::SystemClock;
use super::super::domain::Domain;
use super::opened::{Version, find};
use super::restore_cmd::write_measured;
use super::source::{absolute, measure};
use crate::config::{Config, DomainName};
use crate::documents::RestoredCursorDocument;
use crate::report::Result;

/// What came back, and what was measured.
pub(in super::super) struct WholeNetwork {
    pub(in super::super) document: Document,
    pub(in super::super) health: Health,
}

/// Brings the newest version back into `to`, and tells `part` what was found.
pub(in super::super) fn drill_whole(
    config: &Config,
    identity: Identity,
    to: &Path,
    offline: bool,
    part: &mut Part,
) -> Result<WholeNetwork> {
    let (begun, now_ns) = (Instant::now(), SystemClock::new().wall_ns());
    let pin_file = config.drill.home.join(DomainName::Network.pin());
    let domain = Domain::network(config)?;
    let catalog = Arc::new(domain.catalog(Pin::load(&pin_file)?)?);
    part.sites_missing = catalog.unreachable().into_iter().map(Into::into).collect();
    let freshness = freshness(catalog.freshness());
    part.freshness = freshness.detail.clone();
    let is_rolled_back = freshness.verdict == Verdict::Failed;
    part.checks.push(freshness);
    let opener = Opener::new(Arc::clone(&catalog), identity)?;
    let version = Version::open(&opener, find(&catalog, None, None)?)?;
    let point = &version.point;
    part.point = point.id.to_string().into();
    part.detail = format!("version {} came back", point.position).into();
    part.checks.push(Check::new(
        "document",
        Verdict::Ok,
        format!("version {}: the document is the one whose hash was signed", point.position),
    ));
    let folder = config.home();
    let health = match offline {
        true => version.health.clone(),
        false => {
            let patience = Duration::from_secs(config.network.timeout_seconds);
            let mut now = measure(&absolute(version.document.clone(), folder), patience);
            // Cursors are what was captured; whatever lies here now is not asked for.
            now.cursors.clone_from(&version.health.cursors);
            now
        }
    };
    let (files, cursors) = write_measured(&opener, &version, &health, offline, to)?;
    part.checks.push(Check::new("files", Verdict::Ok, format!("{files} files written")));
    part.checks.extend(quarantined(&health, offline));
    part.checks.extend(of_cursors(&cursors));
    let seen = opener.seen();
    part.sites_used = seen.sites_used.into_iter().map(Into::into).collect();
    let age_ns = now_ns.saturating_sub(point.time_ns);
    let rto_ns = u64::try_from(begun.elapsed().as_nanos()).unwrap_or(u64::MAX);
    (part.rpo_ns, part.rto_ns) = (Some(age_ns), Some(rto_ns));
    part.sources.push(SourceProof {
        verdict: evenkeel_recovery::worst(part.checks.iter().map(|check| check.verdict)),
        point: part.point.clone(),
        until_ns: Some(point.time_ns),
        rpo_ns: Some(age_ns),
        rto_ns: Some(rto_ns),
        ..SourceProof::unproven("network", "network")
    });
    // A rolled-back history must not replace the memory of the newer one.
    if let Some(pin) = catalog.pin(point.id.lineage).filter(|_| !is_rolled_back) {
        pin.save(&pin_file)?;
    }
    Ok(WholeNetwork { document: version.document, health })
}

fn freshness(found: &Freshness) -> Check {
    let name = "freshness";
    match found {
        Freshness::Proven { pinned } => {
            let detail = format!("the sites show at least record {pinned}, seen before");
            Check::new(name, Verdict::Ok, detail)
        }
        Freshness::Unproven { why } => {
            Check::new(name, Verdict::NotConfigured, format!("freshness unproven: {why}"))
        }
        Freshness::RolledBack { pinned, found, .. } => {
            let detail = format!("rolled back: record {pinned} was seen, now {found}");
            Check::new(name, Verdict::Failed, detail)
        }
        Freshness::Contradicted { counter, .. } => {
            let detail = format!("record {counter} is another than was seen before");
            Check::new(name, Verdict::Failed, detail)
        }
    }
}

/// Whoever must not be used is told, and fails the part: a poisoned document would be traded with.
fn quarantined(health: &Health, offline: bool) -> Option<Check> {
    let barred = health.endpoints.iter().filter(|it| it.verdict == Serves::Quarantined);
    let told: Vec<String> = barred
        .map(|it| {
            let why: Vec<String> = it.faults.iter().map(ToString::to_string).collect();
            format!("{}: {}", it.name, why.join("; "))
        })
        .collect();
    let name = "quarantine";
    match (told.is_empty(), offline) {
        (true, true) => None,
        (true, false) => Some(Check::new(name, Verdict::Ok, "no endpoint has to be kept out")),
        (false, _) => {
            let detail = format!("must not be used, and is in no list: {}", told.join(", "));
            Some(Check::new(name, Verdict::Failed, detail))
        }
    }
}

fn of_cursors(cursors: &[RestoredCursorDocument]) -> Option<Check> {
    let told: Vec<String> =
        cursors.iter().map(|cursor| format!("{}: {}", cursor.name, cursor.detail)).collect();
    let verdict = match cursors.iter().all(|cursor| cursor.restored.is_some()) {
        true => Verdict::Ok,
        false => Verdict::Unproven,
    };
    (!told.is_empty()).then(|| Check::new("cursors", verdict, told.join(", ")))
}
