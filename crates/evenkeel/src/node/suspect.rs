//! An entry at which this program panicked: what is written down of it, who tries it again, and
//! what follows.
//!
//! `HOST/suspect` is written and synced before the process ends. Whoever holds the log next and
//! panics at the entry as well lets a process of its own try it: if that panics too, the journal
//! says that the entry is passed over; if not, memory is to blame, and the suspect is set aside.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Mutex;

use evenkeel_recovery::{Checkpoint, Found, PassedOver, Poisoned, RecoveryError, Rescue};
use evenkeel_types::Position;
use evenkeel_types::merkle::Hash;
use evenkeel_venue::Engine;

use super::observed::{Conditions, lock};
use super::snapshots::Snapshots;
use crate::config::Config;
use crate::documents::Severity;
use crate::keyfile::{hex, unhex};
use crate::output;
use crate::report::Exit;

const NAME: &str = "suspect";
/// Panics at one entry that no second process had: more than one stops this host.
const UNREPRODUCED_MAX: u32 = 1;
/// Primary and follower may meet an entry at once.
static WRITING: Mutex<()> = Mutex::new(());

/// What the file holds.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Suspect {
    position: u64,
    entry: Hash,
    /// Panics there that no second process had.
    unreproduced: u32,
    /// The last of them is dealt with.
    set_aside: bool,
    text: String,
}

impl Suspect {
    fn write(&self, host: &Path) -> std::io::Result<()> {
        let Self { position, entry, unreproduced, set_aside, text } = self;
        let words = format!(
            "position {position}\nentry {}\nunreproduced {unreproduced}\nset-aside {set_aside}\n\
             text {}\n",
            hex(entry),
            text.replace('\n', " ")
        );
        let (path, part) = (host.join(NAME), host.join("suspect.part"));
        let mut file = File::create(&part)?;
        file.write_all(words.as_bytes())?;
        file.sync_all()?;
        fs::rename(&part, &path)?;
        File::open(host)?.sync_all()
    }

    /// `None`: there is none, or not a whole one.
    fn read(host: &Path) -> Option<Self> {
        let words = fs::read_to_string(host.join(NAME)).ok()?;
        let value =
            |name: &str| words.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        Some(Self {
            position: value("position")?.parse().ok()?,
            entry: unhex(value("entry")?)?.try_into().ok()?,
            unreproduced: value("unreproduced")?.parse().ok()?,
            set_aside: value("set-aside")?.parse().ok()?,
            text: value("text")?.to_owned(),
        })
    }
}

/// Writes a suspect down, durably.
pub(super) fn note(host: &Path, poisoned: &Poisoned) {
    let _writing = lock(&WRITING);
    let Poisoned { position, entry, text } = poisoned.clone();
    let known = Suspect::read(host).filter(|one| (one.position, one.entry) == (position, entry));
    let unreproduced = known.map_or(0, |one| one.unreproduced);
    let suspect = Suspect { position, entry, unreproduced, set_aside: false, text };
    if let Err(error) = suspect.write(host) {
        // The next start finds out by itself, from the journal.
        output::note(&format!("the suspect at {position} could not be written down: {error}"));
    }
}

/// As [`note`], if that is what an error is about.
pub(super) fn note_error(host: &Path, error: &RecoveryError) {
    if let RecoveryError::Poisoned(poisoned) = error {
        note(host, poisoned);
    }
}

/// One more panic that no second process had.
///
/// # Errors
/// [`RecoveryError::NotPassedOver`] if there were too many at this entry.
fn set_aside(host: &Path, suspect: Suspect) -> Result<(), RecoveryError> {
    let unreproduced = suspect.unreproduced + 1;
    let suspect = Suspect { unreproduced, set_aside: true, ..suspect };
    let Suspect { position, text, .. } = &suspect;
    suspect.write(host).map_err(|source| {
        let action = format!("writing {}", host.join(NAME).display());
        RecoveryError::Sink { action, source }
    })?;
    if unreproduced > UNREPRODUCED_MAX {
        let why = format!(
            "{unreproduced} times a process panicked there and another one did not, so this \
             host's memory cannot be trusted. The journal is untouched. Test the memory, or start \
             on another host; then remove {}",
            host.join(NAME).display()
        );
        return Err(RecoveryError::NotPassedOver { position: *position, text: text.clone(), why });
    }
    output::note(&format!(
        "a process panicked at entry {position} ({text}), and another one applied it: set aside. \
         Test this host's memory"
    ));
    Ok(())
}

/// Deals with a suspect once an engine stands behind it. Says what was set aside, if something is.
///
/// # Errors
/// As [`set_aside`].
pub(super) fn look(host: &Path, engine: &Engine) -> Result<(), RecoveryError> {
    let Some(suspect) = Suspect::read(host) else {
        return Ok(());
    };
    let position = suspect.position;
    if engine.skipped(Position(position)) == Some(suspect.entry) {
        // The journal says it all; what the panic said is kept.
        let kept = host.join(format!("passed-over-{position}"));
        let _ = fs::rename(host.join(NAME), kept);
        return Ok(());
    }
    if suspect.set_aside || position >= engine.next_position().0 {
        return Ok(());
    }
    set_aside(host, suspect)
}

