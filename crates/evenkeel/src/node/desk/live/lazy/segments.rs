//! Segments of spools that are brought here piece by piece, as they are read.
//!
//! A segment lies here with its full length, and holes where nothing was fetched yet. Whoever
//! reads it through [`Here`] waits for what is missing of the range that is read.

use std::collections::HashMap;
use std::fmt;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use evenkeel_journal::{Access, Claim, Disk, DiskFile, DiskLock, LockRefused, RealDisk};
use evenkeel_vault::{Error, Opener, Piece, PointContent};

use super::super::super::super::observed::lock;
use crate::report::{Exit, Report, Result};

/// How long nobody may have waited for pages before the rest goes on.
const QUIET: Duration = Duration::from_millis(500);
/// The rest goes on all the same after this long: a query that never ends must not keep it.
const GIVE_WAY: Duration = Duration::from_secs(5);

/// Who waits for pages now: the background gives way to them.
#[derive(Debug)]
pub(super) struct Demand(Mutex<(usize, Instant)>);

impl Demand {
    pub(super) fn new() -> Self {
        Self(Mutex::new((0, Instant::now())))
    }

    fn begin(&self) {
        lock(&self.0).0 += 1;
    }

    fn end(&self) {
        let mut now = lock(&self.0);
        *now = (now.0.saturating_sub(1), Instant::now());
    }

    /// Whether the background may read now, having waited since then.
    fn gives_way(&self, since: Instant) -> bool {
        let (waiting, last) = *lock(&self.0);
        (waiting == 0 && last.elapsed() >= QUIET) || since.elapsed() >= GIVE_WAY
    }
}

/// Where pieces come from.
pub(super) struct Origin {
    pub(super) opener: Arc<Opener>,
    pub(super) content: Arc<PointContent>,
    pub(super) demand: Arc<Demand>,
}

/// A segment of which the sites hold all or a beginning.
pub(super) struct Segment {
    origin: Arc<Origin>,
    /// Among the sources of the point.
    name: String,
    path: PathBuf,
    file: File,
    pieces: Vec<Piece>,
    here: Mutex<Vec<bool>>,
}

