//! `keys sheet scan`

use evenkeel_sheets::sheet::{
    Card, Gathered, Gathering, Label, Missing, Payload, Scheme, Typed, TypedError,
};
use zeroize::Zeroizing;

use super::{Seen, seen};
use crate::cli::{SheetScanArgs, SheetWords};
use crate::documents::{SheetCardDocument, SheetPayloadDocument, SheetScanDocument};
use crate::keyfile::{hex, write_new};
use crate::keys_cmd::input;
use crate::output;
use crate::report::{Exit, Report, Result};

/// A card, and what vouches for its words.
struct ReadCard {
    card: Card,
    vouched_by: &'static str,
}

pub(super) fn run(args: &SheetScanArgs) -> Result<Exit> {
    let all = seen(&args.images)?;
    let mut cards = cards(&all);
    if let Some(file) = &args.words {
        typed(args, file, &mut cards)?;
    }
    let gatherings = gather(&all);
    let finished: Vec<std::result::Result<Gathered, Missing>> =
        gatherings.iter().map(Gathering::finish).collect();
    let mut document = SheetScanDocument {
        pictures: args.images.len(),
        symbols: all.into_iter().map(|seen| seen.document).collect(),
        cards: cards.iter().map(|read| card_document(read, args.reveal)).collect(),
        payloads: gatherings.iter().zip(&finished).map(|(own, end)| payload(own, end)).collect(),
        written: None,
    };
    let report = finished.iter().find_map(|end| end.as_ref().err().map(refused));
    let content = content(&cards, &finished)?;
    if let (Some(file), Some(content), None) = (&args.out, &content, &report) {
        write_new(file, content)?;
        document.written = Some(file.clone());
    }
    if args.json {
        output::document(&document)?;
    } else {
        tell(&document)?;
    }
    if let Some(report) = report {
        return Err(report);
    }
    let unvouched = cards.iter().any(|read| read.vouched_by == "checksum");
    Ok(if unvouched { Exit::Partial } else { Exit::Ok })
}

/// Each card once.
fn cards(all: &[Seen]) -> Vec<ReadCard> {
    let mut cards: Vec<ReadCard> = Vec::new();
    for seen in all {
        if let Payload::Card(card) = &seen.payload
            && !cards.iter().any(|known| known.card.words == card.words)
        {
            cards.push(ReadCard { card: card.clone(), vouched_by: "symbol" });
        }
    }
    cards
}

/// Words that were typed: checked against the symbol of their card if it was scanned.
fn typed(args: &SheetScanArgs, file: &std::path::Path, cards: &mut Vec<ReadCard>) -> Result<()> {
    let scheme = match args.scheme {
        SheetWords::Slip39 => Scheme::Slip39,
        SheetWords::Bip39 => Scheme::Bip39,
    };
    let wrong = |error: TypedError| {
        let exit = match error {
            TypedError::Unknown(_) | TypedError::CheckLine { .. } => Exit::Usage,
            _ => Exit::Integrity,
        };
        Report::new(exit, error.to_string())
            .at(file.display().to_string())
            .safe("nothing was written, and nothing is ever corrected by itself")
            .next("compare these words with the sheet, mend the file, and repeat the command")
    };
    let typed = Typed::of(&input::read_text(file, "the typed words")?, scheme);
    if let [read] = cards.as_mut_slice() {
        typed.compare(&read.card).map_err(wrong)?;
        read.vouched_by = "both";
        return Ok(());
    }
    let words = typed.words(scheme, args.generation).map_err(wrong)?;
    if let Some(known) = cards.iter_mut().find(|known| known.card.words == words) {
        known.vouched_by = "both";
        return Ok(());
    }
    if !typed.has_check() {
        output::note(
            "UNPROVEN: no check words were typed and no symbol was scanned; only the card's own \
             checksum holds.\nType the line that begins with = too.",
        );
    }
    let vouched_by = if typed.has_check() { "check_words" } else { "checksum" };
    let (generation, label) = (args.generation, Label::default());
    cards.push(ReadCard { card: Card { words, generation, members: 0, label }, vouched_by });
    Ok(())
}

