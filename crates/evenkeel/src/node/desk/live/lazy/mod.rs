//! Followed databases that can be read while they come back.
//!
//! ```text
//!  sites ─▸ pieces of segments (as they are read, the rest behind them) ─▸ pages ─▸ a folder
//!                        └─▸ all of them ─▸ the restore that there is without this ─▸ the file
//! ```
//!
//! Until a database is whole its pages were compared with the records they come from, and those
//! with the seals of their pieces: unproven is only that they are all of the commit. Then it is
//! restored from the same segments as ever, and read from the file that this gives.

mod mount;
mod segments;

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use evenkeel_capture::pages::PageReader;
use evenkeel_capture::parcel::Assembly;
use evenkeel_capture::restore::Target;
use evenkeel_capture::spool::{Commit, segment_path};
use evenkeel_journal::Disk;
use evenkeel_vault::{Opener, PointInfo};

pub(crate) use mount::{Mounted, refuse_unmountable};

use super::super::super::observed::lock;
use super::super::super::stop::Stop;
use super::restore::{LiveRestored, LiveSelection, below, bring_one, first_way, index, put_tails};
use super::source_name;
use crate::output;
use crate::report::{Exit, Report, Result};
use segments::{Demand, Here, Origin, Segment};

/// Threads that bring the rest: one opens a pack while the other's shards are on their way.
const FILLING: usize = 2;
/// How long too few sites are left alone before the rest is tried again.
const RETRY: Duration = Duration::from_secs(5);
/// Where SQLite's header says whether it is written and read with a log (2) or without (1).
const FORMAT_VERSIONS: [u64; 2] = [18, 19];

/// A followed database that is read while it comes back.
#[derive(Debug)]
pub(crate) struct LazyDatabase {
    pub(crate) database: PathBuf,
    pub(crate) commit: Commit,
    point: String,
    shipped_ns: u64,
    target: Target,
    page_bytes: u64,
    reader: Mutex<PageReader>,
    spool: PathBuf,
    segments: Vec<Arc<Segment>>,
    whole: OnceLock<File>,
}

/// Opens followed databases as of a moment: afterwards their pages can be read.
///
/// # Errors
/// As [`super::bring_back`].
pub(crate) fn open_lazily(
    opener: &Arc<Opener>,
    selection: &LiveSelection<'_>,
    scratch: &Path,
) -> Result<Vec<Arc<LazyDatabase>>> {
    first_way(opener.catalog(), selection, scratch, &mut |way, folder| {
        let mut assembly = Assembly::new(folder);
        let mut here = Here::default();
        if let Some(point) = &way.point {
            lay_out(opener, point, selection, &mut assembly, &mut here)?;
        }
        let shipped_ns = put_tails(opener, way, selection, &mut assembly)?;
        let here = Arc::new(here);
        let open = |database: &Path| {
            let (reader, spool) = furthest(&assembly, database, selection.target(), &here)?;
            let one = LazyDatabase {
                database: database.to_owned(),
                commit: *reader.commit(),
                point: way.point_name(),
                shipped_ns,
                target: selection.target(),
                page_bytes: reader.page_bytes().into(),
                reader: Mutex::new(reader),
                segments: here.below(&spool),
                spool,
                whole: OnceLock::new(),
            };
            // Whoever is shown it may read at once: that is not promised before it was done.
            one.read(0, 100)?;
            Ok(Arc::new(one))
        };
        assembly.databases().into_iter().map(open).collect()
    })
}

/// Puts the segments of a point in their places, as holes.
fn lay_out(
    opener: &Arc<Opener>,
    point: &PointInfo,
    selection: &LiveSelection<'_>,
    assembly: &mut Assembly,
    here: &mut Here,
) -> Result<()> {
    let index = index(opener, point)?;
    let origin = Arc::new(Origin {
        opener: Arc::clone(opener),
        content: Arc::new(opener.content(point.id)?),
        demand: Arc::new(Demand::new()),
    });
    for spool in index.spools.iter().filter(|spool| selection.takes(&spool.database)) {
        for (segment, _) in &spool.segments {
            let file = assembly.segment(&spool.database, spool.spool, *segment)?;
            let folder = assembly.folder_of(&spool.database, spool.spool)?;
            let name = source_name(&spool.database, &spool.spool, *segment);
            let place = (file, segment_path(&folder, *segment));
            here.add(Arc::new(Segment::new(Arc::clone(&origin), name, place)?));
        }
    }
    Ok(())
}

/// A reader of whichever of a database's spools reaches the furthest.
fn furthest(
    assembly: &Assembly,
    database: &Path,
    target: Target,
    here: &Arc<Here>,
) -> Result<(PageReader, PathBuf)> {
    let mut best: Option<(PageReader, PathBuf)> = None;
    let mut why = None;
    for spool in assembly.spools_of(database) {
        let disk = Arc::clone(here) as Arc<dyn Disk>;
        match PageReader::open(disk, spool, target) {
            Ok(found) => {
                let is_further = |(old, _): &(PageReader, PathBuf)| {
                    old.commit().time_ns < found.commit().time_ns
                };
                if best.as_ref().is_none_or(is_further) {
                    best = Some((found, spool.to_owned()));
                }
            }
            Err(error) => why = Some(told(error)),
        }
    }
    best.ok_or_else(|| why.unwrap_or_else(super::restore::nothing_yet))
}

