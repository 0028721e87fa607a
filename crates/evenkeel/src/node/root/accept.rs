//! `root accept`: what the root signed, to where it counts.

use std::path::{Path, PathBuf};

use evenkeel_vault::{RootRequest, RootWord};

use super::super::approvals::read_signature;
use super::super::domain::Domain;
use super::{described, print, read_request};
use crate::authority;
use crate::cli::RootAcceptArgs;
use crate::config::{Config, DomainName};
use crate::output;
use crate::report::{Exit, Report, Result};

const SIGNATURE_BYTES: usize = 64;

pub(super) fn run(args: &RootAcceptArgs) -> Result<Exit> {
    let config = args.place.load()?;
    let request = read_request(&args.request)?;
    let domains = request.words.iter().map(|word| own(&config, &request, word));
    let domains = domains.collect::<Result<Vec<_>>>()?;
    let signed = matched(&request, &args.signatures)?;
    let mut document = described("accept", &request, |at| Some(signed[at].is_some()));
    for (word, domain) in signed.iter().zip(&domains) {
        let Some(word) = word else { continue };
        match word.certificate() {
            Some(certificate) => {
                let file = authority::install(&config, domain.name, certificate)?;
                document.written.push(file.display().to_string());
            }
            None => word.publish(&domain.sites(), domain.layout)?,
        }
    }
    print(&document, args.json)?;
    let missing = signed.iter().filter(|word| word.is_none()).count();
    if missing > 0 {
        output::note(&format!("{missing} signatures are missing: run it again with them"));
        return Ok(Exit::Partial);
    }
    Ok(Exit::Ok)
}

/// The domain of this home that a word is about, whose root has to be the request's.
fn own<'a>(config: &'a Config, request: &RootRequest, word: &RootWord) -> Result<Domain<'a>> {
    let name = DomainName::of_word(word.domain()).ok_or_else(|| {
        Report::new(Exit::Usage, format!("this home has no domain `{}`", word.domain()))
            .safe("nothing was changed")
    })?;
    let domain = Domain::named(config, name)?;
    if domain.trust == request.root {
        return Ok(domain);
    }
    Err(Report::new(Exit::WrongKey, "the request is for another root than this home's")
        .detail(format!("request: {}", request.root))
        .detail(format!("domain {name}: {}", domain.trust))
        .at(config.file.display().to_string())
        .safe("nothing was changed"))
}

/// Each word with its signature, if it is among them: by what was signed, not by names of files.
fn matched(request: &RootRequest, paths: &[PathBuf]) -> Result<Vec<Option<RootWord>>> {
    let mut signed: Vec<Option<RootWord>> = vec![None; request.words.len()];
    for file in files(paths)? {
        let text = file.display().to_string();
        let bytes = read_signature(&text, SIGNATURE_BYTES)?;
        let signature = <[u8; SIGNATURE_BYTES]>::try_from(bytes).unwrap_or([0; SIGNATURE_BYTES]);
        let fits = |word: &RootWord| word.clone().signed(signature, &request.root);
        let found = request.words.iter().enumerate().find_map(|(at, word)| Some((at, fits(word)?)));
        let (at, word) = found.ok_or_else(|| {
            Report::new(Exit::WrongKey, "this is no signature of the root over any of the request")
                .detail(format!("root: {}", request.root))
                .at(text)
                .safe("nothing was changed")
                .next("evenkeel root show FILE --out DIR   (exactly these bytes are to be signed)")
        })?;
        signed[at] = Some(word);
    }
    Ok(signed)
}

/// The files named, and those that hold signatures in the folders named, one level of folders deep:
/// a group's table has one for each message.
fn files(paths: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for path in paths {
        let before = found.len();
        if path.is_dir() {
            in_folder(path, true, &mut found)?;
        } else {
            found.push(path.clone());
        }
        if found.len() == before {
            return Err(Report::new(Exit::NothingYet, "no signature lies in this folder")
                .at(path.display().to_string())
                .safe("nothing was changed")
                .next("files named signature.txt or *.signature are looked for"));
        }
    }
    Ok(found)
}

fn in_folder(folder: &Path, deeper: bool, found: &mut Vec<PathBuf>) -> Result<()> {
    let failed = |error: std::io::Error| Report::io("look into", folder, &error);
    let mut entries: Vec<PathBuf> = std::fs::read_dir(folder)
        .map_err(failed)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<std::io::Result<_>>()
        .map_err(failed)?;
    entries.sort();
    for path in entries {
        let is_signature = path.extension().is_some_and(|ending| ending == "signature")
            || path.file_name().is_some_and(|name| name == "signature.txt");
        if path.is_dir() && deeper {
            in_folder(&path, false, found)?;
        } else if is_signature && path.is_file() {
            found.push(path);
        }
    }
    Ok(())
}
