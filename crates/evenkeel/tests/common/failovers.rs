//! Failovers of a kept home, one after the other: how long nobody was acknowledged, and whether
//! anything acknowledged was lost or applied twice.

use std::time::Duration;

use rustix::process::{Signal, kill_process};
use serde_json::Value;

use super::Rig;
use super::daemon::{Daemon, holder, is_alive, live_status};

/// What `evenkeel failover` asks for.
const AGREED_ENTRIES_MAX: u64 = 16_384;
/// A standby that is still catching up is not what a failover is measured with.
const LAG_ENTRIES_MAX: u64 = 1_000;

/// What one failover cost.
#[derive(Debug, Clone)]
pub struct Failover {
    pub kind: String,
    /// The longest time that any client waited for an answer.
    pub seconds: f64,
    /// The longest time in which none was answered while one waited.
    pub silence_seconds: f64,
    pub term: u64,
}

/// The pair under test, with its clients.
pub struct Pair {
    pub rig: Rig,
    keeper: Daemon,
    /// Of the present primary.
    term: u64,
}

impl Pair {
    /// A new home with a primary, a standby and the demonstration's clients.
    pub fn start(rig: Rig) -> Self {
        rig.ok("init --home h");
        let ack = rig.beside("ack");
        let mut command = rig.command("up --home h --dashboard off --ack-log");
        command.arg(ack).env("EVENKEEL_DEMO_FAILOVER_EVERY_MINUTES", "0");
        let keeper = Daemon::spawn(&rig, &mut command);
        let mut pair = Self { rig, keeper, term: 1 };
        pair.until_ready(0);
        pair
    }

    /// Waits until a standby follows the primary of a term beyond `term` and clients are answered.
    pub fn until_ready(&mut self, term: u64) {
        let rig = &self.rig;
        self.keeper.until("a standby that follows", || {
            let status = live_status(rig)?;
            let standbys = status["standbys"].as_array()?;
            // Without a recent agreement nobody hands over to it.
            let has_agreed = |one: &Value| {
                let apart = one["position"].as_u64()? - one["agreed_position"].as_u64()?;
                let is_near = one["lag_entries"].as_u64()? <= LAG_ENTRIES_MAX;
                Some(is_near && apart <= AGREED_ENTRIES_MAX)
            };
            let follows = standbys
                .iter()
                .any(|one| one["state"] == "following" && has_agreed(one) == Some(true));
            (follows && status["journal"]["term"].as_u64()? > term).then_some(())
        });
        self.keeper.until_acked(rig, 200);
    }

    /// Runs a command that prints a failover; nothing may be lost or applied twice.
    pub fn fail_over(&mut self, line: &str) -> Result<Failover, String> {
        let rig = &self.rig;
        // 10: the standby is not ready, and nothing was done.
        let said = self.keeper.until("a standby that is ready", || {
            let said = rig.run(line);
            (said.exit != 10).then_some(said)
        });
        let document: Value = serde_json::from_str(&said.out)
            .map_err(|error| format!("{line}: {error}\n{}\n{}", said.out, said.err))?;
        self.conclude(line, &document)
    }

    /// Stops the primary for good, as a host does whose hypervisor has forgotten it; it is to be
    /// killed before it is replaced.
    pub fn stall(&mut self) -> Result<Failover, String> {
        let stopped = holder(&self.rig).ok_or("nobody holds the journal")?;
        kill_process(stopped, Signal::STOP).unwrap();
        let rig = &self.rig;
        let document = self.keeper.until("a failover", || {
            let status = live_status(rig)?;
            let term = status["last_failover"]["term"].as_u64()?;
            (term > self.term).then(|| status["last_failover"].clone())
        });
        if is_alive(stopped) {
            return Err("the stopped primary was replaced and not killed".to_owned());
        }
        self.conclude("stop", &document)
    }

    fn conclude(&mut self, line: &str, document: &Value) -> Result<Failover, String> {
        for count in ["acknowledged_lost", "applied_twice"] {
            if document[count] != 0 {
                return Err(format!("{line}: {count} is {}: {document}", document[count]));
            }
        }
        if document["acknowledged"].as_u64().is_none_or(|count| count < 100) {
            return Err(format!("{line}: hardly anybody traded: {document}"));
        }
        let seconds =
            |name: &str| document[name].as_f64().ok_or_else(|| format!("no time: {document}"));
        let failover = Failover {
            kind: document["kind"].as_str().unwrap_or_default().to_owned(),
            seconds: seconds("seconds")?,
            silence_seconds: seconds("silence_seconds")?,
            term: document["term"].as_u64().ok_or_else(|| format!("no term: {document}"))?,
        };
        self.term = failover.term;
        self.until_ready(failover.term - 1);
        Ok(failover)
    }

    /// Ends everything at once, and leaves the home to be looked at; says where.
    pub fn leave(self) -> String {
        self.keeper.kill();
        self.rig.leave()
    }

    /// A clean end; the home stays.
    pub fn end(self) -> Rig {
        std::thread::sleep(Duration::from_millis(100));
        self.keeper.end();
        self.rig
    }
}

/// Smallest value that the given share of all does not exceed; nearest rank.
pub fn percentile(sorted: &[f64], share: f64) -> f64 {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
    let rank = ((sorted.len() as f64 * share).ceil() as usize).max(1);
    sorted[rank - 1]
}
