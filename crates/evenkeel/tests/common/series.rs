//! A home that is killed again and again, at moments that one seed decides.

use std::collections::BTreeMap;
use std::time::Duration;

use rustix::process::Signal;

use super::Rig;
use super::audit::{Audited, Promises, audit, text};
use super::daemon::{Daemon, live_status};
use super::power_loss::{self, Cut};
use super::random::Random;

/// What a series is to do.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    pub seed: u64,
    pub runs: u64,
    /// A new home after so many runs, so that foundings are killed as well.
    pub home_every: u64,
    /// Takes back what was not synced, after each kill.
    pub power: bool,
}

/// What a series saw.
#[derive(Debug, Default)]
pub struct Tally {
    pub runs: u64,
    pub homes: u64,
    /// Runs by the moment of the kill.
    pub moments: BTreeMap<&'static str, u64>,
    /// Of all homes together.
    pub audited: Audited,
    pub digests: u64,
    pub torn_tails: u64,
    pub writes_kept: u64,
    pub writes_undone: u64,
    pub names_undone: u64,
}

/// When a run is killed.
#[derive(Debug, Clone, Copy)]
enum Moment {
    /// So long after its start, whatever it does then.
    Start(Duration),
    /// After so many more acknowledgements, and then so long.
    Running(u64, Duration),
    /// So long after a new recovery point is at the sites.
    Point(Duration),
    /// While it ends cleanly, so long after it was asked to.
    Ending(u64, Duration),
}

impl Moment {
    /// Every kind within four runs, so that short series have all of them.
    fn choose(number: u64, random: &mut Random, is_first: bool) -> Self {
        let ms = |random: &mut Random, end| Duration::from_millis(random.below(end));
        match number % 4 {
            0 => Self::Start(ms(random, if is_first { 700 } else { 300 })),
            1 => Self::Point(ms(random, 1_200)),
            2 => Self::Ending(random.below(2_000), ms(random, 250)),
            _ => Self::Running(random.below(6_000), ms(random, 60)),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Start(_) => "starting",
            Self::Running(..) => "running",
            Self::Point(_) => "after a point",
            Self::Ending(..) => "ending",
        }
    }
}

/// The shim, and where it notes what it can take back.
pub struct Power {
    library: std::path::PathBuf,
}

impl Power {
    pub fn new(rig: &Rig) -> Self {
        Self { library: power_loss::build(&rig.beside(".")) }
    }

    pub fn start(&self, rig: &Rig, more: &str) -> Daemon {
        let log = rig.beside("undo.log");
        Daemon::start_with(rig, more, |command| {
            power_loss::preload(command, &self.library, &rig.disk(), &log)
        })
    }

    pub fn cut(rig: &Rig) -> Cut {
        power_loss::cut_power(&rig.disk(), &rig.beside("undo.log"))
    }
}

/// One home and what was promised about it.
struct Series {
    rig: Rig,
    power: Option<Power>,
    promises: Promises,
    audited: Audited,
}

impl Series {
    fn new(plan: &Plan, random: &mut Random) -> Self {
        let segment = random.pick(&["1048576", "2097152", "8388608"]);
        let rates = ["2000", "20000"];
        let rate = rates[random.index(rates.len())];
        let rig = Rig::new()
            .with("EVENKEEL_JOURNAL_SEGMENT_BYTES", segment)
            .with("EVENKEEL_RECOVERY_POINT_EVERY_SECONDS", "1")
            .with("EVENKEEL_DRILL_EVERY_SECONDS", "5")
            .with("EVENKEEL_VENUE_ACCOUNTS", "100")
            // A few segments at the higher rate, many points at the lower one.
            .with("EVENKEEL_VENUE_COMMANDS_PER_SECOND", rate);
        let power = plan.power.then(|| Power::new(&rig));
        Self { rig, power, promises: Promises::default(), audited: Audited::default() }
    }

    fn start(&self) -> Daemon {
        match &self.power {
            Some(power) => power.start(&self.rig, ""),
            None => Daemon::start(&self.rig, ""),
        }
    }

