//! `keys hsm init` and `keys hsm generate`

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use evenkeel_custody::Random as _;
use evenkeel_hsm::{Kind, Uri};

use super::super::input::OsRandom;
use super::super::record::now_ns;
use super::{deadline, public_words, show};
use crate::cli::{HsmGenerateArgs, HsmInitArgs, format_time_ns};
use crate::documents::HsmKeyDocument;
use crate::keyfile::{hex, unhex, write_new};
use crate::output;
use crate::report::{Exit, Report, Result};
use crate::token_key::{self, TokenKey};

/// `keys hsm init`
pub(super) fn init(args: &HsmInitArgs) -> Result<Exit> {
    let pin = |reference: &str| {
        token_key::read_pin(reference).map_err(|why| {
            Report::new(Exit::WrongKey, format!("no PIN: {why}")).safe("no token was asked")
        })
    };
    let (officer, user) = (pin(&args.so_pin)?, pin(&args.pin)?);
    let launch = token_key::launch(Duration::from_secs(args.deadline_seconds));
    let made = evenkeel_hsm::init_token(&launch, &args.module, &args.label, &officer, &user)
        .map_err(token_key::report)?;
    show::print(&args.module.display().to_string(), &[made], args.json)?;
    Ok(Exit::Ok)
}

/// `keys hsm generate`
pub(super) fn generate(args: &HsmGenerateArgs) -> Result<Exit> {
    let uri: Uri = args.token.parse().map_err(token_key::report)?;
    let kind: Kind = args.kind.parse().map_err(token_key::report)?;
    let id = match &args.id {
        Some(digits) => {
            unhex(digits).filter(|id| (1..=32).contains(&id.len())).ok_or_else(|| {
                Report::new(Exit::Usage, "--id takes 1 to 32 bytes as hexadecimal digits")
                    .safe("no token was asked")
            })?
        }
        None => {
            let mut id = vec![0; 8];
            OsRandom.fill(&mut id).map_err(|why| Report::new(Exit::Failed, why.to_string()))?;
            id
        }
    };
    for file in [Some(&args.out), args.public.as_ref()].into_iter().flatten() {
        if file.exists() {
            return Err(Report::new(Exit::Failed, "there is a file already")
                .at(file.display().to_string())
                .safe("it was left untouched, and no key was made"));
        }
    }
    let patience = &args.patience;
    let mut session = token_key::session(&uri, deadline(patience), patience.final_try, true)?;
    let born = session.generate(kind, &args.label, &id).map_err(token_key::report)?;
    let token = session.token().clone();
    let uri = Uri {
        token: Some(token.label.clone()),
        serial: Some(token.serial.clone()).filter(|serial| !serial.is_empty()),
        object: Some(args.label.clone()),
        id: Some(id),
        pin_source: uri.pin_source.as_deref().map(lasting),
        ..uri
    };
    let made = format_time_ns(now_ns());
    let mut words = vec![
        ("token".to_owned(), token.name()),
        ("made".to_owned(), made.clone()),
        ("kind".to_owned(), kind.to_string()),
    ];
    words.extend(public_words(kind, &born.public));
    for (name, value) in [("holder", &args.holder), ("place", &args.place)] {
        words.extend(value.clone().map(|value| (name.to_owned(), value)));
    }
    let key = TokenKey { kind, public: born.public, uri, words };
    write_new(&args.out, key.to_text().as_bytes())?;
    if let (Some(file), Some(der)) = (&args.public, key.public.to_spki_der()) {
        write_new(file, pem(&der).as_bytes())?;
    }
    print(&document(&key, true, &made), args.json)?;
    Ok(Exit::Ok)
}

/// A reference to a file, such that it means the same in every folder.
fn lasting(reference: &str) -> String {
    let file = reference.strip_prefix("file:").map(|file| std::path::absolute(file.trim()));
    match file {
        Some(Ok(file)) => format!("file:{}", file.display()),
        _ => reference.to_owned(),
    }
}

/// RFC 7468.
fn pem(der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines = text.as_bytes().chunks(64).filter_map(|line| std::str::from_utf8(line).ok());
    let lines: Vec<&str> = lines.collect();
    format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", lines.join("\n"))
}

/// The record of a key.
pub(super) fn document(key: &TokenKey, cannot_leave: bool, proven: &str) -> HsmKeyDocument {
    let word = |name: &str| key.word(name).map(str::to_owned);
    let public = key.public.to_bytes();
    HsmKeyDocument {
        kind: key.kind.to_string(),
        token: key.uri.token.clone().unwrap_or_default(),
        serial: key.uri.serial.clone().unwrap_or_default(),
        label: key.uri.object.clone().unwrap_or_default(),
        id_hex: key.uri.id.as_deref().map(hex).unwrap_or_default(),
        public_hex: (!public.is_empty()).then(|| hex(&public)),
        ethereum_address: key.public.ethereum_address(),
        recipient: key.public.recipient().filter(|_| key.kind == Kind::Recipient),
        holder: word("holder"),
        place: word("place"),
        made: word("made").unwrap_or_default(),
        proven: proven.to_owned(),
        cannot_leave,
    }
}

/// The record, for people or as a document.
pub(super) fn print(document: &HsmKeyDocument, json: bool) -> Result<()> {
    if json {
        return output::document(document);
    }
    let mut lines = vec![format!(
        "{} key {} (id {}) in token {} {}: proven, {}",
        document.kind,
        document.label,
        document.id_hex,
        document.token,
        document.serial,
        if document.cannot_leave { "born in it and cannot leave" } else { "COULD LEAVE" }
    )];
    let shown = [
        ("public key", &document.public_hex),
        ("address   ", &document.ethereum_address),
        ("recipient ", &document.recipient),
    ];
    for (name, value) in shown {
        lines.extend(value.as_ref().map(|value| format!("{name}  {value}")));
    }
    output::result(&lines.join("\n"))
}
