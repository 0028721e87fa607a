//! Restore: from what the sites hold to an engine that stands where it stood, and a journal that
//! has the same entries, frames and chain.
//!
//! ```text
//!   points of the lineage    P1 ───── P2 ───── P3 ─ ─ tails ─ ─ ▸ last shipped
//!   history (optional)       journal of P1, of P2, …
//!   state                                      snapshot of P3, then tails applied up to the target
//! ```

use evenkeel_journal::{Base, Chain, RootTracker};
use evenkeel_types::codec::Canonical;
use evenkeel_types::merkle::{Frontier, Hash};
use evenkeel_types::{Event, Timestamp};
use evenkeel_vault::{Catalog, Lineage, Opener, PointInfo, Root, TailInfo};
use evenkeel_venue::Engine;

use crate::checkpoint::Checkpoint;
use crate::error::{RecoveryError, Result};
use crate::follower::Promise;
use crate::frames::{Frame, Frames};
use crate::ledger::Ledger;
use crate::replica::decode;
use crate::skips::{self, Skips, with_skips};

/// Source of a recovery point that holds its [`Checkpoint`].
pub const SNAPSHOT_SOURCE: &str = "snapshot";
/// Source of a recovery point that holds the [`Frames`] since the point before.
pub const JOURNAL_SOURCE: &str = "journal";
/// Name of the journal's chain among a record's roots.
pub const CHAIN_ROOT: &str = "chain";

impl Promise {
    const NAMES: [&'static str; 4] = ["state_root", "journal_root", "output_digest", CHAIN_ROOT];

    /// The promise as a record's roots.
    #[must_use]
    pub fn to_roots(&self) -> Vec<Root> {
        let hashes = [self.state_root, self.journal_root, self.output_digest, self.chain];
        Self::NAMES.into_iter().zip(hashes).map(|(name, hash)| Root::new(name, hash)).collect()
    }

    /// Reads a record's roots; `None` if one is missing.
    #[must_use]
    pub fn from_roots(roots: &[Root]) -> Option<Self> {
        let [state_root, journal_root, output_digest, chain] =
            Self::NAMES.map(|name| root(roots, name));
        Some(Self {
            state_root: state_root?,
            journal_root: journal_root?,
            output_digest: output_digest?,
            chain: chain?,
        })
    }
}

fn root(roots: &[Root], name: &str) -> Option<Hash> {
    roots.iter().find(|root| root.name == name).map(|root| root.hash)
}

/// How far to restore.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// To the last position on enough sites.
    Latest,
    /// To just before this position.
    Position(u64),
    /// To the last entry that was not journaled after this time.
    Time(Timestamp),
}

impl Target {
    fn admits(self, position: u64, time: Timestamp) -> bool {
        match self {
            Self::Latest => true,
            Self::Position(end) => position < end,
            Self::Time(end) => time <= end,
        }
    }

    fn admits_point(self, point: &PointInfo) -> bool {
        match self {
            Self::Latest | Self::Time(_) => true,
            Self::Position(end) => point.position <= end,
        }
    }
}

/// Which entries to bring back besides those needed to resume.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum History {
    /// Only those behind the snapshot: the fastest way to trading.
    SinceSnapshot,
    /// All that the sites hold of the lineage.
    Full,
}

/// Where a restore writes what it brings back, in this order: `begin`, frames, `snapshot` once its
/// position is reached, more frames, `finish`.
pub trait Sink {
    /// The journal begins here. Begun again before it is finished, it is empty again: what was
    /// written of it, and the snapshot, is discarded.
    ///
    /// # Errors
    /// Whatever prevents writing.
    fn begin(&mut self, base: &Base) -> Result<()>;

    /// The next frame of the journal.
    ///
    /// # Errors
    /// Whatever prevents writing.
    fn frame(&mut self, frame: &Frame) -> Result<()>;

    /// The state at the journal's present end.
    ///
    /// # Errors
    /// Whatever prevents writing.
    fn snapshot(&mut self, checkpoint: &Checkpoint) -> Result<()>;

