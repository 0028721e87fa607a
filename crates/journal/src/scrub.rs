//! Reading everything again, a little at a time, so that rot is found while others still hold what
//! it destroyed.

use crate::Position;
use crate::disk::{Access, Disk};
use crate::error::{IoContext as _, JournalError, Problem, ProblemKind, Result};
use crate::log::{broken_link, held_segments};
use crate::meta::Meta;
use crate::scan::{Cursor, Expect};
use crate::segment;
use crate::tail::{self, Progress, Tail};
use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Reads again this often before it calls a strange tail corrupt: the writer is at work.
const TRIES: u32 = 5;

/// What one round over the whole journal found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Scrubbed {
    /// Bytes of frames read.
    pub bytes: u64,
    /// Entries that are intact.
    pub entries: u64,
    /// First position behind the last intact entry.
    pub next: Position,
    /// Everything that is wrong, in the order of the files.
    pub problems: Vec<Problem>,
}

impl Scrubbed {
    /// The first problem that concerns entries: with one, this copy must not become the primary's
    /// before it is repaired.
    #[must_use]
    pub fn damage(&self) -> Option<&Problem> {
        self.problems.iter().find(|problem| !problem.harmless)
    }
}

/// Reads a journal round by round, beside its writer: no lock, nothing is written. The pages of a
/// segment are dropped from the system's cache first, so that the disk is read and not memory.
#[derive(Debug)]
pub struct Scrubber {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    round: Option<Round>,
}

/// A round under way.
#[derive(Debug)]
struct Round {
    meta: Meta,
    firsts: VecDeque<Position>,
    cursor: Option<Cursor>,
    /// The history before the next segment; `None` behind damage.
    expect: Option<Expect>,
    is_first: bool,
    found: Scrubbed,
}

impl Scrubber {
    /// Of the journal in a folder.
    #[must_use]
    pub fn new(disk: Arc<dyn Disk>, dir: &Path) -> Self {
        Self { disk, dir: dir.to_owned(), round: None }
    }

    /// Bytes of frames read in the round under way; 0 between rounds.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.round.as_ref().map_or(0, |round| round.found.bytes)
    }

    /// Reads on, about `budget_bytes` (at least a frame); says what the round found when that was
    /// its end. The next step begins another.
    ///
    /// # Errors
    /// As [`crate::verify`]; the round is given up then.
    pub fn step(&mut self, budget_bytes: u64) -> Result<Option<Scrubbed>> {
        let mut round = match self.round.take() {
            Some(round) => round,
            None => Round::begin(self.disk.as_ref(), &self.dir)?,
        };
        let until = round.found.bytes.saturating_add(budget_bytes.max(1));
        while round.found.bytes < until {
            if round.cursor.is_none() && !round.open_next(self.disk.as_ref(), &self.dir)? {
                return Ok(Some(round.found));
            }
            round.read(self.disk.as_ref())?;
        }
        self.round = Some(round);
        Ok(None)
    }
}

impl Round {
    fn begin(disk: &dyn Disk, dir: &Path) -> Result<Self> {
        let (meta, problems) = Meta::read(disk, dir)?;
        let firsts: VecDeque<_> = held_segments(disk, dir, &meta)?.into();
        let base = &meta.base;
        let found = Scrubbed { next: base.position, problems, ..Scrubbed::default() };
        let expect = Some(Expect { position: base.position, term: 0, chain: base.chain });
        let mut round = Self { meta, firsts, cursor: None, expect, is_first: true, found };
        if round.firsts.is_empty() {
            round.gap(Position::MAX);
        }
        Ok(round)
    }

    /// Opens the next segment; `false` if there is none.
    fn open_next(&mut self, disk: &dyn Disk, dir: &Path) -> Result<bool> {
        while let Some(first) = self.firsts.pop_front() {
            match Cursor::open(disk, dir, first, &self.meta.identity, Access::Read) {
                Ok((cursor, stray)) => {
                    cursor.file.forget_cached().during("drop the cache of", dir)?;
                    self.found.problems.extend(stray);
                    self.link(&cursor);
                    self.cursor = Some(cursor);
                    return Ok(true);
                }
                Err(JournalError::Corrupt { problem, .. }) => {
                    self.found.problems.push(*problem);
                    self.expect = None;
                }
                Err(JournalError::Io { error, .. })
                    if error.kind() == io::ErrorKind::NotFound && is_trimmed(disk, dir, first)? =>
                {
                    // Given up since the round began; the segment behind it is the first one now.
                    self.expect = None;
                }
                Err(other) => return Err(other),
            }
            self.is_first = false;
        }
        Ok(false)
    }

    /// Compares where a segment begins with where the one before ended.
    fn link(&mut self, cursor: &Cursor) {
        let is_first = std::mem::replace(&mut self.is_first, false);
        let Some(before) = self.expect.take() else { return };
        let here = &cursor.expect;
        if here.position > before.position {
            self.expect = Some(before);
            self.gap(here.position);
        } else if (here.position, here.chain) != (before.position, before.chain)
            || (!is_first && here.term != before.term)
        {
            self.found.problems.push(broken_link(cursor));
        }
    }

    fn gap(&mut self, missing_to: Position) {
        let missing_from = self.expect.take().map_or(0, |expect| expect.position);
        self.found.problems.push(Problem {
            file: segment::file_name(missing_from),
            offset: 0,
            positions: missing_from..missing_to,
            kind: ProblemKind::Gap,
            detail: "no segment holds these positions".to_owned(),
            harmless: false,
        });
    }

    /// Reads a frame, or judges what is left of the segment and leaves it.
    fn read(&mut self, disk: &dyn Disk) -> Result<()> {
        let Some(cursor) = &mut self.cursor else { return Ok(()) };
        let begun = cursor.offset;
        match tail::advance(disk, cursor, TRIES)? {
            Progress::Frame(frame) => {
                self.found.problems.extend(frame.stray(&cursor.name));
                self.found.entries += u64::from(frame.header.count);
                self.found.bytes += cursor.offset - begun;
                self.found.next = self.found.next.max(frame.header.next());
            }
            Progress::Rest(tail) => self.rest(*tail),
        }
        Ok(())
    }

    fn rest(&mut self, tail: Tail) {
        let Tail { stray, corrupt, resume, .. } = tail;
        self.found.problems.extend(stray);
        let damaged = corrupt.is_some();
        self.found.problems.extend(corrupt);
        let Some(cursor) = &mut self.cursor else { return };
        if let (true, Some((offset, header))) = (damaged, resume) {
            cursor.resume_at(offset, &header);
            return;
        }
        self.expect = (!damaged).then(|| cursor.expect.clone());
        self.cursor = None;
    }
}

/// Whether the log has given up the segment that begins here.
fn is_trimmed(disk: &dyn Disk, dir: &Path, first: Position) -> Result<bool> {
    Ok(first < Meta::read(disk, dir)?.0.base.position)
}
