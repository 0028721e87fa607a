//! What the tests share: a market, a host with journal and engine, a desk with five sites.

pub mod desk;
pub mod market;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use evenkeel_journal::{
    Base, Chain, Confirmation, Disk, Durability, FileLog, Identity, Options, Preparation, Reader,
    RealDisk,
};
use evenkeel_recovery::{
    Ack, Agreement, Checkpoint, EntryBytes, Follower, Frame, FrameReader, PassedOver, Primary,
    Promise, RecoveryError, Request, Rescue, Rescued, Sink, Skips, boot, read_ahead, rescue,
};
use evenkeel_types::codec::Canonical;
use evenkeel_types::merkle::Hash;
use evenkeel_types::{Entry, Timestamp};
use evenkeel_venue::Engine;
use market::{Market, START_NS};

pub const IDENTITY: Identity =
    Identity { cluster_id: *b"a test cluster !", lineage: *b"lineage number 1" };

/// Small segments, so that a few hundred entries cross several; no threads; not synced where a
/// test is not about durability.
pub const SMALL: Options = Options {
    segment_bytes: 32 << 10,
    reserve_bytes: 8 << 10,
    durability: Durability::NoSync,
    preparation: Preparation::Inline,
};

/// A primary with its journal.
pub struct Host {
    pub disk: Arc<dyn Disk>,
    pub dir: PathBuf,
    pub primary: Primary,
    pub market: Market,
    pub agreement: Arc<Agreement>,
    pub time: u64,
    _folder: Option<tempfile::TempDir>,
    _kept: Vec<Scratch>,
}

impl Host {
    /// An empty host on a real disk.
    pub fn blank(seed: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("journal");
        Self::on(Arc::new(RealDisk), dir, Some(folder), seed, SMALL)
    }

    /// A host whose venue is founded.
    pub fn founded(seed: u64) -> Self {
        let mut host = Self::blank(seed);
        host.found();
        host
    }

    pub fn on(
        disk: Arc<dyn Disk>,
        dir: PathBuf,
        folder: Option<tempfile::TempDir>,
        seed: u64,
        options: Options,
    ) -> Self {
        let base = Base::genesis();
        let mut log = FileLog::create(Arc::clone(&disk), &dir, IDENTITY, base, options).unwrap();
        log.confirm_end(&[]).unwrap();
        let agreement = Arc::new(Agreement::new());
        let now = Timestamp(START_NS);
        let primary = Primary::begin(log, Engine::new(), Arc::clone(&agreement), now).unwrap();
        Self {
            disk,
            dir,
            primary,
            market: Market::new(seed),
            agreement,
            time: START_NS,
            _folder: folder,
            _kept: Vec::new(),
        }
    }

    /// Keeps a scratch folder alive in which this host goes on.
    pub fn keep(&mut self, scratch: Scratch) {
        self._kept.push(scratch);
    }

    pub fn found(&mut self) {
        let count = self.market.founding_count();
        self.commit(count);
    }

    /// Commits the market's next requests as one batch; time stands still every third batch.
    pub fn commit(&mut self, count: usize) -> Vec<Ack> {
        let requests = (0..count).map(|_| self.market.next_request()).collect();
        self.commit_these(requests)
    }

    pub fn commit_these(&mut self, requests: Vec<Request>) -> Vec<Ack> {
        if !self.primary.log().next().is_multiple_of(3) {
            self.time += 1_000;
        }
        let answers = self.primary.commit(Timestamp(self.time), requests).unwrap();
        let acks: Vec<Ack> = answers.into_iter().map(Result::unwrap).collect();
        for ack in &acks {
            self.market.observe(&ack.events);
        }
        acks
    }

    /// Commits batches of one to six until `entries` more are in.
    pub fn trade(&mut self, entries: u64) {
        let end = self.position() + entries;
        while self.position() < end {
            let left = end - self.position();
            let size = left.min(1 + self.position() % 6);
            self.commit(usize::try_from(size).unwrap());
        }
    }

    pub fn position(&self) -> u64 {
        self.primary.log().next()
    }

    pub fn frames_from(&self, position: u64) -> FrameReader {
        let watermark = self.primary.log().watermark();
        FrameReader::start(Arc::clone(&self.disk), &self.dir, position, watermark).unwrap()
    }