    /// Makes everything durable; returns the chain of the journal that was written.
    ///
    /// # Errors
    /// Whatever prevents writing.
    fn finish(&mut self) -> Result<Chain>;
}

/// What a restore brought back.
#[derive(Debug)]
pub struct Restored {
    /// The engine, at [`Restored::position`].
    pub engine: Engine,
    /// The recovery point it started from.
    pub point: PointInfo,
    /// The engine as the snapshot alone gave it, before anything was replayed.
    pub checkpoint: Checkpoint,
    /// Next position.
    pub position: u64,
    /// Entries applied on top of the snapshot.
    pub replayed: u64,
    /// RFC 6962 root over all entries before `position`.
    pub journal_root: Hash,
    /// Right edge of that tree.
    pub frontier: Frontier,
    /// Chain of the journal that was written.
    pub chain: Chain,
    /// When the newest record that was used was made, by the writer's clock, in nanoseconds.
    pub last_shipped_ns: u64,
    /// Entries that are passed over, as far as the replay had to know.
    pub skips: Skips,
}

/// Reads one lineage.
#[derive(Debug)]
pub struct Restorer<'a> {
    opener: &'a Opener,
    lineage: Lineage,
    points: Vec<PointInfo>,
    tails: Vec<TailInfo>,
}

impl<'a> Restorer<'a> {
    /// Prepares to restore a lineage.
    ///
    /// # Errors
    /// [`RecoveryError::BeforeFirstPoint`] if it has no recovery point.
    pub fn new(catalog: &Catalog, opener: &'a Opener, lineage: Lineage) -> Result<Self> {
        let mut points = catalog.points();
        points.retain(|point| point.id.lineage == lineage);
        let tails = catalog.tails_after(lineage, None);
        if points.is_empty() {
            return Err(RecoveryError::BeforeFirstPoint {
                asked: "anything".to_owned(),
                earliest: "none: the writer has shipped no recovery point yet".to_owned(),
            });
        }
        Ok(Self { opener, lineage, points, tails })
    }

    /// The lineage being restored.
    #[must_use]
    pub fn lineage(&self) -> Lineage {
        self.lineage
    }

    /// Its recovery points, oldest first.
    #[must_use]
    pub fn points(&self) -> &[PointInfo] {
        &self.points
    }

    /// Reads a point's checkpoint and compares it with what the point promises.
    ///
    /// # Errors
    /// Whatever the vault says; [`RecoveryError::Mismatch`] if it is not what was promised.
    pub fn checkpoint(&self, point: &PointInfo) -> Result<(Checkpoint, Engine)> {
        let mut bytes = Vec::new();
        self.opener.read_source(point.id, SNAPSHOT_SOURCE, &mut bytes)?;
        let checkpoint = Checkpoint::from_bytes(&bytes)
            .map_err(|error| RecoveryError::Snapshot { detail: error.to_string() })?;
        let engine = checkpoint.engine()?;
        let Some(promise) = Promise::from_roots(&point.roots) else {
            let detail = format!("recovery point {} promises no roots", point.id);
            return Err(RecoveryError::Snapshot { detail });
        };
        compare("state root", promise.state_root, engine.state_root())?;
        compare("journal root", promise.journal_root, checkpoint.frontier.root())?;
        compare("output digest", promise.output_digest, engine.output_digest())?;
        compare("chain", promise.chain, checkpoint.chain)?;
        Ok((checkpoint, engine))
    }

    /// Entries of the journal between the point before and this one.
    ///
    /// # Errors
    /// Whatever the vault says.
    pub fn frames_of(&self, point: &PointInfo) -> Result<Frames> {
        let mut bytes = Vec::new();
        self.opener.read_source(point.id, JOURNAL_SOURCE, &mut bytes)?;
        decode_frames(&bytes)
    }

