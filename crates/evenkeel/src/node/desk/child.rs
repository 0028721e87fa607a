//! A command of this program in a process of its own.
//!
//! A process that follows a live database may not open it in any other way (SQLite's locks belong
//! to the process), and what a backup or a drill needs of memory goes with it.

use std::io::Read;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::super::stop::Stop;
use crate::documents::ErrorDocument;

/// How often it is looked whether the process has ended.
const BEAT: Duration = Duration::from_millis(50);

/// How a process ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) out: Vec<u8>,
    pub(crate) err: String,
}

impl Ended {
    /// Why it failed, in its own words: a document's message, or its line that says `error: `.
    pub(crate) fn why(&self) -> String {
        let document = |line: &str| serde_json::from_str::<ErrorDocument>(line).ok();
        let mut lines = self.err.lines();
        lines
            .find_map(|line| match line.strip_prefix("error: ") {
                Some(said) => Some(said.to_owned()),
                None => document(line).map(|said| said.message),
            })
            .unwrap_or_else(|| self.err.clone())
    }
}

/// Runs this program with these words; `None` if `stop` was set meanwhile: then it had `grace` to
/// end, and was killed.
///
/// # Errors
/// Why it could not be started.
pub(crate) fn run(
    words: &[&std::ffi::OsStr],
    stop: &Stop,
    grace: Duration,
) -> Option<Result<Ended, String>> {
    let started = std::env::current_exe().and_then(|program| {
        Command::new(program)
            .args(words)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // Ctrl-C at the terminal is for the daemon, which ends its processes itself.
            .process_group(0)
            .spawn()
    });
    let mut child = match started {
        Ok(child) => child,
        Err(error) => return Some(Err(error.to_string())),
    };
    // Both are read all the time: a full pipe would hold the process up.
    let (out, err) = (child.stdout.take().map(gather), child.stderr.take().map(gather));
    let status = wait(&mut child, stop, grace);
    let text = |thread: Option<JoinHandle<Vec<u8>>>| {
        thread.and_then(|thread| thread.join().ok()).unwrap_or_default()
    };
    let (out, err) = (text(out), text(err));
    match status {
        Ok(status) if !stop.is_set() => {
            let err = String::from_utf8_lossy(&err).trim().to_owned();
            Some(Ok(Ended { status, out, err }))
        }
        Ok(_) => None,
        Err(error) => Some(Err(error.to_string())),
    }
}

fn gather(mut from: impl Read + Send + 'static) -> JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        // What was read until then is what there is.
        let _ = from.read_to_end(&mut bytes);
        bytes
    })
}

fn wait(child: &mut Child, stop: &Stop, grace: Duration) -> std::io::Result<ExitStatus> {
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        if stop.sleep(BEAT) {
            break;
        }
    }
    let asked = Instant::now();
    while asked.elapsed() < grace {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        std::thread::sleep(BEAT);
    }
    // The daemon must not wait for a site that hangs.
    child.kill()?;
    child.wait()
}
