//! Giving up the oldest segments, once others hold them.

use super::{FileLog, Preparation};
use crate::disk::Disk;
use crate::error::{IoContext as _, Result};
use crate::meta::Meta;
use crate::reader::Reader;
use crate::root::RootTracker;
use crate::segment;
use crate::watermark::Watermark;
use crate::{Base, Identity, Position};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

/// Files of segments given up that are kept at most, to be filled with zeros and used again. Few:
/// whoever trims to stay below a limit counts on their space.
const KEPT_MAX: usize = 2;

/// What a trim did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trimmed {
    /// First position that the log still holds.
    pub first: Position,
    /// Number of segments removed.
    pub segments_removed: usize,
}

impl FileLog {
    /// Removes whole segments whose positions are all below `position`. Whether that is allowed is
    /// for the caller to know. The entries given up are read once more, for the journal root at the
    /// new beginning.
    ///
    /// # Errors
    /// Corruption of what is given up (nothing is removed then), system errors.
    pub fn trim_before(&mut self, position: Position) -> Result<Trimmed> {
        self.check_poisoned()?;
        let mut removed = self.end_trim(true)?;
        if let Some(trim) = self.trim(position)?
            && let Some((base, more)) = trim.run()?
        {
            self.base = base;
            removed += more;
        }
        Ok(self.trimmed(removed))
    }

    /// As [`FileLog::trim_before`], but in a thread of its own, so that no append waits for it: a
    /// segment of short entries takes a second to read. Says what an earlier call did, whose errors
    /// are told here. With [`Preparation::Inline`] it is done at once.
    ///
    /// # Errors
    /// As [`FileLog::trim_before`].
    pub fn trim_beside(&mut self, position: Position) -> Result<Trimmed> {
        if self.options.preparation == Preparation::Inline {
            return self.trim_before(position);
        }
        self.check_poisoned()?;
        let removed = self.end_trim(false)?;
        if self.trimmer.is_idle()
            && let Some(trim) = self.trim(position)?
        {
            self.trimmer.begin(trim).during("start a thread for", &self.dir)?;
        }
        Ok(self.trimmed(removed))
    }

    fn trimmed(&self, segments_removed: usize) -> Trimmed {
        Trimmed { first: self.base.position, segments_removed }
    }

    /// Takes the result of a trim in the background, and waits for it if it is to. How many
    /// segments it removed.
    fn end_trim(&mut self, wait: bool) -> Result<usize> {
        let Some((base, removed)) = self.trimmer.end(wait)? else { return Ok(0) };
        self.base = base;
        Ok(removed)
    }

    /// What is to be done to begin at the last segment that begins at or below `position`.
    fn trim(&self, position: Position) -> Result<Option<Trim>> {
        let firsts = segment::list(self.disk.as_ref(), &self.dir).during("list", &self.dir)?;
        let first = firsts.iter().rev().find(|first| **first <= position).copied();
        let Some(first) = first.filter(|first| *first > self.base.position) else {
            return Ok(None);
        };
        Ok(Some(Trim {
            disk: self.disk.clone(),
            dir: self.dir.clone(),
            identity: self.identity,
            base: self.base.clone(),
            watermark: self.watermark(),
            first,
            given_up: firsts.into_iter().filter(|one| *one < first).collect(),
            // A full disk needs the space at once.
            kept_max: if self.full { 0 } else { KEPT_MAX },
            stop: Arc::clone(&self.trimmer.stop),
        }))
    }
}

/// Everything that a trim needs; it touches nothing that appends write.
#[derive(Debug)]
struct Trim {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    identity: Identity,
    base: Base,
    watermark: Watermark,
    /// Where the log is to begin.
    first: Position,
    given_up: Vec<Position>,
    /// Files that may be kept, to be used again.
    kept_max: usize,
    stop: Arc<AtomicBool>,
}

/// Where the log begins now, and how many segments are gone. `None`: stopped before it began.
type Done = Option<(Base, usize)>;

impl Trim {
    fn run(self) -> Result<Done> {
        let Some(base) = self.base_at_first()? else { return Ok(None) };
        let disk = self.disk.as_ref();
        // First what the log is, then what it is no longer: a crash in between leaves segments
        // before the base, which the next start removes.
        Meta { identity: self.identity, base: base.clone() }.write(disk, &self.dir)?;
        let kept = segment::given_up(disk, &self.dir).during("list", &self.dir)?.len();
        for (one, kept) in self.given_up.iter().zip(kept..) {
            let path = self.dir.join(segment::file_name(*one));
            if kept < self.kept_max {
                let old = self.dir.join(segment::given_up_name(*one));
                disk.rename(&path, &old).during("rename", &path)?;
            } else {
                disk.remove(&path).during("remove", &path)?;
            }
        }
        disk.sync_dir(&self.dir).during("sync", &self.dir)?;
        Ok(Some((base, self.given_up.len())))
    }

    /// Chain and journal root's tree before the first position that stays.
    fn base_at_first(&self) -> Result<Option<Base>> {
        let mut root = RootTracker::new(&self.base);
        let mut chain = self.base.chain;
        let (disk, from) = (Arc::clone(&self.disk), self.base.position);
        let mut reader = Reader::follow(disk, &self.dir, from, self.watermark.clone())?;
        while root.next() < self.first
            && let Some(batch) = reader.next_batch()?
        {
            if self.stop.load(Ordering::Relaxed) {
                return Ok(None);
            }
            root.push_batch(&batch)?;
            chain = batch.chain;
        }
        Ok(Some(Base { position: root.next(), chain, frontier: root.frontier().clone() }))
    }
}

/// The thread that trims; there is one at a time.
#[derive(Debug, Default)]
pub(super) struct Trimmer {
    running: Option<JoinHandle<Result<Done>>>,
    stop: Arc<AtomicBool>,
}

impl Trimmer {
    fn is_idle(&self) -> bool {
        self.running.is_none()
    }

    fn begin(&mut self, trim: Trim) -> std::io::Result<()> {
        let named = thread::Builder::new().name("journal-trimmer".to_owned());
        self.running = Some(named.spawn(move || trim.run())?);
        Ok(())
    }

    /// The result, if there is one by now or it is to be waited for.
    fn end(&mut self, wait: bool) -> Result<Done> {
        match self.running.take_if(|running| wait || running.is_finished()) {
            Some(ended) => ended.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
            None => Ok(None),
        }
    }
}

impl Drop for Trimmer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(running) = self.running.take() {
            // Joined, so that nothing is removed here once the lock is given up.
            let _ = running.join();
        }
    }
}
