//! The state: a D4 drill of the venue, files and databases, with whatever opens them.

use std::path::Path;

use evenkeel_recovery::Part;
use evenkeel_types::merkle::Hash;

use super::kits::Kits;
use super::part_keys::Keys;
use super::part_network::Network;
use super::{Found, nobody_opens, opens};
use crate::cli::{DrillEverythingArgs, EverythingPart};
use crate::documents::DrillDocument;
use crate::node::domain::Domain;
use crate::node::drill_checks::{Neighbours, Scratch};
use crate::node::drill_cmd;
use crate::node::kit;

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
    let back = Domain::of(&kit.config)
        .and_then(|domain| kit.drill(&domain, unlock, &by, (scratch, neighbours), part.clone()));
    match back {
        Ok((found, drilled)) => {
            let document = Some(drill_cmd::document(&drilled));
            State { found, state_root: drilled.report.state_root, document }
        }
        Err(report) => nothing(Found::broken(part, report)),
    }
}

/// Whether a path of the protected machine is among what came back.
pub(super) fn is_there(scratch: &Path, path: &str) -> bool {
    let below = |root: &str| scratch.join(root).join(path.strip_prefix('/').unwrap_or(path));
    ["files", "databases"].iter().any(|root| below(root).symlink_metadata().is_ok())
}
