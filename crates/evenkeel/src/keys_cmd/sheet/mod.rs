//! `keys sheet …`: cards and sealed bytes on paper, and back from pictures.

mod print;
mod scan;
mod verify;

use std::path::Path;

use evenkeel_sheets::picture::{Found, Picture, Way, scan as symbols_of};
use evenkeel_sheets::sheet::{Payload, SYMBOL_VERSIONS};

use crate::cli::SheetCommand;
use crate::documents::SheetSymbolDocument;
use crate::report::{Exit, Report, Result};

/// No picture's file is longer.
const PICTURE_BYTES_MAX: u64 = 256 << 20;

pub(super) fn run(command: &SheetCommand) -> Result<Exit> {
    match command {
        SheetCommand::Print(args) => print::run(args),
        SheetCommand::Scan(args) => scan::run(args),
        SheetCommand::Verify(args) => verify::run(args),
    }
}

/// A picture from its file.
pub(super) fn picture(file: &Path) -> Result<Picture> {
    let failed = |error: std::io::Error| Report::io("read the picture", file, &error);
    let bytes = std::fs::metadata(file).map_err(failed)?.len();
    if bytes > PICTURE_BYTES_MAX {
        return Err(Report::new(Exit::Usage, format!("{bytes} bytes are no picture"))
            .at(file.display().to_string())
            .safe("nothing was read"));
    }
    let bytes = zeroize::Zeroizing::new(std::fs::read(file).map_err(failed)?);
    Picture::read(&bytes).map_err(|error| {
        Report::new(Exit::Usage, error.to_string())
            .at(file.display().to_string())
            .safe("nothing was read of it")
            .next("give PNG or JPEG files; cameras that write HEIC can be told to write JPEG")
    })
}

/// What was read of one symbol.
pub(super) struct Seen {
    pub(super) payload: Payload,
    pub(super) document: SheetSymbolDocument,
}

/// Every symbol of sheets in these pictures.
fn seen(images: &[std::path::PathBuf]) -> Result<Vec<Seen>> {
    let mut all: Vec<Seen> = Vec::new();
    for image in images {
        let found = symbols_of(&picture(image)?, &SYMBOL_VERSIONS, &Payload::holds);
        for found in found {
            let payload = Payload::read(&found.bytes).map_err(|error| {
                Report::new(Exit::Integrity, error.to_string())
                    .at(image.display().to_string())
                    .safe("nothing was made of it")
                    .next("use the version of this program that printed the sheet, or a later one")
            })?;
            let document = symbol(image, &found, &payload);
            all.push(Seen { payload, document });
        }
    }
    if all.is_empty() && !images.is_empty() {
        return Err(Report::new(Exit::NothingYet, "no symbol of a sheet was read")
            .detail(format!("looked at {} pictures", images.len()))
            .safe("the sheet is as it was")
            .next("take the picture again: the whole sheet, in focus, in even light, from above")
            .next("or type its words: evenkeel keys sheet scan --words FILE"));
    }
    Ok(all)
}

fn symbol(image: &Path, found: &Found, payload: &Payload) -> SheetSymbolDocument {
    let (name, symbol) = match payload {
        Payload::Card(card) => (card.name(), 1),
        Payload::Part(part) => (part.name(), part.symbol_number()),
    };
    let found_by = match found.way {
        Way::Finders => "finders",
        Way::Targets => "targets",
        Way::Mesh => "mesh",
    };
    SheetSymbolDocument {
        picture: image.to_owned(),
        name,
        symbol,
        corrected: found.corrected,
        codewords: found.codewords,
        found_by: found_by.to_owned(),
    }
}
