//! A new key period at once: a file in the host's folder asks for it, and every process that
//! writes looks at it before it does.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use evenkeel_vault::{Recipient, Writer};

use crate::config::Config;
use crate::keyfile;
use crate::output;
use crate::report::{Report, Result};

const FILE: &str = "rotate-keys";

/// What a writer's process knows of rotations that were asked for.
pub(crate) struct Rotation {
    file: PathBuf,
    /// What the file said when it was last looked at.
    seen: Mutex<Option<Vec<u8>>>,
}

impl Rotation {
    /// What was asked for before now concerns a writer that is not open any more.
    pub(crate) fn new(config: &Config) -> Self {
        let file = config.host.data.join(FILE);
        let seen = std::fs::read(&file).ok();
        Self { file, seen: Mutex::new(seen) }
    }

    /// Ends the writer's period if that was asked for since.
    pub(crate) fn follow(&self, writer: &mut Writer) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let now = std::fs::read(&self.file).ok();
        if now == *seen {
            return;
        }
        let asked = now.as_deref().map(recipients);
        *seen = now;
        match asked {
            Some(Ok(recipients)) => match writer.rotate(recipients) {
                Ok(()) => output::note("a new key period begins: it was asked for"),
                Err(error) => output::note(&format!("no new key period begins: {error}")),
            },
            Some(Err(_)) => output::note(&format!(
                "{} cannot be read: the key period goes on; evenkeel recipients rotate",
                self.file.display()
            )),
            None => {}
        }
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
