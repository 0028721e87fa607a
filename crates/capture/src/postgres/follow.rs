//! Following a server: the log into the store as it comes, through failovers and losses.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::connection::Login;
use super::error::{Error, Result};
use super::journal::{Happening, Kind};
use super::lsn::{Lsn, Switch, Timeline};
use super::received::Received;
use super::replication::{Event, Replication, System, WalStream};
use super::store::{Cluster, Position, Store};
use crate::sqlite::Clock;

/// How much may be taken before a sync, so that commits that wait are not kept for a whole burst.
const SYNC_AFTER_BYTES: u64 = 4 << 20;
/// How often the position is noted beside the log, and the server told that we live.
const NOTE_EVERY: Duration = Duration::from_secs(1);
/// A commit carries the time at which it was begun to be written, and others may come first.
const SETTLED_AFTER_NS: u64 = 1_000_000_000;
/// Capture was interrupted if the server's clock went on by this much meanwhile.
const INTERRUPTED_NS: u64 = 10_000_000_000;

/// What of the log counts as safe for whoever waits for a commit.
pub trait Promise: Sync {
    /// Up to where the server may be told that the log is flushed, given how far it is durable
    /// here.
    fn flushed(&self, durable: Lsn) -> Lsn;

    /// Whether more log may be taken: false while the folder holds as much as it may.
    fn may_take(&self) -> bool;
}

/// How far it is, for other threads.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Progress {
    /// The server, while there is a connection.
    pub server: Option<String>,
    /// The timeline.
    pub timeline: Timeline,
    /// The log is durable here up to this.
    pub durable: Lsn,
    /// The server was told that it is flushed up to this.
    pub flushed: Lsn,
    /// The end of the server's log, as it last said.
    pub server_end: Lsn,
    /// The newest time the server told: nanoseconds since 1970 UTC.
    pub server_ns: u64,
    /// The newest time up to which everything it wrote is here.
    pub complete_ns: u64,
    /// By how much its clock was ahead of ours then.
    pub server_ahead_ns: i64,
    /// Why there is no connection.
    pub trouble: Option<String>,
}

/// Where the progress is shown.
#[derive(Debug, Default)]
pub struct Board(Mutex<Progress>);

impl Board {
    /// How far it is.
    #[must_use]
    pub fn progress(&self) -> Progress {
        self.lock().clone()
    }

    /// Says why there is no connection.
    pub fn trouble(&self, detail: &str) {
        let mut progress = self.lock();
        progress.server = None;
        progress.trouble = Some(detail.to_owned());
    }

    fn lock(&self) -> MutexGuard<'_, Progress> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Follows the server until there is a reason to end: never returns without one.
pub struct Follower<'a> {
    /// Where the log goes.
    pub store: &'a Store,
    /// Where the server is.
    pub login: &'a Login,
    /// Our slot.
    pub slot: &'a str,
    /// What counts as safe.
    pub promise: &'a dyn Promise,
    /// Where progress is shown.
    pub board: &'a Board,
    /// The time.
    pub clock: &'a dyn Clock,
}

impl std::fmt::Debug for Follower<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Follower").field("slot", &self.slot).finish_non_exhaustive()
    }
}

/// Where to go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    timeline: Timeline,
    /// The beginning of a segment.
    from: Lsn,
}

