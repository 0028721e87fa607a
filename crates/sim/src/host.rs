//! A host: its disk, its journal's folder, its snapshots, and how a journal on it is opened and
//! mended. Here stands what operators and the daemon's start do, in the order in which they do it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use evenkeel_journal::fault_disk::{Fault as DiskFault, FaultDisk, Survival};
use evenkeel_journal::{
    Admission, Base, Batch, Confirmation, Disk, Durability, FileLog, Identity, JournalError,
    Options, Preparation, Problem, Reader, verify,
};
use evenkeel_recovery::{Checkpoint, Clock};
use evenkeel_types::Timestamp;

use crate::bugs::Bug;
use crate::coverage::Path as Way;
use crate::disk::SimDisk;
use crate::plan::Micros;
use crate::sites::Sites;
use crate::workload::START;

/// Whose journal it is.
pub const IDENTITY: Identity =
    Identity { cluster_id: *b"a simulated one!", lineage: *b"lineage number 1" };

/// A host's clocks at a moment.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    wall_ns: u64,
    monotonic_ns: u64,
}

impl Clock for Moment {
    fn wall_ns(&self) -> u64 {
        self.wall_ns
    }

    fn monotonic_ns(&self) -> u64 {
        self.monotonic_ns
    }
}

/// Why a journal cannot be written now.
#[derive(Debug)]
pub enum NotOpen {
    /// Somebody else writes it.
    Held,
    /// It is damaged or gone, and has to be mended.
    Damaged(String),
    /// Not now; later perhaps.
    Later(String),
    /// The other host says that it holds more, and cannot give it: its copy is damaged.
    Other(String),
    /// What must never happen.
    Broken(String),
}

/// See the module.
#[derive(Debug)]
pub struct Host {
    /// What its programs see.
    pub disk: Arc<dyn Disk>,
    /// Where faults are played.
    pub faults: FaultDisk,
    /// The journal's folder.
    pub dir: PathBuf,
    generation: u64,
    options: Options,
    bug: Option<Bug>,
    /// Snapshots, oldest first.
    pub snapshots: Vec<Checkpoint>,
    /// How far its wall clock is ahead, in nanoseconds.
    pub wall_ahead_ns: i64,
    /// The disk takes this long to sync.
    pub sync: Micros,
    /// The disk lost what it had confirmed, or everything: entries of which this was the only copy
    /// may be gone.
    pub hurt: bool,
    /// Bits have changed at rest: what is damaged is the disk's doing. Without that every damage is
    /// the product's own.
    pub flipped: bool,
    /// How often its journal was begun anew, or went on from an older disk: what an earlier epoch
    /// wrote since may be a branch.
    epoch: u64,
    /// The disk operation at which a fault waits that it does not tell of.
    armed: Option<u64>,
    /// Its journal was mended, and no primary has begun on it since.
    pub mended: bool,
    /// Ways of recovery taken since somebody asked.
    pub ways: Vec<Way>,
}

impl Host {
    /// An empty host.
    #[must_use]
    pub fn new(segment_bytes: u64, bug: Option<Bug>) -> Self {
        let faults = FaultDisk::new();
        let durability = match bug {
            Some(Bug::AckBeforeFsync) => Durability::NoSync,
            _ => Durability::Fdatasync,
        };
        let preparation = Preparation::Inline;
        Self {
            disk: SimDisk::shared(&faults, bug),
            faults,
            dir: PathBuf::from("/journal-0"),
            generation: 0,
            options: Options { segment_bytes, reserve_bytes: 8 << 10, durability, preparation },
            bug,
            snapshots: Vec::new(),
            wall_ahead_ns: 0,
            sync: 40,
            hurt: false,
            flipped: false,
            epoch: 0,
            armed: None,
            mended: false,
            ways: Vec::new(),
        }
    }

    /// How its logs are kept.
    #[must_use]
    pub fn options(&self) -> Options {
        self.options
    }

    /// Its clocks.
    #[must_use]
    pub fn moment(&self, now: Micros) -> Moment {
        let monotonic_ns = now * 1_000;
        let wall_ns = (START.0 + monotonic_ns).saturating_add_signed(self.wall_ahead_ns);
        Moment { wall_ns, monotonic_ns }
    }

