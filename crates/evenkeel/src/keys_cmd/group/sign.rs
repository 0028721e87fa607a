//! `keys group request` and `keys group sign`

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

use evenkeel_custody::group::sign::{Request, Session, aggregate};
use evenkeel_custody::group::{
    Curve, Ed25519, HolderKey, KeyShare, Kind, Message, Pending, Recipient, Record, Sealed,
    Secp256k1, Suite, Table,
};
use sha2::Digest as _;

use super::files::{Own, Shared, armored, read_bytes, record_text};
use super::step::{Place, advance};
use super::{contract_form, fault, of_record, refused, say};
use crate::cli::{GroupRequestArgs, GroupSignArgs};
use crate::documents::{GroupContractDocument, GroupDocument, GroupState};
use crate::keyfile::hex;
use crate::keys_cmd::input::OsRandom;
use crate::output;
use crate::report::{Exit, Report, Result};

/// How often the table is looked at.
const POLL: Duration = Duration::from_millis(200);

pub(super) fn request(args: &GroupRequestArgs) -> Result<Exit> {
    let sealed = armored::sealed(&args.record)?;
    let mut written = Vec::new();
    let mut first = None;
    for (at, file) in args.message.iter().enumerate() {
        let folder = match args.message.len() {
            1 => args.table.clone(),
            _ => args.table.join((at + 1).to_string()),
        };
        let request = request_one(args, &sealed, file, &Shared::new(&folder), &mut written)?;
        first.get_or_insert(request);
    }
    let Some(request) = first else { return Err(nothing_to_sign(&args.table)) };
    let named: Vec<String> = args.message.iter().map(|file| file.display().to_string()).collect();
    let document = GroupDocument {
        state: GroupState::Requested,
        missing: request.signers.clone(),
        written,
        next: vec![format!(
            "each signer, after comparing {} with what is to be signed: evenkeel keys group sign \
             --table {} --holder DIR",
            named.join(", "),
            args.table.display()
        )],
        ..of_record(sealed.record())
    };
    let document = GroupDocument { id: Some(hex(&request.id())), ..document };
    say("requested  a signature", &document, args.json)?;
    Ok(Exit::Ok)
}

fn request_one(
    args: &GroupRequestArgs,
    sealed: &Sealed,
    file: &Path,
    table: &Shared,
    written: &mut Vec<String>,
) -> Result<Request> {
    let message = read_bytes(file, "the message")?;
    let signers: BTreeSet<u16> = args.signers.iter().copied().collect();
    let request = Request::new(sealed, &message, &signers, &mut OsRandom)
        .map_err(|error| refused(&error).safe("nobody was asked"))?;
    table.make()?;
    written.push(lay_request(table, &request)?);
    Ok(request)
}

fn nothing_to_sign(table: &Path) -> Report {
    Report::new(Exit::NothingYet, "no request lies on the table")
        .at(table.display().to_string())
        .safe("nothing was signed")
        .next("evenkeel keys group request --table TABLE --record FILE --message FILE --signers …")
}

fn lay_request(table: &Shared, request: &Request) -> Result<String> {
    let words = format!("Evenkeel group request {}: no secret", hex(&request.id()));
    let text = Request::ARMOR.write(&[&words], &request.to_bytes());
    Ok(table.lay("request.txt", &text)?.display().to_string())
}

pub(super) fn run(args: &GroupSignArgs) -> Result<Exit> {
    let (own, table) = (Own::new(&args.holder), Shared::new(&args.table));
    let key = own.key()?;
    if table.file("plan.txt").exists() {
        return test(&own, &Wait::new(&table, &key, args.wait), args);
    }
    let sealed = own.record()?.ok_or_else(|| own.without("record.txt"))?;
    let share = own.share()?.ok_or_else(|| own.without("share"))?;
    let tables = tables(&table, &args.table);
    let mut written = Vec::new();
    let mut signed = Vec::new();
    for table in &tables {
        let wait = Wait::new(table, &key, args.wait);
        signed.push(sign_one(&wait, &sealed, &share, &mut written)?);
    }
    // Of several, each lies on its table.
    let alone = signed.pop().filter(|_| signed.is_empty());
    let (signature_hex, contract) = alone.unwrap_or_default();
    let record = sealed.record();
    let state = GroupState::Signed;
    let document = GroupDocument { state, signature_hex, contract, written, ..of_record(record) };
    say("signed  by the group", &document, args.json)?;
    Ok(Exit::Ok)
}

/// The table itself, or those below it that were laid for one message each.
fn tables(table: &Shared, folder: &Path) -> Vec<Shared> {
    let below: Vec<Shared> = (1_u32..)
        .map(|number| folder.join(number.to_string()))
        .take_while(|folder| folder.is_dir())
        .map(|folder| Shared::new(&folder))
        .collect();
    if below.is_empty() || table.file("request.txt").exists() {
        return vec![Shared::new(folder)];
    }
    below
}

type Signed = (Option<String>, Option<GroupContractDocument>);

fn sign_one(
    wait: &Wait<'_>,
    sealed: &Sealed,
    share: &KeyShare,
    written: &mut Vec<String>,
) -> Result<Signed> {
    let request = armored::request(&wait.table.file("request.txt"))?;
    let record = sealed.record();
    output::note(&format!(
        "signing {} bytes, SHA-256 {}",
        request.message.len(),
        hex(&sha2::Sha256::digest(&request.message))
    ));
    #[cfg(feature = "whole")]
    say_root_word(&request.message);
    let subject = Subject { request: &request, record, sealed: Some(sealed), share };
    let signature = wait.signature_on_curve(&subject)?;
    // Everybody has all shares of the signature, and all make the same one.
    written.extend(lay_once(wait.table, "signature.txt", &format!("{}\n", hex(&signature)))?);
    Ok((Some(hex(&signature)), contract_form(record, &request.message, &signature)?))
}

