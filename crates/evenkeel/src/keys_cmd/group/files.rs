//! The holder's own folder and the table.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use evenkeel_custody::group::sign::Request;
use evenkeel_custody::group::{Enrolment, HolderKey, KeyShare, Message, Plan, Sealed, Seed};
use zeroize::Zeroizing;

use crate::keyfile::{hex, write_new};
use crate::keys_cmd::input;
use crate::report::{Exit, Report, Result};

/// Domains that a holder decrypts for.
const TRUSTED: &str = "trusted-domains.txt";
/// More files than this on a table are no ceremony's.
const TABLE_FILES_MAX: usize = 4_096;

/// A file's bytes.
pub(super) fn read_bytes(file: &Path, what: &str) -> Result<Zeroizing<Vec<u8>>> {
    input::read(file, what)
}

/// Files in their form as text.
pub(super) mod armored {
    use super::{Enrolment, Exit, Path, Plan, Report, Request, Result, Sealed, Zeroizing, input};
    use evenkeel_custody::group::Armor;

    fn bytes(file: &Path, armor: Armor, what: &str) -> Result<Zeroizing<Vec<u8>>> {
        let text = input::read_text(file, what)?;
        armor.read(&text).map_err(|error| damaged(file, &error))
    }

    fn damaged(file: &Path, error: &dyn std::fmt::Display) -> Report {
        Report::new(Exit::Integrity, error.to_string())
            .at(file.display().to_string())
            .safe("nothing was made of it")
    }

    pub(in super::super) fn enrolment(file: &Path) -> Result<Enrolment> {
        let bytes = bytes(file, Enrolment::ARMOR, "the enrolment")?;
        Enrolment::from_bytes(&bytes).map_err(|error| damaged(file, &error))
    }

    pub(in super::super) fn plan(file: &Path) -> Result<Plan> {
        let bytes = bytes(file, Plan::ARMOR, "the plan")?;
        Plan::from_bytes(&bytes).map_err(|error| damaged(file, &error))
    }

    pub(in super::super) fn sealed(file: &Path) -> Result<Sealed> {
        let bytes = bytes(file, Sealed::ARMOR, "the record")?;
        Sealed::from_bytes(&bytes).map_err(|error| damaged(file, &error))
    }

    pub(in super::super) fn request(file: &Path) -> Result<Request> {
        let bytes = bytes(file, Request::ARMOR, "the request")?;
        Request::from_bytes(&bytes).map_err(|error| damaged(file, &error))
    }
}

/// What is one holder's alone.
pub(super) struct Own {
    folder: PathBuf,
}

