//! What the space behind the last intact frame of a segment means: unused, torn or corrupt.
//!
//! Only one frame is ever in flight, it is written to space that is known to be zero, and a disk
//! writes a 512-byte sector whole or not at all. So an unfinished frame shows as sectors that are
//! right beside sectors that are all zero. Everything else was durable once and has changed since.

use crate::Position;
use crate::disk::Disk;
use crate::error::{IoContext as _, Problem, ProblemKind, Result};
use crate::frame::{self, FRAME_BYTES_MAX, Frame, FrameHeader, Probe};
use crate::scan::{Cursor, Damage, Step};
use crate::sector::{self, PAYLOAD_BYTES, SECTOR, STRAY_BYTES_MAX};
use crate::segment;
use std::ops::Range;
use std::time::Duration;

/// A frame that was being written when the machine stopped. It was never acknowledged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TornTail {
    /// File name inside the journal folder.
    pub file: String,
    /// Offset of the frame in bytes.
    pub offset: u64,
    /// Positions that the frame would have held; the end is `Position::MAX` if its header was lost.
    pub positions: Range<Position>,
    /// Bytes concerned, up to the last one that reached the disk.
    pub bytes: u64,
}

/// The verdict on the rest of a segment.
#[derive(Debug, Default)]
pub(crate) struct Tail {
    pub(crate) torn: Option<TornTail>,
    pub(crate) stray: Vec<Problem>,
    /// Byte ranges to be zeroed before the space is used.
    pub(crate) dirty: Vec<Range<u64>>,
    pub(crate) corrupt: Option<Problem>,
    /// Where the next readable frame was found behind the damage.
    pub(crate) resume: Option<(u64, FrameHeader)>,
}

/// A frame, or the verdict on the rest of the segment.
#[derive(Debug)]
pub(crate) enum Progress {
    Frame(Box<Frame>),
    Rest(Box<Tail>),
}

/// Reads the next frame or judges the rest.
///
/// `tries` above 1 allow for a writer at work in another process: what looks wrong is read again.
pub(crate) fn advance(disk: &dyn Disk, cursor: &mut Cursor, tries: u32) -> Result<Progress> {
    const WRITER_PAUSE: Duration = Duration::from_millis(2);
    let mut left = tries;
    loop {
        left -= 1;
        let damage = match cursor.step()? {
            Step::Frame(frame) => return Ok(Progress::Frame(frame)),
            Step::End => None,
            Step::Bad(damage) => Some(damage),
        };
        let is_last = is_last(disk, cursor)?;
        let tail = judge(cursor, damage.as_ref(), is_last)?;
        if tail.corrupt.is_none() || left == 0 {
            return Ok(Progress::Rest(Box::new(tail)));
        }
        std::thread::sleep(WRITER_PAUSE);
        cursor.forget_window();
    }
}

/// Whether no later segment exists.
fn is_last(disk: &dyn Disk, cursor: &Cursor) -> Result<bool> {
    let firsts = segment::list(disk, &cursor.dir).during("list", &cursor.dir)?;
    Ok(firsts.last().is_none_or(|last| *last <= cursor.header.first))
}

/// A sector behind the last intact frame that is not all zero.
#[derive(Debug, Clone)]
struct Sector {
    at: u64,
    light: bool,
    tag: u8,
    header: Option<FrameHeader>,
}

/// Judges everything from the cursor to the end of the segment.
pub(crate) fn judge(cursor: &Cursor, damage: Option<&Damage>, is_last: bool) -> Result<Tail> {
    let path = cursor.dir.join(&cursor.name);
    let end = cursor.header.length_bytes;
    let mut sectors = Vec::new();
    sector::for_each_nonzero(cursor.file.as_ref(), cursor.offset, end, |at, bytes| {
        let header = match frame::probe(bytes) {
            Probe::Header(header) => Some(header),
            _ => None,
        };
        let light = sector::nonzero_count(bytes) <= STRAY_BYTES_MAX;
        sectors.push(Sector { at, light, tag: bytes[PAYLOAD_BYTES], header });
    })
    .during("read", &path)?;
    Ok(Judge { cursor, damage, is_last, sectors: &sectors }.verdict())
}

struct Judge<'a> {
    cursor: &'a Cursor,
    damage: Option<&'a Damage>,
    is_last: bool,
    sectors: &'a [Sector],
}