    /// Creates its journal.
    ///
    /// # Errors
    /// A failed disk.
    pub fn found(&mut self) -> Result<FileLog, JournalError> {
        let (disk, base) = (Arc::clone(&self.disk), Base::genesis());
        FileLog::create(disk, &self.dir, IDENTITY, base, self.options)
    }

    /// Another disk is put in, or an older state of this one.
    pub fn replace_disk(&mut self, disk: FaultDisk) {
        self.disk = SimDisk::shared(&disk, self.bug);
        disk.set_capacity_bytes(None);
        self.faults = disk;
        self.epoch += 1;
        (self.hurt, self.armed) = (true, None);
    }

    /// The power goes and comes back.
    pub fn power_cycle(&mut self, survival: Survival) {
        self.faults.power_cycle(survival);
        self.armed = None;
    }

    /// Which of its histories it writes.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The disk will do this to the operation so far ahead, and not tell.
    pub fn deceive(&mut self, ahead: u64, fault: DiskFault) {
        let at = self.faults.operations() + ahead;
        self.faults.fail_at(at, fault);
        self.armed = Some(at);
        (self.hurt, self.flipped) = (true, true);
    }

    /// A primary has begun on it. What waits to go wrong will hurt entries that come only now.
    pub fn begun(&mut self) {
        self.hurt = self.armed.is_some_and(|at| self.faults.operations() <= at);
        self.mended = false;
    }

    /// The journal's folder is lost.
    pub fn lose_journal(&mut self) {
        self.generation += 1;
        self.epoch += 1;
        self.dir = PathBuf::from(format!("/journal-{}", self.generation));
        self.snapshots.clear();
        self.hurt = true;
    }

    /// Takes every journal off this disk, also those that were mended into another folder, so that
    /// no later look at it finds one of them again.
    pub fn clear_journal(&mut self) {
        let mut folders = BTreeSet::new();
        for path in self.faults.paths() {
            let Some(folder) = path.parent() else { continue };
            if folder.to_string_lossy().starts_with("/journal-") {
                // What is gone already need not be removed.
                let _ = self.faults.remove(&path);
                folders.insert(folder.to_owned());
            }
        }
        for folder in folders {
            // A name that is not synced away comes back with the power.
            let _ = self.faults.sync_dir(&folder);
        }
    }

    /// Opens the journal. Its end is not confirmed yet.
    ///
    /// # Errors
    /// Why not.
    pub fn open(&mut self) -> Result<FileLog, NotOpen> {
        match FileLog::open(Arc::clone(&self.disk), &self.dir, self.options) {
            Ok((log, opened)) => {
                if opened.torn_tail.is_some() {
                    self.ways.push(Way::TornTail);
                }
                Ok(log)
            }
            Err(JournalError::Locked { .. }) => Err(NotOpen::Held),
            Err(JournalError::Corrupt { problem, .. })
                if self.bug == Some(Bug::TruncateAtBadFrame) && self.truncate(&problem) =>
            {
                self.open()
            }
            Err(error) => Err(closed(error)),
        }
    }

    /// The mistake of cutting a journal off at its first bad frame.
    fn truncate(&mut self, problem: &Problem) -> bool {
        let path = self.dir.join(&problem.file);
        let Some(mut bytes) = self.faults.bytes(&path) else { return false };
        let from = usize::try_from(problem.offset).unwrap_or(0);
        if from < 4_096 || from >= bytes.len() || bytes[from..].iter().all(|byte| *byte == 0) {
            return false;
        }
        bytes[from..].fill(0);
        self.faults.set_bytes(&path, &bytes);
        for later in self.faults.paths() {
            let is_later = later.parent() == Some(&self.dir) && later > path;
            if is_later && later.to_string_lossy().ends_with(".seg") {
                let _ = self.faults.remove(&later);
            }
        }
        true
    }

