//! Reading entries back, frame by frame, each compared with the chain.

use crate::disk::{Access, Disk};
use crate::error::{IoContext as _, JournalError, Problem, ProblemKind, Result};
use crate::frame::Frame;
use crate::meta::Meta;
use crate::scan::{Cursor, Step};
use crate::segment;
use crate::tail::{self, Progress};
use crate::watermark::Watermark;
use crate::{Chain, Identity, Position};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Reads again this often before it calls a strange tail corrupt: a writer may be at work.
const EXTERNAL_TRIES: u32 = 5;

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its position.
    pub position: Position,
    /// Term of the primary that wrote it.
    pub term: u64,
    /// Its canonical bytes.
    pub entry: Vec<u8>,
}

/// The entries of one frame, in order; the first batch of a reader may begin inside its frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// Position of the first record.
    pub first: Position,
    /// Term of all records.
    pub term: u64,
    /// Chain behind the last record.
    pub chain: Chain,
    /// The entries; never empty.
    pub records: Vec<Record>,
}

impl Batch {
    /// First position behind the batch.
    #[must_use]
    pub fn next(&self) -> Position {
        self.first + self.records.len() as u64
    }
}

/// Reads a journal from a position on.
///
/// [`Reader::next_batch`] and the iterator return nothing when they have caught up; asked again
/// later, they go on. An error repeats until its cause is gone: a reader never skips.
#[derive(Debug)]
pub struct Reader {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    identity: Identity,
    cursor: Cursor,
    /// Next position to hand out.
    next: Position,
    /// Everything below is proven durable.
    proven_next: Position,
    watermark: Option<Watermark>,
}

impl Reader {
    /// Follows a writer in this process, and never reads beyond its watermark.
    ///
    /// # Errors
    /// [`JournalError::OutOfRange`] if `from` was trimmed or is not yet durable, corruption of the
    /// segment concerned, system errors.
    pub fn follow(
        disk: Arc<dyn Disk>,
        dir: &Path,
        from: Position,
        watermark: Watermark,
    ) -> Result<Self> {
        let durable_next = watermark.durable_next();
        let reader = Self::new(disk, dir, from, Some(watermark))?;
        if from > durable_next {
            return Err(reader.out_of_range(from, durable_next)?);
        }
        Ok(reader)
    }

    /// Reads from outside the writing process, or after a crash: no lock, nothing is written.
    ///
    /// It ends behind the last intact frame. Everything below [`Reader::proven_next`] was durable;
    /// the last frame itself may not yet be, if a writer is at work.
    ///
    /// # Errors
    /// [`JournalError::OutOfRange`] if `from` was trimmed, corruption of the segment concerned,
    /// system errors. A `from` behind the end is found out by the first read.
    pub fn external(disk: Arc<dyn Disk>, dir: &Path, from: Position) -> Result<Self> {
        Self::new(disk, dir, from, None)
    }

    /// Reads a damaged journal from outside, from a position whose chain is known from elsewhere,
    /// whatever lies before it: what its damaged part hides from [`Reader::external`]. `None` if it
    /// holds nothing that continues that history.
    ///
    /// # Errors
    /// Corruption of what says whose journal it is, or of the segment's header; system errors.
    pub fn behind_damage(
        disk: Arc<dyn Disk>,
        dir: &Path,
        from: Position,
        chain: &Chain,
    ) -> Result<Option<Self>> {
        let mut reader = match Self::new(disk, dir, from, None) {
            Err(JournalError::OutOfRange { .. } | JournalError::Gap { .. }) => return Ok(None),
            reader => reader?,
        };
        if !reader.cursor.seek(from, chain)? {
            return Ok(None);
        }
        reader.proven_next = from;
        Ok(Some(reader))
    }