impl Judge<'_> {
    fn verdict(&self) -> Tail {
        let resume = self.later_frame();
        let mut tail = match (self.damage, &resume) {
            (Some(damage), _) if damage.header.is_none() => {
                self.corrupt(damage.kind, damage.detail.clone())
            }
            (_, Some((at, _))) => {
                let detail = format!(
                    "the frame here is damaged or missing, and the frame at byte {at} proves that \
                     it was acknowledged"
                );
                self.corrupt(ProblemKind::DamagedFrame, detail)
            }
            (Some(Damage { header: Some(header), kind, detail, .. }), None) => {
                self.known_extent(header, *kind, detail)
            }
            _ => self.unknown_extent(),
        };
        if let (Some(problem), Some((_, header))) = (&mut tail.corrupt, &resume)
            && problem.positions.end == Position::MAX
            && header.first > problem.positions.start
        {
            problem.positions.end = header.first;
        }
        tail.resume = resume;
        tail
    }

    /// The first frame header behind the one at the cursor. With one frame in flight, it proves
    /// that everything before it was acknowledged; in the wrong place, that a write went astray.
    fn later_frame(&self) -> Option<(u64, FrameHeader)> {
        let own = self.damage.and_then(|damage| damage.header.as_ref());
        let from = own.map_or(self.cursor.offset + SECTOR, |header| {
            self.cursor.offset + header.physical_bytes()
        });
        let found = self.sectors.iter().find(|sector| sector.at >= from && sector.header.is_some());
        found.and_then(|sector| Some((sector.at, sector.header.clone()?)))
    }

    /// The header is right and the body is not.
    fn known_extent(&self, header: &FrameHeader, kind: ProblemKind, detail: &str) -> Tail {
        let start = self.cursor.offset;
        let extent = start..start + header.physical_bytes();
        let (inside, outside): (Vec<_>, Vec<_>) =
            self.sectors.iter().partition(|sector| extent.contains(&sector.at));
        let sector_count = header.physical_bytes() / SECTOR;
        let right = |sector: &&Sector| sector.tag == sector::tag(sector.at, header.term);
        let all_right = inside.iter().all(right);
        if inside.len() as u64 == sector_count || !all_right {
            return self.corrupt(kind, format!("{detail}, and the sectors concerned are not zero"));
        }
        if !self.is_last {
            return self.corrupt(kind, format!("{detail}, and a later segment follows"));
        }
        if let Some(heavy) = outside.iter().find(|sector| !sector.light) {
            return self.corrupt_at(heavy.at, "bytes behind the last frame that are no frame");
        }
        let last = inside.last().map_or(start, |sector| sector.at);
        let mut dirty = vec![extent];
        dirty.extend(outside.iter().map(|sector| sector.at..sector.at + SECTOR));
        Tail {
            torn: Some(TornTail {
                file: self.cursor.name.clone(),
                offset: start,
                positions: header.first..header.next(),
                bytes: last + SECTOR - start,
            }),
            stray: outside.iter().map(|sector| self.stray(sector)).collect(),
            dirty,
            ..Tail::default()
        }
    }

    /// There is no header: unused space, or a frame whose first sector was lost.
    fn unknown_extent(&self) -> Tail {
        let start = self.cursor.offset;
        let heavy: Vec<_> = self.sectors.iter().filter(|sector| !sector.light).collect();
        let light = self.sectors.iter().filter(|sector| sector.light);
        let mut tail = Tail {
            stray: light.map(|sector| self.stray(sector)).collect(),
            dirty: self.sectors.iter().map(|sector| sector.at..sector.at + SECTOR).collect(),
            ..Tail::default()
        };
        let Some((first, last)) = heavy.first().zip(heavy.last()) else {
            return tail;
        };
        let term = sector::tag_term(first.tag, first.at);
        let one_frame = term.is_some()
            && heavy.iter().all(|sector| sector::tag_term(sector.tag, sector.at) == term)
            && last.at + SECTOR - start <= FRAME_BYTES_MAX;
        let first_sector_lost = self.sectors.first().is_none_or(|sector| sector.at != start);
        if !self.is_last || !one_frame || !first_sector_lost {
            return self.corrupt_at(first.at, "bytes behind the last frame that are no frame");
        }
        tail.torn = Some(TornTail {
            file: self.cursor.name.clone(),
            offset: start,
            positions: self.cursor.expect.position..Position::MAX,
            bytes: last.at + SECTOR - start,
        });
        tail
    }

    fn stray(&self, sector: &Sector) -> Problem {
        let position = self.cursor.expect.position;
        Problem {
            file: self.cursor.name.clone(),
            offset: sector.at,
            positions: position..position,
            kind: ProblemKind::StrayDamage,
            detail: "bytes that were zero have changed; no entry lies here".to_owned(),
            harmless: true,
        }
    }

    fn corrupt_at(&self, at: u64, detail: &str) -> Tail {
        let mut tail = self.corrupt(ProblemKind::DamagedFrame, detail.to_owned());
        if let Some(problem) = &mut tail.corrupt {
            problem.offset = at;
        }
        tail
    }

    fn corrupt(&self, kind: ProblemKind, detail: String) -> Tail {
        let known = self.damage.map(|damage| damage.positions.clone());
        let positions = known.unwrap_or(self.cursor.expect.position..Position::MAX);
        let problem = Problem {
            file: self.cursor.name.clone(),
            offset: self.cursor.offset,
            positions,
            kind,
            detail,
            harmless: false,
        };
        Tail { corrupt: Some(problem), ..Tail::default() }
    }
}