    /// Compares the end with what others hold, and fetches what has vanished here.
    ///
    /// # Errors
    /// Why the log cannot be written.
    pub fn confirm(
        &mut self,
        log: &mut FileLog,
        sites: &Sites,
        mirror: Option<&Copy>,
    ) -> Result<(), NotOpen> {
        let confirmations = self.confirmations(sites, mirror);
        match log.confirm_end(&confirmations) {
            Ok(_) => return Ok(()),
            Err(JournalError::TailVanished { .. }) => {}
            Err(error) => return Err(closed(error)),
        }
        log.confirm_end(&[]).map_err(closed)?;
        let from = log.next();
        if copy_all(log, sites.frames_from(from).cloned()).map_err(closed)? > 0 {
            self.ways.push(Way::FetchSites);
        }
        let frames = mirror.map(|mirror| mirror.frames_from(log.next())).unwrap_or_default();
        if copy_all(log, frames.into_iter()).map_err(closed)? > 0 {
            self.ways.push(Way::FetchMirror);
        }
        if self.hurt {
            let next = log.next();
            self.snapshots.retain(|snapshot| snapshot.position() <= next);
        }
        missing(log, sites)?;
        let confirmations = self.confirmations(sites, mirror);
        let holds = mirror.is_some_and(|mirror| mirror.next > log.next());
        match log.confirm_end(&confirmations).map_err(closed) {
            Err(NotOpen::Broken(what)) if holds => Err(NotOpen::Other(what)),
            confirmed => confirmed.map(|_| ()),
        }
    }

    /// What sites, the other host and the snapshots here hold.
    #[must_use]
    pub fn confirmations(&self, sites: &Sites, mirror: Option<&Copy>) -> Vec<Confirmation> {
        let mut all: Vec<Confirmation> = sites.confirmation().into_iter().collect();
        all.extend(mirror.map(Copy::confirmation));
        all.extend(self.snapshots.iter().map(|snapshot| Confirmation {
            source: "a snapshot on this host".to_owned(),
            next: snapshot.position(),
            chain: Some(snapshot.chain),
        }));
        all
    }

    /// Begins a journal from what the sites hold.
    ///
    /// # Errors
    /// Why it holds less; it can be tried again.
    pub fn join(&mut self, sites: &Sites) -> Result<(), JournalError> {
        let mut log = self.found()?;
        log.confirm_end(&[])?;
        copy_all(&mut log, sites.frames_from(0).cloned())?;
        log.close()
    }

    /// Replaces a damaged journal: from the sites, from the other host, and from what of it is
    /// intact.
    ///
    /// # Errors
    /// Why it is not mended; it can be tried again.
    pub fn mend(&mut self, sites: &Sites, mirror: Option<&Copy>) -> Result<(), NotOpen> {
        let found = verify(self.disk.as_ref(), &self.dir);
        self.generation += 1;
        let dir = PathBuf::from(format!("/journal-{}", self.generation));
        let (disk, base) = (Arc::clone(&self.disk), Base::genesis());
        let later = |error: JournalError| NotOpen::Later(error.to_string());
        let mut log = FileLog::create(disk, &dir, IDENTITY, base, self.options).map_err(later)?;
        log.confirm_end(&[]).map_err(later)?;
        copy_all(&mut log, sites.frames_from(0).cloned()).map_err(later)?;
        if let Some(mirror) = mirror {
            let frames = mirror.frames_from(log.next());
            copy_all(&mut log, frames.into_iter()).map_err(later)?;
        }
        let elsewhere = log.next();
        if salvage(&mut log, &self.disk, &self.dir).map_err(later)? > 0 {
            self.ways.push(Way::Salvage);
        }
        missing(&log, sites)?;
        // What the operator is told: something that was written here once did not come back, or
        // may not have.
        let is_told = found.map_or(true, |report| {
            let damaged = report.problems.iter().filter(|problem| !problem.harmless);
            let is_lost = damaged.map(|problem| problem.positions.end).any(|end| end > elsewhere);
            is_lost || report.written_next() > log.next()
        });
        log.close().map_err(later)?;
        self.hurt |= self.flipped && is_told;
        self.dir = dir;
        self.epoch += 1;
        self.mended = true;
        self.ways.push(Way::Mend);
        Ok(())
    }

    /// Whether everything in the journal reads back intact.
    #[must_use]
    pub fn is_intact(&self) -> bool {
        verify(self.disk.as_ref(), &self.dir).is_ok_and(|report| report.is_intact())
    }