impl Own {
    pub(super) fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned() }
    }

    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    pub(super) fn make(&self) -> Result<()> {
        fs::create_dir_all(&self.folder)
            .map_err(|error| Report::io("make the folder", &self.folder, &error))
    }

    pub(super) fn enrolment(&self) -> PathBuf {
        self.file("enrolment.txt")
    }

    /// Names and public root keys of the domains that this holder decrypts for.
    pub(super) fn trusted(&self) -> Result<Vec<(String, String)>> {
        let file = self.file(TRUSTED);
        if !file.exists() {
            return Ok(Vec::new());
        }
        let text = input::read_text(&file, "the list of domains")?;
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let pairs = lines.filter_map(|line| line.split_once(' '));
        Ok(pairs.map(|(name, root)| (name.to_owned(), root.trim().to_owned())).collect())
    }

    pub(super) fn trust(&self, domain: &str, root: &str) -> Result<()> {
        let mut all = self.trusted()?;
        let one = (domain.to_owned(), root.to_owned());
        if !all.contains(&one) {
            all.push(one);
        }
        let mut text =
            "# Evenkeel: domains this holder decrypts for, with their root keys\n".to_owned();
        for (domain, root) in all {
            text.push_str(&format!("{domain} {root}\n"));
        }
        replace(&self.file(TRUSTED), text.as_bytes())?;
        sync(&self.folder)
    }

    pub(super) fn without(&self, name: &str) -> Report {
        Report::new(Exit::NothingYet, format!("there is no {name}"))
            .at(self.folder.display().to_string())
            .next("take part in a ceremony first: evenkeel keys group step")
    }

    pub(super) fn write_key(&self, key: &HolderKey, enrolment: &Enrolment) -> Result<()> {
        let words = [
            format!("Evenkeel holder key of {}", enrolment.name),
            "Whoever has it can speak for this holder; it is no share of any key.".to_owned(),
        ];
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let text = HolderKey::ARMOR.write(&words, &key.to_bytes());
        write_new(&self.file("holder.key"), text.as_bytes())?;
        let words = [format!("Evenkeel enrolment of {}: no secret", enrolment.name)];
        let text = Enrolment::ARMOR.write(&[&words[0]], &enrolment.to_bytes());
        write_new(&self.enrolment(), text.as_bytes())
    }

    fn secret<T, E: std::fmt::Display>(
        &self,
        name: &str,
        armor: evenkeel_custody::group::Armor,
        of: impl FnOnce(&[u8]) -> std::result::Result<T, E>,
    ) -> Result<Option<T>> {
        let file = self.file(name);
        if !file.exists() {
            return Ok(None);
        }
        let text = input::read_text(&file, "the key")?;
        let read = armor.read(&text).map_err(|error| error.to_string());
        let read = read.and_then(|bytes| of(&bytes).map_err(|error| error.to_string()));
        read.map(Some)
            .map_err(|error| Report::new(Exit::Integrity, error).at(file.display().to_string()))
    }

    pub(super) fn key(&self) -> Result<HolderKey> {
        let key = self.secret("holder.key", HolderKey::ARMOR, HolderKey::from_bytes)?;
        key.ok_or_else(|| {
            Report::new(Exit::NothingYet, "there is no holder.key")
                .at(self.folder.display().to_string())
                .next("evenkeel keys group enroll --name NAME --place PLACE --holder DIR")
        })
    }

    /// The record in force here.
    pub(super) fn record(&self) -> Result<Option<Sealed>> {
        let file = self.file("record.txt");
        if file.exists() { armored::sealed(&file).map(Some) } else { Ok(None) }
    }

    /// The share of the record in force here.
    pub(super) fn share(&self) -> Result<Option<KeyShare>> {
        let Some(sealed) = self.record()? else {
            return Ok(None);
        };
        let name = share_name(sealed.record().generation);
        self.secret(&name, KeyShare::ARMOR, KeyShare::from_bytes)
    }

    /// What was drawn for a plan; drawn now, if nothing was yet.
    pub(super) fn seed(&self, plan: &Plan) -> Result<Seed> {
        let name = seed_name(&plan.id());
        if let Some(seed) = self.secret(&name, Seed::ARMOR, Seed::from_bytes)? {
            return Ok(seed);
        }
        let seed = Seed::generate(plan, &mut input::OsRandom)
            .map_err(|error| Report::new(Exit::Failed, error.to_string()))?;
        let words = ["Evenkeel ceremony seed: destroyed when the ceremony ends"];
        let text = Seed::ARMOR.write(&words, &seed.to_bytes());
        write_new(&self.file(&name), text.as_bytes())?;
        Ok(seed)
    }

    /// The switch: the new share first, then the record that makes it count, in one rename.
    pub(super) fn switch(&self, sealed: &Sealed, share: Option<&KeyShare>) -> Result<()> {
        let generation = sealed.record().generation;
        if let Some(share) = share {
            let file = self.file(&share_name(generation));
            let words = [format!("Evenkeel share of holder {}: secret", share.number)];
            let text = KeyShare::ARMOR.write(&[&words[0]], &share.to_bytes());
            // Written before a crash: the same share again.
            if !file.exists() {
                write_new(&file, text.as_bytes())?;
            }
        }
        replace(&self.file("record.txt"), record_text(sealed).as_bytes())?;
        sync(&self.folder)
    }

    /// After the switch: shares of other generations and what was drawn for the plan are removed.
    pub(super) fn clean(&self, plan: &[u8; 32], generation: u32) -> Result<()> {
        let failed = |error: std::io::Error| Report::io("remove", &self.folder, &error);
        let kept = share_name(generation);
        for entry in fs::read_dir(&self.folder).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let share = name.starts_with("share-") && name.ends_with(".key") && name != kept;
            if share || name == seed_name(plan) {
                fs::remove_file(&path).map_err(failed)?;
            }
        }
        sync(&self.folder)
    }
}

fn share_name(generation: u32) -> String {
    format!("share-{generation}.key")
}

