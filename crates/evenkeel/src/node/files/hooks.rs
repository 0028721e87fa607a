//! Commands around the reading of files: `files.before` puts whoever writes them to rest,
//! `files.after` lets them go on.
//!
//! What was put to rest is let go whatever happens: after a failure at once, and after this process
//! was killed by the next one, which finds the mark that was made durable before anything was put
//! to rest. Letting go twice has to be harmless.

use std::fs::{self, File};
use std::io::Read as _;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::writer::WriterHome;
use crate::config::FilesConfig;
use crate::report::{Exit, Report, Result};

/// Says that something may be at rest.
const MARK: &str = "frozen";
/// How often it is looked whether a command has ended.
const BEAT: Duration = Duration::from_millis(20);
/// How much of what a command says is told.
const SAID_BYTES_MAX: u64 = 400;

/// Whoever writes the files is at rest as long as this is.
#[derive(Debug)]
pub(super) struct Rest {
    after: Vec<String>,
    limit: Duration,
    mark: PathBuf,
    is_over: bool,
}

impl Rest {
    /// Lets go what a killed process left at rest, then puts to rest.
    ///
    /// # Errors
    /// What a command said; nothing is at rest then, or the next start lets it go.
    pub(super) fn begin(files: &FilesConfig, home: &WriterHome) -> Result<Self> {
        let mut rest = Self {
            after: files.after.clone(),
            limit: Duration::from_secs(files.hook_timeout_seconds),
            mark: home.dir.join(MARK),
            is_over: true,
        };
        if rest.mark.exists() {
            crate::output::note("a backup was cut short while files.before held: files.after runs");
            rest.is_over = false;
            rest.end()?;
        }
        if files.before.is_empty() && files.after.is_empty() {
            return Ok(rest);
        }
        let failed = |error| Report::io("write", &rest.mark, &error);
        let file = File::create(&rest.mark).map_err(failed)?;
        file.sync_all().map_err(failed)?;
        crate::init::sync_folder(&home.dir)?;
        rest.is_over = false;
        if let Err(why) = run("files.before", &files.before, rest.limit) {
            let report = Report::new(Exit::Failed, format!("files.before failed: {why}"));
            return Err(match rest.end() {
                Ok(()) => report
                    .safe("nothing was read; files.after has run; earlier points are as they were")
                    .next("mend the command in [files], and repeat: evenkeel backup"),
                Err(also) => also.detail(format!("files.before had failed: {why}")),
            });
        }
        Ok(rest)
    }

    /// Lets go.
    ///
    /// # Errors
    /// What the command said; the next start tries again.
    pub(super) fn end(&mut self) -> Result<()> {
        if std::mem::replace(&mut self.is_over, true) {
            return Ok(());
        }
        run("files.after", &self.after, self.limit).map_err(|why| {
            Report::new(Exit::Failed, format!("files.after failed: {why}"))
                .safe("recovery points are as they were; the next backup runs it again first")
                .next("let go by hand what files.before put to rest")
        })?;
        match fs::remove_file(&self.mark) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(Report::io("remove", &self.mark, &error))
            }
            _ => Ok(()),
        }
    }
}

impl Drop for Rest {
    fn drop(&mut self) {
        if let Err(report) = self.end() {
            report.print(false);
        }
    }
}

/// Runs a command to its end, in a process group of its own: what ends us at a terminal does not
/// end what lets go.
fn run(name: &str, words: &[String], limit: Duration) -> Result<(), String> {
    let Some((program, rest)) = words.split_first() else {
        return Ok(());
    };
    let mut child = Command::new(program)
        .args(rest)
        .env("EVENKEEL_HOOK", name)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()
        .map_err(|error| format!("{program}: {}", crate::report::plain(&error)))?;
    let deadline = Instant::now() + limit;
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) if Instant::now() < deadline => std::thread::sleep(BEAT),
            Ok(None) => {
                kill(&mut child);
                return Err(format!("{program} was not done within {} s", limit.as_secs()));
            }
            Err(error) => return Err(format!("{program}: {}", crate::report::plain(&error))),
        }
    };
    if status.success() {
        return Ok(());
    }
    let mut said = Vec::new();
    if let Some(err) = child.stderr.take() {
        // Whoever it started may hold the pipe open: what is there by now is enough.
        let _ = rustix::fs::fcntl_setfl(&err, rustix::fs::OFlags::NONBLOCK);
        let _ = err.take(SAID_BYTES_MAX).read_to_end(&mut said);
    }
    let said = String::from_utf8_lossy(&said);
    let said: String = said.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    Err(format!("{program} ended with {status}: {}", said.trim()))
}

fn kill(child: &mut Child) {
    let group = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw);
    if let Some(group) = group {
        // It may have ended in this moment.
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
    }
    let _ = child.wait();
}
