//! `keys ceremony next`: the step that is due.

use evenkeel_custody::drill;
use evenkeel_custody::slip39::{Policy, Share, SplitOptions, split};
use zeroize::Zeroizing;

use super::room::{Room, wipe};
use super::{ONE, PASSPHRASE, document, due, has_passphrase, machine, needed, proof, say, without};
use crate::cli::CeremonyNextArgs;
use crate::documents::{CeremonyStep, KeyScheme};
use crate::keyfile::{hex, write_new};
use crate::keys_cmd::cards::Cards;
use crate::keys_cmd::holders::Holders;
use crate::keys_cmd::input::{self, OsRandom};
use crate::keys_cmd::{generate, record, slip39_split};
use crate::output;
use crate::report::{Exit, Report, Result};

pub(super) fn run(args: &CeremonyNextArgs) -> Result<Exit> {
    let mut room = Room::open(&args.dir)?;
    let Some(step) = due(&room.transcript) else {
        // An interruption may have come between the last line and the last wiping.
        wipe(&room.secret_dir())?;
        say(&document(&room.transcript, vec![needed(&room)]), args.json)?;
        return Ok(Exit::Ok);
    };
    let done = match step {
        CeremonyStep::Machine => look_at_machine(&mut room, args)?,
        CeremonyStep::Present => all_present(&mut room, args)?,
        CeremonyStep::Dealt => deal(&mut room, args)?,
        CeremonyStep::Copied => copied(&mut room, args)?,
        CeremonyStep::ReadBack => read_back(&mut room, args)?,
        CeremonyStep::Proven => proven(&mut room, args)?,
        CeremonyStep::Handed => hand_out(&mut room, args)?,
        _ => finish(&mut room)?,
    };
    let mut document = document(&room.transcript, vec![needed(&room)]);
    if step == CeremonyStep::Dealt && done {
        document.warnings = record::read(&room.record_file())?.warnings;
        document.written = vec![room.record_file().display().to_string()];
    }
    say(&document, args.json)?;
    Ok(if done { Exit::Ok } else { Exit::Partial })
}

/// An attempt that failed stays in the transcript.
fn refuse(room: &mut Room, step: &str, report: Report) -> Report {
    let facts = [("step", step.to_owned()), ("why", report.message().to_owned())];
    match room.note(CeremonyStep::Refused, facts) {
        Ok(()) => report,
        Err(error) => error,
    }
}

fn look_at_machine(room: &mut Room, args: &CeremonyNextArgs) -> Result<bool> {
    let findings = machine::findings(&room.dir);
    match (&args.accept, findings.is_empty()) {
        (None, false) => {
            let report = Report::new(Exit::Partial, "this machine is not as it should be");
            let report = findings.iter().fold(report, |report, it| report.detail(it.clone()));
            Err(report
                .safe("no secret was made")
                .next("mend it and repeat the command")
                .next("or go on all the same, with the reason in the transcript: --accept REASON"))
        }
        (reason, _) => {
            let facts = [
                ("findings", findings.join("; ")),
                ("accepted", reason.clone().unwrap_or_default()),
            ];
            room.note(CeremonyStep::Machine, facts).map(|()| true)
        }
    }
}

fn all_present(room: &mut Room, args: &CeremonyNextArgs) -> Result<bool> {
    let roles = room.roles();
    let absent: Vec<&String> = roles.iter().filter(|name| !args.present.contains(name)).collect();
    let strangers: Vec<&String> =
        args.present.iter().filter(|name| !roles.contains(name)).collect();
    if let Some(stranger) = strangers.first() {
        return Err(Report::new(Exit::Usage, format!("{stranger} has no role in this ceremony"))
            .safe("nothing was written")
            .next("whoever is in the room without a role leaves it, or begin anew with the role"));
    }
    if !absent.is_empty() {
        return Ok(false);
    }
    room.note(CeremonyStep::Present, [("names", args.present.join(", "))]).map(|()| true)
}

