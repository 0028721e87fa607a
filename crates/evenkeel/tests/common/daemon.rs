//! A running `evenkeel up`, and the ways in which it ends.

use std::fs::{self, File};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use serde_json::Value;

use super::{Rig, Said};

/// Nothing here takes so long, however busy the machine is.
const PATIENCE: Duration = Duration::from_secs(120);
const BEAT: Duration = Duration::from_millis(5);

/// The daemon of home `h`, in a process group of its own with the drills it starts.
pub struct Daemon {
    child: Child,
    log: PathBuf,
}

impl Daemon {
    /// Starts `up` on `h` with more arguments.
    pub fn start(rig: &Rig, more: &str) -> Self {
        Self::start_with(rig, more, |command| command)
    }

    /// The same with a last change to the command.
    pub fn start_with(
        rig: &Rig,
        more: &str,
        change: impl FnOnce(&mut Command) -> &mut Command,
    ) -> Self {
        let ack = rig.beside("ack");
        let mut command = rig.command("up --role primary --home h --dashboard off --ack-log");
        command.arg(ack).args(more.split_whitespace());
        Self::spawn(rig, change(&mut command))
    }

    /// Starts a command that is an `up`.
    pub fn spawn(rig: &Rig, command: &mut Command) -> Self {
        Self::spawn_as(rig, "up", command)
    }

    /// The same; what it says goes to a file of this name.
    pub fn spawn_as(rig: &Rig, name: &str, command: &mut Command) -> Self {
        let log = rig.beside(&format!("{name}.err"));
        let file = File::create(&log).unwrap();
        let child = command.stdout(Stdio::null()).stderr(file).process_group(0).spawn().unwrap();
        Self { child, log }
    }

    /// What it has said so far.
    pub fn said(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Waits until `ready` gives something; fails if the daemon ends before.
    pub fn until<T>(&mut self, what: &str, mut ready: impl FnMut() -> Option<T>) -> T {
        let begun = Instant::now();
        loop {
            if let Some(ready) = ready() {
                return ready;
            }
            if let Some(status) = self.child.try_wait().unwrap() {
                panic!("up ended ({status}) before {what}:\n{}", self.said());
            }
            let words = self.said();
            assert!(begun.elapsed() < PATIENCE, "never: {what}\n{words}");
            std::thread::sleep(BEAT);
        }
    }

    /// Waits until it has said these words; gives all that it has said.
    pub fn until_said(&mut self, words: &str) -> String {
        let log = self.log.clone();
        self.until(words, || {
            let said = fs::read_to_string(&log).unwrap_or_default();
            said.contains(words).then_some(said)
        })
    }

    /// Waits until clients have noted so many acknowledgements more than when this was called.
    pub fn until_acked(&mut self, rig: &Rig, more: u64) {
        // A line is a position, a space, 64 digits and the end of the line.
        let bytes = rig.ack_bytes() + more * 68;
        self.until("acknowledgements", || (rig.ack_bytes() >= bytes).then_some(()));
    }

    /// Waits for a primary of at least this term that a standby follows; gives its status.
    pub fn until_followed(&mut self, rig: &Rig, term: u64) -> Value {
        self.until("a standby that follows", || {
            let status = live_status(rig)?;
            let is_it = status["role"] == "primary" && status["journal"]["term"].as_u64()? >= term;
            (is_it && status["standbys"][0]["state"] == "following").then_some(status)
        })
    }

    /// Waits until the sites hold so many recovery points; gives the last status.
    pub fn until_points(&mut self, rig: &Rig, count: u64) -> Value {
        self.until("recovery points", || {
            let status = live_status(rig)?;
            (status["recovery_points"]["count"].as_u64()? >= count).then_some(status)
        })
    }

    /// Waits for a finding of this kind among the conditions.
    pub fn until_condition(&mut self, rig: &Rig, kind: &str) -> Value {
        self.until(kind, || {
            let status = live_status(rig)?;
            let all = status["conditions"].as_array()?.clone();
            all.into_iter().find(|one| one["kind"] == kind)
        })
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The processes that it started and that live.
    pub fn children(&self) -> Vec<Pid> {
        children(self.id())
    }

    /// Waits until a keeper's two processes are there.
    pub fn until_both(&mut self) -> Vec<Pid> {
        let id = self.id();
        self.until("both processes", || {
            let both = children(id);
            (both.len() == 2).then_some(both)
        })
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }

    /// `kill -9` of the daemon and of what it started; returns when none of them runs any more.
    pub fn kill(mut self) {
        self.kill_group();
    }

    fn kill_group(&mut self) {
        let group = self.pid();
        // Gone already if it just ended by itself.
        let _ = kill_process_group(group, Signal::KILL);
        let _ = self.child.wait();
        let begun = Instant::now();
        while runs(group.as_raw_pid()) {
            assert!(begun.elapsed() < PATIENCE, "a killed process goes on");
            std::thread::sleep(BEAT);
        }
    }

    /// Waits for its end.
    pub fn wait(mut self) -> Said {
        let begun = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(begun.elapsed() < PATIENCE, "does not end:\n{}", self.said());
            std::thread::sleep(BEAT);
        };
        Said { exit: status.code().unwrap_or(-1), out: String::new(), err: self.said() }
    }

    /// Ctrl-C, as a person would end it; it has to end with 0.
    pub fn end(self) -> String {
        self.signal(Signal::INT);
        let said = self.wait();
        assert_eq!(said.exit, 0, "{}", said.err);
        said.err
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.kill_group();
        } else {
            let _ = kill_process_group(self.pid(), Signal::KILL);
            let _ = self.child.wait();
        }
    }
}

/// What a daemon that runs says of itself; `None` while none answers.
pub fn live_status(rig: &Rig) -> Option<Value> {
    let said = rig.run("status --home h --json");
    let status: Value = serde_json::from_str(&said.out).ok()?;
    status["running"].as_bool()?.then_some(status)
}

/// The process that holds the journal of `h`; `None` if nobody does.
pub fn holder(rig: &Rig) -> Option<Pid> {
    let note = fs::read_to_string(rig.journal().join("LOCK")).ok()?;
    let pid = note.lines().find_map(|line| line.strip_prefix("pid="))?;
    Pid::from_raw(pid.parse().ok()?).filter(|pid| is_alive(*pid))
}

/// The processes that this one started and that live.
pub fn children(id: u32) -> Vec<Pid> {
    let text = fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap_or_default();
    let ids = text.split_whitespace().filter_map(|id| Pid::from_raw(id.parse().ok()?));
    ids.filter(|id| is_alive(*id)).collect()
}

/// Whether a process is neither gone nor waiting to be collected.
pub fn is_alive(id: Pid) -> bool {
    let stat = fs::read_to_string(format!("/proc/{}/stat", id.as_raw_pid())).unwrap_or_default();
    let mut fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace();
    !matches!(fields.next().unwrap_or("X"), "Z" | "X")
}

/// Whether a process of this group is alive: neither gone nor waiting to be collected.
fn runs(group: i32) -> bool {
    let Ok(all) = fs::read_dir(Path::new("/proc")) else {
        return false;
    };
    all.flatten().any(|entry| {
        let stat = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        // `pid (name) state parent group …`; the name may hold spaces.
        let mut fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace();
        let state = fields.next().unwrap_or("X");
        let belongs = fields.nth(1).is_some_and(|text| text == group.to_string());
        belongs && !matches!(state, "Z" | "X")
    })
}
