//! Histories that are aimed at one way of recovery: what leads to it, and right before it other
//! faults of any kind, so that every fault meets every way back often. The aim is drawn from the
//! seed like everything else: a seed says all there is to say about its history.

use crate::coverage::Path;
use crate::plan::{COMMANDS_MIN, FAULTS_MIN, Fault, Micros, Mode, Plan, Planned, TRIO, When};
use crate::random::Random;

/// A history has so many rounds, each with an aim of its own.
const ROUNDS: u64 = 3;
/// From one round to the next: longer than a fault is remembered.
const ROUND: Micros = 151_000;
/// The faults before lie at most so long before what leads to the way back.
const BEFORE: Micros = 70_000;

/// Ways back that one host is aimed at; those that are harder to reach more often.
const AIMS_OF_PAIR: [Path; 29] = [
    Path::TornTail,
    Path::TornTail,
    Path::TornTail,
    Path::TornTail,
    Path::TornTail,
    Path::TornTail,
    Path::TornTail,
    Path::Fence,
    Path::HandOver,
    Path::HandOver,
    Path::FetchSites,
    Path::FetchSites,
    Path::Mend,
    Path::Salvage,
    Path::Salvage,
    Path::Refuse,
    Path::Refetch,
    Path::Barred,
    Path::Barred,
    Path::Barred,
    Path::Full,
    Path::Full,
    Path::Full,
    Path::Full,
    Path::Unharmed,
    Path::Unharmed,
    Path::Unharmed,
    Path::Unharmed,
    Path::Unharmed,
];

/// Ways back that two hosts are aimed at.
const AIMS_OF_MIRROR: [Path; 22] = [
    Path::TornTail,
    Path::TornTail,
    Path::Fence,
    Path::FetchSites,
    Path::FetchMirror,
    Path::FetchMirror,
    Path::FetchMirror,
    Path::FetchMirror,
    Path::FetchMirror,
    Path::Salvage,
    Path::Refetch,
    Path::FetchMirror,
    Path::FetchMirror,
    Path::TornTail,
    Path::TornTail,
    Path::TornTail,
    Path::Barred,
    Path::Barred,
    Path::Full,
    Path::Full,
    Path::Unharmed,
    Path::Unharmed,
];

/// Ways back that three hosts are aimed at.
const AIMS_OF_TRIO: [Path; 16] = [
    Path::TornTail,
    Path::TornTail,
    Path::TornTail,
    Path::TornTail,
    Path::Fence,
    Path::TornTail,
    Path::TornTail,
    Path::Mend,
    Path::Mend,
    Path::Full,
    Path::Full,
    Path::Unharmed,
    Path::Unharmed,
    Path::Unharmed,
    Path::Unharmed,
    Path::Unharmed,
];

/// Faults that nobody need notice.
const MILD: [Fault; 16] = [
    Fault::Misdirected,
    Fault::BitFlip,
    Fault::Full,
    Fault::SlowDisk,
    Fault::Pause,
    Fault::ClockJump,
    Fault::Drop,
    Fault::Delay,
    Fault::Duplicate,
    Fault::Reorder,
    Fault::Partition,
    Fault::OneWay,
    Fault::SiteDown,
    Fault::SiteLies,
    Fault::SiteLost,
    Fault::Scrub,
];

struct Aim {
    random: Random,
    faults: Vec<Planned>,
}

impl Aim {
    /// A fault at a time, for the primary.
    fn add(&mut self, at: Micros, fault: Fault, lasts: Micros) {
        let dice = self.random.draw() | 1;
        self.faults.push(Planned { when: When::At(at), fault, dice, lasts });
    }

    /// Faults of any kind before `at`.
    fn before(&mut self, at: Micros, any: &[Fault]) {
        for _ in 0..FAULTS_MIN + self.random.below(6) {
            let fault = self.random.pick(any);
            let at = at - self.random.below(BEFORE);
            let lasts = self.random.between(500, 30_000);
            let dice = self.random.draw();
            self.faults.push(Planned { when: When::At(at), fault, dice, lasts });
        }
    }

    /// A fault alone; or, before a standby is ready, a duty that nobody can take.
    fn alone(&mut self, at: Micros, any: &[Fault], is_first: bool) {
        if is_first && self.random.one_in(2) {
            let at = self.random.between(1_000, 2_500);
            return self.add(at, Fault::Failover, 0);
        }
        let fault = self.random.pick(any);
        let lasts = self.random.between(500, 3_000);
        self.add(at, fault, lasts);
    }

