//! Rebuilding one segment in a copy: intact frames as they are, the others from what was fetched.

use super::{Before, Fetch, FetchedFrame, MENDING, Mended, Place};
use crate::Position;
use crate::disk::{Access, Disk, DiskFile, read_full};
use crate::error::{IoContext as _, JournalError, Problem, Result};
use crate::frame::{self, FrameHeader, HEADER_BYTES, Probe};
use crate::scan::{Cursor, Damage, Expect, Step};
use crate::sector::{self, SECTOR, SECTOR_BYTES, is_zero};
use crate::segment::{self, FRAMES_AT, SegmentHeader};
use crate::tail;
use evenkeel_types::codec::Writer;
use std::io;
use std::ops::Range;
use std::path::Path;

/// Bytes copied at a time.
const COPY_BYTES: usize = 1 << 20;

/// What became of a segment: whole again, or what cannot be mended.
type Outcome = Result<(Expect, Vec<Mended>), Problem>;

/// Mends a segment and gives it its name back. If it cannot, nothing of it was touched.
pub(super) fn run<E: From<JournalError>>(
    disk: &dyn Disk,
    place: &Place,
    before: &Before,
    header: Option<SegmentHeader>,
    fetch: Fetch<'_, E>,
) -> Result<Outcome, E> {
    let new = place.dir.join(MENDING);
    let outcome = mend(disk, place, before, header, fetch);
    if !matches!(outcome, Ok(Ok(_))) {
        // Only a copy; the next repair would remove it as well.
        let _ = disk.remove(&new);
        return outcome;
    }
    let path = place.dir.join(place.name());
    disk.rename(&new, &path).during("rename", &new)?;
    disk.sync_dir(&place.dir).during("sync", &place.dir)?;
    outcome
}

fn mend<E: From<JournalError>>(
    disk: &dyn Disk,
    place: &Place,
    before: &Before,
    header: Option<SegmentHeader>,
    fetch: Fetch<'_, E>,
) -> Result<Outcome, E> {
    let refuse = |detail: &str| {
        let end = place.end.as_ref().map_or(Position::MAX, |end| end.position);
        Ok(Err(place.problem(0, place.first..end, detail.to_owned())))
    };
    let named = place.end.as_ref().and_then(|end| end.previous_first);
    if place.file_bytes == 0 && named.is_some_and(|named| named != place.first) {
        return refuse("more than one segment is missing");
    }
    let mut mended = Vec::new();
    let header = match header {
        Some(header) => header,
        None => {
            let positions = place.first..place.first;
            mended.push(Mended { file: place.name(), positions });
            derived_header(disk, place, before)?
        }
    };
    if place.first != before.expect.position {
        return refuse("the header is damaged, and the segment before does not reach it");
    }
    let new = place.dir.join(MENDING);
    let file = copy(disk, place, &header, &new)?;
    let mut bench = Bench {
        place,
        path: &new,
        cursor: Cursor::over(file, &place.dir, place.name(), header.clone()),
        mended,
    };
    if let Err(problem) = bench.mend_frames(fetch)? {
        return Ok(Err(problem));
    }
    bench.cursor.file.sync_all().during("sync", &new)?;
    let Bench { mended, .. } = bench;
    // Read back whole, as any reader will.
    let file = disk.open(&new, Access::Read).during("open", &new)?;
    let mut cursor = Cursor::over(file, &place.dir, place.name(), header);
    while let Step::Frame(_) = cursor.step()? {}
    let rest = tail::judge(&cursor, None, place.end.is_none())?;
    if rest.corrupt.is_some() || !place.ends_with(&cursor.expect) {
        return refuse("what was fetched does not lead to what follows");
    }
    Ok(Ok((cursor.expect, mended)))
}

/// The header as it must have been, from the segments beside it.
fn derived_header(disk: &dyn Disk, place: &Place, before: &Before) -> Result<SegmentHeader> {
    let mut length_bytes = place.file_bytes;
    if length_bytes < 2 * FRAMES_AT || !length_bytes.is_multiple_of(4096) {
        for first in segment::list(disk, &place.dir).during("list", &place.dir)? {
            let path = place.dir.join(segment::file_name(first));
            let file = disk.open(&path, Access::Read).during("open", &path)?;
            length_bytes = length_bytes.max(file.length_bytes().during("measure", &path)?);
        }
    }
    Ok(SegmentHeader {
        reserve: false,
        length_bytes,
        first: place.first,
        previous_first: before.first,
        term: before.expect.term,
        identity: place.identity,
        chain: before.expect.chain,
    })
}

