//! `evenkeel root …`: what a domain's root has to sign, where the root is elsewhere.

mod accept;
mod hand;
mod sign;

use std::path::Path;

use evenkeel_custody::group::Armor;
use evenkeel_vault::{RootRequest, RootWord};
use sha2::{Digest as _, Sha256};

pub(crate) use hand::DomainRoot;

use super::approvals::{read_armored, write_armored};
use super::domain::Domain;
use crate::authority::{self, Authority};
use crate::cli::{RootCommand, RootRequestArgs, RootShowArgs};
use crate::config::{Config, DomainName};
use crate::documents::{RootDocument, RootWordDocument};
use crate::keyfile::{self, hex};
use crate::output;
use crate::report::{Exit, Report, Result};

/// A request as a file for people to carry.
const REQUEST: Armor = Armor("EVENKEEL-ROOT-REQUEST-1");

/// Runs `root …`.
pub(crate) fn run(command: &RootCommand) -> Result<Exit> {
    match command {
        RootCommand::Request(args) => request(args),
        RootCommand::Show(args) => show(args),
        RootCommand::Sign(args) => sign::run(args),
        RootCommand::Accept(args) => accept::run(args),
    }
}

fn request(args: &RootRequestArgs) -> Result<Exit> {
    let config = args.place.load()?;
    let domain = Domain::chosen(&config, args.domain)?;
    let mut request = RootRequest::new(domain.trust);
    request.words = authority::drafts(&config, domain.name)?;
    if request.words.is_empty() {
        return Err(Report::new(Exit::NothingYet, "nothing of this home waits for the root")
            .at(config.file.display().to_string())
            .safe("nothing was written")
            .next("evenkeel up, or evenkeel backup: its writers are certified"));
    }
    write_request(&args.out, &request)?;
    let mut document = described("request", &request, |_| None);
    document.written.push(args.out.display().to_string());
    print(&document, args.json)?;
    output::note(&asked_words(&args.out));
    Ok(Exit::Ok)
}

/// Who certifies a new writer of this home's state, where the root signs later: it is asked by a
/// file that is not there yet.
///
/// # Errors
/// [`Exit::Usage`] if it is there.
pub(crate) fn elsewhere(config: &Config, file: &Path) -> Result<Authority> {
    refuse_existing(file)?;
    Ok(Authority::Elsewhere(Domain::named(config, DomainName::State)?.trust))
}

/// Writes which certificates of a domain wait for its root to a new file.
///
/// # Errors
/// As [`write_request`].
pub(crate) fn write_drafts(config: &Config, domain: DomainName, file: &Path) -> Result<()> {
    let mut request = RootRequest::new(Domain::named(config, domain)?.trust);
    request.words = authority::drafts(config, domain)?;
    write_request(file, &request)
}

/// Writes what the root has to sign to a new file.
///
/// # Errors
/// If the file is there already, or cannot be written.
pub(crate) fn write_request(file: &Path, request: &RootRequest) -> Result<()> {
    write_armored(file, REQUEST, request)
}

/// A file that a request is going to be written to: better known before the work is done.
///
/// # Errors
/// [`Exit::Usage`] if it is there already.
pub(crate) fn refuse_existing(file: &Path) -> Result<()> {
    if !file.exists() {
        return Ok(());
    }
    Err(Report::new(Exit::Usage, "the file for the request is there already")
        .at(file.display().to_string())
        .safe("nothing was done")
        .next("name a new one: --root-request FILE"))
}

/// What comes next, once a request lies in a file.
pub(crate) fn asked_words(file: &Path) -> String {
    let file = file.display();
    format!(
        "the root has to sign this; it holds no secret\n\
         next:  evenkeel root show {file}   (what it says, in words; --out DIR: to be signed by a \
         group)\n\
         next:  evenkeel root sign {file} --identity FILE | --key FILE --out signatures   (where \
         the root is)\n\
         next:  evenkeel root accept {file} --signatures PATH   (here)"
    )
}

fn read_request(file: &Path) -> Result<RootRequest> {
    let text = std::fs::read_to_string(file)
        .map_err(|error| Report::io("read the request", file, &error))?;
    read_armored(&text, REQUEST).map_err(|report| report.at(file.display().to_string()))
}

fn show(args: &RootShowArgs) -> Result<Exit> {
    let request = read_request(&args.request)?;
    let mut document = described("show", &request, |_| None);
    if let Some(out) = &args.out {
        crate::init::make_folder(out)?;
        for (at, word) in request.words.iter().enumerate() {
            let file = out.join(format!("{}-{}", at + 1, word.kind()));
            keyfile::write_new(&file, &word.message())?;
            document.written.push(file.display().to_string());
        }
    }
    print(&document, args.json)?;
    Ok(Exit::Ok)
}

/// How people compare a message that is not text.
fn sha256(message: &[u8]) -> String {
    hex(&Sha256::digest(message))
}

/// What a request asks for; `counts` says which of it counts already, if that is known.
fn described(
    action: &str,
    request: &RootRequest,
    counts: impl Fn(usize) -> Option<bool>,
) -> RootDocument {
    let word = |(at, word): (usize, &RootWord)| RootWordDocument {
        number: at as u64 + 1,
        says: word.kind().to_owned(),
        domain: word.domain().to_owned(),
        sha256: sha256(&word.message()),
        words: word.words().into_iter().map(|(name, value)| format!("{name}: {value}")).collect(),
        counts: counts(at),
    };
    RootDocument {
        action: action.to_owned(),
        root_public_key: request.root.to_string(),
        words: request.words.iter().enumerate().map(word).collect(),
        written: Vec::new(),
    }
}

fn print(document: &RootDocument, json: bool) -> Result<()> {
    if json {
        return output::document(document);
    }
    let mut results = output::Results::new();
    results.line(&format!("to be signed by root {}", document.root_public_key))?;
    for word in &document.words {
        let counts = match word.counts {
            Some(true) => ": signed, and counts",
            Some(false) => ": not signed yet",
            None => "",
        };
        results.line(&format!("{}{counts}", word.number))?;
        for line in &word.words {
            results.line(&format!("  {line}"))?;
        }
        results.line(&format!("  SHA-256: {}", word.sha256))?;
    }
    for file in &document.written {
        results.line(&format!("written  {file}"))?;
    }
    results.finish()
}
