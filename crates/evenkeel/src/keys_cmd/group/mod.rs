//! `keys group …`: a key that nobody holds, among holders who exchange files.
//!
//! Two folders: the holder's own, readable by nobody else, and the *table*, which everybody reads
//! and writes: a shared drive, or a stick that goes round. Nothing on the table is secret.

#[cfg(feature = "whole")]
mod ask;
#[cfg(feature = "whole")]
mod asked;
mod files;
#[cfg(feature = "whole")]
mod pinned;
mod plan;
mod sign;
mod step;

use evenkeel_custody::group::{ContractForm, Fault, HolderKey, Plan, Record, Refusal};

use super::input::OsRandom;
use crate::cli::{GroupCommand, GroupEnrollArgs, GroupVerifyArgs};
use crate::documents::{GroupContractDocument, GroupDocument, GroupHolderDocument, GroupState};
use crate::keyfile::hex;
use crate::output;
use crate::report::{Exit, Report, Result};
#[cfg(feature = "whole")]
pub(super) use files::record_text;
use files::{Own, armored, read_bytes};

#[cfg(feature = "whole")]
pub(crate) use asked::file_keys;
#[cfg(feature = "whole")]
pub(crate) use pinned::approved_action;

pub(super) fn run(command: &GroupCommand) -> Result<Exit> {
    match command {
        GroupCommand::Enroll(args) => enroll(args),
        GroupCommand::Plan(args) => plan::run(args),
        GroupCommand::Step(args) => step::run(args),
        GroupCommand::Request(args) => sign::request(args),
        GroupCommand::Sign(args) => sign::run(args),
        GroupCommand::Verify(args) => verify(args),
        #[cfg(feature = "whole")]
        GroupCommand::Trust(args) => ask::trust(args),
        #[cfg(feature = "whole")]
        GroupCommand::Ask(args) => ask::ask(args),
        #[cfg(feature = "whole")]
        GroupCommand::Answer(args) => ask::run_answer(args),
        #[cfg(feature = "whole")]
        GroupCommand::Open(args) => ask::run_open(args),
    }
}

fn enroll(args: &GroupEnrollArgs) -> Result<Exit> {
    let own = Own::new(&args.holder);
    own.make()?;
    let key = HolderKey::generate(&mut OsRandom)
        .map_err(|error| Report::new(Exit::Failed, error.to_string()))?;
    let enrolment = key.enrol(&args.name, &args.place);
    own.write_key(&key, &enrolment)?;
    let file = own.enrolment();
    let document = GroupDocument {
        state: GroupState::Enrolled,
        holders: vec![GroupHolderDocument {
            number: 0,
            name: enrolment.name,
            place: enrolment.place,
            key_hex: hex(&enrolment.key),
        }],
        written: vec![file.display().to_string()],
        next: vec![format!(
            "give {} to whoever makes the plan, and read its key aloud: {}",
            file.display(),
            hex(&enrolment.key)
        )],
        ..GroupDocument::default()
    };
    say(&format!("enrolled  {} at {}", args.name, args.place), &document, args.json)?;
    Ok(Exit::Ok)
}

fn verify(args: &GroupVerifyArgs) -> Result<Exit> {
    let mut contract = None;
    let (record, said) = match (&args.holder, &args.record) {
        (Some(folder), _) => {
            let own = Own::new(folder);
            let sealed = own.record()?.ok_or_else(|| own.without("record.txt"))?;
            let share = own.share()?.ok_or_else(|| own.without("share.key"))?;
            share.check(sealed.record()).map_err(|it| refused(&it))?;
            (sealed, format!("good  the share of holder {}", share.number))
        }
        (None, Some(file)) => {
            let sealed = armored::sealed(file)?;
            let mut said = "good  the record is in force".to_owned();
            if let (Some(message), Some(signature)) = (&args.message, &args.signature) {
                let text = super::input::read_text(signature, "the signature")?;
                let bytes = crate::keyfile::unhex(text.trim()).unwrap_or_default();
                let message = read_bytes(message, "the message")?;
                contract = contract_form(sealed.record(), &message, &bytes)?;
                "good  signed by the group".clone_into(&mut said);
            }
            (sealed, said)
        }
        (None, None) => return Err(Report::new(Exit::Usage, "nothing to check")),
    };
    let state = GroupState::Good;
    let document = GroupDocument { state, contract, ..of_record(record.record()) };
    say(&said, &document, args.json)?;
    Ok(Exit::Ok)
}

