//! Mending in place: what was damaged is fetched frame by frame from whoever holds the same
//! history, and written back to where it lay.
//!
//! A frame's bytes follow from its entries, its term and its place, and the chain of its neighbours
//! proves that they are the ones that were lost. A segment is mended in a copy, which takes the
//! segment's name in one step: after a crash either the damaged or the whole one is there. Frames
//! that are intact are copied as they are.

mod rebuild;

use crate::disk::{Access, Disk, read_full};
use crate::error::{IoContext as _, JournalError, Problem, ProblemKind, Result};
use crate::frame::{self, Probe};
use crate::log::{held_segments, lock};
use crate::meta::Meta;
use crate::reader::Batch;
use crate::scan::{Cursor, Expect, Step};
use crate::sector::SECTOR_BYTES;
use crate::segment::{self, FRAMES_AT, HeaderSector, SegmentHeader};
use crate::{Chain, Identity, Position, tail};
use std::fmt;
use std::io;
use std::ops::Range;
use std::path::Path;

/// The copy in which a segment is mended.
pub(crate) const MENDING: &str = "repair.new";

/// A whole frame as somebody else holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchedFrame {
    /// Term of the primary that wrote it.
    pub term: u64,
    /// Position of its first entry.
    pub first: Position,
    /// Its entries; never empty.
    pub entries: Vec<Vec<u8>>,
}

impl FetchedFrame {
    /// First position behind the frame.
    #[must_use]
    pub fn next(&self) -> Position {
        self.first + self.entries.len() as u64
    }
}

impl From<Batch> for FetchedFrame {
    fn from(batch: Batch) -> Self {
        let entries = batch.records.into_iter().map(|record| record.entry).collect();
        Self { term: batch.term, first: batch.first, entries }
    }
}

/// What may be mended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RepairScope {
    /// Every segment; the journal's lock is taken, so nobody may write.
    Closed,
    /// All but the last segment, beside the writer that has it open.
    Sealed,
}

/// A place that is whole again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mended {
    /// File name inside the journal folder.
    pub file: String,
    /// Positions that were fetched; empty where only a header or a seal was damaged.
    pub positions: Range<Position>,
}

impl fmt::Display for Mended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.positions {
            Range { start, end } if start == end => {
                write!(f, "{}: mended; no entry was concerned", self.file)
            }
            Range { start, end } => {
                write!(f, "{}: positions {start} to {} are back in their place", self.file, end - 1)
            }
        }
    }
}

/// What a repair did and what it could not do.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Repair {
    /// What is whole again.
    pub mended: Vec<Mended>,
    /// What is still wrong. Nothing of it was touched.
    pub left: Vec<Problem>,
}

impl Repair {
    /// Entries that were fetched.
    #[must_use]
    pub fn entries(&self) -> u64 {
        self.mended.iter().map(|one| one.positions.end - one.positions.start).sum()
    }
}

/// Hands out whole frames that cover a range of positions, as far as its holder has them; the end
/// is `first + 1` where the last position of the damage is not known. What it hands out is checked
/// against the chain before anything is written.
pub type Fetch<'a, E> = &'a mut dyn FnMut(Range<Position>) -> Result<Vec<FetchedFrame>, E>;

/// Mends what is damaged and can be fetched. Damage that cannot be mended ends the walk (what lies
/// behind it may be mended once it is), is reported and left as it is.
///
/// # Errors
/// [`JournalError::Locked`] with [`RepairScope::Closed`], an unreadable `meta`
/// ([`JournalError::Corrupt`]), system errors, and whatever `fetch` says. Segments mended before
/// stay so; no other was touched.
pub fn repair<E: From<JournalError>>(
    disk: &dyn Disk,
    dir: &Path,
    scope: RepairScope,
    fetch: Fetch<'_, E>,
) -> Result<Repair, E> {
    let _lock = match scope {
        RepairScope::Closed => Some(lock(disk, dir)?),
        RepairScope::Sealed => None,
    };
    let (meta, _) = Meta::read(disk, dir)?;
    let mut places = Places::new(disk, dir, &meta)?;
    let mut found = Repair::default();
    let base = &meta.base;
    let mut before = Before {
        expect: Expect { position: base.position, term: 0, chain: base.chain },
        first: None,
    };
    while let Some(mut place) = places.next(&before)? {
        if scope == RepairScope::Sealed && place.end.is_none() {
            break;
        }
        let header = place.header.take();
        if header.as_ref().is_some_and(|header| !place.continues(header, &before)) {
            let detail = "the segment does not continue the one before it".to_owned();
            found.left.push(place.problem(0, place.first..Position::MAX, detail));
            break;
        }
        let whole = match &header {
            Some(header) if !place.is_short => intact_end(disk, &place, header.clone())?,
            _ => None,
        };
        let expect = match whole {
            Some(expect) => expect,
            None => match rebuild::run(disk, &place, &before, header, fetch)? {
                Ok((expect, mended)) => {
                    found.mended.extend(mended);
                    expect
                }
                Err(problem) => {
                    found.left.push(problem);
                    break;
                }
            },
        };
        before = Before { expect, first: Some(place.first) };
    }
    Ok(found)
}

/// The history before a segment, and the segment that it ends in.
#[derive(Debug, Clone)]
struct Before {
    expect: Expect,
    first: Option<Position>,
}

/// A segment that is there, or should be.
#[derive(Debug)]
struct Place {
    first: Position,
    identity: Identity,
    dir: std::path::PathBuf,
    /// The header, where it is intact.
    header: Option<SegmentHeader>,
    /// The file is missing, or shorter than its header says.
    is_short: bool,
    /// Length of the file in bytes; 0 if it is missing.
    file_bytes: u64,
    /// Where the segment behind it begins; `None` for the last one.
    end: Option<End>,
}