    /// One start, one kill, one audit.
    fn run(&mut self, moment: Moment, tally: &mut Tally) -> Result<(), String> {
        let mut daemon = self.start();
        match moment {
            Moment::Start(wait) => std::thread::sleep(wait),
            Moment::Running(acks, wait) => {
                daemon.until_acked(&self.rig, acks.max(1));
                self.note_digest();
                std::thread::sleep(wait);
            }
            Moment::Point(wait) => {
                daemon.until_points(&self.rig, self.promises.points.len() as u64 + 1);
                self.note_digest();
                std::thread::sleep(wait);
            }
            Moment::Ending(acks, wait) => {
                daemon.until_acked(&self.rig, acks.max(1));
                self.note_digest();
                daemon.signal(Signal::INT);
                std::thread::sleep(wait);
            }
        }
        let said = daemon.said();
        daemon.kill();
        let mut lost_names = String::new();
        tally.torn_tails += u64::from(said.contains("torn tail"));
        if self.power.is_some() {
            let cut = Power::cut(&self.rig);
            tally.writes_kept += cut.kept as u64;
            tally.writes_undone += cut.undone as u64;
            tally.names_undone += cut.names.len() as u64;
            lost_names = cut.names.join("\n");
        }
        self.audited = audit(&self.rig, &mut self.promises).map_err(|error| {
            format!("{error}\nthe daemon had said:\n{said}\nnames taken back:\n{lost_names}")
        })?;
        Ok(())
    }

    /// What the restarted daemon says its output is at its position.
    fn note_digest(&mut self) {
        if let Some(status) = live_status(&self.rig) {
            let position = status["journal"]["position"].as_u64().unwrap();
            let digest = text(&status["engine"]["output_digest"]);
            self.promises.digests.push((position, digest));
        }
    }

    /// A last start that is left alone: it recovers, works, drills and ends cleanly.
    fn finish(mut self, tally: &mut Tally) -> Result<(), String> {
        let mut daemon = self.start();
        daemon.until_acked(&self.rig, 200);
        daemon.end();
        self.audited = audit(&self.rig, &mut self.promises)?;
        // A clean end makes a last point, however short it ran.
        let last = self.promises.points.last().map(|point| point["position"].as_u64());
        if last != Some(Some(self.audited.entries)) {
            return Err(format!("the last point is at {last:?} of {}", self.audited.entries));
        }
        let drill = self.rig.run("drill --home h --level D3 --json");
        if drill.exit != 0 {
            return Err(format!("the last drill: {drill:?}"));
        }
        tally.audited.entries += self.audited.entries;
        tally.audited.acks += self.audited.acks;
        tally.audited.points += self.audited.points;
        tally.digests += self.promises.digests.len() as u64;
        Ok(())
    }
}

/// Runs a series.
///
/// # Errors
/// The first promise that was broken, with the run in which it was.
pub fn run(plan: &Plan, mut say: impl FnMut(&str)) -> Result<Tally, String> {
    let mut random = Random::new(plan.seed);
    let mut tally = Tally::default();
    let mut series = Series::new(plan, &mut random);
    let mut age_runs = 0;
    for number in 0..plan.runs {
        if age_runs == plan.home_every {
            let old = std::mem::replace(&mut series, Series::new(plan, &mut random));
            old.finish(&mut tally)?;
            tally.homes += 1;
            age_runs = 0;
        }
        let moment = Moment::choose(number, &mut random, age_runs == 0);
        *tally.moments.entry(moment.name()).or_default() += 1;
        series
            .run(moment, &mut tally)
            .map_err(|error| format!("run {number}, {moment:?}: {error}"))?;
        let Audited { entries, acks, points } = series.audited;
        say(&format!(
            "run {number:>3}  {moment:?}: {entries} entries, {acks} acknowledged, {points} points"
        ));
        age_runs += 1;
        tally.runs += 1;
    }
    series.finish(&mut tally)?;
    tally.homes += 1;
    Ok(tally)
}