fn policy(room: &Room) -> Result<Policy> {
    Policy::parse(&room.text("groups"), room.number("group_threshold")?)
        .map_err(|error| Report::new(Exit::Integrity, error.to_string()))
}

/// Whatever an interrupted dealing left is wiped first: no card of it has left the room.
fn deal(room: &mut Room, args: &CeremonyNextArgs) -> Result<bool> {
    if args.passphrase_file.is_none() && !args.no_passphrase {
        return Ok(false);
    }
    wipe(&room.cards_dir())?;
    if room.record_file().exists() {
        std::fs::remove_file(room.record_file())
            .map_err(|error| Report::io("remove", &room.record_file(), &error))?;
    }
    let policy = policy(room)?;
    let holders = Holders::of_text(&room.text("holders"), "the transcript")?;
    let passphrase = input::passphrase(args.passphrase_file.as_deref())?;
    if passphrase.is_empty() && !args.no_passphrase {
        return Err(Report::new(Exit::Usage, "the file of the passphrase is empty")
            .at(args.passphrase_file.as_deref().unwrap_or(&room.dir).display().to_string())
            .safe("nothing was dealt")
            .next("write it there, or deal without one: --no-passphrase"));
    }
    let bytes = usize::from(room.number::<u16>("bits")? / 8);
    let secret = generate::entropy(bytes, args.dice.as_deref())?;
    let options = SplitOptions {
        iteration_exponent: room.number("iteration_exponent")?,
        ..SplitOptions::default()
    };
    let groups = split(&policy, secret.reveal(), passphrase.reveal(), options, &mut OsRandom)
        .map_err(|error| Report::new(Exit::Usage, error.to_string()).safe("nothing was dealt"))?;
    let all: Vec<Share> = groups.into_iter().flatten().collect();
    let none = evenkeel_custody::Secret::new(Vec::new());
    let mut known = record::new(KeyScheme::Seed, &secret, &none, room.number("generation")?)?;
    known.set = record::set(&all, Some(&policy), &holders)?;
    known.warnings = holders.warnings(&policy);
    std::fs::create_dir_all(room.cards_dir())
        .map_err(|error| Report::io("make", &room.cards_dir(), &error))?;
    for card in &all {
        slip39_split::write_card(&room.cards_dir(), card, &policy)?;
    }
    record::write(&room.record_file(), &known)?;
    let written = input::read(&room.record_file(), "the fingerprint record")?;
    let facts = [
        ("record", hex(&proof::hash(&written))),
        ("master_fingerprint", known.master_fingerprint.clone()),
        ("address", record::first_address(&known)),
        ("set", known.set.as_ref().map(|set| format!("{:05}", set.set)).unwrap_or_default()),
        ("dice", if args.dice.is_some() { "mixed in" } else { "none" }.to_owned()),
        (PASSPHRASE, if passphrase.is_empty() { "none" } else { ONE }.to_owned()),
    ];
    room.note(CeremonyStep::Dealt, facts).map(|()| true)
}

fn copied(room: &mut Room, args: &CeremonyNextArgs) -> Result<bool> {
    if !args.copied {
        return Ok(false);
    }
    let files = std::fs::read_dir(room.cards_dir())
        .map_err(|error| Report::io("read", &room.cards_dir(), &error))?;
    room.note(CeremonyStep::Copied, [("sheets", files.count().to_string())]).map(|()| true)
}

