//! `keys sheet print`

use std::path::{Path, PathBuf};

use evenkeel_sheets::page::{Page, Paper, pdf, svg};
use evenkeel_sheets::sheet::{Card, CardWords, Label, Sealed};

use crate::cli::{SheetFormat, SheetPaper, SheetPrintArgs};
use crate::documents::{KeyFingerprintDocument, SheetDocument, SheetPrintDocument};
use crate::keyfile::write_new;
use crate::keys_cmd::{cards::Cards, input, record};
use crate::output;
use crate::report::{Exit, Report, Result};

pub(super) fn run(args: &SheetPrintArgs) -> Result<Exit> {
    let record = args.fingerprint.as_deref().map(record::read).transpose()?;
    std::fs::create_dir_all(&args.out)
        .map_err(|error| Report::io("make the folder", &args.out, &error))?;
    let mut sheets = Vec::new();
    if let Some(file) = &args.sealed {
        sheets = sealed(args, file)?;
    } else {
        for card in cards(args, record.as_ref())? {
            sheets.push(print(args, &card)?);
        }
    }
    std::fs::File::open(&args.out)
        .and_then(|folder| folder.sync_all())
        .map_err(|error| Report::io("sync the folder", &args.out, &error))?;
    output::note(
        "note: printers keep what they printed. Use one without a disk or network, and destroy \
         these files and\nthe stick they are on. Read each sheet back before it goes away: \
         evenkeel keys sheet verify",
    );
    let document = SheetPrintDocument { sheets };
    if args.json {
        output::document(&document)?;
        return Ok(Exit::Ok);
    }
    for sheet in &document.sheets {
        output::result(&format!("printed  {}", sheet.name))?;
        for file in &sheet.files {
            output::result(&format!("  {}", file.display()))?;
        }
    }
    Ok(Exit::Ok)
}

/// The cards to print, with what the record says of each.
fn cards(args: &SheetPrintArgs, record: Option<&KeyFingerprintDocument>) -> Result<Vec<Card>> {
    let generation = record.map_or(args.generation, |record| record.generation);
    let own =
        Label { holder: args.holder.clone(), place: args.place.clone(), date: args.date.clone() };
    if let Some(file) = &args.mnemonic_file {
        let words = CardWords::Bip39(input::sentence(file)?);
        return Ok(vec![Card { words, generation, members: 0, label: own }]);
    }
    let mut cards = Vec::new();
    for file in &args.cards {
        for share in Cards::read(file)?.shares {
            let (group, member) = (share.group_index + 1, share.member_index + 1);
            let set = record.and_then(|record| record.set.as_ref());
            if let Some(set) = set.filter(|set| set.set != share.set.identifier) {
                return Err(Report::new(
                    Exit::Integrity,
                    format!("this card is of set {:05}", share.set.identifier),
                )
                .at(file.display().to_string())
                .detail(format!("the record is of set {:05}", set.set))
                .safe("nothing was printed")
                .next("name the record that was written beside this card"));
            }
            let known = set.and_then(|set| {
                set.cards.iter().find(|card| (card.group, card.member) == (group, member))
            });
            let members = set
                .and_then(|set| set.groups.get(usize::from(share.group_index)))
                .map_or(0, |group| group.member_count);
            let mut label = own.clone();
            if let Some(holder) = known.and_then(|card| card.holder.clone()) {
                label.holder = holder;
            }
            if let Some(place) = known.and_then(|card| card.place.clone()) {
                label.place = place;
            }
            cards.push(Card { words: CardWords::Slip39(share), generation, members, label });
        }
    }
    Ok(cards)
}

fn print(args: &SheetPrintArgs, card: &Card) -> Result<SheetDocument> {
    let mut pages = card.pages(paper(args)).map_err(|error| refused(&error))?;
    let stem = match &card.words {
        CardWords::Slip39(share) => format!(
            "set-{:05}-group-{:02}-member-{:02}-sheet",
            share.set.identifier,
            share.group_index + 1,
            share.member_index + 1
        ),
        CardWords::Bip39(_) => "sentence-sheet".to_owned(),
    };
    let mut files = Vec::new();
    if args.metal {
        pages.push(card.metal_page(paper(args)));
        let file = args.out.join(format!("{stem}-metal.txt"));
        write_new(&file, card.metal_text().as_bytes())?;
        files.push(file);
    }
    files.extend(write(args, &stem, &pages)?);
    Ok(SheetDocument {
        name: card.name(),
        holder: card.label.holder.clone(),
        place: card.label.place.clone(),
        files,
    })
}

fn sealed(args: &SheetPrintArgs, file: &Path) -> Result<Vec<SheetDocument>> {
    let label =
        Label { holder: args.holder.clone(), place: args.place.clone(), date: args.date.clone() };
    let bytes = input::read(file, "the sealed bytes")?;
    let sealed = Sealed { generation: args.generation, label, bytes };
    let sheets = sealed.sheets(args.data_sheets).map_err(|error| {
        refused(&error).at(file.display().to_string()).next(
            "seal fewer bytes, or give several holders a payload each: parity is never laid across \
             holders, because it would let one fewer of them suffice",
        )
    })?;
    let mut documents = Vec::new();
    for (at, sheet) in sheets.iter().enumerate() {
        let page = sheet.page(paper(args)).map_err(|error| refused(&error))?;
        let id = sheet.parts.first().map(|part| crate::keyfile::hex(&part.id)).unwrap_or_default();
        let stem = format!(
            "sealed-{}-sheet-{}-of-{}",
            id.get(..8).unwrap_or_default(),
            at + 1,
            sheets.len()
        );
        documents.push(SheetDocument {
            name: sheet.name(),
            holder: sheet.label.holder.clone(),
            place: sheet.label.place.clone(),
            files: write(args, &stem, &[page])?,
        });
    }
    Ok(documents)
}

fn paper(args: &SheetPrintArgs) -> Paper {
    match args.paper {
        SheetPaper::A4 => Paper::A4,
        SheetPaper::Letter => Paper::Letter,
    }
}

fn write(args: &SheetPrintArgs, stem: &str, pages: &[Page]) -> Result<Vec<PathBuf>> {
    if args.format == SheetFormat::Pdf {
        let file = args.out.join(format!("{stem}.pdf"));
        let bytes = pdf(pages).map_err(|error| {
            refused(&error).next("print it as SVG: --format svg (any browser prints it)")
        })?;
        write_new(&file, &bytes)?;
        return Ok(vec![file]);
    }
    let mut files = Vec::new();
    for (at, page) in pages.iter().enumerate() {
        let file = args.out.join(format!("{stem}-page-{}.svg", at + 1));
        write_new(&file, svg(page).as_bytes())?;
        files.push(file);
    }
    Ok(files)
}

fn refused(error: &dyn std::error::Error) -> Report {
    Report::new(Exit::Usage, error.to_string()).safe("this sheet was not printed")
}
