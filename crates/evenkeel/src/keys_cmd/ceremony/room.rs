//! The ceremony's folder.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use ed25519_dalek::SigningKey;
use zeroize::Zeroizing;

use super::transcript::{self, Transcript};
use crate::documents::CeremonyStep;
use crate::keyfile::{hex, unhex, write_new};
use crate::keys_cmd::input;
use crate::report::{Exit, Report, Result};

/// The folder, locked for one process, with its verified transcript.
pub(super) struct Room {
    pub(super) dir: PathBuf,
    pub(super) transcript: Transcript,
    _lock: File,
}

impl Room {
    /// Opens the folder of a ceremony that was begun.
    pub(super) fn open(dir: &Path) -> Result<Self> {
        let room = Self::locked(dir)?;
        let file = room.transcript_file();
        if !file.exists() {
            return Err(Report::new(Exit::NothingYet, "no ceremony was begun here")
                .at(dir.display().to_string())
                .next("evenkeel keys ceremony begin --help"));
        }
        transcript::drop_torn_line(&file)?;
        let transcript = Transcript::read(&file)?;
        if transcript.entries.is_empty() {
            return Err(Report::new(Exit::NothingYet, "the ceremony was interrupted as it began")
                .at(dir.display().to_string())
                .safe("no secret was made")
                .next("remove the folder, and: evenkeel keys ceremony begin --help"));
        }
        Ok(Self { transcript, ..room })
    }

    /// Locks a folder; there may be nothing in it.
    pub(super) fn locked(dir: &Path) -> Result<Self> {
        let failed = |error: std::io::Error| Report::io("open the ceremony's folder", dir, &error);
        let lock = File::open(dir).map_err(failed)?;
        lock.try_lock().map_err(|_| {
            Report::new(Exit::Locked, "another process is at this ceremony")
                .at(dir.display().to_string())
                .safe("nothing was changed")
        })?;
        Ok(Self { dir: dir.to_owned(), transcript: Transcript::empty(), _lock: lock })
    }

    pub(super) fn transcript_file(&self) -> PathBuf {
        self.dir.join("transcript.jsonl")
    }

    /// Everything secret; wiped at the end.
    pub(super) fn secret_dir(&self) -> PathBuf {
        self.dir.join("secret")
    }

    pub(super) fn cards_dir(&self) -> PathBuf {
        self.secret_dir().join("cards")
    }

    /// What was typed off the sheets.
    pub(super) fn back_dir(&self) -> PathBuf {
        self.secret_dir().join("back")
    }

    pub(super) fn record_file(&self) -> PathBuf {
        self.dir.join("fingerprint.json")
    }

    fn key_file(&self) -> PathBuf {
        self.secret_dir().join("ceremony.key")
    }

    /// Draws the key that signs the transcript.
    pub(super) fn make_key(&self) -> Result<SigningKey> {
        for dir in [self.secret_dir(), self.back_dir()] {
            std::fs::create_dir_all(&dir).map_err(|error| Report::io("make", &dir, &error))?;
        }
        let mut seed = Zeroizing::new([0; 32]);
        getrandom::fill(seed.as_mut_slice())
            .map_err(|error| Report::new(Exit::Failed, error.to_string()))?;
        let key = SigningKey::from_bytes(&seed);
        let text = Zeroizing::new(hex(seed.as_slice()));
        write_new(&self.key_file(), Zeroizing::new(format!("{}\n", *text)).as_bytes())?;
        Ok(key)
    }

    pub(super) fn key(&self) -> Result<SigningKey> {
        let file = self.key_file();
        let text = input::read_text(&file, "the ceremony's key")?;
        let seed = Zeroizing::new(unhex(text.trim()).unwrap_or_default());
        let seed = <[u8; 32]>::try_from(seed.as_slice()).map(Zeroizing::new);
        seed.map(|seed| SigningKey::from_bytes(&seed)).map_err(|_| {
            Report::new(Exit::Integrity, "the ceremony's key is damaged")
                .at(file.display().to_string())
                .safe("nothing was changed")
                .next("begin a new ceremony: this one cannot be finished")
        })
    }

    /// A line of the transcript.
    pub(super) fn note<const N: usize>(
        &mut self,
        step: CeremonyStep,
        facts: [(&str, String); N],
    ) -> Result<()> {
        let facts: BTreeMap<String, String> =
            facts.into_iter().map(|(name, fact)| (name.to_owned(), fact)).collect();
        let (file, key) = (self.transcript_file(), self.key()?);
        self.transcript.append(&file, &key, step, facts)
    }

    fn fact(&self, name: &str) -> &str {
        let first = self.transcript.entries.first();
        first.and_then(|entry| entry.facts.get(name)).map_or("", String::as_str)
    }

    /// Who has to be there: the operator first.
    pub(super) fn roles(&self) -> Vec<String> {
        let witnesses = self.fact("witnesses").split('\n').map(str::to_owned);
        std::iter::once(self.fact("operator").to_owned()).chain(witnesses).collect()
    }

    /// A particular of the first line as a number.
    pub(super) fn number<T: std::str::FromStr>(&self, name: &str) -> Result<T> {
        self.fact(name).parse().map_err(|_| {
            Report::new(Exit::Integrity, format!("the transcript's first line has no {name}"))
                .at(self.transcript_file().display().to_string())
                .safe("nothing was changed")
                .next("begin a new ceremony with this version: this one cannot go on")
        })
    }

    pub(super) fn text(&self, name: &str) -> String {
        self.fact(name).to_owned()
    }
}

/// Overwrites and removes every file below a folder, and the folder. On flash the overwriting
/// proves nothing; in memory it is what there is.
pub(super) fn wipe(dir: &Path) -> Result<()> {
    if !dir.exists() {
        return Ok(());
    }
    let failed = |error: std::io::Error| Report::io("wipe", dir, &error);
    for entry in std::fs::read_dir(dir).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.is_dir() {
            wipe(&path)?;
            continue;
        }
        let bytes = std::fs::metadata(&path).map_err(failed)?.len();
        let zeros = vec![0; usize::try_from(bytes).unwrap_or(0)];
        let mut file = File::options().write(true).open(&path).map_err(failed)?;
        std::io::Write::write_all(&mut file, &zeros).map_err(failed)?;
        file.sync_all().map_err(failed)?;
        std::fs::remove_file(&path).map_err(failed)?;
    }
    std::fs::remove_dir(dir).map_err(failed)
}