fn read_back(room: &mut Room, args: &CeremonyNextArgs) -> Result<bool> {
    let Some(file) = &args.words else {
        return Ok(false);
    };
    let typed = Cards::read(file).map_err(|it| refuse(room, "read_back", it))?;
    let known = record::read(&room.record_file())?;
    for card in &typed.shares {
        let name = format!("{}.{}", card.group_index + 1, card.member_index + 1);
        let set = known.set.as_ref();
        let dealt = set.and_then(|set| {
            let mut cards = set.cards.iter();
            cards.find(|it| format!("{}.{}", it.group, it.member) == name)
        });
        let key = drill::public_key(card).map(|key| hex(&key)).unwrap_or_default();
        if dealt.is_none_or(|dealt| dealt.drill_public_key != key) {
            let report = Report::new(
                Exit::Integrity,
                format!("card {name} was not read back as it was dealt"),
            )
            .at(file.display().to_string())
            .safe("no card was handed out")
            .next(
                "compare its sheet with the screen word by word, write it anew, and type it again",
            );
            return Err(refuse(room, "read_back", report));
        }
        keep(room, &name, card)?;
        if without(&room.transcript, CeremonyStep::ReadBack).contains(&name) {
            room.note(CeremonyStep::ReadBack, [("card", name.clone())])?;
        }
        output::note(&format!("read back  card {name}"));
    }
    Ok(without(&room.transcript, CeremonyStep::ReadBack).is_empty())
}

/// What was typed, not what was dealt, is what gets proven.
fn keep(room: &Room, name: &str, card: &Share) -> Result<()> {
    let file = room.back_dir().join(format!("{name}.txt"));
    if file.exists() {
        return Ok(());
    }
    write_new(&file, Zeroizing::new(format!("{}\n", card.mnemonic().as_str())).as_bytes())
}

fn proven(room: &mut Room, args: &CeremonyNextArgs) -> Result<bool> {
    if args.passphrase_file.is_none() && has_passphrase(&room.transcript) {
        return Ok(false);
    }
    let known = record::read(&room.record_file())?;
    let passphrase = input::passphrase(args.passphrase_file.as_deref())?;
    let mut cards = Vec::new();
    for name in super::cards(&room.transcript) {
        cards.extend(Cards::read(&room.back_dir().join(format!("{name}.txt")))?.shares);
    }
    let policy = policy(room)?;
    let quorums = proof::prove(&policy, &cards, &passphrase, &known)
        .map_err(|report| refuse(room, "proven", report))?;
    let facts = [("cards", cards.len().to_string()), ("quorums", quorums.to_string())];
    room.note(CeremonyStep::Proven, facts).map(|()| true)
}

fn hand_out(room: &mut Room, args: &CeremonyNextArgs) -> Result<bool> {
    let holders = Holders::of_text(&room.text("holders"), "the transcript")?;
    for said in &args.handed {
        let (card, seal) = said
            .split_once('=')
            .filter(|(card, seal)| {
                !seal.is_empty() && super::cards(&room.transcript).contains(&(*card).to_owned())
            })
            .ok_or_else(|| {
                Report::new(Exit::Usage, format!("`{said}` names no card of this ceremony"))
                    .safe("what was written before it stays")
                    .next("write GROUP.MEMBER=NUMBER OF THE SEAL, such as: --handed 1.2=A-0417")
            })?;
        if !without(&room.transcript, CeremonyStep::Handed).contains(&card.to_owned()) {
            continue;
        }
        let place = card
            .split_once('.')
            .and_then(|(group, member)| holders.of(group.parse().ok()?, member.parse().ok()?));
        let holder = place.map(|it| it.person.clone()).unwrap_or_default();
        let place = place.map(|it| it.place.clone()).unwrap_or_default();
        let facts = [
            ("card", card.to_owned()),
            ("seal", seal.to_owned()),
            ("holder", holder),
            ("place", place),
        ];
        room.note(CeremonyStep::Handed, facts)?;
    }
    Ok(without(&room.transcript, CeremonyStep::Handed).is_empty())
}

/// The last line is signed before the key that signs is wiped with everything else; what an
/// interruption leaves is wiped when the command is repeated.
fn finish(room: &mut Room) -> Result<bool> {
    wipe(&room.cards_dir())?;
    wipe(&room.back_dir())?;
    room.note(CeremonyStep::Finished, [("wiped", room.secret_dir().display().to_string())])?;
    wipe(&room.secret_dir())?;
    output::note(
        "every witness writes down the hash of the last line, and signs it on paper: whoever has \
         the machine could write another transcript, but not one with that hash",
    );
    Ok(true)
}
