//! Starting, standing by, taking over: what the daemon and its keeper do, over the product's cores.

use std::sync::Arc;

use evenkeel_journal::{FileLog, JournalError, Reader, RootTracker};
use evenkeel_recovery::link::StandbyEnd;
use evenkeel_recovery::{
    FolderAuthority, Follower, JournalClock, NotPromoted, Primary, Promoted, RecoveryError, Skips,
    Standby, boot, take_over,
};
use evenkeel_types::Command;

use crate::bugs::Bug;
use crate::coverage::Path;
use crate::host::{Copy, IDENTITY, NotOpen};
use crate::net::Party;
use crate::plan::{CLIENTS, Mode, Step};
use crate::process::{OwnLog, RHYTHM, Serving, Standing, State, board};
use crate::workload::opening;
use crate::world::{Event, TICK, World};

/// Starts that find damage, in one history: more are no recovery.
const MENDS_MAX: u64 = 100;

impl World {
    /// A process starts: as a standby if the other one runs, else as the primary; of two hosts the
    /// operator says which.
    pub(crate) fn start(&mut self, slot: usize) {
        self.steps(Step::Open);
        self.processes[slot].life += 1;
        let life = self.processes[slot].life;
        let stands = match self.plan.mode {
            Mode::Pair => self.processes[1 - slot].is_up(),
            Mode::Mirror | Mode::Trio => self.authority != slot,
        };
        let started = if stands { self.stand(slot) } else { self.serve(slot) };
        match started {
            Ok(()) => {
                self.took(Path::Restart);
                self.tell(|| format!("process {slot} is up, standby: {stands}"));
                let at = self.now + TICK + self.random.below(TICK);
                self.push(at, Event::Tick { slot, life });
            }
            Err(why) => {
                self.tell(|| format!("process {slot} cannot start: {why:?}"));
                self.not_open(slot, why);
            }
        }
    }

    /// What the operator does about a journal that does not open.
    pub(crate) fn not_open(&mut self, slot: usize, why: NotOpen) {
        let (host, life) = (self.host_of(slot), self.processes[slot].life);
        self.processes[slot].state = State::Down;
        match why {
            NotOpen::Held | NotOpen::Later(_) => {}
            NotOpen::Other(_) => self.scrubbed(1 - slot),
            NotOpen::Damaged(_) => {
                self.steps(Step::Mend);
                self.mends += 1;
                if self.mends > MENDS_MAX {
                    return self.breaks("mending has no end".to_owned());
                }
                let mirror = self.other_copy(slot);
                let is_primary = self.plan.mode == Mode::Mirror && self.authority == slot;
                if self.sites.answer() && !(is_primary && mirror.is_none()) {
                    let mended = self.hosts[host].mend(&self.sites, mirror.as_ref());
                    self.note_ways(host);
                    self.tell(|| format!("mending: {mended:?}"));
                }
            }
            NotOpen::Broken(what)
                if (self.oracle.lost() > 0 || self.hosts[host].epoch() > 0)
                    && self.is_of_the_past(slot) =>
            {
                // The other host still holds the history that was given up, or what was on its way
                // there when this one went back in time.
                self.tell(|| what);
                self.dies(1 - slot, "its copy is of a history that was given up");
                self.set_aside(1 - slot);
            }
            NotOpen::Broken(what) if self.oracle.lost() > 0 => {
                // A copy of a history that was given up: it is set aside for the one that goes on.
                self.tell(|| what);
                self.hosts[host].lose_journal();
            }
            NotOpen::Broken(what) => {
                return self.breaks(format!("process {slot} is refused for good: {what}"));
            }
        }
        self.push(self.now + 4_000, Event::Start { slot, life });
    }

    /// Whether the other host's copy is of an older term than the journal of the primary.
    fn is_of_the_past(&mut self, slot: usize) -> bool {
        let host = self.host_of(slot);
        let State::Standing(standing) = &self.processes[1 - slot].state else { return false };
        let Some(theirs) = standing.mirror.as_ref().map(FileLog::term) else { return false };
        let opened = self.hosts[host].open();
        let is_primary = self.plan.mode == Mode::Mirror && self.authority == slot;
        is_primary && opened.is_ok_and(|log| log.term() > theirs)
    }

    fn note_ways(&mut self, host: usize) {
        for way in std::mem::take(&mut self.hosts[host].ways) {
            self.took(way);
        }
    }

