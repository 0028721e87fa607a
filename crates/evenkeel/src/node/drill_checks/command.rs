//! A program of the user's own, which looks at what came back: in the scratch folder, with an
//! environment of its own, without networks where the system allows that, and never longer than it
//! may.

use std::fs::{self, File};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use evenkeel_recovery::report::{Check, Verdict};
use rustix::process::{Pid, Signal, kill_process_group};

use super::{Restored, name_of};
use crate::config::DrillCheckConfig;

const BEAT: Duration = Duration::from_millis(20);
/// Of what it said, the end is shown.
const SAID_BYTES: usize = 400;

/// What a program finds around it.
#[derive(Debug)]
pub(in super::super) struct Surroundings<'a> {
    /// The drill's folder.
    pub(in super::super) scratch: &'a Path,
    /// What came back.
    pub(in super::super) restored: &'a Restored<'a>,
    /// Variables by which a server that runs is found.
    pub(in super::super) server: Option<[(&'static str, String); 4]>,
}

/// Runs it, and judges by its exit code.
pub(in super::super) fn run(check: &DrillCheckConfig, around: &Surroundings<'_>) -> Check {
    let (verdict, detail) = match attempt(check, around) {
        Ok(found) => found,
        Err(error) => (Verdict::Unproven, format!("it could not be run: {error}")),
    };
    Check::new(&name_of(check), verdict, detail)
}

fn attempt(
    check: &DrillCheckConfig,
    around: &Surroundings<'_>,
) -> std::io::Result<(Verdict, String)> {
    let home = around.scratch.join("command");
    fs::create_dir_all(&home)?;
    let said = home.join(".said");
    // A file, not a pipe: who was left behind with a pipe in hand would hold the drill up.
    let out = File::create(&said)?;
    let apart = Apart::here();
    let mut command = apart.command(check);
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_else(|| "/usr/bin:/bin".into()))
        .env("LANG", "C.UTF-8")
        .env("HOME", &home)
        .env("TMPDIR", &home)
        .env("EVENKEEL_DRILL_DIR", around.scratch)
        .envs(around.server.iter().flatten().map(|(name, value)| (*name, value)))
        .current_dir(around.scratch)
        .stdin(Stdio::null())
        .stdout(out.try_clone()?)
        .stderr(out)
        .process_group(0);
    let folders = [
        ("EVENKEEL_DRILL_FILES", &around.restored.files),
        ("EVENKEEL_DRILL_DATABASES", &around.restored.databases),
        ("EVENKEEL_DRILL_NETWORK", &around.restored.neighbours.network),
        ("EVENKEEL_DRILL_KEYS", &around.restored.neighbours.keys),
    ];
    for (name, folder) in folders {
        if let Some(folder) = folder {
            command.env(name, folder);
        }
    }
    let begun = Instant::now();
    let mut child = Group(command.spawn()?);
    let status = child.wait(begun + Duration::from_secs(check.timeout_seconds))?;
    // Whatever it left running ends with it.
    drop(child);
    let mut words = match status {
        None => format!("it was ended after {} s", check.timeout_seconds),
        Some(status) => format!("{} after {:.1} s", ending(status), begun.elapsed().as_secs_f64()),
    };
    let said = end_of(&said);
    if !said.is_empty() {
        words.push_str(&format!(": {said}"));
    }
    if !check.network && !apart.has_no_network() {
        words.push_str("; this system did not let it be cut off from networks");
    }
    let verdict = match status {
        Some(status) if status.success() => Verdict::Ok,
        _ => Verdict::Failed,
    };
    Ok((verdict, words))
}

fn ending(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => status.to_string(),
    }
}

fn end_of(said: &Path) -> String {
    let bytes = fs::read(said).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes[bytes.len().saturating_sub(SAID_BYTES)..]);
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    lines.join("; ")
}

/// A process with all that it started, which ends with it.
struct Group(Child);

impl Group {
    /// `None` if it had not ended by then.
    fn wait(&mut self, until: Instant) -> std::io::Result<Option<ExitStatus>> {
        loop {
            if let Some(status) = self.0.try_wait()? {
                return Ok(Some(status));
            }
            if Instant::now() >= until {
                return Ok(None);
            }
            std::thread::sleep(BEAT);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = i32::try_from(self.0.id()).ok().and_then(Pid::from_raw) {
            // Where nobody is left there is nobody to end.
            let _ = kill_process_group(group, Signal::KILL);
        }
        let _ = self.0.wait();
    }
}

/// How far this system lets a program be set apart.
#[derive(Debug, Clone)]
enum Apart {
    /// In namespaces of its own: without networks, and all of it ends when this drill does.
    Namespaces { unshare: PathBuf, flags: Vec<&'static str> },
    /// It ends when this drill does, unless it makes itself a session.
    Told { setpriv: PathBuf },
    /// It is only ended when its time is over.
    Not,
}

impl Apart {
    fn here() -> &'static Self {
        static FOUND: OnceLock<Apart> = OnceLock::new();
        FOUND.get_or_init(|| {
            let flags = vec!["--pid", "--fork", "--kill-child=KILL"];
            let as_myself = || ["--user", "--map-current-user"].into_iter().chain(flags.clone());
            for flags in [flags.clone(), as_myself().collect()] {
                let Some(unshare) = program("unshare") else { break };
                let mut trial = Command::new(&unshare);
                trial.args(&flags).args(["--net", "true"]);
                if works(trial) {
                    return Self::Namespaces { unshare, flags };
                }
            }
            if let Some(setpriv) = program("setpriv") {
                let mut trial = Command::new(&setpriv);
                trial.args(["--pdeathsig", "KILL", "true"]);
                if works(trial) {
                    return Self::Told { setpriv };
                }
            }
            Self::Not
        })
    }

