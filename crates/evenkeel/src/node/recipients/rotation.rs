//! A new key period at once: a file in the host's folder asks for it, and every process that
//! writes looks at it before it does.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use evenkeel_vault::{Recipient, Writer};

use super::super::approvals::refuse_unapproved;
use super::super::domain::Domain;
use crate::config::Config;
use crate::keyfile;
use crate::output;
use crate::report::{Report, Result};

const FILE: &str = "rotate-keys";

/// What a writer's process knows of rotations that were asked for.
pub(crate) struct Rotation {
    config: Config,
    file: PathBuf,
    /// What the file said when it was last looked at.
    seen: Mutex<Option<Vec<u8>>>,
}

impl Rotation {
    /// What was asked for before now concerns a writer that is not open any more.
    pub(crate) fn new(config: &Config) -> Self {
        let file = config.host.data.join(FILE);
        let seen = std::fs::read(&file).ok();
        Self { config: config.clone(), file, seen: Mutex::new(seen) }
    }

    /// Ends the writer's period if that was asked for since.
    pub(crate) fn follow(&self, writer: &mut Writer) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let now = std::fs::read(&self.file).ok();
        if now == *seen {
            return;
        }
        let asked = now.as_deref().map(|text| recipients(text).and_then(|all| self.approved(all)));
        *seen = now;
        match asked {
            Some(Ok(recipients)) => match writer.rotate(recipients) {
                Ok(()) => output::note("a new key period begins: it was asked for"),
                Err(error) => output::note(&format!("no new key period begins: {error}")),
            },
            Some(Err(why)) => output::note(&format!(
                "the key period goes on as it is: {}\n  {}\nnext:  evenkeel recipients rotate",
                why.message(),
                self.file.display()
            )),
            None => {}
        }
    }
}

impl Rotation {
    /// A period begins for nobody whom nobody approved.
    fn approved(&self, recipients: Vec<Recipient>) -> Result<Vec<Recipient>> {
        let named: Vec<String> = recipients.iter().map(ToString::to_string).collect();
        // The network's domain has no approvals of its own, and no rotation by this file either.
        if self.config.domains.state.is_some() {
            refuse_unapproved(&self.config, &Domain::of(&self.config)?, &named)?;
        }
        Ok(recipients)
    }
}

fn recipients(text: &[u8]) -> Result<Vec<Recipient>> {
    let text = String::from_utf8_lossy(text);
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| Recipient::parse(line).map_err(Report::from)).collect()
}

/// Asks every process of this home for a new period, for these recipients.
pub(super) fn ask(host: &Path, recipients: &[Recipient], time: &str) -> Result<()> {
    let mut text = format!("# asked for on {time}\n");
    for recipient in recipients {
        text.push_str(&format!("{recipient}\n"));
    }
    let (path, part) = (host.join(FILE), host.join(format!("{FILE}.part")));
    let _ = std::fs::remove_file(&part);
    keyfile::write_new(&part, text.as_bytes())?;
    std::fs::rename(&part, &path).map_err(|error| Report::io("ask for a new period", &path, &error))
}