    /// The other host's journal, while its standby has it open.
    fn other_copy(&self, slot: usize) -> Option<Copy> {
        let other = 1 - slot;
        let State::Standing(standing) = &self.processes[other].state else { return None };
        let log = standing.mirror.as_ref()?;
        let disk = Arc::clone(&self.hosts[self.host_of(other)].disk);
        Some(Copy { disk, dir: log.dir().to_owned(), next: log.next(), chain: log.chain() })
    }

    /// Starts as primary.
    fn serve(&mut self, slot: usize) -> Result<(), NotOpen> {
        let host = self.host_of(slot);
        if self.now < 400 {
            return self.found(slot);
        }
        let mirror = self.other_copy(slot);
        if !self.sites.answer() || (self.plan.mode == Mode::Mirror && mirror.is_none()) {
            return Err(NotOpen::Later("nobody can be asked".to_owned()));
        }
        let mut log = self.hosts[host].open()?;
        let confirmed = self.hosts[host].confirm(&mut log, &self.sites, mirror.as_ref());
        self.note_ways(host);
        confirmed?;
        let was_hurt = self.hosts[host].hurt || self.hosts[host].mended;
        self.check_end(host, log.next());
        if was_hurt {
            // Clients and standbys may have heard of terms that were lost with their entries.
            let heard = self.terms.values().copied().max().unwrap_or(0);
            log.begin_term(heard.max(log.term()) + 1)
                .map_err(|error| NotOpen::Later(error.to_string()))?;
        }
        let at = &self.hosts[host];
        let snapshots = at.snapshots.clone();
        let booted = boot(&at.disk, log.dir(), log.base(), &log.watermark(), &snapshots)
            .map_err(not_open)?;
        let clock = JournalClock::start(&at.moment(self.now), booted.engine.time());
        let (dir, watermark) = (log.dir().to_owned(), log.watermark());
        let agreement = board();
        let mut clock = clock;
        let now = clock.now(&at.moment(self.now));
        let primary =
            Primary::begin(log, booted.engine, Arc::clone(&agreement), now).map_err(not_open)?;
        let follower = match self.plan.mode {
            Mode::Pair => None,
            Mode::Mirror | Mode::Trio => {
                let (disk, from) = (Arc::clone(&at.disk), &booted.checkpoint);
                Some(Follower::start(from, disk, &dir, watermark, agreement).map_err(not_open)?)
            }
        };
        self.enter(slot, Serving::new(primary, clock, follower));
        Ok(())
    }

    fn found(&mut self, slot: usize) -> Result<(), NotOpen> {
        let host = self.host_of(slot);
        let later = |error: JournalError| NotOpen::Later(error.to_string());
        let mut log = self.hosts[host].found().map_err(later)?;
        log.confirm_end(&[]).map_err(later)?;
        let at = &self.hosts[host];
        let mut clock = JournalClock::start(&at.moment(self.now), crate::workload::START);
        let (dir, watermark, agreement) = (log.dir().to_owned(), log.watermark(), board());
        let now = clock.now(&at.moment(self.now));
        let engine = evenkeel_venue::Engine::new();
        let mut primary =
            Primary::begin(log, engine, Arc::clone(&agreement), now).map_err(not_open)?;
        let commands: Vec<Command> = opening(CLIENTS, self.plan.on_margin);
        for command in commands {
            primary.operate(now, command).map_err(not_open)?;
        }
        let follower = match self.plan.mode {
            Mode::Pair => None,
            Mode::Mirror | Mode::Trio => {
                let (disk, from) = (Arc::clone(&at.disk), evenkeel_recovery::Checkpoint::genesis());
                Some(Follower::start(&from, disk, &dir, watermark, agreement).map_err(not_open)?)
            }
        };
        self.enter(slot, Serving::new(primary, clock, follower));
        // Nobody is let in before the founding is safe.
        self.ship(slot);
        Ok(())
    }

    fn enter(&mut self, slot: usize, serving: Serving) {
        let host = self.host_of(slot);
        let process = &mut self.processes[slot];
        process.term = serving.primary.log().term();
        self.hosts[host].begun();
        self.terms.insert((slot, process.life), process.term);
        process.state = State::Serving(Box::new(serving));
        self.authority = slot;
    }

