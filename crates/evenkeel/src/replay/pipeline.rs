//! Journal and engine under every replay.
//!
//! An entry is encoded, applied and collected into a batch; a second thread appends batches to the
//! journal while the next one is applied. The engine may therefore run ahead of the disk, but what
//! it says may not: text for result files is held until the batch it came from is durable.

use super::args::ReplayArgs;
use super::error::ReplayError;
use super::outlet::Outlet;
use evenkeel_journal::{
    Admission, Base, FileLog, Identity, JournalError, Options, RealDisk, RootTracker,
};
use evenkeel_types::codec::Writer;
use evenkeel_types::{
    AccountId, Canonical, ClientSequence, Collateral, Command, Entry, Event, Origin, OutcomeKind,
    SessionId, Term, Timestamp,
};
use evenkeel_venue::Engine;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

/// Entries in one batch at most.
const BATCH_ENTRIES: usize = 8192;
/// Bytes in one batch, about.
const BATCH_BYTES: usize = 512 << 10;

/// The identity of every replay's venue and journal. It is fixed, as is the salt, so that the same
/// file gives the same roots everywhere; the salt hides nothing here.
const VENUE: [u8; 16] = *b"evenkeel replay\0";
const SALT: [u8; 32] = *b"evenkeel replay: salt, no secret";

/// A batch on its way to the journal, and back again empty.
#[derive(Debug, Default)]
struct Batch {
    bytes: Writer,
    ends: Vec<usize>,
}

type Acknowledged = Result<Batch, JournalError>;

/// Journal and engine.
#[derive(Debug)]
pub struct Pipeline {
    engine: Engine,
    events: Vec<Event>,
    batch: Batch,
    appender: Appender,
    outlets: Vec<Outlet>,
    time_ns: u64,
    sequence: u64,
    file_entries: u64,
    restore_at: Option<u64>,
    restored: bool,
}

/// How a replay ended.
#[derive(Debug)]
pub struct Ended {
    /// The engine behind the last entry.
    pub engine: Engine,
    /// Entries of the file that were applied.
    pub file_entries: u64,
    /// Entries in the journal: those, and what defines the venue.
    pub journal_entries: u64,
    /// RFC 6962 root over all entries.
    pub journal_root: [u8; 32],
}

impl Pipeline {
    /// A new journal, in the folder named or in a temporary one, and an engine founded at
    /// `time_ns`. Text written to an outlet leaves when it may.
    ///
    /// # Errors
    /// [`ReplayError::JournalNotEmpty`], [`ReplayError::Journal`].
    pub fn open(
        args: &ReplayArgs,
        time_ns: u64,
        outlets: Vec<Outlet>,
    ) -> Result<Self, ReplayError> {
        let mut pipeline = Self {
            engine: Engine::new(),
            events: Vec::new(),
            batch: Batch::default(),
            appender: Appender::start(args)?,
            outlets,
            time_ns,
            sequence: 0,
            file_entries: 0,
            restore_at: args.restore_at,
            restored: false,
        };
        pipeline.define("the venue", Command::Found { venue: VENUE, salt: SALT })?;
        pipeline.define("the term", Command::Resume { term: Term(1) })?;
        Ok(pipeline)
    }

    /// Applies a command of the operator that must succeed.
    ///
    /// # Errors
    /// [`ReplayError::Setup`] if it is refused, [`ReplayError::Journal`].
    pub fn define(&mut self, what: &str, command: Command) -> Result<(), ReplayError> {
        match self.submit(self.time_ns, AccountId::OPERATOR, command)? {
            OutcomeKind::Rejected { code } => {
                let reason = code.sentence().to_owned();
                Err(ReplayError::Setup { what: what.to_owned(), reason })
            }
            OutcomeKind::Done | OutcomeKind::Order { .. } => Ok(()),
        }
    }

    /// Opens an account whose means are not checked: a recording does not tell them.
    ///
    /// # Errors
    /// As [`Pipeline::define`].
    pub fn open_account(&mut self, account: AccountId) -> Result<(), ReplayError> {
        let collateral = Collateral::Unlimited;
        self.define("an account", Command::OpenAccount { account, collateral })
    }

