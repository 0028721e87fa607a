//! `keys drill …`: a card's holder proves alone that it is still good.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;

use evenkeel_custody::Random;
use evenkeel_custody::drill::{self, ANSWER_BYTES, PUBLIC_BYTES};

use super::cards::Cards;
use super::input::{self, OsRandom};
use super::record;
use crate::cli::{DrillCheckArgs, DrillProveArgs, DrillStatusArgs, format_time_ns, parse_time_ns};
use crate::documents::{
    KeyCardDocument, KeyFingerprintDocument, KeySetDocument, ShareDrillDocument, ShareDrillState,
    ShareDrillStatusDocument, ShareDrillsDocument,
};
use crate::keyfile::{hex, unhex};
use crate::output;
use crate::report::{Exit, Report, Result};

const DAY_NS: u64 = 24 * 3_600 * 1_000_000_000;

/// `keys drill prove`
pub(super) fn prove(args: &DrillProveArgs) -> Result<Exit> {
    let cards = Cards::read(&args.share)?;
    let [card] = cards.shares.as_slice() else {
        return Err(Report::new(Exit::Usage, "a drill is about one card")
            .at(args.share.display().to_string())
            .detail(format!("the file holds {}", cards.shares.len()))
            .next("put the words of one card into the file"));
    };
    let challenge = challenge(args.challenge.as_deref())?;
    let answer = drill::answer(card, &challenge).map_err(refused)?;
    let key = drill::public_key(card).map_err(refused)?;
    let mut document = ShareDrillDocument {
        header: hex(&card.header_bytes()),
        set: card.set.identifier,
        group: card.group_index + 1,
        member: card.member_index + 1,
        time: format_time_ns(record::now_ns()),
        challenge_hex: hex(&challenge),
        answer_hex: hex(&answer),
        public_key_hex: hex(&key),
        verified: false,
    };
    if let Some(file) = &args.fingerprint {
        check_against(&record::read(file)?, &mut document)?;
    }
    finish(&document, args.log.as_deref(), args.json)
}

/// `keys drill check`
pub(super) fn check(args: &DrillCheckArgs) -> Result<Exit> {
    let text = input::read_text(&args.answer, "the answer")?;
    let mut document: ShareDrillDocument = serde_json::from_str(&text).map_err(|error| {
        Report::new(Exit::Usage, format!("this is no answer of a drill: {error}"))
            .at(args.answer.display().to_string())
    })?;
    if args.challenge.to_lowercase() != document.challenge_hex {
        return Err(Report::new(Exit::Integrity, "the answer is to another challenge")
            .detail("an old answer proves nothing about today")
            .next("send the new challenge and ask again"));
    }
    document.verified = false;
    check_against(&record::read(&args.fingerprint)?, &mut document)?;
    document.time = format_time_ns(record::now_ns());
    finish(&document, args.log.as_deref(), args.json)
}

fn challenge(given: Option<&str>) -> Result<Vec<u8>> {
    match given {
        Some(text) => unhex(text)
            .ok_or_else(|| Report::new(Exit::Usage, "the challenge is not hexadecimal digits")),
        None => {
            let mut bytes = vec![0; 32];
            OsRandom
                .fill(&mut bytes)
                .map_err(|error| Report::new(Exit::Failed, error.to_string()))?;
            Ok(bytes)
        }
    }
}

fn refused(error: drill::Error) -> Report {
    let exit = match error {
        drill::Error::ChallengeBytes(_) => Exit::Usage,
        drill::Error::NotThisCard | drill::Error::Record => Exit::Integrity,
        drill::Error::Derivation => Exit::Failed,
    };
    Report::new(exit, error.to_string()).safe("nothing secret was sent or stored")
}

fn check_against(record: &KeyFingerprintDocument, document: &mut ShareDrillDocument) -> Result<()> {
    let name = format!("group {} member {}", document.group, document.member);
    let known = record.set.as_ref().filter(|set| set.set == document.set);
    let card = known.and_then(|set| {
        set.cards.iter().find(|card| (card.group, card.member) == (document.group, document.member))
    });
    let Some(card) = card else {
        return Err(Report::new(
            Exit::Integrity,
            format!("{name} of set {:05} is not in the record", document.set),
        )
        .detail(match &record.set {
            Some(set) => format!("the record is of set {:05}", set.set),
            None => "the record has no cards".to_owned(),
        })
        .next("an old set after a new split: destroy its cards"));
    };
    verify(&card.drill_public_key, document).map_err(|error| {
        refused(error)
            .at(name)
            .lost("this card, unless its words can be mended from another copy")
            .next("compare every word with the sheet; then plan a new split while a quorum is left")
    })?;
    document.verified = true;
    Ok(())
}

/// Whether the answer is by the recorded key, for the challenge and card it names.
fn verify(
    public_key: &str,
    document: &ShareDrillDocument,
) -> std::result::Result<(), drill::Error> {
    let key: [u8; PUBLIC_BYTES] = fixed(public_key).ok_or(drill::Error::Record)?;
    let header: [u8; 8] = fixed(&document.header).ok_or(drill::Error::NotThisCard)?;
    let answer: [u8; ANSWER_BYTES] =
        fixed(&document.answer_hex).ok_or(drill::Error::NotThisCard)?;
    let challenge = unhex(&document.challenge_hex).ok_or(drill::Error::NotThisCard)?;
    drill::check(&key, &header, &challenge, &answer)
}