    /// Nothing acknowledged may be missing, unless every copy of it was destroyed; then that is
    /// said, once.
    fn check_end(&mut self, host: usize, next: u64) {
        let acknowledged = self.oracle.next();
        let last_term = self.terms.values().copied().max().unwrap_or(0);
        if self.hosts[host].hurt {
            self.oracle.parts(next, last_term);
            // Too few sites hold what was shipped beyond, and nobody was told of it.
            self.sites.forget_from(next);
        }
        if next < acknowledged {
            if !self.hosts[host].hurt {
                let last = acknowledged - 1;
                let what = format!("acknowledged entries {next} to {last} are gone at a start");
                return self.breaks(what);
            }
            self.oracle.give_up(next, last_term);
            self.gave_up_at = self.now;
            self.sites.forget_from(next);
            self.tell(|| format!("operator: entries {next} to below {acknowledged} are lost"));
            self.took(Path::Refuse);
        }
    }

    /// Starts as standby.
    fn stand(&mut self, slot: usize) -> Result<(), NotOpen> {
        let host = self.host_of(slot);
        let mirror = match self.plan.mode {
            Mode::Pair => None,
            Mode::Mirror | Mode::Trio => Some(self.own_log(host)?),
        };
        let bound = mirror.as_ref().map_or(u64::MAX, FileLog::next);
        let checkpoint = self.hosts[host].newest(bound);
        let mut standby = Standby::start(&checkpoint).map_err(not_open)?;
        let roots = (self.bug == Some(Bug::SnapshotAheadOfAgreement))
            .then(|| RootTracker::resume(checkpoint.position(), checkpoint.frontier.clone()));
        let mut roots = roots;
        if let Some(log) = &mirror {
            let disk = Arc::clone(&self.hosts[host].disk);
            let from = standby.position();
            let mut reader = Reader::follow(disk, log.dir(), from, log.watermark()).map_err(
                |error| match error {
                    // It was trimmed, and no snapshot reaches back to where it begins.
                    JournalError::OutOfRange { .. } => NotOpen::Damaged(error.to_string()),
                    error => not_open(error.into()),
                },
            )?;
            while let Some(batch) = reader.next_batch().map_err(|error| not_open(error.into()))? {
                standby.apply(&batch).map_err(not_open)?;
                if let Some(roots) = &mut roots {
                    batch.records.iter().for_each(|record| {
                        roots.push(&record.entry);
                    });
                }
            }
        }
        let term = self.processes[slot].term;
        let now_ns = self.now * 1_000;
        let mut end = StandbyEnd::new(&standby, IDENTITY.lineage, "sim", term, RHYTHM, now_ns);
        end.look(now_ns);
        self.processes[slot].state = State::Standing(Box::new(Standing {
            standby: Some(standby),
            mirror,
            end,
            connection: None,
            connects_at: self.now,
            flips: false,
            flipped_at: None,
            flip_told: false,
            ticks: 0,
            roots,
            called: false,
        }));
        Ok(())
    }

    fn own_log(&mut self, host: usize) -> Result<FileLog, NotOpen> {
        let is_new = self.hosts[host].faults.paths().is_empty();
        let mut log = if is_new {
            self.hosts[host].found().map_err(|error| NotOpen::Later(error.to_string()))?
        } else {
            self.hosts[host].open()?
        };
        self.note_ways(host);
        log.confirm_end(&[]).map_err(|error| NotOpen::Later(error.to_string()))?;
        let next = log.next();
        self.hosts[host].snapshots.retain(|one| one.position() <= next);
        Ok(log)
    }

    /// A standby tries to become primary.
    pub(crate) fn promote(&mut self, slot: usize) {
        self.steps(Step::TakeOver);
        let host = self.host_of(slot);
        let State::Standing(standing) = &mut self.processes[slot].state else { return };
        if standing.flipped_at.is_some() && !standing.flip_told {
            // Nobody could know: nothing of what it did wrong was ever compared.
            return self.dies(slot, "it was hit before its first digest");
        }
        let Some(standby) = standing.standby.take() else { return };
        let (term, mirror) = (standing.end.term(), standing.mirror.take());
        let options = self.hosts[host].options();
        let at = &self.hosts[host];
        let (disk, moment) = (Arc::clone(&at.disk), at.moment(self.now));
        let agreement = board();
        let now = |last| JournalClock::start(&moment, last).now(&moment);
        let before = standby.position();
        let promoted = match self.plan.mode {
            Mode::Mirror | Mode::Trio => {
                let mut own = OwnLog(mirror);
                take_over(standby, term, &mut own, &disk, Arc::clone(&agreement), now)
            }
            Mode::Pair => {
                let confirmations = at.confirmations(&self.sites, None);
                let (dir, shared) = (at.dir.clone(), Arc::clone(&disk));
                let mut folder = FolderAuthority { disk: shared, dir, options, confirmations };
                if self.bug == Some(Bug::StaleWatch) {
                    blind(standby, &mut folder, Arc::clone(&agreement), now)
                } else {
                    take_over(standby, term, &mut folder, &disk, Arc::clone(&agreement), now)
                }
            }
        };
        match promoted {
            Ok(promoted) => self.promoted(slot, promoted, before),
            Err(not) => self.not_promoted(slot, not),
        }
    }

