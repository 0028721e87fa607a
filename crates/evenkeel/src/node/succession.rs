//! The end of a primary that somebody else follows: it starts again as a standby.

use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use super::link_board::LinkBoard;
use crate::output;
use crate::report::{Exit, Report};

/// How long a standby may take to be told.
const TELLING: Duration = Duration::from_secs(2);

/// Replaces this process by a standby, once the successor knows that it is one. The threads that
/// still ship are cut off as by a crash: the successor ships the same. Returns only on an error.
pub(crate) fn become_standby(link: &LinkBoard) -> Report {
    let begun = Instant::now();
    while !link.is_told() && !link.is_fenced() && begun.elapsed() < TELLING {
        std::thread::sleep(Duration::from_millis(1));
    }
    output::note("another primary takes over: this process becomes a standby");
    let error = Command::new(program()).args(as_standby(std::env::args_os().skip(1))).exec();
    Report::new(Exit::Failed, format!("cannot start again as a standby: {error}"))
        .safe("everything acknowledged is durable; the other primary goes on")
        .next("evenkeel up --role standby")
}

/// The file of this program, also after another version was put in its place.
fn program() -> PathBuf {
    let path = std::env::current_exe().unwrap_or_else(|_| PathBuf::from("/proc/self/exe"));
    let text = path.to_string_lossy();
    match text.strip_suffix(" (deleted)") {
        Some(replaced) => PathBuf::from(replaced),
        None => path.clone(),
    }
}

/// The same command line with another role.
fn as_standby(args: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let mut kept = Vec::new();
    let mut skip = false;
    for arg in args {
        if std::mem::take(&mut skip) {
            continue;
        }
        if arg == "--role" {
            skip = true;
        } else if !arg.to_string_lossy().starts_with("--role=") {
            kept.push(arg);
        }
    }
    kept.extend(["--role".into(), "standby".into()]);
    kept
}

#[cfg(test)]
mod tests {
    use super::as_standby;

    #[test]
    fn the_command_line_of_a_standby_differs_in_the_role_alone() {
        let line = |text: &str| {
            let words = as_standby(text.split(' ').map(Into::into)).into_iter();
            words.map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(line("up --role primary --home x"), "up --home x --role standby");
        assert_eq!(line("up --role=primary --slot a"), "up --slot a --role standby");
        assert_eq!(line("up --home x"), "up --home x --role standby");
    }
}
