//! Walks the frames of one segment, comparing each with its place and with the one before.

use crate::disk::{Access, Claim, Disk, DiskFile, read_full};
use crate::error::{IoContext as _, JournalError, Problem, ProblemKind, Result};
use crate::frame::{self, BodyFault, FRAME_BYTES_MAX, Frame, FrameHeader, Probe};
use crate::sector::{SECTOR, SECTOR_BYTES};
use crate::segment::{self, FRAMES_AT, HeaderSector, SegmentHeader};
use crate::{Chain, Identity, Position};
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// Read ahead in portions of this size.
const WINDOW_BYTES: u64 = 256 << 10;

/// The history before the next frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Expect {
    pub(crate) position: Position,
    pub(crate) term: u64,
    pub(crate) chain: Chain,
}

/// Why the bytes at a frame's place are not the frame that belongs there.
#[derive(Debug, Clone)]
pub(crate) struct Damage {
    pub(crate) kind: ProblemKind,
    pub(crate) detail: String,
    pub(crate) positions: Range<Position>,
    /// The header, where it is right and in its place, so that only the body can be bad.
    pub(crate) header: Option<FrameHeader>,
}

/// What stands at the cursor.
#[derive(Debug)]
pub(crate) enum Step {
    /// An intact frame; the cursor has moved behind it.
    Frame(Box<Frame>),
    /// No frame begins here. Whether that is the true end is for [`crate::tail::judge`] to say.
    End,
    /// Something else; the cursor stays.
    Bad(Damage),
}

/// A place in a segment.
#[derive(Debug)]
pub(crate) struct Cursor {
    pub(crate) dir: PathBuf,
    pub(crate) name: String,
    pub(crate) file: Box<dyn DiskFile>,
    pub(crate) header: SegmentHeader,
    pub(crate) offset: u64,
    pub(crate) expect: Expect,
    window: Vec<u8>,
    window_at: u64,
}

impl Cursor {
    /// Opens a segment and stands at its first frame. Damaged padding of the header is returned
    /// beside it.
    pub(crate) fn open(
        disk: &dyn Disk,
        dir: &Path,
        first: Position,
        identity: &Identity,
        access: Access,
    ) -> Result<(Self, Option<Problem>)> {
        let name = segment::file_name(first);
        let path = dir.join(&name);
        let file = disk.open(&path, access).during("open", &path)?;
        // A segment that is given up may be used again, but not while it is read.
        if access == Access::Read && !file.claim(Claim::Shared).during("lock", &path)? {
            return Err(io::ErrorKind::NotFound.into()).during("open", &path);
        }
        let mut sector = [0; SECTOR_BYTES];
        let got = read_full(file.as_ref(), &mut sector, 0).during("read", &path)?;
        let length = file.length_bytes().during("measure", &path)?;
        let checked = check_header(&sector[..got], first, identity, length);
        if checked.is_err() {
            // Between the two it may have been: then its name is gone.
            disk.open(&path, Access::Read).during("open", &path)?;
        }
        let (header, padding_damaged) =
            checked.map_err(|(kind, detail)| JournalError::Corrupt {
                dir: dir.to_owned(),
                problem: Box::new(Problem {
                    file: name.clone(),
                    offset: 0,
                    positions: first..Position::MAX,
                    kind,
                    detail,
                    harmless: false,
                }),
                safe_next: first,
            })?;
        let stray = padding_damaged.then(|| Problem {
            file: name.clone(),
            offset: 0,
            positions: first..first,
            kind: ProblemKind::StrayDamage,
            detail: "the padding of the segment header is not zero".to_owned(),
            harmless: true,
        });
        Ok((Self::over(file, dir, name, header), stray))
    }

    /// Stands at the first frame of a file whose segment header is known.
    pub(crate) fn over(
        file: Box<dyn DiskFile>,
        dir: &Path,
        name: String,
        header: SegmentHeader,
    ) -> Self {
        let expect = Expect { position: header.first, term: header.term, chain: header.chain };
        Self {
            dir: dir.to_owned(),
            name,
            file,
            header,
            offset: FRAMES_AT,
            expect,
            window: Vec::new(),
            window_at: 0,
        }
    }