    /// The newest point that the target admits, with its state; none that applied what is passed
    /// over.
    fn choose(&self, target: Target, skips: &Skips) -> Result<(usize, Checkpoint, Engine)> {
        for (index, point) in self.points.iter().enumerate().rev() {
            if !target.admits_point(point) {
                continue;
            }
            // A point made long after the time asked for need not be read to know that.
            if matches!(target, Target::Time(end) if index > 0
                && self.points[index - 1].time_ns > end.0)
            {
                continue;
            }
            let (checkpoint, engine) = self.checkpoint(point)?;
            if !skips.permit(&engine) {
                continue;
            }
            if checkpoint.position() == 0 || target.admits(point.position - 1, engine.time()) {
                return Ok((index, checkpoint, engine));
            }
        }
        let asked = match target {
            Target::Latest => "the end".to_owned(),
            Target::Position(end) => format!("position {end}"),
            Target::Time(end) => format!("time {} ns since 1970", end.0),
        };
        let first = &self.points[0];
        let earliest = format!("position {} ({} ns since 1970)", first.position, first.time_ns);
        Err(RecoveryError::BeforeFirstPoint { asked, earliest })
    }

    /// Refuses a position that no record at the sites reaches, before anything is written.
    fn check_reach(&self, end: u64) -> Result<()> {
        let points = self.points.iter().map(Shipment::Point);
        let reached = points.chain(self.tail_list()).map(|one| one.next()).max();
        let reached = reached.unwrap_or(0);
        if end <= reached {
            return Ok(());
        }
        Err(RecoveryError::Gap { missing_from: reached, missing_to: end })
    }

    /// Restores into `sink`. A `ledger` is opened with the snapshot's figures and fed with every
    /// event of the entries applied on top of it.
    ///
    /// # Errors
    /// Whatever the vault or the sink says; [`RecoveryError::Gap`] if entries are missing;
    /// [`RecoveryError::Mismatch`] if what came back is not what was promised.
    pub fn restore(
        &self,
        target: Target,
        history: History,
        mut ledger: Option<&mut Ledger>,
        sink: &mut dyn Sink,
    ) -> Result<Restored> {
        if let Target::Position(end) = target {
            self.check_reach(end)?;
        }
        let mut ahead = |from, skips: &mut Skips| self.read_ahead(from, skips);
        let (mut restored, skips) = with_skips(Skips::none(), &mut ahead, &mut |skips| {
            self.restore_once(target, history, ledger.as_deref_mut(), sink, skips)
        })?;
        restored.skips = skips;
        Ok(restored)
    }

    /// Takes what the sites' entries from a position on say is passed over.
    ///
    /// # Errors
    /// Whatever the vault says.
    pub(crate) fn read_ahead(&self, from: u64, skips: &mut Skips) -> Result<()> {
        let mut at = from;
        self.frames_between(from, u64::MAX, &mut |frame| {
            for bytes in &frame.entries {
                skips.read(&decode(at, &bytes.0)?)?;
                at += 1;
            }
            Ok(())
        })?;
        Ok(())
    }

    fn restore_once(
        &self,
        target: Target,
        history: History,
        mut ledger: Option<&mut Ledger>,
        sink: &mut dyn Sink,
        skips: &Skips,
    ) -> Result<Restored> {
        let (index, checkpoint, engine) = self.choose(target, skips)?;
        let point = self.points[index].clone();
        match history {
            History::Full => self.write_history(index, &checkpoint, sink)?,
            History::SinceSnapshot => sink.begin(&base_of(&checkpoint))?,
        }
        sink.snapshot(&checkpoint)?;
        let root = RootTracker::resume(checkpoint.position(), checkpoint.frontier.clone());
        let last_shipped_ns = point.time_ns;
        if let Some(ledger) = ledger.as_deref_mut() {
            *ledger = Ledger::opened_with(&engine)?;
        }
        let mut replay =
            Replay { target, engine, root, sink, events: Vec::new(), ledger, done: false, skips };
        let mut newest_ns = last_shipped_ns;
        let mut promised_chain = Promise::from_roots(&point.roots).map(|promise| promise.chain);
        for later in self.points[index + 1..].iter().map(Shipment::Point).chain(self.tail_list()) {
            if replay.is_done() {
                break;
            }
            if later.next() <= replay.root.next() {
                newest_ns = newest_ns.max(later.time_ns());
                continue;
            }
            let before = replay.root.next();
            let whole = replay.frames(self.read(&later)?)?;
            if whole {
                newest_ns = newest_ns.max(later.time_ns());
                promised_chain = later.chain();
            } else if replay.root.next() > before {
                promised_chain = None;
            }
        }
        let Replay { engine, root, sink, .. } = replay;
        let chain = sink.finish()?;
        if let Some(promised) = promised_chain {
            compare("journal chain", promised, chain)?;
        }
        Ok(Restored {
            point,
            position: root.next(),
            replayed: root.next() - checkpoint.position(),
            journal_root: root.root(),
            frontier: root.frontier().clone(),
            checkpoint,
            engine,
            chain,
            last_shipped_ns: newest_ns,
            skips: Skips::none(),
        })
    }

