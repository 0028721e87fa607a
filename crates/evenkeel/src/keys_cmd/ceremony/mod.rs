//! `keys ceremony …`: a key is made and dealt in front of witnesses, step by step.
//!
//! Everything secret lies in one folder inside the ceremony's own, which is wiped at the end. Each
//! step is done, verified, and then written to the transcript: an interruption in between repeats
//! the step.

mod begin;
mod machine;
mod next;
mod proof;
mod room;
mod transcript;

use std::path::Path;

use crate::cli::{CeremonyCommand, CeremonyStatusArgs, CeremonyVerifyArgs};
use crate::documents::{CeremonyDocument, CeremonyStep};
use crate::keyfile::hex;
use crate::output;
use crate::report::{Exit, Report, Result};
use room::Room;
use transcript::Transcript;

/// The steps in order.
const STEPS: [CeremonyStep; 9] = [
    CeremonyStep::Begun,
    CeremonyStep::Machine,
    CeremonyStep::Present,
    CeremonyStep::Dealt,
    CeremonyStep::Copied,
    CeremonyStep::ReadBack,
    CeremonyStep::Proven,
    CeremonyStep::Handed,
    CeremonyStep::Finished,
];

/// What the line of the dealing says of the passphrase, and what it says if there is one.
const PASSPHRASE: &str = "passphrase";
const ONE: &str = "there is one";

fn has_passphrase(transcript: &Transcript) -> bool {
    transcript.all(CeremonyStep::Dealt, PASSPHRASE).last() == Some(&ONE)
}

pub(super) fn run(command: &CeremonyCommand) -> Result<Exit> {
    match command {
        CeremonyCommand::Begin(args) => begin::run(args),
        CeremonyCommand::Next(args) => next::run(args),
        CeremonyCommand::Status(args) => status(args),
        CeremonyCommand::Verify(args) => verify(args),
    }
}

fn status(args: &CeremonyStatusArgs) -> Result<Exit> {
    let room = Room::open(&args.dir)?;
    let document = document(&room.transcript, vec![needed(&room)]);
    say(&document, args.json)?;
    Ok(if document.finished { Exit::Ok } else { Exit::Partial })
}

/// The cards a ceremony deals, as GROUP.MEMBER, from its first line.
fn cards(transcript: &Transcript) -> Vec<String> {
    let said = transcript.entries.first().and_then(|entry| entry.facts.get("cards"));
    said.map(|cards| cards.split(' ').map(str::to_owned).collect()).unwrap_or_default()
}

/// Cards of which a step says nothing yet.
fn without(transcript: &Transcript, step: CeremonyStep) -> Vec<String> {
    let done = transcript.all(step, "card");
    cards(transcript).into_iter().filter(|card| !done.contains(&card.as_str())).collect()
}

/// The step that is due.
fn due(transcript: &Transcript) -> Option<CeremonyStep> {
    STEPS.into_iter().find(|step| match step {
        CeremonyStep::ReadBack | CeremonyStep::Handed => !without(transcript, *step).is_empty(),
        step => transcript.last(*step).is_none(),
    })
}

/// What the step that is due asks of people.
fn needed(room: &Room) -> String {
    let next = format!("evenkeel keys ceremony next --dir {}", room.dir.display());
    match due(&room.transcript) {
        None => format!("keep {} with the desk's papers", room.transcript_file().display()),
        Some(CeremonyStep::Present) => {
            let roles: Vec<String> =
                room.roles().iter().map(|name| format!("--present \"{name}\"")).collect();
            format!("{next} {}   (each says: I am here, and I see the screen)", roles.join(" "))
        }
        Some(CeremonyStep::Dealt) => format!(
            "{next} --passphrase-file FILE   (or --no-passphrase; --dice FILE mixes rolls in)"
        ),
        Some(CeremonyStep::Copied) => format!(
            "copy each card of {} to its sheet, by hand or by `keys sheet print`; then: {next} \
             --copied",
            room.cards_dir().display()
        ),
        Some(CeremonyStep::ReadBack) => format!(
            "take the sheet of card {} and type its words into FILE, one card a line (or `keys \
             sheet scan` a picture of the paper): {next} --words FILE",
            without(&room.transcript, CeremonyStep::ReadBack).join(", ")
        ),
        Some(CeremonyStep::Proven) if has_passphrase(&room.transcript) => {
            format!("{next} --passphrase-file FILE   (typed again, not copied)")
        }
        Some(CeremonyStep::Handed) => format!(
            "seal each sheet, let its holder look at the number of the seal: {next} --handed {}",
            without(&room.transcript, CeremonyStep::Handed)
                .iter()
                .map(|card| format!("{card}=NUMBER"))
                .collect::<Vec<_>>()
                .join(" --handed ")
        ),
        Some(_) => next,
    }
}

