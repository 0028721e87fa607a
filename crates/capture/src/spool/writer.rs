//! Writing a spool: every record is durable before the next one is taken.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use evenkeel_journal::{Disk, DiskFile, DiskLock, LockRefused};

use crate::error::{Error, Result, io_error};
use crate::spool::frame::{self, Chain, SEGMENT_HEADER_BYTES, SegmentHeader};
use crate::spool::history::{History, segment_path};
use crate::spool::record::Body;

const LOCK: &str = "lock";
const PREPARED_BYTES_MIN: u64 = 64 << 10;
const PREPARED_BYTES_MAX: u64 = 4 << 20;

/// A spool that is being written, by one process at a time.
#[derive(Debug)]
pub struct Spool {
    disk: Arc<dyn Disk>,
    folder: PathBuf,
    spool: [u8; 16],
    segment_bytes_max: u64,
    next_segment: u64,
    record: u64,
    chain: Chain,
    open: Option<OpenSegment>,
    failed: bool,
    _lock: Box<dyn DiskLock>,
}

#[derive(Debug)]
struct OpenSegment {
    file: Box<dyn DiskFile>,
    path: PathBuf,
    offset: u64,
    /// Space up to here is written already, as zeros: a sync of what goes there need not wait for
    /// the file system's own journal, and so not for what other programs wrote.
    prepared: u64,
}

impl OpenSegment {
    fn prepare(&mut self, end: u64) -> std::io::Result<()> {
        if end <= self.prepared {
            return Ok(());
        }
        let prepared = end + self.prepared.clamp(PREPARED_BYTES_MIN, PREPARED_BYTES_MAX);
        let zeros = vec![0; usize::try_from(prepared - end).unwrap_or(0)];
        self.file.write_all_at(&zeros, end)?;
        self.prepared = prepared;
        Ok(())
    }
}

impl Spool {
    /// Opens a spool, or begins one. `now_ns` helps to name a new one.
    ///
    /// The history is what was finished: parts of a transaction or of a snapshot at its end are
    /// left out, and the next record takes their number.
    ///
    /// # Errors
    /// [`Error::Locked`], and whatever the system says.
    pub fn open(
        disk: Arc<dyn Disk>,
        folder: &Path,
        segment_bytes_max: u64,
        now_ns: u64,
    ) -> Result<(Self, History)> {
        disk.create_dir_all(folder).map_err(io_error("create", folder))?;
        let lock = disk.lock(&folder.join(LOCK)).map_err(|refused| match refused {
            LockRefused::Held(holder) => Error::Locked { path: folder.to_path_buf(), holder },
            LockRefused::Io(source) => io_error("lock", folder)(source),
        })?;
        let history = load_finished(disk.as_ref(), folder)?;
        let spool = Self {
            spool: history.spool.unwrap_or_else(|| name(folder, now_ns)),
            folder: folder.to_path_buf(),
            segment_bytes_max,
            next_segment: history.next_segment,
            record: history.next_record(),
            chain: history.chain(),
            open: None,
            failed: false,
            disk,
            _lock: lock,
        };
        Ok((spool, history))
    }

    /// Opens it again after a failure, as [`Spool::open`] does, without letting go of it.
    ///
    /// # Errors
    /// Whatever the system says.
    pub fn reopen(&mut self) -> Result<History> {
        let history = load_finished(self.disk.as_ref(), &self.folder)?;
        self.open = None;
        self.next_segment = history.next_segment;
        (self.record, self.chain) = (history.next_record(), history.chain());
        self.failed = false;
        Ok(history)
    }

    /// Its folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The disk it lies on.
    #[must_use]
    pub fn disk(&self) -> &Arc<dyn Disk> {
        &self.disk
    }

    /// Number of the next record.
    #[must_use]
    pub fn next_record(&self) -> u64 {
        self.record
    }

    /// Appends a record durably; returns the bytes written.
    ///
    /// # Errors
    /// Whatever the system says; then, and ever after, the spool takes nothing more until it was
    /// opened again.
    pub fn append(&mut self, body: &Body) -> Result<u64> {
        if self.failed {
            return Err(Error::SpoolFailed { path: self.folder.clone() });
        }
        let result = self.write(body);
        self.failed = result.is_err();
        result
    }

    fn write(&mut self, body: &Body) -> Result<u64> {
        let full = self.open.as_ref().is_none_or(|open| open.offset >= self.segment_bytes_max);
        if full || matches!(body, Body::Epoch { .. }) {
            self.open = None;
            self.begin_segment()?;
        }
        let (bytes, chain) = frame::encode(&self.chain, self.record, body);
        let Some(open) = &mut self.open else {
            return Err(Error::SpoolFailed { path: self.folder.clone() });
        };
        let end = open.offset + bytes.len() as u64;
        open.prepare(end).map_err(|error| io_error("write", &open.path)(error))?;
        open.file.write_all_at(&bytes, open.offset).map_err(io_error("write", &open.path))?;
        open.file.sync_data().map_err(io_error("sync", &open.path))?;
        open.offset = end;
        self.chain = chain;
        self.record += 1;
        Ok(bytes.len() as u64)
    }

    fn begin_segment(&mut self) -> Result<()> {
        let segment = self.next_segment;
        let path = segment_path(&self.folder, segment);
        let header = SegmentHeader {
            spool: self.spool,
            segment,
            first_record: self.record,
            chain: self.chain,
        };
        let file = self.disk.create(&path).map_err(io_error("create", &path))?;
        file.write_all_at(&header.to_bytes(), 0).map_err(io_error("write", &path))?;
        file.sync_all().map_err(io_error("sync", &path))?;
        self.disk.sync_dir(&self.folder).map_err(io_error("sync", &self.folder))?;
        self.next_segment += 1;
        let offset = SEGMENT_HEADER_BYTES as u64;
        self.open = Some(OpenSegment { file, path, offset, prepared: offset });
        Ok(())
    }
}

fn load_finished(disk: &dyn Disk, folder: &Path) -> Result<History> {
    let mut history = History::load(disk, folder)?;
    history.records.truncate(history.finished());
    Ok(history)
}

/// A new spool's name: unlike any other of this machine, by its folder and the time.
fn name(folder: &Path, now_ns: u64) -> [u8; 16] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(b"evenkeel spool").update(&now_ns.to_le_bytes());
    hasher.update(folder.as_os_str().as_encoded_bytes());
    let mut name = [0; 16];
    name.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
    name
}