/// A file of the segment's length with the header and whatever the old one holds behind it.
fn copy(
    disk: &dyn Disk,
    place: &Place,
    header: &SegmentHeader,
    new: &Path,
) -> Result<Box<dyn DiskFile>> {
    let file =
        segment::create_zeroed(disk, new, header.length_bytes).during("make room for", new)?;
    file.write_all_at(&header.to_sector(), 0).during("write", new)?;
    let path = place.dir.join(place.name());
    let old = match disk.open(&path, Access::Read) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(file),
        other => other.during("open", &path)?,
    };
    let mut buffer = vec![0; COPY_BYTES];
    let mut at = FRAMES_AT;
    while at < header.length_bytes {
        let room = usize::try_from(header.length_bytes - at).unwrap_or(COPY_BYTES);
        let want = room.min(COPY_BYTES);
        let got = read_full(old.as_ref(), &mut buffer[..want], at).during("read", &path)?;
        if !is_zero(&buffer[..got]) {
            file.write_all_at(&buffer[..got], at).during("write", new)?;
        }
        if got < want {
            break;
        }
        at += got as u64;
    }
    Ok(file)
}

/// The copy being worked on.
struct Bench<'a> {
    place: &'a Place,
    path: &'a Path,
    cursor: Cursor,
    mended: Vec<Mended>,
}

/// A damaged part of a segment, from the cursor on.
struct Hole {
    /// Where intact bytes go on, if they do in this segment.
    to_offset: Option<u64>,
    /// First position behind it, if that can be told.
    next: Option<Position>,
    /// Header of the only frame in it, where that is intact.
    header: Option<FrameHeader>,
}