    /// Hands every frame from position `from` to before `to` to `take`, as far as the sites hold
    /// them; returns the position behind the last one.
    ///
    /// # Errors
    /// Whatever the vault or `take` says; [`RecoveryError::Gap`] if the sites lack entries.
    pub fn frames_between(
        &self,
        from: u64,
        to: u64,
        take: &mut dyn FnMut(&Frame) -> Result<()>,
    ) -> Result<u64> {
        let mut next = from;
        for shipment in self.points.iter().map(Shipment::Point).chain(self.tail_list()) {
            if next >= to {
                break;
            }
            if shipment.next() <= next {
                continue;
            }
            for frame in self.read(&shipment)?.0 {
                if next >= to {
                    break;
                }
                let Some(mut frame) = unseen(frame, next)? else { continue };
                let room = usize::try_from(to - next).unwrap_or(usize::MAX);
                frame.entries.truncate(room);
                if !frame.entries.is_empty() {
                    take(&frame)?;
                    next += frame.entries.len() as u64;
                }
            }
        }
        Ok(next)
    }

    /// Whether the sites hold this lineage's entries from position 0 on.
    ///
    /// # Errors
    /// Whatever the vault says.
    pub fn reaches_genesis(&self) -> Result<bool> {
        let first = &self.points[0];
        Ok(begins_at_genesis(&self.frames_of(first)?, first))
    }

    /// Writes the journal up to the chosen point, from as far back as the sites hold it.
    fn write_history(&self, index: usize, end: &Checkpoint, sink: &mut dyn Sink) -> Result<()> {
        let first = self.frames_of(&self.points[0])?;
        let reaches_genesis = begins_at_genesis(&first, &self.points[0]);
        let mut root = if reaches_genesis {
            sink.begin(&Base::genesis())?;
            let mut root = RootTracker::new(&Base::genesis());
            write_frames(first, &mut root, sink)?;
            root
        } else {
            let base = base_of(&self.checkpoint(&self.points[0])?.0);
            sink.begin(&base)?;
            RootTracker::new(&base)
        };
        for point in &self.points[1..=index] {
            write_frames(self.frames_of(point)?, &mut root, sink)?;
        }
        if root.next() != end.position() {
            let (missing_from, missing_to) = (root.next(), end.position());
            return Err(RecoveryError::Gap { missing_from, missing_to });
        }
        compare("journal root", end.frontier.root(), root.root())
    }

    fn tail_list(&self) -> impl Iterator<Item = Shipment<'_>> {
        self.tails.iter().map(Shipment::Tail)
    }

    fn read(&self, shipment: &Shipment<'_>) -> Result<Frames> {
        match shipment {
            Shipment::Point(point) => self.frames_of(point),
            Shipment::Tail(tail) => decode_frames(&self.opener.read_tail(tail)?),
        }
    }
}

fn begins_at_genesis(frames: &Frames, point: &PointInfo) -> bool {
    frames.0.first().map_or(point.position == 0, |frame| frame.first == 0)
}

