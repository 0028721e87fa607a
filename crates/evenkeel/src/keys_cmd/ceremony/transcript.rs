//! The transcript: what was done, one signed line after the other, each bound to the one before.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;

use ed25519_dalek::{Signer as _, SigningKey};
use sha2::{Digest as _, Sha256};

use crate::cli::format_time_ns;
use crate::documents::{CeremonyEntryDocument, CeremonyStep};
use crate::keyfile::hex;
use crate::keys_cmd::{input, record, signed};
use crate::output;
use crate::report::{Exit, Report, Result};

const LABEL: &[u8] = b"evenkeel ceremony entry 1\0";

/// The lines so far, all of them verified.
pub(super) struct Transcript {
    pub(super) entries: Vec<CeremonyEntryDocument>,
    pub(super) last_hash: [u8; 32],
}

impl Transcript {
    pub(super) fn empty() -> Self {
        Self { entries: Vec::new(), last_hash: [0; 32] }
    }

    /// Reads and verifies one: chain, numbers and signatures by one key.
    pub(super) fn read(file: &Path) -> Result<Self> {
        let text = input::read_text(file, "the transcript")?;
        let mut all = Self::empty();
        for (number, line) in (1..).zip(text.lines()) {
            all.take(line).map_err(|why| {
                Report::new(Exit::Integrity, format!("the transcript is not whole: {why}"))
                    .at(format!("{}:{number}", file.display()))
                    .safe("nothing was changed")
                    .next(
                        "keep it as evidence; a ceremony whose transcript was changed counts for \
                           nothing: begin a new one, with a new key",
                    )
            })?;
        }
        Ok(all)
    }

    fn take(&mut self, line: &str) -> std::result::Result<(), &'static str> {
        let entry: CeremonyEntryDocument =
            serde_json::from_str(line).map_err(|_| "this is no line of a transcript")?;
        if usize::try_from(entry.number) != Ok(self.entries.len()) {
            return Err("a line is missing, or there twice");
        }
        if entry.previous_hex != hex(&self.last_hash) {
            return Err("it does not follow from the line before");
        }
        if self.entries.first().is_some_and(|first| first.public_key_hex != entry.public_key_hex) {
            return Err("it is signed by another key than the first line");
        }
        if line_of(&entry) != line || !is_signed(&entry) {
            return Err("its signature does not hold");
        }
        self.last_hash = Sha256::digest(line).into();
        self.entries.push(entry);
        Ok(())
    }

    /// Appends a line and waits until it is on disk.
    pub(super) fn append(
        &mut self,
        file: &Path,
        key: &SigningKey,
        step: CeremonyStep,
        facts: BTreeMap<String, String>,
    ) -> Result<()> {
        let mut entry = CeremonyEntryDocument {
            number: u32::try_from(self.entries.len()).unwrap_or(u32::MAX),
            time: format_time_ns(record::now_ns()),
            step,
            facts,
            previous_hex: hex(&self.last_hash),
            public_key_hex: hex(key.verifying_key().as_bytes()),
            signature_hex: String::new(),
        };
        entry.signature_hex = hex(&key.sign(&signed_bytes(&entry)).to_bytes());
        let line = line_of(&entry);
        let failed = |error: std::io::Error| Report::io("write the transcript", file, &error);
        let mut to = OpenOptions::new().create(true).append(true).open(file).map_err(failed)?;
        to.write_all(format!("{line}\n").as_bytes()).map_err(failed)?;
        to.sync_all().map_err(failed)?;
        self.last_hash = Sha256::digest(&line).into();
        self.entries.push(entry);
        Ok(())
    }

    /// The last line of a step.
    pub(super) fn last(&self, step: CeremonyStep) -> Option<&CeremonyEntryDocument> {
        self.entries.iter().rev().find(|entry| entry.step == step)
    }

    /// What each line of a step says of something, such as the cards that were read back.
    pub(super) fn all(&self, step: CeremonyStep, fact: &str) -> Vec<&str> {
        let of_step = self.entries.iter().filter(|entry| entry.step == step);
        of_step.filter_map(|entry| entry.facts.get(fact)).map(String::as_str).collect()
    }
}

/// Takes away a last line without its end: what it says was never acknowledged, so that its step is
/// due again.
pub(super) fn drop_torn_line(file: &Path) -> Result<()> {
    let text = input::read(file, "the transcript")?;
    let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    if whole == text.len() {
        return Ok(());
    }
    let failed = |error: std::io::Error| Report::io("mend the transcript", file, &error);
    let opened = OpenOptions::new().write(true).open(file).map_err(failed)?;
    opened.set_len(whole as u64).map_err(failed)?;
    opened.sync_all().map_err(failed)?;
    output::note("the transcript's last line was torn by an interruption: its step is due again");
    Ok(())
}

fn line_of(entry: &CeremonyEntryDocument) -> String {
    serde_json::to_string(entry).unwrap_or_default()
}

fn signed_bytes(entry: &CeremonyEntryDocument) -> Vec<u8> {
    let unsigned = CeremonyEntryDocument { signature_hex: String::new(), ..entry.clone() };
    [LABEL, line_of(&unsigned).as_bytes()].concat()
}

fn is_signed(entry: &CeremonyEntryDocument) -> bool {
    signed::holds(&entry.public_key_hex, &entry.signature_hex, &signed_bytes(entry))
}