fn seed_name(plan: &[u8; 32]) -> String {
    let id: String = hex(plan).chars().take(16).collect();
    format!("ceremony-{id}.seed")
}

pub(in super::super) fn record_text(sealed: &Sealed) -> Zeroizing<String> {
    let record = sealed.record();
    let words = [
        format!("Evenkeel group record, generation {}: no secret", record.generation),
        match record.recipient() {
            Some(recipient) => format!("recipient {recipient}"),
            None => format!("group key {} ({})", hex(&record.group_key), record.curve),
        },
    ];
    Sealed::ARMOR.write(&[&words[0], &words[1]], &sealed.to_bytes())
}

pub(super) fn replace(file: &Path, bytes: &[u8]) -> Result<()> {
    let beside = file.with_extension("new");
    let failed = |error: std::io::Error| Report::io("write", file, &error);
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    let mut opened = options.open(&beside).map_err(failed)?;
    opened.write_all(bytes).and_then(|()| opened.sync_all()).map_err(failed)?;
    fs::rename(&beside, file).map_err(failed)
}

fn sync(folder: &Path) -> Result<()> {
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(|error| Report::io("sync the folder", folder, &error))
}

/// Where everybody lays messages.
pub(super) struct Shared {
    pub(super) folder: PathBuf,
}

impl Shared {
    pub(super) fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned() }
    }

    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// A new table: a folder that is not there, or is empty.
    pub(super) fn make(&self) -> Result<()> {
        let folder = &self.folder;
        fs::create_dir_all(folder)
            .and_then(|()| fs::set_permissions(folder, Permissions::from_mode(0o755)))
            .map_err(|error| Report::io("make the table", folder, &error))?;
        let mut entries =
            fs::read_dir(folder).map_err(|error| Report::io("read the table", folder, &error))?;
        if entries.next().is_none() {
            return Ok(());
        }
        Err(Report::new(Exit::Usage, "the table is not empty")
            .at(folder.display().to_string())
            .safe("nothing was changed")
            .next("one table for one ceremony or signature: name a new folder: --table DIR"))
    }

    /// Lays a file down for all to read; whole or not at all, and never over another.
    pub(super) fn lay(&self, name: &str, text: &str) -> Result<PathBuf> {
        let file = self.file(name);
        let beside = self.file(&format!(".{name}.{}", std::process::id()));
        let failed = |error: std::io::Error| Report::io("write", &file, &error);
        let laid = fs::write(&beside, text)
            .and_then(|()| fs::set_permissions(&beside, Permissions::from_mode(0o644)))
            .and_then(|()| File::open(&beside)?.sync_all())
            .and_then(|()| fs::hard_link(&beside, &file));
        let _ = fs::remove_file(&beside);
        laid.map_err(failed)?;
        sync(&self.folder)?;
        Ok(file)
    }

    pub(super) fn lay_message(&self, message: &Message, name: &str) -> Result<PathBuf> {
        let words = [format!("Evenkeel group message of {name}: {}, no secret", message.kind)];
        let text = Message::ARMOR.write(&[&words[0]], &message.to_bytes());
        self.lay(&format!("{}-{:02}.txt", message.kind.word(), message.from), &text)
    }

    /// All messages on the table, and which files are none though they look like one.
    pub(super) fn messages(&self) -> Result<(Vec<Message>, Vec<String>)> {
        let failed = |error: std::io::Error| Report::io("read the table", &self.folder, &error);
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.folder).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let text = path.extension().is_some_and(|ending| ending == "txt");
            if text && !name.starts_with('.') {
                files.push(path);
            }
        }
        if files.len() > TABLE_FILES_MAX {
            return Err(Report::new(Exit::Usage, "more files than any ceremony has")
                .at(self.folder.display().to_string()));
        }
        files.sort();
        let mut messages = Vec::new();
        let mut damaged = Vec::new();
        for file in files {
            let Ok(text) = input::read_text(&file, "the message") else {
                damaged.push(format!("{}: cannot be read", file.display()));
                continue;
            };
            if !text.lines().any(|line| line.trim() == Message::ARMOR.0) {
                continue;
            }
            let read = Message::ARMOR.read(&text).and_then(|it| Message::from_bytes(&it));
            match read {
                Ok(message) => messages.push(message),
                Err(error) => damaged.push(format!("{}: {error}", file.display())),
            }
        }
        Ok((messages, damaged))
    }
}