/// What the segment behind says about the history before it.
#[derive(Debug, Clone)]
struct End {
    position: Position,
    /// From its header, or else from its first frame.
    chain: Option<Chain>,
    /// From its header.
    term: Option<u64>,
    /// First position of the segment before it, from its header.
    previous_first: Option<Position>,
}

/// Walks the places of segments in order.
struct Places<'a> {
    disk: &'a dyn Disk,
    dir: &'a Path,
    identity: Identity,
    firsts: std::iter::Peekable<std::vec::IntoIter<Position>>,
}

impl<'a> Places<'a> {
    fn new(disk: &'a dyn Disk, dir: &'a Path, meta: &Meta) -> Result<Self> {
        let firsts = held_segments(disk, dir, meta)?.into_iter().peekable();
        Ok(Self { disk, dir, identity: meta.identity, firsts })
    }

    fn next(&mut self, before: &Before) -> Result<Option<Place>> {
        let Some(first) = self.firsts.peek().copied() else { return Ok(None) };
        if first > before.expect.position {
            // One missing segment: the one behind it names it.
            return Ok(Some(self.place(before.expect.position, Some(first))?));
        }
        self.firsts.next();
        let behind = self.firsts.peek().copied();
        Ok(Some(self.place(first, behind)?))
    }

    fn place(&self, first: Position, behind: Option<Position>) -> Result<Place> {
        let (header, file_bytes) = self.header(first)?;
        let is_short = header.as_ref().is_none_or(|header| file_bytes < header.length_bytes);
        let mut end = behind.map(|position| self.end(position)).transpose()?;
        if let Some(missing) = end.as_ref().and_then(|end| end.previous_first)
            && missing > first
        {
            // This one ends where a missing one began; nobody says with which chain.
            let unknown = End { position: missing, chain: None, term: None, previous_first: None };
            end = Some(unknown);
        }
        let (dir, identity) = (self.dir.to_owned(), self.identity);
        Ok(Place { first, identity, dir, header, is_short, file_bytes, end })
    }

    fn end(&self, position: Position) -> Result<End> {
        if let (Some(header), _) = self.header(position)? {
            let (chain, term) = (Some(header.chain), Some(header.term));
            return Ok(End { position, chain, term, previous_first: header.previous_first });
        }
        let path = self.dir.join(segment::file_name(position));
        let file = self.disk.open(&path, Access::Read).during("open", &path)?;
        let mut sector = [0; SECTOR_BYTES];
        read_full(file.as_ref(), &mut sector, FRAMES_AT).during("read", &path)?;
        let chain = match frame::probe(&sector) {
            Probe::Header(header)
                if (header.first, header.identity) == (position, self.identity) =>
            {
                Some(header.previous_chain)
            }
            _ => None,
        };
        Ok(End { position, chain, term: None, previous_first: None })
    }

    /// The header of a segment if it is intact and of this journal, and the length of the file.
    fn header(&self, first: Position) -> Result<(Option<SegmentHeader>, u64)> {
        let path = self.dir.join(segment::file_name(first));
        let file = match self.disk.open(&path, Access::Read) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok((None, 0)),
            other => other.during("open", &path)?,
        };
        let mut sector = [0; SECTOR_BYTES];
        let got = read_full(file.as_ref(), &mut sector, 0).during("read", &path)?;
        let file_bytes = file.length_bytes().during("measure", &path)?;
        let header = match SegmentHeader::from_sector(&sector) {
            HeaderSector::Header { header, .. } if got == SECTOR_BYTES => Some(header),
            _ => None,
        };
        let ours =
            |header: &SegmentHeader| (header.first, header.identity) == (first, self.identity);
        Ok((header.filter(ours), file_bytes))
    }
}

impl Place {
    fn name(&self) -> String {
        segment::file_name(self.first)
    }

    /// Whether the history may end here and the segment behind this one go on.
    fn ends_with(&self, expect: &Expect) -> bool {
        self.end.as_ref().is_none_or(|end| {
            end.position == expect.position
                && end.chain.is_none_or(|chain| chain == expect.chain)
                && end.term.is_none_or(|term| term == expect.term)
        })
    }

    /// Whether the header continues the history before it.
    fn continues(&self, header: &SegmentHeader, before: &Before) -> bool {
        let first = before.first.is_none();
        (header.first, header.chain) == (before.expect.position, before.expect.chain)
            && (first || header.previous_first == before.first)
            && (first || header.term == before.expect.term)
    }

    fn problem(&self, offset: u64, positions: Range<Position>, detail: String) -> Problem {
        let kind = ProblemKind::DamagedFrame;
        Problem { file: self.name(), offset, positions, kind, detail, harmless: false }
    }
}

/// The history behind a segment, if every frame of it is intact and the next one follows.
fn intact_end(disk: &dyn Disk, place: &Place, header: SegmentHeader) -> Result<Option<Expect>> {
    let path = place.dir.join(place.name());
    let file = disk.open(&path, Access::Read).during("open", &path)?;
    let mut cursor = Cursor::over(file, &place.dir, place.name(), header);
    loop {
        match cursor.step()? {
            Step::Frame(_) => {}
            Step::Bad(damage) => {
                let rest = tail::judge(&cursor, Some(&damage), place.end.is_none())?;
                let torn = rest.corrupt.is_none();
                return Ok((torn && place.ends_with(&cursor.expect)).then_some(cursor.expect));
            }
            Step::End => {
                let rest = tail::judge(&cursor, None, place.end.is_none())?;
                let whole = rest.corrupt.is_none() && place.ends_with(&cursor.expect);
                return Ok(whole.then_some(cursor.expect));
            }
        }
    }
}