/// Shows what was passed over in this term, and what was set aside.
pub(super) fn show(conditions: &Conditions, host: &Path, passed_over: &[PassedOver]) {
    if let Some(suspect) = Suspect::read(host).filter(|suspect| suspect.set_aside) {
        conditions.raise(
            "suspect_set_aside",
            Severity::Warning,
            format!(
                "a process panicked at entry {} ({}), and another one applied it",
                suspect.position, suspect.text
            ),
            "nothing was passed over; the journal is untouched",
            "test this host's memory, then remove the file `suspect` of its data",
        );
    }
    let Some(last) = passed_over.last() else {
        return;
    };
    let halted = match last.instrument {
        Some(instrument) => format!("instrument {instrument} is halted, everything else goes on"),
        None => "it names no instrument: nothing is halted".to_owned(),
    };
    let count = match passed_over.len() {
        1 => String::new(),
        count => format!(" ({count} entries in this term)"),
    };
    conditions.raise(
        "entry_passed_over",
        Severity::Critical,
        format!(
            "entry {} cannot be applied ({}) and is passed over{count}; {halted}",
            last.poisoned.position, last.poisoned.text
        ),
        "nothing acknowledged is lost; whoever sent it is told that it was refused",
        "report the entry with the panic's text; open the instrument once it is understood",
    );
}

/// This host's part of a start that meets a suspect.
pub(super) struct HostRescue<'a> {
    pub(super) config: &'a Config,
}

impl Rescue for HostRescue<'_> {
    fn snapshots(&mut self) -> Result<Vec<Checkpoint>, RecoveryError> {
        let folder = self.config.snapshots_dir();
        let loaded = Snapshots::new(folder.clone(), 1).load();
        loaded.map(|(snapshots, _)| snapshots).map_err(|source| RecoveryError::Sink {
            action: format!("reading {}", folder.display()),
            source,
        })
    }

    fn try_again(&mut self, poisoned: &Poisoned) -> Result<Found, RecoveryError> {
        let host = self.config.host.data.as_path();
        note(host, poisoned);
        let position = poisoned.position;
        output::note(&format!(
            "this program panics at entry {position} ({}): a second process tries it",
            poisoned.text
        ));
        let unknown = |why: String| RecoveryError::NotPassedOver {
            position,
            text: poisoned.text.clone(),
            why: format!("a second process could not try it: {why}. Nothing was changed"),
        };
        let tried = std::env::current_exe().and_then(|program| {
            Command::new(program)
                .args(["journal", "replay", "--until"])
                .arg((position + 1).to_string())
                .arg("--config")
                .arg(&self.config.file)
                .stdin(Stdio::null())
                .output()
        });
        let tried = tried.map_err(|error| unknown(error.to_string()))?;
        let said = String::from_utf8_lossy(&tried.stderr);
        let is_same = said.contains(&format!("panics at entry {position}:"));
        if tried.status.code() == Some(i32::from(Exit::Poisoned.code())) && is_same {
            output::note(&format!(
                "it panics there as well: entry {position} is passed over from now on"
            ));
            return Ok(Found::Same);
        }
        if !tried.status.success() {
            return Err(unknown(format!("{}, {}", tried.status, said.trim())));
        }
        if let Some(suspect) = Suspect::read(host) {
            set_aside(host, suspect)?;
        }
        Ok(Found::Nothing)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

    use super::*;

    fn poisoned(text: &str) -> Poisoned {
        Poisoned { position: 77, entry: [0xab; 32], text: text.to_owned() }
    }

    #[test]
    fn a_suspect_reads_back_as_it_was_written_down() {
        let host = tempfile::tempdir().unwrap();
        assert_eq!(Suspect::read(host.path()), None);
        note(host.path(), &poisoned("index 3\nout of bounds"));
        let read = Suspect::read(host.path()).unwrap();
        assert_eq!((read.position, read.entry, read.unreproduced), (77, [0xab; 32], 0));
        assert_eq!((read.set_aside, read.text.as_str()), (false, "index 3 out of bounds"));
    }

    #[test]
    fn one_panic_that_nobody_repeats_is_set_aside_and_a_second_one_stops_the_host() {
        let host = tempfile::tempdir().unwrap();
        note(host.path(), &poisoned("first"));
        set_aside(host.path(), Suspect::read(host.path()).unwrap()).unwrap();
        note(host.path(), &poisoned("second"));
        let suspect = Suspect::read(host.path()).unwrap();
        assert_eq!((suspect.unreproduced, suspect.set_aside), (1, false));
        let stopped = set_aside(host.path(), suspect).unwrap_err();
        assert!(stopped.to_string().contains("memory cannot be trusted"), "{stopped}");
        let other = Poisoned { position: 78, ..poisoned("elsewhere") };
        note(host.path(), &other);
        assert_eq!(Suspect::read(host.path()).unwrap().unreproduced, 0, "another entry");
    }
}
