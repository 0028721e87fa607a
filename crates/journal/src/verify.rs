//! Walks a whole journal, unused space included, and lists what is wrong instead of stopping at it.

use crate::disk::{Access, Disk};
use crate::error::{IoContext as _, JournalError, Problem, ProblemKind, Result};
use crate::frame::{self, FRAME_BYTES_MAX, Probe};
use crate::log::{broken_link, held_segments};
use crate::meta::Meta;
use crate::root::RootTracker;
use crate::scan::{Cursor, Expect};
use crate::segment::{self, HeaderSector, RESERVE, SegmentHeader};
use crate::tail::{self, Progress, Tail};
use crate::{Chain, Position, sector};
use evenkeel_types::merkle::Hash;
use std::path::Path;

/// Reads again this often before it calls a strange tail corrupt: a writer may be at work.
const TRIES: u32 = 5;

/// What a walk through a journal found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Number of entries that are intact.
    pub entries: u64,
    /// First position that the journal holds.
    pub first: Position,
    /// First position behind the last intact entry.
    pub next: Position,
    /// Highest term.
    pub term: u64,
    /// Chain before `next`.
    pub chain: Chain,
    /// Journal root before `next` (RFC 6962); `None` if entries are missing or damaged.
    pub root: Option<Hash>,
    /// Everything that is wrong, in the order of the files.
    pub problems: Vec<Problem>,
}

impl Report {
    /// Whether every entry is there and intact; harmless problems do not count.
    #[must_use]
    pub fn is_intact(&self) -> bool {
        self.problems.iter().all(|problem| problem.harmless)
    }

    /// First position behind everything of which the journal shows that it was written, intact or
    /// not. What of it nobody else holds is lost.
    #[must_use]
    pub fn written_next(&self) -> Position {
        let damaged = self.problems.iter().filter(|problem| !problem.harmless);
        let ends = damaged.map(|problem| problem.positions.end).filter(|end| *end < Position::MAX);
        ends.fold(self.next, Position::max)
    }

    /// Whether it may have held entries at or beyond `next` of which nothing here tells: where a
    /// whole segment cannot be read, or a frame before which `next` still is.
    #[must_use]
    pub fn may_reach_beyond(&self, next: Position) -> bool {
        let whole = [ProblemKind::Gap, ProblemKind::DamagedSegment, ProblemKind::ForeignSegment];
        let damaged = self.problems.iter().filter(|problem| !problem.harmless);
        let mut open = damaged.filter(|problem| problem.positions.end == Position::MAX);
        open.any(|problem| whole.contains(&problem.kind) || next <= problem.positions.start)
    }
}

/// Walks every segment of the journal in `dir`. It takes no lock and writes nothing; beside a
/// working writer it sees what was written when it came by.
///
/// # Errors
/// [`JournalError::NotAJournal`], an unreadable `meta` ([`JournalError::Corrupt`]), system errors.
/// Everything else is a [`Problem`] of the report.
pub fn verify(disk: &dyn Disk, dir: &Path) -> Result<Report> {
    let (meta, problems) = Meta::read(disk, dir)?;
    let firsts = held_segments(disk, dir, &meta)?;
    let base = &meta.base;
    let mut walk = Walk {
        disk,
        dir,
        expect: Expect { position: base.position, term: 0, chain: base.chain },
        root: Some(RootTracker::new(base)),
        entries: 0,
        problems,
        astray: None,
    };
    if firsts.is_empty() {
        walk.gap(segment::file_name(base.position), Position::MAX);
    }
    for (index, first) in firsts.into_iter().enumerate() {
        match Cursor::open(disk, dir, first, &meta.identity, Access::Read) {
            Ok((cursor, stray)) => {
                walk.problems.extend(stray);
                walk.segment(cursor, index == 0)?;
            }
            Err(JournalError::Corrupt { problem, .. }) => {
                walk.headerless(first, *problem, &meta)?;
            }
            Err(other) => return Err(other),
        }
    }
    walk.reserve()?;
    walk.missing_end();
    let Walk { expect, root, entries, problems, .. } = walk;
    let Expect { position: next, term, chain } = expect;
    let root = root.map(|tracker| tracker.root());
    Ok(Report { entries, first: base.position, next, term, chain, root, problems })
}

struct Walk<'a> {
    disk: &'a dyn Disk,
    dir: &'a Path,
    expect: Expect,
    /// `None` once something is missing.
    root: Option<RootTracker>,
    entries: u64,
    problems: Vec<Problem>,
    /// Of the frames that lie where they were not written, the one that reaches farthest: file,
    /// offset, and first position behind it.
    astray: Option<(String, u64, Position)>,
}

