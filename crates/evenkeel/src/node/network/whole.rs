//! The network in a drill of everything: what a drill brought back is measured now, and written
//! anew as it was measured.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use evenkeel_capture::network::{Document, Health, Verdict as Serves};
use evenkeel_recovery::report::{Check, Verdict};
use evenkeel_vault::{Identity, Opener};

use super::super::domain::Domain;
use super::opened::{Version, find};
use super::restore_cmd::write_measured;
use super::source::{absolute, measure};
use crate::config::Config;
use crate::documents::RestoredCursorDocument;
use crate::report::{Report, Result};

/// What came back, and what was measured.
pub(in super::super) struct WholeNetwork {
    pub(in super::super) document: Document,
    pub(in super::super) health: Health,
    /// The version's number.
    pub(in super::super) version: u64,
    /// What measuring found.
    pub(in super::super) checks: Vec<Check>,
}

/// Measures the newest version, and writes it into `to` in place of what a drill wrote there.
pub(in super::super) fn measure_whole(
    config: &Config,
    identity: Identity,
    to: &Path,
    offline: bool,
) -> Result<WholeNetwork> {
    let catalog = Arc::new(Domain::network(config)?.catalog(None)?);
    let opener = Opener::new(Arc::clone(&catalog), identity)?;
    let version = Version::open(&opener, find(&catalog, None, None)?)?;
    let health = match offline {
        true => version.health.clone(),
        false => {
            let patience = Duration::from_secs(config.network.timeout_seconds);
            let document = absolute(version.document.clone(), config.home());
            let mut now = measure(&document, patience);
            // Cursors are what was captured; whatever lies here now is not asked for.
            now.cursors.clone_from(&version.health.cursors);
            now
        }
    };
    fs::remove_dir_all(to).map_err(|error| Report::io("write anew", to, &error))?;
    let (files, cursors) = write_measured(&opener, &version, &health, offline, to)?;
    let mut checks = vec![Check::new("files", Verdict::Ok, format!("{files} files written"))];
    checks.extend(quarantined(&health, offline));
    checks.extend(of_cursors(&cursors));
    let number = version.point.position;
    Ok(WholeNetwork { document: version.document, health, version: number, checks })
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