impl Follower<'_> {
    /// Connects and follows, along all timelines, until the connection ends.
    ///
    /// # Errors
    /// Why it ended. After one that [`Error::is_passing`], call it again.
    pub fn run(&self) -> Result<()> {
        loop {
            let mut replication = Replication::open(self.login)?;
            let server = replication.server().to_owned();
            let system = replication.identify()?;
            let cluster = self.store.bind(&system, &server)?;
            let (promised, place) = self.prepare(&mut replication, &system, &cluster)?;
            let stream = match replication.start(self.slot, place.from, place.timeline) {
                Err(Error::Removed { .. }) => {
                    self.record_gap(&system, &cluster)?;
                    continue;
                }
                started => started?,
            };
            let at = (place.timeline, place.from);
            let mut received =
                Received::new(self.store, at, cluster.segment_bytes, promised, &server);
            self.board_connected(&server, &received);
            match self.stream(stream, &mut received) {
                Ok(()) => {}
                Err(Error::Removed { .. }) => self.record_gap(&system, &cluster)?,
                Err(error) => return Err(error),
            }
        }
    }

    fn board_connected(&self, server: &str, received: &Received) {
        let mut progress = self.board.lock();
        progress.server = Some(server.to_owned());
        progress.trouble = None;
        progress.timeline = received.timeline();
        progress.durable = received.durable();
    }

    /// Sees to the slot, and finds where to go on.
    fn prepare(
        &self,
        replication: &mut Replication,
        system: &System,
        cluster: &Cluster,
    ) -> Result<(Lsn, Place)> {
        let resume = self.resume(cluster)?;
        let mut slot = replication.slot(self.slot)?;
        let made = slot.is_none_or(|slot| slot.restart.is_none());
        if made {
            if slot.is_some() {
                // Invalidated, or never used: only a new one keeps the log.
                replication.drop_slot(self.slot)?;
            }
            replication.create_slot(self.slot)?;
            slot = replication.slot(self.slot)?;
            if let Some(resume) = resume {
                self.note(Kind::SlotMade, resume.timeline, resume.from, self.slot)?;
            }
        }
        let restart = slot.and_then(|slot| slot.restart);
        let Some(resume) = resume else {
            let from = restart.unwrap_or(system.flushed).segment_start(cluster.segment_bytes);
            let timeline = slot.and_then(|slot| slot.timeline).unwrap_or(system.timeline);
            self.keep_history(replication, timeline)?;
            self.note(Kind::Begun, timeline, from, &system.version)?;
            return Ok((Lsn::default(), Place { timeline, from }));
        };
        let place = self.along(replication, system, resume, cluster)?;
        // On another timeline, or by another slot, nothing was promised yet.
        let promised = restart.filter(|_| place == resume && !made).unwrap_or_default();
        self.note_interruption(replication, &resume)?;
        Ok((promised, place))
    }

    /// Where what we hold ends.
    fn resume(&self, cluster: &Cluster) -> Result<Option<Place>> {
        let size = cluster.segment_bytes;
        // A gap begins anew behind itself.
        let happenings = self.store.happenings();
        let begun = happenings.iter().rposition(|one| one.kind == Kind::Begun);
        let gap = happenings.iter().rposition(|one| one.kind == Kind::Gap);
        if gap > begun {
            return Ok(None);
        }
        let last = self.store.segments(size)?.into_iter().next_back();
        Ok(last.map(|last| {
            let number = if last.partial { last.number } else { last.number + 1 };
            Place { timeline: last.timeline, from: Lsn(number * size) }
        }))
    }

    /// Follows the cluster's history from where we are to where the server is.
    fn along(
        &self,
        replication: &mut Replication,
        system: &System,
        resume: Place,
        cluster: &Cluster,
    ) -> Result<Place> {
        let Place { timeline, from } = resume;
        let behind = |detail: String| Error::Behind {
            server: replication.server().to_owned(),
            lsn: from,
            timeline,
            detail,
        };
        if system.timeline == timeline && from > system.flushed {
            return Err(behind(format!("its log ends at {}", system.flushed)));
        }
        if system.timeline == timeline {
            return Ok(resume);
        }
        if system.timeline < timeline {
            return Err(behind(format!(
                "it is on timeline {} still, as before a failover",
                system.timeline
            )));
        }
        let history = self.keep_history(replication, system.timeline)?;
        let step = history.iter().position(|step| step.timeline == timeline);
        let Some(step) = step else {
            self.gap("the server's history does not pass through the captured timeline")?;
            return self.begin_anew(system, cluster);
        };
        if from <= history[step].until {
            return Ok(resume);
        }
        // What we hold goes further than the server that goes on ever knew.
        let until = history[step].until;
        self.note(Kind::Abandoned, timeline, until, &format!("held up to {from}"))?;
        let next = history.get(step + 1).map_or(system.timeline, |next| next.timeline);
        self.switched(next, until, cluster)
    }

    fn switched(&self, timeline: Timeline, at: Lsn, cluster: &Cluster) -> Result<Place> {
        self.note(Kind::Switched, timeline, at, "")?;
        Ok(Place { timeline, from: at.segment_start(cluster.segment_bytes) })
    }

    fn keep_history(
        &self,
        replication: &mut Replication,
        timeline: Timeline,
    ) -> Result<Vec<Switch>> {
        if timeline <= 1 {
            return Ok(Vec::new());
        }
        let (bytes, switches) = replication.timeline_history(timeline)?;
        self.store.keep_history(timeline, &bytes)?;
        for step in switches.iter().filter(|step| step.timeline > 1) {
            let (bytes, _) = replication.timeline_history(step.timeline)?;
            self.store.keep_history(step.timeline, &bytes)?;
        }
        Ok(switches)
    }

    fn note(&self, kind: Kind, timeline: Timeline, lsn: Lsn, detail: &str) -> Result<()> {
        let detail = detail.to_owned();
        let time_ns = self.clock.now_ns();
        self.store.note(Happening { time_ns, kind, timeline, lsn, detail })
    }

    fn note_interruption(&self, replication: &Replication, resume: &Place) -> Result<()> {
        let Some(noted) = self.store.position()? else {
            return Ok(());
        };
        let ahead = self.board.lock().server_ahead_ns;
        let now = self.clock.now_ns().saturating_add_signed(ahead);
        if now.saturating_sub(noted.time_ns) < INTERRUPTED_NS {
            return Ok(());
        }
        let detail = format!("{} by {}", noted.time_ns, replication.server());
        self.note(Kind::Resumed, resume.timeline, noted.lsn, &detail)
    }

    fn gap(&self, why: &str) -> Result<()> {
        let position = self.store.position()?.unwrap_or_default();
        self.store.note(Happening {
            time_ns: if position.time_ns == 0 { self.clock.now_ns() } else { position.time_ns },
            kind: Kind::Gap,
            timeline: position.timeline,
            lsn: position.lsn,
            detail: why.to_owned(),
        })
    }

    /// The server has removed what comes next: said, and begun anew behind it.
    fn record_gap(&self, system: &System, cluster: &Cluster) -> Result<()> {
        self.gap("the server removed the log before it was captured")?;
        let mut replication = Replication::open(self.login)?;
        if replication.slot(self.slot)?.is_some() {
            replication.drop_slot(self.slot)?;
        }
        replication.create_slot(self.slot)?;
        self.keep_history(&mut replication, system.timeline)?;
        let restart = replication.slot(self.slot)?.and_then(|slot| slot.restart);
        let from = restart.unwrap_or(system.flushed).segment_start(cluster.segment_bytes);
        self.store.begin_at(system.timeline, from, cluster.segment_bytes)?;
        self.note(Kind::Begun, system.timeline, from, &system.version)
    }

    fn begin_anew(&self, system: &System, cluster: &Cluster) -> Result<Place> {
        let from = system.flushed.segment_start(cluster.segment_bytes);
        self.store.begin_at(system.timeline, from, cluster.segment_bytes)?;
        self.note(Kind::Begun, system.timeline, from, &system.version)?;
        Ok(Place { timeline: system.timeline, from })
    }

    /// Takes the log of one timeline until it ends.
    fn stream(&self, mut stream: WalStream, received: &mut Received) -> Result<()> {
        let mut told = (Lsn::default(), Lsn::default());
        let mut noted = Instant::now();
        loop {
            if (self.login.stop)() {
                received.sync()?;
                self.set_position(received)?;
                self.tell(&mut stream, received, &mut told, false, false)?;
                return Err(Error::Stopped);
            }
            let asked = self.take(&mut stream, received)?;
            let ended = asked.ended;
            received.sync()?;
            self.show(received);
            let late = noted.elapsed() > NOTE_EVERY;
            if late || ended.is_some() {
                self.set_position(received)?;
                noted = Instant::now();
            }
            if let Some(next) = ended {
                return self.ended(next, received);
            }
            // Asked every second, the server's clock says up to when nothing is missing.
            self.tell(&mut stream, received, &mut told, asked.reply, late)?;
        }
    }

    fn ended(&self, next: Option<(Timeline, Lsn)>, received: &Received) -> Result<()> {
        let Some((timeline, at)) = next else {
            return Err(Error::Unreachable {
                server: "PostgreSQL".to_owned(),
                detail: "the server ended the stream".to_owned(),
            });
        };
        if timeline <= received.timeline() {
            return Ok(());
        }
        let cluster = self.store.cluster()?;
        let size = cluster.map_or(16 << 20, |cluster| cluster.segment_bytes);
        let mut replication = Replication::open(self.login)?;
        self.keep_history(&mut replication, timeline)?;
        self.note(Kind::Switched, timeline, at, "")?;
        self.store.begin_at(timeline, at.segment_start(size), size)
    }

    fn take(&self, stream: &mut WalStream, received: &mut Received) -> Result<Taken> {
        let mut taken = Taken::default();
        if !self.promise.may_take() {
            // The server keeps what we do not take; that we live it has to hear all the same.
            std::thread::sleep(Duration::from_millis(50));
            return Ok(taken);
        }
        let begun = received.next();
        let mut event = stream.next_event()?;
        loop {
            match event {
                Event::Quiet => break,
                Event::Wal { start, end, time_ns, data } => {
                    received.write(start, &data)?;
                    self.heard(end, time_ns, received.next() < end);
                }
                Event::Alive { end, time_ns, reply } => {
                    taken.reply |= reply;
                    self.heard(end, time_ns, received.next() < end);
                }
                Event::Ended { next } => {
                    taken.ended = Some(next);
                    break;
                }
            }
            if received.next().0 - begun.0 >= SYNC_AFTER_BYTES {
                break;
            }
            event = stream.event_at_hand()?;
        }
        Ok(taken)
    }

    fn heard(&self, end: Lsn, time_ns: u64, behind: bool) {
        let now = self.clock.now_ns();
        let mut progress = self.board.lock();
        progress.server_end = end;
        progress.server_ns = time_ns;
        if !behind {
            progress.complete_ns = time_ns.saturating_sub(SETTLED_AFTER_NS);
        }
        let ahead = i128::from(time_ns) - i128::from(now);
        progress.server_ahead_ns = i64::try_from(ahead).unwrap_or_default();
    }

    fn show(&self, received: &Received) {
        let mut progress = self.board.lock();
        progress.timeline = received.timeline();
        progress.durable = received.durable();
    }

    fn set_position(&self, received: &Received) -> Result<()> {
        let time_ns = self.board.lock().complete_ns;
        let (timeline, lsn) = (received.timeline(), received.durable());
        self.store.set_position(&Position { timeline, lsn, time_ns })
    }

    fn tell(
        &self,
        stream: &mut WalStream,
        received: &Received,
        told: &mut (Lsn, Lsn),
        due: bool,
        ask: bool,
    ) -> Result<()> {
        let written = received.durable();
        // What was promised is not taken back.
        let flushed = self.promise.flushed(written).min(written).max(told.1);
        if due || ask || (written, flushed) != *told {
            stream.tell(written, flushed, self.clock.now_ns(), ask)?;
            *told = (written, flushed);
            self.board.lock().flushed = flushed;
        }
        Ok(())
    }
}

#[derive(Default)]
struct Taken {
    reply: bool,
    ended: Option<Option<(Timeline, Lsn)>>,
}
