//! The state: a D4 drill of the venue, files and databases, with whatever opens them.

use std::path::Path;

use evenkeel_recovery::report::{Check, Verdict};
use evenkeel_recovery::{DrillReport, Level, Part};
use evenkeel_types::merkle::Hash;
use evenkeel_vault::Unlock;

use super::kits::{DomainKit, Kits};
use super::part_keys::Keys;
use super::part_network::Network;
use super::{Found, nobody_opens, opens};
use crate::cli::{DrillEverythingArgs, EverythingPart};
use crate::documents::DrillDocument;
use crate::node::domain::Domain;
use crate::node::drill_checks::{Neighbours, Scratch};
use crate::node::drill_cmd::{self, DomainDrill};
use crate::node::kit;
use crate::report::{Report, Result};

/// What came back of the state.
pub(super) struct State {
    pub(super) found: Found,
    /// The state root of the venue that was recomputed, if there is one.
    pub(super) state_root: Option<Hash>,
    /// As the drill of the state alone is reported.
    pub(super) document: Option<DrillDocument>,
}

/// Brings it back in `scratch`.
pub(super) fn drill(
    kits: &Kits,
    args: &DrillEverythingArgs,
    keys: &Keys,
    network: &Network,
    scratch: &Scratch,
) -> State {
    let nothing = |found: Found| State { found, state_root: None, document: None };
    let Some(kit) = &kits.state else {
        let why = "no kit of the state was given";
        return nothing(Found::absent(EverythingPart::State, args, why));
    };
    let mut part = Part::unproven("state", "");
    part.kit = kit::used_words(&kit.file).into();
    let recipients = kit.recipients();
    let (unlock, by) = match (&keys.quorum, opens(&recipients, &keys.held)) {
        (Some((quorum, named)), _) => (quorum.clone(), named.clone()),
        (None, Some(held)) => (held.identity.clone().into(), held.by.clone()),
        (None, None) => {
            return nothing(nobody_opens(part, &recipients, &kits.strangers(&keys.held)));
        }
    };
    part.opened_by = by.as_str().into();
    let neighbours = Neighbours {
        network: network.folder.clone(),
        keys: (!keys.records.is_empty()).then(|| scratch.path().join("keys")),
    };
    match run(kit, unlock, &by, scratch, neighbours) {
        Ok((report, error, document)) => {
            let state_root = report.state_root;
            let found = of_report(part, report, error);
            State { found, state_root, document: Some(document) }
        }
        Err(report) => nothing(Found::broken(part, report)),
    }
}

fn run(
    kit: &DomainKit,
    unlock: Unlock,
    by: &str,
    scratch: &Scratch,
    neighbours: Neighbours,
) -> Result<(DrillReport, Option<Report>, DrillDocument)> {
    let key_used = format!("{by}, {}", kit::used_words(&kit.file));
    let (level, unlock) = (Level::D4, Some(unlock));
    let drill = DomainDrill { level, unlock, key_used, scratch, neighbours };
    let drilled = drill_cmd::drill_domain(&kit.config, &Domain::of(&kit.config)?, drill)?;
    let document = drill_cmd::document(&drilled.report);
    Ok((drilled.report.report, drilled.error.map(Report::from), document))
}

fn of_report(part: Part, report: DrillReport, error: Option<Report>) -> Found {
    let verdict = report.verdict();
    let said = |name: &str| report.checks.iter().find(|check| check.name.0 == name);
    let freshness: Vec<String> = ["freshness", "files_freshness"]
        .into_iter()
        .filter_map(said)
        .map(|check| check.detail.0.clone())
        .collect();
    let exit_code = match (&error, verdict) {
        (Some(error), _) => error.exit().code(),
        (None, Verdict::Ok) => 0,
        (None, Verdict::Failed) => 20,
        (None, _) => 3,
    };
    let detail = match (&error, first_failed(&report.checks)) {
        (Some(error), _) => error.message().to_owned(),
        (None, Some(check)) => format!("{}: {}", check.name, check.detail),
        (None, None) => format!("{} sources came back", report.sources.len()),
    };
    let part = Part {
        verdict,
        detail: detail.into(),
        exit_code,
        point: report.point,
        freshness: freshness.join("; ").into(),
        rpo_ns: report.rpo_ns,
        rto_ns: report.rto_ns,
        sites_used: report.sites_used,
        sites_missing: report.sites_missing,
        sources: report.sources,
        checks: report.checks,
        ..part
    };
    Found { part, error }
}

fn first_failed(checks: &[Check]) -> Option<&Check> {
    checks.iter().find(|check| check.verdict == Verdict::Failed)
}

/// Whether a path of the protected machine is among what came back.
pub(super) fn is_there(scratch: &Path, path: &str) -> bool {
    let below = |root: &str| scratch.join(root).join(path.strip_prefix('/').unwrap_or(path));
    ["files", "databases"].iter().any(|root| below(root).symlink_metadata().is_ok())
}