    fn has_no_network(&self) -> bool {
        matches!(self, Self::Namespaces { .. })
    }

    fn command(&self, check: &DrillCheckConfig) -> Command {
        let words = check.command.iter();
        match self {
            Self::Namespaces { unshare, flags } => {
                let mut command = Command::new(unshare);
                command.args(flags);
                if !check.network {
                    command.arg("--net");
                }
                command.arg("--").args(words);
                command
            }
            Self::Told { setpriv } => {
                let mut command = Command::new(setpriv);
                command.args(["--pdeathsig", "KILL", "--"]).args(words);
                command
            }
            Self::Not => {
                let mut words = words;
                let mut command = Command::new(words.next().map_or("", String::as_str));
                command.args(words);
                command
            }
        }
    }
}

fn works(mut trial: Command) -> bool {
    trial.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    trial.status().is_ok_and(|status| status.success())
}

fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let places = std::env::split_paths(&path).chain(["/usr/bin".into(), "/bin".into()]);
    places.map(|folder| folder.join(name)).find(|place| place.is_file())
}

#[cfg(test)]
mod tests {
    use super::super::Neighbours;
    use super::*;

    fn ran(script: &str, timeout_seconds: u64) -> (Check, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let files = Some(folder.path().join("files"));
        fs::create_dir(folder.path().join("files")).unwrap();
        fs::write(folder.path().join("files/ledger"), "7").unwrap();
        let scratch = folder.path();
        let restored = Restored {
            scratch,
            files,
            files_time_ns: 0,
            databases: None,
            neighbours: Neighbours::default(),
        };
        let check = DrillCheckConfig {
            name: "books".to_owned(),
            command: ["sh", "-c", script].map(str::to_owned).to_vec(),
            timeout_seconds,
            ..DrillCheckConfig::default()
        };
        let around = Surroundings { scratch, restored: &restored, server: None };
        (run(&check, &around), folder)
    }

    #[test]
    fn a_program_sees_what_came_back_and_nothing_of_our_environment() {
        let script = "test \"$(cat $EVENKEEL_DRILL_FILES/ledger)\" = 7 && test -z \"$CARGO\" \
                      && test \"$(pwd)\" = \"$EVENKEEL_DRILL_DIR\" && echo the books balance";
        let (check, _folder) = ran(script, 30);
        assert_eq!(check.verdict, Verdict::Ok, "{check:?}");
        assert_eq!(check.name.0, "check:books");
        assert!(check.detail.0.contains("the books balance"), "{check:?}");
        let (check, _folder) = ran("echo 3 trades are missing >&2; exit 9", 30);
        assert_eq!(check.verdict, Verdict::Failed);
        assert!(check.detail.0.starts_with("exit 9 after"), "{check:?}");
        assert!(check.detail.0.contains("3 trades are missing"), "{check:?}");
    }

    #[test]
    fn one_that_takes_too_long_is_ended_with_all_that_it_started() {
        let script =
            "(while true; do sleep 0.05; echo x >> $EVENKEEL_DRILL_DIR/alive; done) & wait";
        let (check, folder) = ran(script, 1);
        assert_eq!(check.verdict, Verdict::Failed, "{check:?}");
        assert!(check.detail.0.contains("it was ended after 1 s"), "{check:?}");
        let size = || fs::metadata(folder.path().join("alive")).unwrap().len();
        let before = size();
        assert!(before > 0);
        std::thread::sleep(Duration::from_millis(400));
        assert_eq!(size(), before, "its child goes on writing");
    }

    #[test]
    fn a_program_that_is_not_there_fails_with_its_name() {
        let restored_in = tempfile::tempdir().unwrap();
        let scratch = restored_in.path();
        let restored = Restored {
            scratch,
            files: None,
            files_time_ns: 0,
            databases: None,
            neighbours: Neighbours::default(),
        };
        let check = DrillCheckConfig {
            command: vec!["/nowhere/check-books".to_owned()],
            ..DrillCheckConfig::default()
        };
        let around = Surroundings { scratch, restored: &restored, server: None };
        let found = run(&check, &around);
        assert!(matches!(found.verdict, Verdict::Failed | Verdict::Unproven), "{found:?}");
        assert!(found.detail.0.contains("check-books") || found.verdict == Verdict::Unproven);
    }
}