    fn new(
        disk: Arc<dyn Disk>,
        dir: &Path,
        from: Position,
        watermark: Option<Watermark>,
    ) -> Result<Self> {
        let (Meta { identity, base }, _) = Meta::read(disk.as_ref(), dir)?;
        let firsts = segment::list(disk.as_ref(), dir).during("list", dir)?;
        let start = firsts.iter().rev().find(|first| **first <= from).copied();
        let Some(start) = start.filter(|_| from >= base.position) else {
            if let (true, Some(first)) = (from >= base.position, firsts.first()) {
                let (missing_from, missing_to) = (base.position, *first);
                return Err(JournalError::Gap { dir: dir.to_owned(), missing_from, missing_to });
            }
            let next = firsts.last().copied().unwrap_or(base.position);
            let first = base.position;
            return Err(JournalError::OutOfRange { asked: from, first, next });
        };
        let (cursor, _) = Cursor::open(disk.as_ref(), dir, start, &identity, Access::Read)?;
        Ok(Self {
            disk,
            dir: dir.to_owned(),
            identity,
            cursor,
            next: from,
            proven_next: start,
            watermark,
        })
    }

    /// Next position that will be read.
    #[must_use]
    pub fn position(&self) -> Position {
        self.next
    }

    /// First position not proven durable by what was read so far: by the writer's watermark, or
    /// from outside by the frames and segments that follow.
    #[must_use]
    pub fn proven_next(&self) -> Position {
        self.watermark.as_ref().map_or(self.proven_next, Watermark::durable_next)
    }

    /// The next batch, or `None` when caught up.
    ///
    /// # Errors
    /// Corruption and gaps, naming file, offset and positions; system errors.
    pub fn next_batch(&mut self) -> Result<Option<Batch>> {
        // Once for a batch: what comes back after a reopening may be a frame without entries, and
        // the damage stand behind it still.
        let mut reopened = false;
        loop {
            let frame = match self.watermark.clone() {
                Some(watermark) => self.follow_step(&watermark, &mut reopened)?,
                None => self.external_step(&mut reopened)?,
            };
            let Some(frame) = frame else { return Ok(None) };
            if let Some(batch) = self.take(&frame) {
                return Ok(Some(batch));
            }
        }
    }

    /// Hands out what of a frame was not yet handed out.
    fn take(&mut self, frame: &Frame) -> Option<Batch> {
        let header = &frame.header;
        self.proven_next = self.proven_next.max(header.watermark);
        if header.next() <= self.next {
            return None;
        }
        let records = (header.first..).zip(frame.entries()).skip_while(|(at, _)| *at < self.next);
        let term = header.term;
        let records = records
            .map(|(position, entry)| Record { position, term, entry: entry.to_vec() })
            .collect();
        let batch = Batch { first: self.next, term, chain: frame.chain, records };
        self.next = header.next();
        Some(batch)
    }

    fn follow_step(
        &mut self,
        watermark: &Watermark,
        reopened: &mut bool,
    ) -> Result<Option<Box<Frame>>> {
        let durable_next = watermark.durable_next();
        if self.next >= durable_next {
            return Ok(None);
        }
        if durable_next != self.proven_next {
            // What was read ahead may have been written since.
            self.cursor.forget_window();
            self.proven_next = durable_next;
        }
        let mut crossed = false;
        loop {
            match self.cursor.step()? {
                Step::Frame(frame) => return Ok(Some(frame)),
                Step::End if !crossed && self.cross()? => crossed = true,
                Step::End | Step::Bad(_) if !*reopened && self.reopen()? => *reopened = true,
                Step::End => return Err(self.vanished(durable_next)?),
                Step::Bad(damage) => {
                    return Err(self.cursor.corrupt(Problem {
                        file: self.cursor.name.clone(),
                        offset: self.cursor.offset,
                        positions: damage.positions,
                        kind: damage.kind,
                        detail: damage.detail,
                        harmless: false,
                    }));
                }
            }
        }
    }