    /// Applies a command; its events are in [`Pipeline::events`] until the next one. The entry's
    /// time is the recorded one, held where the recording goes back.
    ///
    /// # Errors
    /// [`ReplayError::Journal`], [`ReplayError::Output`].
    pub fn submit(
        &mut self,
        time_ns: u64,
        account: AccountId,
        command: Command,
    ) -> Result<OutcomeKind, ReplayError> {
        if self.batch.ends.len() >= BATCH_ENTRIES || self.batch.bytes.as_bytes().len() > BATCH_BYTES
        {
            self.commit()?;
        }
        self.time_ns = self.time_ns.max(time_ns);
        self.sequence += 1;
        let sequence = ClientSequence(self.sequence);
        let origin = Origin { account, session: SessionId(1), sequence };
        let entry = Entry { time: Timestamp(self.time_ns), origin, command };
        entry.encode(&mut self.batch.bytes);
        self.batch.ends.push(self.batch.bytes.as_bytes().len());
        self.events.clear();
        self.engine.apply(&entry, &mut self.events);
        match self.events.last() {
            Some(Event::Completed { outcome }) => Ok(outcome.kind),
            other => {
                let reason = format!("an entry never sent before was answered with {other:?}");
                Err(ReplayError::Setup { what: "an entry".to_owned(), reason })
            }
        }
    }

    /// What the last command did.
    #[must_use]
    pub fn events(&self) -> &[Event] {
        &self.events
    }

    /// The engine, to look at.
    #[must_use]
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// What the last command did, and where text about the entries applied so far is collected.
    pub fn events_and_outlet(&mut self, index: Option<usize>) -> (&[Event], Option<&mut Vec<u8>>) {
        let outlet = index.and_then(|index| self.outlets.get_mut(index));
        (&self.events, outlet.map(Outlet::staged))
    }

    /// The engine, and where text about the entries applied so far is collected.
    pub fn engine_and_outlet(&mut self, index: Option<usize>) -> (&Engine, Option<&mut Vec<u8>>) {
        let outlet = index.and_then(|index| self.outlets.get_mut(index));
        (&self.engine, outlet.map(Outlet::staged))
    }

    /// Says that all commands of one entry of the file were submitted.
    ///
    /// # Errors
    /// [`ReplayError::RestoreDiverged`], if the engine is to be restored here.
    pub fn file_entry_done(&mut self) -> Result<(), ReplayError> {
        self.file_entries += 1;
        if self.restore_at == Some(self.file_entries) {
            self.restore()?;
        }
        Ok(())
    }

    /// Drops the engine and goes on with one restored from its snapshot.
    fn restore(&mut self) -> Result<(), ReplayError> {
        self.commit()?;
        let diverged = |reason| ReplayError::RestoreDiverged { entry: self.file_entries, reason };
        let (root, snapshot) = (self.engine.state_root(), self.engine.snapshot());
        let restored = Engine::from_snapshot(&snapshot)
            .map_err(|error| diverged(format!("its snapshot is refused: {error}")))?;
        if restored.state_root() != root {
            return Err(diverged("its state root differs".to_owned()));
        }
        self.engine = restored;
        self.restored = true;
        Ok(())
    }

    /// Hands the batch to the journal; the one before it is durable then.
    fn commit(&mut self) -> Result<(), ReplayError> {
        if self.batch.ends.is_empty() {
            return Ok(());
        }
        self.settle()?;
        for outlet in &mut self.outlets {
            outlet.depart();
        }
        let empty = self.appender.spare.take().unwrap_or_default();
        self.appender.send(std::mem::replace(&mut self.batch, empty))?;
        Ok(())
    }

    /// Waits until the batch in flight is durable, then lets its text go.
    fn settle(&mut self) -> Result<(), ReplayError> {
        self.appender.wait()?;
        self.outlets.iter_mut().try_for_each(Outlet::release)
    }

    /// Makes everything durable and ends the replay.
    ///
    /// # Errors
    /// [`ReplayError::Journal`], [`ReplayError::Output`]; [`ReplayError::Usage`] if the engine was
    /// to be restored behind the end of the file.
    pub fn finish(mut self) -> Result<Ended, ReplayError> {
        self.commit()?;
        self.settle()?;
        // All entries are durable; text may have come after the last batch.
        self.outlets.iter_mut().for_each(Outlet::depart);
        self.settle()?;
        self.outlets.iter_mut().try_for_each(Outlet::flush)?;
        let (journal_entries, journal_root) = self.appender.finish()?;
        if let Some(at) = self.restore_at.filter(|_| !self.restored) {
            let entries = self.file_entries;
            let reason = format!("--restore-at {at}, but the file has only {entries} entries");
            return Err(ReplayError::Usage { reason });
        }
        let (engine, file_entries) = (self.engine, self.file_entries);
        Ok(Ended { engine, file_entries, journal_entries, journal_root })
    }
}

