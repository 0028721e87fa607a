//! `keys sheet verify`

use evenkeel_custody::drill;
use evenkeel_custody::slip39::Share;
use evenkeel_sheets::sheet::{Card, CardWords, Payload};

use super::seen;
use crate::cli::SheetVerifyArgs;
use crate::documents::{KeyFingerprintDocument, SheetCardDocument, SheetScanDocument};
use crate::keyfile::hex;
use crate::keys_cmd::{input, record};
use crate::output;
use crate::report::{Exit, Report, Result};

pub(super) fn run(args: &SheetVerifyArgs) -> Result<Exit> {
    let known = record::read(&args.fingerprint)?;
    let passphrase = input::passphrase(args.bip39_passphrase_file.as_deref())?;
    let all = seen(&args.images)?;
    let mut document =
        SheetScanDocument { pictures: args.images.len(), ..SheetScanDocument::default() };
    for seen in all {
        let Payload::Card(card) = &seen.payload else {
            return Err(Report::new(Exit::Usage, "a sealed payload is in no record of a key")
                .at(seen.document.picture.display().to_string())
                .next("evenkeel keys sheet scan IMAGE…   (says whether its sheets are whole)"));
        };
        match &card.words {
            CardWords::Slip39(share) => dealt(&known, share)?,
            CardWords::Bip39(sentence) => {
                record::compare(&known, sentence.entropy(), &passphrase)?;
            }
        }
        if card.generation != known.generation {
            return Err(not_dealt(format!(
                "the sheet says generation {}, the record {}",
                card.generation, known.generation
            )));
        }
        document.cards.push(card_document(card));
        document.symbols.push(seen.document);
    }
    if args.json {
        output::document(&document)?;
        return Ok(Exit::Ok);
    }
    for card in &document.cards {
        output::result(&format!("good  {}: it is in the record", card.name))?;
    }
    Ok(Exit::Ok)
}

/// Whether a share is one of the record, by the key by which it proves itself in drills.
fn dealt(known: &KeyFingerprintDocument, share: &Share) -> Result<()> {
    let set =
        known.set.as_ref().filter(|set| set.set == share.set.identifier).ok_or_else(|| {
            not_dealt(format!("set {:05} is not in the record", share.set.identifier))
        })?;
    let own = (share.group_index + 1, share.member_index + 1);
    let card = set.cards.iter().find(|card| (card.group, card.member) == own);
    let key = drill::public_key(share)
        .map_err(|error| Report::new(Exit::Failed, format!("no drill key: {error}")))?;
    match card {
        Some(card) if card.drill_public_key == hex(&key) => Ok(()),
        Some(_) => Err(not_dealt(format!("{}: its words are not those dealt", share.name()))),
        None => Err(not_dealt(format!("{} is not in the record", share.name()))),
    }
}

fn not_dealt(why: String) -> Report {
    Report::new(Exit::Integrity, why)
        .safe("nothing secret was printed")
        .next("compare the set and the generation on the sheet with the record's")
}

fn card_document(card: &Card) -> SheetCardDocument {
    SheetCardDocument {
        name: card.name(),
        generation: card.generation,
        holder: card.label.holder.clone(),
        place: card.label.place.clone(),
        date: card.label.date.clone(),
        vouched_by: "symbol".to_owned(),
        verified: Some(true),
        words: None,
    }
}
