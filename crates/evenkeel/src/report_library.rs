//! What the libraries say, as reports: the exit code, and each part of a message in its place.

use std::io;

use evenkeel_journal::JournalError;
use evenkeel_vault::{SiteError, SiteErrorKind};

use crate::replay::ReplayError;
use crate::report::{Exit, Report};

impl From<JournalError> for Report {
    fn from(error: JournalError) -> Self {
        let exit = match &error {
            JournalError::Locked { .. } => Exit::Locked,
            JournalError::NotAJournal { .. } => Exit::NothingYet,
            JournalError::BadOptions(_) => Exit::Usage,
            JournalError::TailVanished { .. } => Exit::Integrity,
            error if error.is_corruption() => Exit::Integrity,
            _ => Exit::Failed,
        };
        match &error {
            JournalError::NotAJournal { dir } => Self::new(exit, "there is no journal here yet")
                .at(dir.display().to_string())
                .next("begin one: evenkeel up --home DIR")
                .next("bring one back: evenkeel restore --identity FILE --to NEW"),
            JournalError::Locked { dir, holder_pid, since_unix_seconds, command } => {
                let since = crate::cli::format_time_ns(since_unix_seconds * 1_000_000_000);
                Self::new(exit, format!("process {holder_pid} runs here since {since}: {command}"))
                    .at(dir.display().to_string())
                    .safe("Nothing was touched")
                    .next("evenkeel status   (asks the running one)")
                    .next(format!("kill -INT {holder_pid}   (ends it cleanly)"))
            }
            JournalError::Io { action, path, error } => {
                Self::io(action, path, error).safe("every acknowledged entry is as it was")
            }
            _ => from_text(exit, &error.to_string()),
        }
    }
}

impl From<evenkeel_vault::Error> for Report {
    fn from(error: evenkeel_vault::Error) -> Self {
        use evenkeel_vault::Error;
        let exit = match &error {
            Error::Site(error) => return Self::from(error.clone()),
            Error::NotEnoughSites { .. } => Exit::NotEnoughSites,
            Error::WrongIdentity { .. } => Exit::WrongKey,
            Error::KeyFile { .. } => Exit::WrongKey,
            Error::Fork { .. } | Error::RolledBack { .. } | Error::Integrity { .. } => {
                Exit::Integrity
            }
            Error::Invalid { .. } => Exit::Usage,
            Error::Elsewhere(error) => return from_token(error),
            Error::NothingYet { .. } => {
                return Self::new(Exit::NothingYet, error.to_string())
                    .safe("nothing was changed")
                    .next("evenkeel up   (makes the first recovery point within seconds)");
            }
            Error::AwaitsRoot { .. } => {
                return Self::new(Exit::NothingYet, error.to_string())
                    .safe("nothing was sealed")
                    .next("evenkeel root request --out FILE   (what the root has to sign)");
            }
            _ => Exit::Failed,
        };
        from_text(exit, &error.to_string())
    }
}

/// What whoever holds a key elsewhere says of it.
fn from_token(error: &io::Error) -> Report {
    let token = error.get_ref().and_then(|inner| inner.downcast_ref::<evenkeel_hsm::Error>());
    match token {
        Some(error) => crate::token_key::report(error.clone()),
        None => Report::new(Exit::Failed, error.to_string()).safe("nothing was written"),
    }
}

impl From<SiteError> for Report {
    fn from(error: SiteError) -> Self {
        let place = format!("site {}", error.site);
        let report =
            Self::new(Exit::Failed, format!("{} {}: {}", error.action, error.key, error.detail))
                .at(place);
        match error.kind {
            SiteErrorKind::Unavailable => {
                report.next("bring the site back, then: evenkeel sites probe")
            }
            SiteErrorKind::Full => report.next("make room at the site, then: evenkeel repair"),
            SiteErrorKind::Exists | SiteErrorKind::Misread => report.next("evenkeel verify"),
            _ => report,
        }
    }
}

impl From<ReplayError> for Report {
    fn from(error: ReplayError) -> Self {
        let exit = match error.exit_code() {
            2 => Exit::Usage,
            3 => Exit::Partial,
            _ => Exit::Failed,
        };
        match error {
            ReplayError::Journal(error) => error.into(),
            error => from_text(exit, &error.to_string()),
        }
    }
}

/// Words with which a message says what to do.
const ACTIONS: &[&str] =
    &["bring", "check", "choose", "free", "mend", "name", "please", "run", "see", "set", "use"];

/// A library's message says in one breath what happened, what is safe and what to do; here each
/// part goes to its place.
fn from_text(exit: Exit, text: &str) -> Report {
    let text = text.replace(". ", "\n").replace("; ", "\n");
    let mut parts = text.lines().map(|part| part.trim().trim_end_matches('.'));
    let report = Report::new(exit, parts.next().unwrap_or_default());
    parts.fold(report, |report, part| {
        let says = |words: &[&str]| words.iter().any(|word| part.to_lowercase().contains(word));
        let first = part.split(' ').next().unwrap_or_default().to_lowercase();
        if says(&["evenkeel "]) || ACTIONS.contains(&first.as_str()) {
            report.next(part)
        } else if says(&["nothing", "safe", "intact", "not touched", "untouched", "are kept"]) {
            report.also_safe(part)
        } else {
            report.detail(part)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn library_errors_keep_their_guidance_and_get_their_exit_code() {
        let locked = JournalError::Locked {
            dir: "j".into(),
            holder_pid: 7,
            since_unix_seconds: 1,
            command: "evenkeel up".to_owned(),
        };
        let report = Report::from(locked);
        assert_eq!(report.exit(), Exit::Locked);
        assert!(report.to_string().contains("process 7"), "{report}");
        assert!(report.to_string().contains("\n  safe:  Nothing was touched"), "{report}");
        assert!(report.to_string().contains("\n  next:  evenkeel status"), "{report}");
        let missing = evenkeel_vault::Error::NotEnoughSites {
            what: "restoring".to_owned(),
            needed: 3,
            found: 2,
            sites: vec!["oslo".to_owned()],
            points: Vec::new(),
        };
        let report = Report::from(missing);
        assert_eq!(report.exit(), Exit::NotEnoughSites);
        assert!(report.message().contains("oslo"), "{report}");
        assert!(report.to_string().contains("\n  safe:  nothing was changed"), "{report}");
        assert!(report.to_string().contains("\n  next:  bring 1 more"), "{report}");
    }
}
