//! `keys group plan`

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use evenkeel_custody::group::{Change, Curve, Enrolment, Plan};

use super::files::{Shared, armored, record_text};
use super::{of_plan, refused, say};
use crate::cli::{GroupCurve, GroupPlanArgs};
use crate::documents::{GroupDocument, GroupState};
use crate::keyfile::hex;
use crate::keys_cmd::input::OsRandom;
use crate::report::{Exit, Report, Result};

pub(super) fn run(args: &GroupPlanArgs) -> Result<Exit> {
    let enrolments: Vec<Enrolment> =
        args.enrolment.iter().map(|file| armored::enrolment(file)).collect::<Result<_>>()?;
    let previous = args.record.as_deref().map(armored::sealed).transpose()?;
    let plan = match (&previous, args.curve) {
        (Some(sealed), _) => {
            let change = Change {
                remove: args.remove.iter().copied().collect(),
                absent: args.absent.iter().copied().collect(),
                add: enrolments,
                enrolled_anew: anew(&args.anew)?,
                threshold: args.threshold,
            };
            Plan::change(sealed.record(), &change, &mut OsRandom)
        }
        (None, curve) => {
            let curve = match curve {
                Some(GroupCurve::Secp256k1) => Curve::Secp256k1,
                Some(GroupCurve::Recipient) => Curve::Recipient,
                _ => Curve::Ed25519,
            };
            let threshold = args.threshold.unwrap_or_default();
            Plan::found(curve, threshold, &enrolments, &mut OsRandom)
        }
    };
    let plan = plan.map_err(|error| refused(&error).safe("nothing was planned"))?;
    let table = Shared::new(&args.table);
    table.make()?;
    if let Some(sealed) = &previous {
        table.lay("previous.txt", &record_text(sealed))?;
    }
    let words = format!("Evenkeel group plan {}: no secret", hex(&plan.id()));
    let file = table.lay("plan.txt", &Plan::ARMOR.write(&[&words], &plan.to_bytes()))?;
    let document = GroupDocument {
        state: GroupState::Planned,
        missing: plan.members().into_keys().collect(),
        written: vec![file.display().to_string()],
        warnings: warnings(&plan, previous.is_some()),
        next: vec![format!(
            "everybody compares the plan's id with the others, by voice: {}; then each: evenkeel \
             keys group step --table {} --holder DIR",
            hex(&plan.id()),
            args.table.display()
        )],
        ..of_plan(&plan)
    };
    say(&format!("planned  {} key", plan.curve), &document, args.json)?;
    Ok(Exit::Ok)
}

fn anew(pairs: &[String]) -> Result<BTreeMap<u16, Enrolment>> {
    let mut found = BTreeMap::new();
    for pair in pairs {
        let parts = pair
            .split_once('=')
            .and_then(|(number, file)| Some((number.parse::<u16>().ok()?, Path::new(file))));
        let Some((number, file)) = parts else {
            return Err(Report::new(Exit::Usage, format!("--anew {pair} is not NUMBER=FILE"))
                .next("evenkeel keys group plan --anew 2=enrolment.txt …"));
        };
        found.insert(number, armored::enrolment(file)?);
    }
    Ok(found)
}

fn warnings(plan: &Plan, change: bool) -> Vec<String> {
    let mut warnings = Vec::new();
    let places: BTreeSet<&str> = plan.holders.iter().map(|it| it.place.as_str()).collect();
    for place in places {
        let there = plan.holders.iter().filter(|holder| holder.place == place).count();
        if there >= usize::from(plan.threshold) {
            warnings.push(format!("one place reaches a quorum alone: {place}"));
        }
    }
    if usize::from(plan.threshold) == plan.holders.len() {
        warnings.push("every holder is needed: one lost share is a lost key".to_owned());
    }
    if change {
        warnings.push(format!(
            "a quorum of old shares of generation {} could go on {} if they were kept: each \
             holder's step removes its own; nobody can see a copy",
            plan.generation.saturating_sub(1),
            if plan.curve == Curve::Recipient { "decrypting" } else { "signing" }
        ));
    }
    warnings
}