    /// Reads what stands here.
    pub(crate) fn step(&mut self) -> Result<Step> {
        let room = self.header.length_bytes.saturating_sub(self.offset);
        if room < SECTOR {
            return Ok(Step::End);
        }
        let header = match frame::probe(self.peek(SECTOR)?) {
            Probe::Unused => return Ok(Step::End),
            Probe::Header(header) => header,
            Probe::UnknownVersion(version) => {
                let detail = format!("version {version} was written by a newer evenkeel; use that");
                return Ok(self.bad(ProblemKind::UnknownVersion, detail));
            }
            Probe::Damaged => {
                let detail = "the frame's header fails its checksum".to_owned();
                return Ok(self.bad(ProblemKind::DamagedFrame, detail));
            }
        };
        let physical = header.physical_bytes();
        if let Some((kind, detail)) = self.misfit(&header) {
            return Ok(self.bad(kind, detail));
        }
        if physical > FRAME_BYTES_MAX || physical > room {
            let detail = format!("the frame claims {physical} bytes, more than fit here");
            return Ok(self.bad(ProblemKind::DamagedFrame, detail));
        }
        let offset = self.offset;
        match frame::decode(header.clone(), self.peek(physical)?, offset) {
            Ok(frame) => {
                self.offset += physical;
                self.expect = Expect {
                    position: frame.header.next(),
                    term: frame.header.term,
                    chain: frame.chain,
                };
                Ok(Step::Frame(Box::new(frame)))
            }
            Err(fault) => Ok(Step::Bad(Damage {
                kind: ProblemKind::DamagedFrame,
                detail: match fault {
                    BodyFault::BadTag { at } => format!("the sector at byte {at} changed"),
                    BodyFault::BadCrc => "the frame's body fails its checksum".to_owned(),
                    BodyFault::NotEntries => "the frame's body is not a list of entries".to_owned(),
                },
                positions: header.first..header.next(),
                header: Some(header),
            })),
        }
    }

    /// Stands at a frame found by searching behind damage, and takes its word for what came before.
    pub(crate) fn resume_at(&mut self, offset: u64, header: &FrameHeader) {
        self.offset = offset;
        self.expect =
            Expect { position: header.first, term: header.term, chain: header.previous_chain };
    }

    /// Goes on to the frame that continues a history known from elsewhere, whatever lies before it
    /// in this segment; says whether there is one. The header's checksum and the chain prove it.
    pub(crate) fn seek(&mut self, position: Position, chain: &Chain) -> Result<bool> {
        if self.expect.position == position && self.expect.chain == *chain {
            return Ok(true);
        }
        while self.offset + SECTOR <= self.header.length_bytes {
            if let Probe::Header(header) = frame::probe(self.peek(SECTOR)?)
                && header.identity == self.header.identity
                && header.own_offset == self.offset
                && (header.first, header.previous_chain) == (position, *chain)
            {
                self.resume_at(self.offset, &header);
                return Ok(true);
            }
            self.offset += SECTOR;
        }
        Ok(false)
    }

    /// Of the frames of this journal that lie from here to below `to` and were written for another
    /// place, the one that reaches farthest: where it lies, and its header.
    pub(crate) fn misplaced_header(&mut self, to: u64) -> Result<Option<(u64, FrameHeader)>> {
        let (from, end) = (self.offset, to.min(self.header.length_bytes));
        let mut farthest: Option<(u64, FrameHeader)> = None;
        while self.offset + SECTOR <= end {
            if let Probe::Header(header) = frame::probe(self.peek(SECTOR)?)
                && header.identity == self.header.identity
                && header.own_offset != self.offset
                && farthest.as_ref().is_none_or(|(_, known)| header.next() > known.next())
            {
                farthest = Some((self.offset, header));
            }
            self.offset += SECTOR;
        }
        self.offset = from;
        Ok(farthest)
    }

    /// Reads the disk again next time: it may have been written since.
    pub(crate) fn forget_window(&mut self) {
        self.window.clear();
    }

