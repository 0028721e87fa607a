//! A kept home whose processes are killed again and again, at moments that one seed decides.

use std::collections::BTreeMap;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::Rig;
use super::audit::{Audited, Promises, applied_twice, audit, text};
use super::daemon::{Daemon, children, holder, is_alive, live_status};
use super::random::Random;

/// What a series is to do.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    pub seed: u64,
    pub kills: u64,
    /// A new home after so many, so that foundings are killed as well.
    pub home_every: u64,
}

/// What a series saw.
#[derive(Debug, Default)]
pub struct Tally {
    pub homes: u64,
    /// `kill -9` by who was meant.
    pub kills: BTreeMap<&'static str, u64>,
    /// Processes that were killed.
    pub processes: u64,
    /// Terms beyond the first of each home.
    pub terms: u64,
    pub audited: Audited,
    pub digests: u64,
}

/// Who is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Victim {
    Primary,
    Standby,
    Both,
    /// The keeper with both and with the clients.
    All,
}

impl Victim {
    /// Every one of them within ten kills, so that short series have all.
    fn choose(number: u64) -> Self {
        match number % 10 {
            0 | 2 | 5 | 8 => Self::Primary,
            1 | 4 | 7 => Self::Standby,
            3 | 6 => Self::Both,
            _ => Self::All,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Primary => "primary",
            Self::Standby => "standby",
            Self::Both => "both",
            Self::All => "all",
        }
    }
}

/// One home and what was promised about it.
struct Home {
    rig: Rig,
    keeper: Option<Daemon>,
    promises: Promises,
}

impl Home {
    fn new(random: &mut Random) -> Self {
        let segment = random.pick(&["1048576", "2097152", "8388608"]);
        let rate = random.pick(&["2000", "10000"]);
        let rig = Rig::new()
            .with("EVENKEEL_JOURNAL_SEGMENT_BYTES", segment)
            .with("EVENKEEL_DEMO_FAILOVER_EVERY_MINUTES", "0")
            .with("EVENKEEL_RECOVERY_POINT_EVERY_SECONDS", "2")
            .with("EVENKEEL_VENUE_ACCOUNTS", "100")
            .with("EVENKEEL_VENUE_COMMANDS_PER_SECOND", rate);
        rig.ok("init --home h --dashboard off");
        Self { rig, keeper: None, promises: Promises::default() }
    }

    /// The keeper, started if it was killed.
    fn keeper(&mut self) -> (&mut Daemon, &Rig) {
        let rig = &self.rig;
        let keeper = self.keeper.get_or_insert_with(|| {
            let mut command = rig.command("up --home h --dashboard off --ack-log");
            Daemon::spawn(rig, command.arg(rig.beside("ack")))
        });
        (keeper, rig)
    }

    /// Waits for the moment of the next kill.
    fn wait(&mut self, random: &mut Random) {
        let acks = random.below(1_500);
        match random.below(4) {
            // In the midst of what the kill before began.
            0 => {
                let (keeper, _) = self.keeper();
                keeper.until("a process", || Some(()));
            }
            1 => {
                let (keeper, rig) = self.keeper();
                keeper.until_acked(rig, acks.max(1));
            }
            _ => {
                let status = self.until_followed();
                self.note(&status);
                let (keeper, rig) = self.keeper();
                keeper.until_acked(rig, acks.max(1));
            }
        }
        std::thread::sleep(Duration::from_millis(random.below(200)));
    }

    fn until_followed(&mut self) -> Value {
        let (keeper, rig) = self.keeper();
        keeper.until("a standby that follows", || {
            let status = live_status(rig)?;
            let follows = status["standbys"][0]["state"] == "following";
            (follows && status["role"] == "primary").then_some(status)
        })
    }

    /// What the primary says its output is at its position; nothing may be wrong.
    fn note(&mut self, status: &Value) {
        let position = status["journal"]["position"].as_u64().unwrap();
        self.promises.digests.push((position, text(&status["engine"]["output_digest"])));
        let wrong = ["primary_wrong", "standby_wrong", "failover_unclean"];
        let conditions = status["conditions"].as_array().unwrap();
        let is_wrong = |one: &&Value| wrong.iter().any(|kind| one["kind"] == *kind);
        assert_eq!(conditions.iter().find(is_wrong), None, "{status}");
        // Not known before the follower has come so far.
        assert_ne!(status["engine"]["digests_agree"], false, "{status}");
    }

    /// Gives how many processes it killed.
    fn kill(&mut self, victim: Victim) -> Result<u64, String> {
        if victim == Victim::All {
            let children = self.keeper().0.children();
            let Some(keeper) = self.keeper.take() else {
                return Ok(0);
            };
            keeper.kill();
            until_gone(&children);
            audit(&self.rig, &mut self.promises)?;
            return Ok(children.len() as u64 + 1);
        }
        let (keeper, rig) = self.keeper();
        let id = keeper.id();
        let all = keeper.until("somebody to be killed", || {
            let first = holder(rig);
            let mut all = children(id);
            match victim {
                Victim::Primary => all.retain(|id| Some(*id) == first),
                Victim::Standby => all.retain(|id| first.is_some_and(|first| *id != first)),
                Victim::Both | Victim::All => {}
            }
            (!all.is_empty()).then_some(all)
        });
        for id in &all {
            // It may just have ended by itself.
            let _ = kill_process(*id, Signal::KILL);
        }
        Ok(all.len() as u64)
    }

    /// A last time it is left alone, and ends cleanly.
    fn finish(mut self, tally: &mut Tally) -> Result<(), String> {
        let status = self.until_followed();
        self.note(&status);
        tally.terms += status["journal"]["term"].as_u64().unwrap() - 1;
        let (keeper, rig) = self.keeper();
        keeper.until_acked(rig, 200);
        let said = keeper.said();
        if let Some(keeper) = self.keeper.take() {
            keeper.end();
        }
        let audited = audit(&self.rig, &mut self.promises)
            .map_err(|error| format!("{error}\nthe keeper had said:\n{said}"))?;
        let twice = applied_twice(&self.rig);
        if !twice.is_empty() {
            return Err(format!("applied twice: {twice:?}"));
        }
        tally.audited.entries += audited.entries;
        tally.audited.acks += audited.acks;
        tally.audited.points += audited.points;
        tally.digests += self.promises.digests.len() as u64;
        tally.homes += 1;
        Ok(())
    }
}

/// Waits until the system has done away with all of them.
fn until_gone(all: &[Pid]) {
    while all.iter().any(|id| is_alive(*id)) {
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Runs a series.
///
/// # Errors
/// The first promise that was broken, with the kill after which it was.
pub fn run(plan: &Plan, mut say: impl FnMut(&str)) -> Result<Tally, String> {
    let mut random = Random::new(plan.seed);
    let mut tally = Tally::default();
    let mut home = Home::new(&mut random);
    for number in 0..plan.kills {
        if number > 0 && number % plan.home_every == 0 {
            let old = std::mem::replace(&mut home, Home::new(&mut random));
            old.finish(&mut tally).map_err(|error| format!("before kill {number}: {error}"))?;
        }
        let victim = Victim::choose(number);
        home.wait(&mut random);
        let killed = home.kill(victim).map_err(|error| format!("kill {number}: {error}"))?;
        *tally.kills.entry(victim.name()).or_default() += 1;
        tally.processes += killed;
        say(&format!("kill {number:>4}  {:<8} {killed} ended", victim.name()));
    }
    home.finish(&mut tally)?;
    Ok(tally)
}
