//! The network: the newest version comes back from a kit, and is measured now.

use std::path::{Path, PathBuf};

use evenkeel_recovery::Part;
use evenkeel_recovery::report::Verdict;

use super::kits::Kits;
use super::part_keys::Held;
use super::{Found, nobody_opens, opens};
use crate::cli::{DrillEverythingArgs, EverythingPart};
use crate::node::kit;
use crate::node::network::{WholeNetwork, drill_whole};

/// What came back of the network.
pub(super) struct Network {
    pub(super) found: Found,
    /// The document and what was measured, where it came back.
    pub(super) whole: Option<WholeNetwork>,
    /// Where it lies.
    pub(super) folder: Option<PathBuf>,
}

/// Brings it back below `scratch`.
pub(super) fn drill(
    kits: &Kits,
    args: &DrillEverythingArgs,
    held: &[Held],
    scratch: &Path,
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
    let folder = scratch.join("network");
    match drill_whole(&kit.config, opener.identity.clone(), &folder, args.offline, &mut part) {
        Ok(whole) => {
            part.verdict = evenkeel_recovery::worst(part.checks.iter().map(|one| one.verdict));
            part.exit_code = match part.verdict {
                Verdict::Ok => 0,
                Verdict::Failed => 20,
                Verdict::Unproven | Verdict::NotConfigured => 3,
            };
            let found = Found { part, error: None };
            Network { found, whole: Some(whole), folder: Some(folder) }
        }
        Err(report) => nothing(Found::broken(part, report)),
    }
}