    /// Keeps a snapshot.
    pub fn keep(&mut self, snapshot: Checkpoint) {
        self.snapshots.retain(|one| one.position() < snapshot.position());
        self.snapshots.push(snapshot);
        if self.snapshots.len() > 2 {
            self.snapshots.remove(0);
        }
    }

    /// The snapshot from which a standby starts on a log that ends at `next`.
    #[must_use]
    pub fn newest(&self, next: u64) -> Checkpoint {
        let usable = self.snapshots.iter().rev().find(|one| one.position() <= next);
        usable.cloned().unwrap_or_else(Checkpoint::genesis)
    }

    /// Position of the newest snapshot.
    #[must_use]
    pub fn reached(&self) -> u64 {
        self.snapshots.last().map_or(0, Checkpoint::position)
    }

    /// Journal time for the first entry of a term.
    #[must_use]
    pub fn time_after(&self, now: Micros, last: Timestamp) -> Timestamp {
        Timestamp(self.moment(now).wall_ns().max(last.0))
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it stands in map_err")]
fn closed(error: JournalError) -> NotOpen {
    let text = error.to_string();
    match error {
        JournalError::Corrupt { .. }
        | JournalError::Gap { .. }
        | JournalError::NotAJournal { .. } => NotOpen::Damaged(text),
        JournalError::Forked { .. } | JournalError::TailVanished { .. } => NotOpen::Broken(text),
        JournalError::Locked { .. } => NotOpen::Held,
        _ => NotOpen::Later(text),
    }
}

/// The other host's copy of the journal.
#[derive(Debug)]
pub struct Copy {
    /// Its disk.
    pub disk: Arc<dyn Disk>,
    /// Its folder.
    pub dir: PathBuf,
    /// First position it does not hold.
    pub next: u64,
    /// Chain before that.
    pub chain: evenkeel_journal::Chain,
}

impl Copy {
    fn confirmation(&self) -> Confirmation {
        Confirmation {
            source: "the other host".to_owned(),
            next: self.next,
            chain: Some(self.chain),
        }
    }

    fn frames_from(&self, position: u64) -> Vec<Batch> {
        frames(&self.disk, &self.dir, position, self.next)
    }
}

/// Intact frames from a position to below `next`.
#[must_use]
pub fn frames(disk: &Arc<dyn Disk>, dir: &Path, from: u64, next: u64) -> Vec<Batch> {
    let Ok(reader) = Reader::external(Arc::clone(disk), dir, from) else { return Vec::new() };
    reader.map_while(Result::ok).take_while(|batch| batch.next() <= next).collect()
}

/// A journal that ends before what the sites confirmed waits until enough of them answer.
fn missing(log: &FileLog, sites: &Sites) -> Result<(), NotOpen> {
    let (next, confirmed) = (log.next(), sites.confirmed());
    if next >= confirmed {
        return Ok(());
    }
    Err(NotOpen::Later(format!("positions {next} to below {confirmed} do not come back today")))
}

fn copy_all(log: &mut FileLog, frames: impl Iterator<Item = Batch>) -> Result<u64, JournalError> {
    let before = log.next();
    for batch in frames {
        match log.mirror(&batch, "a copy") {
            Ok(_) => {}
            // A frame that this log holds in part.
            Err(JournalError::OutOfRange { .. }) => break,
            Err(error) => return Err(error),
        }
    }
    Ok(log.next() - before)
}

/// Appends what a damaged journal holds intact behind the end of the mended one.
fn salvage(log: &mut FileLog, disk: &Arc<dyn Disk>, dir: &Path) -> Result<u64, JournalError> {
    let (before, chain) = (log.next(), log.chain());
    let Ok(Some(mut reader)) = Reader::behind_damage(Arc::clone(disk), dir, before, &chain) else {
        return Ok(0);
    };
    while let Ok(Some(batch)) = reader.next_batch() {
        log.rejoin_term(batch.term)?;
        let entries: Vec<&[u8]> = batch.records.iter().map(|one| one.entry.as_slice()).collect();
        log.append(&entries, Admission::Normal)?;
    }
    Ok(log.next() - before)
}
