//! The one error type of the binary: what happened, where, what is safe, what is lost, what to
//! type next — and the process's exit code.

use std::fmt;
use std::io;
use std::path::Path;
use std::process::ExitCode;

use crate::documents::ErrorDocument;

/// Exit codes of every command; `docs/cli.md` lists them for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Everything asked for was done and every configured check passed.
    Ok = 0,
    /// It failed; the message says what is safe.
    Failed = 1,
    /// The command line or the configuration cannot be right; nothing was started.
    Usage = 2,
    /// Done in part, or something configured could not be checked.
    Partial = 3,
    /// There is nothing there yet: no home, no journal, no recovery point.
    NothingYet = 10,
    /// Another process holds the folder.
    Locked = 11,
    /// The key, identity or passphrase does not open this.
    WrongKey = 12,
    /// Bytes do not match what signs or hashes them.
    Integrity = 20,
    /// Fewer sites than needed answered with good data.
    NotEnoughSites = 21,
    /// Fewer shares than needed.
    NotEnoughShares = 22,
    /// The program panics at an entry of the journal.
    Poisoned = 23,
    /// Stopped by a signal before the result was there.
    Interrupted = 130,
}

impl Exit {
    /// Every code with its name and meaning, in order.
    pub const ALL: [(Self, &'static str); 12] = [
        (Self::Ok, "done, and every configured check passed"),
        (Self::Failed, "failed; the message says what is safe"),
        (Self::Usage, "the command line or the configuration is wrong; nothing was started"),
        (Self::Partial, "partial, or something configured could not be checked (unproven)"),
        (Self::NothingYet, "nothing there yet"),
        (Self::Locked, "locked by another process"),
        (Self::WrongKey, "wrong key, identity or passphrase"),
        (Self::Integrity, "integrity violated"),
        (Self::NotEnoughSites, "not enough sites"),
        (Self::NotEnoughShares, "not enough shares"),
        (Self::Poisoned, "an entry cannot be applied; a second process tries it at the next start"),
        (Self::Interrupted, "interrupted"),
    ];

    /// The number the shell sees.
    #[must_use]
    pub fn code(self) -> u8 {
        self as u8
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// Why a command did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report(Box<Parts>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Parts {
    exit: Exit,
    message: String,
    place: Option<String>,
    details: Vec<String>,
    safe: Option<String>,
    lost: Option<String>,
    next: Vec<String>,
}

/// Result of a command or of a step of one.
pub type Result<T, E = Report> = std::result::Result<T, E>;

impl Report {
    /// A report with what happened, in one sentence without a full stop.
    #[must_use]
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self(Box::new(Parts {
            exit,
            message: message.into(),
            place: None,
            details: Vec::new(),
            safe: None,
            lost: None,
            next: Vec::new(),
        }))
    }

    /// A system call that failed on a path.
    #[must_use]
    pub fn io(action: &str, path: &Path, error: &io::Error) -> Self {
        let report = Self::new(Exit::Failed, format!("cannot {action}: {}", plain(error)))
            .at(path.display().to_string());
        match error.kind() {
            io::ErrorKind::PermissionDenied => {
                report.next("run as the user who owns the folder, or choose another: --home DIR")
            }
            io::ErrorKind::ReadOnlyFilesystem => {
                report.next("choose a folder that can be written: --home DIR")
            }
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                report.next("free some space there and repeat the command")
            }
            _ => report,
        }
    }

    /// What is safe besides.
    #[must_use]
    pub(crate) fn also_safe(self, what: &str) -> Self {
        match self.0.safe.clone() {
            Some(safe) => self.safe(format!("{safe}; {what}")),
            None => self.safe(what),
        }
    }

    /// Where: a file with line and column, a folder, a site.
    #[must_use]
    pub fn at(mut self, place: impl Into<String>) -> Self {
        self.0.place = Some(place.into());
        self
    }