    /// What leads to a way back, at a time.
    fn lead(&mut self, path: Path, at: Micros) {
        match path {
            // Whether what is left of a frame shows is for the disk to say: three tries.
            Path::TornTail => {
                (0..3).for_each(|again| self.add(at + again * 25_000, Fault::TornWrite, 0));
            }
            Path::Fence => self.add(at, Fault::Pause, 60_000),
            // The standby may not be ready at first.
            Path::HandOver => {
                (0..3).for_each(|again| self.add(at + again * 25_000, Fault::Failover, 0));
            }
            Path::FetchSites => {
                let lasts = self.random.between(15_000, 35_000);
                self.add(at, Fault::OldDisk, lasts);
            }
            Path::FetchMirror => {
                self.add(at - 2_000, Fault::SiteDown, 3_000);
                self.add(at, Fault::VanishedTail, 4_000);
            }
            Path::Mend => {
                self.add(at, Fault::BitFlip, 0);
                self.add(at + 1_000, Fault::KillAll, 0);
            }
            Path::Salvage => {
                self.add(at - 10_000, Fault::SiteDown, 5_000);
                self.add(at, Fault::BitFlip, 0);
                self.add(at + 1_500, Fault::KillAll, 0);
            }
            Path::Refuse => {
                let fault = self.random.pick(&[Fault::VanishedTail, Fault::Restore]);
                self.add(at, fault, 4_000);
            }
            Path::Refetch => self.add(at, Fault::Duplicate, 30_000),
            Path::Barred => {
                (0..2).for_each(|again| self.add(at + again * 35_000, Fault::MemoryFlip, 0));
            }
            // Until a segment ends and there is no room for the next one.
            Path::Full => self.add(at, Fault::Full, 60_000),
            Path::Restart | Path::TakeOver | Path::Unharmed => self.add(at, Fault::Kill, 0),
        }
    }

    /// What leads three hosts to a way back.
    fn lead_trio(&mut self, path: Path, at: Micros) {
        match path {
            Path::Mend => {
                self.add(at, Fault::BitFlip, 0);
                self.add(at + 2_000, Fault::Kill, 0);
            }
            Path::Full => self.add(at, Fault::StoreFull, 0),
            other => self.lead(other, at),
        }
    }
}

/// The history of a seed that is aimed.
#[must_use]
pub fn plan(seed: u64) -> Plan {
    draw(seed).0
}

/// What it is aimed at: faults, each with the way back of its round.
#[must_use]
pub fn cells(seed: u64) -> Vec<(Fault, Path)> {
    draw(seed).1
}

fn draw(seed: u64) -> (Plan, Vec<(Fault, Path)>) {
    let mut random = Random::new(seed);
    let mode = match seed & TRIO != 0 {
        true => Mode::Trio,
        false if random.below(5) < 2 => Mode::Mirror,
        false => Mode::Pair,
    };
    let (aims, any): (&[Path], &[Fault]) = match mode {
        Mode::Pair => (&AIMS_OF_PAIR, &Fault::ALL),
        Mode::Mirror => (&AIMS_OF_MIRROR, &Fault::ALL),
        Mode::Trio => (&AIMS_OF_TRIO, &Fault::ALL_OF_TRIO),
    };
    let mild: Vec<Fault> = any.iter().copied().filter(|one| is_mild(*one)).collect();
    let commands = COMMANDS_MIN + random.below(200);
    let segment_bytes = random.pick(&[16, 16, 16, 32]) << 10;
    let burst = random.pick(&[8, 14, 14, 14]);
    let on_margin = random.one_in(2);
    let (mut aim, mut cells) = (Aim { random, faults: Vec::new() }, Vec::new());
    for round in 0..ROUNDS {
        let begins = 5_000 + round * ROUND;
        let (path, before) = (aim.random.pick(aims), aim.faults.len());
        if path == Path::Unharmed {
            aim.alone(begins, &mild, mode != Mode::Trio && round == 0);
        } else {
            let at = begins + BEFORE + aim.random.below(10_000);
            aim.before(at, any);
            if mode == Mode::Trio { aim.lead_trio(path, at) } else { aim.lead(path, at) }
        }
        cells.extend(aim.faults.iter().skip(before).map(|one| (one.fault, path)));
    }
    while (aim.faults.len() as u64) < FAULTS_MIN {
        aim.alone(5_000 + ROUND * ROUNDS, &mild, false);
    }
    let mut faults = aim.faults;
    faults.sort_by_key(|one| match one.when {
        When::At(at) | When::Before(_, at) => at,
    });
    (Plan { seed, mode, commands, burst, segment_bytes, on_margin, faults }, cells)
}

fn is_mild(fault: Fault) -> bool {
    MILD.contains(&fault) || fault.is_of_store() || fault == Fault::SlowLink
}
