//! `keys group step`: one holder's part in a ceremony, as far as it goes now.

use evenkeel_custody::group::{
    Ceremony, Curve, Ed25519, HolderKey, KeyShare, Kind, Pending, Plan, Recipient, Sealed,
    Secp256k1, Seed, Step, Suite, Table,
};

use super::files::{Own, Shared, armored};
use super::{fault, of_plan, of_record, refused, say};
use crate::cli::GroupStepArgs;
use crate::documents::{GroupDocument, GroupState};
use crate::report::{Exit, Report, Result};

/// How far it went.
pub(super) struct Came {
    pub(super) plan: Plan,
    pub(super) to: Place,
    pub(super) written: Vec<String>,
    pub(super) aside: Vec<String>,
}

/// Where it stands.
pub(super) enum Place {
    Waiting(Kind, Vec<u16>),
    Ready(Box<Pending>),
}

struct Part<'a> {
    plan: &'a Plan,
    previous: Option<&'a Sealed>,
    key: &'a HolderKey,
    seed: &'a Seed,
    share: Option<&'a KeyShare>,
}

pub(super) fn run(args: &GroupStepArgs) -> Result<Exit> {
    let (own, table) = (Own::new(&args.holder), Shared::new(&args.table));
    // Done before, and the seed is gone: nothing is drawn again.
    if let Some(document) = in_force(&own, &table)? {
        say("in force  this holder has switched", &document, args.json)?;
        return Ok(Exit::Ok);
    }
    let came = advance(&own, &table)?;
    let at = args.table.display();
    let again = format!("evenkeel keys group step --table {at} --holder {}", args.holder.display());
    let base =
        GroupDocument { written: came.written, set_aside: came.aside, ..of_plan(&came.plan) };
    match came.to {
        Place::Waiting(kind, missing) => {
            let names: Vec<String> = missing.iter().map(|it| name(&came.plan, *it)).collect();
            let document = GroupDocument {
                waiting_for: Some(kind.word().to_owned()),
                missing,
                next: vec![format!("when they have done their step: {again}")],
                ..base
            };
            let said = format!("waiting  for the {kind} of {}", names.join(", "));
            say(&said, &document, args.json)?;
            Ok(Exit::Partial)
        }
        Place::Ready(pending) => {
            let file = table.file("record.txt");
            if file.exists() {
                let sealed = armored::sealed(&file)?;
                if *sealed.record() != pending.record {
                    return Err(Report::new(Exit::Integrity, "the table's record is another one")
                        .at(file.display().to_string())
                        .safe("nothing was switched"));
                }
                own.switch(&sealed, pending.share.as_ref())?;
                own.clean(&sealed.record().plan, sealed.record().generation)?;
                let document = GroupDocument {
                    state: GroupState::InForce,
                    written: base.written,
                    ..of_record(sealed.record())
                };
                say("in force  this holder has switched", &document, args.json)?;
                return Ok(Exit::Ok);
            }
            let needed = usize::from(pending.record.threshold);
            let names: Vec<String> =
                came.plan.holders.iter().take(needed).map(|it| it.name.clone()).collect();
            let document = GroupDocument {
                state: GroupState::TestDue,
                waiting_for: Some("test signature".to_owned()),
                missing: came.plan.holders.iter().take(needed).map(|it| it.number).collect(),
                next: vec![
                    format!(
                        "{} at the same time: evenkeel keys group sign --table {at} --holder DIR",
                        names.join(" and ")
                    ),
                    format!("then everybody: {again}"),
                ],
                written: base.written,
                set_aside: base.set_aside,
                ..of_record(&pending.record)
            };
            say("acknowledged  by all; the test signature is due", &document, args.json)?;
            Ok(Exit::Partial)
        }
    }
}

fn in_force(own: &Own, table: &Shared) -> Result<Option<GroupDocument>> {
    let file = table.file("record.txt");
    if !file.exists() {
        return Ok(None);
    }
    let sealed = armored::sealed(&file)?;
    if own.record()?.as_ref() != Some(&sealed) {
        return Ok(None);
    }
    // A crash may have come between the switch and this.
    own.clean(&sealed.record().plan, sealed.record().generation)?;
    let state = GroupState::InForce;
    Ok(Some(GroupDocument { state, ..of_record(sealed.record()) }))
}

pub(super) fn name(plan: &Plan, number: u16) -> String {
    let known = plan.member(number).map(|holder| format!("holder {number} ({})", holder.name));
    known.unwrap_or_else(|| format!("holder {number}"))
}

/// Lays down whatever is this holder's to lay down.
pub(super) fn advance(own: &Own, table: &Shared) -> Result<Came> {
    let plan = armored::plan(&table.file("plan.txt"))?;
    let file = table.file("previous.txt");
    let previous = if plan.previous.is_some() { Some(armored::sealed(&file)?) } else { None };
    let key = own.key()?;
    let share = match &previous {
        Some(sealed) => own.share()?.filter(|share| share.check(sealed.record()).is_ok()),
        None => None,
    };
    if plan.number_of(&key.public()).is_none() {
        return Err(refused(&evenkeel_custody::group::Refusal::NotAHolder));
    }
    let seed = own.seed(&plan)?;
    let part = Part {
        plan: &plan,
        previous: previous.as_ref(),
        key: &key,
        seed: &seed,
        share: share.as_ref(),
    };
    let (to, written, aside) = match plan.curve {
        Curve::Ed25519 => part.advance::<Ed25519>(table)?,
        Curve::Secp256k1 => part.advance::<Secp256k1>(table)?,
        Curve::Recipient => part.advance::<Recipient>(table)?,
    };
    Ok(Came { plan, to, written, aside })
}

impl Part<'_> {
    fn advance<C: Suite>(&self, table: &Shared) -> Result<(Place, Vec<String>, Vec<String>)> {
        let plan = self.plan;
        let ceremony = Ceremony::<C>::new(plan, self.previous, self.key, self.seed, self.share)
            .map_err(|error| refused(&error).safe("nothing was sent"))?;
        let mut written = Vec::new();
        loop {
            let (messages, mut aside) = table.messages()?;
            let sorted = Ceremony::<C>::table(plan, messages);
            aside.extend(set_aside(&sorted, plan));
            let step = ceremony.next(&sorted);
            match step.map_err(|it| fault(|number| name(plan, number), &it))? {
                Step::Send(message) => {
                    let own = name(plan, message.from);
                    written.push(table.lay_message(&message, &own)?.display().to_string());
                }
                Step::Wait { kind, missing } => {
                    return Ok((Place::Waiting(kind, missing), written, aside));
                }
                Step::Ready(pending) => {
                    return Ok((Place::Ready(Box::new(pending)), written, aside));
                }
            }
        }
    }
}

fn set_aside(table: &Table, plan: &Plan) -> Vec<String> {
    // What is signed for a request, the test signature's, is no message of the ceremony.
    let of_ceremony =
        |kind: Kind| !matches!(kind, Kind::Commitment | Kind::SignatureShare | Kind::Partial);
    let each = table.aside.iter().filter(|(_, kind, _)| of_ceremony(*kind));
    each.map(|(why, kind, from)| format!("{kind} of {}: it {why}", name(plan, *from))).collect()
}