/// Parts by payload.
fn gather(all: &[Seen]) -> Vec<Gathering> {
    let mut gatherings: Vec<Gathering> = Vec::new();
    for seen in all {
        if let Payload::Part(part) = &seen.payload
            && !gatherings.iter_mut().any(|gathering| gathering.add(part))
        {
            let mut new = Gathering::default();
            new.add(part);
            gatherings.push(new);
        }
    }
    gatherings
}

fn refused(missing: &Missing) -> Report {
    let exit = match missing {
        Missing::Forged => Exit::Integrity,
        Missing::Parts(_) | Missing::Everything => Exit::NotEnoughShares,
    };
    Report::new(exit, missing.to_string())
        .safe("nothing was written; the sheets are as they were")
        .next("scan the sheets that are named, and give all pictures in one command")
}

/// What `--out` writes: one kind of thing.
fn content(
    cards: &[ReadCard],
    finished: &[std::result::Result<Gathered, Missing>],
) -> Result<Option<Zeroizing<Vec<u8>>>> {
    match (cards, finished) {
        ([], [Ok(one)]) => Ok(Some(one.sealed.bytes.clone())),
        ([], _) => Ok(None),
        (cards, []) => {
            let mut text = Zeroizing::new(Vec::with_capacity(1_024 * cards.len()));
            for read in cards {
                text.extend(format!("# {}\n", read.card.name()).as_bytes());
                text.extend(read.card.text().as_bytes());
                text.push(b'\n');
            }
            Ok(Some(text))
        }
        _ => Err(Report::new(Exit::Usage, "these pictures show cards and sealed payloads")
            .safe("nothing was written")
            .next("scan each kind with a command of its own")),
    }
}

fn card_document(read: &ReadCard, reveal: bool) -> SheetCardDocument {
    let card = &read.card;
    SheetCardDocument {
        name: card.name(),
        generation: card.generation,
        holder: card.label.holder.clone(),
        place: card.label.place.clone(),
        date: card.label.date.clone(),
        vouched_by: read.vouched_by.to_owned(),
        verified: None,
        words: reveal.then(|| card.text().to_string()),
    }
}

fn payload(
    gathering: &Gathering,
    end: &std::result::Result<Gathered, Missing>,
) -> SheetPayloadDocument {
    let sample = gathering.sample();
    let sealed = end.as_ref().ok().map(|gathered| &gathered.sealed);
    SheetPayloadDocument {
        id_hex: sample.map(|part| hex(&part.id)).unwrap_or_default(),
        generation: sample.map_or(0, |part| part.generation),
        sheets: sample.map_or(0, evenkeel_sheets::sheet::Part::sheets),
        complete: sealed.is_some(),
        sheets_lost: gathering.lost().iter().map(|lost| lost.sheet).collect(),
        bytes: sealed.map(|sealed| sealed.bytes.len()),
        holder: sealed.map(|sealed| sealed.label.holder.clone()).unwrap_or_default(),
    }
}

fn tell(document: &SheetScanDocument) -> Result<()> {
    for symbol in &document.symbols {
        output::note(&format!(
            "{}: {}, symbol {}: corrected {} of {} codewords",
            symbol.picture.display(),
            symbol.name,
            symbol.symbol,
            symbol.corrected,
            symbol.codewords
        ));
    }
    for card in &document.cards {
        output::note(&format!("read  {}, vouched for by its {}", card.name, card.vouched_by));
        if !card.holder.is_empty() || !card.place.is_empty() {
            output::note(&format!("      held by {} @ {}", card.holder, card.place));
        }
        match &card.words {
            Some(words) => output::result(words)?,
            None => output::result(&card.name)?,
        }
    }
    for payload in &document.payloads {
        let lost: Vec<String> = payload.sheets_lost.iter().map(ToString::to_string).collect();
        let lost = match (lost.as_slice(), payload.complete) {
            ([], _) => "all sheets read".to_owned(),
            (lost, true) => format!("computed from the others: sheet {}", lost.join(", ")),
            (lost, false) => format!("missing: sheet {}", lost.join(", ")),
        };
        output::result(&format!(
            "payload {}, generation {}, {} sheets: {lost}",
            payload.id_hex, payload.generation, payload.sheets
        ))?;
    }
    if let Some(file) = &document.written {
        output::note(&format!("written  {}", file.display()));
    }
    Ok(())
}
