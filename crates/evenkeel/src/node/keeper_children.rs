//! The two processes that a keeper keeps running in its home.
//!
//! Each is in a process group of its own, so that a Ctrl-C reaches the keeper alone, which ends
//! them in order; each asks the system to be killed when the keeper is.

use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::stop::Stop;
use crate::cli::{Slot, UpArgs};
use crate::config::Config;
use crate::output;
use crate::report::{Exit, Report, Result};

/// A process that ended within this time is started again after twice the wait.
const SOON: Duration = Duration::from_secs(1);
const WAIT_MIN: Duration = Duration::from_millis(50);
const WAIT_MAX: Duration = Duration::from_secs(2);
/// How long a process may take to end when it is asked to; the primary ships what is left.
const ENDING: Duration = Duration::from_secs(120);
const BEAT: Duration = Duration::from_millis(10);

/// One of them, running or to be started again.
pub(crate) struct Kept {
    pub(crate) slot: Slot,
    child: Option<Child>,
    started: Instant,
    wait: Duration,
    /// When it ended.
    ended: Option<Instant>,
}

impl Kept {
    pub(crate) fn new(slot: Slot) -> Self {
        let started = Instant::now();
        Self { slot, child: None, started, wait: WAIT_MIN, ended: None }
    }

    pub(crate) fn runs(&self) -> bool {
        self.child.is_some()
    }

    /// Whether it may be started: a process that keeps ending is not started at once.
    pub(crate) fn is_due(&self) -> bool {
        self.child.is_none() && self.ended.is_none_or(|ended| ended.elapsed() >= self.wait)
    }

    /// Starts it. Call from a thread that lives as long as the keeper: the system kills the process
    /// when the thread that started it ends.
    pub(crate) fn start(&mut self, role: &str, config: &Config, args: &UpArgs) -> Result<()> {
        let program = std::env::current_exe();
        let mut command = Command::new(program.map_err(|error| cannot_start(&error))?);
        command.args(["up", "--role", role, "--slot", self.slot.word(), "--dashboard", "off"]);
        command.arg("--config").arg(&config.file);
        if let Some(seed) = args.seed {
            command.arg("--seed").arg(seed.to_string());
        }
        if let Some(accounts) = args.accounts {
            command.arg("--accounts").arg(accounts.to_string());
        }
        if args.unsafe_no_fdatasync {
            command.arg("--unsafe-no-fdatasync");
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).process_group(0);
        self.child = Some(command.spawn().map_err(|error| cannot_start(&error))?);
        self.started = Instant::now();
        Ok(())
    }

    /// How it ended, once, if it did since the last look.
    pub(crate) fn take_end(&mut self) -> Option<ExitStatus> {
        let status = self.child.as_mut()?.try_wait().ok()??;
        self.child = None;
        self.ended = Some(Instant::now());
        let is_soon = self.started.elapsed() < SOON;
        self.wait = if is_soon { (self.wait * 2).min(WAIT_MAX) } else { WAIT_MIN };
        Some(status)
    }

    /// `kill -9`.
    pub(crate) fn kill(&mut self) {
        if let Some(child) = &mut self.child {
            // It may just have ended by itself.
            let _ = child.kill();
        }
    }

    /// Asks it to end, and waits until it has.
    pub(crate) fn end(&mut self) -> Option<ExitStatus> {
        let child = self.child.as_mut()?;
        let _ = kill_process(Pid::from_child(child), Signal::TERM);
        let begun = Instant::now();
        while begun.elapsed() < ENDING {
            if let Some(status) = self.take_end() {
                return Some(status);
            }
            std::thread::sleep(BEAT);
        }
        let slot = self.slot;
        output::note(&format!("process {slot} does not end; it is killed, which loses nothing"));
        let mut child = self.child.take()?;
        let _ = child.kill();
        child.wait().ok()
    }
}

fn cannot_start(error: &std::io::Error) -> Report {
    Report::new(Exit::Failed, format!("cannot start another process of this program: {error}"))
        .safe("everything acknowledged is durable; the next start recovers by itself")
        .next("evenkeel up --role primary   (one process, without a standby)")
}

/// What a process's end means for whoever started it.
pub(crate) fn exit_of(status: ExitStatus) -> Exit {
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    let known = Exit::ALL.iter().find(|(exit, _)| Some(exit.code()) == code);
    known.map_or(Exit::Failed, |(exit, _)| *exit)
}

/// For people.
pub(crate) fn end_in_words(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("ended with exit code {code}"),
        (None, Some(signal)) => format!("was ended by signal {signal}"),
        (None, None) => "ended".to_owned(),
    }
}

/// In a keeper's process: ends it with the keeper, also when that is killed.
pub(crate) fn die_with_keeper(stop: &Stop) {
    // Without it a killed keeper's processes would go on alone; they still could be ended.
    let _ = rustix::process::set_parent_process_death_signal(Some(Signal::KILL));
    // The keeper may have ended before that took hold: then somebody else is the parent.
    if rustix::process::getppid().is_none_or(|parent| parent.as_raw_pid() == 1) {
        stop.set();
    }
}