impl fmt::Debug for Segment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Segment").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Segment {
    /// A segment that is all hole.
    ///
    /// # Errors
    /// What the system says; a source that the point does not have.
    pub(super) fn new(
        origin: Arc<Origin>,
        name: String,
        (file, path): (File, PathBuf),
    ) -> Result<Self> {
        let pieces = origin.content.pieces(&name)?;
        let length = pieces.last().map_or(0, |piece| piece.range.end);
        file.set_len(length).map_err(|error| Report::io("make room in", &path, &error))?;
        let here = Mutex::new(vec![false; pieces.len()]);
        Ok(Self { origin, name, path, file, pieces, here })
    }

    /// Its length in bytes, as the point has it.
    pub(super) fn bytes(&self) -> u64 {
        self.pieces.last().map_or(0, |piece| piece.range.end)
    }

    /// Pieces of a range that are not here.
    fn missing(&self, range: &Range<u64>) -> Vec<usize> {
        let from = self.pieces.partition_point(|piece| piece.range.end <= range.start);
        let to = self.pieces.partition_point(|piece| piece.range.start < range.end);
        let here = lock(&self.here);
        (from..to).filter(|at| !here[*at]).collect()
    }

    fn fetch(&self, missing: &[usize]) -> Result<(), Error> {
        let Origin { opener, content, .. } = self.origin.as_ref();
        opener.read_pieces(content, &self.name, missing, &mut |at, bytes| {
            let offset = self.pieces[at].range.start;
            self.file.write_all_at(&bytes, offset).map_err(|source| Error::Stream {
                what: format!("writing {}", self.path.display()),
                source,
            })?;
            lock(&self.here)[at] = true;
            Ok(())
        })
    }

    /// Brings a range here for somebody who waits for it.
    fn demand(&self, range: &Range<u64>) -> Result<(), Error> {
        let missing = self.missing(range);
        if missing.is_empty() {
            return Ok(());
        }
        self.origin.demand.begin();
        let fetched = self.fetch(&missing);
        self.origin.demand.end();
        fetched
    }

    /// Brings the next pack's worth of what is missing here, once nobody waits for pages; says
    /// whether anything was missing.
    ///
    /// # Errors
    /// What reading the sites says.
    pub(super) fn fill(&self, is_over: &dyn Fn() -> bool) -> Result<bool> {
        let begun = Instant::now();
        while !self.origin.demand.gives_way(begun) {
            if is_over() {
                return Ok(false);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let missing = self.missing(&(0..self.bytes()));
        let Some(first) = missing.first() else { return Ok(false) };
        let pack = self.pieces[*first].pack;
        let of_it: Vec<usize> =
            missing.into_iter().take_while(|at| self.pieces[*at].pack == pack).collect();
        self.fetch(&of_it)?;
        Ok(true)
    }

    /// Compares the whole with what the writer signed.
    ///
    /// # Errors
    /// [`Exit::Integrity`] if it differs; what the system says.
    pub(super) fn check(&self) -> Result<()> {
        let failed = |error: io::Error| Report::io("read", &self.path, &error);
        let mut hasher = blake3::Hasher::new();
        let file = File::open(&self.path).map_err(failed)?;
        hasher.update_reader(io::Read::take(file, self.bytes())).map_err(failed)?;
        if *hasher.finalize().as_bytes() == self.origin.content.hash(&self.name)? {
            return Ok(());
        }
        Err(Report::new(Exit::Integrity, format!("source {} is not what was signed", self.name))
            .safe("nothing of it was put in place"))
    }
}

/// The system's files, of which some are here only as far as somebody read them.
#[derive(Debug, Default)]
pub(super) struct Here {
    segments: HashMap<PathBuf, Arc<Segment>>,
}

impl Here {
    pub(super) fn add(&mut self, segment: Arc<Segment>) {
        self.segments.insert(segment.path.clone(), segment);
    }

    /// The segments below a folder.
    pub(super) fn below(&self, folder: &Path) -> Vec<Arc<Segment>> {
        let below = self.segments.values().filter(|segment| segment.path.starts_with(folder));
        let mut all: Vec<Arc<Segment>> = below.map(Arc::clone).collect();
        all.sort_by(|one, other| one.path.cmp(&other.path));
        all
    }
}

/// Here nothing is written but by whoever fetches.
fn only_read<T>() -> io::Result<T> {
    Err(io::ErrorKind::Unsupported.into())
}

impl Disk for Here {
    fn open(&self, path: &Path, access: Access) -> io::Result<Box<dyn DiskFile>> {
        let file = RealDisk.open(path, access)?;
        Ok(match self.segments.get(path) {
            Some(segment) => Box::new(HereFile { file, segment: Arc::clone(segment) }),
            None => file,
        })
    }

    fn create(&self, _: &Path) -> io::Result<Box<dyn DiskFile>> {
        only_read()
    }

    fn create_dir_all(&self, _: &Path) -> io::Result<()> {
        only_read()
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        RealDisk.list(dir)
    }

    fn rename(&self, _: &Path, _: &Path) -> io::Result<()> {
        only_read()
    }

    fn remove(&self, _: &Path) -> io::Result<()> {
        only_read()
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        RealDisk.sync_dir(dir)
    }

    fn free_bytes(&self, dir: &Path) -> io::Result<u64> {
        RealDisk.free_bytes(dir)
    }

    fn lock(&self, path: &Path) -> Result<Box<dyn DiskLock>, LockRefused> {
        RealDisk.lock(path)
    }
}

/// A segment that is being read.
#[derive(Debug)]
struct HereFile {
    file: Box<dyn DiskFile>,
    segment: Arc<Segment>,
}

impl DiskFile for HereFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let range = offset..offset.saturating_add(buffer.len() as u64);
        self.segment.demand(&range).map_err(io::Error::other)?;
        self.file.read_at(buffer, offset)
    }

    fn write_all_at(&self, _: &[u8], _: u64) -> io::Result<()> {
        only_read()
    }

    fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn sync_all(&self) -> io::Result<()> {
        self.file.sync_all()
    }

    fn preallocate(&self, _: u64) -> io::Result<()> {
        only_read()
    }

    fn length_bytes(&self) -> io::Result<u64> {
        self.file.length_bytes()
    }

    fn claim(&self, claim: Claim) -> io::Result<bool> {
        self.file.claim(claim)
    }
}
