//! Three hosts over one replicated store: primaries write through `QuorumLog`, standbys follow the
//! store's frames, and who takes over swaps the term. The store in memory plays its faults.

mod connection;
mod judge;
mod strikes;

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use evenkeel_journal::fault_disk::FaultDisk;
use evenkeel_journal::{
    Base, Disk, Durability, FileLog, JournalError, Log, Options, Preparation, Reader,
};
use evenkeel_quorum::memory::{MemStore, PlayedPause};
use evenkeel_quorum::{Frames, Handle, Holder, QuorumError, Running, Settings, found, take_over};
use evenkeel_recovery::link::Held;
use evenkeel_recovery::{
    Ack, Agreement, Authority, Checkpoint, Primary, RecoveryError, Refused, Request, Standby,
};
use evenkeel_types::{Origin, Timestamp};

use crate::bugs::Bug;
use crate::coverage::{Coverage, Path};
use crate::history::Played;
use crate::host::IDENTITY;
use crate::market;
use crate::oracle::Oracle;
use crate::plan::{CLIENTS, Fault, Micros, Plan, When};
use crate::random::Random;
use crate::workload::{START, Trader, opening};
use connection::Connection;

/// Virtual time of one step.
const STEP: Micros = 1_000;
/// A standby that has seen neither a beat nor an entry for so long tries to take over.
const STILL: Micros = 25_000;
/// A client without an answer for so long asks somebody else.
const PATIENCE: Micros = 20_000;
/// After this long without a fault everything has to be well.
const CALM: Micros = 3_000_000;
/// Waits for the store after which a process is ended by its supervisor.
const WAITS_MAX: u64 = 40;

/// The term of the store, for a standby with its host's journal.
struct Terms {
    store: Connection,

    file: Option<FileLog>,
    me: Holder,
    clock: Arc<AtomicU64>,
}

impl Authority for Terms {
    fn acquire(&mut self, expected: u64, _: Held) -> Result<Box<dyn Log>, RecoveryError> {
        let file = self.file.take().ok_or(JournalError::EndNotConfirmed)?;
        let running = running(&self.clock);
        let Connection { inner, guards_nothing } = &self.store;
        let store = Connection { inner: inner.clone(), guards_nothing: *guards_nothing };
        match take_over(store, file, expected, self.me.clone(), running) {
            Ok(log) => Ok(Box::new(log)),
            Err(not) => {
                let reason = not.error.to_string();
                Err(JournalError::SharedLog { reason }.into())
            }
        }
    }
}

fn running(clock: &Arc<AtomicU64>) -> Running {
    let handle = Handle::default();
    let ends = handle.clone();
    let pause = PlayedPause::new(Arc::clone(clock), move |pauses| {
        if pauses.is_multiple_of(WAITS_MAX) {
            ends.stop();
        }
    });
    let settings = Settings {
        retry_ms_min: 1,
        retry_ms_max: 4,
        patience_ms: 40,
        beat_every_ms: 5,
        room_wait_ms: 4,
        ..Settings::default()
    };
    Running { pause: Box::new(pause), handle, settings }
}

enum Role {
    Down(Micros),
    Standing { standby: Box<Standby>, file: Box<FileLog>, seen: Seen },
    Serving { primary: Box<Primary>, term: u64 },
}

/// What a standby last saw move, and when.
#[derive(Debug, Default, PartialEq)]
struct Seen {
    tail: u64,
    beat: String,
    term: u64,
    at: Micros,
}

struct Node {
    disk: FaultDisk,
    generation: u64,
    link: MemStore,
    clock: Arc<AtomicU64>,
    role: Role,
    life: u64,
    paused_until: Micros,
    isolated_until: Micros,
    /// How far its wall clock is ahead.
    wall_ahead_ns: i64,
    inbox: VecDeque<(usize, Request)>,
}

impl Node {
    fn dir(&self) -> PathBuf {
        PathBuf::from(format!("/journal-{}", self.generation))
    }
}

struct Desk {
    trader: Trader,
    pending: BTreeMap<u64, Request>,
    at: usize,
    /// The life of the process at the other end; `None` once anything was lost on the way.
    line: Option<u64>,
    waits_since: Micros,
}