impl Bench<'_> {
    /// Walks the frames and fills every hole.
    fn mend_frames<E: From<JournalError>>(
        &mut self,
        fetch: Fetch<'_, E>,
    ) -> Result<Result<(), Problem>, E> {
        loop {
            let damage = match self.cursor.step()? {
                Step::Frame(_) => continue,
                Step::End => None,
                Step::Bad(damage) => Some(damage),
            };
            let rest = tail::judge(&self.cursor, damage.as_ref(), self.place.end.is_none())?;
            if rest.corrupt.is_none() && self.place.ends_with(&self.cursor.expect) {
                return Ok(Ok(()));
            }
            let hole = self.hole(damage)?;
            let before = self.cursor.offset;
            if let Err(problem) = self.fill(&hole, fetch)? {
                return Ok(Err(problem));
            }
            if self.cursor.offset == before {
                let detail = "what was fetched does not lead to what follows".to_owned();
                let positions = self.cursor.expect.position..Position::MAX;
                return Ok(Err(self.place.problem(before, positions, detail)));
            }
            self.cursor.forget_window();
        }
    }

    fn hole(&self, damage: Option<Damage>) -> Result<Hole> {
        if let Some(header) = damage.and_then(|damage| damage.header) {
            let to_offset = Some(self.cursor.offset + header.physical_bytes());
            return Ok(Hole { to_offset, next: Some(header.next()), header: Some(header) });
        }
        let (from, expect) = (self.cursor.offset + SECTOR, &self.cursor.expect);
        let mut found: Option<(u64, FrameHeader)> = None;
        let length_bytes = self.cursor.header.length_bytes;
        sector::for_each_nonzero(self.cursor.file.as_ref(), from, length_bytes, |at, bytes| {
            // Only a frame in its own place proves anything.
            if let (None, Probe::Header(header)) = (&found, frame::probe(bytes))
                && header.identity == self.place.identity
                && header.own_offset == at
                && header.first >= expect.position
                && header.term >= expect.term
            {
                found = Some((at, header));
            }
        })
        .during("read", self.path)?;
        let (to_offset, next) = match found {
            Some((at, header)) => (Some(at), Some(header.first)),
            None => (None, self.place.end.as_ref().map(|end| end.position)),
        };
        Ok(Hole { to_offset, next, header: None })
    }

    fn fill<E: From<JournalError>>(
        &mut self,
        hole: &Hole,
        fetch: Fetch<'_, E>,
    ) -> Result<Result<(), Problem>, E> {
        let from = self.cursor.expect.position;
        if let Some(header) = &hole.header
            && header.seal
        {
            self.write(header.clone(), &[])?;
            self.note(from..from);
            return Ok(Ok(()));
        }
        let asked = from..hole.next.unwrap_or(from + 1);
        let unproven = self.place.end.as_ref().is_some_and(|end| end.chain.is_none());
        if unproven && hole.to_offset.is_none() && !asked.is_empty() {
            let detail = "what follows is damaged as well, so nothing proves what stood here";
            let offset = self.cursor.offset;
            return Ok(Err(self.place.problem(offset, asked, detail.to_owned())));
        }
        let mut frames = if asked.is_empty() { Vec::new() } else { fetch(asked.clone())? };
        if hole.next.is_none() {
            frames.truncate(1);
        }
        let refuse = |bench: &Self, detail: &str| {
            Ok(Err(bench.place.problem(bench.cursor.offset, asked.clone(), detail.to_owned())))
        };
        let mut next = from;
        for one in &frames {
            if one.first != next || one.entries.is_empty() {
                return refuse(self, "what was fetched are not the frames that were lost");
            }
            next = one.next();
        }
        if hole.next.map_or(next == from, |wanted| wanted != next) {
            return refuse(self, "nobody who was asked holds these positions whole");
        }
        for one in &frames {
            let limit = hole.to_offset.unwrap_or(self.cursor.header.length_bytes);
            let Some((header, body)) = self.frame(one) else {
                return refuse(self, "a frame that was fetched fits into no segment");
            };
            let differs = hole.header.as_ref().is_some_and(|wanted| *wanted != header);
            if differs || header.physical_bytes() > limit - self.cursor.offset {
                return refuse(self, "what was fetched does not fit where it was lost");
            }
            self.write(header, &body)?;
        }
        self.fill_rest(hole)?;
        self.note(from..next);
        Ok(Ok(()))
    }

    /// Behind the frames of a hole seals may have stood, or nothing.
    fn fill_rest(&mut self, hole: &Hole) -> Result<()> {
        match (hole.to_offset, &self.place.end) {
            (Some(to_offset), _) => {
                while self.cursor.offset < to_offset {
                    self.write_seal(self.cursor.expect.term)?;
                }
            }
            (None, Some(end)) => {
                let term = end.term.unwrap_or(self.cursor.expect.term);
                let from = self.cursor.offset;
                let mut used = Vec::new();
                let length_bytes = self.cursor.header.length_bytes;
                sector::for_each_nonzero(self.cursor.file.as_ref(), from, length_bytes, |at, _| {
                    used.push(at);
                })
                .during("read", self.path)?;
                for at in &used {
                    self.put(&[0; SECTOR_BYTES], *at)?;
                }
                let sealed = used.first() == Some(&from) || term > self.cursor.expect.term;
                if sealed && length_bytes - from >= SECTOR {
                    self.write_seal(term)?;
                }
            }
            // The true end is not known: what is left there is for the next look to judge.
            (None, None) => {}
        }
        Ok(())
    }

    /// The frame as it was written here.
    fn frame(&self, fetched: &FetchedFrame) -> Option<(FrameHeader, Vec<u8>)> {
        let entries: Vec<&[u8]> = fetched.entries.iter().map(Vec::as_slice).collect();
        let mut body = Writer::new();
        frame::encode_body(&entries, &mut body);
        let body = body.as_bytes().to_vec();
        let mut header = self.header(fetched.term, fetched.entries.len(), body.len())?;
        header.body_crc = crc32c::crc32c(&body);
        Some((header, body))
    }

    fn header(&self, term: u64, count: usize, body_bytes: usize) -> Option<FrameHeader> {
        let Expect { position, chain, .. } = &self.cursor.expect;
        Some(FrameHeader {
            seal: count == 0,
            count: u32::try_from(count).ok()?,
            body_bytes: u32::try_from(body_bytes).ok()?,
            term,
            first: *position,
            own_offset: self.cursor.offset,
            // A writer has one frame in flight: all before it was durable.
            watermark: *position,
            identity: self.place.identity,
            previous_chain: *chain,
            body_crc: crc32c::crc32c(&[]),
        })
    }

    fn write_seal(&mut self, term: u64) -> Result<()> {
        const { assert!(HEADER_BYTES < SECTOR_BYTES, "a seal takes one sector") };
        match self.header(term, 0, 0) {
            Some(header) => self.write(header, &[]),
            None => Ok(()),
        }
    }

    /// Writes a frame at the cursor and moves behind it.
    fn write(&mut self, mut header: FrameHeader, body: &[u8]) -> Result<()> {
        let mut physical = Vec::new();
        frame::encode(&mut header, body, &mut physical);
        self.put(&physical, self.cursor.offset)?;
        self.cursor.offset += header.physical_bytes();
        self.cursor.expect = Expect {
            position: header.next(),
            term: header.term,
            chain: frame::chain_after(&header, body),
        };
        Ok(())
    }

    fn put(&self, bytes: &[u8], at: u64) -> Result<()> {
        self.cursor.file.write_all_at(bytes, at).during("write", self.path)
    }

    fn note(&mut self, positions: Range<Position>) {
        let file = self.place.name();
        match self.mended.last_mut() {
            Some(last) if last.positions.end == positions.start => {
                last.positions.end = positions.end;
            }
            _ => self.mended.push(Mended { file, positions }),
        }
    }
}