fn document(transcript: &Transcript, next: Vec<String>) -> CeremonyDocument {
    let first = transcript.entries.first();
    let due = due(transcript);
    CeremonyDocument {
        title: first.and_then(|entry| entry.facts.get("title")).cloned().unwrap_or_default(),
        due,
        finished: due.is_none(),
        entries: u32::try_from(transcript.entries.len()).unwrap_or(u32::MAX),
        last_hash_hex: hex(&transcript.last_hash),
        public_key_hex: first.map(|entry| entry.public_key_hex.clone()).unwrap_or_default(),
        to_read_back: without(transcript, CeremonyStep::ReadBack),
        to_hand_out: without(transcript, CeremonyStep::Handed),
        next,
        ..CeremonyDocument::default()
    }
}

fn say(document: &CeremonyDocument, json: bool) -> Result<()> {
    document.warnings.iter().for_each(|it| output::note(&format!("WARNING: {it}")));
    if json {
        return output::document(document);
    }
    let mut lines = vec![format!("ceremony  {}", document.title)];
    for step in STEPS {
        let mark = match document.due {
            Some(due) if step > due => " ",
            Some(due) if step == due => ">",
            _ => "x",
        };
        lines.push(format!("  [{mark}] {}", words(step)));
    }
    lines.push(format!("  key   {}", document.public_key_hex));
    lines.push(format!("  hash  {} (line {})", document.last_hash_hex, document.entries));
    lines.extend(document.written.iter().map(|file| format!("  wrote {file}")));
    lines.extend(document.next.iter().map(|next| format!("  next  {next}")));
    output::result(&lines.join("\n"))
}

fn words(step: CeremonyStep) -> &'static str {
    match step {
        CeremonyStep::Begun => "laid out",
        CeremonyStep::Machine => "the machine is offline and keeps nothing",
        CeremonyStep::Present => "everybody is there",
        CeremonyStep::Dealt => "the secret is drawn and dealt",
        CeremonyStep::Copied => "every card is on its sheet",
        CeremonyStep::ReadBack => "every sheet is read back",
        CeremonyStep::Proven => "the sheets bring the key back, every one of them",
        CeremonyStep::Handed => "every sheet is sealed and handed out",
        CeremonyStep::Finished => "everything secret is wiped from here",
        CeremonyStep::Refused => "something was refused",
    }
}

fn verify(args: &CeremonyVerifyArgs) -> Result<Exit> {
    let transcript = Transcript::read(&args.transcript)?;
    if transcript.entries.is_empty() {
        return Err(Report::new(Exit::NothingYet, "the transcript is empty")
            .at(args.transcript.display().to_string()));
    }
    if let Some(file) = &args.fingerprint {
        compare(&transcript, file)?;
    }
    let next = "compare the hash with what each witness wrote down".to_owned();
    let document = document(&transcript, vec![next]);
    say(&document, args.json)?;
    Ok(if document.finished { Exit::Ok } else { Exit::Partial })
}

fn compare(transcript: &Transcript, fingerprint: &Path) -> Result<()> {
    let text = super::input::read(fingerprint, "the fingerprint record")?;
    let hash = hex(&proof::hash(&text));
    let said = transcript.last(CeremonyStep::Dealt).and_then(|entry| entry.facts.get("record"));
    if said == Some(&hash) {
        return Ok(());
    }
    Err(Report::new(Exit::Integrity, "this record is not the one that the ceremony made")
        .at(fingerprint.display().to_string())
        .detail(format!("SHA-256 of the file: {hash}"))
        .detail(format!("in the transcript:   {}", said.map_or("none yet", String::as_str)))
        .safe("nothing was changed")
        .next("look for the record beside the ceremony's own papers"))
}