    /// One of several particulars, each on a line of its own.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.0.details.push(detail.into());
        self
    }

    /// What is untouched or still good.
    #[must_use]
    pub fn safe(mut self, safe: impl Into<String>) -> Self {
        self.0.safe = Some(safe.into());
        self
    }

    /// What is lost; say "nothing" if that is known.
    #[must_use]
    pub fn lost(mut self, lost: impl Into<String>) -> Self {
        self.0.lost = Some(lost.into());
        self
    }

    /// The next command to type, or the next thing to do; may be called several times.
    #[must_use]
    pub fn next(mut self, next: impl Into<String>) -> Self {
        self.0.next.push(next.into());
        self
    }

    /// The process's exit code.
    #[must_use]
    pub fn exit(&self) -> Exit {
        self.0.exit
    }

    /// What goes with it, line by line.
    #[must_use]
    pub(crate) fn details(&self) -> &[String] {
        &self.0.details
    }

    /// What happened.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The document `{"message_type":"error",…}`.
    #[must_use]
    pub fn to_document(&self) -> ErrorDocument {
        let parts = &self.0;
        let mut message = parts.message.clone();
        if let Some(place) = &parts.place {
            message = format!("{message} ({place})");
        }
        for detail in &parts.details {
            message = format!("{message}\n{detail}");
        }
        let safe: Vec<String> = [(&parts.safe, ""), (&parts.lost, "lost: ")]
            .into_iter()
            .filter_map(|(words, label)| words.as_ref().map(|words| format!("{label}{words}")))
            .collect();
        ErrorDocument {
            exit_code: parts.exit.code().into(),
            message,
            safe: safe.join("; "),
            next: parts.next.join("\n"),
        }
    }

    /// Prints to stderr: for people, or as one line of JSON. A closed stderr is no reason to fail.
    pub fn print(&self, json: bool) {
        if json {
            match serde_json::to_string(&self.to_document()) {
                Ok(line) => crate::output::note(&line),
                Err(_) => crate::output::note(&self.to_string()),
            }
        } else {
            crate::output::note(&self.to_string());
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = &self.0;
        write!(f, "error: {}", parts.message)?;
        if let Some(place) = &parts.place {
            write!(f, "\n  where: {place}")?;
        }
        for detail in &parts.details {
            write!(f, "\n  - {}", detail.replace('\n', "\n    "))?;
        }
        if let Some(safe) = &parts.safe {
            write!(f, "\n  safe:  {safe}")?;
        }
        if let Some(lost) = &parts.lost {
            write!(f, "\n  lost:  {lost}")?;
        }
        for (index, next) in parts.next.iter().enumerate() {
            let label = if index == 0 { "next: " } else { "      " };
            write!(f, "\n  {label} {next}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Report {}

/// The system's words without Rust's "(os error 2)".
pub(crate) fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    match text.find(" (os error") {
        Some(end) => text[..end].to_owned(),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_names_what_where_safe_lost_and_next_in_that_order() {
        let report = Report::new(Exit::Integrity, "shard 2 is damaged")
            .at("site oslo")
            .safe("every recovery point, from the other sites")
            .lost("nothing")
            .next("evenkeel repair --home demo")
            .next("evenkeel verify --home demo");
        assert_eq!(
            report.to_string(),
            "error: shard 2 is damaged\n  where: site oslo\n  \
             safe:  every recovery point, from the other sites\n  lost:  nothing\n  \
             next:  evenkeel repair --home demo\n         evenkeel verify --home demo"
        );
        let json = serde_json::to_value(report.to_document()).unwrap();
        assert_eq!(json["message_type"], "error");
        assert_eq!(json["exit_code"], 20);
        assert_eq!(json["message"], "shard 2 is damaged (site oslo)");
        assert_eq!(json["safe"], "every recovery point, from the other sites; lost: nothing");
        assert_eq!(json["next"], "evenkeel repair --home demo\nevenkeel verify --home demo");
    }

    #[test]
    fn exit_codes_are_the_documented_numbers() {
        let codes: Vec<u8> = Exit::ALL.iter().map(|(exit, _)| exit.code()).collect();
        assert_eq!(codes, [0, 1, 2, 3, 10, 11, 12, 20, 21, 22, 23, 130]);
    }

    #[test]
    fn a_full_disk_says_so_without_an_error_number() {
        let error = io::Error::from_raw_os_error(28);
        let report = Report::io("write", Path::new("home/x"), &error);
        assert!(report.to_string().contains("No space left on device"), "{report}");
        assert!(!report.to_string().contains("os error"), "{report}");
        assert!(report.to_string().contains("free some space"), "{report}");
    }
}