struct Trio<'a> {
    plan: &'a Plan,
    bug: Option<Bug>,
    random: Random,
    now: Micros,
    store: MemStore,
    nodes: Vec<Node>,
    desks: Vec<Desk>,
    sent: u64,
    oracle: Oracle,
    coverage: Coverage,
    recent: Vec<(Fault, Micros, Vec<Path>)>,
    lifts: Vec<(Micros, Fault, usize)>,
    /// Disks of some time ago, and when which host gets them.
    swaps: Vec<(Micros, usize, FaultDisk)>,
    broken: Option<String>,
    liquidations: u64,
    story: Option<Vec<String>>,
}

/// Plays a history of three hosts.
#[must_use]
pub fn play(plan: &Plan, bug: Option<Bug>, tells: bool) -> Played {
    let store = MemStore::new();
    let nodes = (0..3).map(|_| Node {
        disk: FaultDisk::new(),
        generation: 0,
        link: store.another(),
        clock: Arc::new(AtomicU64::new(0)),
        role: Role::Down(0),
        life: 0,
        paused_until: 0,
        isolated_until: 0,
        wall_ahead_ns: 0,
        inbox: VecDeque::new(),
    });
    let desks = (0..CLIENTS).map(|index| Desk {
        trader: Trader::new(index, plan.seed),
        pending: BTreeMap::new(),
        at: 0,
        line: None,
        waits_since: 0,
    });
    let mut trio = Trio {
        plan,
        bug,
        random: Random::new(plan.seed ^ 0x3113),
        now: 0,
        nodes: nodes.collect(),
        store,
        desks: desks.collect(),
        sent: 0,
        oracle: Oracle::default(),
        coverage: Coverage::default(),
        recent: Vec::new(),
        lifts: Vec::new(),
        swaps: Vec::new(),
        broken: None,
        liquidations: 0,
        story: tells.then(Vec::new),
    };
    if let Err(what) = trio.begin().map_err(|error| error.to_string()) {
        trio.breaks(format!("nothing was founded: {what}"));
    }
    trio.run();
    if trio.broken.is_none()
        && let Err(what) = trio.judge()
    {
        trio.breaks(what);
    }
    for (fault, _, ways) in &trio.recent {
        if ways.is_empty() {
            trio.coverage.unharmed(*fault);
        }
    }
    Played {
        broken: trio.broken,
        coverage: trio.coverage,
        acknowledged: trio.oracle.count(),
        lost: 0,
        liquidations: trio.liquidations,
        struck: trio.recent.len(),
        micros: trio.now,
        story: trio.story.unwrap_or_default(),
    }
}