/// What the sites said comes through the files as an error of the system.
fn told(error: evenkeel_capture::Error) -> Report {
    let evenkeel_capture::Error::Io { action, path, source } = error else {
        return error.into();
    };
    match source.downcast::<evenkeel_vault::Error>() {
        Ok(error) => error.into(),
        Err(source) => evenkeel_capture::Error::Io { action, path, source }.into(),
    }
}

impl LazyDatabase {
    /// Its length in bytes.
    pub(crate) fn bytes(&self) -> u64 {
        u64::from(self.commit.pages) * self.page_bytes
    }

    /// Whether it was compared as a whole and stands in its place.
    pub(crate) fn is_whole(&self) -> bool {
        self.whole.get().is_some()
    }

    /// Reads bytes as a program is shown them: a database without a log, which can be read where
    /// nothing can be written beside it. All else is as it is.
    ///
    /// # Errors
    /// What the sites and the system say.
    pub(crate) fn read(&self, offset: u64, length_bytes: u32) -> Result<Vec<u8>> {
        let end = offset.saturating_add(length_bytes.into()).min(self.bytes());
        if offset >= end {
            return Ok(Vec::new());
        }
        let mut bytes = match self.whole.get() {
            None => self.read_pages(offset, end)?,
            Some(file) => self.read_whole(file, offset, end)?,
        };
        for at in FORMAT_VERSIONS.iter().filter_map(|at| at.checked_sub(offset)) {
            let byte = usize::try_from(at).ok().and_then(|at| bytes.get_mut(at));
            if let Some(byte) = byte.filter(|byte| **byte == 2) {
                *byte = 1;
            }
        }
        Ok(bytes)
    }

    fn read_whole(&self, file: &File, offset: u64, end: u64) -> Result<Vec<u8>> {
        let mut bytes = vec![0; usize::try_from(end - offset).unwrap_or(0)];
        let read = file.read_exact_at(&mut bytes, offset);
        read.map_err(|error| Report::io("read", &self.database, &error))?;
        Ok(bytes)
    }

    fn read_pages(&self, offset: u64, end: u64) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let mut at = offset;
        let mut reader = lock(&self.reader);
        // It may have become whole while others read, and what its pages came from is gone then.
        if let Some(file) = self.whole.get() {
            return self.read_whole(file, offset, end);
        }
        while at < end {
            let page = u32::try_from(at / self.page_bytes + 1).unwrap_or(u32::MAX);
            let data = reader.page(page).map_err(told)?;
            let within = usize::try_from(at % self.page_bytes).unwrap_or(0);
            let wanted = usize::try_from(end - at).unwrap_or(usize::MAX);
            bytes.extend(data[within..].iter().take(wanted));
            at = offset + bytes.len() as u64;
        }
        Ok(bytes)
    }

    /// Brings the rest of what it is made of, and puts it in its place below `to`; none if that
    /// was given up.
    ///
    /// # Errors
    /// Whatever prevents it; then it is not in its place.
    pub(crate) fn complete(
        &self,
        scratch: &Path,
        to: &Path,
        stop: &Stop,
    ) -> Result<Option<LiveRestored>> {
        self.fill(stop)?;
        if stop.is_set() {
            return Ok(None);
        }
        self.segments.iter().try_for_each(|segment| segment.check())?;
        let spools = [self.spool.as_path()];
        let (restored, gaps) = bring_one(&spools, &self.database, self.target, scratch, to)?;
        if restored.commit != self.commit {
            return Err(Report::new(Exit::Integrity, "what was shown was not what came back")
                .at(self.database.display().to_string())
                .detail(format!("shown: {:?}; restored: {:?}", self.commit, restored.commit))
                .safe(
                    "what stands in its place was compared as a whole; what was read before \
                       that is not to be relied on",
                ));
        }
        let place = below(to, &self.database);
        let file = File::open(&place).map_err(|error| Report::io("open", &place, &error))?;
        // Only one thread completes it.
        let _ = self.whole.set(file);
        // Who began to read pages before has ended: nobody needs the segments any more.
        drop(lock(&self.reader));
        let (database, point) = (self.database.clone(), self.point.clone());
        Ok(Some(LiveRestored { database, point, shipped_ns: self.shipped_ns, restored, gaps }))
    }

    fn fill(&self, stop: &Stop) -> Result<()> {
        let next = AtomicUsize::new(0);
        let work = || -> Result<()> {
            while let Some(segment) = self.segments.get(next.fetch_add(1, Ordering::Relaxed)) {
                fill_one(segment, stop)?;
            }
            Ok(())
        };
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..FILLING).map(|_| scope.spawn(work)).collect();
            threads.into_iter().try_for_each(|thread| match thread.join() {
                Ok(filled) => filled,
                Err(panic) => std::panic::resume_unwind(panic),
            })
        })
    }
}

fn fill_one(segment: &Segment, stop: &Stop) -> Result<()> {
    loop {
        match segment.fill(&|| stop.is_set()) {
            _ if stop.is_set() => return Ok(()),
            Ok(true) => {}
            Ok(false) => return Ok(()),
            Err(report) if report.exit() == Exit::NotEnoughSites => {
                output::note(&format!("the rest waits for the sites: {}", report.message()));
                if stop.sleep(RETRY) {
                    return Ok(());
                }
            }
            Err(report) => return Err(report),
        }
    }
}
