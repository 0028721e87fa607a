//! Writing the log as it comes into segment files.

use std::path::PathBuf;
use std::sync::Arc;

use evenkeel_journal::{Access, Disk, DiskFile};

use super::error::{Error, Result, io_error};
use super::lsn::{Lsn, Timeline, segment_name};
use super::store::{PARTIAL, Store, read_at};

/// The segment that is being written.
#[derive(Debug)]
struct Open {
    file: Box<dyn DiskFile>,
    path: PathBuf,
    number: u64,
    /// Bytes that were there when it was opened: they have to come again the same.
    had: u64,
    dirty: bool,
}

/// Where the log goes.
#[derive(Debug)]
pub struct Received {
    disk: Arc<dyn Disk>,
    wal: PathBuf,
    segment_bytes: u64,
    timeline: Timeline,
    /// The next byte.
    next: Lsn,
    /// Up to here everything is durable.
    durable: Lsn,
    /// Up to here the server was told that it is durable, before this began.
    promised: Lsn,
    server: String,
    open: Option<Open>,
}

impl Received {
    /// Goes on at the beginning of a segment.
    #[must_use]
    pub fn new(
        store: &Store,
        (timeline, from): (Timeline, Lsn),
        segment_bytes: u64,
        promised: Lsn,
        server: &str,
    ) -> Self {
        Self {
            disk: Arc::clone(&store.disk),
            wal: store.wal(),
            segment_bytes,
            timeline,
            next: from,
            durable: from,
            promised,
            server: server.to_owned(),
            open: None,
        }
    }

    /// The next byte that is missing.
    #[must_use]
    pub fn next(&self) -> Lsn {
        self.next
    }

    /// Up to here everything is durable.
    #[must_use]
    pub fn durable(&self) -> Lsn {
        self.durable
    }

    /// The timeline.
    #[must_use]
    pub fn timeline(&self) -> Timeline {
        self.timeline
    }

    /// Takes a piece. It is durable after [`Received::sync`] only.
    ///
    /// # Errors
    /// [`Error::Contradiction`] if it is not what was there and acknowledged; [`Error::Protocol`]
    /// if it is not the next piece; whatever the system says. After an error this is of no use.
    pub fn write(&mut self, start: Lsn, mut data: &[u8]) -> Result<()> {
        if start != self.next {
            return Err(Error::Protocol {
                server: self.server.clone(),
                detail: format!("the log came from {start} on where {} was due", self.next),
            });
        }
        while !data.is_empty() {
            let offset = self.next.0 % self.segment_bytes;
            let room = usize::try_from(self.segment_bytes - offset).unwrap_or(usize::MAX);
            let (piece, rest) = data.split_at(room.min(data.len()));
            data = rest;
            self.write_piece(offset, piece)?;
            self.next = self.next.plus(piece.len() as u64);
            if self.next.0.is_multiple_of(self.segment_bytes) {
                self.complete()?;
            }
        }
        Ok(())
    }

    fn write_piece(&mut self, offset: u64, piece: &[u8]) -> Result<()> {
        if self.open.is_none() {
            self.open = Some(self.open_segment()?);
        }
        let (next, promised) = (self.next, self.promised);
        let contradiction = |at: u64, timeline| Error::Contradiction {
            server: self.server.clone(),
            lsn: next.plus(at),
            timeline,
            detail: "other bytes stand there now".to_owned(),
        };
        let Some(open) = &mut self.open else {
            return Ok(());
        };
        let failed = io_error("write", &open.path);
        if offset < open.had {
            let overlap = usize::try_from(open.had - offset).unwrap_or(usize::MAX).min(piece.len());
            let mut there = vec![0; overlap];
            let read = read_at(open.file.as_ref(), &mut there, offset).map_err(&failed)?;
            let differs = there[..read].iter().zip(piece).position(|(one, other)| one != other);
            // Behind what was acknowledged, a crash may have left anything.
            let differs = differs.map(|at| at as u64).filter(|at| next.plus(*at) < promised);
            if let Some(at) = differs {
                return Err(contradiction(at, self.timeline));
            }
        }
        open.file.write_all_at(piece, offset).map_err(&failed)?;
        open.dirty = true;
        Ok(())
    }

    fn open_segment(&self) -> Result<Open> {
        let number = self.next.segment(self.segment_bytes);
        let name = segment_name(self.timeline, number, self.segment_bytes) + PARTIAL;
        let path = self.wal.join(name);
        let file = match self.disk.open(&path, Access::ReadWrite) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let file = self.disk.create(&path).map_err(io_error("create", &path))?;
                self.disk.sync_dir(&self.wal).map_err(io_error("sync", &self.wal))?;
                file
            }
            opened => opened.map_err(io_error("open", &path))?,
        };
        let had = file.length_bytes().map_err(io_error("read", &path))?;
        Ok(Open { file, path, number, had, dirty: false })
    }

    /// Makes everything taken so far durable.
    ///
    /// # Errors
    /// Whatever the system says; then this is of no use any more.
    pub fn sync(&mut self) -> Result<()> {
        if let Some(open) = self.open.as_mut().filter(|open| open.dirty) {
            open.file.sync_data().map_err(io_error("sync", &open.path))?;
            open.dirty = false;
        }
        self.durable = self.next;
        Ok(())
    }

    /// A whole segment gets its own name.
    fn complete(&mut self) -> Result<()> {
        self.sync()?;
        if let Some(open) = self.open.take() {
            let whole = segment_name(self.timeline, open.number, self.segment_bytes);
            let renamed = self.disk.rename(&open.path, &self.wal.join(whole));
            renamed.map_err(io_error("rename", &open.path))?;
            self.disk.sync_dir(&self.wal).map_err(io_error("sync", &self.wal))?;
        }
        Ok(())
    }
}