    fn promoted(&mut self, slot: usize, promoted: Promoted, before: u64) {
        let host = self.host_of(slot);
        let Promoted { primary, term, position, .. } = promoted;
        self.tell(|| format!("process {slot} takes over in term {term} at {position} ({before})"));
        self.took(Path::TakeOver);
        self.check_end(host, position);
        let clock =
            JournalClock::start(&self.hosts[host].moment(self.now), primary.engine().time());
        self.enter(slot, Serving::new(primary, clock, None));
        if self.plan.mode == Mode::Mirror {
            // Without a follower nobody takes snapshots here, and nothing is trimmed.
            self.took(Path::HandOver);
        }
    }

    fn not_promoted(&mut self, slot: usize, not: NotPromoted) {
        let NotPromoted { standby, error } = not;
        self.tell(|| format!("process {slot} is not promoted: {error}"));
        if let RecoveryError::Journal(JournalError::Locked { .. }) = &error {
            self.took(Path::Fence);
            if let State::Standing(standing) = &mut self.processes[slot].state {
                standing.standby = standby.map(|standby| *standby);
            }
            return;
        }
        // The keeper starts it again, which opens, compares and mends.
        self.dies(slot, "it could not take over");
    }

    /// A process ends, whatever it was doing.
    pub(crate) fn dies(&mut self, slot: usize, why: &str) {
        let here = Party::Process(slot, self.processes[slot].life);
        if !self.processes[slot].is_up() {
            return;
        }
        self.tell(|| format!("process {slot} ends: {why}"));
        let arrivals = self.net.end_all(self.now, here);
        self.send_all(arrivals);
        let process = &mut self.processes[slot];
        process.state = State::Down;
        process.paused_until = 0;
        process.life += 1;
        let life = process.life;
        let at = self.now + 2_000 + self.random.below(20_000);
        self.push(at, Event::Start { slot, life });
    }

    /// A primary's journal failed.
    pub(crate) fn fails(&mut self, slot: usize, why: &str) {
        self.dies(slot, why);
    }

    /// A fresh folder for the other history of a standby that was left behind.
    pub(crate) fn set_aside(&mut self, slot: usize) {
        let host = self.host_of(slot);
        let hurt = self.hosts[host].hurt;
        self.hosts[host].lose_journal();
        self.hosts[host].hurt = hurt;
        let joined = self.hosts[host].join(&self.sites);
        self.tell(|| format!("operator: a fresh copy from the sites: {joined:?}"));
    }
}

/// The mistake of a promotion that does not read the journal's end.
fn blind(
    standby: Standby,
    authority: &mut dyn evenkeel_recovery::Authority,
    agreement: Arc<evenkeel_recovery::Agreement>,
    now: impl FnOnce(evenkeel_types::Timestamp) -> evenkeel_types::Timestamp,
) -> Result<Promoted, NotPromoted> {
    let held =
        evenkeel_recovery::link::Held { position: standby.position(), chain: standby.chain() };
    let position = standby.position();
    let log = match authority.acquire(0, held) {
        Ok(log) => log,
        Err(error) => return Err(NotPromoted { standby: Some(Box::new(standby)), error }),
    };
    let now = now(standby.time());
    match Primary::begin_boxed(log, standby.into_engine(), agreement, now) {
        Ok(primary) => {
            let term = primary.log().term();
            let (skips, passed_over) = (Skips::none(), Vec::new());
            Ok(Promoted { primary, term, applied: 0, position, skips, passed_over })
        }
        Err(error) => Err(NotPromoted { standby: None, error }),
    }
}

fn not_open(error: RecoveryError) -> NotOpen {
    let text = error.to_string();
    match error {
        RecoveryError::Journal(journal) if journal.is_corruption() => NotOpen::Damaged(text),
        // No snapshot reaches back to where the journal begins: the sites hold all of it.
        RecoveryError::Snapshot { .. } => NotOpen::Damaged(text),
        RecoveryError::Entry { .. } => NotOpen::Broken(text),
        _ => NotOpen::Later(text),
    }
}
