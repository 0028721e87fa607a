//! `keys qr …`: files as films of symbols, and back from pictures.

use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use evenkeel_sheets::picture::scan;
use evenkeel_sheets::qr::Grid;
use evenkeel_sheets::stream::{
    Added, Frame, Incoming, Receiving, SCREEN, StreamError, TERMINAL, frames, html, svg, terminal,
};

use super::input;
use super::sheet::picture;
use crate::cli::{QrCommand, QrReceiveArgs, QrSendArgs};
use crate::documents::{QrFilmDocument, QrReceiveDocument, QrSendDocument};
use crate::keyfile::{hex, write_new};
use crate::output;
use crate::report::{Exit, Report, Result};

pub(super) fn run(command: &QrCommand) -> Result<Exit> {
    match command {
        QrCommand::Send(args) => send(args),
        QrCommand::Receive(args) => receive(args),
    }
}

fn send(args: &QrSendArgs) -> Result<Exit> {
    let message = input::read(&args.file, "the file")?;
    let version = if args.terminal { TERMINAL } else { SCREEN };
    let refused = |error: &dyn std::error::Error| {
        Report::new(Exit::Usage, error.to_string())
            .at(args.file.display().to_string())
            .safe("nothing was shown")
    };
    let film = frames(&message, version).map_err(|error| refused(&error))?;
    let mut grids = Vec::with_capacity(film.len());
    for frame in &film {
        grids.push(frame.grid(version).map_err(|error| refused(&error))?);
    }
    if args.terminal {
        return play(args, &grids);
    }
    let mut document = QrSendDocument {
        id_hex: film.first().map(|frame| hex(&frame.id)).unwrap_or_default(),
        bytes: message.len(),
        frames: film.len(),
        frames_needed: film.first().map_or(0, |frame| usize::from(frame.parts)),
        written: Vec::new(),
    };
    if let Some(file) = &args.out {
        write_new(file, html(&grids, args.pause_ms).as_bytes())?;
        document.written.push(file.clone());
    }
    if let Some(folder) = &args.frames {
        document.written.extend(pictures(folder, &grids)?);
    }
    if args.json {
        output::document(&document)?;
        return Ok(Exit::Ok);
    }
    output::result(&format!(
        "film {}: {} bytes in {} frames, any {} suffice",
        document.id_hex, document.bytes, document.frames, document.frames_needed
    ))?;
    Ok(Exit::Ok)
}

fn pictures(folder: &PathBuf, grids: &[Grid]) -> Result<Vec<PathBuf>> {
    std::fs::create_dir_all(folder)
        .map_err(|error| Report::io("make the folder", folder, &error))?;
    let mut written = Vec::with_capacity(grids.len());
    for (at, grid) in grids.iter().enumerate() {
        let file = folder.join(format!("frame-{:04}.svg", at + 1));
        write_new(&file, svg(grid).as_bytes())?;
        written.push(file);
    }
    Ok(written)
}

/// Frame after frame in the same place; a reader who left ends it.
fn play(args: &QrSendArgs, grids: &[Grid]) -> Result<Exit> {
    let mut out = std::io::stdout().lock();
    let mut round = 0;
    while args.rounds.is_none_or(|rounds| round < rounds) {
        for (at, grid) in grids.iter().enumerate() {
            let shown =
                format!("\u{1b}[H\u{1b}[2J{}{} / {}\n", terminal(grid), at + 1, grids.len());
            if out.write_all(shown.as_bytes()).and_then(|()| out.flush()).is_err() {
                return Ok(Exit::Ok);
            }
            std::thread::sleep(Duration::from_millis(u64::from(args.pause_ms)));
        }
        round += 1;
    }
    Ok(Exit::Ok)
}

fn receive(args: &QrReceiveArgs) -> Result<Exit> {
    let mut receiving = Receiving::default();
    let mut document =
        QrReceiveDocument { pictures: args.images.len(), ..QrReceiveDocument::default() };
    for image in &args.images {
        let found = scan(&picture(image)?, &[], &Frame::holds);
        document.pictures_without += usize::from(found.is_empty());
        for frame in found.iter().filter_map(|found| Frame::read(&found.bytes)) {
            if receiving.add(&frame) == Added::Contradicts {
                output::note(&format!(
                    "left out: {} contradicts another frame of film {}",
                    image.display(),
                    hex(&frame.id)
                ));
            }
        }
    }
    document.films = receiving.messages().map(film).collect();
    let wanted = args.id.as_deref().unwrap_or_default().to_lowercase();
    let matching = receiving.messages().filter(|own| hex(&own.id()).starts_with(&wanted));
    let incoming = chosen(&matching.collect::<Vec<_>>(), args)?.clone();
    let message = incoming.finish().map_err(|error| unfinished(&error))?;
    write_new(&args.out, &message)?;
    document.written = Some(args.out.clone());
    if args.json {
        output::document(&document)?;
    } else {
        output::result(&format!(
            "received  {} bytes of film {}, from {} of {} frames",
            message.len(),
            hex(&incoming.id()),
            incoming.read(),
            incoming.frames()
        ))?;
    }
    Ok(Exit::Ok)
}

fn film(incoming: &Incoming) -> QrFilmDocument {
    QrFilmDocument {
        id_hex: hex(&incoming.id()),
        frames_read: incoming.read(),
        frames_needed: incoming.needed(),
        frames: incoming.frames(),
    }
}

fn chosen<'a>(matching: &[&'a Incoming], args: &QrReceiveArgs) -> Result<&'a Incoming> {
    match matching {
        [one] => Ok(one),
        [] => Err(Report::new(Exit::NothingYet, "no frame was read")
            .detail(format!("looked at {} pictures", args.images.len()))
            .safe("nothing was written")
            .next("take the pictures again: the whole frame with white around it, in focus")),
        several => {
            let report =
                Report::new(Exit::Usage, format!("these pictures are of {} films", several.len()))
                    .safe("nothing was written");
            let told = several.iter().fold(report, |report, own| {
                report.detail(format!(
                    "{}: {} frames read, {} needed",
                    hex(&own.id()),
                    own.read(),
                    own.needed()
                ))
            });
            Err(told.next("say which: --id HEX"))
        }
    }
}

fn unfinished(error: &StreamError) -> Report {
    let exit = match error {
        StreamError::TooFew { .. } => Exit::NotEnoughShares,
        _ => Exit::Integrity,
    };
    Report::new(exit, error.to_string())
        .safe("nothing was written")
        .next("take more pictures, and give all of them in one command")
}