impl Walk<'_> {
    fn segment(&mut self, mut cursor: Cursor, is_first: bool) -> Result<()> {
        let first = cursor.header.first;
        if first > self.expect.position {
            self.gap(segment::file_name(self.expect.position), first);
        } else if self.root.is_some() && self.broken_link(&cursor, is_first) {
            self.root = None;
            self.problems.push(broken_link(&cursor));
        }
        loop {
            match tail::advance(self.disk, &mut cursor, TRIES)? {
                Progress::Frame(frame) => {
                    self.problems.extend(frame.stray(&cursor.name));
                    self.entries += u64::from(frame.header.count);
                    if let Some(root) = &mut self.root {
                        for entry in frame.entries() {
                            root.push(entry);
                        }
                    }
                }
                Progress::Rest(tail) => {
                    self.note_astray(&mut cursor, &tail)?;
                    let Some((offset, header)) = self.rest(*tail) else {
                        break;
                    };
                    cursor.resume_at(offset, &header);
                }
            }
        }
        // A damaged segment may end before or behind where the history was.
        if cursor.expect.position >= self.expect.position {
            self.expect = cursor.expect;
        }
        Ok(())
    }

    /// A segment whose header cannot be read: its frames tell how far it reaches.
    fn headerless(&mut self, first: Position, mut problem: Problem, meta: &Meta) -> Result<()> {
        self.root = None;
        let path = self.dir.join(segment::file_name(first));
        let file = self.disk.open(&path, Access::Read).during("open", &path)?;
        let length = file.length_bytes().during("measure", &path)?;
        let (mut is_damaged, mut end) = (false, first);
        sector::for_each_nonzero(file.as_ref(), 0, length, |at, bytes| {
            if at == 0 {
                is_damaged = matches!(SegmentHeader::from_sector(bytes), HeaderSector::Damaged);
            } else if let Probe::Header(header) = frame::probe(bytes)
                && header.identity == meta.identity
                && header.own_offset == at
            {
                end = end.max(header.next());
            }
        })
        .during("read", &path)?;
        // A readable one that is not right says that the file itself is not what it was.
        if is_damaged {
            problem.positions.end = end;
        }
        self.problems.push(problem);
        Ok(())
    }

    fn broken_link(&self, cursor: &Cursor, is_first: bool) -> bool {
        let Expect { position, term, chain } = &cursor.expect;
        *position != self.expect.position
            || *chain != self.expect.chain
            || (!is_first && *term != self.expect.term)
    }

    /// Notes what the end of a segment means; returns where reading can go on behind damage.
    fn rest(&mut self, tail: Tail) -> Option<(u64, crate::frame::FrameHeader)> {
        self.problems.extend(tail.stray);
        if let Some(torn) = tail.torn {
            self.problems.push(Problem {
                file: torn.file,
                offset: torn.offset,
                positions: torn.positions,
                kind: ProblemKind::TornTail,
                detail: "a frame that was never acknowledged was cut off by a crash".to_owned(),
                harmless: true,
            });
        }
        let problem = tail.corrupt?;
        self.root = None;
        self.problems.push(problem);
        tail.resume
    }

    /// A write that went astray leaves nothing where it belongs: at the journal's end, where it
    /// landed is the only trace of it, anywhere in what it damaged.
    fn note_astray(&mut self, cursor: &mut Cursor, tail: &Tail) -> Result<()> {
        let to = match (&tail.corrupt, &tail.resume) {
            (None, _) => cursor.offset + sector::SECTOR,
            (Some(_), Some((offset, _))) => *offset,
            (Some(_), None) => cursor.offset + FRAME_BYTES_MAX,
        };
        let Some((offset, header)) = cursor.misplaced_header(to)? else { return Ok(()) };
        let farthest = self.astray.as_ref().map_or(0, |(_, _, next)| *next);
        if header.next() > farthest {
            self.astray = Some((cursor.name.clone(), offset, header.next()));
        }
        Ok(())
    }

    fn missing_end(&mut self) {
        let next = self.expect.position;
        let Some((file, offset, end)) = self.astray.take().filter(|(.., end)| *end > next) else {
            return;
        };
        self.root = None;
        self.problems.push(Problem {
            file,
            offset,
            positions: next..end,
            kind: ProblemKind::Gap,
            detail: "a frame of these positions lies here, where it was not written".to_owned(),
            harmless: false,
        });
    }

    fn gap(&mut self, file: String, missing_to: Position) {
        self.root = None;
        self.problems.push(Problem {
            file,
            offset: 0,
            positions: self.expect.position..missing_to,
            kind: ProblemKind::Gap,
            detail: "no segment holds these positions".to_owned(),
            harmless: false,
        });
    }

    /// The reserve holds nothing, and should show it.
    fn reserve(&mut self) -> Result<()> {
        let path = self.dir.join(RESERVE);
        let file = match self.disk.open(&path, Access::Read) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            other => other.during("open", &path)?,
        };
        let length = file.length_bytes().during("measure", &path)?;
        let position = self.expect.position;
        sector::for_each_nonzero(file.as_ref(), 0, length, |at, _| {
            self.problems.push(Problem {
                file: RESERVE.to_owned(),
                offset: at,
                positions: position..position,
                kind: ProblemKind::StrayDamage,
                detail: "the reserve is not all zero; it is made anew before use".to_owned(),
                harmless: true,
            });
        })
        .during("read", &path)
    }
}
