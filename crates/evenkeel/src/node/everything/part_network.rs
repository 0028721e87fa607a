//! The network: a D4 drill of its newest version, which is measured now.

use std::path::PathBuf;
use std::time::Instant;

use evenkeel_recovery::report::Verdict;
use evenkeel_recovery::{Part, worst};

use super::kits::{DomainKit, Kits};
use super::part_keys::Held;
use super::{Found, nanos, nobody_opens, opens};
use crate::cli::{DrillEverythingArgs, EverythingPart};
use crate::node::domain::Domain;
use crate::node::drill_checks::{Neighbours, Scratch};
use crate::node::kit;
use crate::node::network::{WholeNetwork, measure_whole};
use crate::report::Result;

/// What came back of the network.
pub(super) struct Network {
    pub(super) found: Found,
    /// The document and what was measured, where it came back.
    pub(super) whole: Option<WholeNetwork>,
    /// Where it lies.
    pub(super) folder: Option<PathBuf>,
}

/// Brings it back in `scratch`.
pub(super) fn drill(
    kits: &Kits,
    args: &DrillEverythingArgs,
    held: &[Held],
    scratch: &Scratch,
) -> Network {
    let nothing = |found: Found| Network { found, whole: None, folder: None };
    let Some(kit) = &kits.network else {
        let why = "no kit of the network was given";
        return nothing(Found::absent(EverythingPart::Network, args, why));
    };
    let mut part = Part::unproven("network", "");
    part.kit = kit::used_words(&kit.file).into();
    let recipients = kit.recipients();
    let Some(opener) = opens(&recipients, held) else {
        return nothing(nobody_opens(part, &recipients, &kits.strangers(held)));
    };
    part.opened_by = opener.by.as_str().into();
    match run(kit, opener, args.offline, scratch, part.clone()) {
        Ok(network) => network,
        Err(report) => nothing(Found::broken(part, report)),
    }
}

fn run(
    kit: &DomainKit,
    opener: &Held,
    offline: bool,
    scratch: &Scratch,
    part: Part,
) -> Result<Network> {
    let begun = Instant::now();
    let domain = Domain::network(&kit.config)?;
    let unlock = opener.identity.clone().into();
    let (mut found, _) =
        kit.drill(&domain, unlock, &opener.by, (scratch, Neighbours::default()), part)?;
    if found.error.is_some() || found.part.point.0.is_empty() {
        return Ok(Network { found, whole: None, folder: None });
    }
    let folder = scratch.path().join("network");
    let whole = match measure_whole(&kit.config, opener.identity.clone(), &folder, offline) {
        Ok(whole) => whole,
        Err(report) => {
            let found = Found::broken(found.part, report);
            return Ok(Network { found, whole: None, folder: None });
        }
    };
    let part = &mut found.part;
    part.checks.extend(whole.checks.iter().cloned());
    part.verdict = worst(part.checks.iter().map(|check| check.verdict));
    part.exit_code = match part.verdict {
        Verdict::Ok => 0,
        Verdict::Failed => 20,
        Verdict::Unproven | Verdict::NotConfigured => 3,
    };
    part.rto_ns = Some(nanos(begun.elapsed()));
    part.detail = match part.checks.iter().find(|check| check.verdict == Verdict::Failed) {
        Some(check) => format!("{}: {}", check.name, check.detail).into(),
        None => format!("version {} came back", whole.version).into(),
    };
    Ok(Network { found, whole: Some(whole), folder: Some(folder) })
}