/// The thread that owns the journal.
#[derive(Debug)]
struct Appender {
    batches: Option<SyncSender<Batch>>,
    acknowledged: Receiver<Acknowledged>,
    thread: Option<JoinHandle<Result<RootTracker, JournalError>>>,
    in_flight: bool,
    spare: Option<Batch>,
    /// Removed when the replay is over, and only then.
    _folder: Folder,
}

impl Appender {
    fn start(args: &ReplayArgs) -> Result<Self, ReplayError> {
        let folder = Folder::choose(args.journal.as_deref())?;
        let identity = Identity { cluster_id: VENUE, lineage: VENUE };
        let options =
            Options { segment_bytes: 32 << 20, reserve_bytes: 1 << 20, ..Options::default() };
        let (disk, base) = (Arc::new(RealDisk), Base::genesis());
        let root = RootTracker::new(&base);
        let mut log = FileLog::create(disk, folder.path(), identity, base, options)?;
        log.begin_term(1)?;
        log.confirm_end(&[])?;
        let (batches, incoming) = sync_channel::<Batch>(1);
        let (acknowledge, acknowledged) = sync_channel::<Acknowledged>(1);
        let thread = std::thread::spawn(move || append_all(log, root, &incoming, &acknowledge));
        Ok(Self {
            batches: Some(batches),
            acknowledged,
            thread: Some(thread),
            in_flight: false,
            spare: None,
            _folder: folder,
        })
    }

    fn send(&mut self, batch: Batch) -> Result<(), ReplayError> {
        let sent = self.batches.as_ref().is_some_and(|batches| batches.send(batch).is_ok());
        self.in_flight = sent;
        if sent { Ok(()) } else { Err(appender_gone()) }
    }

    fn wait(&mut self) -> Result<(), ReplayError> {
        if std::mem::take(&mut self.in_flight) {
            self.spare = Some(self.acknowledged.recv().map_err(|_| appender_gone())??);
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<(u64, [u8; 32]), ReplayError> {
        self.batches = None;
        let joined = self.thread.take().map(JoinHandle::join);
        let Some(Ok(root)) = joined else {
            return Err(appender_gone());
        };
        let root = root?;
        Ok((root.next(), root.root()))
    }
}

fn appender_gone() -> ReplayError {
    let what = "to go on".to_owned();
    ReplayError::Setup { what, reason: "the journal's thread ended".to_owned() }
}

fn append_all(
    mut log: FileLog,
    mut root: RootTracker,
    incoming: &Receiver<Batch>,
    acknowledge: &SyncSender<Acknowledged>,
) -> Result<RootTracker, JournalError> {
    for mut batch in incoming {
        let bytes = batch.bytes.as_bytes();
        let starts = std::iter::once(0).chain(batch.ends.iter().copied());
        let entries: Vec<&[u8]> =
            starts.zip(&batch.ends).map(|(start, end)| &bytes[start..*end]).collect();
        let appended = log.append(&entries, Admission::Normal);
        if appended.is_ok() {
            entries.iter().for_each(|entry| {
                root.push(entry);
            });
        }
        batch.bytes.clear();
        batch.ends.clear();
        if acknowledge.send(appended.map(|_| batch)).is_err() {
            break;
        }
    }
    log.close()?;
    Ok(root)
}

/// Where the journal is.
#[derive(Debug)]
enum Folder {
    Kept(PathBuf),
    Temporary(PathBuf),
}

impl Folder {
    fn choose(kept: Option<&Path>) -> Result<Self, ReplayError> {
        let Some(dir) = kept else {
            static COUNT: AtomicU64 = AtomicU64::new(0);
            let count = COUNT.fetch_add(1, Ordering::Relaxed);
            let name = format!("evenkeel-replay-{}-{count}", std::process::id());
            let dir = std::env::temp_dir().join(name);
            std::fs::create_dir(&dir).map_err(|error| ReplayError::output(&dir, error))?;
            return Ok(Self::Temporary(dir));
        };
        if std::fs::read_dir(dir).is_ok_and(|mut files| files.next().is_some()) {
            return Err(ReplayError::JournalNotEmpty { dir: dir.to_owned() });
        }
        Ok(Self::Kept(dir.to_owned()))
    }

    fn path(&self) -> &Path {
        match self {
            Self::Kept(dir) | Self::Temporary(dir) => dir,
        }
    }
}

impl Drop for Appender {
    fn drop(&mut self) {
        // The journal must be closed before its folder goes.
        self.batches = None;
        while self.acknowledged.recv().is_ok() {}
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Self::Temporary(dir) = self {
            let _ = std::fs::remove_dir_all(dir);
        }
    }
}
