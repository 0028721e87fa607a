//! What the host that asks keeps to itself, and what it does with the answers.

use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use evenkeel_custody::group::decrypt::{Heard, Opened, Request, TargetKey, open};
use evenkeel_custody::group::{Armor, Record, Sealed};
use evenkeel_vault::{FileKeys, WrappedFileKey};

use super::files::{Shared, armored, record_text};
use super::refused;
use super::sign::name;
use crate::cli::DecryptionPurpose;
use crate::keyfile::{hex, write_new};
use crate::keys_cmd::input;
use crate::output;
use crate::report::{Exit, Report, Result};

/// The request, on the table and in the folder of whoever asks. It ends otherwise than messages.
const REQUEST: &str = "decryption.request";
const REQUEST_BYTES_MAX: usize = 64 << 20;

pub(super) fn now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

pub(super) fn lay_request(table: &Shared, request: &Request) -> Result<PathBuf> {
    table.lay(REQUEST, &request_text(request))
}

fn request_text(request: &Request) -> String {
    let words = format!("Evenkeel decryption request {}: no secret", hex(&request.id()));
    Request::ARMOR.write(&[&words], &request.to_bytes()).to_string()
}

pub(super) fn request_on(table: &Path) -> Result<Request> {
    let file = table.join(REQUEST);
    if !file.exists() {
        return Err(Report::new(Exit::NothingYet, "there is no request for a decryption")
            .at(table.display().to_string())
            .next("evenkeel keys group ask --table DIR …   (on the host that restores)"));
    }
    read(&file, Request::ARMOR, |bytes| Request::from_bytes(bytes).map_err(|it| it.to_string()))
}

fn read<T>(
    file: &Path,
    armor: Armor,
    of: impl FnOnce(&[u8]) -> std::result::Result<T, String>,
) -> Result<T> {
    let text = input::read_text_of(file, "the request", REQUEST_BYTES_MAX)?;
    let bytes = armor.read(&text).map_err(|error| error.to_string());
    bytes.and_then(|bytes| of(&bytes)).map_err(|error| {
        Report::new(Exit::Integrity, error)
            .at(file.display().to_string())
            .safe("nothing was decrypted")
    })
}

/// The folder of whoever asks.
pub(super) struct Asked {
    folder: PathBuf,
    pub(super) request: Request,
    pub(super) sealed: Sealed,
    target: TargetKey,
}

impl Asked {
    /// Keeps what only this host may have, before anybody is asked.
    pub(super) fn keep(
        folder: &Path,
        request: Request,
        sealed: Sealed,
        target: TargetKey,
    ) -> Result<Self> {
        fs::DirBuilder::new()
            .mode(0o700)
            .create(folder)
            .map_err(|error| Report::io("make the folder", folder, &error))?;
        let words = ["Evenkeel target key: secret; opens the answers to one request"];
        let text = TargetKey::ARMOR.write(&words, &target.to_bytes());
        write_new(&folder.join("target.key"), text.as_bytes())?;
        write_new(&folder.join("record.txt"), record_text(&sealed).as_bytes())?;
        write_new(&folder.join(REQUEST), request_text(&request).as_bytes())?;
        Ok(Self { folder: folder.to_owned(), request, sealed, target })
    }

    pub(super) fn of(folder: &Path) -> Result<Self> {
        let key = folder.join("target.key");
        if !key.exists() {
            return Err(Report::new(Exit::NothingYet, "nobody asked holders from here")
                .at(folder.display().to_string())
                .next("evenkeel keys group ask --quorum DIR --table DIR …"));
        }
        let target = read(&key, TargetKey::ARMOR, |bytes| {
            TargetKey::from_bytes(bytes).map_err(|error| error.to_string())
        })?;
        let sealed = armored::sealed(&folder.join("record.txt"))?;
        Ok(Self { folder: folder.to_owned(), request: request_on(folder)?, sealed, target })
    }