fn fixed<const N: usize>(text: &str) -> Option<[u8; N]> {
    unhex(text)?.try_into().ok()
}

fn finish(document: &ShareDrillDocument, log: Option<&Path>, json: bool) -> Result<Exit> {
    if let Some(log) = log {
        append(log, document)?;
    }
    if json {
        output::document(document)?;
    } else {
        output::result(&format!(
            "group {} member {} of set {:05}: {}",
            document.group,
            document.member,
            document.set,
            if document.verified {
                "the words are the ones that were dealt"
            } else {
                "answered; send it to whoever holds the record (--json prints it)"
            }
        ))?;
    }
    if document.verified { Ok(Exit::Ok) } else { Ok(Exit::Partial) }
}

fn append(log: &Path, document: &ShareDrillDocument) -> Result<()> {
    let failed = |error: std::io::Error| Report::io("append to the log of drills", log, &error);
    let line = serde_json::to_string(document)
        .map_err(|error| Report::new(Exit::Failed, error.to_string()))?;
    let mut file = OpenOptions::new().append(true).create(true).open(log).map_err(failed)?;
    file.write_all(format!("{line}\n").as_bytes()).and_then(|()| file.sync_all()).map_err(failed)
}

/// `keys drill status`
pub(super) fn status(args: &DrillStatusArgs) -> Result<Exit> {
    let record = record::read(&args.fingerprint)?;
    let Some(set) = &record.set else {
        return Err(Report::new(Exit::NothingYet, "the record has no cards")
            .at(args.fingerprint.display().to_string())
            .next("make it from the cards: evenkeel keys fingerprint --shares FILE --out FILE"));
    };
    let document = standing(&record, set, &args.log, args.stale_days)?;
    let due = document.cards_due;
    if args.json {
        output::document(&document)?;
    } else {
        tell(&document)?;
    }
    Ok(if due == 0 { Exit::Ok } else { Exit::Partial })
}

/// When each card of a record was last proven, by the log.
///
/// # Errors
/// If the log cannot be read; that there is none means that nothing was drilled.
pub(super) fn standing(
    record: &KeyFingerprintDocument,
    set: &KeySetDocument,
    log: &Path,
    stale_days: u64,
) -> Result<ShareDrillsDocument> {
    let (last, ignored) = last_drills(log, record)?;
    let now_ns = record::now_ns();
    let of = |card: &KeyCardDocument| {
        let last_ns = last.get(&(card.group, card.member)).copied();
        let age_days = last_ns.map(|last_ns| now_ns.saturating_sub(last_ns) / DAY_NS);
        ShareDrillStatusDocument {
            group: card.group,
            member: card.member,
            holder: card.holder.clone(),
            place: card.place.clone(),
            last_drill: last_ns.map(format_time_ns),
            age_days,
            state: match age_days {
                None => ShareDrillState::Never,
                Some(age_days) if age_days > stale_days => ShareDrillState::Stale,
                Some(_) => ShareDrillState::Fresh,
            },
        }
    };
    let cards: Vec<ShareDrillStatusDocument> = set.cards.iter().map(of).collect();
    let due = cards.iter().filter(|card| card.state != ShareDrillState::Fresh).count();
    Ok(ShareDrillsDocument {
        set: set.set,
        stale_days,
        cards_due: due,
        lines_ignored: ignored,
        cards,
    })
}

/// Whether an answer is by the card that the record names.
#[cfg(feature = "whole")]
pub(super) fn is_proof(record: &KeyFingerprintDocument, answer: &mut ShareDrillDocument) -> bool {
    check_against(record, answer).is_ok()
}

/// When each card, by group and member, was last proven.
type LastDrills = BTreeMap<(u8, u8), u64>;

/// The last good drill of each card, and how many lines of the log prove nothing.
fn last_drills(log: &Path, record: &KeyFingerprintDocument) -> Result<(LastDrills, usize)> {
    let mut last = BTreeMap::new();
    let mut ignored = 0;
    if !log.exists() {
        return Ok((last, ignored));
    }
    let text = input::read_text(log, "the log of drills")?;
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        let read: Option<ShareDrillDocument> = serde_json::from_str(line).ok();
        let proven = read.and_then(|mut document| {
            check_against(record, &mut document).ok()?;
            let time_ns = parse_time_ns(&document.time).ok()?;
            Some(((document.group, document.member), time_ns))
        });
        match proven {
            Some((card, time_ns)) => {
                let newest: &mut u64 = last.entry(card).or_insert(time_ns);
                *newest = time_ns.max(*newest);
            }
            None => ignored += 1,
        }
    }
    Ok((last, ignored))
}

fn tell(document: &ShareDrillsDocument) -> Result<()> {
    for card in &document.cards {
        let state = match (card.state, card.age_days) {
            (ShareDrillState::Fresh, Some(days)) => format!("good, {days} days ago"),
            (_, Some(days)) => format!("STALE, {days} days ago"),
            (_, None) => "NEVER drilled".to_owned(),
        };
        let of = |text: &Option<String>| text.clone().unwrap_or_else(|| "?".to_owned());
        let (holder, place) = (of(&card.holder), of(&card.place));
        output::result(&format!("{}.{}  {state:<24} {holder} @ {place}", card.group, card.member))?;
    }
    if document.lines_ignored > 0 {
        output::note(&format!("{} lines of the log prove nothing", document.lines_ignored));
    }
    Ok(())
}