    pub fn follower(&self, checkpoint: &Checkpoint) -> Follower {
        let (disk, watermark) = (Arc::clone(&self.disk), self.primary.log().watermark());
        let agreement = Arc::clone(&self.agreement);
        Follower::start(checkpoint, disk, &self.dir, watermark, agreement).unwrap()
    }

    /// The state as it is, as the follower would give it.
    pub fn checkpoint(&self) -> (Checkpoint, Promise) {
        let genesis = Checkpoint::genesis();
        let (disk, watermark) = (Arc::clone(&self.disk), self.primary.log().watermark());
        let alone = Arc::new(Agreement::new());
        let engine = self.primary.engine();
        let (position, digest) = (engine.next_position().0, engine.output_digest());
        let agreed = evenkeel_recovery::agreement::Party::Primary;
        alone.publish(agreed, position, digest).unwrap();
        let follower = Follower::start(&genesis, disk, &self.dir, watermark, alone).unwrap();
        let mut skips = Skips::none();
        let mut reader = Reader::external(Arc::clone(&self.disk), &self.dir, 0).unwrap();
        read_ahead(&mut reader, &mut skips).unwrap();
        let mut follower = follower.passing_over(skips);
        while follower.step(64).unwrap() > 0 {}
        follower.checkpoint().unwrap()
    }

    /// Ends without closing and starts again, as after a kill.
    pub fn restart(self) -> Self {
        let Self { disk, dir, primary, market, time, _folder, _kept, .. } = self;
        drop(primary);
        let (log, engine) = reopen(&disk, &dir, SMALL);
        let agreement = Arc::new(Agreement::new());
        let now = Timestamp(time);
        let primary = Primary::begin(log, engine, Arc::clone(&agreement), now).unwrap();
        Self { disk, dir, primary, market, agreement, time, _folder, _kept }
    }

    /// As [`Host::restart`], with whatever a start does about an entry that panics.
    pub fn rescued(
        self,
        rescuer: &mut dyn Rescue,
    ) -> (Result<Self, RecoveryError>, Vec<PassedOver>) {
        let Self { disk, dir, primary, market, time, _folder, _kept, .. } = self;
        drop(primary);
        let mut log = open(&disk, &dir, SMALL);
        let Rescued { booted, term, passed_over } = match rescue(&mut log, &disk, rescuer) {
            Ok(rescued) => rescued,
            Err(error) => return (Err(error), Vec::new()),
        };
        let agreement = Arc::new(Agreement::new());
        let (board, now) = (Arc::clone(&agreement), Timestamp(time));
        let primary =
            Primary::begin_in_term(Box::new(log), booted.engine, board, now, term).unwrap();
        (Ok(Self { disk, dir, primary, market, agreement, time, _folder, _kept }), passed_over)
    }

    /// Ends as by a kill; the folder stays as long as what is returned.
    pub fn die(self) -> impl Sized {
        let Self { primary, _folder, _kept, .. } = self;
        drop(primary);
        (_folder, _kept)
    }

    /// Takes the folder, which then stays as long as what is returned.
    pub fn kept(&mut self) -> impl Sized + use<> {
        (self._folder.take(), std::mem::take(&mut self._kept))
    }

    /// Everything in the journal, by the reader from outside.
    pub fn history(&self) -> History {
        History::read(&self.disk, &self.dir)
    }
}

/// Opens a journal as after a kill and rebuilds the engine from it.
pub fn reopen(disk: &Arc<dyn Disk>, dir: &Path, options: Options) -> (FileLog, Engine) {
    let log = open(disk, dir, options);
    let base = log.base().clone();
    let booted = boot(disk, dir, &base, &log.watermark(), &[]).unwrap();
    (log, booted.engine)
}

/// Opens a journal as after a kill, and confirms its end.
pub fn open(disk: &Arc<dyn Disk>, dir: &Path, options: Options) -> FileLog {
    let (mut log, opened) = FileLog::open(Arc::clone(disk), dir, options).unwrap();
    log.confirm_end(&[Confirmation {
        source: "the test".to_owned(),
        next: opened.next,
        chain: Some(opened.chain),
    }])
    .unwrap();
    log
}

/// A journal's frames, and what the engine was at every position.
pub struct History {
    pub frames: Vec<Frame>,
    pub entries: Vec<Entry>,
    /// Chain behind each frame, by the position behind it.
    pub chains: Vec<(u64, Chain)>,
    /// State root at each position, by replay from the beginning.
    pub state_roots: Vec<Hash>,
}