/// What carries frames.
enum Shipment<'a> {
    Point(&'a PointInfo),
    Tail(&'a TailInfo),
}

impl Shipment<'_> {
    fn next(&self) -> u64 {
        match self {
            Self::Point(point) => point.position,
            Self::Tail(tail) => tail.last + 1,
        }
    }

    fn time_ns(&self) -> u64 {
        match self {
            Self::Point(point) => point.time_ns,
            Self::Tail(tail) => tail.time_ns,
        }
    }

    fn chain(&self) -> Option<Chain> {
        match self {
            Self::Point(point) => root(&point.roots, CHAIN_ROOT),
            Self::Tail(tail) => root(&tail.roots, CHAIN_ROOT),
        }
    }
}

/// Applies frames until the target is reached.
struct Replay<'a> {
    target: Target,
    engine: Engine,
    root: RootTracker,
    sink: &'a mut dyn Sink,
    events: Vec<Event>,
    ledger: Option<&'a mut Ledger>,
    done: bool,
    skips: &'a Skips,
}

impl Replay<'_> {
    /// Whether nothing further is wanted, as far as that is known without reading on.
    fn is_done(&self) -> bool {
        let next = self.root.next();
        self.done || matches!(self.target, Target::Position(end) if next >= end)
    }

    /// Returns whether every frame was applied whole.
    fn frames(&mut self, frames: Frames) -> Result<bool> {
        for frame in frames.0 {
            let Some(frame) = unseen(frame, self.root.next())? else {
                continue;
            };
            let mut admitted = Frame { term: frame.term, first: frame.first, entries: Vec::new() };
            for bytes in frame.entries {
                let position = self.root.next();
                let entry = decode(position, &bytes.0)?;
                if !self.target.admits(position, entry.time) {
                    self.done = true;
                    break;
                }
                self.events.clear();
                let (engine, events) = (&mut self.engine, &mut self.events);
                skips::apply(engine, self.skips, &entry, &bytes.0, events)?;
                if let Some(ledger) = self.ledger.as_deref_mut() {
                    self.events.iter().try_for_each(|event| ledger.fold(event))?;
                }
                self.root.push(&bytes.0);
                admitted.entries.push(bytes);
            }
            if !admitted.entries.is_empty() {
                self.sink.frame(&admitted)?;
            }
            if self.done {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// The part of a frame from `next` on; `None` if it lies before.
fn unseen(mut frame: Frame, next: u64) -> Result<Option<Frame>> {
    if frame.first > next {
        return Err(RecoveryError::Gap { missing_from: next, missing_to: frame.first });
    }
    if frame.next() <= next {
        return Ok(None);
    }
    let skip = usize::try_from(next - frame.first).unwrap_or(usize::MAX);
    frame.entries.drain(..skip);
    frame.first = next;
    Ok(Some(frame))
}

fn write_frames(frames: Frames, root: &mut RootTracker, sink: &mut dyn Sink) -> Result<()> {
    for frame in frames.0 {
        if let Some(frame) = unseen(frame, root.next())? {
            sink.frame(&frame)?;
            for entry in &frame.entries {
                root.push(&entry.0);
            }
        }
    }
    Ok(())
}

fn decode_frames(bytes: &[u8]) -> Result<Frames> {
    Frames::from_bytes(bytes)
        .map_err(|error| RecoveryError::Snapshot { detail: format!("journal part: {error}") })
}

/// Where a journal begins that goes on from a checkpoint.
#[must_use]
pub fn base_of(checkpoint: &Checkpoint) -> Base {
    Base {
        position: checkpoint.position(),
        chain: checkpoint.chain,
        frontier: checkpoint.frontier.clone(),
    }
}

fn compare(what: &'static str, promised: Hash, restored: Hash) -> Result<()> {
    if promised == restored {
        return Ok(());
    }
    let hex = |hash: Hash| hash.iter().map(|byte| format!("{byte:02x}")).collect();
    Err(RecoveryError::Mismatch { what, promised: hex(promised), restored: hex(restored) })
}