    /// An error that names this place.
    pub(crate) fn corrupt(&self, problem: Problem) -> JournalError {
        let safe_next = self.expect.position;
        JournalError::Corrupt { dir: self.dir.clone(), problem: Box::new(problem), safe_next }
    }

    fn bad(&self, kind: ProblemKind, detail: String) -> Step {
        let positions = self.expect.position..Position::MAX;
        Step::Bad(Damage { kind, detail, positions, header: None })
    }

    /// Compares a header whose CRC is right with its place and with the history before it.
    fn misfit(&self, header: &FrameHeader) -> Option<(ProblemKind, String)> {
        let (misplaced, broken) = (ProblemKind::MisplacedFrame, ProblemKind::BrokenChain);
        let expect = &self.expect;
        if header.identity != self.header.identity {
            let detail = "the frame belongs to another cluster or lineage".to_owned();
            Some((misplaced, detail))
        } else if header.own_offset != self.offset {
            let detail = format!("the frame was written for byte {}", header.own_offset);
            Some((misplaced, detail))
        } else if header.first != expect.position {
            let (found, wanted) = (header.first, expect.position);
            Some((misplaced, format!("the frame begins at position {found}, not {wanted}")))
        } else if header.watermark > header.first {
            let detail = format!("the frame claims a watermark of {}", header.watermark);
            Some((misplaced, detail))
        } else if header.previous_chain != expect.chain {
            let detail = "the frame does not continue the frame before it".to_owned();
            Some((broken, detail))
        } else if header.term < expect.term {
            let (found, last) = (header.term, expect.term);
            Some((broken, format!("term {found} comes after term {last}")))
        } else {
            None
        }
    }

    /// The next `length_bytes` bytes; the caller has checked that the segment is that long.
    fn peek(&mut self, length_bytes: u64) -> Result<&[u8]> {
        let end = self.offset + length_bytes;
        if self.offset < self.window_at || end > self.window_at + self.window.len() as u64 {
            let room = self.header.length_bytes - self.offset;
            let want = length_bytes.max(WINDOW_BYTES).min(room);
            let want = usize::try_from(want).unwrap_or(usize::MAX);
            self.window.resize(want, 0);
            self.window_at = self.offset;
            let path = self.dir.join(&self.name);
            let got = read_full(self.file.as_ref(), &mut self.window, self.offset)
                .during("read", &path)?;
            self.window[got..].fill(0);
        }
        let start = usize::try_from(self.offset - self.window_at).unwrap_or(0);
        let length = usize::try_from(length_bytes).unwrap_or(0);
        Ok(&self.window[start..start + length])
    }
}

fn check_header(
    sector: &[u8],
    first: Position,
    identity: &Identity,
    length_bytes: u64,
) -> Result<(SegmentHeader, bool), (ProblemKind, String)> {
    let Ok(sector) = sector.try_into() else {
        return Err((ProblemKind::DamagedSegment, "the segment ends inside its header".to_owned()));
    };
    let (header, padding_damaged) = match SegmentHeader::from_sector(sector) {
        HeaderSector::Header { header, padding_damaged } => (header, padding_damaged),
        HeaderSector::UnknownVersion(version) => {
            let detail = format!("version {version} was written by a newer evenkeel; use that");
            return Err((ProblemKind::UnknownVersion, detail));
        }
        HeaderSector::Damaged => {
            let detail = "the segment's header fails its checksum".to_owned();
            return Err((ProblemKind::DamagedSegment, detail));
        }
    };
    if header.identity != *identity {
        let detail = "the segment belongs to another cluster or lineage".to_owned();
        return Err((ProblemKind::ForeignSegment, detail));
    }
    if header.first != first {
        let detail = format!("the segment was written as {}", segment::file_name(header.first));
        return Err((ProblemKind::ForeignSegment, detail));
    }
    if length_bytes < header.length_bytes {
        let detail = format!(
            "the file is {length_bytes} bytes long, its header says {}: its end was cut off",
            header.length_bytes
        );
        return Err((ProblemKind::DamagedSegment, detail));
    }
    Ok((header, padding_damaged))
}