    pub(super) fn record(&self) -> &Record {
        self.sealed.record()
    }

    /// What there is of answers, and the file keys if a quorum's are among them.
    pub(super) fn open(&self, table: &Path) -> Result<(Heard, Option<Opened>)> {
        if now_s() >= self.request.expires_s {
            return Err(refused(&evenkeel_custody::group::Refusal::Expired)
                .at(self.folder.display().to_string())
                .next("evenkeel keys group ask …, with new folders"));
        }
        let (messages, damaged) = Shared::new(table).messages()?;
        damaged.iter().for_each(|why| output::note(&format!("not counted: {why}")));
        let table = self.request.table(self.record(), messages);
        for (why, kind, from) in &table.aside {
            let from = name(self.record(), *from);
            output::note(&format!("not counted: {kind} of {from}: it {why}"));
        }
        open(&self.request, &self.sealed, &self.target, &table)
            .map_err(|error| refused(&error).safe("nothing was decrypted"))
    }

    /// Who is still needed, as an error.
    pub(super) fn too_few(&self, heard: &Heard) -> Report {
        let names = |numbers: &[u16]| {
            let all: Vec<String> = numbers.iter().map(|it| name(self.record(), *it)).collect();
            all.join(", ")
        };
        let lacking = usize::from(heard.needed).saturating_sub(heard.good.len());
        let exit = if heard.wrong.is_empty() { Exit::NotEnoughShares } else { Exit::Integrity };
        let said = match heard.missing.as_slice() {
            [] => "nobody else can answer".to_owned(),
            missing => format!("not there yet: {}", names(missing)),
        };
        let report = Report::new(
            exit,
            format!("{} of {} answers are there; {said}", heard.good.len(), heard.needed),
        );
        let report = heard.wrong.iter().fold(report, |report, (number, misdeed)| {
            report.detail(format!("{} {misdeed}", name(self.record(), *number)))
        });
        report.safe("nothing was decrypted").next(format!(
            "{lacking} more: evenkeel keys group answer --table DIR --holder DIR --id {}",
            &hex(&self.request.id())[..16]
        ))
    }

    /// The holders of a quorum, by name.
    pub(super) fn names(&self, quorum: &[u16]) -> String {
        let holders = &self.record().holders;
        let of = |number: &u16| holders.iter().find(|holder| holder.number == *number);
        let all: Vec<&str> = quorum.iter().filter_map(of).map(|it| it.name.as_str()).collect();
        all.join(", ")
    }
}

/// The file keys that a quorum decrypted for this purpose, and whose answers they came of.
///
/// # Errors
/// Exit 22 naming who has not answered, 20 naming who answered wrongly if the others do not
/// suffice, 2 if the holders were asked for another purpose.
pub(crate) fn file_keys(
    quorum: &Path,
    table: &Path,
    purpose: DecryptionPurpose,
) -> Result<(FileKeys, String)> {
    let asked = Asked::of(quorum)?;
    if asked.request.purpose != super::ask::purpose(purpose) {
        return Err(Report::new(
            Exit::Usage,
            format!("the holders were asked for a {}", asked.request.purpose.word()),
        )
        .safe("nothing was decrypted")
        .next("evenkeel keys group ask --purpose …, with new folders"));
    }
    let (heard, opened) = asked.open(table)?;
    let opened = opened.ok_or_else(|| asked.too_few(&heard))?;
    for (number, misdeed) in &heard.wrong {
        let who = name(asked.record(), *number);
        output::note(&format!("WARNING: {who} {misdeed}; the others sufficed"));
    }
    let mut keys = FileKeys::default();
    for (stanza, key) in opened.keys {
        keys.insert(WrappedFileKey { share: stanza.share, body: stanza.body }, key);
    }
    let (needed, of) = (heard.needed, asked.record().holders.len());
    Ok((keys, format!("quorum {needed} of {of}: {}", asked.names(&opened.quorum))))
}