impl History {
    pub fn read(disk: &Arc<dyn Disk>, dir: &Path) -> Self {
        let (mut frames, mut entries, mut chains) = (Vec::new(), Vec::new(), Vec::new());
        for batch in Reader::external(Arc::clone(disk), dir, 0).unwrap() {
            let batch = batch.unwrap();
            chains.push((batch.next(), batch.chain));
            let bytes = batch.records.into_iter().map(|record| record.entry);
            let bytes: Vec<EntryBytes> = bytes.map(EntryBytes).collect();
            entries.extend(bytes.iter().map(|one| Entry::from_bytes(&one.0).unwrap()));
            frames.push(Frame { term: batch.term, first: batch.first, entries: bytes });
        }
        let mut engine = Engine::new();
        let mut state_roots = vec![engine.state_root()];
        for entry in &entries {
            engine.apply(entry, &mut Vec::new());
            state_roots.push(engine.state_root());
        }
        Self { frames, entries, chains, state_roots }
    }

    /// Number of entries.
    pub fn end(&self) -> u64 {
        self.entries.len() as u64
    }

    /// The chain at a position where a frame ends.
    pub fn chain_at(&self, position: u64) -> Option<Chain> {
        let found = self.chains.iter().find(|(next, _)| *next == position);
        found.map(|(_, chain)| *chain)
    }

    pub fn engine_at(&self, position: u64) -> Engine {
        let mut engine = Engine::new();
        for entry in &self.entries[..usize::try_from(position).unwrap()] {
            engine.apply(entry, &mut Vec::new());
        }
        engine
    }
}

/// Restores into a real journal of its own, and checks the order in which it is fed.
pub struct Scratch {
    pub disk: Arc<dyn Disk>,
    pub dir: PathBuf,
    pub base: Option<Base>,
    pub snapshot: Option<Checkpoint>,
    log: Option<FileLog>,
    _folder: tempfile::TempDir,
}

impl Scratch {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self {
            disk: Arc::new(RealDisk),
            dir: folder.path().join("scratch"),
            base: None,
            snapshot: None,
            log: None,
            _folder: folder,
        }
    }

    /// The frames that were written.
    pub fn frames(&self) -> Vec<Frame> {
        let from = self.base.as_ref().expect("begun").position;
        let reader = Reader::external(Arc::clone(&self.disk), &self.dir, from).unwrap();
        let frame = |batch: evenkeel_journal::Batch| Frame {
            term: batch.term,
            first: batch.first,
            entries: batch.records.into_iter().map(|record| EntryBytes(record.entry)).collect(),
        };
        reader.map(|batch| frame(batch.unwrap())).collect()
    }
}

impl Sink for Scratch {
    fn begin(&mut self, base: &Base) -> evenkeel_recovery::Result<()> {
        if self.log.take().is_some() {
            std::fs::remove_dir_all(&self.dir).unwrap();
            self.snapshot = None;
        }
        let (disk, base) = (Arc::clone(&self.disk), base.clone());
        let mut log = FileLog::create(disk, &self.dir, IDENTITY, base.clone(), SMALL)?;
        log.confirm_end(&[])?;
        self.base = Some(base);
        self.log = Some(log);
        Ok(())
    }

    fn frame(&mut self, frame: &Frame) -> evenkeel_recovery::Result<()> {
        let log = self.log.as_mut().expect("begun");
        assert_eq!(log.next(), frame.first, "frames continue one another");
        if frame.term > log.term() {
            log.begin_term(frame.term)?;
        }
        let entries: Vec<&[u8]> = frame.entries.iter().map(|one| one.0.as_slice()).collect();
        log.append(&entries, evenkeel_journal::Admission::Normal)?;
        Ok(())
    }

    fn snapshot(&mut self, checkpoint: &Checkpoint) -> evenkeel_recovery::Result<()> {
        let next = self.log.as_ref().expect("begun").next();
        assert_eq!(next, checkpoint.position(), "the snapshot is of this place");
        assert!(self.snapshot.replace(checkpoint.clone()).is_none());
        Ok(())
    }

    fn finish(&mut self) -> evenkeel_recovery::Result<Chain> {
        let log = self.log.take().expect("begun");
        let chain = log.chain();
        log.close()?;
        Ok(chain)
    }
}
