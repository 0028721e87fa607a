//! The drill thread: starts a drill in a process of its own, now and then, and keeps its result.
//! The process stands for the drill host: it has its own identity and reads the sites only.

use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::observed::{Observed, lock};
use super::stop::Stop;
use crate::config::Config;
use crate::documents::{DrillDocument, Outcome, Severity};
use crate::report::Result;

/// How often it looks whether a drill is due.
const BEAT: Duration = Duration::from_millis(250);

pub(crate) struct DrillLoop {
    pub(crate) config: Config,
    pub(crate) observed: Arc<Observed>,
}

impl DrillLoop {
    pub(crate) fn run(self, stop: &Stop) -> Result<()> {
        lock(&self.observed.drills).drills = super::drill_cmd::history(&self.config);
        let every = Duration::from_secs(self.config.drill.every_seconds);
        if every.is_zero() {
            return Ok(());
        }
        // The first drill follows the first recovery point.
        while lock(&self.observed.points).points.is_empty() {
            if stop.sleep(BEAT) {
                return Ok(());
            }
        }
        loop {
            let next_at = Instant::now() + every;
            self.drill(stop);
            lock(&self.observed.drills).next_at = Some(next_at);
            while Instant::now() < next_at {
                if stop.sleep(BEAT) {
                    return Ok(());
                }
            }
        }
    }

    fn drill(&self, stop: &Stop) {
        match self.spawn(stop) {
            Some(Ok(document)) => self.note(document),
            Some(Err(why)) => self.trouble(&why),
            None => {}
        }
    }

    /// `None` if the daemon ends meanwhile.
    fn spawn(&self, stop: &Stop) -> Option<Result<DrillDocument, String>> {
        let program = match std::env::current_exe() {
            Ok(program) => program,
            Err(error) => return Some(Err(error.to_string())),
        };
        let child = Command::new(program)
            .arg("drill")
            .arg("--config")
            .arg(&self.config.file)
            .arg("--json")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // Ctrl-C at the terminal is for the daemon, which ends the drill itself.
            .process_group(0)
            .spawn();
        let child = match child {
            Ok(child) => child,
            Err(error) => return Some(Err(error.to_string())),
        };
        let mut child = child;
        // Its answer is small: it never waits for somebody to read it.
        while matches!(child.try_wait(), Ok(None)) {
            if stop.sleep(BEAT) {
                // The daemon must not wait for a site that hangs.
                let _ = child.kill();
                let _ = child.wait();
                return None;
            }
        }
        let output = match child.wait_with_output() {
            Ok(output) => output,
            Err(error) => return Some(Err(error.to_string())),
        };
        if stop.is_set() {
            return None;
        }
        let parsed = serde_json::from_slice(&output.stdout);
        Some(parsed.map_err(|_| String::from_utf8_lossy(&output.stderr).trim().to_owned()))
    }

    fn note(&self, document: DrillDocument) {
        let passed = document.result == Outcome::Ok;
        if passed {
            self.observed.conditions.clear("drill_failed");
            let mut points = lock(&self.observed.points);
            let proven = points.points.iter_mut().find(|one| one.id == document.recovery_point);
            if let Some(point) = proven.filter(|_| document.level.proves_restore()) {
                point.proven_time = Some(document.time.clone());
            }
        } else {
            let first = document
                .checks
                .iter()
                .find(|check| matches!(check.result, Outcome::Failed | Outcome::Unproven));
            let why = first.map_or_else(String::new, |check| {
                format!("{} {}: {}", check.name, check.result.word(), check.detail)
            });
            self.trouble(&why);
        }
        lock(&self.observed.drills).keep(document);
    }

    fn trouble(&self, why: &str) {
        self.observed.conditions.raise(
            "drill_failed",
            Severity::Critical,
            format!("the last drill did not pass: {why}"),
            "trading goes on; what is at the sites was not changed by the drill",
            "evenkeel drill --level D3",
        );
    }
}