/// What the group says as a domain's root, if that is what it signs: from the very bytes.
#[cfg(feature = "whole")]
fn say_root_word(message: &[u8]) {
    if let Some(word) = evenkeel_vault::RootWord::of_message(message) {
        let lines = word.words().into_iter().map(|(name, value)| format!("\n  {name}: {value}"));
        output::note(&format!("as the root of a domain:{}", lines.collect::<String>()));
    }
}

/// The signature that puts a new generation in force.
fn test(own: &Own, wait: &Wait<'_>, args: &GroupSignArgs) -> Result<Exit> {
    let came = advance(own, wait.table)?;
    let Place::Ready(pending) = came.to else {
        return Err(Report::new(Exit::Partial, "the test signature is not due yet")
            .next("evenkeel keys group step, until everybody has acknowledged"));
    };
    let Pending { record, share } = *pending;
    let share = share.ok_or_else(|| {
        refused(&evenkeel_custody::group::Refusal::NotAHolder)
            .detail("only holders of the new generation sign its test")
    })?;
    let file = wait.table.file("request.txt");
    if !file.exists() {
        let first = record.holders.iter().take(usize::from(record.threshold));
        let signers = first.map(|holder| holder.number).collect();
        let request =
            Request::test(&record, &signers, &mut OsRandom).map_err(|error| refused(&error))?;
        // Another signer may have been quicker: then the request on the table counts.
        if let Err(error) = lay_request(wait.table, &request)
            && !file.exists()
        {
            return Err(error);
        }
    }
    let request = armored::request(&file)?;
    let subject = Subject { request: &request, record: &record, sealed: None, share: &share };
    let signature = wait.signature_on_curve(&subject)?;
    let sealed = Sealed::new(record.clone(), signature).map_err(|error| refused(&error))?;
    let written = lay_once(wait.table, "record.txt", &record_text(&sealed))?;
    let next = format!(
        "everybody: evenkeel keys group step --table {} --holder DIR",
        args.table.display()
    );
    let state = GroupState::Signed;
    let document = GroupDocument { state, written, next: vec![next], ..of_record(&record) };
    say("signed  the test: the new generation can go in force", &document, args.json)?;
    Ok(Exit::Ok)
}

fn lay_once(table: &Shared, name: &str, text: &str) -> Result<Vec<String>> {
    match table.lay(name, text) {
        Ok(file) => Ok(vec![file.display().to_string()]),
        Err(_) if table.file(name).exists() => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

struct Subject<'a> {
    request: &'a Request,
    record: &'a Record,
    /// `None` for the test of a record that is not in force yet.
    sealed: Option<&'a Sealed>,
    share: &'a KeyShare,
}

struct Wait<'a> {
    table: &'a Shared,
    until: Instant,
    key: &'a HolderKey,
}

impl<'a> Wait<'a> {
    fn new(table: &'a Shared, key: &'a HolderKey, seconds: u64) -> Self {
        Self { table, until: Instant::now() + Duration::from_secs(seconds), key }
    }

    fn signature_on_curve(&self, subject: &Subject<'_>) -> Result<Vec<u8>> {
        match subject.record.curve {
            Curve::Ed25519 => self.signature::<Ed25519>(subject),
            Curve::Secp256k1 => self.signature::<Secp256k1>(subject),
            Curve::Recipient => self.signature::<Recipient>(subject),
        }
    }

    fn signature<C: Suite>(&self, subject: &Subject<'_>) -> Result<Vec<u8>> {
        let Subject { request, record, share, .. } = *subject;
        let names = |number: u16| name(record, number);
        let begun = match subject.sealed {
            Some(sealed) => Session::<C>::begin(request, sealed, share, self.key, &mut OsRandom),
            None => Session::<C>::begin_test(request, record, share, self.key, &mut OsRandom),
        };
        let (session, message) =
            begun.map_err(|error| refused(&error).safe("nothing was signed"))?;
        self.lay(&message, record)?;
        let commitments = self.wait(subject, Kind::Commitment)?;
        let signed = session.sign(&commitments).map_err(|it| fault(names, &it))?;
        self.lay(&signed, record)?;
        let shares = self.wait(subject, Kind::SignatureShare)?;
        aggregate::<C>(request, record, &shares).map_err(|it| fault(names, &it))
    }

    fn lay(&self, message: &Message, record: &Record) -> Result<()> {
        let laid = self.table.lay_message(message, &name(record, message.from));
        laid.map(|_| ()).map_err(|error| {
            error.next(
                "if an earlier process of this holder began this signing, its secrets are gone: \
                 make a new request on a new table",
            )
        })
    }

    fn wait(&self, subject: &Subject<'_>, kind: Kind) -> Result<Table> {
        loop {
            let (messages, _) = self.table.messages()?;
            let table = subject.request.table(subject.record, messages);
            let missing = subject.request.missing(kind, &table);
            if missing.is_empty() {
                return Ok(table);
            }
            if Instant::now() >= self.until {
                let names: Vec<String> =
                    missing.iter().map(|number| name(subject.record, *number)).collect();
                return Err(Report::new(
                    Exit::Partial,
                    format!("no {kind} by {} in time", names.join(", ")),
                )
                .safe("nothing was signed, and what was drawn for it is gone")
                .next("make a new request, with other signers if these cannot be reached"));
            }
            std::thread::sleep(POLL);
        }
    }
}

pub(super) fn name(record: &Record, number: u16) -> String {
    let known = record.holders.iter().find(|holder| holder.number == number);
    known.map_or_else(
        || format!("holder {number}"),
        |holder| format!("holder {number} ({})", holder.name),
    )
}