    fn external_step(&mut self, reopened: &mut bool) -> Result<Option<Box<Frame>>> {
        let mut tries_left = EXTERNAL_TRIES;
        loop {
            let progress = tail::advance(self.disk.as_ref(), &mut self.cursor, EXTERNAL_TRIES)?;
            let tail = match progress {
                Progress::Frame(frame) => return Ok(Some(frame)),
                Progress::Rest(tail) => tail,
            };
            if let Some(problem) = tail.corrupt {
                if !*reopened && self.reopen()? {
                    *reopened = true;
                    continue;
                }
                return Err(self.cursor.corrupt(problem));
            }
            let here = self.cursor.header.first;
            if self.cursor.expect.position > here && self.cross()? {
                self.proven_next = self.proven_next.max(self.cursor.header.first);
                continue;
            }
            self.cursor.forget_window();
            tries_left -= 1;
            match self.refuse_gap() {
                // The writer may have filled this segment and begun another one since the look.
                Err(JournalError::Gap { .. }) if tries_left > 0 => {}
                Err(error) => return Err(error),
                Ok(()) => {
                    if self.cursor.expect.position == here {
                        // A segment without entries may have been replaced by a larger one.
                        self.cursor = self.open_segment(here)?;
                    }
                    return Ok(None);
                }
            }
        }
    }

    /// Goes on to the segment that begins where this one ends, if there is one.
    fn cross(&mut self) -> Result<bool> {
        let expect = self.cursor.expect.clone();
        let next = match self.open_segment(expect.position) {
            Ok(cursor) => cursor,
            Err(JournalError::Io { error, .. }) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(false);
            }
            Err(error) => return Err(error),
        };
        if next.expect != expect {
            return Err(next.corrupt(Problem {
                file: next.name.clone(),
                offset: 0,
                positions: expect.position..Position::MAX,
                kind: ProblemKind::BrokenChain,
                detail: "the segment does not continue the one before it".to_owned(),
                harmless: false,
            }));
        }
        self.cursor = next;
        Ok(true)
    }

    /// Looks at the segment under its name again: a repair may have put a whole one in its place.
    fn reopen(&mut self) -> Result<bool> {
        let Ok(mut cursor) = self.open_segment(self.cursor.header.first) else { return Ok(false) };
        let expect = &self.cursor.expect;
        let found = cursor.seek(expect.position, &expect.chain)?;
        if found {
            self.cursor = cursor;
        }
        Ok(found)
    }

    fn open_segment(&self, first: Position) -> Result<Cursor> {
        let disk = self.disk.as_ref();
        Ok(Cursor::open(disk, &self.dir, first, &self.identity, Access::Read)?.0)
    }

    fn refuse_gap(&self) -> Result<()> {
        let firsts = segment::list(self.disk.as_ref(), &self.dir).during("list", &self.dir)?;
        let missing_from = self.cursor.expect.position;
        match firsts.into_iter().find(|first| *first > missing_from) {
            Some(missing_to) => {
                Err(JournalError::Gap { dir: self.dir.clone(), missing_from, missing_to })
            }
            None => Ok(()),
        }
    }

    /// Nothing stands where the writer's watermark says that something does.
    fn vanished(&self, durable_next: Position) -> Result<JournalError> {
        let (meta, _) = Meta::read(self.disk.as_ref(), &self.dir)?;
        let (asked, first) = (self.cursor.expect.position, meta.base.position);
        if asked < first {
            // The writer gave it up before it was read.
            return Ok(JournalError::OutOfRange { asked, first, next: durable_next });
        }
        Ok(self.cursor.corrupt(Problem {
            file: self.cursor.name.clone(),
            offset: self.cursor.offset,
            positions: self.cursor.expect.position..durable_next,
            kind: ProblemKind::DamagedFrame,
            detail: "durable entries are no longer here".to_owned(),
            harmless: false,
        }))
    }

    fn out_of_range(&self, asked: Position, next: Position) -> Result<JournalError> {
        let (meta, _) = Meta::read(self.disk.as_ref(), &self.dir)?;
        Ok(JournalError::OutOfRange { asked, first: meta.base.position, next })
    }
}

impl Iterator for Reader {
    type Item = Result<Batch>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_batch().transpose()
    }
}