/// A signature that was found good, as a contract takes it.
fn contract_form(
    record: &Record,
    message: &[u8],
    signature: &[u8],
) -> Result<Option<GroupContractDocument>> {
    let form = ContractForm::new(record, message, signature).map_err(|it| refused(&it))?;
    let word = |bytes: &[u8; 32]| format!("0x{}", hex(bytes));
    Ok(form.map(|form| GroupContractDocument {
        key_x: word(&form.key_x),
        key_parity: form.key_parity,
        r_x: word(&form.r_x),
        r_y: word(&form.r_y),
        z: word(&form.z),
    }))
}

/// The document with what a record says.
fn of_record(record: &Record) -> GroupDocument {
    GroupDocument {
        curve: Some(record.curve.to_string()),
        generation: Some(record.generation),
        threshold: Some(record.threshold),
        group_key_hex: Some(hex(&record.group_key)),
        recipient: record.recipient(),
        id: Some(hex(&record.hash())),
        holders: holders(&record.holders),
        ..GroupDocument::default()
    }
}

/// The document with what a plan says.
fn of_plan(plan: &Plan) -> GroupDocument {
    GroupDocument {
        curve: Some(plan.curve.to_string()),
        generation: Some(plan.generation),
        threshold: Some(plan.threshold),
        id: Some(hex(&plan.id())),
        holders: holders(&plan.holders),
        ..GroupDocument::default()
    }
}

fn holders(all: &[evenkeel_custody::group::Holder]) -> Vec<GroupHolderDocument> {
    let each = all.iter().map(|holder| GroupHolderDocument {
        number: holder.number,
        name: holder.name.clone(),
        place: holder.place.clone(),
        key_hex: hex(&holder.key),
    });
    each.collect()
}

/// The result, for people or as JSON.
fn say(headline: &str, document: &GroupDocument, json: bool) -> Result<()> {
    for why in &document.set_aside {
        output::note(&format!("not counted: {why}"));
    }
    document.warnings.iter().for_each(|it| output::note(&format!("WARNING: {it}")));
    if json {
        return output::document(document);
    }
    let mut lines = vec![headline.to_owned()];
    if let Some(key) = &document.group_key_hex {
        lines.push(format!("  key        {key}"));
    }
    if let Some(recipient) = &document.recipient {
        lines.push(format!("  recipient  {recipient}"));
    }
    if let (Some(generation), Some(threshold)) = (document.generation, document.threshold) {
        let count = document.holders.len();
        lines.push(format!("  generation {generation}, {threshold} of {count} needed"));
    }
    for holder in &document.holders {
        lines.push(format!("  holder {:<3} {} at {}", holder.number, holder.name, holder.place));
    }
    lines.extend(document.written.iter().map(|file| format!("  wrote      {file}")));
    if let Some(signature) = &document.signature_hex {
        lines.push(format!("  signature  {signature}"));
    }
    if let Some(it) = &document.contract {
        lines.push(format!("  contract   key  x {} parity {}", it.key_x, it.key_parity));
        lines.push(format!("             R    x {} y {}", it.r_x, it.r_y));
        lines.push(format!("             z      {}", it.z));
    }
    lines.extend(document.next.iter().map(|next| format!("  next       {next}")));
    output::result(&lines.join("\n"))
}

/// Somebody did wrong, or nobody knows who.
fn fault(plan_names: impl Fn(u16) -> String, fault: &Fault) -> Report {
    let safe = "nothing was switched; the record that was in force stays in force";
    match fault {
        Fault::Culprit { holder, misdeed } => {
            Report::new(Exit::Integrity, format!("{} {misdeed}", plan_names(*holder)))
                .safe(safe)
                .next("keep the table as evidence; make a new plan or request without this holder")
        }
        Fault::CannotTell { a, b, doubt } => Report::new(
            Exit::Integrity,
            format!("cannot tell which of {} and {} is wrong", plan_names(*a), plan_names(*b)),
        )
        .detail(format!("because {doubt}"))
        .safe(safe)
        .next("compare the copies, then make a new plan or request"),
        Fault::Refused(refusal) => refused(refusal).safe(safe),
    }
}

fn refused(refusal: &Refusal) -> Report {
    let exit = match refusal {
        Refusal::Dealers { .. } => Exit::NotEnoughShares,
        Refusal::NotAHolder | Refusal::Other(_) | Refusal::NotForUs => Exit::WrongKey,
        Refusal::NotInForce
        | Refusal::Signature
        | Refusal::BadStanza(_)
        | Refusal::NotVouched(_) => Exit::Integrity,
        Refusal::Random(_) | Refusal::Calculation | Refusal::Interrupted => Exit::Failed,
        _ => Exit::Usage,
    };
    Report::new(exit, refusal.to_string())
}