impl Trio<'_> {
    fn tell(&mut self, what: impl FnOnce() -> String) {
        if let Some(story) = &mut self.story {
            story.push(format!("{:>9} us  {}", self.now, what()));
        }
    }

    fn breaks(&mut self, what: String) {
        self.tell(|| format!("BROKEN: {what}"));
        self.broken.get_or_insert(what);
    }

    fn took(&mut self, way: Path) {
        self.tell(|| format!("way back: {way:?}"));
        let since = self.now.saturating_sub(150_000);
        for (fault, at, ways) in &mut self.recent {
            if *at >= since && !ways.contains(&way) {
                ways.push(way);
                self.coverage.hit(*fault, way);
            }
        }
    }

    /// Journal time by a host's clock, which never goes back.
    fn time(&self, at: usize, last: Timestamp) -> Timestamp {
        let wall_ns = START.0 + self.now * 1_000;
        Timestamp(wall_ns.saturating_add_signed(self.nodes[at].wall_ahead_ns).max(last.0))
    }

    fn options(&self) -> Options {
        Options {
            segment_bytes: self.plan.segment_bytes,
            reserve_bytes: 8 << 10,
            durability: Durability::Fdatasync,
            preparation: Preparation::Inline,
        }
    }

    fn disk(&self, at: usize) -> Arc<dyn Disk> {
        Arc::new(self.nodes[at].disk.clone())
    }

    /// The first host founds the log and the venue.
    fn begin(&mut self) -> Result<(), RecoveryError> {
        let (disk, dir) = (self.disk(0), self.nodes[0].dir());
        let mut file = FileLog::create(disk, &dir, IDENTITY, Base::genesis(), self.options())?;
        file.confirm_end(&[])?;
        let mut running = running(&self.nodes[0].clock);
        if let Err(error) = found(&mut self.store, &file, &mut running) {
            let reason = error.to_string();
            return Err(JournalError::SharedLog { reason }.into());
        }
        let standby = Standby::start(&Checkpoint::genesis())?;
        self.promote(0, standby, file, 0);
        let time = self.time(0, START);
        if let Role::Serving { primary, .. } = &mut self.nodes[0].role {
            for command in opening(CLIENTS, self.plan.on_margin) {
                primary.operate(time, command)?;
            }
        }
        Ok(())
    }

    fn run(&mut self) {
        let mut last_fault = 0;
        let mut due: Vec<usize> = (0..self.plan.faults.len()).collect();
        for planned in &self.plan.faults {
            if let When::At(at) = planned.when {
                last_fault = last_fault.max(at + planned.lasts * 4);
            }
        }
        let span = self.plan.commands / CLIENTS * crate::plan::PACE;
        let deadline = last_fault.max(span) + CALM;
        while self.broken.is_none() {
            self.now += STEP;
            let now = self.now;
            let (strike, later) = due.into_iter().partition(
                |index: &usize| matches!(self.plan.faults[*index].when, When::At(at) if at <= now),
            );
            due = later;
            let strike: Vec<usize> = strike;
            strike.into_iter().for_each(|index| self.strike(index));
            self.lift();
            self.swap();
            (0..self.desks.len()).for_each(|client| self.trade(client, span));
            (0..self.nodes.len()).for_each(|at| self.step(at));
            if now > last_fault && self.is_done() {
                return;
            }
            if now > deadline {
                let pending: usize = self.desks.iter().map(|desk| desk.pending.len()).sum();
                let sent = self.sent;
                self.breaks(format!("no end: {sent} commands sent, {pending} never answered"));
            }
        }
    }

    fn is_done(&self) -> bool {
        let mut ends = self.nodes.iter().map(|node| match &node.role {
            Role::Down(_) => None,
            Role::Standing { standby, .. } => Some(standby.engine().next_position()),
            Role::Serving { primary, .. } => Some(primary.engine().next_position()),
        });
        let first = ends.next().flatten();
        self.sent >= self.plan.commands
            && self.desks.iter().all(|desk| desk.pending.is_empty())
            && first.is_some()
            && ends.all(|end| end == first)
    }

    fn trade(&mut self, client: usize, span: Micros) {
        let burst = self.plan.burst;
        let due = self.plan.commands.min(self.plan.commands * self.now / span.max(1));
        let turn = self.random.one_in(burst);
        let desk = &mut self.desks[client];
        if turn && self.plan.on_margin {
            desk.trader.speculates(market::price(self.plan.seed, self.now));
        }
        let mut fresh = Vec::new();
        while turn && self.sent < due && desk.pending.len() < 20 && fresh.len() < 8 {
            let request = desk.trader.next(self.sent);
            self.sent += 1;
            if desk.pending.is_empty() {
                desk.waits_since = self.now;
            }
            desk.pending.insert(request.origin.sequence.0, request.clone());
            fresh.push(request);
        }
        if !desk.pending.is_empty() && desk.waits_since + PATIENCE <= self.now {
            // Another connection: everything that is not answered is sent again, in its order.
            desk.at = (desk.at + 1) % 3;
            desk.waits_since = self.now;
            desk.line = Some(self.nodes[desk.at].life);
            fresh = desk.pending.values().cloned().collect();
        }
        let node = &mut self.nodes[desk.at];
        let serves = matches!(node.role, Role::Serving { .. }) && desk.line == Some(node.life);
        if node.isolated_until > self.now || !serves {
            desk.line = None;
        } else {
            node.inbox.extend(fresh.into_iter().map(|request| (client, request)));
        }
    }

    fn step(&mut self, at: usize) {
        if self.nodes[at].paused_until > self.now {
            return;
        }
        self.nodes[at].clock.fetch_max(self.now / 1_000, Ordering::AcqRel);
        match &self.nodes[at].role {
            Role::Down(until) if *until <= self.now => self.start(at),
            Role::Down(_) => {}
            Role::Standing { .. } => self.follow(at),
            Role::Serving { .. } => self.serve(at),
        }
    }

    /// Starts as standby on what the host's journal holds.
    fn start(&mut self, at: usize) {
        self.nodes[at].life += 1;
        match self.open(at) {
            Ok((standby, file)) => {
                let (standby, seen) = (Box::new(standby), Seen { at: self.now, ..Seen::default() });
                self.nodes[at].role = Role::Standing { standby, file: Box::new(file), seen };
                self.took(Path::Restart);
            }
            // Damaged, or the power went before all of a new one was there.
            Err(RecoveryError::Journal(error))
                if error.is_corruption() || matches!(error, JournalError::NotAJournal { .. }) =>
            {
                self.tell(|| format!("host {at}: {error}"));
                self.set_aside(at, Path::Mend);
            }
            Err(error) => {
                self.tell(|| format!("host {at} cannot start: {error}"));
                self.nodes[at].role = Role::Down(self.now + 4_000);
            }
        }
    }

    fn open(&mut self, at: usize) -> Result<(Standby, FileLog), RecoveryError> {
        let (disk, dir, options) = (self.disk(at), self.nodes[at].dir(), self.options());
        let is_new = !self.nodes[at].disk.paths().iter().any(|path| path.parent() == Some(&dir));
        let mut file = if is_new {
            FileLog::create(Arc::clone(&disk), &dir, IDENTITY, Base::genesis(), options)?
        } else {
            let (file, opened) = FileLog::open(Arc::clone(&disk), &dir, options)?;
            if opened.torn_tail.is_some() {
                self.took(Path::TornTail);
            }
            file
        };
        file.confirm_end(&[])?;
        let mut standby = Standby::start(&Checkpoint::genesis())?;
        let mut reader = Reader::follow(disk, &dir, 0, file.watermark())?;
        while let Some(batch) = reader.next_batch()? {
            standby.apply(&batch)?;
        }
        Ok((standby, file))
    }

    /// What the host holds is not the log's, or does not read back: it begins again from the store.
    fn set_aside(&mut self, at: usize, way: Path) {
        self.took(way);
        self.nodes[at].generation += 1;
        self.nodes[at].role = Role::Down(self.now + 2_000);
    }

    fn dies(&mut self, at: usize, why: &str) {
        if matches!(self.nodes[at].role, Role::Down(_)) {
            return;
        }
        self.tell(|| format!("host {at}: its process ends: {why}"));
        let until = self.now + 2_000 + self.random.below(20_000);
        self.nodes[at].inbox.clear();
        self.nodes[at].life += 1;
        self.nodes[at].role = Role::Down(until);
    }

    /// Takes what the store has, and takes over if nothing has moved for long.
    fn follow(&mut self, at: usize) {
        let now = self.now;
        let mut frames = Frames::new(self.nodes[at].link.clone(), &IDENTITY);
        let Role::Standing { standby, file, seen } = &mut self.nodes[at].role else { return };
        let mut followed = || -> Result<Result<(), RecoveryError>, QuorumError> {
            let batches = frames.next_batches(file.next(), &file.chain(), 0)?;
            for batch in batches {
                let taken = file.mirror(&batch, "the shared log").map_err(RecoveryError::from);
                if let Err(error) = taken.and_then(|_| standby.apply(&batch)) {
                    return Ok(Err(error));
                }
            }
            let beat = format!("{:?}", frames.read_beat()?);
            let (tail, term) = (frames.read_tail()?.next, frames.read_term()?.term);
            if (seen.tail, seen.term, &seen.beat) != (tail, term, &beat) {
                *seen = Seen { tail, beat, term, at: now };
            }
            Ok(Ok(()))
        };
        match followed() {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return self.dies(at, &error.to_string()),
            Err(QuorumError::LocalAhead { .. } | QuorumError::Forked { .. }) => {
                return self.set_aside(at, Path::Refetch);
            }
            Err(QuorumError::Unreachable(_)) => return,
            Err(error) => return self.breaks(format!("host {at} cannot follow: {error}")),
        }
        if seen.at + STILL + at as u64 * 3_000 > now {
            return;
        }
        let term = seen.term;
        let role = std::mem::replace(&mut self.nodes[at].role, Role::Down(now + 2_000));
        if let Role::Standing { standby, file, .. } = role {
            self.promote(at, *standby, *file, term);
        }
    }

    fn promote(&mut self, at: usize, standby: Standby, file: FileLog, term: u64) {
        let mut run = [0; 16];
        run[..8].copy_from_slice(&self.nodes[at].life.to_le_bytes());
        run[8] = u8::try_from(at).unwrap_or(0);
        let me = Holder { name: format!("host {at}"), address: at.to_string(), run };
        let guards_nothing = self.bug == Some(Bug::MissingTermCheck);
        let store = Connection { inner: self.nodes[at].link.clone(), guards_nothing };
        let clock = Arc::clone(&self.nodes[at].clock);
        let mut terms = Terms { store, file: Some(file), me, clock };
        let (disk, agreement) = (self.disk(at), Arc::new(Agreement::new()));
        let now = self.time(at, START);
        let promoted =
            evenkeel_recovery::take_over(standby, term, &mut terms, &disk, agreement, |last| {
                now.max(last)
            });
        match promoted {
            Ok(promoted) => {
                let (term, position) = (promoted.term, promoted.position);
                self.tell(|| format!("host {at} takes over in term {term} at {position}"));
                self.nodes[at].role = Role::Serving { primary: Box::new(promoted.primary), term };
                if self.now > 0 {
                    self.took(Path::TakeOver);
                }
            }
            Err(not) => {
                self.tell(|| format!("host {at} does not take over: {}", not.error));
                self.nodes[at].role = Role::Down(self.now + 3_000);
            }
        }
    }

    fn serve(&mut self, at: usize) {
        let life = self.nodes[at].life;
        let inbox = std::mem::take(&mut self.nodes[at].inbox);
        let (from, requests): (Vec<usize>, Vec<Request>) = inbox.into_iter().unzip();
        let origins: Vec<Origin> = requests.iter().map(|one| one.origin).collect();
        let wall = self.time(at, START);
        let Role::Serving { primary, term } = &mut self.nodes[at].role else { return };
        let term = *term;
        let time = wall.max(primary.engine().time());
        let mut tended = primary.tend();
        if tended.is_ok() && self.plan.on_margin && (self.now / STEP).is_multiple_of(6) {
            tended = primary.commit(time, market::readings(self.plan.seed, self.now)).map(|_| ());
        }
        let answers = match tended {
            Ok(()) if requests.is_empty() => return,
            Ok(()) => primary.commit(time, requests),
            Err(error) => Err(error),
        };
        match answers {
            Ok(answers) => {
                let reaches = self.nodes[at].isolated_until <= self.now;
                if !reaches {
                    from.iter().for_each(|client| self.desks[*client].line = None);
                }
                for ((client, origin), answer) in from.into_iter().zip(origins).zip(answers) {
                    if reaches
                        && let Err(what) = self.told(client, origin, answer, term, (at, life))
                    {
                        return self.breaks(what);
                    }
                }
            }
            Err(error) => {
                if matches!(&error, RecoveryError::Journal(JournalError::Fenced { .. })) {
                    self.took(Path::Fence);
                }
                self.dies(at, &error.to_string());
            }
        }
    }

    /// A client hears an answer, on the connection that it has.
    fn told(
        &mut self,
        client: usize,
        origin: Origin,
        answer: Result<Ack, Refused>,
        term: u64,
        who: (usize, u64),
    ) -> Result<(), String> {
        let now = self.now;
        let desk = &mut self.desks[client];
        if desk.line != Some(who.1) || desk.at != who.0 {
            return Ok(());
        }
        desk.waits_since = now;
        match answer {
            Ok(ack) => {
                desk.pending.remove(&origin.sequence.0);
                desk.trader.observe(&ack.events);
                self.oracle.speaks(term, who)?;
                self.oracle.acked(ack)
            }
            Err(Refused::DiskFull) => {
                desk.pending.remove(&origin.sequence.0);
                self.took(Path::Full);
                Ok(())
            }
        }
    }
}
